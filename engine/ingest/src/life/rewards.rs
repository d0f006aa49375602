//! What people spend points on, and what becomes of their coupons.

use super::shopper::{HOUR, MINUTE, Shopper};
use super::{DAY, order};
use accrue_ledger::Instant;
use accrue_proto::pb::fact::Body;
use accrue_proto::{pb, to_timestamp};

/// What people ask for.
#[cfg(test)]
pub(super) const REWARDS: [&str; 5] = [FIVE_OFF, FREE_SHIPPING, PAY, FREE_COFFEE, SORRY];
const FIVE_OFF: &str = "five-off";
const FREE_SHIPPING: &str = "free-shipping";
const PAY: &str = "pay-with-leaves";
const FREE_COFFEE: &str = "free-coffee";
pub(super) const SORRY: &str = "sorry-cake";

impl Shopper {
    /// Points spent just before an order, and coupons used on it.
    pub(super) fn spend(&mut self, at: Instant, order: &mut pb::OrderPlaced) {
        let points = self.points.spendable(at);
        if let Some(redemption_id) = self.kept.take() {
            self.use_coupon(at, redemption_id, order);
        } else if points >= 250 && self.chance.in_1000(450) {
            let redemption_id = self.redeem(at, FIVE_OFF, 250, "", None);
            match self.chance.below(100) {
                0..70 => self.use_coupon(at, redemption_id, order),
                70..85 => self.kept = Some(redemption_id),
                85..94 => {
                    let coupon = Some(pb::coupon_revoked::Coupon::RedemptionId(redemption_id));
                    let body = pb::CouponRevoked { coupon, restore_points: true, cause: pb::Cause::Staff.into() };
                    let later = at.0 + self.chance.between(HOUR, 20 * DAY);
                    self.say_by(Instant(later), Body::CouponRevoked(body), "staff:jo");
                    self.points.put(Instant(later), Instant(later + 30 * DAY), 250);
                }
                _ => {}
            }
        } else if points >= 120 && self.chance.in_1000(120) {
            let redemption_id = self.redeem(at, FREE_SHIPPING, 120, "", None);
            if self.chance.in_1000(600) {
                self.use_coupon(at, redemption_id, order);
            }
        } else if points >= 150 && self.chance.in_1000(120) {
            let points = (points / 50 * 50).min(400);
            order.paid_with_points = (points * 150 / 100).min(order::net(order));
            let redemption_id = self.redeem(at, PAY, points, &order.order_id, None);
            if self.chance.in_1000(60) {
                let later = Instant(at.0 + self.chance.between(HOUR, 5 * DAY));
                let body = pb::RedemptionReversed { redemption_id, points: Some(50), cause: pb::Cause::Staff.into() };
                self.say_by(later, Body::RedemptionReversed(body), "staff:jo");
            }
        }
        if self.stamps.spendable(at) >= 5 {
            self.redeem(at, FREE_COFFEE, 5, "", Some("stamps"));
        }
    }

    /// Asks for a reward a little before `at`; the redemption's id.
    fn redeem(&mut self, at: Instant, reward: &str, points: i64, order_id: &str, ledger: Option<&str>) -> String {
        self.redemptions += 1;
        let redemption_id = format!("x-{}-{}", self.tag, self.redemptions);
        let body = pb::RedemptionRequested {
            redemption_id: redemption_id.clone(),
            reward: reward.to_owned(),
            points: (reward == PAY).then_some(points),
            ledger: ledger.unwrap_or_default().to_owned(),
            order_id: order_id.to_owned(),
        };
        self.say(Instant(at.0 - 5 * MINUTE), Body::RedemptionRequested(body));
        (if ledger.is_some() { &mut self.stamps } else { &mut self.points }).take(at, points);
        redemption_id
    }

    fn use_coupon(&mut self, at: Instant, redemption_id: String, order: &mut pb::OrderPlaced) {
        let order_id = order.order_id.clone();
        order.discount = (order.discount + 500).min(order::net(order) + order.discount);
        if self.chance.in_1000(250) {
            let coupon = Some(pb::coupon_reserved::Coupon::RedemptionId(redemption_id.clone()));
            let until = Some(to_timestamp(Instant(at.0 + 30 * MINUTE)));
            let body = pb::CouponReserved { coupon, order_id: order_id.clone(), until };
            self.say(Instant(at.0 - 2 * MINUTE), Body::CouponReserved(body));
        }
        let used = Some(pb::coupon_used::Coupon::RedemptionId(redemption_id.clone()));
        self.say(Instant(at.0 + 1), Body::CouponUsed(pb::CouponUsed { coupon: used, order_id: order_id.clone() }));
        if self.chance.in_1000(20) {
            let coupon = Some(pb::coupon_released::Coupon::RedemptionId(redemption_id));
            self.say(Instant(at.0 + HOUR), Body::CouponReleased(pb::CouponReleased { coupon, order_id }));
        }
    }
}
