//! CloudEvents 1.0 in Kafka: attributes in headers around a body, or one JSON object.
//!
//! | attribute | |
//! |---|---|
//! | `id`, `source` | the fact's |
//! | `type` | `accrue.<body>.v1` |
//! | `time` | `occurred_at`; absent: the record's timestamp |
//! | `subject` | the member |
//! | `program`, `actor` | extensions of ours |

use super::{Content, CurrencyOf, Headers, base64, instant, text};
use crate::json::{self, Defaults};
use crate::wire::put_bytes;
use crate::{Malformed, check, time};
use accrue_ledger::Kind;
use prost_types::Timestamp;
use serde_json::Value;

/// The attributes that become the envelope.
#[derive(Default)]
struct Attributes<'a> {
    id: Option<&'a str>,
    source: Option<&'a str>,
    kind: Option<&'a str>,
    time: Option<&'a str>,
    subject: Option<&'a str>,
    program: Option<&'a str>,
    actor: Option<&'a str>,
}

pub(super) fn binary(
    headers: &dyn Headers,
    content: Content,
    value: &[u8],
    recorded: Option<Timestamp>,
    currency_of: CurrencyOf<'_>,
) -> Result<Vec<u8>, Malformed> {
    version(text(headers, "ce_specversion")?)?;
    let attributes = Attributes {
        id: text(headers, "ce_id")?,
        source: text(headers, "ce_source")?,
        kind: text(headers, "ce_type")?,
        time: text(headers, "ce_time")?,
        subject: text(headers, "ce_subject")?,
        program: text(headers, "ce_program")?,
        actor: text(headers, "ce_actor")?,
    };
    let kind = kind(attributes.kind)?;
    let body = body_bytes(kind, content, value, attributes.program, currency_of)?;
    envelope(&attributes, kind, &body, recorded)
}

pub(super) fn structured(event: &Value, recorded: Option<Timestamp>, currency_of: CurrencyOf<'_>) -> Result<Vec<u8>, Malformed> {
    let text = |name: &str| match event.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Malformed::new("wrong_type", format!("the cloudevents attribute {name} is no text"))),
    };
    let specversion = text("specversion")?;
    version(Some(specversion.ok_or_else(|| check::missing("the cloudevents attribute specversion"))?))?;
    let attributes = Attributes {
        id: text("id")?,
        source: text("source")?,
        kind: text("type")?,
        time: text("time")?,
        subject: text("subject")?,
        program: text("program")?,
        actor: text("actor")?,
    };
    let kind = kind(attributes.kind)?;
    let content = Content::of(text("datacontenttype")?);
    let body = match (event.get("data"), text("data_base64")?) {
        (Some(_), Some(_)) => {
            return Err(Malformed::new("unexpected_field", "the cloudevent has data and data_base64: give one of the two"));
        }
        (None, Some(encoded)) => {
            let data = base64::decode(encoded).ok_or_else(|| Malformed::new("undecodable", "data_base64 is not base 64"))?;
            body_bytes(kind, content, &data, attributes.program, currency_of)?
        }
        (None, None) => Vec::new(),
        (Some(data), None) => {
            let currency = attributes.program.and_then(currency_of);
            json::body_bytes(kind, data, &Defaults { currency: currency.as_deref() })?
        }
    };
    envelope(&attributes, kind, &body, recorded)
}

fn version(specversion: Option<&str>) -> Result<(), Malformed> {
    match specversion {
        None | Some("1.0") => Ok(()),
        Some(other) => {
            let detail = format!("cloudevents specversion is {}: 1.0 is needed", check::shown(other));
            Err(Malformed::new("unsupported_encoding", detail))
        }
    }
}

fn kind(event_type: Option<&str>) -> Result<Kind, Malformed> {
    let event_type = event_type.ok_or_else(|| check::missing("the cloudevents attribute type"))?;
    let name = event_type.strip_prefix("accrue.").and_then(|rest| rest.strip_suffix(".v1"));
    name.and_then(Kind::from_name).ok_or_else(|| {
        let detail = format!("the cloudevents type is {}: accrue.<body>.v1 is needed", check::shown(event_type));
        Malformed::new("unknown_body", detail)
    })
}

fn body_bytes(
    kind: Kind,
    content: Content,
    data: &[u8],
    program: Option<&str>,
    currency_of: CurrencyOf<'_>,
) -> Result<Vec<u8>, Malformed> {
    if !content.is_json(data)? {
        return Ok(data.to_vec());
    }
    let currency = program.and_then(currency_of);
    json::body_bytes(kind, &json::parse(data)?, &Defaults { currency: currency.as_deref() })
}

fn envelope(attributes: &Attributes<'_>, kind: Kind, body: &[u8], recorded: Option<Timestamp>) -> Result<Vec<u8>, Malformed> {
    let mut fact = Vec::with_capacity(body.len() + 128);
    let texts =
        [(1, attributes.id), (2, attributes.source), (3, attributes.program), (4, attributes.subject), (6, attributes.actor)];
    for (number, said) in texts {
        if let Some(said) = said {
            put_bytes(number, said.as_bytes(), &mut fact);
        }
    }
    let at = match attributes.time {
        Some(at) => Some(instant(at, "the cloudevents attribute time")?),
        None => recorded,
    };
    if let Some(at) = at {
        time::put(5, &at, &mut fact);
    }
    put_bytes(u32::from(kind as u8), body, &mut fact);
    Ok(fact)
}
