//! Which ruleset judges at an instant.

use super::Ruleset;
use crate::Instant;
use std::fmt;
use std::sync::Arc;

/// The activations of a program's rulesets, known so far.
#[derive(Clone, Default)]
pub struct Timeline {
    /// By `effective_from`, then by position: a later activation for the same instant wins.
    activations: Vec<Activation>,
    secret: [u8; 32],
}

/// Without the secret.
impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline").field("activations", &self.activations).finish_non_exhaustive()
    }
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
        Timeline { activations: vec![Activation { effective_from: Instant::MIN, position: 0, ruleset }], secret: [0; 32] }
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

    /// The first instant after `at` from which an activation judges; `MAX`: none.
    pub fn next_after(&self, at: Instant) -> Instant {
        let after = self.activations.partition_point(|known| known.effective_from <= at);
        self.activations.get(after).map_or(Instant::MAX, |known| known.effective_from)
    }

    /// The first instant after `at` from which a ruleset with `inactivity` judges; `MAX`: none.
    pub(crate) fn next_inactivity_after(&self, at: Instant) -> Instant {
        let after = self.activations.partition_point(|known| known.effective_from <= at);
        let next = self.activations[after..].iter().find(|known| known.ruleset.inactivity.is_some());
        next.map_or(Instant::MAX, |known| known.effective_from)
    }

    /// The same before `from`, another ruleset from then on, and from `to` on, if it ever ends, what was in force there.
    pub fn replaced(&self, from: Instant, to: Option<Instant>, ruleset: &Arc<Ruleset>) -> Timeline {
        let before = self.activations.iter().filter(|known| known.effective_from < from);
        let mut activations: Vec<Activation> = before.cloned().collect();
        activations.push(Activation { effective_from: from, position: u64::MAX, ruleset: Arc::clone(ruleset) });
        if let Some(to) = to {
            let then = self.activations.iter().rfind(|known| known.effective_from <= to);
            activations.extend(then.map(|known| Activation { effective_from: to, ..known.clone() }));
            activations.extend(self.activations.iter().filter(|known| known.effective_from > to).cloned());
        }
        Timeline { activations, secret: self.secret }
    }

    /// The secret that codes of coupons given on entry to a tier are derived from.
    pub fn with_secret(mut self, secret: [u8; 32]) -> Timeline {
        self.secret = secret;
        self
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The ruleset that an entry or a lot remembers.
    pub fn by_tag(&self, tag: u64) -> Option<&Arc<Ruleset>> {
        self.activations.iter().rev().map(|known| &known.ruleset).find(|ruleset| ruleset.tag() == tag)
    }

    /// What was known when the log ended before `position`.
    pub fn known_before(&self, position: u64) -> Timeline {
        let known = self.activations.iter().filter(|known| known.position < position).cloned().collect();
        Timeline { activations: known, secret: self.secret }
    }

    /// The first instant at which the two may judge differently; `MAX`: none.
    pub fn differs_from(&self, other: &Timeline) -> Instant {
        let key = |known: &Activation| (known.effective_from, known.position, known.ruleset.hash);
        let mut pairs = self.activations.iter().zip(&other.activations);
        if let Some((ours, theirs)) = pairs.find(|(ours, theirs)| key(ours) != key(theirs)) {
            return ours.effective_from.min(theirs.effective_from);
        }
        let rest = |of: &Timeline, than: &Timeline| of.activations.get(than.activations.len()).map(|known| known.effective_from);
        rest(self, other).or(rest(other, self)).unwrap_or(Instant::MAX)
    }

    /// All activations, in force order.
    pub fn activations(&self) -> &[Activation] {
        &self.activations
    }
}
