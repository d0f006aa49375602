//! A message as a dead letter, and a dead letter as the message it was.

use crate::batch::{Message, Record};
use accrue_store::{DeadLetter, Position};

/// Where messages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Straight in. The log counts them itself.
    Embedded,
    /// A partition of a topic. Their keys have to be right.
    Topic {
        /// The topic.
        name: String,
        /// The partition.
        partition: i32,
    },
}

/// A dead letter's message; owns nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original<'a> {
    /// The value as it came.
    pub value: Option<&'a [u8]>,
    /// The key as it came.
    pub key: Option<&'a [u8]>,
    /// The headers as they came.
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
    /// When it was sent, ms since 1970.
    pub timestamp_ms: Option<i64>,
}

impl Original<'_> {
    /// As it can be handed in again.
    pub fn message(&self) -> Message<'_> {
        Message { value: self.value, key: self.key, headers: &self.headers, timestamp_ms: self.timestamp_ms, offset: -1 }
    }
}

/// The message that became a dead letter.
pub fn original(letter: &DeadLetter) -> Original<'_> {
    Original {
        value: letter.value.as_deref(),
        key: letter.key.as_deref(),
        headers: letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect(),
        timestamp_ms: letter.timestamp_ms,
    }
}

/// Why a message could not be booked.
pub(crate) struct Reason {
    pub code: &'static str,
    pub detail: String,
    /// Of a conflict.
    pub first: Option<Position>,
}

/// The whole message with what is wrong with it. `offset` is that of the log's source.
pub(crate) fn dead_letter(record: Record<'_>, origin: &Origin, offset: i64, reason: &Reason) -> DeadLetter {
    let (topic, partition) = match origin {
        Origin::Embedded => (String::new(), 0),
        Origin::Topic { name, partition } => (name.clone(), *partition),
    };
    let own = |bytes: &[u8]| bytes.to_vec();
    let headers = record.headers().map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.map(own)));
    DeadLetter {
        topic,
        partition,
        offset,
        code: reason.code.to_owned(),
        detail: reason.detail.clone(),
        key: record.key().map(own),
        value: record.value().map(own),
        headers: headers.collect(),
        timestamp_ms: record.timestamp_ms(),
        first_position: reason.first,
    }
}

/// Keeps a fact with personal data as the log would have it: bare protobuf, sealed.
pub(crate) fn seal(letter: &mut DeadLetter, sealed: &[u8]) {
    letter.value = Some(sealed.to_vec());
    letter.headers.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;

    #[test]
    fn the_message_comes_back_as_it_was() {
        let headers: &[(&str, Option<&[u8]>)] = &[("ce_id", Some(b"1")), ("empty", None)];
        let message = Message { value: Some(b"v"), key: None, headers, timestamp_ms: Some(-5), offset: 9 };
        let mut batch = Batch::default();
        batch.push(&message);
        let record = batch.records().next().expect("one");
        let origin = Origin::Topic { name: "orders".into(), partition: 4 };
        let letter = dead_letter(record, &origin, 9, &Reason { code: "conflict", detail: "x".into(), first: Some(Position(3)) });
        assert!(letter.is_conflict());
        assert_eq!(
            (letter.topic.as_str(), letter.partition, letter.offset, letter.first_position),
            ("orders", 4, 9, Some(Position(3)))
        );
        let back = original(&letter);
        assert_eq!(
            (back.value, back.key, back.headers.as_slice(), back.timestamp_ms),
            (Some(&b"v"[..]), None, headers, Some(-5))
        );
        assert_eq!(back.message().timestamp_ms, Some(-5));
    }

    #[test]
    fn without_a_timestamp_there_is_none() {
        let mut batch = Batch::default();
        batch.push(&Message::default());
        let record = batch.records().next().expect("one");
        let letter =
            dead_letter(record, &Origin::Embedded, 0, &Reason { code: "undecodable", detail: String::new(), first: None });
        assert_eq!((letter.topic.as_str(), letter.headers.len(), original(&letter).timestamp_ms), ("", 0, None));
    }
}
