//! Protobuf to JSON.

use super::Defaults;
use super::schema::{FACT, Field, Message, Shape};
use crate::time::{self, Stamp};
use crate::wire::{Key, Reader};
use crate::{money, pb};
use accrue_ledger::{Decision, Outcome};
use prost::Message as _;
use prost_types::Timestamp;
use serde_json::{Map, Value, json};

/// Writes an envelope; [`fact_from_json`](super::fact_from_json) reads it back. Money whose currency is neither named
/// nor given nor known is written as `{"minor": 500}`, an instant outside the calendar as seconds and nanoseconds.
pub fn fact_to_json(fact: &pb::Fact, defaults: &Defaults<'_>) -> Value {
    message(&FACT, &fact.encode_to_vec(), defaults.currency.and_then(money::exponent))
}

/// Writes a decision, for people and programs to read.
pub fn decision_to_json(decision: &Decision) -> Value {
    let mut object = Map::new();
    object.insert("at".into(), json!(decision.at.to_string()));
    match &decision.outcome {
        Outcome::Accepted(promise) => {
            object.insert("outcome".into(), json!("accepted"));
            object.insert("points".into(), json!(promise.points));
            if let Some(coupon) = &promise.coupon {
                let mut inner = Map::new();
                inner.insert("code".into(), json!(coupon.code.as_str()));
                inner.insert("value".into(), json!(coupon.value.as_str()));
                if let Some(at) = coupon.expires_at {
                    inner.insert("expires_at".into(), json!(at.to_string()));
                }
                inner.insert("uses".into(), json!(coupon.uses));
                object.insert("coupon".into(), Value::Object(inner));
            }
            for (name, at) in [("starts_at", promise.starts_at), ("expires_at", promise.expires_at)] {
                if let Some(at) = at {
                    object.insert(name.into(), json!(at.to_string()));
                }
            }
        }
        Outcome::Rejected(rejection) => {
            object.insert("outcome".into(), json!("rejected"));
            object.insert("reason".into(), json!(rejection.name()));
            object.insert("reason_number".into(), json!(*rejection as u8));
        }
    }
    object.insert("ruleset".into(), json!(format!("{:016x}", decision.ruleset)));
    object.insert("balance_before".into(), json!(decision.balance_before));
    object.insert("saw_position".into(), json!(decision.saw_position));
    Value::Object(object)
}

/// The bytes are prost's own, so whatever a step can't read is not there.
fn message(schema: &Message, bytes: &[u8], exponent: Option<u8>) -> Value {
    let mut object = Map::new();
    let mut reader = Reader::new(bytes);
    while let Ok(Some(key)) = reader.next() {
        let Some(field) = schema.by_number(key.number()) else { break };
        if let Shape::Map(entry) = &field.shape {
            let Ok(bytes) = reader.bytes(key, "") else { continue };
            let schema_of_value = entry.by_number(2);
            let entry = message(entry, bytes, None);
            let name = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
            // An entry's default is not on the wire.
            let said = entry.get("value").cloned().unwrap_or_else(|| absent(schema_of_value));
            if let Some(map) = object.entry(field.name.clone()).or_insert_with(|| json!({})).as_object_mut() {
                map.insert(name, said);
            }
            continue;
        }
        let Some(said) = value(field, &mut reader, key, exponent) else {
            continue;
        };
        if field.repeated {
            if let Some(list) = object.entry(field.name.clone()).or_insert_with(|| json!([])).as_array_mut() {
                list.push(said);
            }
        } else {
            object.insert(field.name.clone(), said);
        }
    }
    Value::Object(object)
}

fn absent(field: Option<&Field>) -> Value {
    match field {
        Some(Field { shape: Shape::Bool, .. }) => json!(false),
        Some(_) | None => json!(""),
    }
}

fn value(field: &Field, reader: &mut Reader<'_>, key: Key, exponent: Option<u8>) -> Option<Value> {
    Some(match &field.shape {
        Shape::Text => json!(reader.text(key, "").ok()?),
        Shape::Whole => json!(reader.int(key, "").ok()?),
        Shape::Small => json!(reader.varint(key, "").ok()? as u32),
        Shape::Bool => json!(reader.bool(key, "").ok()?),
        Shape::Money => match (reader.int(key, "").ok()?, exponent) {
            (minor, Some(exponent)) => json!(money::show_minor(minor, exponent)),
            (minor, None) => json!({ "minor": minor }),
        },
        Shape::Instant => {
            let mut stamp = Stamp::default();
            stamp.merge(reader, key, "").ok()?;
            let at = Timestamp { seconds: stamp.seconds, nanos: stamp.nanos };
            json!(time::show(&at).unwrap_or_else(|| format!("{} s {} ns", at.seconds, at.nanos)))
        }
        Shape::Enum(names) => {
            let number = reader.int(key, "").ok()?;
            let known = names.iter().find(|(_, known)| i64::from(*known) == number);
            known.map_or_else(|| json!(number), |(name, _)| json!(name))
        }
        // A word and a time from the decision stand for themselves, an instant is told apart by its key.
        Shape::When(schema) => match message(schema, reader.bytes(key, "").ok()?, exponent) {
            Value::Object(mut when) => when.remove("named").or_else(|| when.remove("after")).unwrap_or(Value::Object(when)),
            other => other,
        },
        Shape::Map(_) => return None,
        Shape::Message(schema) => message(schema, reader.bytes(key, "").ok()?, exponent),
        Shape::Body(schema) => {
            let bytes = reader.bytes(key, "").ok()?;
            message(schema, bytes, own_exponent(schema, bytes).unwrap_or(exponent))
        }
    })
}

/// The currency a body names goes before the default, also when it is not known.
fn own_exponent(schema: &Message, bytes: &[u8]) -> Option<Option<u8>> {
    let own = schema.by_name("currency")?;
    let mut reader = Reader::new(bytes);
    while let Ok(Some(key)) = reader.next() {
        if key.number() == own.number {
            return Some(money::exponent(reader.text(key, "").ok()?));
        }
        reader.skip(key).ok()?;
    }
    None
}
