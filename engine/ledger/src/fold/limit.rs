//! Limits of earn rules (§12): an award is trimmed to what its period has room for; a refund makes room in the period of the award.
//!
//! Limit 500 a month, 450 used: an order worth 100 is awarded 50. Refunded in full in the same month, 450 are used again.

use super::{Draft, Fold, Source};
use crate::counters::Counted;
use crate::entry::{EntryKind, Sink, Why};
use crate::record::Award;
use crate::ruleset::{EarnRule, Limit, Ruleset};
use crate::worth::Worth;
use crate::{Instant, Text};
use smallvec::SmallVec;

impl<S: Sink> Fold<'_, S> {
    /// What the limit of a rule leaves of an order's worth; `points` of the answer is what is awarded in all.
    pub(super) fn within_limit(
        &mut self,
        index: usize,
        worth: Worth,
        awards: &mut SmallVec<[Award; 2]>,
        rules: &Ruleset,
        source: Source<'_>,
        at: Instant,
    ) -> Worth {
        let rule = &rules.earn[index];
        let Some(limit) = rule.limit else { return worth };
        let known = awards.iter().position(|award| usize::from(award.rule) == index);
        if known.is_none() && worth.desired == 0 {
            return worth;
        }
        let award = known.unwrap_or_else(|| award_of(awards, index));
        let award = &mut awards[award];
        let period = limit.each.start(at, &rules.zone);
        let (points, limited) = (award.points, award.limited.get_or_insert_default());
        let more = worth.desired - limited.desired;
        limited.desired = worth.desired;
        if more <= 0 {
            let awarded = points.min(worth.desired);
            let here = limited.in_period.min(points - awarded);
            limited.in_period -= here;
            if here > 0 {
                self.member.counters_mut().free(Counted::Points, &rule.id, limited.period, here);
            }
            return Worth { points: awarded, ..worth };
        }
        let gain = self.room(rule, limit, period).min(more);
        if gain > 0 {
            if limited.period != period {
                (limited.period, limited.in_period) = (period, 0);
            }
            limited.in_period += gain;
            self.member.counters_mut().add(Counted::Points, &rule.id, period, gain);
            return Worth { points: points + gain, ..worth };
        }
        let worth = Worth { points, ..worth };
        let why = entitlement(rule, worth, points, Instant::MIN, Instant::MAX);
        self.nothing_left(index, why, rules, source, at);
        worth
    }

    /// A fixed number of points within the limit of the rule; what is awarded is used.
    pub(super) fn fixed_within_limit(&mut self, rule: &EarnRule, desired: i64, rules: &Ruleset, at: Instant) -> i64 {
        let Some(limit) = rule.limit else { return desired };
        let period = limit.each.start(at, &rules.zone);
        let points = self.room(rule, limit, period).min(desired);
        if points > 0 {
            self.member.counters_mut().add(Counted::Points, &rule.id, period, points);
        }
        points
    }

    fn room(&self, rule: &EarnRule, limit: Limit, period: Instant) -> i64 {
        let counters = self.member.counters.as_deref();
        (limit.most - counters.map_or(0, |counters| counters.used(Counted::Points, &rule.id, period))).max(0)
    }

    /// An award that was trimmed to nothing is told all the same.
    pub(super) fn nothing_left(&mut self, index: usize, why: Why, rules: &Ruleset, source: Source<'_>, at: Instant) {
        let (kind, rule, ledger) = (EntryKind::Earned, Some(index as u16), rules.earn[index].ledger.as_str());
        self.entry(Draft { kind, at, ledger, points: 0, source, ruleset: rules.tag(), rule, lots: &[], why });
    }
}

/// Opens the award of a rule.
pub(super) fn award_of(awards: &mut SmallVec<[Award; 2]>, index: usize) -> usize {
    awards.push(Award { rule: index as u16, ..Award::default() });
    awards.len() - 1
}

/// Why an order gives what it gives.
pub(super) fn entitlement(rule: &EarnRule, worth: Worth, before: i64, starts_at: Instant, expires_at: Instant) -> Why {
    let Worth { eligible, points: after, tier, .. } = worth;
    match rule.limit.filter(|_| worth.desired > worth.points) {
        None => Why::Entitlement { eligible, before, after, tier, starts_at, expires_at },
        Some(limit) => {
            let (desired, awarded) = (worth.desired, after);
            Why::Trimmed { eligible, before, desired, awarded, tier, limited_by: Text::new(&limit.name()), starts_at, expires_at }
        }
    }
}
