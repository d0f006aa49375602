//! A member by the engine and by the oracle, number by number.

use accrue_projections::{EntryAnswer, MemberAnswer, TierMove};
use accrue_tests::history::money;
use accrue_tests::oracle::{OLot, OMember, calendar};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Instants as the engine shows them.
fn shown(at: i64) -> String {
    calendar::show(at)
}

/// What differs; nothing, one hopes.
pub fn differences(engine: Option<&MemberAnswer>, told: &[EntryAnswer], moves: &[TierMove], oracle: &OMember) -> Vec<String> {
    let mut differences = Vec::new();
    balances(engine, oracle, &mut differences);
    let coupons = engine.map(|member| &member.coupons);
    let counts = [
        ("issued", coupons.map_or(0, |coupons| coupons.issued)),
        ("reserved", coupons.map_or(0, |coupons| coupons.reserved)),
        ("used", coupons.map_or(0, |coupons| coupons.used)),
        ("revoked", coupons.map_or(0, |coupons| coupons.revoked)),
        ("expired", coupons.map_or(0, |coupons| coupons.expired)),
    ];
    let mut check = |what: &str, engine: &dyn Debug, oracle: &dyn Debug| {
        let (engine, oracle) = (format!("{engine:?}"), format!("{oracle:?}"));
        if engine != oracle {
            differences.push(format!("{what}\n  engine: {engine}\n  oracle: {oracle}"));
        }
    };
    for (status, count) in counts {
        check(&format!("coupons {status}"), &count, &oracle.coupons.get(status).copied().unwrap_or(0));
    }
    check("parked", &engine.map_or(0, |member| member.parked), &oracle.parked);
    check("exceptions", &engine.map_or(0, |member| member.exceptions), &oracle.exceptions);
    check("orders", &engine.map_or(0, |member| member.orders as usize), &oracle.orders);
    check("eligible spend", &engine.map_or(0, |member| minor(&member.eligible_spend)), &oracle.eligible_spend);
    check("standing", &engine.map_or("", |member| member.standing), &oracle.status);
    check("cards", &cards_of_engine(engine), &cards_of_oracle(oracle));
    check("tier moves", &moves_of_engine(moves), &moves_of_oracle(oracle));
    check("lots", &lots_of_engine(engine), &lots_of_oracle(oracle));
    let by_engine: Vec<String> =
        told.iter().map(|entry| line(&entry.at, entry.kind, &entry.ledger, entry.points, &entry.code)).collect();
    let of_oracle = oracle.full_entries.iter();
    let by_oracle: Vec<String> =
        of_oracle.map(|entry| line(&shown(entry.at), &entry.kind, &entry.ledger, entry.points, &entry.code)).collect();
    if by_engine != by_oracle {
        let same = by_engine.iter().zip(&by_oracle).take_while(|(a, b)| a == b).count();
        let some = |entries: &[String]| entries.iter().skip(same.saturating_sub(2)).take(7).cloned().collect::<Vec<_>>();
        differences.push(format!("entries, number {same}\n  engine: {:?}\n  oracle: {:?}", some(&by_engine), some(&by_oracle)));
    }
    achievements(engine, oracle, &mut differences);
    if let Some(tier) = &oracle.tier {
        let amount = |amount: i64| money(amount, tier.digits);
        let by_oracle = (
            (tier.effective.clone(), tier.qualified.clone(), amount(tier.metric)),
            (tier.next.clone(), tier.missing.map(amount), tier.held_until.map(shown)),
        );
        let by_engine = engine
            .and_then(|member| member.tier.clone())
            .map(|tier| ((tier.effective, tier.qualified, tier.metric), (tier.next, tier.missing, tier.held_until)));
        if by_engine.as_ref() != Some(&by_oracle) {
            differences.push(format!("tier\n  engine: {by_engine:?}\n  oracle: {by_oracle:?}"));
        }
    }
    for (ledger, balance) in engine.into_iter().flat_map(|member| &member.balance) {
        let by_engine: Vec<(i64, String)> = balance.expiring.iter().map(|part| (part.points, part.at.clone())).collect();
        let by_oracle: Vec<(i64, String)> = oracle.expiring(ledger).into_iter().map(|(points, at)| (points, shown(at))).collect();
        if by_engine != by_oracle {
            differences.push(format!("expiring {ledger}\n  engine: {by_engine:?}\n  oracle: {by_oracle:?}"));
        }
    }
    if !oracle.broken.is_empty() {
        differences.push(format!("the oracle is broken: {:?}", oracle.broken));
    }
    differences
}

fn balances(engine: Option<&MemberAnswer>, oracle: &OMember, differences: &mut Vec<String>) {
    let of_engine = engine.map(|member| &member.balance);
    let names: BTreeSet<&String> = of_engine.into_iter().flat_map(BTreeMap::keys).chain(oracle.ledgers.keys()).collect();
    for name in names {
        let o = oracle.ledger(name);
        let wanted = [
            ("active", o.active),
            ("pending", o.pending),
            ("debt", o.debt),
            ("spent", o.spent),
            ("expired", o.expired),
            ("earned", o.earned),
            ("cancelled", o.cancelled),
            ("clawed_back", o.clawed_back),
            ("repaid", o.repaid),
            ("deducted", o.deducted),
            ("moved_in", o.transferred_in),
            ("moved_out", o.transferred_out),
        ];
        let found = of_engine.and_then(|balance| balance.get(name)).map_or([0; 12], |e| {
            let taken = [e.cancelled, e.clawed_back, e.repaid, e.deducted, e.moved_in, e.moved_out];
            let [cancelled, clawed_back, repaid, deducted, moved_in, moved_out] = taken;
            let all = [e.active, e.pending, e.debt, e.spent, e.expired, e.earned];
            let [active, pending, debt, spent, expired, earned] = all;
            [active, pending, debt, spent, expired, earned, cancelled, clawed_back, repaid, deducted, moved_in, moved_out]
        });
        for ((what, oracle), engine) in wanted.into_iter().zip(found) {
            if oracle != engine {
                differences.push(format!("balance {name} {what}\n  engine: {engine}\n  oracle: {oracle}"));
            }
        }
    }
}

/// Each that the engine shows has a row with the oracle's progress.
fn achievements(engine: Option<&MemberAnswer>, oracle: &OMember, differences: &mut Vec<String>) {
    for (id, (status, progress, _)) in &oracle.feats {
        let rows: Vec<(&str, i64)> = engine
            .into_iter()
            .flat_map(|member| &member.achievements)
            .filter(|row| row.id == *id)
            .map(|row| (row.status, minor(&row.progress)))
            .collect();
        // How long a period lasts is for the ruleset asked: another may call in progress what this one calls expired.
        let is_it = |row: &(&str, i64)| row.1 == *progress && (row.0 == "completed") == (*status == "completed");
        if !rows.is_empty() && !rows.iter().any(is_it) {
            differences.push(format!("achievement {id}\n  engine: {rows:?}\n  oracle: {status} {progress}"));
        }
    }
}

fn minor(decimal: &str) -> i64 {
    decimal.replace('.', "").parse().unwrap_or(i64::MIN)
}

/// Coupons, waiting and exceptions are of no ledger.
fn line(at: &str, kind: &str, ledger: &str, points: i64, code: &str) -> String {
    let of_no_ledger = ["parked", "exception", "exception_resolved", "tier_changed"];
    let moves = !(kind.starts_with("coupon_") || kind.starts_with("achievement_") || of_no_ledger.contains(&kind));
    let about = if kind == "exception" { code } else { "" };
    format!("{at} {kind} {points} {}{about}", if moves { ledger } else { "" })
}

/// When, why, in force before and since, qualified for before and since.
type Moves<'a> = Vec<(String, &'a str, [&'a str; 2], [&'a str; 2])>;

fn moves_of_engine(moves: &[TierMove]) -> Moves<'_> {
    moves
        .iter()
        .map(|each| (each.at.clone(), each.cause, [&*each.from, &*each.to], [&*each.qualified_before, &*each.qualified]))
        .collect()
}

fn moves_of_oracle(oracle: &OMember) -> Moves<'_> {
    oracle.transitions.iter().map(|each| (shown(each.at), &*each.cause, pair(&each.effective), pair(&each.qualified))).collect()
}

fn pair((before, since): &(String, String)) -> [&str; 2] {
    [before, since]
}

type Lots = Vec<(String, bool, i64, String, String)>;

fn lots_of_engine(engine: Option<&MemberAnswer>) -> Lots {
    let mut lots = Lots::new();
    for (ledger, balance) in engine.into_iter().flat_map(|member| &member.balance) {
        lots.extend(
            balance
                .lots
                .iter()
                .map(|lot| (ledger.clone(), lot.status == "active", lot.left, lot.starts_at.clone(), lot.expires_at.clone())),
        );
    }
    lots.sort();
    lots
}

type Cards = Vec<(String, String, String, Option<String>)>;

fn cards_of_engine(engine: Option<&MemberAnswer>) -> Cards {
    let cards = engine.into_iter().flat_map(|member| &member.cards);
    cards.map(|card| (card.code.clone(), card.status.to_owned(), card.issued_at.clone(), card.replaced_by.clone())).collect()
}

fn cards_of_oracle(oracle: &OMember) -> Cards {
    let cards = oracle.cards.iter();
    cards.map(|card| (card.code.clone(), card.status.clone(), shown(card.issued_at), card.replaced_by.clone())).collect()
}

fn lots_of_oracle(oracle: &OMember) -> Lots {
    let end = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), shown);
    let lot = |lot: &OLot| (lot.ledger.clone(), lot.active, lot.points, end(lot.starts), end(lot.expires));
    let mut lots: Lots = oracle.lots.iter().map(lot).collect();
    lots.sort();
    lots
}
