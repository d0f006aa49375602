//! Orders as they are booked: versions, what others say of them, what they give and what is taken back (§3, §4).

use super::fact::{CouponName, OBody, OFact, OOrder};
use super::feats::Move;
use super::life::{Life, Start};
use super::limits::Awarded;
use super::lots::Opening;
use super::order::{Order, Worth};
use super::refund::{fits_currency, pieces_of};
use super::state::State;
use super::tiers::Standing;
use anyhow::Result;

impl State {
    /// A version of an order. The first one captures; a higher one replaces; any other changes nothing.
    pub fn order(&mut self, content: &OOrder) -> Result<()> {
        let id = content.order_id.clone();
        if let Some(order) = self.orders.get_mut(&id) {
            if content.version <= order.content.version {
                return Ok(());
            }
            let before = order.worth();
            order.content = content.clone();
            order.is_cancelled = false;
            self.apply_difference(&id, &before)?;
        } else {
            let rules = self.rules();
            let order = Order {
                at: self.now,
                tier: self.standing.as_ref().map(Standing::effective_id),
                awarded: vec![Awarded::default(); rules.earn.len()],
                rules,
                is_first: self.orders.is_empty(),
                is_excluded: self.earns_nothing(self.now),
                content: content.clone(),
                refunds: Vec::new(),
                is_cancelled: false,
                fulfilled_at: None,
            };
            let nothing = Worth { points: vec![0; order.rules.earn.len()], spend: 0 };
            self.orders.insert(id.clone(), order);
            for fact in self.no_longer_parked(&id) {
                self.note_on_order(&fact, &id);
            }
            self.apply_difference(&id, &nothing)?;
        }
        for code in &content.coupons {
            let name = CouponName::Code(code.clone());
            if self.coupon(&name).is_some() {
                self.use_coupon(&name, &id);
            }
        }
        // Cancelled before it came.
        if self.orders[&id].is_cancelled {
            self.undo_on_order(&id)?;
        }
        Ok(())
    }

    fn no_longer_parked(&mut self, id: &str) -> Vec<OFact> {
        let is_for = |fact: &OFact| match &fact.body {
            OBody::Fulfilled(order) | OBody::Cancelled(order) => order == id,
            OBody::Refund(refund) => refund.order_id.as_deref() == Some(id),
            _ => false,
        };
        let (here, parked) = self.parked.drain(..).partition(is_for);
        self.parked = parked;
        here
    }

    /// What a refund, cancellation or fulfilment changes in the order itself.
    pub fn note_on_order(&mut self, fact: &OFact, id: &str) {
        let now = self.now;
        let Some(order) = self.orders.get_mut(id) else { return };
        match &fact.body {
            OBody::Fulfilled(_) => order.fulfilled_at = order.fulfilled_at.or(Some(now)),
            OBody::Cancelled(_) => order.is_cancelled = true,
            OBody::Refund(refund) if fits_currency(refund, order) => {
                let pieces = pieces_of(refund, order);
                order.refunds.extend(pieces);
            }
            OBody::Refund(refund) => self.exception("refund_currency", &refund.refund_id, 0),
            _ => (),
        }
    }

    /// What the order gives now minus what it gave before, rule by rule: a gain opens a lot, a loss is clawed back.
    pub fn apply_difference(&mut self, id: &str, before: &Worth) -> Result<()> {
        let order = self.orders[id].clone();
        let after = order.worth();
        for (rule, (after, before)) in after.points.iter().zip(&before.points).enumerate() {
            let earn = &order.rules.earn[rule];
            if after > before {
                self.award(id, &order, rule, after - before)?;
            } else if after < before {
                // What was trimmed is not there to be taken.
                let fall = (order.awarded[rule].points - after).max(0);
                self.untrim(id, rule, &earn.id, fall);
                self.claw_back(id, rule, &earn.ledger, fall);
            }
        }
        let of = Move { of: order.at, kind: 16, natural: id };
        self.feats_of_order(&order.rules, &of, before.spend, after.spend)
    }

    /// A rule gives more for an order, as far as its limit allows.
    fn award(&mut self, id: &str, order: &Order, rule: usize, desired: i64) -> Result<()> {
        let (earn, zone) = (&order.rules.earn[rule], &order.rules.zone);
        let (points, period) = self.trim(earn, zone, desired)?;
        if points == 0 {
            return Ok(());
        }
        if let Some(order) = self.orders.get_mut(id) {
            order.awarded[rule].points += points;
            order.awarded[rule].from.extend(period.map(|period| (period, points)));
        }
        self.gave.push(earn.ledger.clone());
        let (starts, expires) = self.life_from_now(&earn.life, zone)?;
        let from = Opening { ledger: &earn.ledger, order: Some(id), rule, kind: 16, natural: id, points, entry: "earned" };
        match &earn.life.start {
            Start::Fulfilled(_) if order.fulfilled_at.is_some() => {
                let expires = earn.life.ends_at(zone, self.now, self.now)?;
                self.open_lot(&from, Some(self.now), expires, None);
            }
            Start::Fulfilled(Some(limit)) => self.open_lot(&from, None, expires, Some(zone.add(order.at, limit)?)),
            _ => self.open_lot(&from, starts, expires, None),
        }
        Ok(())
    }

    /// Points that waited for the fulfilment become spendable now.
    pub fn start_fulfilled(&mut self, id: &str) -> Result<()> {
        let order = self.orders[id].clone();
        for i in self.in_spend_order(|lot| lot.order.as_deref() == Some(id) && lot.starts.is_none()) {
            let life: &Life = &order.rules.earn[self.lots[i].rule].life;
            let ends = life.ends_at(&order.rules.zone, self.lots[i].earned_at, self.now)?;
            self.lots[i].starts = Some(self.now);
            self.lots[i].expires = ends;
            self.lots[i].cancel_at = None;
            self.lots[i].opened_at = self.now;
            let (ledger, left) = (self.lots[i].ledger.clone(), self.lots[i].left);
            if ends.is_none_or(|end| end > self.now) {
                self.lots[i].active = true;
                self.entry("activated", &ledger, left);
            } else {
                self.lots[i].left = 0;
                self.lots[i].expired += left;
                self.entry("expired", &ledger, -left);
            }
        }
        for ledger in self.ledgers.clone() {
            self.repay_debt(&ledger);
        }
        Ok(())
    }

    /// A cancelled order releases the coupons used on it and reverses the redemptions tied to it.
    pub fn undo_on_order(&mut self, id: &str) -> Result<()> {
        let tied = self.tied.get(id).cloned().unwrap_or_default();
        for name in &tied {
            if let Some(c) = self.coupon(name) {
                self.release_coupon(c, id)?;
            }
        }
        for name in tied {
            let CouponName::Redemption(redemption) = &name else { continue };
            let is_of_order = self.redemptions[redemption].order.as_deref() == Some(id);
            let coupon = self.coupon(&name);
            if is_of_order && coupon.is_none_or(|c| self.coupons[c].used_on.is_empty()) {
                self.give_back(redemption, i64::MAX, false)?;
            }
        }
        Ok(())
    }

    /// A redemption made for an order, or a coupon used on it: what a cancellation undoes, in this order.
    pub fn tie(&mut self, order: &str, name: CouponName) {
        let tied = self.tied.entry(order.to_owned()).or_default();
        if !tied.contains(&name) {
            tied.push(name);
        }
    }
}
