//! The headers of a dead letter: what came, and beside it what Spring's `DeadLetterPublishingRecoverer` writes, in its
//! encodings, so that the tools that people have can read them.

use crate::letter::original;
use accrue_store::DeadRow;
use rdkafka::message::{Header, OwnedHeaders};

/// Stable name of the reason.
pub const HEADER_CODE: &str = "accrue-error-code";
/// The reason, for people.
pub const HEADER_DETAIL: &str = "accrue-error-detail";

const TOPIC: &str = "kafka_dlt-original-topic";
const PARTITION: &str = "kafka_dlt-original-partition";
const OFFSET: &str = "kafka_dlt-original-offset";
const TIMESTAMP: &str = "kafka_dlt-original-timestamp";
const TIMESTAMP_TYPE: &str = "kafka_dlt-original-timestamp-type";
const GROUP: &str = "kafka_dlt-original-consumer-group";
const EXCEPTION: &str = "kafka_dlt-exception-fqcn";
const MESSAGE: &str = "kafka_dlt-exception-message";

/// Text is UTF-8, the partition four bytes and offset and timestamp eight, big-endian.
pub(crate) fn headers(row: &DeadRow, group: &str) -> OwnedHeaders {
    let letter = &row.letter;
    let came = original(letter);
    let mut headers = OwnedHeaders::new_with_capacity(came.headers.len() + 10);
    for (key, value) in &came.headers {
        headers = headers.insert(Header { key, value: value.as_ref().copied() });
    }
    let exception = format!("accrue.{}", letter.code);
    let mut add = |key, value: &[u8]| {
        let with = std::mem::take(&mut headers).insert(Header { key, value: Some(value) });
        headers = with;
    };
    add(TOPIC, letter.topic.as_bytes());
    add(PARTITION, &letter.partition.to_be_bytes());
    add(OFFSET, &letter.offset.to_be_bytes());
    if let Some(at) = came.timestamp_ms {
        add(TIMESTAMP, &at.to_be_bytes());
        add(TIMESTAMP_TYPE, b"CreateTime");
    }
    add(GROUP, group.as_bytes());
    add(EXCEPTION, exception.as_bytes());
    add(MESSAGE, letter.detail.as_bytes());
    add(HEADER_CODE, letter.code.as_bytes());
    add(HEADER_DETAIL, letter.detail.as_bytes());
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::Instant;
    use accrue_store::{DeadLetter, DeadStatus};
    use rdkafka::message::Headers;

    #[test]
    fn as_spring_writes_them() {
        let letter = DeadLetter {
            topic: "facts".into(),
            partition: 5,
            offset: 258,
            code: "wrong_key".into(),
            detail: "the key is “x”".into(),
            headers: vec![("ce_id".into(), Some(b"1".to_vec())), ("none".into(), None)],
            timestamp_ms: Some(7),
            ..DeadLetter::default()
        };
        let row = DeadRow { seq: 1, recorded_at: Instant(0), status: DeadStatus::Open, letter };
        let headers = headers(&row, "g");
        let all: Vec<(&str, Option<&[u8]>)> = headers.iter().map(|header| (header.key, header.value)).collect();
        let wanted: [(&str, Option<&[u8]>); 12] = [
            ("ce_id", Some(b"1")),
            ("none", None),
            (TOPIC, Some(b"facts")),
            (PARTITION, Some(&[0, 0, 0, 5])),
            (OFFSET, Some(&[0, 0, 0, 0, 0, 0, 1, 2])),
            (TIMESTAMP, Some(&[0, 0, 0, 0, 0, 0, 0, 7])),
            (TIMESTAMP_TYPE, Some(b"CreateTime")),
            (GROUP, Some(b"g")),
            (EXCEPTION, Some(b"accrue.wrong_key")),
            (MESSAGE, Some("the key is “x”".as_bytes())),
            (HEADER_CODE, Some(b"wrong_key")),
            (HEADER_DETAIL, Some("the key is “x”".as_bytes())),
        ];
        assert_eq!(all, wanted);
    }
}
