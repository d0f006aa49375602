//! A member's life: one thing after the other, with the instants that matter, late arrival, repetition and contradiction.

use super::orders::money;
use super::random::Random;
use super::rulesets::{ACTIVITIES, Made};
use super::{DAY, Expected, Options};
use crate::oracle::life::Start;
use crate::oracle::{ORules, calendar};
use anyhow::Result;
use serde_json::{Map, Value, json};

/// When the first thing happens: 2024-01-03T09:00:00Z.
const BEGIN: i64 = 1_704_272_400_000_000;
/// Nothing happens later: 2025-06-30T00:00:00Z.
const END: i64 = 1_751_241_600_000_000;
const HOUR: i64 = DAY / 24;

/// A delivery and when it arrives.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Microseconds; deliveries of one instant keep their order.
    pub arrives_at: i64,
    /// The fact.
    pub fact: Value,
    /// What is to become of it.
    pub expected: Expected,
}

/// An order as last placed.
#[derive(Clone, Debug)]
pub struct Bought {
    /// When it was placed first.
    pub at: i64,
    /// The body of its latest version.
    pub body: Map<String, Value>,
}

/// What is known while a life is made up.
pub struct Life<'a> {
    /// Chance.
    pub random: &'a mut Random,
    /// The ruleset at first.
    pub made: &'a Made,
    /// The same, read.
    pub rules: ORules,
    /// Now.
    pub clock: i64,
    /// Orders placed.
    pub orders: Vec<Bought>,
    /// Orders that something was said about before they were placed.
    pub awaited: Vec<String>,
    /// Redemptions asked for or recorded.
    pub redemptions: Vec<String>,
    /// Adjustments asked for that add points: id and ledger.
    pub adjustments: Vec<(String, Option<Value>)>,
    /// Refunds that may have found no order.
    pub unmatched: Vec<String>,
    /// Coupons, as they can be named.
    pub coupons: Vec<Map<String, Value>>,
    /// Whose life it is.
    pub member: &'a str,
    /// What it is to have.
    pub options: &'a Options,
    edges: Vec<i64>,
    number: usize,
    planned: Vec<Planned>,
}

/// Everything that is delivered about a member.
///
/// # Errors
/// None, unless the generator is wrong.
pub fn live(random: &mut Random, member: &str, made: &Made, options: &Options) -> Result<Vec<Planned>> {
    let clock = BEGIN + random.between(0, 40) * HOUR;
    let mut life = Life {
        random,
        made,
        rules: ORules::parse(&made.toml)?,
        clock,
        orders: Vec::new(),
        awaited: Vec::new(),
        redemptions: Vec::new(),
        adjustments: Vec::new(),
        unmatched: Vec::new(),
        coupons: Vec::new(),
        member,
        options,
        edges: Vec::new(),
        number: 0,
        planned: Vec::new(),
    };
    for _ in 0..options.steps {
        life.step()?;
        life.pass_time()?;
        if life.clock > END {
            break;
        }
    }
    Ok(life.planned)
}

impl Life<'_> {
    fn step(&mut self) -> Result<()> {
        let asks = if self.options.requests { 1 } else { 0 };
        let tiers = usize::from(self.options.features.tiers && !self.made.tiers.is_empty());
        let transfers = usize::from(self.options.features.transfers && self.made.ledgers.len() > 1);
        let weights = [
            26,
            6,
            14,
            4,
            3,
            7,
            5,
            4,
            2,
            6,
            3,
            3,
            12 * asks,
            6 * asks,
            3 * asks,
            4 * asks,
            4 * asks,
            8 * asks,
            3 * tiers,
            5 * tiers * asks,
            4 * transfers * asks,
            3 * usize::from(self.options.features.resolving && !self.unmatched.is_empty()),
            7 * usize::from(self.options.features.sending) * asks,
            3 * usize::from(self.options.features.cards),
        ];
        match self.random.weighted(&weights) {
            0 => self.order(),
            1 => self.another_version(),
            2 => self.refund(),
            3 => self.unreferenced_refund(),
            4 => self.about_order("order_cancelled"),
            5 => self.about_order("order_fulfilled"),
            6 => self.recorded_redemption(),
            7 => self.coupon_fact("coupon_used"),
            8 => self.coupon_fact("coupon_released"),
            9 => self.activity(),
            10 => self.import(),
            11 => self.standing(),
            12 => self.ask_redemption(),
            13 => self.ask_reversal(),
            14 => self.ask_grant(),
            15 => self.ask_reservation(),
            16 => self.ask_revocation(),
            17 => self.ask_adjustment(),
            18 => self.tier_credit(),
            19 => self.ask_override(),
            20 => self.ask_transfer(),
            21 => self.resolve(),
            22 => self.ask_sending(),
            _ => self.card(),
        }
    }

    /// Time goes on: not at all, to the instant of a start or an end, or for a while.
    fn pass_time(&mut self) -> Result<()> {
        let clock = self.clock;
        let next_edge = self.edges.iter().copied().filter(|&edge| edge > clock && edge < clock + 60 * DAY).min();
        self.clock = match (self.random.below(100), next_edge) {
            (0..12, _) => clock,
            (12..35, Some(edge)) => edge + self.random.pick(&[&0, &0, &0, &-1, &1]),
            (35..60, _) => clock + self.random.between(1, 300) * (HOUR / 60),
            (60..70, _) => {
                let tomorrow = self.rules.zone.local(clock).date().tomorrow()?;
                self.rules.zone.day_start(tomorrow)
            }
            (70..92, _) => clock + self.random.between(1, 24 * 10) * HOUR,
            _ => clock + self.random.between(10, 40) * DAY,
        }
        .max(clock);
        Ok(())
    }

    /// Points may start and end at these instants if something is earned at `at`.
    pub fn note_edges(&mut self, at: i64) -> Result<()> {
        let zone = &self.rules.zone;
        for life in self.rules.earn.iter().map(|earn| &earn.life).chain([&self.rules.life]) {
            let starts = life.starts_at(zone, at)?;
            self.edges.extend(starts);
            self.edges.extend(life.ends_at(zone, at, starts.unwrap_or(at))?);
            if let Start::Fulfilled(Some(limit)) = &life.start {
                self.edges.push(zone.add(at, limit)?);
            }
        }
        Ok(())
    }

    /// An instant at which a fact sometimes matters more than at others.
    pub fn note_edge(&mut self, at: i64) {
        self.edges.push(at);
    }

    /// An id that nothing else has; its first letter says nothing about when it was made.
    pub fn id(&mut self) -> String {
        self.number += 1;
        let letter = self.random.pick(&["a", "b", "f", "k", "p", "x", "z"]);
        format!("{letter}{}-{}", self.number, self.member)
    }

    /// Delivers a fact, late or again as chance has it.
    pub fn say(&mut self, kind: &str, at: i64, body: Value) {
        let source = if self.random.chance(10) { "pos" } else { "shop" };
        let fact = json!({
            "id": self.id(), "source": source, "program": "test", "member": self.member,
            "occurred_at": calendar::show(at), kind: body,
        });
        let is_request = kind.ends_with("_requested")
            || [
                "redemption_reversed",
                "reward_granted",
                "coupon_reserved",
                "coupon_revoked",
                "points_adjusted",
                "points_transferred",
                "tier_overridden",
                "tier_override_ended",
            ]
            .contains(&kind);
        let mut arrives_at = self.clock.max(at);
        if self.options.late && self.random.chance(if is_request { 4 } else { 14 }) {
            arrives_at += self.random.between(0, if is_request { 2 * DAY } else { 90 * DAY });
        }
        self.planned.push(Planned { arrives_at, fact: fact.clone(), expected: Expected::New });
        // A code that is filled in at delivery can't be repeated: it may be another one by then.
        let can_repeat = !fact.to_string().contains("code-of-");
        if self.options.duplicates && can_repeat && self.random.chance(9) {
            let arrives_at = arrives_at + self.random.between(0, 25) * DAY;
            let (fact, expected) = self.repeat(kind, fact, is_request);
            self.planned.push(Planned { arrives_at, fact, expected });
        }
    }

    /// The same again, or something else under the same name.
    fn repeat(&mut self, kind: &str, mut fact: Value, is_request: bool) -> (Value, Expected) {
        if is_request && self.random.chance(40) {
            fact["occurred_at"] = json!(calendar::show(self.clock + HOUR));
        }
        // A request that says nothing can't say anything else.
        if !self.options.conflicts || kind == "tier_override_ended" || self.random.chance(40) {
            return (fact, Expected::Duplicate);
        }
        const WITH_NATURAL_KEY: [&str; 9] = [
            "order_placed",
            "refund_recorded",
            "redemption_recorded",
            "redemption_requested",
            "reward_granted",
            "points_adjusted",
            "points_transferred",
            "points_imported",
            "activity_recorded",
        ];
        let new_id = WITH_NATURAL_KEY.contains(&kind) && self.random.chance(50);
        if new_id {
            fact["id"] = json!(self.id());
            if self.random.chance(50) {
                return (fact, Expected::Duplicate);
            }
        }
        let body = &mut fact[kind];
        match kind {
            "redemption_requested" => body["order_id"] = json!("another-order"),
            "reward_granted" | "points_adjusted" => body["reason"] = json!("another reason"),
            "coupon_reserved" => body["order_id"] = json!("another-order"),
            "redemption_reversed" | "coupon_revoked" => {
                let cause = if body["cause"] == json!("staff") { "system" } else { "staff" };
                body["cause"] = json!(cause);
            }
            "points_transferred" => body["points"] = json!(99),
            "tier_overridden" => body["reason"] = json!("another reason"),
            "order_placed" => body["shipping"] = json!("7777"),
            _ => {
                let at = calendar::instant(fact["occurred_at"].as_str().unwrap_or_default()).unwrap_or(BEGIN);
                fact["occurred_at"] = json!(calendar::show(at + 1_000_000));
            }
        }
        (fact, Expected::Conflict)
    }

    /// An order that was placed, that will be placed, or that nobody ever places.
    pub fn some_order(&mut self) -> String {
        if self.orders.is_empty() || self.random.chance(8) {
            let id = format!("O{}", self.id());
            if self.random.chance(80) {
                self.awaited.push(id.clone());
            }
            return id;
        }
        // Mostly one of the last.
        let last = self.orders.len().saturating_sub(4);
        let from = if self.random.chance(70) { &self.orders[last..] } else { &self.orders[..] };
        let bought = from[self.random.below(from.len())].body["order_id"].as_str().unwrap_or_default();
        bought.to_owned()
    }

    /// Now, or some time ago: people enter things afterwards.
    pub fn now_or_before(&mut self) -> i64 {
        if self.random.chance(12) { self.clock - self.random.between(0, 20 * 24) * HOUR } else { self.clock }
    }

    fn activity(&mut self) -> Result<()> {
        let at = self.now_or_before();
        let id = self.id();
        let activity = self.random.pick(ACTIVITIES);
        self.say("activity_recorded", at, json!({ "activity_id": id, "activity": activity }));
        self.note_edges(at)
    }

    fn import(&mut self) -> Result<()> {
        let at = self.now_or_before();
        let lots: Vec<Value> = (0..self.random.between(1, 3))
            .map(|_| {
                let mut lot = json!({ "points": self.random.between(1, 15) });
                if self.random.chance(40) {
                    lot["starts_at"] = json!(calendar::show(at + self.random.between(-20, 20) * DAY));
                }
                if self.random.chance(60) {
                    let end = at + self.random.between(-10, 90) * DAY;
                    self.edges.push(end);
                    lot["expires_at"] = json!(calendar::show(end));
                }
                lot
            })
            .collect();
        let mut body = json!({ "import_id": self.id(), "lots": lots });
        self.maybe_ledger(&mut body);
        if self.options.features.tiers && self.random.chance(30) {
            let credit = self.some_tier_credit();
            body["tier_credit"] = json!(money(credit, &self.made.currencies[0]));
        }
        self.say("points_imported", at, body);
        Ok(())
    }

    /// Another ledger than `main`, where there is one.
    pub fn maybe_ledger(&mut self, body: &mut Value) {
        if self.random.chance(60)
            && let Some(ledger) = self.random.any(&self.made.ledgers)
        {
            body["ledger"] = json!(ledger);
        }
    }
}
