//! The ways a Kafka record can carry a fact (conventions.md, "Kafka in").

mod base64;
mod cloudevents;
mod framing;
mod key;

pub use key::{check_key, murmur2_partition};

use crate::json::{self, Defaults};
use crate::read::{self, Envelope};
use crate::wire::put_bytes;
use crate::{Malformed, time};
use prost_types::Timestamp;
use serde_json::Value;
use std::borrow::Cow;

/// A record's headers.
pub trait Headers {
    /// The value of the header of that name; of several the last.
    fn get(&self, name: &str) -> Option<&[u8]>;
}

/// A record's value as protobuf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Bytes of a [`pb::Fact`](crate::pb::Fact), for [`read_fact`](crate::read_fact). Borrowed unchanged when the
    /// message was just that.
    pub fact: Cow<'a, [u8]>,
}

/// The program's currency, for JSON bodies with money that name none.
pub type CurrencyOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What stands in for what the fact itself does not say.
struct Fallback<'a> {
    id: Option<&'a str>,
    at: Option<Timestamp>,
}

/// Turns a record's value into protobuf, whatever its encoding. `record_timestamp_ms` is milliseconds since 1970.
/// In JSON, money in bodies that name no currency is malformed; [`decode_message_with`] knows the program's.
///
/// # Errors
/// [`Malformed`]. What it returns is well-formed enough to hold an envelope; `read_fact` checks the rest.
pub fn decode_message<'a>(
    headers: &dyn Headers,
    value: &'a [u8],
    record_timestamp_ms: Option<i64>,
) -> Result<Decoded<'a>, Malformed> {
    decode_message_with(headers, value, record_timestamp_ms, &|_| None)
}

/// As [`decode_message`], with the currency of each program.
///
/// # Errors
/// [`Malformed`].
pub fn decode_message_with<'a>(
    headers: &dyn Headers,
    value: &'a [u8],
    record_timestamp_ms: Option<i64>,
    currency_of: CurrencyOf<'_>,
) -> Result<Decoded<'a>, Malformed> {
    let value = framing::strip(value)?;
    let content = Content::of(text(headers, "content-type")?);
    // -1 is Kafka's "none".
    let recorded = record_timestamp_ms.filter(|at| *at >= 0).map(from_millis);
    let structured = content == Content::CloudEvents;
    if !structured && ["ce_type", "ce_id", "ce_specversion"].iter().any(|name| headers.get(name).is_some()) {
        let fact = cloudevents::binary(headers, content, value, recorded, currency_of)?;
        return Ok(Decoded { fact: Cow::Owned(fact) });
    }
    if value.is_empty() {
        return Err(Malformed::new("undecodable", "the record has no value"));
    }
    let at = match text(headers, "ce_time")? {
        Some(at) => Some(instant(at, "ce_time")?),
        None => recorded,
    };
    // Debezium's outbox: the event's id is the header `id`.
    let fallback = Fallback { id: text(headers, "id")?, at };
    if !content.is_json(value)? && !structured {
        return complete(Cow::Borrowed(value), &fallback);
    }
    let message = json::parse(value)?;
    if structured || message.get("specversion").is_some() {
        let fact = cloudevents::structured(&message, recorded, currency_of)?;
        return Ok(Decoded { fact: Cow::Owned(fact) });
    }
    let currency = message.get("program").and_then(Value::as_str).and_then(currency_of);
    let fact = json::fact_bytes(&message, &Defaults { currency: currency.as_deref() })?;
    complete(Cow::Owned(fact), &fallback)
}

/// Whose fact a record without headers carries, if it is protobuf and of a member: where it belongs, before it is known whether
/// the rest of it is right. `None`: only [`decode_message`] can tell.
pub fn owner_of(value: &[u8]) -> Option<(&str, &str)> {
    let value = framing::strip(value).ok()?;
    if Content::Unsaid.is_json(value).ok()? {
        return None;
    }
    read::owner(value).ok().filter(|(program, member)| !program.is_empty() && !member.is_empty())
}

/// What `content-type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Unsaid,
    Json,
    Protobuf,
    CloudEvents,
    Other,
}

impl Content {
    fn of(content_type: Option<&str>) -> Self {
        let Some(content_type) = content_type else {
            return Content::Unsaid;
        };
        let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match media.as_str() {
            "" | "application/octet-stream" => Content::Unsaid,
            "application/cloudevents+json" | "application/cloudevents" => Content::CloudEvents,
            "application/json" | "text/json" => Content::Json,
            "application/protobuf" | "application/x-protobuf" | "application/vnd.google.protobuf" => Content::Protobuf,
            media if media.starts_with("application/cloudevents") => Content::Other,
            media if media.ends_with("+json") => Content::Json,
            _ => Content::Other,
        }
    }

    /// Unsaid, the first byte tells: "{" begins no protobuf of ours.
    fn is_json(self, value: &[u8]) -> Result<bool, Malformed> {
        match self {
            Content::Json | Content::CloudEvents => Ok(true),
            Content::Protobuf => Ok(false),
            Content::Unsaid => Ok(value.trim_ascii_start().first() == Some(&b'{')),
            Content::Other => {
                let detail = "content-type is neither json, protobuf nor cloudevents+json";
                Err(Malformed::new("unsupported_encoding", detail))
            }
        }
    }
}

fn text<'h>(headers: &'h dyn Headers, name: &str) -> Result<Option<&'h str>, Malformed> {
    let Some(bytes) = headers.get(name) else { return Ok(None) };
    match std::str::from_utf8(bytes) {
        Ok("") => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Malformed::new("undecodable", format!("the header {name} is not utf-8"))),
    }
}

fn instant(text: &str, field: &str) -> Result<Timestamp, Malformed> {
    time::parse(text).ok_or_else(|| {
        let detail = format!("{field} is {}: an rfc 3339 instant is needed", crate::check::shown(text));
        Malformed::new("invalid_instant", detail)
    })
}

fn from_millis(millis: i64) -> Timestamp {
    Timestamp { seconds: millis.div_euclid(1_000), nanos: (millis.rem_euclid(1_000) * 1_000_000) as i32 }
}

/// Appends what is missing: protobuf fields may come in any order.
fn complete<'a>(mut fact: Cow<'a, [u8]>, fallback: &Fallback<'_>) -> Result<Decoded<'a>, Malformed> {
    let (no_id, no_instant) = {
        let envelope = Envelope::read(&fact)?;
        (envelope.id.is_empty(), envelope.occurred_at.is_none())
    };
    let id = fallback.id.filter(|_| no_id);
    let at = fallback.at.filter(|_| no_instant);
    if let Some(id) = id {
        put_bytes(1, id.as_bytes(), fact.to_mut());
    }
    if let Some(at) = at {
        time::put(5, &at, fact.to_mut());
    }
    Ok(Decoded { fact })
}
