//! Promises kept, whatever is there now (§7), and redemptions honoured elsewhere.

use super::OPromise;
use super::coupon::Coupon;
use super::fact::{CouponName, OAdjustment, OBody, OFact, ORedemption};
use super::lots::{Lot, NO_RULE, Opening, sum};
use super::state::State;
use super::tiers::Override;
use anyhow::Result;

impl State {
    /// A redemption honoured elsewhere: booked whatever is there, its coupon used already.
    pub fn recorded(&mut self, redemption: &ORedemption) {
        let rules = self.rules();
        let reward = redemption.reward.as_ref().and_then(|id| rules.rewards.get(id));
        let Some(points) = redemption.points.or(reward.and_then(|reward| reward.cost)) else {
            self.exception("reward_unknown", &redemption.redemption_id, 0);
            return;
        };
        self.spend(redemption, points);
        self.give(redemption.reward.as_deref(), CouponName::Redemption(redemption.redemption_id.clone()));
        if let Some(code) = &redemption.coupon_code {
            let source = CouponName::Redemption(redemption.redemption_id.clone());
            self.keep_coupon(code, source, points, 1, None, false);
            let order = redemption.order_id.clone().unwrap_or_default();
            self.use_coupon(&CouponName::Code(code.clone()), &order);
        }
    }

    fn issue(&mut self, code: &str, source: CouponName, cost: i64, uses: usize, expires: Option<i64>, restore: bool) {
        self.keep_coupon(code, source, cost, uses, expires, restore);
        self.note("coupon_issued");
    }

    fn keep_coupon(&mut self, code: &str, source: CouponName, cost: i64, uses: usize, expires: Option<i64>, restore: bool) {
        self.coupons.push(Coupon::new(code, source, cost, uses, expires, restore));
    }

    /// Keeps a promise.
    pub fn promise(&mut self, request: &OFact, promise: &OPromise) -> Result<()> {
        match &request.body {
            OBody::Redemption(redemption) => {
                self.spend(redemption, promise.points);
                let source = CouponName::Redemption(redemption.redemption_id.clone());
                self.issue_promised(source, redemption.reward.as_deref(), promise);
            }
            OBody::Granted(grant, reward, _) => self.granted(grant, reward, promise),
            OBody::Adjusted(adjusted) => self.adjust(adjusted, promise),
            OBody::Transferred(id, from, to, points) => self.transfer(id, from, to, *points)?,
            OBody::Sent(_, ledger, _, points) => drop(self.send(ledger, *points)),
            OBody::Received(received) => self.receive(received, &request.id),
            OBody::Overridden(tier, exact, _) => {
                let set = Override { tier: tier.clone(), exact: *exact, until: promise.expires };
                self.override_tier(Some(set), "override_set")?;
            }
            OBody::OverrideEnded => self.override_tier(None, "override_ended")?,
            OBody::Reversed(redemption, _, by_staff) => {
                if !self.redemptions.contains_key(redemption) {
                    self.waiting.push((request.clone(), promise.clone()));
                    return Ok(());
                }
                self.give_back(redemption, promise.points, *by_staff)?;
                // It was decided, whatever a late fact says of the coupon.
                let coupon = self.coupon(&CouponName::Redemption(redemption.clone()));
                if let Some(c) = coupon.filter(|_| self.redemptions[redemption].left == 0) {
                    self.revoke_coupon(c);
                }
            }
            OBody::Reserved(name, ..) | OBody::Revoked(name, ..) => {
                let Some(c) = self.coupon(name) else {
                    self.waiting.push((request.clone(), promise.clone()));
                    return Ok(());
                };
                self.promise_on_coupon(c, request, promise)?;
            }
            _ => (),
        }
        if matches!(request.body, OBody::Redemption(_) | OBody::Granted(..)) {
            for (request, promise) in std::mem::take(&mut self.waiting) {
                self.promise(&request, &promise)?;
            }
        }
        Ok(())
    }

    fn promise_on_coupon(&mut self, c: usize, request: &OFact, promise: &OPromise) -> Result<()> {
        match &request.body {
            OBody::Reserved(_, order, until) => {
                if matches!(self.coupons[c].status(), "issued" | "reserved") {
                    self.coupons[c].hold = Some((order.clone(), *until));
                    self.note("coupon_reserved");
                }
            }
            OBody::Revoked(_, _, by_staff) => {
                self.revoke_coupon(c);
                if let Some(redemption) = self.coupons[c].redemption() {
                    self.give_back(&redemption, promise.points, *by_staff)?;
                }
            }
            _ => (),
        }
        Ok(())
    }

    /// A grant; one that deducts what the reward costs is a redemption of its own.
    fn granted(&mut self, grant: &str, reward: &str, promise: &OPromise) {
        if promise.points > 0 {
            let redemption = ORedemption {
                redemption_id: format!("grant {grant}"),
                reward: Some(reward.to_owned()),
                ledger: "main".to_owned(),
                ..ORedemption::default()
            };
            self.spend(&redemption, promise.points);
        }
        self.issue_promised(CouponName::Grant(grant.to_owned()), Some(reward), promise);
    }

    fn issue_promised(&mut self, source: CouponName, reward: Option<&str>, promise: &OPromise) {
        self.give(reward, source.clone());
        if let Some(coupon) = &promise.coupon {
            let rules = self.rules();
            let reward = reward.and_then(|id| rules.rewards.get(id));
            let restore = reward.is_some_and(|reward| reward.restore_on_expiry);
            self.issue(&coupon.code, source, promise.points, coupon.uses as usize, coupon.expires, restore);
        }
    }

    fn adjust(&mut self, adjusted: &OAdjustment, promise: &OPromise) {
        let ledger = &adjusted.ledger;
        self.credit(adjusted.tier_credit);
        if promise.points > 0 {
            let natural = &adjusted.adjustment_id;
            let from =
                Opening { ledger, order: None, rule: NO_RULE, kind: 69, natural, points: promise.points, entry: "adjusted" };
            self.open_lot(&from, Some(promise.starts.unwrap_or(self.now)), promise.expires, None);
            return;
        }
        let pending = self.in_spend_order(|lot| !lot.active && adjusted.has_opened(lot));
        let cancelled = sum(&self.take(&pending, -promise.points, |lot| &mut lot.cancelled));
        self.entry("cancelled", ledger, -cancelled);
        let mut lots = self.in_spend_order(|lot| lot.active && adjusted.has_opened(lot));
        lots.extend(self.in_spend_order(|lot| &lot.ledger == ledger && lot.active && !adjusted.has_opened(lot)));
        let taken = sum(&self.take(&lots, -promise.points - cancelled, |lot| &mut lot.deducted));
        self.entry("adjusted", ledger, -taken);
        self.open_debt(ledger, -promise.points - cancelled - taken, None);
    }
}

impl OAdjustment {
    /// Whether a lot is what this takes back.
    pub fn has_opened(&self, lot: &Lot) -> bool {
        lot.ledger == self.ledger && lot.kind == 69 && Some(&lot.natural) == self.takes_back.as_ref()
    }
}
