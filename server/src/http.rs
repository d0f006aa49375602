//! The API: `/v1`, JSON, errors as `application/problem+json` (docs/http.md).

mod admin;
mod ask;
mod facts;
mod generations;
mod rules;
mod server;
mod stream;

pub use admin::{Health, admin_router};
pub use server::{Running, bind, start};

use crate::config::Limits;
use crate::intake::Door;
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ingest::Clock;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

/// Questions that are answered at the same time; more wait.
const ANSWERING_MAX: usize = 32;
/// Questions that wait for their turn; more are refused.
const WAITING_MAX: usize = 1024;

/// What every handler has.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    readers: Readers,
    door: Door,
    limits: Limits,
    clock: Clock,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Service {
    /// Answers from these shards, takes facts in through this door.
    pub fn new(readers: Readers, door: Door, limits: Limits, clock: Clock) -> Service {
        let (turns, waiting) = (Arc::new(Semaphore::new(ANSWERING_MAX)), Arc::new(Semaphore::new(WAITING_MAX)));
        let streams = Arc::new(Semaphore::new(stream::STREAMS_MAX));
        Service(Arc::new(Inner { readers, door, limits, clock, turns, waiting, streams }))
    }

    /// Runs what reads or waits for a disk, on a thread of its own.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Service) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || Problem::new("busy", format!("more than {WAITING_MAX} requests wait; ask again"));
        let waiting = Arc::clone(&self.0.waiting).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.0.turns).acquire_owned().await.map_err(|_| busy())?;
        let service = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _held = (waiting, turn);
            work(&service)
        });
        done.await.unwrap_or_else(|error| Err(Problem::new("internal", error.to_string())))
    }
}

/// All routes of the API.
pub fn router(service: Service) -> Router {
    let limits = service.0.limits;
    Router::new()
        .route("/v1/programs", get(ask::programs))
        .route("/v1/programs/{program}/members", get(ask::members))
        .route("/v1/programs/{program}/members/{member}", get(ask::member))
        .route("/v1/programs/{program}/members/{member}/entries", get(ask::entries))
        .route("/v1/programs/{program}/members/{member}/orders/{order}/explain", get(ask::order))
        .route("/v1/programs/{program}/members/{member}/explain", get(ask::explain).post(facts::what_if))
        .route("/v1/programs/{program}/exceptions", get(ask::exceptions))
        .route("/v1/programs/{program}/coupons/{code}", get(ask::coupon))
        .route("/v1/programs/{program}/members/{member}/tiers", get(ask::tiers))
        .route("/v1/programs/{program}/members/{member}/referrals", get(ask::referrals))
        .route("/v1/programs/{program}/expiring", get(ask::expiring))
        .route("/v1/programs/{program}/totals", get(ask::totals))
        .route("/v1/programs/{program}/tiers", get(ask::ladder))
        .route("/v1/programs/{program}/quote", post(facts::quote))
        .route("/v1/programs/{program}/rules/diff", post(rules::compared))
        .route("/v1/programs/{program}/rules/apply", post(rules::apply))
        .route("/v1/programs/{program}/rules/resume", post(rules::resume))
        .route("/v1/programs/{program}/rules/undo", post(rules::undo))
        .route("/v1/programs/{program}/rules/applications", get(ask::applications))
        .route("/v1/programs/{program}/rules/diff/rows", post(stream::compared_rows))
        .route("/v1/export", post(stream::export))
        .route("/v1/replay", post(stream::replay))
        .route("/v1/liability", post(facts::owed))
        .route("/v1/programs/{program}/rulesets", get(ask::rulesets))
        .route("/v1/programs/{program}/digest", get(ask::digest))
        .route("/v1/generations", get(generations::status).post(generations::start))
        .route("/v1/generations/rollback", post(generations::roll_back))
        .route("/v1/generations/{generation}", delete(generations::drop))
        .route("/v1/generations/{generation}/flip", post(generations::flip))
        .route("/v1/generations/{generation}/diff", get(generations::diff))
        .route("/v1/dead-letters", get(ask::dead_letters))
        .route("/v1/dead-letters/requeue", post(facts::requeue_many))
        .route("/v1/dead-letters/{shard}/{seq}", get(ask::dead_letter))
        .route("/v1/dead-letters/{shard}/{seq}/requeue", post(facts::requeue))
        .route("/v1/facts", post(facts::facts))
        .fallback(|| async { Problem::not_found("there is nothing at this path; docs/http.md has all of them") })
        .method_not_allowed_fallback(|| async {
            Problem::new("method_not_allowed", "this path has no such method; docs/http.md has all of them")
        })
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(limits.body_bytes_max))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limits.timeout))
        .layer(middleware::from_fn_with_state(service.clone(), problems))
        .layer(middleware::from_fn(crate::telemetry::observe))
        .with_state(service)
}

/// What the layers say in plain text, as problems.
async fn problems(State(service): State<Service>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let told = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == PROBLEM_JSON.as_bytes());
    if told {
        return response;
    }
    let limits = &service.0.limits;
    match response.status() {
        StatusCode::REQUEST_TIMEOUT => {
            Problem::new("timeout", format!("no answer within {} ms", limits.timeout.as_millis())).into_response()
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new("body_too_large", format!("a body has at most {} bytes", limits.body_bytes_max)).into_response()
        }
        status if status.is_client_error() => Problem::new("bad_request", status.to_string().to_lowercase()).into_response(),
        _ => response,
    }
}

const PROBLEM_JSON: &str = "application/problem+json";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], self.body().to_string()).into_response()
    }
}
