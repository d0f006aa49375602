//! Requests, and what shops report about coupons.

use super::DAY;
use super::life::Life;
use super::orders::money;
use super::rulesets::REWARDS;
use crate::oracle::calendar;
use anyhow::Result;
use serde_json::{Map, Value, json};

impl Life<'_> {
    /// Now, or a little before what is known: then the answer is dated later than the question.
    pub fn asked_at(&mut self) -> i64 {
        if self.random.chance(15) { self.clock - self.random.between(1, 48) * (DAY / 24) } else { self.clock }
    }

    fn cause(&mut self, body: &mut Value) {
        if self.random.chance(70) {
            body["cause"] = json!(self.random.pick(&["staff", "system"]));
        }
    }

    fn handed_out(&mut self, by: &str, id: &str) {
        let mut name = Map::new();
        name.insert(by.to_owned(), json!(id));
        self.coupons.push(name);
        let at = self.clock;
        for days in [30, 90] {
            self.note_edge(at + days * DAY);
        }
    }

    /// `redemption_requested`, of what there is and of what there is not.
    pub fn ask_redemption(&mut self) -> Result<()> {
        let id = self.id();
        let mut body = json!({ "redemption_id": id });
        if self.random.chance(75) {
            let reward = if self.random.chance(60) { self.random.pick(&["small", "big"]) } else { self.random.pick(REWARDS) };
            body["reward"] = json!(reward);
            if reward == "pay" && self.random.chance(90) {
                body["points"] = json!(*self.random.pick(&[&5, &10, &15, &3, &7]));
            }
        } else if self.random.chance(95) {
            body["points"] = json!(self.random.between(1, 15));
        }
        self.maybe_ledger(&mut body);
        if self.random.chance(3) {
            body["ledger"] = json!("no-such");
        }
        if self.random.chance(30) {
            body["order_id"] = json!(self.some_order());
        }
        self.redemptions.push(id.clone());
        self.handed_out("redemption_id", &id);
        let at = self.asked_at();
        self.say("redemption_requested", at, body);
        Ok(())
    }

    /// `redemption_reversed`, whole or in part.
    pub fn ask_reversal(&mut self) -> Result<()> {
        let id = self.random.any(&self.redemptions).unwrap_or_else(|| "no-such".to_owned());
        let mut body = json!({ "redemption_id": id });
        if self.random.chance(45) {
            body["points"] = json!(self.random.between(1, 8));
        }
        self.cause(&mut body);
        let at = self.asked_at();
        self.say("redemption_reversed", at, body);
        Ok(())
    }

    /// `reward_granted`
    pub fn ask_grant(&mut self) -> Result<()> {
        let id = self.id();
        let reward = self.random.pick(&["gift", "gift", "trinket", "small", "no-such"]);
        self.handed_out("grant_id", &id);
        let at = self.asked_at();
        let mut body = json!({ "grant_id": id, "reward": reward, "reason": "birthday" });
        if self.options.features.per_member && self.random.chance(45) {
            body["reward"] = json!(self.random.pick(REWARDS));
            body["deduct"] = json!(self.random.chance(50));
        }
        self.say("reward_granted", at, body);
        Ok(())
    }

    /// `coupon_reserved`
    pub fn ask_reservation(&mut self) -> Result<()> {
        let mut body = self.some_coupon();
        body["order_id"] = json!(self.some_order());
        let until = self.clock + self.random.between(-1, 6) * DAY;
        self.note_edge(until);
        body["until"] = json!(calendar::show(until));
        let at = self.asked_at();
        self.say("coupon_reserved", at, body);
        Ok(())
    }

    /// `coupon_revoked`
    pub fn ask_revocation(&mut self) -> Result<()> {
        let mut body = self.some_coupon();
        if self.random.chance(75) {
            body["restore_points"] = json!(self.random.chance(80));
        }
        self.cause(&mut body);
        let at = self.asked_at();
        self.say("coupon_revoked", at, body);
        Ok(())
    }

    /// `points_adjusted`, up and down.
    pub fn ask_adjustment(&mut self) -> Result<()> {
        let points = self.random.between(1, 20) * if self.random.chance(40) { -1 } else { 1 };
        let id = self.id();
        let mut body = json!({ "adjustment_id": id, "points": points, "reason": "goodwill" });
        self.maybe_ledger(&mut body);
        if points < 0 && self.random.chance(40) {
            body["allow_debt"] = json!(true);
        }
        if points > 0 {
            self.adjustments.push((id, body.get("ledger").cloned()));
        } else if let Some((id, ledger)) = self.random.any(&self.adjustments).filter(|_| self.random.chance(60)) {
            body["takes_back"] = json!(id);
            if let Some(ledger) = ledger {
                body["ledger"] = ledger;
            }
        }
        if self.options.features.tiers && self.random.chance(25) {
            let credit = self.some_tier_credit();
            body["tier_credit"] = json!(money(credit, &self.made.currencies[0]));
        }
        if points > 0 {
            for (key, word) in [("starts", "immediate"), ("expires", "never")] {
                if self.random.chance(40) {
                    body[key] = self.some_time(word);
                }
            }
        }
        let at = self.asked_at();
        self.note_edges(at)?;
        self.say("points_adjusted", at, body);
        Ok(())
    }

    fn some_time(&mut self, word: &str) -> Value {
        match self.random.below(4) {
            0 => json!(word),
            1 => json!({ "after": self.random.pick(&["P3D", "P10D", "P1M", "PT12H"]) }),
            2 => json!({ "after": "P14D", "to": self.random.pick(&["day_end", "day_start", "month_end"]) }),
            _ => {
                let at = self.clock + self.random.between(-2, 40) * DAY;
                self.note_edge(at);
                json!({ "at": calendar::show(at) })
            }
        }
    }

    /// A coupon named in one of the ways in which it can be named.
    fn some_coupon(&mut self) -> Value {
        let last = self.coupons.len().saturating_sub(5);
        let Some(name) = self.random.any(&self.coupons[last..]) else {
            return json!({ "code": "no-such" });
        };
        let id = name.get("redemption_id").or(name.get("grant_id")).and_then(Value::as_str);
        match id {
            Some(id) if self.random.chance(30) => json!({ "code": format!("code-of-{id}") }),
            _ => Value::Object(name),
        }
    }

    /// `coupon_used`, `coupon_released`
    pub fn coupon_fact(&mut self, kind: &str) -> Result<()> {
        let mut body = self.some_coupon();
        body["order_id"] = json!(self.some_order());
        let at = self.now_or_before();
        self.say(kind, at, body);
        Ok(())
    }
}
