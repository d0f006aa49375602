//! What happens by itself: points start and end, holds and coupons end (§2).
//!
//! A lot of 50 that starts on 1 May and ends on 1 June: `activated 50` at the first instant, `expired -50` at the second.

use super::{Draft, Fold, Source};
use crate::account::Lot;
use crate::entry::{EntryKind, LotPart, Sink, Why};
use crate::fact::Cause;
use crate::ruleset::{MAIN, Ruleset, SpendOrder};
use crate::{Instant, Text};
use smallvec::SmallVec;

/// What becomes of a lot at a boundary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Ends { active: bool },
    GivenUp,
    Starts,
}

impl Due {
    /// At one instant, in this order (§2).
    fn phase(self) -> u8 {
        match self {
            Due::Ends { .. } => 0,
            Due::GivenUp => 1,
            Due::Starts => 2,
        }
    }
}

impl<S: Sink> Fold<'_, S> {
    /// Everything that is due at `at`, in order: expire, give up, activate, repay; then coupons.
    pub(super) fn boundary(&mut self, at: Instant) {
        let Some(rules) = self.rules.at(at) else { return };
        self.member.passed = at;
        for index in 0..self.member.accounts.len() {
            if self.member.accounts[index].next_boundary() > at {
                continue;
            }
            let ledger = self.member.accounts[index].ledger.clone();
            let idle = self.idle_lots(index, rules, at);
            self.lots_due(index, &ledger, idle, rules.spend_order, at);
            self.repay(&ledger, rules, at);
        }
        if self.member.tier.is_some() {
            self.tier_due(at);
        }
        self.coupons_due(rules, at);
        self.start_clocks(rules, at);
    }

    /// Lots that end (`idle`: for want of activity), those that are given up, those that start; of each kind in spend order.
    fn lots_due(&mut self, index: usize, ledger: &Text, idle: SmallVec<[Lot; 4]>, order: SpendOrder, at: Instant) {
        let account = &mut self.member.accounts[index];
        let mut due: SmallVec<[(Due, Lot); 4]> = idle.into_iter().map(|lot| (Due::Ends { active: true }, lot)).collect();
        while let Some(lot) = account.active.pop_front_if(|lot| lot.expires_at <= at) {
            due.push((Due::Ends { active: true }, lot));
        }
        while let Some(lot) = account.pending.pop_front_if(|lot| lot.due() <= at) {
            let what = match (lot.waits, lot.expires_at <= at) {
                (true, _) => Due::GivenUp,
                (false, true) => Due::Ends { active: false },
                (false, false) => Due::Starts,
            };
            due.push((what, lot));
        }
        // Nearly always it is one.
        if due.len() > 1 {
            due.sort_by(|(a_due, a), (b_due, b)| a_due.phase().cmp(&b_due.phase()).then_with(|| a.used_cmp(b, order)));
        }
        for (what, lot) in due {
            let sums = &mut self.member.accounts[index].sums;
            *(if what == (Due::Ends { active: true }) { &mut sums.active } else { &mut sums.pending }) -= lot.left;
            match what {
                Due::Ends { .. } => {
                    sums.expired += lot.left;
                    let why = if lot.expires_at > at { Why::Inactive } else { Why::Boundary };
                    self.lot_entry(EntryKind::Expired, &lot, -lot.left, ledger, why, at);
                }
                Due::GivenUp => {
                    sums.cancelled += lot.left;
                    self.lot_entry(EntryKind::Cancelled, &lot, -lot.left, ledger, Why::NeverFulfilled, at);
                }
                Due::Starts => self.activate(lot, ledger, Why::Boundary, at),
            }
        }
    }

    /// A pending lot (its sum is taken off already) becomes spendable.
    pub(super) fn activate(&mut self, lot: Lot, ledger: &str, why: Why, at: Instant) {
        let account = self.member.account_mut(ledger);
        let (points, id) = (lot.left, lot.source.clone());
        let (ruleset, rule, lots) = (lot.ruleset, lot.rule.get(), [LotPart::of(&lot, points)]);
        let source = Source { kind: lot.source_kind, id: &id };
        account.sums.active += points;
        account.insert(lot, true);
        self.entry(Draft { kind: EntryKind::Activated, at, ledger, points, source, ruleset, rule, lots: &lots, why });
    }

    pub(super) fn lot_entry(&mut self, kind: EntryKind, lot: &Lot, points: i64, ledger: &str, why: Why, at: Instant) {
        let source = Source { kind: lot.source_kind, id: &lot.source };
        let (ruleset, rule, lots) = (lot.ruleset, lot.rule.get(), [LotPart::of(lot, points)]);
        self.entry(Draft { kind, at, ledger, points, source, ruleset, rule, lots: &lots, why });
    }

    fn coupons_due(&mut self, rules: &Ruleset, at: Instant) {
        while let Some(index) = self.member.open.iter().position(|redemption| redemption.next_boundary() <= at) {
            let mut redemption = self.member.open.remove(index);
            let Some(coupon) = redemption.coupon.as_mut() else { continue };
            let ended = coupon.expires_at <= at;
            coupon.expired = ended;
            let order = coupon.reserved.take().map_or(Text::default(), |(order, _)| order);
            let kind = if ended { EntryKind::CouponExpired } else { EntryKind::CouponReleased };
            let why = Why::Coupon { code: coupon.code.clone(), order };
            let restore = ended && coupon.restore_on_expiry && coupon.used_by.is_empty();
            let (family, id, key) = (redemption.family, redemption.id.clone(), redemption.key());
            let left = redemption.points - redemption.reversed;
            if ended {
                self.member.closed.expired += 1;
                self.put_redemption(redemption);
            } else {
                self.member.open.insert(index, redemption);
            }
            let source = Source { kind: family, id: &id };
            let (ruleset, rule, lots) = (rules.tag(), None, []);
            self.entry(Draft { kind, at, ledger: MAIN, points: 0, source, ruleset, rule, lots: &lots, why });
            if restore && left > 0 {
                self.give_back(key, left, Cause::System, source, rules, at);
            }
        }
    }
}
