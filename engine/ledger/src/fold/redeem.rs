//! Spending (§5): lots give in their total order, and the allocation is kept.
//!
//! A 100 ending 31 December, B 50 ending 30 June, C 30 never: a redemption of 120 takes B 50, A 70.

use super::lots::parts;
use super::{Draft, Fold, Source};
use crate::account::Allocation;
use crate::counters::Counted;
use crate::decision::Promise;
use crate::entry::{EntryKind, Sink, Why};
use crate::fact::Kind;
use crate::record::{Coupon, Record, RecordKey, Redemption};
use crate::ruleset::{MAIN, Price, Ruleset};
use crate::{Instant, Text};

impl<S: Sink> Fold<'_, S> {
    /// A redemption honoured elsewhere: booked even without cover.
    pub(super) fn redemption_recorded(&mut self, fact: &crate::Redemption<'_>, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let reward = fact.reward.and_then(|id| rules.reward(id));
        let price = reward.map_or(0, |reward| if let Price::Fixed(cost) = reward.price { cost } else { 0 });
        let points = fact.points.unwrap_or(price);
        let coupon = fact.coupon_code.map(|code| Coupon {
            code: Text::new(code),
            value: reward.map_or_else(Text::default, |reward| Text::from(reward.benefit.clone())),
            expires_at: Instant::MAX,
            uses: 1,
            used_by: vec![Text::new(fact.order_id.unwrap_or_default())],
            ..Coupon::default()
        });
        self.member.closed.used += u32::from(coupon.is_some());
        self.redeem(fact, points, coupon, source, rules, at);
    }

    /// A request that was accepted.
    pub(super) fn redemption_accepted(
        &mut self,
        fact: &crate::Redemption<'_>,
        promise: &Promise,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let restore = fact.reward.and_then(|id| rules.reward(id)).is_some_and(|reward| reward.restore_on_expiry);
        let coupon = promise.coupon.as_ref().map(|issued| issue(issued, restore));
        self.redeem(fact, promise.points, coupon, source, rules, at);
    }

    fn redeem(
        &mut self,
        fact: &crate::Redemption<'_>,
        points: i64,
        coupon: Option<Coupon>,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) {
        let ledger = fact.ledger.unwrap_or(MAIN);
        let allocation = self.pay(ledger, points, fact.reward.unwrap_or_default(), source, rules, at);
        let redemption = Redemption {
            id: Text::new(fact.redemption_id),
            family: Kind::RedemptionRequested as u8,
            reward: Text::new(fact.reward.unwrap_or_default()),
            ledger: Text::new(ledger),
            at,
            points,
            reversed: 0,
            allocation,
            coupon,
            order_id: Text::new(fact.order_id.unwrap_or_default()),
        };
        if let Some(order_id) = fact.order_id {
            let key = RecordKey::order(order_id);
            let mut order = self.take_order(key, order_id);
            order.tied.push(redemption.key());
            self.records.put(key, Record::Order(order));
        }
        self.hand_out(redemption, source, rules, at);
    }

    /// A reward given by staff or a system: free, or its cost is taken.
    pub(super) fn reward_granted(&mut self, reward: &str, promise: &Promise, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let restore = promise.points > 0 && rules.reward(reward).is_some_and(|reward| reward.restore_on_expiry);
        let coupon = promise.coupon.as_ref().map(|issued| issue(issued, restore));
        let allocation = self.pay(MAIN, promise.points, reward, source, rules, at);
        let redemption = Redemption {
            id: Text::new(source.id),
            family: Kind::RewardGranted as u8,
            reward: Text::new(reward),
            ledger: Text::new(MAIN),
            at,
            points: promise.points,
            allocation,
            coupon,
            ..Redemption::default()
        };
        self.hand_out(redemption, source, rules, at);
    }

    /// Takes what a reward costs; what is not there is owed. Returns what each lot gave.
    fn pay(
        &mut self,
        ledger: &str,
        points: i64,
        reward: &str,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) -> Vec<Allocation> {
        if points == 0 {
            return Vec::new();
        }
        let allocation = self.take_active(ledger, points, rules);
        let covered: i64 = allocation.iter().map(|part| part.points).sum();
        self.member.account_mut(ledger).sums.spent += covered;
        let ruleset = rules.tag();
        if covered > 0 {
            let why = Why::Redemption { reward: Text::new(reward) };
            let (kind, lots) = (EntryKind::Spent, parts(&allocation, -1));
            self.entry(Draft { kind, at, ledger, points: -covered, source, ruleset, rule: None, lots: &lots, why });
        }
        if points > covered {
            self.owe(ledger, points - covered, source, None, ruleset, at);
        }
        allocation
    }

    /// One more of a reward with `per_member` (§10).
    fn count(&mut self, redemption: &Redemption, rules: &Ruleset) {
        let limit = rules.reward(&redemption.reward).and_then(|reward| reward.per_member);
        if let Some(limit) = limit {
            let period = limit.each.start(redemption.at, &rules.zone);
            self.member.counters_mut().add(Counted::Reward, &redemption.reward, period, 1);
        }
    }

    /// One less: it was undone. Judged by the ruleset under which it was counted.
    pub(super) fn uncount(&mut self, redemption: &Redemption) {
        let Some(rules) = self.rules.at(redemption.at) else { return };
        let limit = rules.reward(&redemption.reward).and_then(|reward| reward.per_member);
        if let Some(limit) = limit {
            let period = limit.each.start(redemption.at, &rules.zone);
            self.member.counters_mut().free(Counted::Reward, &redemption.reward, period, 1);
        }
    }

    /// Keeps the redemption, and its code so that it is found by it.
    pub(super) fn hand_out(&mut self, redemption: Redemption, source: Source<'_>, rules: &Ruleset, at: Instant) {
        self.count(&redemption, rules);
        if let Some(coupon) = &redemption.coupon {
            let code = coupon.code.clone();
            self.records.put(RecordKey::code(&code), Record::Code(redemption.key()));
            let kind = if redemption.is_open() { EntryKind::CouponIssued } else { EntryKind::CouponUsed };
            let why = Why::Coupon { code, order: redemption.order_id.clone() };
            let ruleset = rules.tag();
            self.entry(Draft { kind, at, ledger: MAIN, points: 0, source, ruleset, rule: None, lots: &[], why });
        }
        self.put_redemption(redemption);
    }
}

pub(super) fn issue(issued: &crate::IssuedCoupon, restore_on_expiry: bool) -> Coupon {
    Coupon {
        code: Text::from(issued.code.clone()),
        value: Text::from(issued.value.clone()),
        expires_at: issued.expires_at.unwrap_or(Instant::MAX),
        uses: issued.uses.max(1),
        restore_on_expiry,
        ..Coupon::default()
    }
}
