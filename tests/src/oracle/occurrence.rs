//! What earns besides orders: activities, birthdays, registration.

use super::feats::Move;
use super::life::Start;
use super::lots::Opening;
use super::order::{fits_tier, is_in_time};
use super::rules::{Earn, ORules};
use super::state::State;
use super::tiers::Standing;
use anyhow::Result;
use std::rc::Rc;

impl State {
    /// `activity_recorded`. A birthday is an activity of that name.
    pub fn activity(&mut self, id: &str, activity: &str) -> Result<()> {
        let rules = self.rules();
        if self.earns_nothing(self.now) {
            return Ok(());
        }
        let tier = self.standing.as_ref().map(Standing::effective_id);
        for (rule, earn) in rules.earn.iter().enumerate() {
            let is_asked_for = match earn.on.as_str() {
                "activity" => earn.activity.as_deref().is_none_or(|name| name == activity),
                "birthday" => activity == "birthday",
                _ => false,
            };
            if !is_asked_for || !is_in_time(earn, &rules, self.now) || !fits_tier(earn, tier.as_deref()) {
                continue;
            }
            if earn.on == "birthday" {
                let year = format!("{} {}", earn.id, rules.zone.local(self.now).year());
                if self.occurred.contains(&year) {
                    continue;
                }
                self.occurred.push(year);
            }
            self.counted_occurrence(&rules, rule, tier.as_deref(), (21, id))?;
        }
        self.feats_of_activity(&rules, &Move { of: self.now, kind: 21, natural: id }, activity)
    }

    /// `member_registered`: the first one that is no guest's gives, once.
    pub fn registered(&mut self, id: &str, guest: bool) -> Result<()> {
        if !guest {
            self.status = "registered";
        } else if self.status != "registered" {
            self.status = "guest";
        }
        if guest {
            return Ok(());
        }
        let rules = self.rules();
        let tier = self.standing.as_ref().map(Standing::effective_id);
        for (rule, earn) in rules.earn.iter().enumerate() {
            let fits = earn.on == "registered" && is_in_time(earn, &rules, self.now) && fits_tier(earn, tier.as_deref());
            if fits && !self.earns_nothing(self.now) && !self.occurred.contains(&earn.id) {
                self.occurred.push(earn.id.clone());
                self.counted_occurrence(&rules, rule, tier.as_deref(), (23, id))?;
            }
        }
        Ok(())
    }

    /// What a rule gives, toward a tier too where it says so.
    fn counted_occurrence(&mut self, rules: &Rc<ORules>, rule: usize, tier: Option<&str>, of: (u32, &str)) -> Result<()> {
        let points = self.occurrence(rules, rule, tier, of.0, of.1)?;
        if rules.earn[rule].counts_toward_tier {
            self.count_activity(points);
        }
        Ok(())
    }

    /// A fixed number of points, as far as the limit allows. Inside: how many.
    fn occurrence(&mut self, rules: &Rc<ORules>, rule: usize, tier: Option<&str>, kind: u32, natural: &str) -> Result<i64> {
        let earn: &Earn = &rules.earn[rule];
        let desired = super::number::Ratio::whole(earn.points.into()).times(rules.multiplier(earn, tier)).round(rules.round);
        let (points, _) = self.trim(earn, &rules.zone, desired)?;
        if points == 0 {
            return Ok(0);
        }
        // Nothing is fulfilled here: what would wait for that starts at once.
        let starts = match earn.life.start {
            Start::Fulfilled(_) => self.now,
            _ => earn.life.starts_at(&rules.zone, self.now)?.unwrap_or(self.now),
        };
        let expires = earn.life.ends_at(&rules.zone, self.now, starts)?;
        let from = Opening { ledger: &earn.ledger, order: None, rule, kind, natural, points, entry: "earned" };
        self.open_lot(&from, Some(starts), expires, None);
        Ok(points)
    }
}
