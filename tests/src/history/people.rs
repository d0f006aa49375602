//! What people and staff do about the member itself: exclusion, joining, leaving, tiers by hand, transfers.

use super::DAY;
use super::life::Life;
use super::orders::money;
use super::random::Random;
use crate::oracle::calendar;
use anyhow::Result;
use serde_json::json;

impl Life<'_> {
    /// Excluded, included, left, registered, erased; or something that changes no number.
    pub fn standing(&mut self) -> Result<()> {
        let at = self.now_or_before();
        let features = self.options.features;
        match self.random.below(12) {
            0..4 => self.exclusion(at),
            4..7 => self.say("member_included", at, json!({})),
            7 => self.say("member_registered", at, json!({})),
            8 => self.say("member_left", at, json!({})),
            9 if features.guests => {
                let guest = self.random.chance(50);
                self.say("member_registered", at, json!({ "guest": guest }));
            }
            11 if features.merges => {
                let winner = *self.random.pick(&[&1, &2, &2, &3]);
                let kind = if self.random.chance(60) { "members_merged" } else { "members_unmerged" };
                let other = format!("m{winner}");
                if other != self.member {
                    self.say(kind, at, json!({ "loser": other }));
                }
            }
            10 if features.erased && self.random.chance(15) => self.say("member_erased", at, json!({})),
            _ => self.say("note_added", at, json!({ "text": "called" })),
        }
        Ok(())
    }

    fn exclusion(&mut self, at: i64) {
        let from = at + self.random.between(-15, 10) * DAY;
        let (earn, redeem) = (self.random.chance(85), self.random.chance(70));
        let mut body = json!({ "earn": earn || !redeem, "redeem": redeem });
        if self.random.chance(70) {
            body["from"] = json!(calendar::show(from));
        }
        if self.random.chance(80) {
            let until = at.max(from) + self.random.between(1, 20) * DAY;
            self.note_edge(until);
            body["until"] = json!(calendar::show(until));
        }
        self.say("member_excluded", at, body);
    }

    /// `tier_credit_adjusted`, `tier_credit_recalculated`
    pub fn tier_credit(&mut self) -> Result<()> {
        let at = self.now_or_before();
        if self.random.chance(25) {
            self.say("tier_credit_recalculated", at, json!({}));
            return Ok(());
        }
        let mut amount = self.some_tier_credit();
        if self.random.chance(30) {
            amount = -amount;
        }
        let amount = money(amount, &self.made.currencies[0]);
        self.say("tier_credit_adjusted", at, json!({ "amount": amount, "reason": "goodwill" }));
        Ok(())
    }

    /// Minor units, > 0: next to nothing, or what makes a difference.
    pub fn some_tier_credit(&mut self) -> i64 {
        let most = *self.random.pick(&[&2, &500, &10_000]);
        self.random.between(1, most)
    }

    /// `tier_overridden`, `tier_override_ended`
    pub fn ask_override(&mut self) -> Result<()> {
        let at = self.asked_at();
        if self.random.chance(30) {
            self.say("tier_override_ended", at, json!({}));
            return Ok(());
        }
        let known = self.made.tiers.clone();
        let tier = if self.random.chance(6) { Some("no-such") } else { self.random.any(&known) }.unwrap_or("gold");
        let mode = self.random.pick(&["exact", "floor"]);
        let mut body = json!({ "tier": tier, "mode": mode, "reason": "staff" });
        if self.random.chance(65) {
            let until = self.clock + self.random.between(-1, 60) * DAY;
            self.note_edge(until);
            body["until"] = json!(calendar::show(until));
        }
        self.say("tier_overridden", at, body.clone());
        if self.random.chance(15) {
            self.say("tier_overridden", at, body);
        }
        Ok(())
    }

    /// `exception_resolved`: on an order, or written off.
    pub fn resolve(&mut self) -> Result<()> {
        let refund = self.random.any(&self.unmatched).unwrap_or_default();
        let mut body = json!({ "exception": format!("refund_unmatched/{refund}"), "reason": "called" });
        if self.random.chance(70) {
            body["order_id"] = json!(self.some_order());
            if self.random.chance(50) {
                body["line_id"] = json!(self.random.pick(&["0", "1", "T-1"]));
            }
        }
        let at = self.now_or_before();
        self.say("exception_resolved", at, body);
        Ok(())
    }

    /// A card is handed out, blocked, found again, or replaced; or one is meant that nobody handed out.
    pub fn card(&mut self) -> Result<()> {
        let code = |random: &mut Random| format!("C{}", random.between(1, 4));
        let (one, other) = (code(self.random), code(self.random));
        let (kind, body) = match self.random.below(3) {
            0 => ("card_issued", json!({ "code": one })),
            1 => ("card_status_changed", json!({ "code": one, "status": self.random.pick(&["active", "inactive", "blocked"]) })),
            _ => ("card_replaced", json!({ "old": one, "new": other })),
        };
        let at = self.now_or_before();
        self.say(kind, at, body);
        Ok(())
    }

    /// `points_transferred` to another member: also to one of whom nothing is known, and to itself.
    pub fn ask_sending(&mut self) -> Result<()> {
        let to = format!("m{}", self.random.pick(&[&1, &2, &2, &1, &3]));
        let mut body = json!({ "transfer_id": self.id(), "to_member": to, "points": self.random.between(1, 6) });
        self.maybe_ledger(&mut body);
        let at = self.asked_at();
        self.say("points_transferred", at, body);
        Ok(())
    }

    /// `points_transferred` to another ledger of the member.
    pub fn ask_transfer(&mut self) -> Result<()> {
        let ledgers = self.made.ledgers.clone();
        let mut to = self.random.any(&ledgers).unwrap_or_default();
        if self.random.chance(4) {
            to = "no-such".to_owned();
        }
        let points = self.random.between(1, 12);
        let body = json!({ "transfer_id": self.id(), "to_ledger": to, "points": points });
        let at = self.asked_at();
        self.say("points_transferred", at, body);
        Ok(())
    }
}
