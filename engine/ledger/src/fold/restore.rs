//! Giving back (§6): into the same lots, in reverse order of allocation, with their original end.
//!
//! 100 spent from a lot that ended on 31 January, reversed on 5 February: restored, and expired at that same instant; by staff
//! with `min_remaining = "P10D"`: they live to 15 February.

use super::coupon::take_back as take_back_coupon;
use super::lots::family_of;
use super::{Draft, Fold, Source};
use crate::account::{Allocation, Debt, Lot};
use crate::entry::{EntryKind, LotPart, Sink, Why};
use crate::fact::Cause;
use crate::record::{CouponStatus, RecordKey, Redemption};
use crate::ruleset::Ruleset;
use crate::{Instant, calendar};

impl<S: Sink> Fold<'_, S> {
    /// A redemption is undone, whole or in part; undone whole, its coupon is taken back.
    #[expect(clippy::too_many_arguments, reason = "one reversal is all of these")]
    pub(super) fn reversal(
        &mut self,
        key: RecordKey,
        points: i64,
        cause: Cause,
        promised: bool,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        self.give_back(key, points, cause, source, rules, at);
        let Some(mut redemption) = self.take_redemption(key) else {
            return;
        };
        let whole = redemption.reversed >= redemption.points;
        // A request was promised it; a cancelled order takes back only what can still be used.
        let taken = whole && (promised || redemption.is_open());
        let without = whole && redemption.coupon.is_none();
        let coupon = redemption.coupon.as_mut().filter(|_| taken);
        let why = coupon.and_then(|coupon| take_back_coupon(coupon, &mut self.member.closed));
        if why.is_some() || (without && points > 0) {
            self.uncount(&redemption);
        }
        self.put_redemption(redemption);
        if let Some(why) = why {
            self.coupon_entry(EntryKind::CouponRevoked, why, source, rules, at);
        }
    }

    /// Gives `points` of a redemption back: first what is still owed for it is lifted, then lots get back what they gave.
    pub(super) fn give_back(
        &mut self,
        key: RecordKey,
        points: i64,
        cause: Cause,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let Some(mut redemption) = self.take_redemption(key) else {
            return;
        };
        let points = points.min(redemption.points - redemption.reversed);
        redemption.reversed += points;
        let ledger = redemption.ledger.clone();
        let lifted = self.lift_debt(&redemption, &ledger, points, source, rules, at);
        let mut rest = points - lifted;
        // What paid its debt later is given back before what was allocated first: reverse order.
        let repaid = self.take_back_repaid(&redemption, &ledger, &mut rest);
        let spent = take_back(&mut redemption.allocation, &mut rest);
        let (from_debt, from_spent): (i64, i64) = (sum(&repaid), sum(&spent));
        let closed = redemption.coupon.as_ref().is_some_and(|coupon| coupon.status() == CouponStatus::Expired);
        debug_assert!(rest == 0 || closed || redemption.points == 0);
        self.put_redemption(redemption);
        let sums = &mut self.member.account_mut(&ledger).sums;
        sums.repaid -= from_debt;
        sums.repaid_back += from_debt;
        sums.spent -= from_spent;
        let back: Vec<Allocation> = repaid.into_iter().chain(spent).collect();
        if !back.is_empty() {
            self.put_back(back, &ledger, cause, source, rules, at);
        }
    }

    fn lift_debt(&mut self, of: &Redemption, ledger: &str, points: i64, source: Source<'_>, rules: &Ruleset, at: Instant) -> i64 {
        let account = self.member.account_mut(ledger);
        let Some(debt) = account.debts.iter_mut().find(|debt| is_of(debt, of)) else {
            return 0;
        };
        let lifted = debt.open.min(points);
        debt.open -= lifted;
        account.sums.debt -= lifted;
        account.sums.debt_lifted += lifted;
        if lifted > 0 {
            let (kind, ruleset, why) = (EntryKind::DebtOpened, rules.tag(), Why::Reversal { guaranteed: false });
            self.entry(Draft { kind, at, ledger, points: -lifted, source, ruleset, rule: None, lots: &[], why });
        }
        lifted
    }

    fn take_back_repaid(&mut self, of: &Redemption, ledger: &str, rest: &mut i64) -> Vec<Allocation> {
        let account = self.member.account_mut(ledger);
        let Some(index) = account.debts.iter().position(|debt| is_of(debt, of)) else {
            return Vec::new();
        };
        let back = take_back(&mut account.debts[index].paid_by, rest);
        if account.debts[index].open == 0 && account.debts[index].paid_by.is_empty() {
            account.debts.remove(index);
        }
        back
    }

    fn put_back(&mut self, back: Vec<Allocation>, ledger: &str, cause: Cause, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let least = match (cause, rules.refund.min_remaining) {
            (Cause::Staff, Some(remaining)) => calendar::add(at, remaining, calendar::To::Exact, &rules.zone),
            _ => Instant::MIN,
        };
        let (mut restored, mut ended) = (Vec::new(), Vec::new());
        for part in back {
            let guaranteed = part.lot.expires_at < least;
            let mut lot = Lot { left: part.points, ..part.lot };
            if guaranteed {
                lot.number = self.member.lots_opened;
                self.member.lots_opened += 1;
                (lot.expires_at, lot.amount) = (least, part.points);
            }
            restored.push(LotPart::of(&lot, part.points));
            let account = self.member.account_mut(ledger);
            if lot.expires_at <= at {
                account.sums.expired += part.points;
                ended.push(LotPart::of(&lot, -part.points));
                continue;
            }
            account.sums.active += part.points;
            match account.active.iter_mut().find(|known| known.number == lot.number) {
                Some(known) => known.left += part.points,
                None => account.insert(lot, true),
            }
        }
        let points: i64 = restored.iter().map(|part| part.points).sum();
        let (kind, ruleset, why) = (EntryKind::Restored, rules.tag(), Why::Reversal { guaranteed: least != Instant::MIN });
        // The balance after "restored" still has what ends in the same instant.
        let ending: i64 = ended.iter().map(|part| -part.points).sum();
        self.member.account_mut(ledger).sums.active += ending;
        self.entry(Draft { kind, at, ledger, points, source, ruleset, rule: None, lots: &restored, why });
        self.member.account_mut(ledger).sums.active -= ending;
        for part in ended {
            let (kind, why) = (EntryKind::Expired, Why::EndedAlready);
            self.entry(Draft { kind, at, ledger, points: part.points, source, ruleset, rule: None, lots: &[part], why });
        }
        self.repay(ledger, rules, at);
    }
}

/// Whether a debt is what a redemption or grant left owing.
fn is_of(debt: &Debt, redemption: &Redemption) -> bool {
    debt.source == redemption.id && family_of(debt.source_kind) == Some(redemption.family)
}

/// The last parts first, until `rest` is covered; parts that gave everything back are gone.
fn take_back(allocation: &mut Vec<Allocation>, rest: &mut i64) -> Vec<Allocation> {
    let mut back = Vec::new();
    while let Some(last) = allocation.last_mut().filter(|_| *rest > 0) {
        let points = last.points.min(*rest);
        *rest -= points;
        last.points -= points;
        back.push(Allocation { lot: last.lot.clone(), points });
        if last.points == 0 {
            allocation.pop();
        }
    }
    back
}

fn sum(parts: &[Allocation]) -> i64 {
    parts.iter().map(|part| part.points).sum()
}
