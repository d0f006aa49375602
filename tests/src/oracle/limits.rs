//! Limits of earning rules, and of rewards for each member (§12).

use super::calendar::Zone;
use super::fact::CouponName;
use super::rules::{Earn, Reward};
use super::state::State;
use super::terms::{Period, period};
use anyhow::Result;

/// What a rule awarded for an order so far.
#[derive(Clone, Debug, Default)]
pub struct Awarded {
    /// In all.
    pub points: i64,
    /// Of a rule with a limit: from which periods, in the order in which they were awarded.
    pub from: Vec<(Period, i64)>,
}

/// A reward was given to the member.
#[derive(Clone, Debug)]
pub struct Given {
    /// The reward.
    pub reward: String,
    /// The first instant of the period that it counted in; `None`: there was no limit then.
    pub period: Option<i64>,
    /// What by.
    pub by: CouponName,
}

impl State {
    /// Trims what a rule is to give now, and counts it. Inside: how much is left, and of which period it was taken.
    pub fn trim(&mut self, earn: &Earn, zone: &Zone, desired: i64) -> Result<(i64, Option<Period>)> {
        let Some(limit) = &earn.limit else { return Ok((desired, None)) };
        let period = period(zone, self.now, limit.each.as_deref())?;
        // Only the period of the latest award is remembered; its first instant tells which it is.
        let used = match self.used.get(&earn.id) {
            Some((remembered, used)) if remembered.0 == period.0 => *used,
            _ => 0,
        };
        let awarded = desired.min((limit.most - used).max(0));
        self.used.insert(earn.id.clone(), (period, used + awarded));
        if awarded == 0 {
            self.note("earned");
            if let Some(entry) = self.entries.last_mut() {
                entry.ledger.clone_from(&earn.ledger);
            }
        }
        Ok((awarded, Some(period)))
    }

    /// A rule gives `fall` points less for an order: what it was awarded last goes first, and is free again in its period.
    pub fn untrim(&mut self, order: &str, rule: usize, id: &str, fall: i64) {
        let Some(order) = self.orders.get_mut(order) else { return };
        let awarded = &mut order.awarded[rule];
        awarded.points -= fall;
        let mut wanted = fall;
        while wanted > 0 {
            let Some((period, points)) = awarded.from.pop() else { break };
            let part = wanted.min(points);
            wanted -= part;
            if part < points {
                awarded.from.push((period, points - part));
            }
            if let Some((remembered, used)) = self.used.get_mut(id)
                && remembered.0 == period.0
            {
                *used -= part;
            }
        }
    }

    /// The member has had this reward as often as the period of now allows.
    pub fn had_enough(&self, id: &str, reward: &Reward, zone: &Zone) -> Result<bool> {
        let Some(limit) = &reward.per_member else { return Ok(false) };
        let (start, _) = period(zone, self.now, limit.each.as_deref())?;
        let counts = |given: &&Given| given.reward == id && given.period == Some(start) && !self.was_taken_back(given);
        let had = self.given.iter().filter(counts).count();
        Ok(i64::try_from(had)? >= limit.most)
    }

    /// The member was given a reward.
    pub fn give(&mut self, reward: Option<&str>, by: CouponName) {
        let Some(id) = reward else { return };
        let rules = self.rules();
        let limit = rules.rewards.get(id).and_then(|reward| reward.per_member.as_ref());
        let period = limit.and_then(|limit| period(&rules.zone, self.now, limit.each.as_deref()).ok());
        self.given.push(Given { reward: id.to_owned(), period: period.map(|(start, _)| start), by });
    }

    /// Reversed whole, or its coupon revoked.
    fn was_taken_back(&self, given: &Given) -> bool {
        let coupon = self.coupon(&given.by).map(|c| &self.coupons[c]);
        // Points that come back because the coupon ended free no place.
        if coupon.is_some_and(|coupon| coupon.expired) {
            return false;
        }
        let revoked = coupon.is_some_and(|coupon| coupon.revoked);
        let reversed = match &given.by {
            CouponName::Redemption(id) => self.redemptions.get(id).is_some_and(|redemption| redemption.left == 0),
            CouponName::Grant(_) | CouponName::Code(_) => false,
        };
        revoked || reversed
    }
}
