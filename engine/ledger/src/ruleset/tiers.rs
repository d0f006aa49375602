//! `[tiers]` and `[[tier]]` (§9): what is counted, over which days, how a tier is held and lost; and expiry by inactivity (§8).

use super::When;
use crate::Ratio;
use crate::calendar::{Duration, day_number};
use crate::zone::{Zone, add_months, civil, days};
use crate::{EarnRule, Instant, Ruleset};
use serde::Deserialize;
use smol_str::SmolStr;
use std::ops::RangeInclusive;

/// Tiers a ruleset may have: which of them a rule asks for fits one word.
pub const TIERS_MAX: usize = 64;

/// `[tiers]`, with its `[[tier]]`.
#[derive(Clone, Debug)]
pub struct Tiers {
    /// What is counted.
    pub metric: Metric,
    /// Over which days.
    pub window: Window,
    /// How long an attained tier is held; days or more. `None`: tiers are never lost.
    pub hold: Option<Duration>,
    /// How long a tier that is not maintained stays, from the end of its hold.
    pub grace: Duration,
    /// Where a tier that is not maintained falls to.
    pub downgrade: Downgrade,
    /// Lowest first; the first has entry 0.
    pub list: Vec<Tier>,
}

/// `[tiers] metric`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Eligible amounts, minor units of the program's currency.
    #[default]
    Spend,
    /// Points of rules with `counts_toward_tier`.
    Points,
    /// Orders.
    Orders,
}

/// `[tiers] window`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many local days up to today.
    Rolling(Duration),
    /// From the first day of the month (1), quarter (3) or year (12).
    Calendar(i64),
    /// Periods of so many months, or else days, from the member's first day.
    Anniversary(Duration),
    /// Everything.
    Lifetime,
}

/// `[tiers] downgrade`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Downgrade {
    /// To the highest tier whose entry is reached.
    #[default]
    Full,
    /// To the next lower one.
    OneStep,
    /// Never.
    None,
}

/// `[[tier]]`
#[derive(Clone, Debug)]
pub struct Tier {
    /// Unique in the ruleset.
    pub id: SmolStr,
    /// For people.
    pub name: SmolStr,
    /// Reached with so much of the metric. `None`: a custom tier, only by override.
    pub entry: Option<i64>,
    /// Kept with so much, at most `entry`.
    pub maintain: i64,
    /// Times the points.
    pub multiplier: Ratio,
    /// Shown to its members.
    pub discount_code: Option<SmolStr>,
    /// Points given on entry, ≥ 0.
    pub entry_points: i64,
    /// The reward given on entry.
    pub entry_reward: Option<SmolStr>,
}

/// `[expiry] inactivity`: points end that long after the last activity (§8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inactivity {
    /// To the end of the local day so long after it.
    pub after: Duration,
    /// Orders that earn are activities.
    pub orders: bool,
    /// Redemptions are.
    pub redemptions: bool,
    /// Activities of these names are.
    pub activities: Vec<SmolStr>,
}

impl Tiers {
    /// Where a tier is in the list.
    pub fn index(&self, id: &str) -> Option<u8> {
        self.list.iter().position(|tier| tier.id == id).map(|index| index as u8)
    }

    /// The tier at a place; the first for places that are not there.
    pub fn get(&self, index: u8) -> &Tier {
        self.list.get(usize::from(index)).unwrap_or(&self.list[0])
    }

    /// The highest tier that so much of the metric reaches.
    pub fn reached(&self, metric: i64) -> u8 {
        let reached = self.list.iter().rposition(|tier| tier.entry.is_some_and(|entry| entry <= metric));
        reached.unwrap_or(0) as u8
    }

    /// The next tier above that is not custom.
    pub fn above(&self, index: u8) -> Option<u8> {
        let from = usize::from(index) + 1;
        let next = self.list.iter().skip(from).position(|tier| tier.entry.is_some());
        next.map(|next| (from + next) as u8)
    }

    /// The next tier below that is not custom; the first has none.
    pub fn below(&self, index: u8) -> u8 {
        self.list[..usize::from(index)].iter().rposition(|tier| tier.entry.is_some()).unwrap_or(0) as u8
    }
}

impl Window {
    /// The first day of the window that ends with `day`. `first`: the member's first day.
    pub fn start(self, day: i32, first: i32) -> i32 {
        match self {
            Window::Rolling(length) => {
                (add_months(i64::from(day), -i64::from(length.months)) - i64::from(length.days) + 1) as i32
            }
            Window::Calendar(months) => {
                let (year, month, _) = civil(i64::from(day));
                days(year, (month - 1) / months * months + 1, 1) as i32
            }
            Window::Anniversary(length) => anniversary(length, i64::from(day), i64::from(first)) as i32,
            Window::Lifetime => i32::MIN,
        }
    }

    /// The window that ends with `day`: where the zone changed, something may lie on a day that is yet to come.
    pub fn days(self, day: i32, first: i32) -> RangeInclusive<i32> {
        self.start(day, first)..=day
    }

    /// The window of a test at `at`: at the first instant of a period, the period that ends there.
    pub fn tested(self, at: Instant, first: i32, zone: &Zone) -> RangeInclusive<i32> {
        let (today, before) = (day_number(at, zone), day_number(Instant(at.0.saturating_sub(1)), zone));
        let begins = !matches!(self, Window::Rolling(_)) && before < self.start(today, first);
        self.days(if begins { before } else { today }, first)
    }
}

/// The first day of the period that `day` lies in, counted from `first`.
fn anniversary(length: Duration, day: i64, first: i64) -> i64 {
    if length.months == 0 {
        let length = i64::from(length.days).max(1);
        return first + (day - first).div_euclid(length) * length;
    }
    let (months, count) = (i64::from(length.months), |day: i64| {
        let (year, month, _) = civil(day);
        year * 12 + month
    });
    let periods = (count(day) - count(first)).div_euclid(months);
    let start = add_months(first, periods * months);
    if start > day { add_months(first, (periods - 1) * months) } else { start }
}

impl When {
    /// Whether members of the tier at this place are meant.
    pub(crate) fn has_tier(&self, tier: u8) -> bool {
        self.tiers == 0 || self.tiers & (1 << tier) != 0
    }
}

impl Ruleset {
    /// What a tier multiplies points of a rule with; 1 where it has no part in them.
    pub fn multiplier(&self, rule: &EarnRule, tier: u8) -> Ratio {
        let tiers = self.tiers.as_ref().filter(|_| rule.tier_multiplier);
        tiers.map_or(Ratio::ONE, |tiers| tiers.get(tier).multiplier)
    }

    /// What a rule without `per` gives once to a member of a tier.
    pub(crate) fn for_occurrence(&self, rule: &EarnRule, tier: u8) -> i64 {
        self.multiplier(rule, tier).apply(rule.points, self.eligible.round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> i32 {
        (Instant::parse(&format!("{text}T00:00:00Z")).expect("a day").0 / 86_400_000_000) as i32
    }

    #[track_caller]
    fn check(window: Window, on: &str, first: &str, start: &str) {
        assert_eq!(window.start(day(on), day(first)), day(start));
    }

    #[test]
    fn windows() {
        let length = |text| Duration::parse(text).expect("a duration");
        check(Window::Rolling(length("P365D")), "2025-06-01", "2024-01-01", "2024-06-02");
        check(Window::Rolling(length("P1M")), "2024-03-31", "2024-01-01", "2024-03-01");
        check(Window::Calendar(12), "2025-06-01", "2024-01-01", "2025-01-01");
        check(Window::Calendar(3), "2025-06-01", "2024-01-01", "2025-04-01");
        check(Window::Calendar(1), "2025-06-30", "2024-01-01", "2025-06-01");
        let yearly = Window::Anniversary(length("P12M"));
        check(yearly, "2025-06-01", "2024-02-29", "2025-02-28");
        check(yearly, "2025-02-27", "2024-02-29", "2024-02-29");
        check(yearly, "2024-02-29", "2024-02-29", "2024-02-29");
        check(Window::Anniversary(length("P10D")), "2024-03-20", "2024-03-01", "2024-03-11");
        assert_eq!(Window::Lifetime.start(day("2024-03-20"), 0), i32::MIN);
    }

    #[test]
    fn a_period_that_ends_is_tested_whole() {
        let zone = Zone::get("UTC").expect("a zone");
        let at = Instant::parse("2025-01-01T00:00:00Z").expect("an instant");
        assert_eq!(Window::Calendar(12).tested(at, 0, &zone), day("2024-01-01")..=day("2024-12-31"));
        let (rolling, today) = (Window::Rolling(Duration::parse("P1D").expect("one")), day("2025-01-01"));
        assert_eq!(rolling.tested(at, 0, &zone), today..=today);
    }
}
