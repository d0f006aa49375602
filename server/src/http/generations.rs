//! Managing generations of views.

use super::Service;
use super::ask::{Asked, Words, asked, instant, words};
use crate::answering::{Build, Manage, manage};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use serde::Deserialize;
use serde_json::Value;

/// Members that are named where nobody says how many.
const NAMED: usize = 10;

type Answer = Result<Json<Value>, Problem>;

impl Service {
    async fn manage(self, what: Manage) -> Answer {
        self.work(move |service| manage(&service.0.readers, &what, service.0.clock.now())).await.map(Json)
    }
}

pub(super) async fn status(State(service): State<Service>) -> Answer {
    service.manage(Manage::Status).await
}

pub(super) async fn start(State(service): State<Service>, body: Result<axum::body::Bytes, BytesRejection>) -> Answer {
    let body = body.map_err(super::facts::too_large(&service))?;
    let build: Build = if body.is_empty() {
        Build::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| Problem::new("invalid_json", error.to_string()))?
    };
    service.manage(Manage::Start(build)).await
}

pub(super) async fn flip(State(service): State<Service>, path: Words<u32>) -> Answer {
    service.manage(Manage::Flip(words(path)?)).await
}

pub(super) async fn roll_back(State(service): State<Service>) -> Answer {
    service.manage(Manage::RollBack).await
}

pub(super) async fn drop(State(service): State<Service>, path: Words<u32>) -> Answer {
    service.manage(Manage::Drop(words(path)?)).await
}

/// What is compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compared {
    program: Option<String>,
    #[serde(default)]
    states: bool,
    named: Option<usize>,
    at: Option<String>,
}

pub(super) async fn diff(State(service): State<Service>, path: Words<u32>, query: Asked<Compared>) -> Answer {
    let (generation, which): (u32, Compared) = (words(path)?, asked(query)?);
    let at = instant("at", which.at.as_deref())?;
    let (program, states, named) = (which.program, which.states, which.named.unwrap_or(NAMED));
    service.manage(Manage::Diff { generation, program, states, named, at }).await
}
