//! The JSON shape: what it takes, and what it says about the rest.

use accrue_proto::json::{Defaults, fact_from_json, fact_to_json};
use accrue_proto::pb::{self, fact::Body};

fn read(body: &str, currency: Option<&str>) -> Result<Body, accrue_proto::Malformed> {
    let text = format!(r#"{{"id": "e1", "occurred_at": "2024-03-01T10:00:00Z", {body}}}"#);
    fact_from_json(text.as_bytes(), &Defaults { currency }).map(|fact| fact.body.expect("a body"))
}

/// The body, with what must be in the error: its code and a word of its detail.
fn check(body: &str, code: &str, word: &str) {
    match read(body, Some("GBP")) {
        Ok(taken) => panic!("{body}: taken as {taken:?}"),
        Err(error) => {
            assert_eq!(error.code, code, "{body}: {error}");
            assert!(error.detail.contains(word), "{body}: {word:?} is not in {error}");
        }
    }
}

#[test]
fn errors_name_the_key_and_a_way_out() {
    for (body, code, word) in [
        (r#""order_placed": {"orderId": "A"}"#, "unknown_key", "did you mean order_id?"),
        (r#""order_placed": {"weather": "fine"}"#, "unknown_key", "known are order_id, version"),
        (r#""order_placed": {"lines": [{}, {"unit_prise": "1.00"}]}"#, "unknown_key", "order_placed.lines[1]: unknown key"),
        (r#""member_left": {"reason": "x"}"#, "unknown_key", "nothing goes in here"),
        (r#""member_left": {}, "members": "m1""#, "unknown_key", "did you mean member?"),
        (r#""order_place": {"order_id": "A"}"#, "unknown_body", "did you mean order_placed?"),
        (r#""colour": "red""#, "unknown_body", "one key named after it"),
        (r#""order_placed": null"#, "unknown_body", "one key named after it"),
        (r#""member_left": {}, "member_erased": {}"#, "unexpected_field", "member_left and member_erased"),
        (r#""coupon_used": {"code": "C", "grant_id": "G"}"#, "unexpected_field", "code and grant_id"),
        (r#""order_placed": []"#, "wrong_type", "order_placed: a list found, an object is needed"),
        (r#""order_placed": {"lines": {}}"#, "wrong_type", "order_placed.lines: an object found, a list"),
        (r#""order_placed": {"order_id": 5}"#, "wrong_type", "order_placed.order_id: 5 found, text is needed"),
        (r#""order_placed": {"version": -1}"#, "wrong_type", "from 0 to 2^32-1"),
        (r#""order_placed": {"version": 4294967296}"#, "wrong_type", "from 0 to 2^32-1"),
        (r#""order_placed": {"lines": [{"quantity": 1.0}]}"#, "wrong_type", "lines[0].quantity: 1.0 found, a whole number"),
        (r#""redemption_requested": {"points": 1e3}"#, "wrong_type", "points: 1000.0 found"),
        (r#""redemption_requested": {"points": "5"}"#, "wrong_type", "a whole number"),
        (r#""redemption_requested": {"points": 9223372036854775808}"#, "overflow", "64 bits"),
        (r#""order_placed": {"tax": 12.5}"#, "wrong_type", "order_placed.tax: 12.5 found, a decimal string"),
        (r#""order_placed": {"tax": 12}"#, "wrong_type", "a decimal string"),
        (r#""order_placed": {"tax": "12,50"}"#, "wrong_type", "\"12.50\" is the form"),
        (r#""order_placed": {"tax": "12.505"}"#, "too_many_decimals", "more decimals than the currency, which has 2"),
        (r#""order_placed": {"currency": "JPY", "tax": "12.5"}"#, "too_many_decimals", "which has 0"),
        (r#""order_placed": {"tax": "99999999999999999999.00"}"#, "overflow", "the largest amount"),
        (r#""order_placed": {"tax": {"major": 5}}"#, "wrong_type", "a decimal string"),
        (r#""order_placed": {"tax": {"minor": 5.5}}"#, "wrong_type", "order_placed.tax.minor"),
        (r#""order_placed": {"currency": "XQX"}"#, "unknown_currency", "order_placed.currency"),
        (r#""order_placed": {"currency": "gbp"}"#, "unknown_currency", "upper case"),
        (r#""member_registered": {"guest": "yes"}"#, "wrong_type", "true or false"),
        (r#""member_excluded": {"from": "1 March 2024"}"#, "invalid_instant", "rfc 3339"),
        (r#""member_excluded": {"from": 1709287200}"#, "wrong_type", "member_excluded.from"),
        (r#""coupon_revoked": {"code": "C", "cause": "me"}"#, "unknown_value", "known are staff, system"),
        (r#""card_status_changed": {"status": "unspecified"}"#, "unknown_value", "active, inactive, blocked"),
        (r#""points_adjusted": {"expires": "soon"}"#, "unknown_value", "known are never, immediate"),
        (r#""points_adjusted": {"expires": 5}"#, "wrong_type", "\"never\", \"immediate\", {at} or {after, to}"),
        (r#""points_adjusted": {"expires": {"at": "2024-01-01T00:00:00Z", "to": "day_end"}}"#, "unknown_key", "beside at"),
        (r#""points_adjusted": {"expires": {"after": "P1D", "until": "x"}}"#, "unknown_key", "known are after, to"),
        (r#""member_profile_changed": {"attributes": {"size": 5}}"#, "wrong_type", "text is needed"),
        (r#""member_profile_changed": {"consents": {"sms": "yes"}}"#, "wrong_type", "true or false"),
        (r#""note_added": {"text": "a", "text": "b"}"#, "undecodable", "given twice"),
    ] {
        check(body, code, word);
    }
    let outermost = fact_from_json(b"[]", &Defaults::default()).map_err(|error| error.to_string());
    assert_eq!(outermost, Err("wrong_type: the fact: a list found, an object is needed".into()));
}

#[test]
fn money_takes_the_currency_of_its_body() {
    for (currency, minor) in [("JPY", 12), ("GBP", 1200), ("KWD", 12_000), ("CLF", 120_000)] {
        let Ok(Body::OrderPlaced(order)) =
            read(&format!(r#""order_placed": {{"tax": "12", "currency": "{currency}"}}"#), Some("EUR"))
        else {
            panic!("an order")
        };
        assert_eq!((order.tax, order.currency.as_str()), (minor, currency));
    }
}

/// Read with the program's currency, money must not be taken for the order's: the refund says so from then on.
#[test]
fn money_without_a_currency() {
    let refund = |body: &str, currency| match read(body, currency) {
        Ok(Body::RefundRecorded(refund)) => Ok((refund.amount, refund.currency)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code),
    };
    let amount = r#""refund_recorded": {"refund_id": "F", "amount": "5.00"}"#;
    assert_eq!(refund(amount, Some("GBP")), Ok((Some(500), "GBP".into())));
    assert_eq!(refund(amount, None), Err("missing_currency"));
    assert_eq!(refund(amount, Some("JPY")), Err("too_many_decimals"));
    assert_eq!(refund(amount, Some("???")), Err("unknown_currency"));
    let lines = r#""refund_recorded": {"refund_id": "F", "lines": [{"line_id": "1", "quantity": 1}]}"#;
    assert_eq!(refund(lines, Some("GBP")), Ok((None, String::new())), "the order's");
    let minor = r#""refund_recorded": {"refund_id": "F", "amount": {"minor": 500}}"#;
    assert_eq!(refund(minor, None), Ok((Some(500), String::new())));
    let Ok(Body::OrderPlaced(order)) = read(r#""order_placed": {"order_id": "A"}"#, Some("GBP")) else { panic!("an order") };
    assert_eq!(order.currency, "GBP");
}

#[test]
fn starts_and_ends() {
    use pb::when::{After, Named, When};
    for (said, meant) in [
        (r#""never""#, When::Named(Named::Never.into())),
        (r#""immediate""#, When::Named(Named::Immediate.into())),
        (r#"{"at": "1970-01-01T00:00:01Z"}"#, When::At(prost_types::Timestamp { seconds: 1, nanos: 0 })),
        (r#"{"after": "P14D", "to": "day_end"}"#, When::After(After { after: "P14D".into(), to: "day_end".into() })),
        (r#"{"after": "P14D"}"#, When::After(After { after: "P14D".into(), to: String::new() })),
    ] {
        let Ok(Body::PointsAdjusted(adjusted)) = read(&format!(r#""points_adjusted": {{"expires": {said}}}"#), None) else {
            panic!("{said}")
        };
        assert_eq!(adjusted.expires, Some(pb::When { when: Some(meant) }));
        let fact = pb::Fact { body: Some(Body::PointsAdjusted(adjusted)), ..Default::default() };
        assert_eq!(
            fact_to_json(&fact, &Defaults::default())["points_adjusted"]["expires"].to_string(),
            said.replace(": ", ":").replace(", ", ",")
        );
    }
}

#[test]
fn null_is_absent() {
    let Ok(Body::RefundRecorded(refund)) = read(r#""refund_recorded": {"refund_id": "F", "amount": null, "lines": null}"#, None)
    else {
        panic!("a refund")
    };
    assert_eq!((refund.amount, refund.lines.len()), (None, 0));
}

/// What can't be written as text is still written.
#[test]
fn facts_out_of_order_can_be_shown() {
    let body = Body::CouponRevoked(pb::CouponRevoked { cause: 9, ..Default::default() });
    let occurred_at = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 });
    let shown = fact_to_json(&pb::Fact { occurred_at, body: Some(body), ..Default::default() }, &Defaults::default());
    assert_eq!(shown.to_string(), r#"{"occurred_at":"9223372036854775807 s -1 ns","coupon_revoked":{"cause":9}}"#);
    let order = pb::OrderPlaced { currency: "???".into(), tax: 5, ..Default::default() };
    let fact = pb::Fact { body: Some(Body::OrderPlaced(order)), ..Default::default() };
    let shown = fact_to_json(&fact, &Defaults { currency: Some("GBP") });
    assert_eq!(shown.to_string(), r#"{"order_placed":{"currency":"???","tax":{"minor":5}}}"#, "not pounds");
}
