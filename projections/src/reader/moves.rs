//! Who was ever in which tier, and the moves between them (§9).

use super::{AsKnown, AsOf, LedgerReader};
use crate::answer::TierMove;
use crate::error::ProjectionError;
use accrue_ledger::calendar::{date_of, day_number};
use accrue_ledger::{Instant, TierCause, TierChange, Timeline, Why};
use std::collections::{BTreeMap, BTreeSet};

/// Members looked at between two looks at the list of members.
const PAGE_MEMBERS: usize = 1_000;

/// The moves of a program's members between tiers, up to an instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TierMoves {
    /// Members that are known.
    pub members: u64,
    /// By tier: members that were ever in it.
    pub ever: BTreeMap<String, u64>,
    /// By tier: members that are in it.
    pub now: BTreeMap<String, u64>,
    /// By local month (`2011-03`): moves up and down.
    pub months: BTreeMap<String, (u64, u64)>,
    /// Falls that would not have been without refunds, cancellations or lower versions, by instant and member.
    pub lowered: Vec<Fall>,
}

/// A fall of a member.
#[derive(Clone, Debug, PartialEq)]
pub struct Fall {
    /// Who.
    pub member: String,
    /// From where to where, and why.
    pub change: TierMove,
}

impl TierMoves {
    /// Takes those of another shard in.
    pub fn add(&mut self, other: TierMoves) {
        self.members += other.members;
        other.ever.into_iter().for_each(|(tier, members)| *self.ever.entry(tier).or_default() += members);
        other.now.into_iter().for_each(|(tier, members)| *self.now.entry(tier).or_default() += members);
        for (month, (up, down)) in other.months {
            let sum = self.months.entry(month).or_default();
            *sum = (sum.0 + up, sum.1 + down);
        }
        self.lowered.extend(other.lowered);
        self.sort();
    }

    fn sort(&mut self) {
        self.lowered.sort_by(|a, b| (&a.change.at, &a.member).cmp(&(&b.change.at, &b.member)));
    }
}

impl LedgerReader {
    /// The moves of this shard's members between tiers up to `at`, in order of members.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn moves_between_tiers(&self, program: &str, at: Instant) -> Result<TierMoves, ProjectionError> {
        let rules = self.timeline(program).unwrap_or_default();
        let (mut moves, mut after) = (TierMoves::default(), String::new());
        loop {
            let page = self.members(program, &after, PAGE_MEMBERS, at)?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.member);
            for row in &page {
                let asked = AsOf { as_of: Some(at), known: AsKnown::Now };
                if let Some((found, entries)) = self.find_entries(program, &row.member, asked, at)? {
                    moves.of_member(&row.member, found.state.last.at.min(at), &entries, &rules);
                }
            }
        }
        moves.sort();
        Ok(moves)
    }
}

impl TierMoves {
    pub(super) fn of_member(&mut self, member: &str, first: Instant, entries: &[accrue_ledger::Entry], rules: &Timeline) {
        self.members += 1;
        let first_tier = rules.at(first).and_then(|rules| rules.tiers.as_ref()).map(|tiers| tiers.get(0).id.to_string());
        let (mut ever, mut now) = (BTreeSet::from_iter(first_tier.clone()), first_tier);
        for entry in entries {
            let Why::Tier(change) = &entry.why else { continue };
            ever.insert(change.to.to_string());
            now = Some(change.to.to_string());
            let Some(in_force) = rules.by_tag(entry.ruleset) else { continue };
            let rank = |tier: &str| in_force.tiers.as_ref().and_then(|tiers| tiers.index(tier));
            let month = date_of(day_number(entry.at, &in_force.zone)).chars().take(7).collect();
            let sum = self.months.entry(month).or_default();
            match rank(&change.to).cmp(&rank(&change.from)) {
                std::cmp::Ordering::Greater => sum.0 += 1,
                std::cmp::Ordering::Less => sum.1 += 1,
                std::cmp::Ordering::Equal => {}
            }
            if by_lowering(change) {
                self.lowered.extend(TierMove::of(entry, rules).map(|change| Fall { member: member.to_owned(), change }));
            }
        }
        ever.into_iter().for_each(|tier| *self.ever.entry(tier).or_default() += 1);
        now.into_iter().for_each(|tier| *self.now.entry(tier).or_default() += 1);
    }
}

/// Whether it was not maintained only because of what refunds had taken of the window.
fn by_lowering(change: &TierChange) -> bool {
    let fell = matches!(change.cause, TierCause::HoldEnded | TierCause::GraceEnded);
    fell && change.metric < change.needed && change.metric + change.lowered >= change.needed
}
