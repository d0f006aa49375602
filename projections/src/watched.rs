//! How long the writer's groups take: while nothing is built beside it, and while something is.

use serde::Serialize;
use sketches_ddsketch::{Config, DDSketch};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long groups of facts took, from when they were decoded until they were durable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GroupTimes {
    /// So many groups.
    pub groups: u64,
    /// Of 100, 99 took no longer; a percent more or less.
    pub p99_ms: f64,
}

struct Times(DDSketch);

impl Default for Times {
    fn default() -> Times {
        Times(DDSketch::new(Config::defaults()))
    }
}

impl Times {
    /// What they come to; `None`: there were none.
    fn told(&self) -> Option<GroupTimes> {
        let p99_ms = self.0.quantile(0.99).ok()??;
        Some(GroupTimes { groups: self.0.count() as u64, p99_ms: (p99_ms * 1e3).round() / 1e3 })
    }
}

/// The group at hand, and all before.
#[derive(Default)]
pub(crate) struct Watched {
    begun: Option<Instant>,
    /// Groups while nothing was built.
    alone: Times,
    /// While these generations were, or are.
    builds: BTreeMap<u32, Times>,
}

impl Watched {
    #[expect(clippy::disallowed_methods, reason = "how long something takes; no answer depends on it")]
    pub fn group_begins(&mut self) {
        self.begun = Some(Instant::now());
    }

    pub fn group_ends(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.add(begun.elapsed());
        }
    }

    fn add(&mut self, took: Duration) {
        let millis = took.as_secs_f64() * 1e3;
        if self.builds.is_empty() {
            self.alone.0.add(millis);
        }
        self.builds.values_mut().for_each(|times| times.0.add(millis));
    }

    /// A build begins; how long groups took without.
    pub fn build_begins(&mut self, generation: u32) -> Option<GroupTimes> {
        self.builds.insert(generation, Times::default());
        self.alone.told()
    }

    /// A build has ended; how long groups took meanwhile.
    pub fn build_ends(&mut self, generation: u32) -> Option<GroupTimes> {
        self.builds.remove(&generation)?.told()
    }

    /// How long groups have taken since a build began.
    pub fn during(&self, generation: u32) -> Option<GroupTimes> {
        self.builds.get(&generation)?.told()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_hundred_may_take_longer_and_groups_count_where_they_were() {
        let mut watched = Watched::default();
        assert_eq!(watched.build_begins(2), None);
        assert_eq!(watched.build_ends(2), None);
        (0..99).for_each(|_| watched.add(Duration::from_millis(1)));
        watched.add(Duration::from_secs(1));
        let alone = watched.build_begins(2).expect("some");
        assert!(alone.groups == 100 && (0.98..1.02).contains(&alone.p99_ms), "{alone:?}");
        (0..3).for_each(|_| watched.add(Duration::from_millis(64)));
        watched.build_begins(3);
        watched.add(Duration::from_millis(64));
        assert_eq!([2, 3].map(|number| watched.during(number).map(|told| told.groups)), [Some(4), Some(1)]);
        let during = watched.build_ends(2).expect("some");
        assert!(during.groups == 4 && (62.0..66.0).contains(&during.p99_ms), "{during:?}");
        assert_eq!((watched.during(2), watched.build_ends(3).map(|told| told.groups)), (None, Some(1)));
        watched.group_begins();
        watched.group_ends();
        watched.group_ends();
        assert_eq!(watched.build_begins(4).map(|told| told.groups), Some(101));
    }
}
