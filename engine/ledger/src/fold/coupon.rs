//! The life of a coupon (§10): issued → reserved → used, or revoked, or expired; used → released.
//!
//! A one-use coupon used on order B; B is cancelled: the coupon is issued again, its points stay spent.

use super::{Draft, Fold, Source};
use crate::entry::{EntryKind, Sink, Why};
use crate::fact::{Cause, CouponRef, Kind};
use crate::member::{ClosedCoupons, Member};
use crate::record::{Coupon, CouponStatus, Order, Record, RecordKey, Redemption};
use crate::records::Records;
use crate::ruleset::{MAIN, Ruleset};
use crate::{Instant, Text};

/// Where a coupon's redemption or grant is, as far as the records at hand say.
pub(crate) fn key_of(member: &Member, records: &Records, coupon: CouponRef<'_>) -> Option<RecordKey> {
    match coupon {
        CouponRef::Redemption(id) => Some(RecordKey::new(Kind::RedemptionRequested, id)),
        CouponRef::Grant(id) => Some(RecordKey::new(Kind::RewardGranted, id)),
        CouponRef::Code(code) => {
            let has_code = |coupon: &Coupon| coupon.code == *code;
            let open = member.open.iter().find(|redemption| redemption.coupon.as_ref().is_some_and(has_code));
            open.map(|redemption| redemption.key()).or_else(|| match records.peek(RecordKey::code(code)).as_deref() {
                Some(Record::Code(key)) => Some(*key),
                _ => None,
            })
        }
    }
}

/// The records that a coupon's facts need.
pub(super) fn wants(member: &Member, records: &Records, coupon: CouponRef<'_>, want: &mut impl FnMut(RecordKey)) {
    // Also of an open coupon: it may end before the fact is folded, and is then found by its code alone.
    if let CouponRef::Code(code) = coupon {
        want(RecordKey::code(code));
    }
    key_of(member, records, coupon).into_iter().for_each(want);
}

impl<S: Sink> Fold<'_, S> {
    /// What a coupon came with.
    fn take_of(&mut self, coupon: CouponRef<'_>) -> Option<(RecordKey, Redemption)> {
        let key = key_of(self.member, self.records, coupon)?;
        Some((key, self.take_redemption(key)?))
    }

    pub(super) fn coupon_used(
        &mut self,
        coupon: CouponRef<'_>,
        order_id: &str,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let key = RecordKey::order(order_id);
        let mut order = self.take_order(key, order_id);
        self.coupon_on_order(coupon, &mut order, source, rules, at, true);
        self.records.put(key, Record::Order(order));
    }

    /// Uses a coupon on an order. `reported`: by a fact about the coupon, so that trouble is an exception.
    pub(super) fn coupon_on_order(
        &mut self,
        coupon: CouponRef<'_>,
        order: &mut Order,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
        reported: bool,
    ) {
        let Some((key, mut redemption)) = self.take_of(coupon) else {
            if reported {
                self.exception("coupon_unknown", name_of(coupon), 0, source, rules, at);
            }
            return;
        };
        let cost = redemption.points - redemption.reversed;
        let Some(held) = redemption.coupon.as_mut() else {
            self.put_redemption(redemption);
            self.exception("coupon_unknown", name_of(coupon), cost, source, rules, at);
            return;
        };
        if held.used_by.contains(&order.order_id) {
            self.put_redemption(redemption);
            return;
        }
        let trouble = match held.status() {
            // A hold is a promise to an order; that the shop used the coupon on another one is a fact.
            CouponStatus::Issued | CouponStatus::Reserved => None,
            CouponStatus::Used => Some("coupon_already_used"),
            CouponStatus::Revoked => Some("coupon_revoked"),
            CouponStatus::Expired => Some("coupon_expired"),
        };
        let code = held.code.clone();
        if let Some(trouble) = trouble {
            self.put_redemption(redemption);
            self.exception(trouble, &format!("{code} on order {}", order.order_id), cost, source, rules, at);
            return;
        }
        held.used_by.push(order.order_id.clone());
        // With a use left, what is held for another order stays held for it.
        let used_up = held.used_by.len() >= held.uses as usize;
        held.reserved.take_if(|(held_for, _)| used_up || *held_for == order.order_id);
        if held.status() == CouponStatus::Used {
            self.member.closed.used += 1;
        }
        if !order.tied.contains(&key) {
            order.tied.push(key);
        }
        self.put_redemption(redemption);
        let why = Why::Coupon { code, order: order.order_id.clone() };
        self.coupon_entry(EntryKind::CouponUsed, why, source, rules, at);
    }

    pub(super) fn coupon_released(
        &mut self,
        coupon: CouponRef<'_>,
        order_id: &str,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        match key_of(self.member, self.records, coupon) {
            Some(key) if self.has_coupon(key) => self.release(key, order_id, source, rules, at),
            _ => self.exception("coupon_unknown", name_of(coupon), 0, source, rules, at),
        }
    }

    /// Frees a coupon that was used on (or is held for) an order; issued again if it is still valid, else it ends now.
    pub(super) fn release(&mut self, key: RecordKey, order_id: &str, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let Some(mut redemption) = self.take_redemption(key) else {
            return;
        };
        let (mut released, mut ended, mut restore) = (None, false, false);
        let left = redemption.points - redemption.reversed;
        if let Some(coupon) = redemption.coupon.as_mut() {
            let was = coupon.status();
            let uses = coupon.used_by.len();
            coupon.used_by.retain(|order| *order != *order_id);
            let held = coupon.reserved.take_if(|(order, _)| *order == *order_id).is_some();
            if coupon.used_by.len() < uses || held {
                released = Some(coupon.code.clone());
                ended = coupon.expires_at <= at && !coupon.expired && !coupon.revoked;
                coupon.expired |= ended;
                restore = ended && coupon.restore_on_expiry && coupon.used_by.is_empty() && left > 0;
                if was == CouponStatus::Used {
                    self.member.closed.used -= 1;
                    self.member.closed.expired += u32::from(coupon.status() == CouponStatus::Expired);
                }
            }
        }
        self.put_redemption(redemption);
        if let Some(code) = released {
            let why = |order: Text| Why::Coupon { code: code.clone(), order };
            self.coupon_entry(EntryKind::CouponReleased, why(Text::new(order_id)), source, rules, at);
            if ended {
                self.coupon_entry(EntryKind::CouponExpired, why(Text::default()), source, rules, at);
            }
            if restore {
                self.give_back(key, left, Cause::System, source, rules, at);
            }
        }
    }

    pub(super) fn coupon_reserved(
        &mut self,
        coupon: CouponRef<'_>,
        order_id: &str,
        until: Instant,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let Some((_, mut redemption)) = self.take_of(coupon) else { return };
        // A later fact may have used or ended it at an earlier instant: then there is nothing to hold.
        let open = redemption.is_open();
        let mut why = None;
        if let Some(coupon) = redemption.coupon.as_mut().filter(|_| open && until > at) {
            coupon.reserved = Some((Text::new(order_id), until));
            why = Some(Why::Coupon { code: coupon.code.clone(), order: Text::new(order_id) });
        }
        self.put_redemption(redemption);
        if let Some(why) = why {
            self.coupon_entry(EntryKind::CouponReserved, why, source, rules, at);
        }
    }

    pub(super) fn coupon_revoked(
        &mut self,
        coupon: CouponRef<'_>,
        restore: bool,
        cause: Cause,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let Some((key, mut redemption)) = self.take_of(coupon) else { return };
        let left = redemption.points - redemption.reversed;
        let why = redemption.coupon.as_mut().and_then(|coupon| take_back(coupon, &mut self.member.closed));
        if why.is_some() {
            self.uncount(&redemption);
        }
        self.put_redemption(redemption);
        if let Some(why) = why {
            self.coupon_entry(EntryKind::CouponRevoked, why, source, rules, at);
            if restore && left > 0 {
                self.give_back(key, left, cause, source, rules, at);
            }
        }
    }

    fn has_coupon(&self, key: RecordKey) -> bool {
        let with_state = self.member.open_index(key).is_some();
        with_state
            || matches!(self.records.peek(key).as_deref(), Some(Record::Redemption(redemption)) if redemption.coupon.is_some())
    }

    pub(super) fn coupon_entry(&mut self, kind: EntryKind, why: Why, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let ruleset = rules.tag();
        self.entry(Draft { kind, at, ledger: MAIN, points: 0, source, ruleset, rule: None, lots: &[], why });
    }
}

/// A coupon is revoked: it was decided, whatever a late fact says happened to it. `None`: it was before.
pub(super) fn take_back(coupon: &mut Coupon, closed: &mut ClosedCoupons) -> Option<Why> {
    match coupon.status() {
        CouponStatus::Revoked => return None,
        CouponStatus::Used => closed.used -= 1,
        CouponStatus::Expired => closed.expired -= 1,
        CouponStatus::Issued | CouponStatus::Reserved => {}
    }
    closed.revoked += 1;
    coupon.revoked = true;
    coupon.reserved = None;
    Some(Why::Coupon { code: coupon.code.clone(), order: Text::default() })
}

fn name_of<'a>(coupon: CouponRef<'a>) -> &'a str {
    match coupon {
        CouponRef::Code(name) | CouponRef::Redemption(name) | CouponRef::Grant(name) => name,
    }
}
