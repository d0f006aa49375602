//! What other rules would make of everything there is: a program's whole history folded under two timelines, and compared.
//!
//! Decisions that were made stay made (§1): what the other rules would not have covered is debt, and is counted apart.

mod beside;
mod tally;

pub use beside::Beside;
pub use tally::{LedgerShift, MemberShift, Outstanding, RuleShift, Tally, Uncovered};

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
pub(crate) struct Numbers {
    pub ledgers: BTreeMap<String, Outstanding>,
    pub tier: String,
    /// What each rule gave, net of what was taken back; in parentheses what else moved points: it all adds up.
    pub rules: BTreeMap<String, i64>,
    /// Redemptions, accepted or recorded, that points did not cover, and by how much.
    pub uncovered: BTreeMap<String, i64>,
}

impl Numbers {
    fn net(&self) -> i64 {
        self.ledgers.values().map(Outstanding::net).sum()
    }
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
                self.each(relatives, |relatives, member, old, new| self.tell(of_part, relatives, member, (old, new)));
                Ok(())
            },
            |of_part, swept| {
                tally.add(of_part);
                progress(swept);
                Ok(())
            },
        )
    }

    /// Every member that there is under both, with what it has under each.
    pub(crate) fn each(&self, relatives: &mut Relatives<'_>, mut told: impl FnMut(&mut Relatives<'_>, &str, &Numbers, &Numbers)) {
        if relatives.program != self.program {
            return;
        }
        for member in relatives.members(self.at) {
            if !member_hash(self.program, &member).is_multiple_of(self.sample.max(1)) {
                continue;
            }
            let (old, new) = (self.numbers(relatives, &member, self.old), self.numbers(relatives, &member, self.new));
            if let (Some(old), Some(new)) = (old, new) {
                told(relatives, &member, &old, &new);
            }
        }
    }

    /// Adds a member to a tally; of those who gain or lose most, also the entries that differ.
    pub(crate) fn tell(&self, tally: &mut Tally, relatives: &mut Relatives<'_>, member: &str, (old, new): (&Numbers, &Numbers)) {
        let named = tally.would_name(new.net() - old.net());
        let beside = if named { self.beside(relatives, member) } else { Beside::default() };
        tally.member(member, (old, new), beside);
    }

    /// The tier at another instant, under the rules there are.
    pub(crate) fn tier_then(&self, relatives: &mut Relatives<'_>, member: &str, at: Instant) -> String {
        let (state, _) = relatives.fold(member, self.old, at, &mut ());
        tier(&state, self.old, at)
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
        let redeemed = [Kind::RedemptionRequested as u8, Kind::RedemptionRecorded as u8].contains(&entry.source_kind);
        if entry.kind == EntryKind::DebtOpened && redeemed {
            *self.numbers.uncovered.entry(entry.source.to_owned()).or_default() += entry.points;
        }
        let points = moved(entry);
        if points == 0 {
            return;
        }
        let ruleset = entry.rule.and_then(|rule| Some((self.rules.by_tag(entry.ruleset)?, rule)));
        let rule = ruleset.and_then(|(ruleset, rule)| Some(ruleset.earn.get(usize::from(rule))?.id.as_str()));
        match rule.filter(|_| is_given(entry.kind)) {
            Some(rule) => add(&mut self.numbers.rules, rule, points),
            None => add(&mut self.numbers.rules, &format!("({})", entry.kind.name()), points),
        }
    }
}

fn add(sums: &mut BTreeMap<String, i64>, name: &str, points: i64) {
    match sums.get_mut(name) {
        Some(sum) => *sum += points,
        None => drop(sums.insert(name.to_owned(), points)),
    }
}

/// Given by a rule, or taken back from what it gave.
fn is_given(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Earned | EntryKind::Cancelled | EntryKind::ClawedBack | EntryKind::DebtOpened)
}

/// By how much an entry moves active + pending − debt.
fn moved(entry: &EntryRef<'_>) -> i64 {
    match entry.kind {
        EntryKind::DebtOpened => -entry.points,
        // From pending to active, or from active to what is owed: the sum stays.
        EntryKind::Activated | EntryKind::DebtRepaid => 0,
        kind if kind.moves_points() => entry.points,
        _ => 0,
    }
}
