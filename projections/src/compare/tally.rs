//! Differences of members, added up.

use super::{Beside, Numbers};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Points of a ledger that somebody has, waits for or owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outstanding {
    /// Spendable.
    pub active: i64,
    /// Not yet spendable.
    pub pending: i64,
    /// Owed.
    pub debt: i64,
    /// Of the active ones: those that end within 30 days.
    pub expiring: i64,
}

impl Outstanding {
    fn add(&mut self, other: Outstanding) {
        self.active += other.active;
        self.pending += other.pending;
        self.debt += other.debt;
        self.expiring += other.expiring;
    }

    pub(crate) fn net(&self) -> i64 {
        self.active + self.pending - self.debt
    }
}

/// A ledger under both rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerShift {
    /// Under the rules there are.
    pub old: Outstanding,
    /// Under the others.
    pub new: Outstanding,
    /// Members who have other numbers there.
    pub members: u64,
}

/// A rule under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleShift {
    /// Points it gave, net of what was taken back, under the rules there are.
    pub old: i64,
    /// Under the others.
    pub new: i64,
    /// Members to whom it gave another number.
    pub members: u64,
}

/// A member under both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberShift {
    /// Who.
    pub member: String,
    /// Active + pending − debt of all ledgers under the rules there are.
    pub old: i64,
    /// Under the others.
    pub new: i64,
    /// `new − old`.
    pub delta: i64,
    /// The tier, before and then.
    pub tier_old: String,
    /// As before.
    pub tier_new: String,
    /// Points of each rule, where they differ: before and then.
    pub rules: BTreeMap<String, (i64, i64)>,
    /// Entries that differ, side by side.
    pub entries: Beside,
}

/// A redemption that the other rules would not have covered: it stays made, and the points are owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uncovered {
    /// Who redeemed.
    pub member: String,
    /// What.
    pub redemption: String,
    /// Points owed for it, more than under the rules there are.
    pub points: i64,
}

/// The differences of many members.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Members compared.
    pub members: u64,
    /// Those of whom any number differs.
    pub changed: u64,
    /// Sum of all members' differences, without their signs.
    pub moved: u64,
    /// By ledger.
    pub ledgers: BTreeMap<String, LedgerShift>,
    /// Members by tier before and then; empty names: the program has none.
    pub tiers: BTreeMap<(String, String), u64>,
    /// By rule.
    pub rules: BTreeMap<String, RuleShift>,
    /// Members by the size of their difference: sign × (number of digits).
    pub sizes: BTreeMap<i8, u64>,
    /// Redemptions that the others would not have covered and the rules there are did, and the points that are missing.
    pub uncovered: (u64, i64),
    /// The largest of them.
    pub shortfalls: Vec<Uncovered>,
    /// Those who gain most, and those who lose most.
    pub gainers: Vec<MemberShift>,
    /// As above.
    pub losers: Vec<MemberShift>,
    /// Over all differences, in the order of members' hashes.
    digest: blake3::Hasher,
    leaves: Vec<u8>,
    named: usize,
}

impl Tally {
    /// An empty one that names so many gainers and losers.
    pub fn new(named: usize) -> Tally {
        Tally { named, ..Tally::default() }
    }

    /// Over everything that was added, in that order.
    pub fn digest(&self) -> String {
        let mut all = self.digest.clone();
        all.update(&self.leaves);
        all.finalize().to_hex().to_string()
    }

    /// Whether a member with that difference would be among those who are named.
    pub(super) fn would_name(&self, delta: i64) -> bool {
        let of = if delta > 0 { &self.gainers } else { &self.losers };
        let smallest = of.last().map_or(0, |shift| shift.delta.unsigned_abs());
        delta != 0 && (of.len() < self.named || delta.unsigned_abs() >= smallest)
    }

    pub(super) fn member(&mut self, member: &str, (old, new): (&Numbers, &Numbers), entries: Beside) {
        self.members += 1;
        let mut changed = old.tier != new.tier;
        *self.tiers.entry((old.tier.clone(), new.tier.clone())).or_default() += 1;
        for ledger in old.ledgers.keys().chain(new.ledgers.keys().filter(|ledger| !old.ledgers.contains_key(*ledger))) {
            let (was, is) =
                (old.ledgers.get(ledger).copied().unwrap_or_default(), new.ledgers.get(ledger).copied().unwrap_or_default());
            let shift = self.ledgers.entry(ledger.clone()).or_default();
            shift.old.add(was);
            shift.new.add(is);
            shift.members += u64::from(was != is);
            changed |= was != is;
        }
        self.changed += u64::from(changed);
        let rules = shifts(&old.rules, &new.rules);
        for (rule, points) in old
            .rules
            .keys()
            .map(|rule| (rule, (old.rules[rule], 0)))
            .chain(new.rules.keys().map(|rule| (rule, (0, new.rules[rule]))))
        {
            let shift = self.rules.entry(rule.clone()).or_default();
            (shift.old, shift.new) = (shift.old + points.0, shift.new + points.1);
        }
        for rule in rules.keys() {
            self.rules.entry(rule.clone()).or_default().members += 1;
        }
        for (redemption, points) in &new.uncovered {
            let more = points - old.uncovered.get(redemption).copied().unwrap_or(0);
            if more > 0 {
                self.uncovered = (self.uncovered.0 + 1, self.uncovered.1 + more);
                let shortfall = Uncovered { member: member.to_owned(), redemption: redemption.clone(), points: more };
                short(&mut self.shortfalls, shortfall, self.named);
            }
        }
        if old == new {
            return;
        }
        self.leaves.extend_from_slice(blake3::hash(format!("{member}\0{old:?}\0{new:?}").as_bytes()).as_bytes());
        let (was, is) = (old.net(), new.net());
        let delta = is - was;
        self.moved += delta.unsigned_abs();
        *self.sizes.entry(size(delta)).or_default() += 1;
        if delta != 0 {
            let (tier_old, tier_new) = (old.tier.clone(), new.tier.clone());
            let shift = MemberShift { member: member.to_owned(), old: was, new: is, delta, tier_old, tier_new, rules, entries };
            let of = if delta > 0 { &mut self.gainers } else { &mut self.losers };
            name(of, shift, self.named);
        }
    }

    /// Adds another: its members come after those that are here.
    pub(crate) fn add(&mut self, other: Tally) {
        self.members += other.members;
        self.changed += other.changed;
        self.moved += other.moved;
        self.uncovered = (self.uncovered.0 + other.uncovered.0, self.uncovered.1 + other.uncovered.1);
        for (ledger, shift) in other.ledgers {
            let of = self.ledgers.entry(ledger).or_default();
            of.old.add(shift.old);
            of.new.add(shift.new);
            of.members += shift.members;
        }
        for (rule, shift) in other.rules {
            let of = self.rules.entry(rule).or_default();
            (of.old, of.new, of.members) = (of.old + shift.old, of.new + shift.new, of.members + shift.members);
        }
        for (tiers, members) in other.tiers {
            *self.tiers.entry(tiers).or_default() += members;
        }
        for (size, members) in other.sizes {
            *self.sizes.entry(size).or_default() += members;
        }
        for shortfall in other.shortfalls {
            short(&mut self.shortfalls, shortfall, self.named);
        }
        for shift in other.gainers {
            name(&mut self.gainers, shift, self.named);
        }
        for shift in other.losers {
            name(&mut self.losers, shift, self.named);
        }
        self.digest.update(&std::mem::take(&mut self.leaves));
        self.digest.update(&other.leaves);
    }
}

/// Points of rules that differ.
fn shifts(old: &BTreeMap<String, i64>, new: &BTreeMap<String, i64>) -> BTreeMap<String, (i64, i64)> {
    let points = |of: &BTreeMap<String, i64>, rule: &str| of.get(rule).copied().unwrap_or(0);
    let all = old.keys().chain(new.keys());
    all.map(|rule| (rule.clone(), (points(old, rule), points(new, rule)))).filter(|(_, (old, new))| old != new).collect()
}

/// Digits of a number, with its sign.
fn size(delta: i64) -> i8 {
    let digits = delta.unsigned_abs().checked_ilog10().map_or(0, |log| log as i8 + 1);
    if delta < 0 { -digits } else { digits }
}

/// Keeps the largest; of the same size the first by id.
fn short(of: &mut Vec<Uncovered>, shortfall: Uncovered, named: usize) {
    let key = |of: &Uncovered| (Reverse(of.points), of.member.clone(), of.redemption.clone());
    let at = of.partition_point(|known| key(known) < key(&shortfall));
    if at < named {
        of.insert(at, shortfall);
        of.truncate(named);
    }
}

/// As above.
fn name(of: &mut Vec<MemberShift>, shift: MemberShift, named: usize) {
    let key = |shift: &MemberShift| (Reverse(shift.delta.unsigned_abs()), shift.member.clone());
    let at = of.partition_point(|known| key(known) < key(&shift));
    if at < named {
        of.insert(at, shift);
        of.truncate(named);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(active: i64, base: i64) -> Numbers {
        let outstanding = Outstanding { active, ..Outstanding::default() };
        Numbers {
            ledgers: [("main".to_owned(), outstanding)].into(),
            rules: [("base".to_owned(), base)].into(),
            ..Numbers::default()
        }
    }

    #[test]
    fn the_same_in_one_part_or_in_three() {
        let members: Vec<(String, Numbers, Numbers)> =
            (0..60).map(|n| (format!("m{n}"), numbers(n * 10, n * 10), numbers(n * (n % 5) * 5, n * (n % 5) * 5))).collect();
        let whole = members.iter().fold(Tally::new(4), |mut tally, (member, old, new)| {
            tally.member(member, (old, new), Beside::default());
            tally
        });
        let mut parts = Tally::new(4);
        for part in members.chunks(7) {
            let mut of_part = Tally::new(4);
            part.iter().for_each(|(member, old, new)| of_part.member(member, (old, new), Beside::default()));
            parts.add(of_part);
        }
        assert_eq!(whole.digest(), parts.digest());
        assert_eq!((whole.gainers.clone(), whole.losers.clone()), (parts.gainers.clone(), parts.losers.clone()));
        assert_eq!(whole.gainers.iter().map(|shift| shift.delta).collect::<Vec<_>>(), [590, 540, 490, 440]);
        assert_eq!((whole.members, whole.changed, whole.rules["base"].members), (60, 47, 47));
        assert_eq!((whole.sizes.values().sum::<u64>(), whole.ledgers["main"].members), (47, 47));
        assert_eq!([0, 7, -7, 10, -99, 100].map(size), [0, 1, -1, 2, -2, 3]);
    }
}
