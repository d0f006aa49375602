//! The same fact in every encoding a Kafka record can have.

use accrue_proto::json::{Defaults, fact_from_json};
use accrue_proto::{Decoded, Headers, Malformed, decode_message, decode_message_with, pb, read_fact, write_fact};
use prost::Message as _;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

struct Map(HashMap<&'static str, &'static [u8], BuildHasherDefault<DefaultHasher>>);

impl Headers for Map {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).copied()
    }
}

fn headers<const N: usize>(pairs: [(&'static str, &'static str); N]) -> Map {
    Map(pairs.into_iter().map(|(name, value)| (name, value.as_bytes())).collect())
}

const BODY: &str = r#"{"refund_id": "F1", "order_id": "A", "amount": "5.00", "currency": "GBP"}"#;

fn envelope() -> String {
    format!(
        r#"{{"id": "e1", "source": "shop", "program": "acme", "member": "m1", "occurred_at": "2024-03-01T10:00:00Z", "refund_recorded": {BODY}}}"#
    )
}

fn expected() -> pb::Fact {
    fact_from_json(envelope().as_bytes(), &Defaults::default()).expect("valid")
}

fn bytes_of(fact: &pb::Fact) -> Vec<u8> {
    let mut bytes = vec![];
    write_fact(fact, &mut bytes);
    bytes
}

fn body_bytes() -> Vec<u8> {
    match expected().body {
        Some(pb::fact::Body::RefundRecorded(refund)) => refund.encode_to_vec(),
        other => panic!("{other:?}"),
    }
}

fn read(decoded: &Decoded<'_>) -> pb::Fact {
    read_fact(&decoded.fact).expect("a fact in order");
    pb::Fact::decode(&*decoded.fact).expect("protobuf")
}

fn check(headers: &Map, value: &[u8]) {
    let decoded = decode_message(headers, value, Some(1)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(read(&decoded), expected());
}

fn binary<const N: usize>(more: [(&'static str, &'static str); N]) -> Map {
    let mut map = headers([
        ("ce_specversion", "1.0"),
        ("ce_id", "e1"),
        ("ce_source", "shop"),
        ("ce_type", "accrue.refund_recorded.v1"),
        ("ce_time", "2024-03-01T11:00:00+01:00"),
        ("ce_subject", "m1"),
        ("ce_program", "acme"),
    ]);
    map.0.extend(headers(more).0);
    map
}

#[test]
fn bare_envelopes() {
    check(&headers([]), envelope().as_bytes());
    check(&headers([]), format!("\n {}", envelope()).as_bytes());
    check(&headers([("content-type", "application/json; charset=utf-8")]), envelope().as_bytes());
    check(&headers([]), &bytes_of(&expected()));
    check(&headers([("content-type", "application/protobuf")]), &bytes_of(&expected()));
}

#[test]
fn a_bare_protobuf_envelope_is_not_copied() {
    let bytes = bytes_of(&expected());
    let decoded = decode_message(&headers([("id", "ignored")]), &bytes, Some(1)).expect("protobuf");
    assert!(matches!(decoded.fact, Cow::Borrowed(fact) if std::ptr::eq(fact, bytes.as_slice())));
}

#[test]
fn cloudevents_binary() {
    check(&binary([("content-type", "application/json")]), BODY.as_bytes());
    check(&binary([("content-type", "application/protobuf")]), &body_bytes());
    check(&binary([]), BODY.as_bytes());
    check(&binary([]), &body_bytes());
    let by_till = binary([("ce_actor", "till 4"), ("ce_type", "accrue.member_left.v1")]);
    let decoded = decode_message(&by_till, b"", None).expect("an empty body is a body");
    let fact = read(&decoded);
    assert_eq!((fact.actor.as_str(), fact.body), ("till 4", Some(pb::fact::Body::MemberLeft(pb::MemberLeft {}))));
}

#[test]
fn cloudevents_structured() {
    let event = |rest: &str| {
        format!(
            r#"{{"specversion": "1.0", "id": "e1", "source": "shop", "type": "accrue.refund_recorded.v1", "subject": "m1",
                "program": "acme", "time": "2024-03-01T10:00:00Z", "traceparent": "00-1", {rest}}}"#
        )
    };
    let with_data = event(&format!(r#""data": {BODY}"#));
    check(&headers([("content-type", "application/cloudevents+json")]), with_data.as_bytes());
    check(&headers([("content-type", "application/cloudevents+json; charset=utf-8"), ("ce_id", "no")]), with_data.as_bytes());
    check(&headers([]), with_data.as_bytes());
    let base64 = base64(&body_bytes());
    let encoded = event(&format!(r#""datacontenttype": "application/protobuf", "data_base64": "{base64}""#));
    check(&headers([("content-type", "application/cloudevents+json")]), encoded.as_bytes());
}

fn base64(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(alphabet[(word >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[test]
fn schema_registry_framing() {
    let protobuf = bytes_of(&expected());
    check(&headers([]), &[b"\x00\x00\x00\x01\x02\x00", protobuf.as_slice()].concat());
    check(&headers([]), &[b"\x01", [9_u8; 16].as_slice(), b"\x02\x02", &protobuf].concat());
    check(&headers([]), &[b"\x00\x00\x00\x01\x02", envelope().as_bytes()].concat());
    check(
        &binary([("content-type", "application/protobuf")]),
        &[b"\x00\x00\x00\x01\x02\x02\x08", body_bytes().as_slice()].concat(),
    );
    // An id in a header leaves the value as it is.
    check(&headers([("__value_schema_id", "\u{1}0123456789abcdef")]), &protobuf);
}

#[test]
fn debezium_outbox() {
    let anonymous = pb::Fact { id: String::new(), ..expected() };
    check(&headers([("id", "e1")]), &bytes_of(&anonymous));
    check(&headers([("id", "e1")]), envelope().replace(r#""id": "e1", "#, "").as_bytes());
    check(&headers([("id", "other")]), envelope().as_bytes());
}

#[test]
fn time_of_the_body_then_the_event_then_the_record() {
    let timeless = bytes_of(&pb::Fact { occurred_at: None, ..expected() });
    let at = |headers: &Map, value: &[u8], recorded| {
        let decoded = decode_message(headers, value, recorded).expect("decodes");
        pb::Fact::decode(&*decoded.fact).expect("protobuf").occurred_at.map(|at| (at.seconds, at.nanos))
    };
    assert_eq!(at(&headers([]), &timeless, Some(1_500)), Some((1, 500_000_000)));
    assert_eq!(at(&headers([]), &timeless, Some(-1)), None);
    assert_eq!(at(&headers([]), &timeless, None), None);
    let mut event = binary([]);
    assert_eq!(at(&event, BODY.as_bytes(), Some(1_500)), Some((1_709_287_200, 0)));
    event.0.remove("ce_time");
    assert_eq!(at(&event, BODY.as_bytes(), Some(1_500)), Some((1, 500_000_000)));
    assert_eq!(at(&event, BODY.as_bytes(), None), None);
}

#[test]
fn money_in_the_currency_of_the_program() {
    let body = r#"{"refund_id": "F1", "order_id": "A", "amount": "5.00"}"#;
    let bare = envelope().replace(BODY, body);
    let structured = format!(
        r#"{{"specversion": "1.0", "id": "e1", "source": "shop", "type": "accrue.refund_recorded.v1", "subject": "m1",
            "program": "acme", "time": "2024-03-01T10:00:00Z", "data": {body}}}"#
    );
    let currency_of = |program: &str| (program == "acme").then(|| "GBP".to_owned());
    for (headers, value) in [(headers([]), bare.as_str()), (binary([]), body), (headers([]), &structured)] {
        let decoded = decode_message_with(&headers, value.as_bytes(), None, &currency_of).expect("decodes");
        assert_eq!(read(&decoded), expected());
        let error = decode_message(&headers, value.as_bytes(), None).map_err(|error| error.code);
        assert_eq!(error, Err("missing_currency"));
    }
}

#[test]
fn what_is_no_message() {
    let code =
        |headers: &Map, value: &[u8]| decode_message(headers, value, None).map(drop).map_err(|Malformed { code, .. }| code);
    let json = headers([("content-type", "application/cloudevents+json")]);
    for (headers, value, expected) in [
        (headers([]), "", "undecodable"),
        (headers([]), "\u{0}\u{0}", "undecodable"),
        (headers([]), "hello", "undecodable"),
        (headers([]), "{]", "undecodable"),
        (headers([("content-type", "application/json")]), "x", "undecodable"),
        (headers([("content-type", "avro/binary")]), "x", "unsupported_encoding"),
        (headers([("content-type", "application/cloudevents-batch+json")]), "[]", "unsupported_encoding"),
        (headers([("ce_time", "now")]), "x", "invalid_instant"),
        (binary([("ce_specversion", "0.3")]), "{}", "unsupported_encoding"),
        (binary([("ce_type", "accrue.order_place.v1")]), "{}", "unknown_body"),
        (binary([("ce_type", "accrue.order_placed.v2")]), "{}", "unknown_body"),
        (binary([("ce_type", "")]), "{}", "missing_field"),
        (binary([("ce_time", "yesterday")]), "{}", "invalid_instant"),
        (binary([]), r#"{"refund": "F1"}"#, "unknown_key"),
    ] {
        assert_eq!(code(&headers, value.as_bytes()), Err(expected), "{value}");
    }
    for (event, expected) in [
        (r#"{"id": "e1", "type": "accrue.member_left.v1"}"#, "missing_field"),
        (r#"{"specversion": "2.0", "type": "accrue.member_left.v1"}"#, "unsupported_encoding"),
        (r#"{"specversion": "1.0"}"#, "missing_field"),
        (r#"{"specversion": "1.0", "id": 5, "type": "accrue.member_left.v1"}"#, "wrong_type"),
        (r#"{"specversion": "1.0", "type": "accrue.member_left.v1", "data": {}, "data_base64": "aa=="}"#, "unexpected_field"),
        (r#"{"specversion": "1.0", "type": "accrue.member_left.v1", "data_base64": "?"}"#, "undecodable"),
        (r#"{"specversion": "1.0", "type": "accrue.member_left.v1", "data": "x"}"#, "wrong_type"),
    ] {
        assert_eq!(code(&json, event.as_bytes()), Err(expected), "{event}");
    }
    let mut binary = binary([]);
    binary.0.insert("ce_id", b"\xff");
    assert_eq!(code(&binary, b"{}"), Err("undecodable"));
}
