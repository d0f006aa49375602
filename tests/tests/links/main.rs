//! What crosses members and shards, exactly once, whatever is killed meanwhile; and one balance for one of a thousand who want it.
//!
//! `cargo build --workspace --bins` first: the Kafka tests run what was built beside them.

mod embedded;
mod merges;
mod merges_topic;
mod referrals;
mod topic;

use accrue_proto::json::{Defaults, fact_from_json};
use accrue_proto::write_fact;
use serde_json::json;

const PROGRAM: &str = "links";
const RULESET: &str = "program = \"links\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n\
    [[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n\
    [referral]\npending_until = \"P14D\"\n\
    [[earn]]\nid = \"friend\"\non = \"referral_completed\"\npoints = 100\n";
const IN_FORCE_FROM: &str = "2024-01-01T00:00:00Z";
const MEMBERS: u64 = 24;
/// What each member begins with.
const POINTS: i64 = 100;

fn member(number: u64) -> String {
    format!("m{}", number % MEMBERS)
}

fn fact(member: &str, id: &str, at: &str, name: &str, body: &serde_json::Value) -> Vec<u8> {
    let text = json!({
        "id": id, "source": "test", "program": PROGRAM, "member": member, "occurred_at": at, name: body,
    });
    let fact = fact_from_json(text.to_string().as_bytes(), &Defaults { currency: Some("GBP") }).expect("a fact");
    let mut bytes = Vec::new();
    write_fact(&fact, &mut bytes);
    bytes
}

/// The points that everybody begins with.
fn beginnings() -> Vec<(String, Vec<u8>)> {
    (0..MEMBERS).map(|number| order(&member(number))).collect()
}

fn order(who: &str) -> (String, Vec<u8>) {
    let id = format!("order-{who}");
    let line = json!({ "line_id": "1", "sku": "tea", "quantity": 1, "unit_price": format!("{POINTS}.00") });
    let body = json!({ "order_id": id, "currency": "GBP", "lines": [line] });
    (who.to_owned(), fact(who, &id, "2024-01-02T00:00:00Z", "order_placed", &body))
}

/// Each gives to the third and the seventh after it: nearly all to another shard.
fn transfer(number: u64) -> (String, Vec<u8>) {
    let (from, to) = (member(number), member(number + if number.is_multiple_of(2) { 3 } else { 7 }));
    let id = format!("transfer-{number}");
    let points = 1 + number % 9;
    let body = json!({ "transfer_id": id, "to_member": to, "points": points });
    let bytes = fact(&from, &id, "2024-02-01T00:00:00Z", "points_transferred", &body);
    (from, bytes)
}

/// A request for all that the member has.
fn redemption(who: &str, number: u64) -> Vec<u8> {
    let id = format!("redemption-{number}");
    let body = json!({ "redemption_id": id, "points": POINTS });
    fact(who, &id, "2024-03-01T00:00:00Z", "redemption_requested", &body)
}
