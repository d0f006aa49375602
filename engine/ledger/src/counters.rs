//! What is counted of a member toward limits and achievements, and the exceptions that wait for a person (§4, §10, §12).
//!
//! Kept beside the numbers of a member only where its ruleset counts something, and only of the period that lasts.

use crate::record::LineRefund;
use crate::{Instant, Text};

/// All counts of a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Toward limits.
    pub used: Vec<Used>,
    /// Toward achievements, by first progress.
    pub achievements: Vec<Progress>,
    /// Exceptions that nobody has resolved yet, oldest first.
    pub troubles: Vec<Trouble>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Points of an earn rule.
    Points,
    /// Birthdays for an earn rule, one a year.
    Birthday,
    /// Registrations for an earn rule, one for ever.
    Registered,
    /// Redemptions and grants of a reward.
    Reward,
}

/// How much of a limit is used in the period of the latest use.
#[derive(Clone, Debug, PartialEq)]
pub struct Used {
    /// What is counted …
    pub what: Counted,
    /// … of this rule or reward.
    pub id: Text,
    /// The first instant of the period.
    pub period: Instant,
    /// How much.
    pub used: i64,
}

/// An achievement in the period of the latest progress.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Its id.
    pub id: Text,
    /// The first instant of the period.
    pub period: Instant,
    /// Occurrences, or minor units.
    pub progress: i64,
    /// When it was completed; then nothing moves it any more.
    pub completed_at: Option<Instant>,
}

/// An exception: a fact that could not be booked as it says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trouble {
    /// Stable code: `refund_unmatched`, `coupon_already_used`, …
    pub code: Text,
    /// Number of the kind of the source fact.
    pub source_kind: u8,
    /// Its natural id.
    pub source: Text,
    /// What it is about.
    pub about: Text,
    /// What it cost, points.
    pub cost: i64,
    /// When.
    pub at: Instant,
    /// Of a refund: the lines that found no place …
    pub lines: Vec<LineRefund>,
    /// … or the amount that did not, minor units.
    pub amount: i64,
    /// Its currency; empty: the order's.
    pub currency: Text,
}

impl Trouble {
    /// What a person names it by: `<code>/<id of the source>`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.code, self.source)
    }
}

impl Counters {
    /// What is used of a limit in the period that starts at `period`.
    pub fn used(&self, what: Counted, id: &str, period: Instant) -> i64 {
        let found = self.used.iter().find(|used| used.what == what && used.id == *id && used.period == period);
        found.map_or(0, |used| used.used)
    }

    /// Uses some: the period becomes the one that is remembered.
    pub(crate) fn add(&mut self, what: Counted, id: &str, period: Instant, by: i64) {
        match self.used.iter_mut().find(|used| used.what == what && used.id == *id) {
            Some(used) if used.period == period => used.used += by,
            Some(used) => (used.period, used.used) = (period, by),
            None => self.used.push(Used { what, id: Text::new(id), period, used: by }),
        }
    }

    /// Frees some, if that period still is the remembered one.
    pub(crate) fn free(&mut self, what: Counted, id: &str, period: Instant, by: i64) {
        let same = |used: &&mut Used| used.what == what && used.id == *id && used.period == period;
        if let Some(used) = self.used.iter_mut().find(same) {
            used.used -= by;
        }
    }
}
