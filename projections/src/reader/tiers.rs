//! A member's moves between tiers, and points that end within a time.

use super::{AsOf, LedgerReader};
use crate::answer::{ExpiringRow, TierMove};
use crate::error::ProjectionError;
use accrue_ledger::{Fold, Instant, Member, Records, Timeline};

impl LedgerReader {
    /// Every move of a member from one tier to another, oldest first, with its cause. `None`: no such member.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn tier_moves(
        &self,
        program: &str,
        member: &str,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<Vec<TierMove>>, ProjectionError> {
        let found = self.find_entries(program, member, asked, now)?;
        Ok(found.map(|(found, entries)| entries.iter().filter_map(|entry| TierMove::of(entry, &found.rules)).collect()))
    }

    /// Gives `each` what ends of spendable points after `at` and at or before `until`: member by member, of each soonest first.
    /// `at` is not before a member's latest fact ([`LedgerReader::expiring_then`] looks at a past). The writer waits meanwhile.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn each_expiring(
        &self,
        program: &str,
        at: Instant,
        until: Instant,
        mut each: impl FnMut(ExpiringRow),
    ) -> Result<(), ProjectionError> {
        let rules = self.timeline(program).unwrap_or_default();
        self.each_member(program, "", |member, mut state| {
            Fold::new(&mut state, &mut Records::complete(), &rules, &mut ()).advance(at);
            expiring(member, &state, &rules, at, until, &mut each);
            Ok(true)
        })
    }
}

/// What ends of a member's spendable points after `at` and at or before `until`, soonest first.
pub(super) fn expiring(
    member: &str,
    state: &Member,
    rules: &Timeline,
    at: Instant,
    until: Instant,
    mut each: impl FnMut(ExpiringRow),
) {
    let in_force = rules.at(at.max(state.last.at)).map(|rules| &**rules);
    for account in &state.accounts {
        for (end, points) in account.expiring(in_force) {
            if end > at && end <= until {
                each(ExpiringRow {
                    at: end.to_string(),
                    member: member.to_string(),
                    ledger: account.ledger.to_string(),
                    points,
                    by_inactivity: account.idle_end(in_force) == Some(end),
                });
            }
        }
    }
}
