//! The oracle against itself: what must hold of any history, whoever computes it.

use accrue_tests::history::random::Random;
use accrue_tests::history::{Expected, History, Options, generate};
use accrue_tests::oracle::door::{Delivered, Door};
use accrue_tests::oracle::fact::OBody;
use accrue_tests::oracle::{Known, OAnswer, OLedger, OLot, OMember, ORules, Timeline, calendar, decide, replay};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

const DAY: i64 = 86_400_000_000;

fn at_of(fact: &Value) -> i64 {
    calendar::instant(fact["occurred_at"].as_str().expect("a text")).expect("an instant")
}

/// The members at the end, after all deliveries in this order.
fn members_after(history: &History, order: &[usize]) -> Result<BTreeMap<String, OMember>> {
    let rules = history.timeline()?;
    let mut door = Door::new(&rules);
    for &n in order {
        door.deliver(&history.deliveries[n].fact)?;
    }
    let last = history.instants()?.into_iter().max().unwrap_or(0);
    history.members.iter().map(|member| Ok((member.clone(), door.member(member, last)?))).collect()
}

#[test]
fn facts_in_any_order_give_the_same_member() {
    for seed in 0..150 {
        let history = generate(seed, &Options::order_independent()).unwrap();
        let mut order: Vec<usize> = (0..history.deliveries.len()).collect();
        let expected = members_after(&history, &order).unwrap();
        let mut random = Random::new(seed);
        for _ in 0..3 {
            random.shuffle(&mut order);
            assert_eq!(members_after(&history, &order).unwrap(), expected, "seed {seed}");
        }
    }
}

#[test]
fn every_delivery_is_what_the_generator_says_it_is() {
    let mut seen = BTreeMap::new();
    for seed in 0..300 {
        let history = generate(seed, &Options::all()).unwrap();
        let rules = history.timeline().unwrap();
        let mut door = Door::new(&rules);
        for delivery in &history.deliveries {
            let became = match door.deliver(&delivery.fact).unwrap() {
                Delivered::Booked | Delivered::Parked | Delivered::Decided(_) => Expected::New,
                Delivered::Duplicate(_) => Expected::Duplicate,
                Delivered::Conflict => Expected::Conflict,
            };
            assert_eq!(became, delivery.expected, "seed {seed}: {}", delivery.fact);
            door.carry().unwrap();
            *seen.entry(format!("{became:?}")).or_insert(0) += 1;
        }
    }
    assert!(seen.values().all(|n| *n > 100) && seen.len() == 3, "{seen:?}");
}

/// §14, 1 to 3, after every delivery, now and at all other instants of some histories.
#[test]
fn invariants_hold_after_every_delivery() {
    for seed in 0..500 {
        let history = generate(seed, &Options { members: 1, ..Options::all() }).unwrap();
        let rules = history.timeline().unwrap();
        let mut door = Door::new(&rules);
        for delivery in &history.deliveries {
            door.deliver(&delivery.fact).unwrap();
            door.carry().unwrap();
            let member = door.member("m1", at_of(&delivery.fact) + 40 * DAY).unwrap();
            assert_eq!(member.broken, Vec::<String>::new(), "seed {seed}, after {}", delivery.fact);
        }
        if seed % 10 == 0 {
            for at in history.instants().unwrap() {
                let member = door.member("m1", at).unwrap();
                assert_eq!(member.broken, Vec::<String>::new(), "seed {seed}, at {at}");
            }
        }
    }
}

/// A decision that was accepted finds what it was promised if nothing became known in between.
#[test]
fn a_promise_is_covered_when_it_is_made() {
    let mut accepted = 0;
    for seed in 0..200 {
        let history = generate(seed, &Options { members: 1, late: false, ..Options::all() }).unwrap();
        let rules = history.timeline().unwrap();
        let mut door = Door::new(&rules);
        for delivery in &history.deliveries {
            let Delivered::Decided(decision) = door.deliver(&delivery.fact).unwrap() else {
                continue;
            };
            let (Some(asked), OAnswer::Accepted(promise)) = (delivery.fact.get("redemption_requested"), &decision.answer) else {
                continue;
            };
            accepted += 1;
            assert!(decision.balance_before >= promise.points, "seed {seed}: {}", delivery.fact);
            let known = &door.known["m1"];
            let request = known.last().unwrap().request();
            let again = decide(&rules, &known[..known.len() - 1], request).unwrap();
            assert_eq!(again, decision, "seed {seed}: the same question, the same answer");
            let ledger = asked.get("ledger").and_then(Value::as_str).unwrap_or("main");
            let after = replay(&rules, known, decision.at).unwrap();
            let decided_alone = known.iter().filter(|other| other.at() == decision.at && other.is_decision()).count() == 1;
            if decided_alone {
                assert_eq!(
                    after.ledger(ledger).active,
                    decision.balance_before - promise.points,
                    "seed {seed}: {}",
                    delivery.fact
                );
            }
        }
    }
    assert!(accepted > 100, "only {accepted} redemptions");
}

/// What is left of an order after these refunds of one instant.
fn after_refunds(rules: &Timeline, order: &Value, refunds: &[Value]) -> Result<(BTreeMap<String, OLedger>, Vec<OLot>)> {
    let mut door = Door::new(rules);
    let envelope = |id: String, at: &str| json!({ "id": id, "source": "s", "program": "test", "member": "m", "occurred_at": at });
    let mut first = envelope("order".to_owned(), "2024-03-01T10:00:00Z");
    first["order_placed"] = order.clone();
    door.deliver(&first)?;
    for (n, refund) in refunds.iter().enumerate() {
        let mut fact = envelope(format!("r{n:02}"), "2024-03-20T10:00:00Z");
        let mut body = refund.clone();
        body["refund_id"] = json!(format!("F{n}"));
        body["order_id"] = json!("A");
        body["currency"] = order["currency"].clone();
        fact["refund_recorded"] = body;
        door.deliver(&fact)?;
    }
    let member = door.member("m", at_of(&first) + 400 * DAY)?;
    assert_eq!(member.broken, Vec::<String>::new());
    Ok((member.ledgers, member.lots))
}

/// An order refunded at once, or piece by piece, in any order: what is left is the same.
#[test]
fn how_a_refund_is_split_does_not_matter() {
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let history = generate(seed, &Options { members: 1, steps: 1, ..Options::order_independent() }).unwrap();
        let rules = [(i64::MIN, Rc::new(ORules::parse(&history.rules_toml).unwrap()))];
        let currency = rules[0].1.currency.clone();
        let lines: Vec<(i64, i64)> =
            (0..random.between(1, 4)).map(|_| (random.between(1, 5), random.between(100, 2500))).collect();
        let money = |minor: i64| {
            if currency == "JPY" { minor.to_string() } else { format!("{}.{:02}", minor / 100, minor % 100) }
        };
        let line = |(n, (quantity, price)): (usize, &(i64, i64))| json!({ "line_id": n.to_string(), "sku": "T-1", "quantity": quantity, "unit_price": money(*price), "collections": ["tea"] });
        let order = json!({ "order_id": "A", "currency": currency, "channel": "web", "discount": money(random.between(0, 100)),
            "lines": lines.iter().enumerate().map(line).collect::<Vec<_>>() });
        let back: Vec<i64> = lines.iter().map(|(quantity, _)| random.between(0, *quantity)).collect();
        let amount = random.between(3, 500);
        let mut pieces: Vec<Value> =
            vec![json!({ "amount": money(amount / 3) }), json!({ "amount": money(amount - amount / 3) })];
        let mut whole = Vec::new();
        for (n, &quantity) in back.iter().enumerate() {
            whole.push(json!({ "line_id": n.to_string(), "quantity": quantity }));
            for _ in 0..quantity {
                pieces.push(json!({ "lines": [{ "line_id": n.to_string(), "quantity": 1 }] }));
            }
        }
        let at_once = vec![json!({ "lines": whole }), json!({ "amount": money(amount) })];
        let told = |refunds: &[Value]| after_refunds(&rules, &order, refunds).unwrap();
        let expected = told(&at_once);
        for _ in 0..3 {
            random.shuffle(&mut pieces);
            assert_eq!(told(&pieces), expected, "seed {seed}: {order} refunded {pieces:?}\n{}", history.rules_toml);
        }
    }
}

/// The generator is worth its name only if everything happens.
#[test]
fn everything_happens_in_generated_histories() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..300 {
        let history = generate(seed, &Options::all()).unwrap();
        let rules = history.timeline().unwrap();
        let mut door = Door::new(&rules);
        for delivery in &history.deliveries {
            match door.deliver(&delivery.fact).unwrap() {
                Delivered::Decided(decision) => match decision.answer {
                    OAnswer::Accepted(_) => *seen.entry("accepted".to_owned()).or_default() += 1,
                    OAnswer::Rejected(reason) => *seen.entry(reason).or_default() += 1,
                },
                Delivered::Parked => *seen.entry("parked".to_owned()).or_default() += 1,
                Delivered::Booked | Delivered::Duplicate(_) | Delivered::Conflict => (),
            }
            door.carry().unwrap();
        }
        let came_back = |known: &&Known| matches!(&known.request().body, OBody::Received(received) if received.returned);
        *seen.entry("came_back".to_owned()).or_default() += door.known.values().flatten().filter(came_back).count();
        let taken_back =
            |known: &&Known| matches!(&known.request().body, OBody::Adjusted(adjusted) if adjusted.takes_back.is_some());
        *seen.entry("taken_back".to_owned()).or_default() += door.known.values().flatten().filter(taken_back).count();
        let last = history.instants().unwrap().into_iter().max().unwrap_or(0);
        for member in &history.members {
            for entry in door.member(member, last).unwrap().full_entries {
                *seen.entry(entry.kind).or_default() += 1;
            }
        }
    }
    let wanted = [
        "earned",
        "activated",
        "cancelled",
        "clawed_back",
        "debt_opened",
        "debt_repaid",
        "spent",
        "restored",
        "expired",
        "adjusted",
        "imported",
        "parked",
        "exception",
        "coupon_issued",
        "coupon_reserved",
        "coupon_used",
        "coupon_released",
        "coupon_revoked",
        "coupon_expired",
        "tier_changed",
        "transferred_out",
        "transferred_in",
        "came_back",
        "taken_back",
        "accepted",
        "member_excluded",
        "ledger_unknown",
        "reward_unknown",
        "reward_kind_mismatch",
        "points_invalid",
        "insufficient_points",
        "redemption_unknown",
        "redemption_already_reversed",
        "coupon_unknown",
        "coupon_already_used",
        "coupon_revoked",
        "coupon_expired",
        "coupon_reserved",
        "validity_invalid",
    ];
    let rare: Vec<&str> = wanted.into_iter().filter(|kind| seen.get(*kind).is_none_or(|n| *n < 10)).collect();
    assert!(rare.is_empty(), "hardly ever: {rare:?} of {seen:?}");
}
