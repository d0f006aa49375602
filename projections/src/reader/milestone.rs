//! A member of many facts as of a past: folded on from the last milestone before it.

use super::{AsKnown, AsOf, Found, LedgerReader, Wanted};
use crate::error::ProjectionError;
use crate::milestones::{self, Known, MilestoneStatus};
use crate::programs::Programs;
use accrue_ledger::{Fold, Instant, Records, Text};
use accrue_store::Position;

/// A member whose milestones are asked for, as it was found under one lock.
pub(super) struct Along<'a> {
    pub program: &'a str,
    pub owner: &'a Text,
    /// Of all its facts, ascending.
    pub positions: &'a [Position],
    pub programs: &'a Programs,
}

impl LedgerReader {
    /// The member then, or that there was none. Outside `None`: its milestones can't tell.
    pub(super) fn find_along(
        &self,
        of: &Along<'_>,
        known: AsKnown,
        at: Instant,
        wanted: Wanted,
    ) -> Result<Option<Option<Found>>, ProjectionError> {
        let (position, recorded) = known.bounds();
        let rules_then = of.programs.known(of.program, position, recorded);
        let (Some(rules), Some(rules_then)) = (of.programs.known(of.program, None, None), rules_then) else {
            return Ok(Some(None));
        };
        // Who reads at the same time may see more facts, and have taken them in.
        let seen = of.positions.last().copied().unwrap_or(Position::NONE);
        let known =
            Known { position: position.map_or(seen, |position| position.min(seen)), recorded: recorded.unwrap_or(Instant::MAX) };
        let asked = milestones::Wanted {
            log: &self.shared.log,
            positions: of.positions,
            rules: &rules,
            rules_then: &rules_then,
            known,
            at,
            records: wanted != Wanted::State,
        };
        let milestones = &self.shared.milestones;
        let Some(then) = milestones.with(of.program, of.owner, |course, options| course.then(&asked, options))? else {
            return Ok(None);
        };
        if then.milestone {
            milestones.answered();
        }
        let (mut state, records) = (then.state, then.records);
        // Nothing that happens by itself asks for a record, but coupons that end become some.
        let mut past = records.map(|records| (records, Vec::new()));
        let mut none = Records::complete();
        let records = past.as_mut().map_or(&mut none, |(records, _)| records);
        Fold::new(&mut state, records, &rules_then, &mut ()).advance(at);
        let found =
            Found { member: of.owner.clone(), state, rules: rules_then, at, position: self.shared.durable(), past, family: None };
        Ok(Some(Some(found).filter(|found| found.state.known)))
    }

    /// What milestones of members come to.
    pub fn milestones(&self) -> MilestoneStatus {
        self.shared.milestones.status()
    }

    /// Whether a member of a past, told from its milestones where it has some, is the one that is folded from its beginning, in
    /// everything: for tests that check after every fact.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn milestones_hold(&self, program: &str, member: &str, asked: AsOf, now: Instant) -> Result<bool, ProjectionError> {
        let all = |found: Found| {
            let past = found.past.map(|(records, _)| {
                let all = records.iter().map(|(key, record)| (key, record.into_owned()));
                (all.collect::<Vec<_>>(), records.is_complete_for_orders())
            });
            (found.member, found.state, past)
        };
        let whole = self.find(program, member, asked, now, Wanted::Entries)?.map(all);
        let along = self.find(program, member, asked, now, Wanted::Records)?.map(all);
        let alone = self.find(program, member, asked, now, Wanted::State)?.map(all);
        let same_state = whole.as_ref().map(|(_, state, _)| state) == alone.as_ref().map(|(_, state, _)| state);
        Ok(whole == along && same_state)
    }
}
