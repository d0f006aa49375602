//! Points that go from one ledger of a member to another: lots keep their start and end.
//!
//! 100 of `main`, of which 60 end in June: a transfer of 80 takes these 60 and 20 others, and `gems` has two lots with their ends.

use super::lots::parts;
use super::{Draft, Fold, Source};
use crate::account::{Allocation, Lot, RuleIndex};
use crate::entry::{EntryKind, LotPart, Sink, Why};
use crate::ruleset::Ruleset;
use crate::{Instant, Text};

impl<S: Sink> Fold<'_, S> {
    /// A transfer within the member, as it was accepted.
    pub(super) fn transferred_between(
        &mut self,
        from: &str,
        to: &str,
        points: i64,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let taken = self.transfer_out(from, to, points, source, rules, at);
        self.transfer_in(to, from, &taken, source, rules, at);
    }

    /// Takes points in spend order, and tells it; returns what each lot gave. Late facts may have taken the cover of what was
    /// promised: then the gap is owed, and is a lot with the start and end of points given now. `other`: where they go.
    pub(super) fn transfer_out(
        &mut self,
        ledger: &str,
        other: &str,
        points: i64,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) -> Vec<Allocation> {
        let mut taken = self.take_active(ledger, points, rules);
        let moved: i64 = taken.iter().map(|part| part.points).sum();
        self.member.account_mut(ledger).sums.moved_out += moved;
        if moved > 0 {
            let (kind, lots, why) = (EntryKind::TransferredOut, parts(&taken, -1), Why::Transfer { other: Text::new(other) });
            let ruleset = rules.tag();
            self.entry(Draft { kind, at, ledger, points: -moved, source, ruleset, rule: None, lots: &lots, why });
        }
        if moved < points {
            self.owe(ledger, points - moved, source, None, rules.tag(), at);
            taken.push(Allocation { lot: uncovered(rules, at), points: points - moved });
        }
        taken
    }

    /// Puts what came into lots of its own, with the starts and ends they had, and repays debt. `other`: where it comes from.
    pub(super) fn transfer_in(
        &mut self,
        ledger: &str,
        other: &str,
        taken: &[Allocation],
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let moved: i64 = taken.iter().map(|part| part.points).sum();
        if moved == 0 {
            return;
        }
        let mut lots = Vec::with_capacity(taken.len());
        for part in taken {
            let lot = Lot {
                number: self.member.lots_opened,
                source_kind: source.kind,
                source: Text::new(source.id),
                rule: RuleIndex::default(),
                ruleset: rules.tag(),
                amount: part.points,
                left: part.points,
                ..part.lot.clone()
            };
            self.member.lots_opened += 1;
            lots.push(LotPart::of(&lot, part.points));
            self.member.account_mut(ledger).insert(lot, true);
        }
        let sums = &mut self.member.account_mut(ledger).sums;
        sums.moved_in += moved;
        sums.active += moved;
        let (kind, why, ruleset) = (EntryKind::TransferredIn, Why::Transfer { other: Text::new(other) }, rules.tag());
        self.entry(Draft { kind, at, ledger, points: moved, source, ruleset, rule: None, lots: &lots, why });
        self.repay(ledger, rules, at);
    }
}

/// A lot as it would be given now: its source and amount are those of the transfer.
fn uncovered(rules: &Ruleset, at: Instant) -> Lot {
    Lot {
        number: 0,
        source_kind: 0,
        source: Text::default(),
        occurred_at: at,
        ruleset: rules.tag(),
        rule: RuleIndex::default(),
        waits: false,
        turns_at: at,
        expires_at: rules.expires_at(&rules.life, at, at),
        amount: 0,
        left: 0,
    }
}
