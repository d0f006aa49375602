//! Opening lots, taking from them, and paying what is owed.

use super::{Draft, Fold, Source};
use crate::account::{Allocation, Lot};
use crate::entry::{EntryKind, LotPart, Sink, Why};
use crate::ruleset::Ruleset;
use crate::{ImportedLot, Instant, Kind, Text};
use smallvec::SmallVec;

/// A lot to be opened.
pub(super) struct NewLot<'s> {
    pub ledger: &'s str,
    pub source: Source<'s>,
    pub occurred_at: Instant,
    pub ruleset: u64,
    pub rule: Option<u16>,
    pub points: i64,
    pub starts_at: Instant,
    pub expires_at: Instant,
    pub cancel_at: Instant,
}

impl<'s> NewLot<'s> {
    /// A lot that was one before, in another system or of another member.
    pub(super) fn brought(lot: &ImportedLot, ledger: &'s str, source: Source<'s>, rules: &Ruleset, at: Instant) -> NewLot<'s> {
        NewLot {
            ledger,
            source,
            occurred_at: lot.earned_at.unwrap_or(at),
            ruleset: rules.tag(),
            rule: None,
            points: lot.points,
            starts_at: lot.starts_at.unwrap_or(at),
            expires_at: lot.expires_at.unwrap_or(Instant::MAX),
            cancel_at: Instant::MAX,
        }
    }
}

/// How the opening of a lot is told.
pub(super) struct Told<'s> {
    pub kind: EntryKind,
    pub source: Source<'s>,
    pub why: Why,
}

impl LotPart {
    pub(super) fn of(lot: &Lot, points: i64) -> LotPart {
        LotPart { lot: lot.number, points, expires_at: lot.expires_at }
    }
}

impl<S: Sink> Fold<'_, S> {
    /// Credits a new lot and tells it; 0 points: nothing. Returns its number. Debt is repaid at once when the lot is spendable.
    pub(super) fn open_lot(&mut self, new: NewLot<'_>, told: Told<'_>, rules: &Ruleset, at: Instant) -> Option<u32> {
        if new.points <= 0 {
            return None;
        }
        let number = self.member.lots_opened;
        self.member.lots_opened += 1;
        let waits = new.starts_at == Instant::MAX;
        let lot = Lot {
            number,
            source_kind: new.source.kind,
            source: Text::new(new.source.id),
            occurred_at: new.occurred_at,
            ruleset: new.ruleset,
            rule: new.rule.into(),
            waits,
            turns_at: if waits { new.cancel_at } else { new.starts_at },
            expires_at: new.expires_at,
            amount: new.points,
            left: new.points,
        };
        let part = LotPart::of(&lot, new.points);
        let given_up = waits && new.cancel_at <= at;
        let ended = given_up || (!waits && new.expires_at <= at);
        let active = !ended && new.starts_at <= at;
        let account = self.member.account_mut(new.ledger);
        account.sums.earned += new.points;
        match (ended, active) {
            (true, _) if given_up => account.sums.cancelled += new.points,
            (true, _) => account.sums.expired += new.points,
            (_, true) => account.sums.active += new.points,
            (_, false) => account.sums.pending += new.points,
        }
        if !ended {
            account.insert(lot, active);
        }
        let Told { kind, source, why } = told;
        let (ledger, ruleset, rule, points) = (new.ledger, new.ruleset, new.rule, new.points);
        self.entry(Draft { kind, at, ledger, points, source, ruleset, rule, lots: &[part], why });
        if ended {
            let part = LotPart { points: -points, ..part };
            let (kind, why) =
                if given_up { (EntryKind::Cancelled, Why::NeverFulfilled) } else { (EntryKind::Expired, Why::EndedAlready) };
            self.entry(Draft { kind, at, ledger, points: -points, source, ruleset, rule, lots: &[part], why });
        }
        if active {
            self.repay(ledger, rules, at);
        }
        Some(number)
    }

    /// Takes up to `points` from active lots in spend order. Sums are lowered; what the points are used for is the caller's.
    pub(super) fn take_active(&mut self, ledger: &str, points: i64, rules: &Ruleset) -> Vec<Allocation> {
        let account = self.member.account_mut(ledger);
        let mut missing = points.min(account.sums.active);
        let mut taken = Vec::new();
        for index in account.spend_order(rules.spend_order) {
            if missing == 0 {
                break;
            }
            let lot = &mut account.active[index];
            let part = lot.left.min(missing);
            lot.left -= part;
            missing -= part;
            taken.push(Allocation::of(lot, part));
        }
        account.sums.active -= taken.iter().map(|part| part.points).sum::<i64>();
        account.sweep();
        taken
    }

    /// Pays what is owed, oldest first, from active points (§4).
    pub(super) fn repay(&mut self, ledger: &str, rules: &Ruleset, at: Instant) {
        loop {
            let account = self.member.account_mut(ledger);
            if account.sums.debt == 0 || account.sums.active == 0 {
                return;
            }
            let Some(index) = account.debts.iter().position(|debt| debt.open > 0) else {
                return;
            };
            let open = account.debts[index].open;
            let taken = self.take_active(ledger, open, rules);
            let points: i64 = taken.iter().map(|part| part.points).sum();
            let lots = parts(&taken, -1);
            let account = self.member.account_mut(ledger);
            account.sums.debt -= points;
            account.sums.repaid += points;
            let debt = &mut account.debts[index];
            debt.open -= points;
            let (kind, id) = (debt.source_kind, debt.source.clone());
            if is_redemption(kind) {
                debt.paid_by.extend(taken);
            } else if debt.open == 0 {
                account.debts.remove(index);
            }
            let source = Source { kind, id: &id };
            let (kind, ruleset) = (EntryKind::DebtRepaid, rules.tag());
            self.entry(Draft { kind, at, ledger, points: -points, source, ruleset, rule: None, lots: &lots, why: Why::Debt });
        }
    }

    /// Owes `points` more, and says so.
    pub(super) fn owe(&mut self, ledger: &str, points: i64, source: Source<'_>, rule: Option<u16>, ruleset: u64, at: Instant) {
        let account = self.member.account_mut(ledger);
        account.sums.debt += points;
        account.sums.debt_opened += points;
        let debt = crate::Debt { source_kind: source.kind, source: Text::new(source.id), open: points, paid_by: Vec::new() };
        account.debts.push(debt);
        let (kind, why) = (EntryKind::DebtOpened, Why::Uncovered { due: points });
        self.entry(Draft { kind, at, ledger, points, source, ruleset, rule, lots: &[], why });
    }
}

/// Debts of redemptions are kept after they were paid: a reversal gives back to the lots that paid.
pub(super) fn is_redemption(kind: u8) -> bool {
    family_of(kind).is_some()
}

/// The family of ids that redemptions of that kind have; grants may cost points too.
pub(super) fn family_of(kind: u8) -> Option<u8> {
    match Kind::from_number(u32::from(kind)) {
        Some(Kind::RedemptionRecorded | Kind::RedemptionRequested) => Some(Kind::RedemptionRequested as u8),
        Some(Kind::RewardGranted) => Some(kind),
        _ => None,
    }
}

/// The parts of an entry from allocations.
pub(super) fn parts(taken: &[Allocation], sign: i64) -> SmallVec<[LotPart; 4]> {
    taken.iter().map(|part| LotPart::of(&part.lot, sign * part.points)).collect()
}
