//! Which ruleset judges at an instant.

use super::Ruleset;
use crate::Instant;
use std::sync::Arc;

/// The activations of a program's rulesets, known so far.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// By `effective_from`, then by position: a later activation for the same instant wins.
    activations: Vec<Activation>,
}

/// A ruleset comes into force.
#[derive(Clone, Debug)]
pub struct Activation {
    /// From when it judges.
    pub effective_from: Instant,
    /// Where the log says so.
    pub position: u64,
    /// What it says.
    pub ruleset: Arc<Ruleset>,
}

impl Timeline {
    /// One ruleset, for all time.
    pub fn always(ruleset: Ruleset) -> Timeline {
        let ruleset = Arc::new(ruleset);
        Timeline { activations: vec![Activation { effective_from: Instant::MIN, position: 0, ruleset }] }
    }

    /// Adds an activation.
    pub fn insert(&mut self, activation: Activation) {
        let key = |activation: &Activation| (activation.effective_from, activation.position);
        let at = self.activations.partition_point(|known| key(known) <= key(&activation));
        self.activations.insert(at, activation);
    }

    /// The ruleset in force at `at`.
    pub fn at(&self, at: Instant) -> Option<&Arc<Ruleset>> {
        let after = self.activations.partition_point(|known| known.effective_from <= at);
        self.activations[..after].last().map(|known| &known.ruleset)
    }

    /// The ruleset that an entry or a lot remembers.
    pub fn by_tag(&self, tag: u64) -> Option<&Arc<Ruleset>> {
        self.activations.iter().rev().map(|known| &known.ruleset).find(|ruleset| ruleset.tag() == tag)
    }

    /// What was known when the log ended before `position`.
    pub fn known_before(&self, position: u64) -> Timeline {
        Timeline { activations: self.activations.iter().filter(|known| known.position < position).cloned().collect() }
    }

    /// All activations, in force order.
    pub fn activations(&self) -> &[Activation] {
        &self.activations
    }
}
