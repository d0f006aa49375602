//! Exclusion and leaving (§11): when orders earn nothing and points can't be spent.

use super::Fold;
use crate::Instant;
use crate::entry::Sink;
use crate::fact::{Body, Fact, Kind};
use crate::member::Excluded;

impl<S: Sink> Fold<'_, S> {
    pub(super) fn standing_changed(&mut self, fact: &Fact<'_>, at: Instant) {
        if !self.exclusions_known {
            change(&mut self.member.exclusions, fact, at);
        }
    }
}

/// The exclusions of a whole history: they count for orders that were folded before the fact that states them.
/// `facts` must be in the order of folding.
pub fn exclusions_of<'a, 'b: 'a>(facts: impl Iterator<Item = &'a Fact<'b>>) -> Vec<Excluded> {
    let mut exclusions = Vec::new();
    facts.for_each(|fact| change(&mut exclusions, fact, fact.occurred_at));
    exclusions
}

/// The first instant at which a fact changes what orders earn or points may do. `None`: it doesn't.
pub(crate) fn standing_from(fact: &Fact<'_>) -> Option<Instant> {
    match (&fact.body, fact.kind) {
        (Body::MemberExcluded(exclusion), _) => Some(exclusion.from.unwrap_or(fact.occurred_at)),
        (Body::MemberIncluded, _) | (_, Kind::MemberLeft | Kind::MemberRegistered) => Some(fact.occurred_at),
        _ => None,
    }
}

fn change(exclusions: &mut Vec<Excluded>, fact: &Fact<'_>, at: Instant) {
    match (&fact.body, fact.kind) {
        (Body::MemberExcluded(exclusion), _) => {
            let (from, until) = (exclusion.from.unwrap_or(at), exclusion.until.unwrap_or(Instant::MAX));
            exclusions.push(Excluded { from, until, earn: exclusion.earn, redeem: exclusion.redeem });
        }
        (_, Kind::MemberLeft) => exclusions.push(Excluded { from: at, until: Instant::MAX, earn: true, redeem: true }),
        (Body::MemberIncluded, _) | (_, Kind::MemberRegistered) => {
            exclusions.iter_mut().for_each(|excluded| excluded.until = excluded.until.min(at));
            exclusions.retain(|excluded| excluded.from < excluded.until);
        }
        _ => {}
    }
}
