//! What is known of a member's tier (§9): the days that count, the tier it qualified for, the override, and progress.

use crate::calendar::{self, To, day_number};
use crate::ruleset::{Downgrade, Metric, Ruleset, Tiers};
use crate::{Instant, Text};
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// The tier of a member. Places of tiers are those of the ruleset in force at `synced`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TierState {
    /// The ruleset in force then is the one that everything here is by.
    pub synced: Instant,
    /// What the days count.
    pub metric: Metric,
    /// The member's first local day, as days since 1970-01-01.
    pub first_day: i32,
    /// Hash of program and member: what codes of entry benefits are made from.
    pub seed: u64,
    /// What counts, by local day, of the window only.
    pub days: VecDeque<Day>,
    /// Days before this one are forgotten, for every later window too.
    pub forgotten_before: i32,
    /// The tier by the member's own metric, its hold included.
    pub qualified: u8,
    /// The end of its hold, or of the grace after it; `MAX`: none.
    pub held_until: Instant,
    /// The hold is over, the grace is not.
    pub in_grace: bool,
    /// The fact that attained it, by the number of its kind …
    pub attained_kind: u8,
    /// … and its natural id; empty: none did.
    pub attained_by: Text,
    /// A tier by hand.
    pub over: Option<Override>,
    /// Entry benefits given: the tier, and the local day of the last time.
    pub given: Vec<(Text, i32)>,
}

/// What a local day counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Minor units, points or orders, as they are now.
    pub amount: i64,
    /// What refunds, cancellations and lower versions took, ≥ 0.
    pub lowered: i64,
    /// Credit by hand.
    pub credit: i64,
}

/// A tier by hand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Override {
    /// The tier's id.
    pub tier: Text,
    /// The higher of it and the qualified one; else it alone.
    pub floor: bool,
    /// Its end; `MAX`: none.
    pub until: Instant,
    /// The request's id.
    pub source: Text,
    /// When it was set.
    pub since: Instant,
}

/// What counts of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The metric, ≥ 0.
    pub metric: i64,
    /// What refunds, cancellations and lower versions took of it.
    pub lowered: i64,
}

/// How a member stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The tier in force, a place in the list.
    pub effective: u8,
    /// The tier without the override.
    pub qualified: u8,
    /// What counts today, ≥ 0.
    pub metric: i64,
    /// The next tier above the qualified one, and what is missing to it.
    pub next: Option<(u8, i64)>,
    /// The end of the hold, or of the grace after it.
    pub held_until: Option<Instant>,
    /// The hold is over, the grace is not.
    pub in_grace: bool,
    /// The qualified tier after `held_until` (and the grace that may follow) if nothing else happens.
    pub projected: Option<u8>,
    /// What is missing at `held_until` to keep the qualified tier, ≥ 0.
    pub to_keep: Option<i64>,
}

impl TierState {
    /// A member that is new to tiers.
    pub(crate) fn new(seed: u64, tiers: &Tiers, rules: &Ruleset, at: Instant) -> TierState {
        let first_day = day_number(at, &rules.zone);
        let (held_until, forgotten_before) = (Instant::MAX, i32::MIN);
        TierState { synced: at, metric: tiers.metric, first_day, seed, held_until, forgotten_before, ..TierState::default() }
    }

    /// The tier in force.
    pub fn effective(&self, tiers: &Tiers) -> u8 {
        match self.over.as_ref().and_then(|over| Some((over.floor, tiers.index(&over.tier)?))) {
            None => self.qualified,
            Some((true, tier)) => tier.max(self.qualified),
            Some((false, tier)) => tier,
        }
    }

    /// When something happens by itself; `MAX`: never.
    pub fn next_boundary(&self) -> Instant {
        self.held_until.min(self.over.as_ref().map_or(Instant::MAX, |over| over.until))
    }

    /// What counts of these days.
    pub fn counted(&self, days: RangeInclusive<i32>) -> Counted {
        let inside = self.days.iter().filter(|day| days.contains(&day.day));
        let sum = inside.fold((0_i64, 0_i64), |(metric, lowered), day| {
            (metric.saturating_add(day.amount).saturating_add(day.credit), lowered.saturating_add(day.lowered))
        });
        Counted { metric: sum.0.max(0), lowered: sum.1 }
    }

    /// What counts of the window at `at`.
    pub(crate) fn counted_at(&self, tiers: &Tiers, rules: &Ruleset, at: Instant) -> Counted {
        self.counted(tiers.window.days(day_number(at, &rules.zone), self.first_day))
    }

    /// Forgets days before `start`, for good.
    pub(crate) fn forget_before(&mut self, start: i32) {
        self.forgotten_before = self.forgotten_before.max(start);
        while self.days.front().is_some_and(|day| day.day < start) {
            self.days.pop_front();
        }
    }

    /// The day's count, to be changed; made if it is new.
    pub(crate) fn day_mut(&mut self, day: i32) -> &mut Day {
        let index = match self.days.back() {
            Some(last) if last.day == day => self.days.len() - 1,
            Some(last) if last.day < day => self.days.len(),
            _ => self.days.partition_point(|known| known.day < day),
        };
        if self.days.get(index).is_none_or(|known| known.day != day) {
            self.days.insert(index, Day { day, ..Day::default() });
        }
        &mut self.days[index]
    }

    /// The end of a hold that begins at the boundary `at`, a day's start; `MAX`: none.
    pub(crate) fn hold_from(tier: u8, tiers: &Tiers, rules: &Ruleset, at: Instant, to: To) -> Instant {
        match tiers.hold {
            Some(hold) if tier > 0 => calendar::add(at, hold, to, &rules.zone),
            _ => Instant::MAX,
        }
    }

    /// The end of the hold or grace has come: the tier is tested on its window. Returns what was compared with what.
    pub(crate) fn test(&mut self, tiers: &Tiers, rules: &Ruleset, at: Instant) -> (Counted, i64) {
        let counted = self.counted(tiers.window.tested(at, self.first_day, &rules.zone));
        let needed = tiers.get(self.qualified).maintain;
        if counted.metric >= needed {
            self.held_until = TierState::hold_from(self.qualified, tiers, rules, at, To::Exact);
            self.in_grace = false;
            return (counted, needed);
        }
        let grace_end = calendar::add(at, tiers.grace, To::Exact, &rules.zone);
        if !self.in_grace && grace_end > at {
            (self.in_grace, self.held_until) = (true, grace_end);
            return (counted, needed);
        }
        self.qualified = match tiers.downgrade {
            Downgrade::Full => tiers.reached(counted.metric).min(tiers.below(self.qualified)),
            Downgrade::OneStep => tiers.below(self.qualified),
            Downgrade::None => self.qualified,
        };
        self.held_until = TierState::hold_from(self.qualified, tiers, rules, at, To::Exact);
        self.in_grace = false;
        (counted, needed)
    }

    /// How the member stands at `at`, up to which time must have passed.
    pub fn progress(&self, tiers: &Tiers, rules: &Ruleset, at: Instant) -> Progress {
        let metric = self.counted_at(tiers, rules, at).metric;
        let missing = |tier: u8| (tier, tiers.get(tier).entry.unwrap_or(0).saturating_sub(metric).max(0));
        let held_until = Some(self.held_until).filter(|&until| until != Instant::MAX);
        let (mut projected, mut to_keep) = (None, None);
        if let Some(until) = held_until {
            let mut later = self.clone();
            let (counted, needed) = later.test(tiers, rules, until);
            if later.in_grace {
                later.test(tiers, rules, later.held_until);
            }
            projected = Some(later.qualified);
            to_keep = Some((needed - counted.metric).max(0));
        }
        Progress {
            effective: self.effective(tiers),
            qualified: self.qualified,
            metric,
            next: tiers.above(self.qualified).map(missing),
            held_until,
            in_grace: self.in_grace,
            projected,
            to_keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_stay_in_order() {
        let mut state = TierState::default();
        for (day, amount) in [(5, 10), (3, 1), (5, 5), (9, 7)] {
            state.day_mut(day).amount += amount;
        }
        let days = |state: &TierState| state.days.iter().map(|day| (day.day, day.amount)).collect::<Vec<_>>();
        assert_eq!(days(&state), [(3, 1), (5, 15), (9, 7)]);
        state.forget_before(5);
        assert_eq!(days(&state), [(5, 15), (9, 7)]);
        state.day_mut(9).credit = -30;
        assert_eq!((state.counted(5..=9).metric, state.counted(6..=9).metric), (0, 0), "never below 0");
        assert_eq!(state.counted(5..=8).metric, 15, "the ninth is not yet");
    }
}
