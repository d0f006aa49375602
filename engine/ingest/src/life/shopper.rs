//! One person: what happens next, and what it brings about later.

use super::catalogue::weight_of_day;
use super::chance::Chance;
use super::plan::{Plan, What};
use super::purse::Purse;
use super::{DAY, DAYS, PROGRAM, order, rewards};
use accrue_ledger::Instant;
use accrue_proto::pb::fact::Body;
use accrue_proto::{pb, to_timestamp};
use std::collections::BinaryHeap;

pub(super) const MINUTE: i64 = 60_000_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
/// From when and until when points of an order can be spent, as people remember it.
const WAIT: i64 = 15 * DAY;
const YEAR: i64 = 365 * DAY;

/// A person.
pub(super) struct Shopper {
    name: String,
    pub(super) tag: String,
    pub(super) chance: Chance,
    end: Instant,
    /// Visits in a million days.
    rate: u64,
    /// Visits in the store, in a thousand.
    in_store: u64,
    plans: BinaryHeap<Plan>,
    planned: u32,
    facts: u32,
    pub(super) orders: u32,
    pub(super) redemptions: u32,
    pub(super) points: Purse,
    pub(super) stamps: Purse,
    /// A coupon kept for the next visit, by the redemption that gave it.
    pub(super) kept: Option<String>,
}

impl Shopper {
    pub(super) fn new(seed: u64, number: u32, start: Instant) -> Shopper {
        let mut chance = Chance::of(seed, u64::from(number));
        let eagerness = chance.below(1_000);
        let mut shopper = Shopper {
            name: format!("m-{number:05}"),
            tag: format!("{number:05}"),
            end: Instant(start.0 + DAYS * DAY),
            rate: 1_500 + eagerness * eagerness * eagerness / 17_000,
            in_store: if chance.in_1000(300) { 800 } else { 100 },
            chance,
            plans: BinaryHeap::new(),
            planned: 0,
            facts: 0,
            orders: 0,
            redemptions: 0,
            points: Purse::default(),
            stamps: Purse::default(),
            kept: None,
        };
        shopper.join(start);
        shopper
    }

    /// When there is something to tell; `None`: never again.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.plans.peek().map(|plan| plan.at)
    }

    /// What happens next; `None`: nothing that anybody is told.
    pub(super) fn tell(&mut self) -> Option<pb::Fact> {
        let Plan { at, what, .. } = self.plans.pop()?;
        match what {
            What::Visit => {
                self.visit(at);
                None
            }
            What::Birthday => {
                let body = self.activity("birthday", &format!("{}-{}", self.tag, at.0 / DAY));
                self.say(at, body);
                self.plan(Instant(at.0 + YEAR), What::Birthday);
                self.points.put(at, Instant(at.0 + 30 * DAY), 100);
                None
            }
            What::Say(fact) => {
                if self.chance.in_1000(4) {
                    let later = at.0 + self.chance.between(HOUR, 3 * DAY);
                    self.plan(Instant(later), What::Repeat(fact));
                    return None;
                }
                if self.chance.in_1000(5) {
                    let again = at.0 + self.chance.between(MINUTE, 5 * HOUR);
                    self.plan(Instant(again), What::Repeat(fact.clone()));
                }
                Some(*fact)
            }
            What::Repeat(fact) => Some(*fact),
        }
    }

    fn plan(&mut self, at: Instant, what: What) {
        if at < self.end {
            self.planned += 1;
            self.plans.push(Plan { at, number: self.planned, what });
        }
    }

    pub(super) fn say(&mut self, at: Instant, body: Body) {
        self.say_by(at, body, "");
    }

    pub(super) fn say_by(&mut self, at: Instant, body: Body, actor: &str) {
        self.facts += 1;
        let fact = pb::Fact {
            id: format!("f-{}-{}", self.tag, self.facts),
            source: if actor.is_empty() { "shop".to_owned() } else { "console".to_owned() },
            program: PROGRAM.to_owned(),
            member: self.name.clone(),
            occurred_at: Some(to_timestamp(at)),
            actor: actor.to_owned(),
            body: Some(body),
        };
        self.plan(at, What::Say(Box::new(fact)));
    }

    fn activity(&self, activity: &str, id: &str) -> Body {
        let (activity_id, activity) = (format!("{activity}-{id}"), activity.to_owned());
        Body::ActivityRecorded(pb::ActivityRecorded { activity_id, activity, attributes: [].into() })
    }

    fn join(&mut self, start: Instant) {
        let old = self.chance.in_1000(450);
        let after = if old { self.chance.between(HOUR, 20 * HOUR) } else { self.chance.between(DAY, 640 * DAY) };
        let at = Instant(start.0 + after);
        if old {
            self.say(at, Body::MemberRegistered(pb::MemberRegistered { guest: false }));
            if self.chance.in_1000(600) {
                let points = self.chance.between(20, 600);
                let until = Instant(at.0 + self.chance.between(60, 365) * DAY);
                let earned_at = Some(to_timestamp(Instant(at.0 - self.chance.between(20, 300) * DAY)));
                let lot = pb::ImportedLot { points, earned_at, starts_at: None, expires_at: Some(to_timestamp(until)) };
                let import_id = format!("opening-{}", self.tag);
                self.say(at, Body::PointsImported(pb::PointsImported { import_id, lots: vec![lot], ..Default::default() }));
                self.points.put(at, until, points);
            }
        } else if self.chance.in_1000(850) {
            self.say(at, Body::MemberRegistered(pb::MemberRegistered { guest: false }));
            self.say(at, self.activity("signup", &self.tag));
            self.points.put(at, Instant(at.0 + YEAR), 50);
        }
        if self.chance.in_1000(700) {
            let birthday = at.0 + self.chance.between(DAY, 365 * DAY);
            self.plan(Instant(birthday / DAY * DAY + 6 * HOUR), What::Birthday);
        }
        // Whoever joins does so to buy something.
        let first = if old { self.next_visit(at) } else { Some(Instant(at.0 + self.chance.between(MINUTE, HOUR))) };
        first.into_iter().for_each(|first| self.plan(first, What::Visit));
    }

    /// Day by day until one on which the person comes by.
    fn next_visit(&mut self, after: Instant) -> Option<Instant> {
        let last = self.end.0 / DAY;
        for day in after.0 / DAY + 1..last {
            let weekday = (day + 3).rem_euclid(7) as u8;
            let weight = weight_of_day(weekday, (day % 365).unsigned_abs());
            if self.chance.below(1_000_000_000) < self.rate * weight {
                return Some(Instant(day * DAY + self.chance.between(7 * HOUR, 21 * HOUR)));
            }
        }
        None
    }

    fn visit(&mut self, comes: Instant) {
        // The order is a little later, so that what comes before it is told in time.
        let at = Instant(comes.0 + 10 * MINUTE);
        if let Some(next) = self.next_visit(at) {
            self.plan(next, What::Visit);
        }
        self.orders += 1;
        let order_id = format!("o-{}-{}", self.tag, self.orders);
        let in_store = self.chance.in_1000(self.in_store);
        let mut order = order::basket(&mut self.chance, order_id, if in_store { "store" } else { "web" });
        self.spend(at, &mut order);
        if in_store && self.chance.in_1000(10) {
            self.redemptions += 1;
            let redemption_id = format!("till-{}-{}", self.tag, self.redemptions);
            let (points, order_id) = (Some(50), order.order_id.clone());
            let body = pb::RedemptionRecorded { redemption_id, points, order_id, ..Default::default() };
            self.say(at, Body::RedemptionRecorded(body));
            self.points.take(at, 50);
        }
        self.say(at, Body::OrderPlaced(order.clone()));
        self.afterwards(at, &order, in_store);
    }

    /// What an order brings about.
    fn afterwards(&mut self, at: Instant, order: &pb::OrderPlaced, in_store: bool) {
        let order_id = order.order_id.clone();
        let later = |chance: &mut Chance, first: i64, last: i64| Instant(at.0 + chance.between(first, last));
        if !in_store && self.chance.in_1000(20) {
            let when = later(&mut self.chance, 10 * MINUTE, 12 * HOUR);
            return self.say(when, Body::OrderCancelled(pb::OrderCancelled { order_id }));
        }
        let sent = if in_store { Instant(at.0 + MINUTE) } else { later(&mut self.chance, 14 * HOUR, 3 * DAY) };
        self.say(sent, Body::OrderFulfilled(pb::OrderFulfilled { order_id }));
        self.points.put(Instant(at.0 + WAIT), Instant(at.0 + YEAR), order::net(order) / 100);
        if order.lines.iter().any(|line| line.collections.iter().any(|name| name == "coffee")) {
            self.stamps.put(sent, Instant(sent.0 + YEAR / 2), 1);
        }
        if self.chance.in_1000(20) {
            let (when, edited) = (later(&mut self.chance, 10 * MINUTE, 2 * HOUR), order::edited(&mut self.chance, order));
            self.say(when, Body::OrderPlaced(edited));
        }
        let refunds = u32::from(self.chance.in_1000(90)) + u32::from(self.chance.in_1000(10));
        for number in 1..=refunds {
            let (when, refund) = (later(&mut self.chance, 3 * DAY, 25 * DAY), order::refund(&mut self.chance, order, number));
            self.points.take(when, refund.amount.or(refund.lines.first().and_then(|line| line.amount)).unwrap_or(0) / 100);
            self.say(when, Body::RefundRecorded(refund));
        }
        if self.chance.in_1000(120) {
            let (when, review) = (later(&mut self.chance, 5 * DAY, 20 * DAY), self.activity("review", &order.order_id));
            self.say(when, review);
            self.points.put(Instant(when.0 + 2 * DAY), Instant(when.0 + YEAR), 20);
        }
        self.helped_by_staff(at, &order.order_id);
    }

    fn helped_by_staff(&mut self, at: Instant, order_id: &str) {
        let when = Instant(at.0 + self.chance.between(DAY, 10 * DAY));
        let actor = *self.chance.one_of(&["staff:jo", "staff:sam", "staff:ada"]);
        if self.chance.in_1000(15) {
            let (points, reason) = if self.chance.in_1000(150) {
                (-self.chance.between(10, 60), "entered twice")
            } else {
                (self.chance.between(1, 8) * 25, "goodwill")
            };
            let (adjustment_id, reason) = (format!("adj-{order_id}"), reason.to_owned());
            let message = if points > 0 { "With our apologies".to_owned() } else { String::new() };
            let allow_debt = points < 0 && self.chance.in_1000(300);
            let body = pb::PointsAdjusted { adjustment_id, points, reason, message, allow_debt, ..Default::default() };
            self.say_by(when, Body::PointsAdjusted(body), actor);
            self.points.put(when, Instant(when.0 + YEAR), points.max(0));
        }
        if self.chance.in_1000(7) {
            let grant_id = format!("g-{order_id}");
            let (reward, reason) = (rewards::SORRY.to_owned(), "parcel came late".to_owned());
            self.say_by(when, Body::RewardGranted(pb::RewardGranted { grant_id, reward, reason, deduct: None }), actor);
        }
        if self.chance.in_1000(1) {
            let until = Some(to_timestamp(Instant(when.0 + 60 * DAY)));
            let body = pb::MemberExcluded { from: None, until, earn: true, redeem: true };
            self.say_by(when, Body::MemberExcluded(body), actor);
        }
    }
}
