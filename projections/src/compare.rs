//! What other rules would make of everything there is: a program's whole history folded under two timelines, and compared.
//!
//! Decisions that were made stay made (§1): what the other rules would not have covered is debt, and is counted apart.

mod tally;

pub use tally::{LedgerShift, MemberShift, Outstanding, RuleShift, Tally};

use crate::error::ProjectionError;
use crate::sweep::{Relatives, Sweep, Swept};
use accrue_ledger::{EntryKind, EntryRef, Instant, Kind, Member, Sink, Timeline};
use accrue_store::member_hash;
use std::collections::BTreeMap;

/// What ends within so many days is "soon".
const SOON_MICROS: i64 = 30 * 86_400_000_000;

/// Two timelines of a program's rules.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    /// The program.
    pub program: &'a str,
    /// The rules there are.
    pub old: &'a Timeline,
    /// The rules there might be.
    pub new: &'a Timeline,
    /// The instant at which members are compared.
    pub at: Instant,
    /// One of so many members, by hash; 1: all.
    pub sample: u64,
    /// How many gainers and losers are named.
    pub named: usize,
}

/// A member under one timeline.
#[derive(Clone, Debug, Default, PartialEq)]
struct Numbers {
    ledgers: BTreeMap<String, Outstanding>,
    tier: String,
    /// What each rule gave, net of what was taken back.
    rules: BTreeMap<String, i64>,
    /// Redemptions, accepted or recorded, that points did not cover, and by how much.
    uncovered: BTreeMap<String, i64>,
}

impl Comparison<'_> {
    /// Adds all members of a shard to a tally.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn add(&self, sweep: &Sweep<'_>, tally: &mut Tally, mut progress: impl FnMut(Swept)) -> Result<(), ProjectionError> {
        sweep.run(
            || Tally::new(self.named),
            |of_part, relatives| {
                if relatives.program == self.program {
                    self.compare(relatives, of_part);
                }
                Ok(())
            },
            |of_part, swept| {
                tally.add(of_part);
                progress(swept);
                Ok(())
            },
        )
    }

    fn compare(&self, relatives: &mut Relatives<'_>, tally: &mut Tally) {
        for member in relatives.members(self.at) {
            if !member_hash(self.program, &member).is_multiple_of(self.sample.max(1)) {
                continue;
            }
            let (old, new) = (self.numbers(relatives, &member, self.old), self.numbers(relatives, &member, self.new));
            if let (Some(old), Some(new)) = (old, new) {
                tally.member(&member, &old, &new);
            }
        }
    }

    /// `None`: nothing makes the member known by then.
    fn numbers(&self, relatives: &mut Relatives<'_>, member: &str, rules: &Timeline) -> Option<Numbers> {
        let mut given = Given { rules, numbers: Numbers::default() };
        let (state, _) = relatives.fold(member, rules, self.at, &mut given);
        let mut numbers = given.numbers;
        // Of an alias in another shard than its winner's, nothing is left there but the tie.
        if !state.known || state.winner().is_some() {
            return None;
        }
        numbers.ledgers = outstanding(&state, rules, self.at);
        numbers.tier = tier(&state, rules, self.at);
        numbers.uncovered.retain(|_, points| *points > 0);
        Some(numbers)
    }
}

pub(crate) fn outstanding(state: &Member, rules: &Timeline, at: Instant) -> BTreeMap<String, Outstanding> {
    let soon = Instant(at.0.saturating_add(SOON_MICROS));
    let in_force = rules.at(at).map(|rules| &**rules);
    let of = |account: &accrue_ledger::Account| {
        let ending = account.expiring(in_force).into_iter().filter(|(end, _)| *end <= soon);
        let sums = &account.sums;
        let expiring = ending.map(|(_, points)| points).sum();
        (account.ledger.to_string(), Outstanding { active: sums.active, pending: sums.pending, debt: sums.debt, expiring })
    };
    state.accounts.iter().map(of).collect()
}

pub(crate) fn tier(state: &Member, rules: &Timeline, at: Instant) -> String {
    let tier = rules.at(at).and_then(|rules| {
        let progress = state.tier_progress(rules, at)?;
        Some(rules.tiers.as_ref()?.get(progress.effective).id.to_string())
    });
    tier.unwrap_or_default()
}

/// Notes what each rule gives, and what redemptions leave owing.
struct Given<'a> {
    rules: &'a Timeline,
    numbers: Numbers,
}

impl Sink for Given<'_> {
    fn entry(&mut self, _: u32, entry: &EntryRef<'_>) {
        let given =
            matches!(entry.kind, EntryKind::Earned | EntryKind::Cancelled | EntryKind::ClawedBack | EntryKind::DebtOpened);
        let redeemed = [Kind::RedemptionRequested as u8, Kind::RedemptionRecorded as u8].contains(&entry.source_kind);
        if entry.kind == EntryKind::DebtOpened && redeemed {
            *self.numbers.uncovered.entry(entry.source.to_owned()).or_default() += entry.points;
        } else if let Some(rule) = entry.rule.filter(|_| given) {
            let ruleset = self.rules.by_tag(entry.ruleset);
            let name = ruleset.and_then(|ruleset| Some(ruleset.earn.get(usize::from(rule))?.id.as_str()));
            let points = if entry.kind == EntryKind::DebtOpened { -entry.points } else { entry.points };
            match name {
                Some(name) if self.numbers.rules.contains_key(name) => {
                    self.numbers.rules.entry(name.to_owned()).and_modify(|sum| *sum += points);
                }
                Some(name) => {
                    self.numbers.rules.insert(name.to_owned(), points);
                }
                None => {}
            }
        }
    }
}
