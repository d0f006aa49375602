//! For who runs it: `/livez`, `/readyz`, `/metrics`, at an address of their own.

use crate::problem::Problem;
use crate::readers::Readers;
use crate::telemetry::{PointsCount, look};
use accrue_ingest::{ShardState, Status};
use accrue_store::Store;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the service is doing, as far as it has come.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    stage: Mutex<Stage>,
    readers: Readers,
    metrics: PrometheusHandle,
    points: PointsCount,
}

enum Stage {
    /// Why it is not ready.
    Opening(Vec<String>),
    Open(Store, Arc<Status>),
    Stopping,
}

impl Health {
    /// Of a service that is opening its store.
    pub fn new(readers: Readers, metrics: PrometheusHandle) -> Health {
        let stage = Mutex::new(Stage::Opening(vec!["the store is being opened".to_owned()]));
        Health(Arc::new(Inner { stage, readers, metrics, points: PointsCount::default() }))
    }

    /// How far the opening is.
    pub fn opening(&self, reasons: Vec<String>) {
        *self.0.stage.lock() = Stage::Opening(reasons);
    }

    /// It is open.
    pub fn open(&self, store: Store, status: Arc<Status>) {
        *self.0.stage.lock() = Stage::Open(store, status);
    }

    /// It takes nothing more. Lets go of the store.
    pub fn stopping(&self) {
        *self.0.stage.lock() = Stage::Stopping;
    }

    fn status(&self) -> Option<(Store, Arc<Status>)> {
        match &*self.0.stage.lock() {
            Stage::Open(store, status) => Some((store.clone(), Arc::clone(status))),
            Stage::Opening(_) | Stage::Stopping => None,
        }
    }

    fn not_ready(&self) -> Vec<String> {
        match &*self.0.stage.lock() {
            Stage::Opening(reasons) => reasons.clone(),
            Stage::Open(_, status) => status.not_ready(),
            Stage::Stopping => vec!["it is being stopped".to_owned()],
        }
    }
}

/// All routes for who runs it.
pub fn admin_router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/snapshot", post(snapshot))
        .with_state(health)
}

async fn readyz(State(health): State<Health>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let reasons = health.not_ready();
    let code = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if query.contains_key("verbose") {
        return (code, Json(report(&health, &reasons))).into_response();
    }
    let text = if reasons.is_empty() { "ok\n".to_owned() } else { reasons.join("\n") + "\n" };
    (code, text).into_response()
}

fn report(health: &Health, reasons: &[String]) -> Value {
    let status = health.status();
    let shards = status.iter().flat_map(|(_, status)| status.shards()).map(|shard| {
        let (state, detail) = match &shard.state {
            ShardState::Recovering { percent } => ("recovering", format!("{percent} %")),
            ShardState::Live => ("live", String::new()),
            ShardState::Stopped { reason } => ("stopped", reason.clone()),
        };
        json!({
            "shard": shard.shard,
            "state": state,
            "detail": detail,
            "next_position": shard.next_position.0,
            "next_offset": shard.next_offset,
            "end_offset": shard.end_offset,
            "lag": shard.lag(),
            "consumed": shard.consumed,
        })
    });
    let shards: Vec<Value> = shards.collect();
    let source = status.as_ref().map(|(_, status)| status.source());
    let source = source.map(|source| {
        json!({
            "connected": source.connected,
            "assigned": source.assigned,
            "no_broker": source.no_broker,
            "last_error": source.last_error,
            "rebalances": source.rebalances,
            "ended": source.ended,
        })
    });
    json!({ "ready": reasons.is_empty(), "reasons": reasons, "shards": shards, "source": source })
}

async fn metrics(State(health): State<Health>) -> Response {
    let rendered = tokio::task::spawn_blocking(move || {
        let status = health.status();
        let (store, status) = (status.as_ref().map(|(store, _)| store), status.as_ref().map(|(_, status)| &**status));
        look(&health.0.points, &health.0.readers, store, status);
        health.0.metrics.run_upkeep();
        health.0.metrics.render()
    });
    match rendered.await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Copies the store as it is now beside itself, for `accrue backup create`, which sends and removes it.
async fn snapshot(State(health): State<Health>) -> Result<Json<Value>, Problem> {
    let made = tokio::task::spawn_blocking(move || {
        let (store, _) =
            health.status().ok_or_else(|| Problem::new("shard_recovering", "the store is being opened or closed"))?;
        let snapshot = store.snapshot()?;
        serde_json::to_value(snapshot).map_err(|error| Problem::new("internal", error.to_string()))
    });
    made.await.unwrap_or_else(|error| Err(Problem::new("internal", error.to_string()))).map(Json)
}
