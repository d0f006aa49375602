//! The member's tier: what is counted, the way up, the hold, the way down, the override (§9).

use super::coupon::Coupon;
use super::fact::{CouponName, Millionths};
use super::ladder::{Downgrade, Ladder, Metric};
use super::lots::{NO_RULE, Opening};
use super::number::decimals;
use super::rules::ORules;
use super::state::State;
use anyhow::Result;
use jiff::civil::Date;
use std::rc::Rc;

/// Where a member stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The ruleset by which it stands there.
    pub rules: Rc<ORules>,
    /// The local day on which counting began.
    pub began: Date,
    /// Days before it are forgotten.
    pub forgotten_before: Date,
    /// The qualified tier, its id.
    pub qualified: String,
    /// To when it is held, or, in grace, stays.
    pub held_until: Option<i64>,
    /// It was not maintained, and stays for a while.
    pub in_grace: bool,
    /// The tier set by hand.
    pub set: Option<Override>,
    /// Tier credit by local day, in the unit of the metric.
    pub credit: Vec<(Date, i64)>,
    /// Points of activities that count, by local day.
    pub of_activities: Vec<(Date, i64)>,
    /// Which tier's benefits were given on which day.
    pub benefits: Vec<(String, Date)>,
}

/// A tier set by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its id.
    pub tier: String,
    /// This one, whatever is qualified; else at least this one.
    pub exact: bool,
    /// Its end.
    pub until: Option<i64>,
}

/// The tier changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: i64,
    /// Why.
    pub cause: String,
    /// Effective before and after.
    pub effective: (String, String),
    /// Qualified before and after.
    pub qualified: (String, String),
}

impl Standing {
    /// The ladder it stands on.
    pub fn ladder(&self) -> Option<&Ladder> {
        self.rules.tiers.as_ref()
    }

    /// The place of the qualified tier.
    pub fn rank(&self) -> usize {
        self.ladder().and_then(|ladder| ladder.rank(&self.qualified)).unwrap_or(0)
    }

    /// The place of the tier in force. An override that this ladder does not have rests.
    pub fn effective(&self) -> usize {
        let set = self.set.as_ref().and_then(|set| Some((self.ladder()?.rank(&set.tier)?, set.exact)));
        match set {
            None => self.rank(),
            Some((rank, true)) => rank,
            Some((rank, false)) => rank.max(self.rank()),
        }
    }

    /// The id of the tier in force.
    pub fn effective_id(&self) -> String {
        self.ladder().map_or_else(String::new, |ladder| ladder.tiers[self.effective()].id.clone())
    }

    /// When the hold or the grace ends, if it does.
    pub fn end(&self) -> Option<i64> {
        let never = self.rank() == 0 || self.ladder().is_none_or(|ladder| ladder.downgrade == Downgrade::None);
        if never { None } else { self.held_until }
    }
}

impl State {
    /// The member's first fact under a ruleset with tiers begins the counting.
    pub fn begin_counting(&mut self) {
        let rules = self.rules();
        if self.standing.is_none()
            && let Some(ladder) = &rules.tiers
        {
            self.standing = Some(Standing {
                began: rules.zone.local(self.now).date(),
                forgotten_before: Date::MIN,
                qualified: ladder.tiers[0].id.clone(),
                held_until: None,
                in_grace: false,
                set: None,
                credit: Vec::new(),
                of_activities: Vec::new(),
                benefits: Vec::new(),
                rules: rules.clone(),
            });
        }
    }

    /// The metric over these days.
    pub fn metric_of(&self, standing: &Standing, (first, last): (Date, Date)) -> i64 {
        let Some(metric) = standing.ladder().map(|ladder| ladder.metric) else { return 0 };
        let counts = |day: Date| first <= day && day <= last && day >= standing.forgotten_before;
        let of_orders = self.orders.values().filter(|order| {
            let captured = order.rules.tiers.as_ref().map(|ladder| ladder.metric);
            captured == Some(metric) && counts(order.rules.zone.local(order.at).date())
        });
        let mut sum = of_orders.map(|order| order.counts_for_tier(metric)).sum::<i64>();
        sum += standing.credit.iter().filter(|(day, _)| counts(*day)).map(|(_, amount)| amount).sum::<i64>();
        if metric == Metric::Points {
            sum += standing.of_activities.iter().filter(|(day, _)| counts(*day)).map(|(_, points)| points).sum::<i64>();
        }
        sum.max(0)
    }

    /// The metric now; 0 where nothing is counted.
    pub fn metric(&self) -> Result<i64> {
        let Some(standing) = &self.standing else { return Ok(0) };
        let Some(ladder) = standing.ladder() else { return Ok(0) };
        Ok(self.metric_of(standing, ladder.days(&standing.rules.zone, standing.began, self.now)?))
    }

    /// The metric of a test now.
    fn metric_tested(&self, standing: &Standing, ladder: &Ladder) -> Result<i64> {
        Ok(self.metric_of(standing, ladder.days_tested(&standing.rules.zone, standing.began, self.now)?))
    }

    /// Tier credit: minor units of the program's currency, or whole ones where the metric is not spend.
    pub fn credit(&mut self, amount: Millionths) {
        let rules = self.rules();
        let day = rules.zone.local(self.now).date();
        if let Some(standing) = &mut self.standing {
            let is_spend = standing.ladder().is_some_and(|ladder| ladder.metric == Metric::Spend);
            let digits = if is_spend { decimals(&rules.currency) } else { 0 };
            let amount = amount * 10_i128.pow(digits) / 1_000_000;
            standing.credit.push((day, i64::try_from(amount).unwrap_or(0)));
        }
    }

    /// All tier credit there is is gone.
    pub fn no_credit(&mut self) {
        if let Some(standing) = &mut self.standing {
            standing.credit.clear();
        }
    }

    /// Points of an activity that count.
    pub fn count_activity(&mut self, points: i64) {
        let day = self.rules().zone.local(self.now).date();
        if let Some(standing) = &mut self.standing {
            standing.of_activities.push((day, points));
        }
    }

    /// After a fact: up, if it raised the metric that far.
    pub fn rise(&mut self, before: i64, cause: &str) -> Result<()> {
        let metric = self.metric()?;
        let Some(standing) = self.standing.clone() else { return Ok(()) };
        if metric <= before {
            return Ok(());
        }
        self.lift(standing, metric, cause)
    }

    fn lift(&mut self, mut standing: Standing, metric: i64, cause: &str) -> Result<()> {
        let Some(ladder) = standing.ladder() else { return Ok(()) };
        let reached = ladder.reached(metric);
        if reached > standing.rank() {
            let held = standing.rules.zone.after(self.now, &ladder.hold, Some("day_end"))?;
            standing.qualified = ladder.tiers[reached].id.clone();
            standing.held_until = Some(held);
            standing.in_grace = false;
            self.stand(standing, cause)?;
        }
        Ok(())
    }

    /// Sets or ends the override.
    pub fn override_tier(&mut self, set: Option<Override>, cause: &str) -> Result<()> {
        let Some(mut standing) = self.standing.clone() else { return Ok(()) };
        if set.is_some() && set != standing.set {
            self.set_by = self.source.clone();
        }
        standing.set = set;
        self.stand(standing, cause)
    }

    /// The member stands elsewhere now; told where that makes a difference, with the benefits of a tier entered.
    fn stand(&mut self, to: Standing, cause: &str) -> Result<()> {
        let Some(from) = self.standing.replace(to.clone()) else { return Ok(()) };
        let effective = (from.effective_id(), to.effective_id());
        let qualified = (from.qualified.clone(), to.qualified.clone());
        if effective.0 == effective.1 && qualified.0 == qualified.1 {
            return Ok(());
        }
        self.note("tier_changed");
        self.transitions.push(Transition { at: self.now, cause: cause.to_owned(), effective, qualified });
        if cause != "ruleset" && to.effective() > from.effective() { self.benefits(&to) } else { Ok(()) }
    }

    /// What the tier entered gives, unless its benefits were given on a day that the window still holds.
    fn benefits(&mut self, standing: &Standing) -> Result<()> {
        let Some(ladder) = standing.ladder() else { return Ok(()) };
        let rules = standing.rules.clone();
        let tier = &ladder.tiers[standing.effective()];
        let (first, today) = ladder.days(&rules.zone, standing.began, self.now)?;
        let given = standing.benefits.iter().any(|(id, day)| *id == tier.id && first <= *day && *day <= today);
        let has_any = tier.entry_points > 0 || tier.entry_reward.is_some();
        if given || !has_any || self.earns_nothing(self.now) {
            return Ok(());
        }
        if let Some(standing) = &mut self.standing {
            standing.benefits.push((tier.id.clone(), today));
        }
        let grant = format!("tier:{}:{today}", tier.id);
        if tier.entry_points > 0 {
            let points = tier.entry_points;
            let (kind, natural, source_at) = self.source.clone();
            let from = Opening { ledger: "main", order: None, rule: NO_RULE, kind, natural: &natural, points, entry: "earned" };
            let expires = rules.life.ends_at(&rules.zone, self.now, self.now)?;
            self.open_lot(&from, Some(self.now), expires, None);
            if let Some(lot) = self.lots.last_mut() {
                lot.source_at = source_at;
            }
            self.gave.push("main".to_owned());
        }
        let reward = tier.entry_reward.as_ref().and_then(|id| rules.rewards.get(id));
        self.give(tier.entry_reward.as_deref(), CouponName::Grant(grant.clone()));
        if let Some(terms) = reward.and_then(|reward| reward.coupon.as_ref()) {
            let expires = terms.valid_for.as_ref().map(|valid_for| rules.zone.add(self.now, valid_for)).transpose()?;
            let code = format!("code-of-{grant}");
            self.coupons.push(Coupon::new(&code, CouponName::Grant(grant.clone()), 0, terms.uses as usize, expires, false));
            self.note("coupon_issued");
        }
        Ok(())
    }

    /// When something about the tier happens by itself.
    pub fn ends_of_tiers(&self) -> Vec<i64> {
        let of_standing = self.standing.iter().flat_map(|standing| {
            let set = standing.set.as_ref().and_then(|set| set.until);
            [set, standing.end()].into_iter().flatten()
        });
        of_standing.collect()
    }

    /// At the boundary `now`: a new ruleset, the end of the override, the end of the hold or of the grace.
    pub fn tiers_at_boundary(&mut self) -> Result<()> {
        self.ruleset_of_tiers()?;
        let now = self.now;
        let override_ends = |standing: &Standing| standing.set.as_ref().and_then(|set| set.until).is_some_and(|end| end <= now);
        if self.standing.as_ref().is_some_and(override_ends) {
            self.source = self.set_by.clone();
            self.override_tier(None, "override_ended")?;
        }
        match self.standing.clone() {
            Some(standing) if standing.end().is_some_and(|end| end <= now) => self.test(standing),
            _ => Ok(()),
        }
    }

    /// The end of a hold or of a grace: kept, in grace, or down.
    fn test(&mut self, mut standing: Standing) -> Result<()> {
        let Some(ladder) = standing.ladder().cloned() else { return Ok(()) };
        let zone = standing.rules.zone.clone();
        let rank = standing.rank();
        let metric = self.metric_tested(&standing, &ladder)?;
        let cause = if standing.in_grace { "grace_ended" } else { "hold_ended" };
        let held = Some(zone.add(self.now, &ladder.hold)?);
        if metric >= ladder.tiers[rank].maintain {
            (standing.held_until, standing.in_grace) = (held, false);
        } else if let Some(grace) = ladder.grace.as_ref().filter(|_| !standing.in_grace) {
            (standing.held_until, standing.in_grace) = (Some(zone.add(self.now, grace)?), true);
        } else {
            let down = if ladder.downgrade == Downgrade::OneStep { ladder.below(rank) } else { ladder.reached(metric) };
            standing.qualified = ladder.tiers[down].id.clone();
            (standing.held_until, standing.in_grace) = (held.filter(|_| down > 0), false);
        }
        self.stand(standing, cause)
    }

    /// Another ruleset is in force than the one by which the member stands.
    fn ruleset_of_tiers(&mut self) -> Result<()> {
        let rules = self.rules();
        let Some(mut standing) = self.standing.clone() else { return Ok(()) };
        if Rc::ptr_eq(&rules, &standing.rules) {
            return Ok(());
        }
        let Some(ladder) = rules.tiers.clone() else {
            self.standing = None;
            return Ok(());
        };
        let from_ladder = standing.ladder().cloned();
        if let Some(old) = &from_ladder {
            standing.forgotten_before = old.days(&standing.rules.zone, standing.began, self.now)?.0;
            if old.metric != ladder.metric {
                standing.credit.clear();
                standing.of_activities.clear();
            }
        }
        standing.rules = rules.clone();
        let days = ladder.days(&rules.zone, standing.began, self.now)?;
        let metric = self.metric_of(&standing, days);
        if ladder.rank(&standing.qualified).is_none() {
            let rank = ladder.reached(metric);
            standing.qualified = ladder.tiers[rank].id.clone();
            standing.in_grace = false;
            let held = rules.zone.after(self.now, &ladder.hold, Some("day_end"))?;
            standing.held_until = (rank > 0).then_some(held);
        }
        // Where tiers were never lost, the hold begins with the ruleset that takes them.
        let had_no_hold = from_ladder.is_some_and(|old| old.downgrade == Downgrade::None);
        if had_no_hold && standing.rank() > 0 && ladder.downgrade != Downgrade::None {
            standing.held_until = Some(rules.zone.after(self.now, &ladder.hold, Some("day_end"))?);
        }
        if ladder.reached(metric) > standing.rank() {
            standing.qualified = ladder.tiers[ladder.reached(metric)].id.clone();
            standing.in_grace = false;
            standing.held_until = Some(rules.zone.after(self.now, &ladder.hold, Some("day_end"))?);
        }
        self.stand(standing, "ruleset")
    }
}
