//! Writing: facts straight in, and dead letters again.

use super::Service;
use crate::intake::receipt_json;
use crate::problem::Problem;
use accrue_ingest::Message;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

type Body = Result<Bytes, BytesRejection>;

/// One fact, or an array of them; answered when all are durable.
pub(super) async fn facts(State(service): State<Service>, body: Body) -> Result<Json<Value>, Problem> {
    let body = body.map_err(|error| match error.status().as_u16() {
        413 => Problem::new("body_too_large", format!("a body has at most {} bytes", service.0.limits.body_bytes_max)),
        _ => Problem::new("bad_request", error.body_text()),
    })?;
    let answered = service.work(move |service| {
        let embedded = service.0.door.embedded()?;
        let (facts, one) = split(&body, service.0.limits.facts_max)?;
        let mut publisher = embedded.publisher().with_receipts();
        let stopped = Problem::from;
        for fact in &facts {
            publisher.push(&Message { value: Some(fact), ..Message::default() }).map_err(stopped)?;
        }
        publisher.flush().map_err(stopped)?;
        let mut receipts: Vec<Value> = Vec::with_capacity(facts.len());
        while let Some((_, receipt)) = publisher.receipt() {
            receipts.push(receipt_json(&receipt));
        }
        Ok(match receipts.pop() {
            Some(receipt) if one => receipt,
            last => {
                receipts.extend(last);
                json!({ "receipts": receipts })
            }
        })
    });
    answered.await.map(Json)
}

/// The bytes of each fact, and whether there was only one, without an array.
fn split(body: &[u8], facts_max: usize) -> Result<(Vec<&[u8]>, bool), Problem> {
    let invalid = |error: serde_json::Error| Problem::new("invalid_json", format!("the body is no json: {error}"));
    let bare = body.trim_ascii();
    match bare.first() {
        Some(b'{') => {
            serde_json::from_slice::<IgnoredAny>(bare).map_err(invalid)?;
            Ok((vec![bare], true))
        }
        Some(b'[') => {
            serde_json::from_slice::<IgnoredAny>(bare).map_err(invalid)?;
            let facts = entries(bare);
            if facts.len() > facts_max {
                return Err(Problem::new("too_many_facts", format!("{} facts, a request has at most {facts_max}", facts.len())));
            }
            Ok((facts, false))
        }
        None => Err(Problem::new("bad_request", "the body is empty: send one fact as a json object, or an array of them")),
        Some(_) => Err(Problem::new(
            "unsupported_encoding",
            "send one fact as a json object, or an array of them; docs/http.md has examples",
        )),
    }
}

/// The bytes of each entry of an array that is known to be JSON.
fn entries(array: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at = 1;
    while at < array.len() {
        let mut values = serde_json::Deserializer::from_slice(&array[at..]).into_iter::<IgnoredAny>();
        let Some(Ok(_)) = values.next() else { break };
        let end = at + values.byte_offset();
        found.push(array[at..end].trim_ascii());
        at = end + array[end..].iter().position(|byte| *byte == b',').map_or(array.len(), |comma| comma + 1);
    }
    found
}

/// A dead letter, handed in again.
pub(super) async fn requeue(
    State(service): State<Service>,
    path: Result<Path<(u32, u64)>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path((shard, seq)) = path.map_err(|error| Problem::new("bad_request", error.body_text()))?;
    let answered = service.work(move |service| {
        let missing = || Problem::not_found(format!("there is no dead letter {shard}/{seq}"));
        let open = service.0.readers.shard(shard).map_err(|_| missing())?;
        let receipt = service.0.door.requeue(&open.log, seq)?.ok_or_else(missing)?;
        Ok(receipt)
    });
    answered.await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(body: &str, max: usize) -> Result<(Vec<String>, bool), Problem> {
        let (facts, one) = split(body.as_bytes(), max)?;
        Ok((facts.iter().map(|fact| String::from_utf8_lossy(fact).into_owned()).collect(), one))
    }

    #[test]
    fn bodies() {
        assert_eq!(facts(" {\"a\": [1, 2]}\n", 1), Ok((vec!["{\"a\": [1, 2]}".to_owned()], true)));
        assert_eq!(
            facts("[ {\"a\": [1,2]} ,\n {\"b\":\",\"},3]", 3),
            Ok((vec!["{\"a\": [1,2]}".into(), "{\"b\":\",\"}".into(), "3".into()], false))
        );
        assert_eq!(facts("[]", 0), Ok((vec![], false)));
        let code = |body| facts(body, 2).map(|_| ()).map_err(|problem| problem.code);
        assert_eq!(code("[1,2]"), Ok(()));
        assert_eq!(code("[1,2,3]"), Err("too_many_facts".into()));
        for (body, expected) in [
            ("{\"a\":1", "invalid_json"),
            ("[1,]", "invalid_json"),
            ("{}x", "invalid_json"),
            ("", "bad_request"),
            ("a=1", "unsupported_encoding"),
        ] {
            assert_eq!(code(body), Err(expected.into()), "{body}");
        }
    }
}
