//! A member by the engine and by the oracle, number by number.

use accrue_projections::{EntryAnswer, MemberAnswer};
use accrue_tests::oracle::{OLot, OMember, calendar};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Instants as the engine shows them.
fn shown(at: i64) -> String {
    calendar::show(at)
}

/// What differs; nothing, one hopes.
pub fn differences(engine: Option<&MemberAnswer>, told: &[EntryAnswer], oracle: &OMember) -> Vec<String> {
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
    check("lots", &lots_of_engine(engine), &lots_of_oracle(oracle));
    let by_engine: Vec<String> = told.iter().map(|entry| line(&entry.at, entry.kind, &entry.ledger, entry.points)).collect();
    let by_oracle: Vec<String> =
        oracle.full_entries.iter().map(|entry| line(&shown(entry.at), &entry.kind, &entry.ledger, entry.points)).collect();
    if by_engine != by_oracle {
        let same = by_engine.iter().zip(&by_oracle).take_while(|(a, b)| a == b).count();
        let some = |entries: &[String]| entries.iter().skip(same.saturating_sub(2)).take(7).cloned().collect::<Vec<_>>();
        differences.push(format!("entries, number {same}\n  engine: {:?}\n  oracle: {:?}", some(&by_engine), some(&by_oracle)));
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
        ];
        let found = of_engine.and_then(|balance| balance.get(name)).map_or([0; 10], |e| {
            [e.active, e.pending, e.debt, e.spent, e.expired, e.earned, e.cancelled, e.clawed_back, e.repaid, e.deducted]
        });
        for ((what, oracle), engine) in wanted.into_iter().zip(found) {
            if oracle != engine {
                differences.push(format!("balance {name} {what}\n  engine: {engine}\n  oracle: {oracle}"));
            }
        }
    }
}

fn minor(decimal: &str) -> i64 {
    decimal.replace('.', "").parse().unwrap_or(i64::MIN)
}

/// Coupons, waiting and exceptions are of no ledger.
fn line(at: &str, kind: &str, ledger: &str, points: i64) -> String {
    let moves = !(kind.starts_with("coupon_") || ["parked", "exception"].contains(&kind));
    format!("{at} {kind} {points} {}", if moves { ledger } else { "" })
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

fn lots_of_oracle(oracle: &OMember) -> Lots {
    let end = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), shown);
    let lot = |lot: &OLot| (lot.ledger.clone(), lot.active, lot.points, end(lot.starts), end(lot.expires));
    let mut lots: Lots = oracle.lots.iter().map(lot).collect();
    lots.sort();
    lots
}
