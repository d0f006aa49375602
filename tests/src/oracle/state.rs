//! The member while the history is folded: one fact or decision after the other, with everything that time does between.

use super::coupon::Coupon;
use super::fact::{CouponName, OBody, OFact, OOrder, ORefund};
use super::life::{Life, Start};
use super::lots::{Debt, Lot, Opening};
use super::order::{Order, is_in_time};
use super::redeem::Redemption;
use super::refund::{fits_currency, pieces_of};
use super::rules::ORules;
use super::standing::{Exclusion, exclusions};
use super::{Known, OAnswer, OEntry, OPromise};
use anyhow::Result;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Sums that lots and debts do not show any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Points that refunds were to take back.
    pub clawback_due: i64,
    /// … found in lots.
    pub clawback_taken: i64,
    /// … owed.
    pub clawback_debt: i64,
    /// … given up by the policy.
    pub clawback_forgiven: i64,
    /// … already gone because never fulfilled.
    pub clawback_lapsed: i64,
    /// Debt of redemptions that were reversed.
    pub debt_cancelled: i64,
}

/// Everything about the member, as of `now`.
pub struct State {
    rules: Vec<(i64, Rc<ORules>)>,
    /// When the member earns or spends nothing.
    pub exclusions: Vec<Exclusion>,
    /// The instant of the fact or boundary at work.
    pub now: i64,
    /// Those that have lots or debt, in the order of first use.
    pub ledgers: Vec<String>,
    /// All lots ever opened.
    pub lots: Vec<Lot>,
    /// All debts ever opened, in order.
    pub debts: Vec<Debt>,
    /// By id.
    pub orders: BTreeMap<String, Order>,
    /// By id.
    pub redemptions: BTreeMap<String, Redemption>,
    /// By order: what is tied to it.
    pub tied: BTreeMap<String, Vec<CouponName>>,
    /// In order of issue.
    pub coupons: Vec<Coupon>,
    /// Facts that wait for their order.
    pub parked: Vec<OFact>,
    /// Accepted requests that wait for what they are about: decided at the same instant, folded before it.
    pub waiting: Vec<(OFact, OPromise)>,
    /// How many.
    pub exceptions: usize,
    /// All, in order.
    pub entries: Vec<OEntry>,
    /// See [`Totals`].
    pub totals: Totals,
}

impl State {
    /// The member as of `at`: everything known that happened until then, from the first fact on.
    pub fn replay(rules: &[(i64, Rc<ORules>)], known: &[Known], at: i64) -> Result<State> {
        let mut known: Vec<&Known> = known.iter().filter(|known| known.at() <= at).collect();
        known.sort_by_key(|known| {
            let request = known.request();
            (known.at(), known.is_decision(), request.id.clone(), request.source.clone())
        });
        let mut state = State {
            rules: rules.to_vec(),
            exclusions: exclusions(&known),
            now: i64::MIN,
            ledgers: Vec::new(),
            lots: Vec::new(),
            debts: Vec::new(),
            orders: BTreeMap::new(),
            redemptions: BTreeMap::new(),
            tied: BTreeMap::new(),
            coupons: Vec::new(),
            parked: Vec::new(),
            waiting: Vec::new(),
            exceptions: 0,
            entries: Vec::new(),
            totals: Totals::default(),
        };
        for known in known {
            state.pass_time(known.at())?;
            match known {
                Known::Fact(fact) => state.fact(fact)?,
                Known::Decision { request, answer: OAnswer::Accepted(promise), .. } => state.promise(request, promise)?,
                Known::Decision { answer: OAnswer::Rejected(_), .. } => (),
            }
        }
        state.pass_time(at)?;
        Ok(state)
    }

    /// The ruleset in force now.
    pub fn rules(&self) -> Rc<ORules> {
        let in_force = self.rules.iter().rev().find(|(from, _)| *from <= self.now);
        in_force.unwrap_or(&self.rules[0]).1.clone()
    }

    /// A number changed; by 0: it did not.
    pub fn entry(&mut self, kind: &str, ledger: &str, points: i64) {
        if points != 0 {
            self.entries.push(OEntry { at: self.now, kind: kind.to_owned(), ledger: ledger.to_owned(), points });
        }
    }

    /// Something happened that changes no number of points.
    pub fn note(&mut self, kind: &str) {
        self.entries.push(OEntry { at: self.now, kind: kind.to_owned(), ledger: String::new(), points: 0 });
    }

    /// Something that people have to look at, and what it cost.
    pub fn exception(&mut self, cost: i64) {
        self.exceptions += 1;
        self.note("exception");
        if let Some(entry) = self.entries.last_mut() {
            entry.points = cost;
        }
    }

    /// All boundaries until `to`, in order of their instants.
    fn pass_time(&mut self, to: i64) -> Result<()> {
        loop {
            let of_lots = self.lots.iter().flat_map(|lot| [lot.activation(), lot.end(), lot.lapse()]);
            let of_coupons = self.coupons.iter().flat_map(|coupon| [coupon.end(), coupon.hold_end()]);
            let Some(next) = of_lots.chain(of_coupons).flatten().min().filter(|next| *next <= to) else {
                break;
            };
            self.now = next;
            self.lots_at_boundary();
            self.coupons_at_boundary()?;
        }
        self.now = to;
        Ok(())
    }

    fn fact(&mut self, fact: &OFact) -> Result<()> {
        match &fact.body {
            OBody::Order(order) => self.order(order)?,
            OBody::Fulfilled(order) | OBody::Cancelled(order) | OBody::Refund(ORefund { order_id: Some(order), .. }) => {
                if !self.orders.contains_key(order) {
                    self.note("parked");
                    self.parked.push(fact.clone());
                    // Coupons and redemptions need no order to be free again.
                    return if matches!(fact.body, OBody::Cancelled(_)) { self.undo_on_order(order) } else { Ok(()) };
                }
                let order = order.clone();
                let before = self.orders[&order].entitlement();
                self.note_on_order(fact, &order);
                self.apply_difference(&order, &before)?;
                match &fact.body {
                    OBody::Fulfilled(_) => self.start_fulfilled(&order)?,
                    OBody::Cancelled(_) => self.undo_on_order(&order)?,
                    _ => (),
                }
            }
            OBody::Refund(refund) => self.place_unreferenced(refund)?,
            OBody::Redemption(redemption) => self.recorded(redemption),
            OBody::Activity(id, activity) => self.activity(id, activity)?,
            OBody::Import(id, ledger, lots) => {
                for &(points, starts, expires) in lots {
                    let from = Opening { ledger, order: None, rule: 0, kind: 22, natural: id, points, entry: "imported" };
                    self.open_lot(&from, Some(starts.unwrap_or(self.now)), expires, None);
                }
            }
            OBody::CouponUsed(name, order) => self.use_coupon(name, order),
            OBody::CouponReleased(name, order) => match self.coupon(name) {
                Some(coupon) => self.release_coupon(coupon, order)?,
                None => self.exception(0),
            },
            OBody::Excluded(..) | OBody::Left | OBody::Included | OBody::Noted => (),
            // Requests do nothing by themselves: their decisions do.
            OBody::Reversed(..) | OBody::Granted(..) | OBody::Reserved(..) | OBody::Revoked(..) | OBody::Adjusted(_) => (),
        }
        Ok(())
    }

    /// A version of an order. The first one captures; a higher one replaces; any other changes nothing.
    fn order(&mut self, content: &OOrder) -> Result<()> {
        let id = content.order_id.clone();
        if let Some(order) = self.orders.get_mut(&id) {
            if content.version <= order.content.version {
                return Ok(());
            }
            let before = order.entitlement();
            order.content = content.clone();
            order.is_cancelled = false;
            self.apply_difference(&id, &before)?;
        } else {
            let order = Order {
                at: self.now,
                rules: self.rules(),
                is_first: self.orders.is_empty(),
                is_excluded: self.earns_nothing(self.now),
                content: content.clone(),
                refunds: Vec::new(),
                is_cancelled: false,
                fulfilled_at: None,
            };
            let nothing = vec![0; order.rules.earn.len()];
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
    fn note_on_order(&mut self, fact: &OFact, id: &str) {
        let now = self.now;
        let Some(order) = self.orders.get_mut(id) else { return };
        match &fact.body {
            OBody::Fulfilled(_) => order.fulfilled_at = order.fulfilled_at.or(Some(now)),
            OBody::Cancelled(_) => order.is_cancelled = true,
            OBody::Refund(refund) if fits_currency(refund, order) => {
                let pieces = pieces_of(refund, order);
                order.refunds.extend(pieces);
            }
            _ => self.exception(0),
        }
    }

    /// What the order gives now minus what it gave before, rule by rule: a gain opens a lot, a loss is clawed back.
    pub fn apply_difference(&mut self, id: &str, before: &[i64]) -> Result<()> {
        let order = self.orders[id].clone();
        for (rule, (after, before)) in order.entitlement().into_iter().zip(before).enumerate() {
            let earn = &order.rules.earn[rule];
            if after > *before {
                let (starts, expires) = self.life_from_now(&earn.life, &order.rules.zone)?;
                let from = Opening {
                    ledger: &earn.ledger,
                    order: Some(id),
                    rule,
                    kind: 16,
                    natural: id,
                    points: after - before,
                    entry: "earned",
                };
                match &earn.life.start {
                    Start::Fulfilled(_) if order.fulfilled_at.is_some() => {
                        let expires = earn.life.ends_at(&order.rules.zone, self.now, self.now)?;
                        self.open_lot(&from, Some(self.now), expires, None);
                    }
                    Start::Fulfilled(Some(limit)) => {
                        let cancel_at = order.rules.zone.add(order.at, limit)?;
                        self.open_lot(&from, None, expires, Some(cancel_at));
                    }
                    _ => self.open_lot(&from, starts, expires, None),
                }
            } else if after < *before {
                self.claw_back(id, rule, &earn.ledger, before - after);
            }
        }
        Ok(())
    }

    /// Points that waited for the fulfilment become spendable now.
    fn start_fulfilled(&mut self, id: &str) -> Result<()> {
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
    fn undo_on_order(&mut self, id: &str) -> Result<()> {
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

    fn activity(&mut self, id: &str, activity: &str) -> Result<()> {
        let rules = self.rules();
        for (rule, earn) in rules.earn.iter().enumerate() {
            let named = earn.activity.as_deref().is_none_or(|name| name == activity);
            if earn.on != "activity" || !named || !is_in_time(earn, &rules, self.now) || self.earns_nothing(self.now) {
                continue;
            }
            let (starts, expires) = self.life_from_now(&earn.life, &rules.zone)?;
            let from =
                Opening { ledger: &earn.ledger, order: None, rule, kind: 21, natural: id, points: earn.points, entry: "earned" };
            self.open_lot(&from, starts, expires, None);
        }
        Ok(())
    }
}
