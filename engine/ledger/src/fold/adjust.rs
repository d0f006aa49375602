//! Manual changes and opening balances.

use super::lots::{NewLot, Told, parts};
use super::{Draft, Fold, Source};
use crate::decision::Promise;
use crate::entry::{EntryKind, Sink, Why};
use crate::fact::{PointsAdjusted, PointsImported};
use crate::ruleset::{MAIN, Ruleset};
use crate::{Instant, Text};

impl<S: Sink> Fold<'_, S> {
    /// More points are a lot of their own; fewer are taken in spend order, and what is missing is owed.
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
        let taken = self.take_active(ledger, -promise.points, rules);
        let points: i64 = taken.iter().map(|part| part.points).sum();
        self.member.account_mut(ledger).sums.deducted += points;
        if points > 0 {
            let (kind, lots) = (EntryKind::Adjusted, parts(&taken, -1));
            self.entry(Draft { kind, at, ledger, points: -points, source, ruleset, rule: None, lots: &lots, why });
        }
        let missing = -promise.points - points;
        if missing > 0 {
            self.owe(ledger, missing, source, None, ruleset, at);
        }
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
