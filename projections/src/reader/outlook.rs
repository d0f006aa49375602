//! A member as it is beside what it would be: what differs.

use super::Found;
use crate::answer::{BalanceAnswer, EntryAnswer, LotAnswer, MemberAnswer, member_answer};
use crate::explain::NUMBERS;
use accrue_ledger::{Entry, EntryKind, Kind, Why};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A member as it is beside what it would be.
#[derive(Clone, Debug, Serialize)]
pub struct Outlook {
    /// The program.
    pub program: String,
    /// The member.
    pub member: String,
    /// The instant at which both are looked at.
    pub as_of: String,
    /// What is otherwise, fact by fact.
    pub otherwise: Vec<String>,
    /// Numbers that differ: balances by ledger, the tier, counts of coupons.
    pub numbers: Vec<Changed>,
    /// Lots that differ.
    pub lots: Vec<LotChange>,
    /// Coupons that differ.
    pub coupons: Vec<CouponChange>,
    /// Decisions, and what tills had honoured, that points would not have covered, or by more.
    pub shortfalls: Vec<Shortfall>,
    /// Entries that would not be there.
    pub entries_gone: Vec<EntryAnswer>,
    /// Entries that would be there.
    pub entries_new: Vec<EntryAnswer>,
    /// The member as it is.
    pub before: MemberAnswer,
    /// As it would be.
    pub after: MemberAnswer,
}

/// A number on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// `main active`, `tier`, …
    pub what: String,
    /// As it is.
    pub before: String,
    /// As it would be.
    pub after: String,
    /// The difference, where they are whole numbers.
    pub delta: Option<i64>,
}

/// What is left of a lot on both sides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LotChange {
    /// The ledger.
    pub ledger: String,
    /// The fact it comes from.
    pub source: String,
    /// The rule; empty: none.
    pub rule: String,
    /// Spendable from.
    pub starts_at: String,
    /// Spendable to before this.
    pub expires_at: String,
    /// Points left as it is.
    pub before: i64,
    /// Points left as it would be.
    pub after: i64,
}

/// A coupon on both sides; empty: it is not there, or not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CouponChange {
    /// Its code.
    pub code: String,
    /// Its status as it is.
    pub before: String,
    /// Its status as it would be.
    pub after: String,
}

/// Points that a decision would have had to owe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shortfall {
    /// The kind of the decided request, or of the fact.
    pub source_kind: &'static str,
    /// Its id.
    pub source: String,
    /// Owed as it is.
    pub before: i64,
    /// Owed as it would be.
    pub after: i64,
}

pub(super) fn outlook(shard: u32, program: &str, otherwise: Vec<String>, before: &Found, after: &Found) -> Outlook {
    let (is, would) = (member_answer(shard, program, before), member_answer(shard, program, after));
    let (entries_gone, entries_new) = entries(before, after);
    Outlook {
        program: program.to_owned(),
        member: is.member.clone(),
        as_of: is.as_of.clone(),
        otherwise,
        numbers: numbers(&is, &would),
        lots: lots(&is, &would),
        coupons: coupons(&is, &would),
        shortfalls: shortfalls(before, after),
        entries_gone,
        entries_new,
        before: is,
        after: would,
    }
}

fn entries_of(found: &Found) -> &[Entry] {
    found.past.as_ref().map_or(&[], |(_, entries)| entries)
}

/// A number of a ledger by its name.
fn number(of: Option<&BalanceAnswer>, name: &str) -> i64 {
    of.map_or(0, |of| match name {
        "active" => of.active,
        "pending" => of.pending,
        "debt" => of.debt,
        "earned" => of.earned,
        "spent" => of.spent,
        "expired" => of.expired,
        "cancelled" => of.cancelled,
        "clawed_back" => of.clawed_back,
        "repaid" => of.repaid,
        "deducted" => of.deducted,
        "moved_in" => of.moved_in,
        "moved_out" => of.moved_out,
        "adjusted" => of.adjusted,
        "imported" => of.imported,
        _ => of.expiring_soon,
    })
}

/// A part of an answer, and what it is called.
type Named<A, T> = (&'static str, fn(&A) -> T);

fn numbers(is: &MemberAnswer, would: &MemberAnswer) -> Vec<Changed> {
    let mut rows = Vec::new();
    let ledgers: BTreeSet<&String> = is.balance.keys().chain(would.balance.keys()).collect();
    for ledger in ledgers {
        for name in NUMBERS {
            let (before, after) = (number(is.balance.get(ledger), name), number(would.balance.get(ledger), name));
            let what = format!("{ledger} {}", name.replace('_', " "));
            rows.push(Changed { what, before: before.to_string(), after: after.to_string(), delta: Some(after - before) });
        }
    }
    let tier =
        |of: &MemberAnswer, part: fn(&crate::answer::TierAnswer) -> String| of.tier.as_ref().map_or_else(String::new, part);
    let parts: [Named<crate::answer::TierAnswer, String>; 4] = [
        ("tier", |tier| tier.effective.clone()),
        ("tier qualified for", |tier| tier.qualified.clone()),
        ("counts toward the tier", |tier| tier.metric.clone()),
        ("tier held until", |tier| tier.held_until.clone().unwrap_or_default()),
    ];
    rows.extend(parts.map(|(what, part)| Changed {
        what: what.to_owned(),
        before: tier(is, part),
        after: tier(would, part),
        delta: None,
    }));
    let counts: [Named<MemberAnswer, i64>; 9] = [
        ("coupons issued", |of| i64::from(of.coupons.issued)),
        ("coupons reserved", |of| i64::from(of.coupons.reserved)),
        ("coupons used", |of| i64::from(of.coupons.used)),
        ("coupons revoked", |of| i64::from(of.coupons.revoked)),
        ("coupons expired", |of| i64::from(of.coupons.expired)),
        ("orders", |of| i64::from(of.orders)),
        ("parked", |of| i64::from(of.parked)),
        ("exceptions", |of| i64::from(of.exceptions)),
        ("facts", |of| i64::from(of.facts)),
    ];
    rows.extend(counts.map(|(what, count)| {
        let (before, after) = (count(is), count(would));
        Changed { what: what.to_owned(), before: before.to_string(), after: after.to_string(), delta: Some(after - before) }
    }));
    rows.retain(|row| row.before != row.after);
    rows
}

fn lots(is: &MemberAnswer, would: &MemberAnswer) -> Vec<LotChange> {
    let mut rows: BTreeMap<LotChange, (i64, i64)> = BTreeMap::new();
    for (side, of) in [is, would].into_iter().enumerate() {
        for (ledger, lot) in of.balance.iter().flat_map(|(ledger, of)| of.lots.iter().map(move |lot| (ledger, lot))) {
            let left = rows.entry(same_lot(ledger, lot)).or_default();
            if side == 0 { left.0 += lot.left } else { left.1 += lot.left }
        }
    }
    let differ = rows.into_iter().filter(|(_, (before, after))| before != after);
    differ.map(|(lot, (before, after))| LotChange { before, after, ..lot }).collect()
}

fn same_lot(ledger: &str, lot: &LotAnswer) -> LotChange {
    LotChange {
        ledger: ledger.to_owned(),
        source: format!("{}/{}", lot.source_kind, lot.source),
        rule: lot.rule.clone(),
        starts_at: lot.starts_at.clone(),
        expires_at: lot.expires_at.clone(),
        before: 0,
        after: 0,
    }
}

fn coupons(is: &MemberAnswer, would: &MemberAnswer) -> Vec<CouponChange> {
    let open = |of: &MemberAnswer| -> BTreeMap<String, String> {
        of.coupons.open.iter().map(|coupon| (coupon.code.clone(), coupon.status.to_owned())).collect()
    };
    let (before, after) = (open(is), open(would));
    let codes: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let status = |of: &BTreeMap<String, String>, code: &String| of.get(code).cloned().unwrap_or_default();
    let rows = codes.into_iter().map(|code| CouponChange {
        code: code.clone(),
        before: status(&before, code),
        after: status(&after, code),
    });
    rows.filter(|row| row.before != row.after).collect()
}

/// Entries of one side that the other does not have.
fn entries(before: &Found, after: &Found) -> (Vec<EntryAnswer>, Vec<EntryAnswer>) {
    let same = |entry: &Entry, found: &Found| {
        let rule = crate::answer::rule_name(&found.rules, entry.ruleset, entry.rule);
        (entry.at, entry.kind, entry.ledger.to_string(), entry.points, entry.source_kind, entry.source.to_string(), rule)
    };
    let mut counts = BTreeMap::new();
    for entry in entries_of(before) {
        *counts.entry(same(entry, before)).or_insert(0_i64) += 1;
    }
    let mut new = Vec::new();
    for (number, entry) in (0..).zip(entries_of(after)) {
        match counts.get_mut(&same(entry, after)).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => new.push(EntryAnswer::of(number, entry, &after.rules)),
        }
    }
    // Of several that are the same, the first are those that are on both sides.
    let mut gone = Vec::new();
    for (number, entry) in (0..).zip(entries_of(before)).collect::<Vec<(u32, &Entry)>>().into_iter().rev() {
        if let Some(count) = counts.get_mut(&same(entry, before)).filter(|count| **count > 0) {
            *count -= 1;
            gone.push(EntryAnswer::of(number, entry, &before.rules));
        }
    }
    gone.reverse();
    (gone, new)
}

/// What decisions and tills left owing, more than as it is.
fn shortfalls(before: &Found, after: &Found) -> Vec<Shortfall> {
    let mut owed: BTreeMap<(u8, String), (i64, i64)> = BTreeMap::new();
    for (side, found) in [before, after].into_iter().enumerate() {
        for entry in entries_of(found) {
            let promised = entry.source_kind().is_some_and(|kind| kind.is_request() || kind == Kind::RedemptionRecorded);
            if entry.kind == EntryKind::DebtOpened && promised && matches!(entry.why, Why::Uncovered { .. }) {
                let sums = owed.entry((entry.source_kind, entry.source.to_string())).or_default();
                if side == 0 { sums.0 += entry.points } else { sums.1 += entry.points }
            }
        }
    }
    let more = owed.into_iter().filter(|(_, (before, after))| after > before);
    let row = |((kind, source), (before, after)): ((u8, String), (i64, i64))| Shortfall {
        source_kind: Kind::from_number(u32::from(kind)).map_or("fact", Kind::name),
        source,
        before,
        after,
    };
    more.map(row).collect()
}
