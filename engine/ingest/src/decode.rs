//! From the bytes of a group to facts: everything that can be said of a message alone.

use crate::batch::{Batch, Record};
use crate::letter::Origin;
use accrue_ledger::{Body, Fact, Instant, Ruleset};
use accrue_proto::{CurrencyOf, Malformed, check_key, decode_message_with, read_fact};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A value beyond this is a dead letter: it could not be a frame.
pub(crate) const VALUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// JSON money in a body that names no currency, of a program whose currency is not known.
const MISSING_CURRENCY: &str = "missing_currency";
/// An instant further ahead of the clock than this is a dead letter (facts.md, "Bad input"), microseconds.
pub(crate) const AHEAD_MAX: i64 = 5 * 60 * 1_000_000;

/// What judging messages takes.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub origin: &'a Origin,
    pub now: Instant,
    /// Messages of a topic below this are in the log.
    pub next_offset: i64,
    pub currency_of: CurrencyOf<'a>,
}

/// A message as protobuf.
pub(crate) enum Opened<'a> {
    /// In the log already.
    Known,
    Fact(Cow<'a, [u8]>),
    Bad(Malformed),
}

/// A message as a fact.
#[expect(clippy::large_enum_variant, reason = "nearly all are facts, and a box for each would be an allocation")]
pub(crate) enum Judged<'a> {
    Known,
    Fact(Fact<'a>, &'a [u8]),
    Bad(Malformed),
}

impl<'a> Judged<'a> {
    pub(crate) fn fact(&self) -> Option<&Fact<'a>> {
        match self {
            Judged::Fact(fact, _) => Some(fact),
            Judged::Known | Judged::Bad(_) => None,
        }
    }
}

/// Turns all messages of a group into protobuf, whatever they came in.
pub(crate) fn open<'a>(batches: &'a [Batch], terms: Terms<'_>) -> Vec<Opened<'a>> {
    let mut opened = Vec::with_capacity(batches.iter().map(Batch::len).sum());
    let counted = matches!(terms.origin, Origin::Topic { .. });
    let mut next_offset = terms.next_offset;
    for record in batches.iter().flat_map(Batch::records) {
        if counted && record.offset() < next_offset {
            opened.push(Opened::Known);
            continue;
        }
        next_offset = record.offset() + 1;
        opened.push(open_one(record, terms));
    }
    if opened.iter().any(lacks_currency) {
        open_by_rules_among_them(batches, &mut opened, terms);
    }
    opened
}

fn lacks_currency(opened: &Opened<'_>) -> bool {
    matches!(opened, Opened::Bad(malformed) if malformed.code == MISSING_CURRENCY)
}

/// The first ruleset of a program may come in the same group as the money that has its currency: where groups end must not matter.
#[cold]
fn open_by_rules_among_them<'a>(batches: &'a [Batch], opened: &mut [Opened<'a>], terms: Terms<'_>) {
    let mut currencies = BTreeMap::new();
    for opened in opened.iter() {
        let Opened::Fact(bytes) = opened else { continue };
        if let Ok(Fact { program, body: Body::RulesetActivated { ruleset, .. }, .. }) = read_fact(bytes)
            && let Ok(ruleset) = Ruleset::parse(ruleset)
        {
            currencies.insert(program.to_owned(), ruleset.currency.to_string());
        }
    }
    let currency_of = |program: &str| (terms.currency_of)(program).or_else(|| currencies.get(program).cloned());
    let terms = Terms { currency_of: &currency_of, ..terms };
    let records = batches.iter().flat_map(Batch::records);
    for (opened, record) in opened.iter_mut().zip(records).filter(|(opened, _)| lacks_currency(opened)) {
        *opened = open_one(record, terms);
    }
}

fn open_one<'a>(record: Record<'a>, terms: Terms<'_>) -> Opened<'a> {
    if record.unreadable_headers() {
        return Opened::Bad(Malformed::new("undecodable", "a header has a name that is not utf-8"));
    }
    let value = record.value().unwrap_or_default();
    if value.len() > VALUE_BYTES_MAX {
        return Opened::Bad(too_long("value", value.len()));
    }
    match decode_message_with(&record, value, record.timestamp_ms(), terms.currency_of) {
        Ok(decoded) if decoded.fact.len() > VALUE_BYTES_MAX => Opened::Bad(too_long("fact", decoded.fact.len())),
        Ok(decoded) => Opened::Fact(decoded.fact),
        Err(malformed) => Opened::Bad(malformed),
    }
}

/// Reads and checks all that was opened.
pub(crate) fn judge<'a>(batches: &'a [Batch], opened: &'a [Opened<'_>], terms: Terms<'_>) -> Vec<Judged<'a>> {
    let records = batches.iter().flat_map(Batch::records);
    let judged = opened.iter().zip(records).map(|(opened, record)| match opened {
        Opened::Known => Judged::Known,
        Opened::Bad(malformed) => Judged::Bad(malformed.clone()),
        Opened::Fact(bytes) => judge_one(bytes, record, terms).unwrap_or_else(Judged::Bad),
    });
    judged.collect()
}

/// A fact that was judged, in the bytes that it was sealed to.
pub(crate) fn sealed(bytes: &[u8]) -> Judged<'_> {
    match read_fact(bytes) {
        Ok(fact) => Judged::Fact(fact, bytes),
        Err(malformed) => Judged::Bad(malformed),
    }
}

fn judge_one<'a>(bytes: &'a [u8], record: Record<'_>, terms: Terms<'_>) -> Result<Judged<'a>, Malformed> {
    let fact = read_fact(bytes)?;
    if record.key().is_some() || matches!(terms.origin, Origin::Topic { .. }) {
        check_key(record.key(), &fact)?;
    }
    if fact.occurred_at.0 > terms.now.0.saturating_add(AHEAD_MAX) {
        return Err(from_the_future(&fact, terms.now));
    }
    Ok(Judged::Fact(fact, bytes))
}

#[cold]
fn from_the_future(fact: &Fact<'_>, now: Instant) -> Malformed {
    let detail = format!(
        "occurred_at is {}, more than 5 minutes after {now}: check the publisher's clock, then requeue",
        fact.occurred_at
    );
    Malformed::new("from_the_future", detail)
}

#[cold]
fn too_long(what: &str, bytes: usize) -> Malformed {
    Malformed::new("too_long", format!("the {what} has {bytes} bytes, at most {VALUE_BYTES_MAX} are allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    const NOW: Instant = Instant(1_700_000_000_000_000);

    fn fact(id: &str, at: &str) -> Vec<u8> {
        let text = format!(
            r#"{{"id": "{id}", "source": "s", "program": "acme", "member": "m1", "occurred_at": "{at}", "order_fulfilled": {{"order_id": "A"}}}}"#
        );
        text.into_bytes()
    }

    fn codes(origin: &Origin, messages: &[Message<'_>]) -> Vec<&'static str> {
        let mut batch = Batch::default();
        messages.iter().for_each(|message| batch.push(message));
        batch.headers_unreadable();
        let batches = [batch];
        let terms = Terms { origin, now: NOW, next_offset: 5, currency_of: &|_| None };
        let opened = open(&batches, terms);
        let judged = judge(&batches, &opened, terms);
        judged
            .iter()
            .map(|judged| match judged {
                Judged::Known => "known",
                Judged::Fact(..) => "fact",
                Judged::Bad(malformed) => malformed.code,
            })
            .collect()
    }

    #[test]
    fn each_message_is_judged_alone() {
        let (good, ahead, edge) =
            (fact("1", "2023-11-14T22:00:00Z"), fact("2", "2023-11-14T22:18:21Z"), fact("2", "2023-11-14T22:18:20Z"));
        let huge = vec![b' '; VALUE_BYTES_MAX + 1];
        let topic = Origin::Topic { name: "t".into(), partition: 0 };
        let message = |value| Message { value: Some(value), key: Some(b"acme/m1"), ..Message::default() };
        let mut messages = [
            message(&good),
            message(&ahead),
            message(&edge),
            message(b"rubbish"),
            message(&huge),
            Message { key: Some(b"acme/m2"), ..message(&good) },
            Message { key: None, ..message(&good) },
            Message { value: None, ..message(&good) },
            message(b"rubbish"),
            message(&good),
        ];
        for (offset, message) in messages.iter_mut().enumerate() {
            message.offset = 5 + offset as i64;
        }
        // One before the log's end, one before its predecessor's.
        messages[8].offset = 4;
        messages[9].offset = 9;
        let again = Message { offset: 20, ..messages[9] };
        let messages = [&messages[..], &[again]].concat();
        let wanted = ["fact", "from_the_future", "fact", "undecodable", "too_long", "wrong_key"];
        assert_eq!(
            codes(&topic, &messages),
            [&wanted[..], &["wrong_key", "undecodable", "known", "known", "undecodable"]].concat()
        );
        assert_eq!(
            codes(&Origin::Embedded, &messages),
            [&wanted[..], &["fact", "undecodable", "undecodable", "fact", "undecodable"]].concat()
        );
    }

    #[test]
    fn the_time_of_the_record_stands_in() {
        let value = br#"{"id": "1", "source": "s", "program": "acme", "member": "m1", "order_fulfilled": {"order_id": "A"}}"#;
        let message = |timestamp_ms| Message { value: Some(value), timestamp_ms, ..Message::default() };
        let of = |timestamp_ms| {
            let mut batch = Batch::default();
            batch.push(&message(timestamp_ms));
            let batches = [batch];
            let terms = Terms { origin: &Origin::Embedded, now: NOW, next_offset: 0, currency_of: &|_| None };
            let opened = open(&batches, terms);
            match judge(&batches, &opened, terms).pop() {
                Some(Judged::Fact(fact, _)) => Ok(fact.occurred_at),
                Some(Judged::Bad(malformed)) => Err(malformed.code),
                _ => Err("known"),
            }
        };
        assert_eq!(of(Some(1_000)), Ok(Instant(1_000_000)));
        assert_eq!(of(None), Err("missing_field"));
        assert_eq!(of(Some(1_700_000_301_000)), Err("from_the_future"));
    }

    #[test]
    fn money_has_the_currency_of_rules_that_come_with_it() {
        let rules = "program = \"acme\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n";
        let hash = Ruleset::parse(rules).expect("valid").hash_hex();
        let activation = serde_json::json!({
            "id": "1", "source": "ruleset", "program": "acme", "occurred_at": "2023-01-01T00:00:00Z",
            "ruleset_activated": { "ruleset": rules, "hash": hash, "effective_from": "2023-01-01T00:00:00Z" },
        });
        let line = serde_json::json!({ "line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00" });
        let order = serde_json::json!({
            "id": "2", "source": "s", "program": "acme", "member": "m1", "occurred_at": "2023-01-02T00:00:00Z",
            "order_placed": { "order_id": "A", "lines": [line] },
        });
        let (activation, order) = (activation.to_string(), order.to_string());
        let message = |text: &'static str| Message { value: Some(text.as_bytes()), ..Message::default() };
        let [activation, order] = [activation, order].map(|text| message(text.leak()));
        assert_eq!(codes(&Origin::Embedded, &[activation, order, order]), ["fact", "fact", "undecodable"]);
        assert_eq!(codes(&Origin::Embedded, &[order, order]), ["missing_currency", "undecodable"]);
    }
}
