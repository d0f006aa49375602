//! Manual changes and opening balances.

use super::clawback::{take_own_active, take_pending};
use super::lots::{NewLot, Told, parts};
use super::{Draft, Fold, Source};
use crate::account::{Allocation, Lot};
use crate::decision::Promise;
use crate::entry::{EntryKind, Sink, Why};
use crate::fact::{PointsAdjusted, PointsImported};
use crate::ruleset::{MAIN, Ruleset};
use crate::{Instant, Kind, Text};

impl<S: Sink> Fold<'_, S> {
    /// More points are a lot of their own; fewer are taken in spend order, from what they take back before others, and what is missing
    /// is owed.
    pub(super) fn points_adjusted(
        &mut self,
        fact: &PointsAdjusted<'_>,
        promise: &Promise,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        self.tier_credit(fact.tier_credit, rules, at);
        let ledger = fact.ledger.unwrap_or(MAIN);
        let why = Why::Manual { reason: Text::new(fact.reason) };
        let ruleset = rules.tag();
        if promise.points > 0 {
            self.member.account_mut(ledger).sums.added += promise.points;
            let new = NewLot {
                ledger,
                source,
                occurred_at: at,
                ruleset,
                rule: None,
                points: promise.points,
                starts_at: promise.starts_at.unwrap_or(at),
                expires_at: promise.expires_at.unwrap_or(Instant::MAX),
                cancel_at: Instant::MAX,
            };
            self.open_lot(new, Told { kind: EntryKind::Adjusted, source, why }, rules, at);
            return;
        }
        let (pending, active) = self.deducted(fact, ledger, -promise.points, rules);
        for (kind, taken) in [(EntryKind::Cancelled, &pending), (EntryKind::Adjusted, &active)] {
            let (points, lots, why) = (sum(taken), parts(taken, -1), why.clone());
            if points > 0 {
                self.entry(Draft { kind, at, ledger, points: -points, source, ruleset, rule: None, lots: &lots, why });
            }
        }
        let missing = -promise.points - sum(&pending) - sum(&active);
        if missing > 0 {
            self.owe(ledger, missing, source, None, ruleset, at);
        }
    }

    /// What pending and what active lots gave.
    fn deducted(
        &mut self,
        fact: &PointsAdjusted<'_>,
        ledger: &str,
        points: i64,
        rules: &Ruleset,
    ) -> (Vec<Allocation>, Vec<Allocation>) {
        let (mut pending, mut active) = (Vec::new(), Vec::new());
        if let Some(id) = fact.takes_back {
            let (account, order) = (self.member.account_mut(ledger), rules.spend_order);
            pending = take_pending(account, |lot| is_of_adjustment(lot, id), None, points, order);
            account.sums.pending -= sum(&pending);
            account.sums.cancelled += sum(&pending);
            active = take_own_active(account, |lot| is_of_adjustment(lot, id), None, points - sum(&pending), order);
        }
        active.extend(self.take_active(ledger, points - sum(&pending) - sum(&active), rules));
        self.member.account_mut(ledger).sums.deducted += sum(&active);
        (pending, active)
    }

    pub(super) fn points_imported(&mut self, fact: &PointsImported<'_>, source: Source<'_>, rules: &Ruleset, at: Instant) {
        self.tier_credit(fact.tier_credit, rules, at);
        let ledger = fact.ledger.unwrap_or(MAIN);
        for lot in &fact.lots {
            self.member.account_mut(ledger).sums.imported += lot.points;
            let new = NewLot::brought(lot, ledger, source, rules, at);
            self.open_lot(new, Told { kind: EntryKind::Imported, source, why: Why::Import }, rules, at);
        }
    }
}

/// Whether an adjustment opened the lot.
pub(crate) fn is_of_adjustment(lot: &Lot, id: &str) -> bool {
    lot.source_kind == Kind::PointsAdjusted as u8 && lot.source == *id
}

fn sum(taken: &[Allocation]) -> i64 {
    taken.iter().map(|part| part.points).sum()
}
