//! The vectors of `domain.md`, and one story for each thing `semantics.md` decides.

use super::door::{Delivered, Door};
use super::{OAnswer, OMember, ORules, calendar};
use serde_json::{Value, json};
use std::rc::Rc;

/// Runs facts (`instant`, body name, body) through a door, and shows the member at the end of each line asked for.
fn told(rules: &str, facts: &[(&str, &str, Value)]) -> (OMember, Vec<String>) {
    let rules = format!("currency = \"GBP\"\ntime_zone = \"UTC\"\n{rules}");
    let rules = [(i64::MIN, Rc::new(ORules::parse(&rules).unwrap()))];
    let mut door = Door::new(&rules);
    let mut answers = Vec::new();
    let mut last = i64::MIN;
    for (n, (at, kind, body)) in facts.iter().enumerate() {
        let fact =
            json!({ "id": format!("f{n:03}"), "source": "s", "program": "p", "member": "m", "occurred_at": at, *kind: body });
        last = last.max(calendar::instant(at).unwrap());
        if let Delivered::Decided(decision) = door.deliver(&fact).unwrap() {
            answers.push(match decision.answer {
                OAnswer::Accepted(promise) => format!("accepted {}", promise.points),
                OAnswer::Rejected(reason) => reason,
            });
        }
        let found = door.member("m", last).unwrap();
        assert_eq!(found.broken, Vec::<String>::new(), "after {fact}");
    }
    (door.member("m", last).unwrap(), answers)
}

const PER_POUND: &str = "[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
const HUNDRED: &str = "[[reward]]\nid = \"hundred\"\nkind = \"redeemable\"\ncost = 100\ncoupon = { valid_for = \"P90D\" }\n";

fn order(id: &str, total: &str) -> Value {
    let line = json!({ "line_id": "1", "sku": "item", "quantity": 1, "unit_price": total });
    json!({ "order_id": id, "currency": "GBP", "lines": [line] })
}
fn refund(id: &str, order: &str, amount: &str) -> Value {
    json!({ "refund_id": id, "order_id": order, "amount": amount })
}
fn redeem(id: &str) -> Value {
    json!({ "redemption_id": id, "reward": "hundred" })
}

#[track_caller]
fn check(member: &OMember, active: i64, pending: i64, debt: i64, spent: i64, expired: i64) {
    let sums = member.ledger("main");
    let found = (sums.active, sums.pending, sums.debt, sums.spent, sums.expired);
    assert_eq!(found, (active, pending, debt, spent, expired), "{:?}", member.entries);
}

#[test]
fn refunds_take_what_the_order_gave() {
    // §4: 1 per 10.00, order 21.90 → 2; four refunds of 5.00 claw back 1, 0, 1, 0.
    let per_ten = "[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"10.00\"\n";
    let mut facts = vec![("2024-01-01T00:00:00Z", "order_placed", order("A", "21.90"))];
    for (n, left) in [(1, 1), (2, 1), (3, 0), (4, 0)] {
        facts.push(("2024-01-02T00:00:00Z", "refund_recorded", refund(&format!("F{n}"), "A", "5.00")));
        check(&told(per_ten, &facts).0, left, 0, 0, 0, 0);
    }
    // 1 per 3.00, order 30.00 → 10; refunds of 10.00 three times: 4, 3, 3.
    let per_three = "[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"3.00\"\n";
    let mut facts = vec![("2024-01-01T00:00:00Z", "order_placed", order("A", "30.00"))];
    for n in 1..=3 {
        facts.push(("2024-01-02T00:00:00Z", "refund_recorded", refund(&format!("F{n}"), "A", "10.00")));
    }
    assert_eq!(told(per_three, &facts).0.entries, ["earned 10", "clawed_back -4", "clawed_back -3", "clawed_back -3"]);
}

#[test]
fn debt_is_repaid_by_what_comes_next() {
    let rules = format!("{PER_POUND}{HUNDRED}");
    let facts = [
        ("2024-01-01T00:00:00Z", "order_placed", order("A", "100.00")),
        ("2024-01-02T00:00:00Z", "redemption_requested", redeem("R")),
        ("2024-01-03T00:00:00Z", "refund_recorded", refund("F", "A", "100.00")),
        ("2024-01-04T00:00:00Z", "order_placed", order("B", "60.00")),
        ("2024-01-05T00:00:00Z", "order_placed", order("C", "60.00")),
        ("2024-01-06T00:00:00Z", "redemption_reversed", json!({ "redemption_id": "R" })),
    ];
    check(&told(&rules, &facts[..3]).0, 0, 0, 100, 100, 0);
    check(&told(&rules, &facts[..4]).0, 0, 0, 40, 100, 0);
    check(&told(&rules, &facts[..5]).0, 20, 0, 0, 100, 0);
    check(&told(&rules, &facts).0, 120, 0, 0, 0, 0);
}

#[test]
fn spend_order_and_the_way_back() {
    // §5: A 100 expiring 31 Dec, B 50 expiring 30 Jun, C 30 never; redeem 120 → B 50, A 70.
    let adjust =
        |id: &str, points: i64, end: Value| json!({ "adjustment_id": id, "points": points, "reason": "", "expires": end });
    let mut facts = vec![
        ("2024-01-01T00:00:00Z", "points_adjusted", adjust("A", 100, json!({ "at": "2024-12-31T00:00:00Z" }))),
        ("2024-01-01T00:00:00Z", "points_adjusted", adjust("B", 50, json!({ "at": "2024-06-30T00:00:00Z" }))),
        ("2024-01-01T00:00:00Z", "points_adjusted", adjust("C", 30, json!("never"))),
        ("2024-02-01T00:00:00Z", "redemption_requested", json!({ "redemption_id": "R", "points": 120 })),
    ];
    let lots = |member: &OMember| member.lots.iter().map(|lot| lot.points).collect::<Vec<_>>();
    assert_eq!(lots(&told("", &facts).0), [30, 30]);
    // §6: 80 back go to A first (70), then B (10), which is over by then.
    facts.push(("2024-07-01T00:00:00Z", "redemption_reversed", json!({ "redemption_id": "R", "points": 80 })));
    let (member, answers) = told("", &facts);
    assert_eq!((lots(&member), answers.last().unwrap().as_str()), (vec![100, 30], "accepted 80"));
    check(&member, 130, 0, 0, 40, 10);
    facts.push(("2024-07-02T00:00:00Z", "redemption_reversed", json!({ "redemption_id": "R", "points": 41 })));
    assert_eq!(told("", &facts).1.last().unwrap(), "points_invalid");
}

#[test]
fn staff_guarantees_a_remaining_life() {
    let rules = "[refund]\nrestore = { min_remaining = \"P30D\" }\n";
    let mut facts = vec![
        (
            "2024-01-01T00:00:00Z",
            "points_adjusted",
            json!({ "adjustment_id": "A", "points": 50, "reason": "", "expires": { "at": "2024-02-01T00:00:00Z" } }),
        ),
        ("2024-01-02T00:00:00Z", "redemption_requested", json!({ "redemption_id": "R", "points": 40 })),
        ("2024-01-20T00:00:00Z", "redemption_reversed", json!({ "redemption_id": "R", "points": 15, "cause": "staff" })),
    ];
    let (member, _) = told(rules, &facts);
    let ends: Vec<String> =
        member.expiring("main").iter().map(|(points, at)| format!("{points} {}", calendar::show(*at))).collect();
    assert_eq!(ends, ["10 2024-02-01T00:00:00Z", "15 2024-02-19T00:00:00Z"]);
    facts.push(("2024-02-10T00:00:00Z", "redemption_reversed", json!({ "redemption_id": "R", "cause": "system" })));
    check(&told(rules, &facts).0, 15, 0, 0, 0, 35);
}

#[test]
fn a_redemption_without_cover_is_debt_until_reversed() {
    let mut facts = vec![
        ("2024-01-01T00:00:00Z", "order_placed", order("A", "30.00")),
        ("2024-01-02T00:00:00Z", "redemption_recorded", json!({ "redemption_id": "R", "points": 100 })),
        ("2024-01-03T00:00:00Z", "order_placed", order("B", "50.00")),
    ];
    check(&told(PER_POUND, &facts).0, 0, 0, 20, 30, 0);
    facts.push(("2024-01-04T00:00:00Z", "redemption_reversed", json!({ "redemption_id": "R" })));
    let (member, _) = told(PER_POUND, &facts);
    check(&member, 80, 0, 0, 0, 0);
    assert_eq!(member.entries[5..], ["debt_opened -20", "restored 80"]);
}

#[test]
fn policies_of_clawback() {
    let facts = [
        ("2024-01-01T00:00:00Z", "order_placed", order("A", "100.00")),
        ("2024-01-02T00:00:00Z", "redemption_requested", redeem("R")),
        ("2024-01-03T00:00:00Z", "order_placed", order("B", "60.00")),
        ("2024-01-04T00:00:00Z", "refund_recorded", refund("F", "A", "100.00")),
        ("2024-01-05T00:00:00Z", "order_placed", order("C", "10.00")),
    ];
    let with = |policy: &str| told(&format!("{PER_POUND}{HUNDRED}[refund]\n{policy}"), &facts).0;
    check(&with(""), 0, 0, 30, 100, 0);
    check(&with("clawback = \"within_balance\""), 10, 0, 0, 100, 0);
    check(&with("clawback = \"pending_only\""), 70, 0, 0, 100, 0);
}

#[test]
fn waits_for_fulfilment_or_lapses() {
    let rules = format!("{PER_POUND}[pending]\nstart = {{ on = \"fulfilled\", cancel_after = \"P10D\" }}\n");
    let facts = [
        ("2024-01-01T00:00:00Z", "order_placed", order("A", "40.00")),
        ("2024-01-02T00:00:00Z", "order_placed", order("B", "50.00")),
        ("2024-01-03T00:00:00Z", "order_fulfilled", json!({ "order_id": "A" })),
        ("2024-01-12T00:00:00Z", "order_fulfilled", json!({ "order_id": "B" })),
        ("2024-01-13T00:00:00Z", "refund_recorded", refund("F", "B", "50.00")),
    ];
    check(&told(&rules, &facts[..3]).0, 40, 50, 0, 0, 0);
    let (member, _) = told(&rules, &facts);
    check(&member, 40, 0, 0, 0, 0);
    assert_eq!(member.entries, ["earned 40", "earned 50", "activated 40", "cancelled -50"], "what lapsed is not taken again");
}

#[test]
fn unreferenced_refunds_find_their_orders() {
    let two = |id: &str| {
        json!({ "order_id": id, "currency": "GBP", "lines": [
        { "line_id": "1", "sku": "tea", "quantity": 3, "unit_price": "10.00" },
        { "line_id": "2", "sku": "pot", "quantity": 1, "unit_price": "20.00" } ] })
    };
    let back = |lines: Value| json!({ "refund_id": "F", "currency": "GBP", "lines": lines });
    let base = [("2024-01-01T00:00:00Z", "order_placed", two("A")), ("2024-01-02T00:00:00Z", "order_placed", two("B"))];
    let with = |body: Value| {
        let mut facts = base.to_vec();
        facts.push(("2024-01-03T00:00:00Z", "refund_recorded", body));
        let (member, _) = told(PER_POUND, &facts);
        (member.ledger("main").active, member.exceptions, member.entries.iter().filter(|e| e.starts_with("clawed")).count())
    };
    assert_eq!(with(back(json!([{ "line_id": "tea", "quantity": 4 }]))), (60, 0, 2), "three of B, one of A");
    assert_eq!(with(back(json!([{ "line_id": "tea", "quantity": 7, "amount": "70.00" }]))), (40, 1, 2), "one finds no place");
    assert_eq!(with(back(json!([{ "line_id": "pot", "quantity": 0, "amount": "25.00" }]))), (75, 0, 2));
    assert_eq!(with(json!({ "refund_id": "F", "currency": "GBP", "amount": "120.00" })), (0, 1, 2));
    assert_eq!(with(json!({ "refund_id": "F", "currency": "EUR", "amount": "1.00" })), (100, 1, 0));
    assert_eq!(with(json!({ "refund_id": "F", "order_id": "A", "currency": "EUR", "amount": "1.00" })), (100, 1, 0));
}

#[test]
fn an_exclusion_stated_later_counts_from_when_it_says() {
    let facts = [
        ("2024-01-01T00:00:00Z", "order_placed", order("A", "100.00")),
        ("2024-01-10T00:00:00Z", "order_placed", order("B", "50.00")),
        ("2024-01-20T00:00:00Z", "member_excluded", json!({ "from": "2024-01-05T00:00:00Z", "earn": true, "redeem": true })),
        ("2024-01-21T00:00:00Z", "redemption_requested", redeem("R1")),
        ("2024-01-25T00:00:00Z", "member_included", json!({})),
        ("2024-01-26T00:00:00Z", "redemption_requested", redeem("R2")),
        ("2024-01-27T00:00:00Z", "order_placed", order("C", "5.00")),
    ];
    let (member, answers) = told(&format!("{PER_POUND}{HUNDRED}"), &facts);
    assert_eq!(answers, ["member_excluded", "accepted 100"]);
    check(&member, 5, 0, 0, 100, 0);
}

#[test]
fn versions_cancellation_and_coupons() {
    let rules = format!("{PER_POUND}{HUNDRED}");
    let mut third = order("B", "30.00");
    third["version"] = json!(3);
    third["coupons"] = json!(["code-of-R", "SUMMER"]);
    let mut second = order("B", "20.00");
    second["version"] = json!(2);
    let facts = [
        ("2024-01-01T00:00:00Z", "order_placed", order("A", "100.00")),
        ("2024-01-02T00:00:00Z", "redemption_requested", redeem("R")),
        (
            "2024-01-03T00:00:00Z",
            "coupon_reserved",
            json!({ "redemption_id": "R", "order_id": "B", "until": "2024-01-10T00:00:00Z" }),
        ),
        (
            "2024-01-04T00:00:00Z",
            "coupon_reserved",
            json!({ "code": "code-of-R", "order_id": "C", "until": "2024-01-10T00:00:00Z" }),
        ),
        ("2024-01-05T00:00:00Z", "order_placed", third),
        ("2024-01-06T00:00:00Z", "order_placed", second),
        ("2024-01-07T00:00:00Z", "redemption_reversed", json!({ "redemption_id": "R" })),
        ("2024-01-08T00:00:00Z", "order_cancelled", json!({ "order_id": "B" })),
        ("2024-01-09T00:00:00Z", "redemption_reversed", json!({ "redemption_id": "R" })),
    ];
    let (member, answers) = told(&rules, &facts);
    assert_eq!(answers, ["accepted 100", "accepted 0", "coupon_reserved", "coupon_already_used", "accepted 100"]);
    check(&member, 100, 0, 0, 0, 0);
    assert_eq!(member.coupons.get("revoked"), Some(&1));
    assert_eq!(member.exceptions, 0);
}
