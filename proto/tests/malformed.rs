//! Facts that can't be booked under any ruleset, each with its code.

use accrue_proto::bounds::{AMOUNT_MAX, LABELS_MAX, LINES_MAX, LOTS_MAX, TEXT_BYTES_MAX};
use accrue_proto::json::{Defaults, fact_from_json};
use accrue_proto::{Malformed, pb, read_fact, write_fact};
use prost::Message as _;

fn fact(body: &str) -> pb::Fact {
    let text = format!(
        r#"{{"id": "e", "source": "s", "program": "acme", "member": "m", "occurred_at": "2024-03-01T10:00:00Z", {body}}}"#
    );
    fact_from_json(text.as_bytes(), &Defaults { currency: Some("GBP") }).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn code(fact: &pb::Fact) -> Result<(), Malformed> {
    let mut bytes = vec![];
    write_fact(fact, &mut bytes);
    read_fact(&bytes).map(|_| ())
}

fn check(body: &str, expected: &str) {
    match code(&fact(body)) {
        Ok(()) => panic!("{body}: taken, {expected} expected"),
        Err(error) => {
            assert_eq!(error.code, expected, "{body}: {error}");
            assert!(!error.detail.contains('\n') && error.detail.len() < 300, "{error}");
        }
    }
}

#[test]
fn envelopes() {
    let good = fact(r#""member_left": {}"#);
    assert_eq!(code(&good), Ok(()));
    let control = fact(r#""ruleset_activated": {"ruleset": "x", "hash": "00", "effective_from": "2024-01-01T00:00:00Z"}"#);
    let late = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
    for (fact, expected) in [
        (pb::Fact { id: String::new(), ..good.clone() }, "missing_field"),
        (pb::Fact { source: String::new(), ..good.clone() }, "missing_field"),
        (pb::Fact { program: String::new(), ..good.clone() }, "missing_field"),
        (pb::Fact { member: String::new(), ..good.clone() }, "missing_field"),
        (pb::Fact { occurred_at: None, ..good.clone() }, "missing_field"),
        (pb::Fact { occurred_at: Some(late), ..good.clone() }, "out_of_range"),
        (pb::Fact { body: None, ..good.clone() }, "unknown_body"),
        (pb::Fact { id: "a\0".into(), ..good.clone() }, "control_character"),
        (pb::Fact { member: "a\n".into(), ..good.clone() }, "control_character"),
        (pb::Fact { member: "m".repeat(257), ..good.clone() }, "too_long"),
        (pb::Fact { actor: "\u{7f}".into(), ..good.clone() }, "control_character"),
        (pb::Fact { program: "a/b".into(), ..good.clone() }, "invalid_id"),
        (control.clone(), "unexpected_field"),
    ] {
        assert_eq!(code(&fact).map_err(|error| error.code), Err(expected), "{fact:?}");
    }
    assert_eq!(code(&pb::Fact { member: String::new(), ..control }), Ok(()));
}

#[test]
fn rubbish_is_not_of_a_later_version() {
    let code = |bytes: &[u8]| read_fact(bytes).map(|_| ()).map_err(|error| error.code);
    for rubbish in [&b"\xff\xff rubbish"[..], b"\x98\x07\x05", b"\x9a\x07\x01a\xff", b"\x9a\x07\x09a"] {
        assert_eq!(code(rubbish), Err("undecodable"), "{rubbish:?}");
    }
    assert_eq!(code(b"\x9a\x07\x01a"), Err("unknown_body"));
}

#[test]
fn bodies_of_later_versions() {
    let mut bytes = pb::Fact { body: None, ..fact(r#""member_left": {}"#) }.encode_to_vec();
    bytes.extend([0x9a, 0x07, 0]); // field 115
    assert_eq!(read_fact(&bytes).map_err(|error| error.code), Err("unknown_body"));
}

#[test]
fn orders() {
    let order = |rest: &str| format!(r#""order_placed": {{"order_id": "A", "currency": "GBP", {rest}}}"#);
    let line = |rest: &str| order(&format!(r#""lines": [{{"line_id": "1", {rest}}}]"#));
    assert_eq!(code(&fact(&order(r#""lines": []"#))), Ok(()));
    assert_eq!(code(&fact(&line(r#""quantity": 2, "unit_price": "1.00", "discount": "2.00""#))), Ok(()));
    for (body, expected) in [
        (r#""order_placed": {"currency": "GBP"}"#.to_owned(), "missing_field"),
        (line(r#""quantity": -1"#), "negative_quantity"),
        (line(r#""quantity": 1, "unit_price": "-0.01""#), "negative_amount"),
        (line(r#""quantity": 1, "unit_price": "1.00", "discount": "-0.01""#), "negative_amount"),
        (line(r#""quantity": 1, "unit_price": "1.00", "discount": "1.01""#), "discount_too_large"),
        (line(r#""quantity": 4000000000, "unit_price": "90000000.00""#), "overflow"),
        (line(r#""quantity": 1000000000000000, "unit_price": "0.02""#), "overflow"),
        (line(r#""quantity": 9223372036854775807"#), "overflow"),
        (line(r#""quantity": 1, "tags": [""]"#), "missing_field"),
        (line(r#""quantity": 1, "collections": ["a\tb"]"#), "control_character"),
        (order(r#""lines": [{"quantity": 1}]"#), "missing_field"),
        (order(r#""lines": [{"line_id": "1"}, {"line_id": "2"}, {"line_id": "1"}]"#), "duplicate_line"),
        (order(r#""shipping": "-1.00""#), "negative_amount"),
        (order(r#""tax": {"minor": 1000000000000001}"#), "overflow"),
        (order(r#""coupons": [""]"#), "missing_field"),
    ] {
        check(&body, expected);
    }
    let mut lower = fact(&order(r#""lines": []"#));
    let Some(pb::fact::Body::OrderPlaced(placed)) = &mut lower.body else { panic!("an order") };
    placed.currency = "gbp".into();
    assert_eq!(code(&lower).map_err(|error| error.code), Err("unknown_currency"));
}

#[test]
fn bounds_of_lists() {
    let mut order = pb::OrderPlaced { order_id: "A".into(), currency: "GBP".into(), ..Default::default() };
    let line = |id: usize| pb::Line { line_id: id.to_string(), quantity: 1, unit_price: AMOUNT_MAX, ..Default::default() };
    order.lines = (0..LINES_MAX).map(line).collect();
    let whole = |body| pb::Fact { body: Some(body), ..fact(r#""member_left": {}"#) };
    assert_eq!(code(&whole(pb::fact::Body::OrderPlaced(order.clone()))), Ok(()));
    let mut repeated = order.clone();
    repeated.lines[LINES_MAX - 1].line_id = "17".into();
    let outcome = code(&whole(pb::fact::Body::OrderPlaced(repeated)));
    assert_eq!(outcome.map_err(|error| error.code), Err("duplicate_line"));
    order.lines.push(line(LINES_MAX));
    assert_eq!(code(&whole(pb::fact::Body::OrderPlaced(order.clone()))).map_err(|error| error.code), Err("too_many"));
    order.lines.clear();
    order.coupons = (0..=LABELS_MAX).map(|index| index.to_string()).collect();
    assert_eq!(code(&whole(pb::fact::Body::OrderPlaced(order))).map_err(|error| error.code), Err("too_many"));
    let lots = vec![pb::ImportedLot { points: 1, ..Default::default() }; LOTS_MAX + 1];
    let imported = pb::PointsImported { import_id: "I".into(), lots, ..Default::default() };
    assert_eq!(code(&whole(pb::fact::Body::PointsImported(imported))).map_err(|error| error.code), Err("too_many"));
    let long = pb::NoteAdded { text: "x".repeat(TEXT_BYTES_MAX + 1), ..Default::default() };
    assert_eq!(code(&whole(pb::fact::Body::NoteAdded(long))).map_err(|error| error.code), Err("too_long"));
}

#[test]
fn facts_that_are_no_orders() {
    for (body, expected) in [
        (r#""order_fulfilled": {}"#, "missing_field"),
        (r#""order_cancelled": {"order_id": ""}"#, "missing_field"),
        (r#""refund_recorded": {"refund_id": "F"}"#, "missing_field"),
        (r#""refund_recorded": {"order_id": "A", "amount": "1.00"}"#, "missing_field"),
        (r#""refund_recorded": {"refund_id": "F", "amount": "0.00"}"#, "not_positive"),
        (r#""refund_recorded": {"refund_id": "F", "amount": "-1.00"}"#, "not_positive"),
        (r#""refund_recorded": {"refund_id": "F", "amount": "1.00", "lines": [{"line_id": "1"}]}"#, "unexpected_field"),
        (r#""refund_recorded": {"refund_id": "F", "lines": [{"quantity": 1}]}"#, "missing_field"),
        (r#""refund_recorded": {"refund_id": "F", "lines": [{"line_id": "1", "quantity": -1}]}"#, "negative_quantity"),
        (r#""refund_recorded": {"refund_id": "F", "lines": [{"line_id": "1", "amount": "-1.00"}]}"#, "negative_amount"),
        (r#""redemption_recorded": {"redemption_id": "R"}"#, "missing_field"),
        (r#""redemption_recorded": {"redemption_id": "R", "points": 0}"#, "not_positive"),
        (r#""activity_recorded": {"activity_id": "V"}"#, "missing_field"),
        (r#""activity_recorded": {"activity": "review"}"#, "missing_field"),
        (r#""activity_recorded": {"activity_id": "V", "activity": "x", "attributes": {"": "x"}}"#, "missing_field"),
        (r#""activity_recorded": {"activity_id": "V", "activity": "x", "attributes": {"a": "\u0000"}}"#, "control_character"),
        (r#""points_imported": {"import_id": "I"}"#, "missing_field"),
        (r#""points_imported": {"import_id": "I", "lots": [{}]}"#, "not_positive"),
        (r#""points_imported": {"import_id": "I", "lots": [{"points": 1}], "tier_credit": "-1.00"}"#, "negative_amount"),
        (r#""member_excluded": {}"#, "missing_field"),
        (r#""member_excluded": {"earn": true, "until": "2024-03-01T10:00:00Z"}"#, "out_of_range"),
        (r#""member_excluded": {"earn": true, "from": "2025-01-01T00:00:00Z", "until": "2024-12-01T00:00:00Z"}"#, "out_of_range"),
        (r#""member_profile_changed": {"birthday": "28.2.1990"}"#, "unknown_value"),
        (r#""member_profile_changed": {"consents": {"": true}}"#, "missing_field"),
        (r#""members_merged": {}"#, "missing_field"),
        (r#""note_added": {}"#, "missing_field"),
        (r#""tags_changed": {}"#, "missing_field"),
        (r#""tags_changed": {"add": ["a\u0000"]}"#, "control_character"),
        (r#""card_issued": {}"#, "missing_field"),
        (r#""card_status_changed": {"code": "1"}"#, "missing_field"),
        (r#""card_replaced": {"old": "1"}"#, "missing_field"),
        (r#""referral_joined": {}"#, "missing_field"),
        (r#""referral_code_changed": {}"#, "missing_field"),
        (r#""referral_code_changed": {"slug": "a b"}"#, "invalid_id"),
        (r#""referral_told": {"friend": "f", "code": "c"}"#, "unknown_value"),
        (r#""tier_credit_adjusted": {"amount": "0.00"}"#, "zero"),
        (r#""coupon_used": {"order_id": "A"}"#, "missing_field"),
        (r#""coupon_used": {"code": "", "order_id": "A"}"#, "missing_field"),
        (r#""coupon_released": {"code": "C"}"#, "missing_field"),
    ] {
        check(body, expected);
    }
    let member_less = |body: &str| pb::Fact { member: String::new(), ..fact(body) };
    for body in [
        r#""ruleset_activated": {"hash": "00", "effective_from": "2024-01-01T00:00:00Z"}"#,
        r#""ruleset_activated": {"ruleset": "x", "effective_from": "2024-01-01T00:00:00Z"}"#,
        r#""ruleset_activated": {"ruleset": "x", "hash": "00"}"#,
        r#""rules_applied": {"record": "{}"}"#,
        r#""rules_applied": {"application": "a"}"#,
    ] {
        assert_eq!(code(&member_less(body)).map_err(|error| error.code), Err("missing_field"), "{body}");
    }
    let not_hex = r#""ruleset_activated": {"ruleset": "x", "hash": "0g", "effective_from": "2024-01-01T00:00:00Z"}"#;
    assert_eq!(code(&member_less(not_hex)).map_err(|error| error.code), Err("invalid_id"));
}

#[test]
fn requests() {
    // The rules refuse it, with a decision.
    assert_eq!(code(&fact(r#""redemption_requested": {"redemption_id": "R"}"#)), Ok(()));
    for (body, expected) in [
        (r#""redemption_requested": {"reward": "ten"}"#, "missing_field"),
        (r#""redemption_requested": {"redemption_id": "R", "points": -5}"#, "not_positive"),
        (r#""redemption_reversed": {"redemption_id": "R", "points": 0}"#, "not_positive"),
        (r#""reward_granted": {"grant_id": "G"}"#, "missing_field"),
        (r#""coupon_reserved": {"code": "C", "order_id": "A"}"#, "missing_field"),
        (r#""coupon_revoked": {}"#, "missing_field"),
        (r#""points_adjusted": {"adjustment_id": "J"}"#, "zero"),
        (r#""points_adjusted": {"points": 5}"#, "missing_field"),
        (r#""points_adjusted": {"adjustment_id": "J", "points": -1000000000000001}"#, "overflow"),
        (r#""points_adjusted": {"adjustment_id": "J", "points": 5, "expires": {"after": "14 days"}}"#, "unknown_value"),
        (r#""points_adjusted": {"adjustment_id": "J", "points": 5, "expires": {"after": "-P14D"}}"#, "unknown_value"),
        (r#""points_adjusted": {"adjustment_id": "J", "points": 5, "starts": {"after": "P1D", "to": "noon"}}"#, "unknown_value"),
        (r#""points_adjusted": {"adjustment_id": "J", "points": 5, "reason": "\u0000"}"#, "control_character"),
        (r#""points_adjusted": {"adjustment_id": "J", "points": 5, "takes_back": "I"}"#, "unexpected_field"),
        (r#""points_transferred": {"transfer_id": "T", "points": 5}"#, "missing_field"),
        (r#""points_transferred": {"transfer_id": "T", "to_member": "m2"}"#, "not_positive"),
        (r#""tier_overridden": {"mode": "exact"}"#, "missing_field"),
        (r#""tier_overridden": {"tier": "gold"}"#, "missing_field"),
    ] {
        check(body, expected);
    }
}

#[test]
fn numbers_no_enum_has() {
    let mut reversed = fact(r#""redemption_reversed": {"redemption_id": "R"}"#);
    if let Some(pb::fact::Body::RedemptionReversed(body)) = &mut reversed.body {
        body.cause = 9;
    }
    let mut card = fact(r#""card_status_changed": {"code": "1", "status": "active"}"#);
    if let Some(pb::fact::Body::CardStatusChanged(body)) = &mut card.body {
        body.status = 9;
    }
    let mut tier = fact(r#""tier_overridden": {"tier": "gold", "mode": "exact"}"#);
    if let Some(pb::fact::Body::TierOverridden(body)) = &mut tier.body {
        body.mode = 9;
    }
    let mut adjusted = fact(r#""points_adjusted": {"adjustment_id": "J", "points": 5, "expires": "never"}"#);
    if let Some(pb::fact::Body::PointsAdjusted(body)) = &mut adjusted.body {
        body.expires = Some(pb::When { when: Some(pb::when::When::Named(9)) });
    }
    for (fact, expected) in
        [(reversed, "unknown_value"), (card, "unknown_value"), (tier, "unknown_value"), (adjusted, "unknown_value")]
    {
        assert_eq!(code(&fact).map_err(|error| error.code), Err(expected), "{fact:?}");
    }
    let mut empty = fact(r#""points_adjusted": {"adjustment_id": "J", "points": 5}"#);
    if let Some(pb::fact::Body::PointsAdjusted(body)) = &mut empty.body {
        body.starts = Some(pb::When { when: None });
    }
    assert_eq!(code(&empty).map_err(|error| error.code), Err("missing_field"));
}
