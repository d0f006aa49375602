//! Expiry by inactivity (§8): a clock for each ledger, moved by activities; when it runs out, all active lots end.
//!
//! P12M: 100 points, last order on 5 March 2024: they end with 5 March 2025, unless something happens before.

use super::{Draft, Fold, Source};
use crate::Instant;
use crate::account::Lot;
use crate::calendar::{self, To};
use crate::entry::{EntryKind, LotPart, Sink, Why};
use crate::fact::Body;
use crate::ruleset::{Inactivity, Ruleset};
use smallvec::SmallVec;

/// What has to be remembered of the time before a fact to see whether it was an activity.
pub(super) struct Before {
    /// `earned` of each account there was.
    earned: SmallVec<[i64; 2]>,
    /// Lots with smaller numbers were there.
    first_new: u32,
}

impl<S: Sink> Fold<'_, S> {
    pub(super) fn before_activity(&self) -> Before {
        let earned = self.member.accounts.iter().map(|account| account.sums.earned).collect();
        Before { earned, first_new: self.member.lots_opened }
    }

    /// Moves the clocks of the ledgers in which `body` was an activity; starts those that are needed.
    pub(super) fn after_activity(
        &mut self,
        body: &Body<'_>,
        accepted: bool,
        before: &Before,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let Some(inactivity) = rules.inactivity.as_ref() else { return };
        for index in 0..self.member.accounts.len() {
            if accepted && self.was_active(body, index, before, inactivity) {
                self.move_clock(index, before.first_new, inactivity, source, rules, at);
            }
        }
        self.start_clocks(rules, at);
    }

    fn was_active(&self, body: &Body<'_>, index: usize, before: &Before, inactivity: &Inactivity) -> bool {
        let account = &self.member.accounts[index];
        match body {
            Body::OrderPlaced(_) => inactivity.orders && account.sums.earned > before.earned.get(index).copied().unwrap_or(0),
            Body::Redemption(redemption) => inactivity.redemptions && account.ledger == *redemption.ledger.unwrap_or(crate::MAIN),
            Body::ActivityRecorded { activity, .. } => inactivity.activities.iter().any(|known| known == activity),
            _ => false,
        }
    }

    fn move_clock(
        &mut self,
        index: usize,
        first_new: u32,
        inactivity: &Inactivity,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let account = &mut self.member.accounts[index];
        let end = clock_end(inactivity, rules, at);
        let Some(before) = account.idle_at.replace(end) else { return };
        if before >= end {
            account.idle_at = Some(before);
            return;
        }
        let extended = |lot: &&Lot| lot.number < first_new && lot.expires_at > before;
        let points: i64 = account.active.iter().filter(extended).map(|lot| lot.left).sum();
        let part = |lot: &Lot| LotPart { lot: lot.number, points: 0, expires_at: lot.expires_at.min(end) };
        let lots: SmallVec<[LotPart; 4]> = account.active.iter().filter(extended).map(part).collect();
        let (ledger, ruleset) = (account.ledger.clone(), rules.tag());
        if points > 0 {
            let (kind, why) = (EntryKind::Extended, Why::Extended { before, until: end });
            self.entry(Draft { kind, at, ledger: &ledger, points, source, ruleset, rule: None, lots: &lots, why });
        }
    }

    /// Clocks that are not running start where there is something to end.
    pub(super) fn start_clocks(&mut self, rules: &Ruleset, at: Instant) {
        let Some(inactivity) = rules.inactivity.as_ref() else { return };
        for account in self.member.accounts.iter_mut().filter(|account| account.awaits_clock()) {
            account.idle_at = Some(clock_end(inactivity, rules, at));
        }
    }

    /// The clock of a ledger has run out: takes its active lots out, to be told with those that end by themselves.
    pub(super) fn idle_lots(&mut self, index: usize, rules: &Ruleset, at: Instant) -> SmallVec<[Lot; 4]> {
        let account = &mut self.member.accounts[index];
        if account.idle_at.take_if(|until| *until <= at).is_none() || rules.inactivity.is_none() {
            return SmallVec::new();
        }
        account.active.drain(..).collect()
    }
}

fn clock_end(inactivity: &Inactivity, rules: &Ruleset, at: Instant) -> Instant {
    calendar::add(at, inactivity.after, To::DayEnd, &rules.zone)
}
