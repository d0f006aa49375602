//! Points that came from another member, or came back: their lots keep start and end.

use super::lots::{NewLot, Told};
use super::{Fold, Source};
use crate::account::{Allocation, Lot, RuleIndex};
use crate::entry::{EntryKind, Sink, Why};
use crate::link::PointsReceived;
use crate::ruleset::{MAIN, Ruleset};
use crate::{Instant, Text};

impl<S: Sink> Fold<'_, S> {
    /// What ended on its way comes in and expires at once; so does all that comes back to a member who was erased.
    pub(super) fn points_received(&mut self, received: &PointsReceived<'_>, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let ledger = received.ledger.unwrap_or(MAIN);
        let erased = self.member.status() == crate::Status::Erased;
        let end = |lot: &crate::ImportedLot| if erased { at } else { lot.expires_at.unwrap_or(Instant::MAX) };
        let alive = received.lots.iter().filter(|lot| end(lot) > at).map(|lot| {
            let lot_of = Lot {
                number: 0,
                source_kind: source.kind,
                source: Text::default(),
                occurred_at: lot.earned_at.unwrap_or(at),
                ruleset: rules.tag(),
                rule: RuleIndex::default(),
                waits: false,
                turns_at: lot.starts_at.unwrap_or(at),
                expires_at: end(lot),
                amount: lot.points,
                left: lot.points,
            };
            Allocation { lot: lot_of, points: lot.points }
        });
        let alive: Vec<Allocation> = alive.collect();
        for lot in received.lots.iter().filter(|lot| end(lot) <= at) {
            let new = NewLot { expires_at: end(lot), ..NewLot::brought(lot, ledger, source, rules, at) };
            let why = Why::Transfer { other: Text::new(received.from_member) };
            self.open_lot(new, Told { kind: EntryKind::TransferredIn, source, why }, rules, at);
            let sums = &mut self.member.account_mut(ledger).sums;
            (sums.earned, sums.moved_in) = (sums.earned - lot.points, sums.moved_in + lot.points);
        }
        self.transfer_in(ledger, received.from_member, &alive, source, rules, at);
    }
}
