//! Golden bytes: the wire format of every body and of decisions, as it was first written. Stored frames hold these bytes
//! for ever, so a difference here is a break, not a change. `ACCRUE_GOLDEN=write cargo test -p accrue-proto --test golden`
//! writes the bytes of fixtures that have none yet.

use accrue_ledger::{Decision, Instant, IssuedCoupon, Kind, Outcome, Promise, Rejection};
use accrue_proto::json::{Defaults, decision_to_json, fact_from_json, fact_to_json};
use accrue_proto::{owner_of, pb, read_decision, read_fact, write_decision, write_fact};
use prost::Message as _;
use serde_json::Value;
use std::path::PathBuf;

const DEFAULTS: Defaults<'static> = Defaults { currency: Some("GBP") };

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The committed bytes; in writing mode, those given become the committed ones unless there are some.
fn committed(name: &str, fresh: &[u8]) -> Vec<u8> {
    if std::env::var_os("ACCRUE_GOLDEN").is_some_and(|mode| mode == "write") && !path(name).exists() {
        std::fs::write(path(name), fresh).expect("writes");
    }
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}; see the head of this file"))
}

fn json(name: &str) -> Vec<u8> {
    std::fs::read(path(&format!("{name}.json"))).unwrap_or_else(|error| panic!("{name}.json: {error}: every body needs one"))
}

#[test]
fn every_body_to_bytes_and_back() {
    for kind in Kind::ALL {
        let (name, text) = (kind.name(), json(kind.name()));
        let fact = fact_from_json(&text, &DEFAULTS).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut bytes = vec![];
        write_fact(&fact, &mut bytes);
        let golden = committed(&format!("{name}.bin"), &bytes);
        assert_eq!(bytes, golden, "{name}: the wire format changed");
        let decoded = pb::Fact::decode(golden.as_slice()).expect(name);
        let shown = fact_to_json(&decoded, &DEFAULTS);
        assert_eq!(shown, serde_json::from_slice::<Value>(&text).expect(name), "{name}");
        let read = read_fact(&golden).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((read.kind, read.id, read.actor), (*kind, decoded.id.as_str(), Some("till 4")));
        let of_member = (!kind.is_control()).then_some((read.program, read.member));
        assert_eq!((owner_of(&golden), owner_of(&text)), (of_member, None), "{name}");
    }
}

#[test]
fn no_fixture_is_left_over() {
    let mut bodies: Vec<String> = std::fs::read_dir(path(""))
        .expect("reads")
        .map(|entry| entry.expect("reads").file_name().to_string_lossy().into_owned())
        .collect();
    bodies.retain(|name| name.ends_with(".json") && !name.starts_with("decision_"));
    bodies.sort();
    let mut kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("{}.json", kind.name())).collect();
    kinds.sort();
    assert_eq!(bodies, kinds);
}

#[test]
fn decisions() {
    let at = Instant::parse("2024-03-01T10:00:00.123456Z").expect("an instant");
    let coupon = IssuedCoupon {
        code: "TEN-7ZK4-2M9Q-X".into(),
        value: "amount 10.00 GBP".into(),
        expires_at: Instant::parse("2024-05-30T10:00:00.123456Z"),
        uses: 1,
    };
    let promise = Promise {
        points: 500,
        coupon: Some(coupon),
        starts_at: Instant::parse("2024-03-15T00:00:00Z"),
        expires_at: Instant::parse("2025-04-01T00:00:00Z"),
        lots: Vec::new(),
    };
    for (name, outcome) in [
        ("decision_accepted", Outcome::Accepted(promise)),
        ("decision_accepted_bare", Outcome::Accepted(Promise::default())),
        ("decision_rejected", Outcome::Rejected(Rejection::InsufficientPoints)),
    ] {
        let decision = Decision { at, outcome, ruleset: 0x0123_4567_89ab_cdef, balance_before: 620, saw_position: 41 };
        let mut bytes = vec![];
        write_decision(&decision, &mut bytes);
        let golden = committed(&format!("{name}.bin"), &bytes);
        assert_eq!(bytes, golden, "{name}: the wire format changed");
        assert_eq!(read_decision(&golden), Ok(decision.clone()), "{name}");
        let shown = serde_json::to_string_pretty(&decision_to_json(&decision)).expect("json") + "\n";
        assert_eq!(shown.as_bytes(), committed(&format!("{name}.json"), shown.as_bytes()), "{name}");
    }
}
