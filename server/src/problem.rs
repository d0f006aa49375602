//! What can't be answered, as RFC 9457 has it; the command line says the same words.

use crate::failure::{Exit, Failure};
use accrue_ingest::IngestError;
use accrue_projections::ProjectionError;
use accrue_store::StoreError;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Every code there is, with its status and title. Codes are stable.
pub const CODES: &[(&str, u16, &str)] = &[
    ("bad_request", 400, "The request can't be understood"),
    ("invalid_json", 400, "The body is not JSON"),
    ("not_found", 404, "There is no such thing here"),
    ("method_not_allowed", 405, "This can't be done here"),
    ("ruleset_invalid", 400, "The ruleset is none"),
    ("wrong_program", 400, "The ruleset is for another program"),
    ("not_approved", 409, "This goes further than is allowed without approval"),
    ("apply_conflict", 409, "Something else was applied that stands in the way"),
    ("apply_incomplete", 503, "It was broken off: resume it"),
    ("timeout", 408, "It took too long"),
    ("body_too_large", 413, "The body is too large"),
    ("too_many_facts", 413, "Too many facts in one request"),
    ("generation_not_ready", 409, "This generation can't be used for that"),
    ("page_too_large", 400, "The page is too large"),
    ("unsupported_encoding", 415, "The body is in another encoding"),
    ("internal", 500, "Something is wrong here"),
    ("shard_recovering", 503, "The shard is not ready yet"),
    ("shard_not_here", 503, "The shard is at another instance"),
    ("shard_stopped", 503, "The shard takes no facts"),
    ("position_not_reached", 503, "The position has not been reached yet"),
    ("kafka_unavailable", 503, "No Kafka broker takes it"),
    ("busy", 503, "Too much is asked at once"),
    ("disk_full", 507, "The disk is full"),
];

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP's number.
    pub status: u16,
    /// One of [`CODES`].
    pub code: Cow<'static, str>,
    /// One lower-case line: what, where, hint.
    pub detail: String,
}

impl Problem {
    /// A problem of that code.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Problem {
        let status = CODES.iter().find(|(known, ..)| *known == code).map_or(500, |(_, status, _)| *status);
        Problem { status, code: Cow::Borrowed(code), detail: detail.into() }
    }

    /// The same words whether it is not there or not yours.
    pub fn not_found(what: impl Into<String>) -> Problem {
        Problem::new("not_found", what)
    }

    /// As `application/problem+json`.
    pub fn body(&self) -> Value {
        let title = CODES.iter().find(|(known, ..)| *known == self.code).map_or("", |(_, _, title)| title);
        json!({
            "type": format!("https://accrue.invalid/problems/{}", self.code),
            "title": title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        })
    }

    /// From `application/problem+json`; `None`: it is none.
    pub fn from_body(status: u16, body: &Value) -> Option<Problem> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Problem { status, code: Cow::Owned(text("code")?), detail: text("detail").unwrap_or_default() })
    }
}

impl From<ProjectionError> for Problem {
    fn from(error: ProjectionError) -> Problem {
        match &error {
            ProjectionError::Store(store) if store.is_disk_full() => Problem::new("disk_full", error.to_string()),
            ProjectionError::Generation { .. } => Problem::new("generation_not_ready", error.to_string()),
            ProjectionError::Store(StoreError::NotNow { .. }) => Problem::new("shard_recovering", error.to_string()),
            ProjectionError::NotDurable { .. } => Problem::new("shard_stopped", error.to_string()),
            _ => {
                tracing::error!(%error, "can't answer");
                Problem::new("internal", error.to_string())
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        ProjectionError::from(error).into()
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Problem {
        if let IngestError::Store(StoreError::NoDeadLetter { shard, seq }) = &error {
            return Problem::not_found(format!("there is no dead letter {shard}/{seq}"));
        }
        // A shard that stopped keeps its reason as text.
        let text = error.to_string();
        Problem::new(if text.contains("the disk is full") { "disk_full" } else { "shard_stopped" }, text)
    }
}

impl From<Problem> for anyhow::Error {
    fn from(problem: Problem) -> anyhow::Error {
        let exit = match problem.status {
            404 => Exit::NotFound,
            400 => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure { exit, message: problem.detail }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_comes_back_from_its_body() {
        let problem = Problem::new("shard_not_here", "member m1 is in shard 3");
        assert_eq!((problem.status, problem.body()["title"].as_str()), (503, Some("The shard is at another instance")));
        assert_eq!(Problem::from_body(503, &problem.body()), Some(problem));
        assert_eq!(Problem::from_body(500, &json!({"error": 1})), None);
    }

    #[test]
    fn the_command_line_ends_as_it_says() {
        let exit = |code| Failure::exit_of(&anyhow::Error::from(Problem::new(code, "x")));
        assert_eq!((exit("not_found"), exit("bad_request"), exit("internal")), (Exit::NotFound, Exit::Usage, Exit::Failed));
    }

    #[test]
    fn a_full_disk_has_a_code() {
        let stopped = |reason: &str| Problem::from(IngestError::Stopped { shard: 1, reason: reason.to_owned() }).code;
        let full = StoreError::Io { action: "write", path: "x".into(), source: std::io::Error::from_raw_os_error(28) };
        assert_eq!((stopped(&full.to_string()), stopped("it was stopped")), ("disk_full".into(), "shard_stopped".into()));
    }

    #[test]
    fn codes_are_documented() {
        let page = include_str!("../../docs/http.md");
        for (code, status, _) in CODES {
            assert!(page.contains(&format!("| `{code}` | {status} |")), "docs/http.md does not have {code} with {status}");
        }
    }
}
