//! Rules: what others would make of everything, and applying them to it.

use super::Service;
use super::facts::{Body, too_large};
use crate::answering::{Apply, Applying, Compare, Undo, compare};
use crate::problem::Problem;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::de::DeserializeOwned;
use serde_json::Value;

type Of = Result<Path<String>, PathRejection>;
type Answer = Result<Json<Value>, Problem>;

/// What other rules would make of everything; nothing is written.
pub(super) async fn compared(State(service): State<Service>, path: Of, body: Body) -> Answer {
    asked(service, path, body, |service, program, asked: Compare| {
        compare(&service.0.readers, program, &asked, service.0.clock.now(), |_, _| ())
    })
    .await
}

/// Rules applied to what was there already, or what that would do.
pub(super) async fn apply(State(service): State<Service>, path: Of, body: Body) -> Answer {
    asked(service, path, body, |service, program, asked: Apply| {
        applying(service, program, |applying| applying.apply(&asked, &mut |_, _| ()))
    })
    .await
}

/// What was broken off, completed.
pub(super) async fn resume(State(service): State<Service>, path: Of) -> Answer {
    let Path(program) = path.map_err(|error| Problem::new("bad_request", error.body_text()))?;
    let answered = service.work(move |service| applying(service, &program, |applying| applying.resume(&mut |_, _| ())));
    answered.await.map(Json)
}

/// An application undone, or what that would do.
pub(super) async fn undo(State(service): State<Service>, path: Of, body: Body) -> Answer {
    asked(service, path, body, |service, program, asked: Undo| applying(service, program, |applying| applying.undo(&asked))).await
}

fn applying(
    service: &Service,
    program: &str,
    work: impl FnOnce(&Applying<'_>) -> Result<Value, Problem>,
) -> Result<Value, Problem> {
    let inner = &service.0;
    let take = |facts: &[&[u8]]| inner.door.take(&inner.readers, facts);
    let catch_up = || inner.door.catch_up(&inner.readers);
    let guards = inner.limits.guards;
    work(&Applying { readers: &inner.readers, take: &take, catch_up: &catch_up, program, guards, now: inner.clock.now() })
}

async fn asked<T: DeserializeOwned>(
    service: Service,
    path: Of,
    body: Body,
    work: impl FnOnce(&Service, &str, T) -> Result<Value, Problem> + Send + 'static,
) -> Answer {
    let Path(program) = path.map_err(|error| Problem::new("bad_request", error.body_text()))?;
    let body = body.map_err(too_large(&service))?;
    let answered = service.work(move |service| {
        let asked: T = serde_json::from_slice(&body)
            .map_err(|error| Problem::new("invalid_json", format!("send {{\"new\": \"…text of a ruleset…\"}}: {error}")))?;
        work(service, &program, asked)
    });
    answered.await.map(Json)
}
