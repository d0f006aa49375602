//! What is no order and earns a fixed number of points: activities, birthdays, registration (§3).
//!
//! A rule of 50 on birthdays: the activity `birthday` on 3 May gives 50, one on 4 May of the same year nothing.

use super::lots::{NewLot, Told};
use super::{Fold, Source};
use crate::calendar;
use crate::counters::Counted;
use crate::entry::{EntryKind, Sink, TierCause, Why};
use crate::expression::ActivityInput;
use crate::ruleset::{EarnRule, Metric, On, Ruleset, Start};
use crate::{Instant, Period, Text};

/// The activity that rules on birthdays look at.
const BIRTHDAY: &str = "birthday";

/// A fixed number of points, and how it is told.
#[derive(Clone, Copy)]
pub(super) struct Fixed<'s> {
    pub source: Source<'s>,
    /// They don't start before.
    pub not_before: Instant,
    /// A friend is the source: its first order, or empty where it joined.
    pub friends_order: Option<&'s str>,
}

impl<'s> Fixed<'s> {
    fn at_once(source: Source<'s>) -> Fixed<'s> {
        Fixed { source, not_before: Instant::MIN, friends_order: None }
    }

    fn why(&self, tier: u8, starts_at: Instant, expires_at: Instant) -> Why {
        match self.friends_order {
            None => Why::Fixed { tier, starts_at, expires_at },
            Some(order) => Why::Referral { order: Text::new(order), tier, starts_at, expires_at },
        }
    }
}

impl<S: Sink> Fold<'_, S> {
    pub(super) fn activity_recorded(&mut self, id: &str, activity: &str, source: Source<'_>, rules: &Ruleset, at: Instant) {
        if self.member.excluded_from_earning(at) {
            return;
        }
        for (index, rule) in rules.earn.iter().enumerate() {
            let asked = match rule.on {
                On::Activity => rule.when.activity.as_ref().is_none_or(|wanted| wanted == activity),
                On::Birthday => activity == BIRTHDAY,
                On::Order | On::Registered | On::ReferralJoined | On::ReferralCompleted => false,
            };
            let said = || match &rule.when.expression {
                None => true,
                Some(expression) => expression.holds_of_activity(&ActivityInput::new(id, activity, at, &rules.zone)) == Ok(true),
            };
            if asked && holds(rule, rules, self.tier_now(rules), at) && said() && self.first_of_year(rule, rules, at) {
                self.give_fixed(index, rule, Fixed::at_once(source), rules, at);
            }
        }
        if !rules.achievements.is_empty() {
            self.activity_achieves(activity, source, rules, at);
        }
    }

    pub(super) fn registered(&mut self, guest: bool, source: Source<'_>, rules: &Ruleset, at: Instant) {
        if guest || self.member.excluded_from_earning(at) {
            return;
        }
        for (index, rule) in rules.earn.iter().enumerate().filter(|(_, rule)| rule.on == On::Registered) {
            if holds(rule, rules, self.tier_now(rules), at) && self.first(Counted::Registered, rule, Instant::MIN) {
                self.give_fixed(index, rule, Fixed::at_once(source), rules, at);
            }
        }
    }

    fn first_of_year(&mut self, rule: &EarnRule, rules: &Ruleset, at: Instant) -> bool {
        rule.on != On::Birthday || self.first(Counted::Birthday, rule, Period::Year.start(at, &rules.zone))
    }

    /// Whether it is the first in its period; then it is counted.
    fn first(&mut self, what: Counted, rule: &EarnRule, period: Instant) -> bool {
        let counters = self.member.counters_mut();
        let first = counters.used(what, &rule.id, period) == 0;
        if first {
            counters.add(what, &rule.id, period, 1);
        }
        first
    }

    /// Returns the points given.
    pub(super) fn give_fixed(&mut self, index: usize, rule: &EarnRule, fixed: Fixed<'_>, rules: &Ruleset, at: Instant) -> i64 {
        let source = fixed.source;
        let tier = self.tier_now(rules);
        let desired = rules.for_occurrence(rule, tier);
        let points = self.fixed_within_limit(rule, desired, rules, at);
        // Nothing is there to be fulfilled: such points start at once.
        let starts_at = if matches!(rule.start, Start::Fulfilled { .. }) { at } else { rules.starts_at(&rule.start, at) };
        let starts_at = starts_at.max(fixed.not_before);
        let expires_at = rules.expires_at(&rule.life, at, starts_at);
        let why = match rule.limit.filter(|_| points < desired) {
            None => fixed.why(tier, starts_at, expires_at),
            Some(limit) => Why::Trimmed {
                eligible: 0,
                before: 0,
                desired,
                awarded: points,
                tier,
                limited_by: Text::new(&limit.name()),
                starts_at,
                expires_at,
            },
        };
        if points == 0 {
            self.nothing_left(index, why, rules, source, at);
            return 0;
        }
        let new = NewLot {
            ledger: &rule.ledger,
            source,
            occurred_at: at,
            ruleset: rules.tag(),
            rule: Some(index as u16),
            points,
            starts_at,
            expires_at,
            cancel_at: Instant::MAX,
        };
        self.open_lot(new, Told { kind: EntryKind::Earned, source, why }, rules, at);
        if rule.counts_toward_tier {
            self.tier_count(Metric::Points, calendar::day_number(at, &rules.zone), points, TierCause::Activity, at);
        }
        points
    }
}

/// Whether the instant is one that the rule asks for.
pub(super) fn holds(rule: &EarnRule, rules: &Ruleset, tier: u8, at: Instant) -> bool {
    let when = &rule.when;
    let weekday = when.weekdays == 0 || when.weekdays & (1 << calendar::weekday(at, &rules.zone)) != 0;
    at >= when.from && at < when.until && weekday && when.has_tier(tier)
}
