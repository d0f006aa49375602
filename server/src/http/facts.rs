//! Writing: facts straight in, and dead letters again.

use super::Service;
use crate::answering::{Asked, Otherwise, Owed, owed as owed_of, quote as quote_of, what_if as what_if_of};
use crate::intake::Taken;
use crate::problem::Problem;
use crate::question::OfMember;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

pub(super) type Body = Result<Bytes, BytesRejection>;

/// One fact, or an array of them; answered when all are durable. With Kafka they go through the topic: 202 when it is not
/// known in time what became of one.
pub(super) async fn facts(State(service): State<Service>, body: Body) -> Result<(StatusCode, Json<Value>), Problem> {
    let body = body.map_err(too_large(&service))?;
    let answered = service.work(move |service| {
        let (facts, one) = split(&body, service.0.limits.facts_max)?;
        let Taken { mut receipts, all_known } = service.0.door.take(&service.0.readers, &facts)?;
        let status = if all_known { StatusCode::OK } else { StatusCode::ACCEPTED };
        let answer = match receipts.pop() {
            Some(receipt) if one => receipt,
            last => {
                receipts.extend(last);
                json!({ "receipts": receipts })
            }
        };
        Ok((status, answer))
    });
    answered.await.map(|(status, answer)| (status, Json(answer)))
}

/// What a basket would do; nothing is booked.
pub(super) async fn quote(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let Path(program) = path.map_err(|error| Problem::new("bad_request", error.body_text()))?;
    let body = body.map_err(too_large(&service))?;
    let answered = service.work(move |service| {
        let asked: Asked = serde_json::from_slice(&body)
            .map_err(|error| Problem::new("invalid_json", format!("send {{\"member\": …, \"basket\": {{…}}}}: {error}")))?;
        quote_of(&service.0.readers, &program, asked, service.0.clock.now())
    });
    answered.await.map(Json)
}

/// What a member would be if something were otherwise; nothing is written.
pub(super) async fn what_if(
    State(service): State<Service>,
    path: Result<Path<(String, String)>, PathRejection>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let Path((program, member)) = path.map_err(|error| Problem::new("bad_request", error.body_text()))?;
    let body = body.map_err(too_large(&service))?;
    let answered = service.work(move |service| {
        let asked: Otherwise = serde_json::from_slice(&body)
            .map_err(|error| Problem::new("invalid_json", format!("send {{\"without\": [\"A-1\"]}}: {error}")))?;
        let as_of = super::ask::past(asked.as_of.as_deref(), asked.as_known_at.as_deref(), None)?;
        let of = OfMember { program, member, as_of, min_position: None };
        what_if_of(&service.0.readers, &of, asked, service.0.clock.now())
    });
    answered.await.map(Json)
}

/// What is owed to members; nothing is written.
pub(super) async fn owed(State(service): State<Service>, body: Body) -> Result<Json<Value>, Problem> {
    let body = body.map_err(too_large(&service))?;
    let answered = service.work(move |service| {
        let asked: Owed = serde_json::from_slice(&body)
            .map_err(|error| Problem::new("invalid_json", format!("send {{\"past\": {{}}, \"vintages\": true}}: {error}")))?;
        owed_of(&service.0.readers, &asked, service.0.clock.now(), |_, _| ())
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
    let Path(letter) = path.map_err(|error| Problem::new("bad_request", error.body_text()))?;
    let answered = service.work(move |service| {
        let receipts = again(service, &[letter])?;
        receipts.into_iter().next().ok_or_else(|| Problem::new("internal", "no receipt came back"))
    });
    answered.await.map(Json)
}

/// Which dead letters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Letters {
    letters: Vec<String>,
}

/// Many dead letters, handed in again: `{"letters": ["0/1", …]}`.
pub(super) async fn requeue_many(State(service): State<Service>, body: Body) -> Result<Json<Value>, Problem> {
    let body = body.map_err(too_large(&service))?;
    let answered = service.work(move |service| {
        let asked: Letters = serde_json::from_slice(&body)
            .map_err(|error| Problem::new("invalid_json", format!("send {{\"letters\": [\"0/1\", …]}}: {error}")))?;
        let max = service.0.limits.facts_max;
        if asked.letters.len() > max {
            return Err(Problem::new("too_many_facts", format!("{} letters, a request has at most {max}", asked.letters.len())));
        }
        let named = asked.letters.iter().map(|text| {
            let parsed = text.split_once('/').and_then(|(shard, seq)| Some((shard.parse().ok()?, seq.parse().ok()?)));
            parsed.ok_or_else(|| Problem::new("bad_request", format!("{text:?} names no dead letter: they look like 0/1")))
        });
        let named = named.collect::<Result<Vec<(u32, u64)>, Problem>>()?;
        let receipts = again(service, &named)?;
        let rows = asked.letters.iter().zip(receipts).map(|(letter, receipt)| json!({ "letter": letter, "receipt": receipt }));
        Ok(json!({ "requeued": rows.collect::<Vec<_>>() }))
    });
    answered.await.map(Json)
}

/// Those of one shard that follow each other go in together.
fn again(service: &Service, letters: &[(u32, u64)]) -> Result<Vec<Value>, Problem> {
    let mut receipts = Vec::with_capacity(letters.len());
    for of_shard in letters.chunk_by(|one, next| one.0 == next.0) {
        let Some(&(shard, seq)) = of_shard.first() else { continue };
        let missing = |_| Problem::not_found(format!("there is no dead letter {shard}/{seq}"));
        let open = service.0.readers.shard(shard).map_err(missing)?;
        let numbers: Vec<u64> = of_shard.iter().map(|(_, seq)| *seq).collect();
        receipts.extend(service.0.door.requeue(&open.log, &numbers)?);
    }
    Ok(receipts)
}

pub(super) fn too_large(service: &Service) -> impl FnOnce(BytesRejection) -> Problem {
    let max = service.0.limits.body_bytes_max;
    move |error| match error.status().as_u16() {
        413 => Problem::new("body_too_large", format!("a body has at most {max} bytes")),
        _ => Problem::new("bad_request", error.body_text()),
    }
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
