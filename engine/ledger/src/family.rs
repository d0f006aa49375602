//! Members that are one (§11): who is whose alias, and the state of the union of their facts.
//!
//! `members_merged` of A with loser B, then of C with loser A: B and A are aliases of C, and the facts of all three are C's.

use crate::entry::Sink;
use crate::fact::{Body, Fact};
use crate::fold::{Fold, exclusions_of};
use crate::member::Member;
use crate::records::Records;
use crate::replay::Booked;
use crate::ruleset::Timeline;
use crate::standing::{Custody, Links};
use crate::{Instant, Text};
use std::collections::{BTreeMap, BTreeSet};

/// What the merges among some members come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    /// Member → its winner, all chains followed; winners are not in it.
    winners: BTreeMap<Text, Text>,
    /// Everybody that a merge names.
    members: BTreeSet<Text>,
    /// Merges that would have tied somebody to itself: `(id, source)`.
    refused: BTreeSet<(Text, Text)>,
    changed_at: Option<Instant>,
    /// Where their facts count; who is not in it is at home here.
    custody: BTreeMap<Text, Custody>,
}

impl Family {
    /// Looks at the merges among these facts, in any order given. An unmerge undoes the merge of the same two members, as if it
    /// had not been; the rest is worked out again. A merge among members that are one already is refused, a repeated one does nothing.
    pub fn of(booked: &[Booked<'_>]) -> Family {
        let mut merges: Vec<&Fact<'_>> = booked.iter().map(|booked| &booked.fact).filter(|fact| other(fact).is_some()).collect();
        merges.sort_by_key(|fact| (fact.occurred_at, fact.id, fact.source));
        let mut family = Family::default();
        let mut edges: Vec<(&str, &str)> = Vec::new();
        for fact in merges {
            let Some(loser) = other(fact) else { continue };
            family.members.extend([Text::new(fact.member), Text::new(loser)]);
            family.changed_at = family.changed_at.max(Some(fact.occurred_at));
            let edge = (fact.member, loser);
            if matches!(fact.body, Body::MembersUnmerged { .. }) {
                edges.retain(|known| *known != edge);
            } else if !edges.contains(&edge) {
                let roots = roots_of(&edges);
                if root(&roots, fact.member) == root(&roots, loser) {
                    family.refused.insert((Text::new(fact.id), Text::new(fact.source)));
                } else {
                    edges.push(edge);
                }
            }
        }
        let roots = roots_of(&edges);
        family.winners = roots.keys().map(|member| (Text::new(member), Text::new(root(&roots, member)))).collect();
        family
    }

    /// The same where some are of other shards.
    pub fn with(self, custody: BTreeMap<Text, Custody>) -> Family {
        Family { custody, ..self }
    }

    /// Whether the state of a winner, or of somebody without one, is in this shard.
    pub fn serves(&self, winner: &str) -> bool {
        self.custody_of(winner).is_none_or(|custody| custody.own && custody.here)
    }

    /// Whether a member's facts are part of a state in this shard.
    pub fn counts(&self, member: &str) -> bool {
        self.serves(self.winner(member)) && self.custody_of(member).is_none_or(|custody| custody.here)
    }

    /// Where a member's facts count; `None`: nobody said, so here.
    pub fn custody_of(&self, member: &str) -> Option<&Custody> {
        self.custody.iter().find(|(known, _)| **known == *member).map(|(_, custody)| custody)
    }

    /// Members whose own shard is another one.
    pub fn guests(&self) -> impl Iterator<Item = (&Text, &Custody)> {
        self.custody.iter().filter(|(_, custody)| !custody.own)
    }

    pub(crate) fn custody(&self) -> &BTreeMap<Text, Custody> {
        &self.custody
    }

    pub(crate) fn custody_mut(&mut self) -> &mut BTreeMap<Text, Custody> {
        &mut self.custody
    }

    /// The member whose state holds this one's facts.
    pub fn winner<'a>(&'a self, member: &'a str) -> &'a str {
        self.winners.iter().find(|(known, _)| **known == *member).map_or(member, |(_, winner)| winner.as_str())
    }

    /// Everybody that a merge names, by id.
    pub fn members(&self) -> impl Iterator<Item = &Text> {
        self.members.iter()
    }

    /// What to remember of it with a member. `None`: no merge names it.
    pub fn links(&self, member: &str) -> Option<Box<Links>> {
        let named = self.members.iter().chain(self.custody.keys()).any(|known| *known == *member);
        let alias_of = |(alias, winner): (&Text, &Text)| (*winner == *member).then(|| alias.clone());
        named.then(|| {
            Box::new(Links {
                winner: self
                    .winners
                    .iter()
                    .find(|(known, _)| **known == *member)
                    .map_or_else(Text::default, |(_, to)| to.clone()),
                merged: self.winners.iter().filter_map(alias_of).collect(),
                family: self.members.iter().chain(self.custody.keys()).cloned().collect::<BTreeSet<_>>().into_iter().collect(),
                changed_at: self.changed_at.unwrap_or(Instant::MIN),
                custody: self.custody_of(member).cloned().unwrap_or_else(Custody::at_home),
                served: self.counts(member),
            })
        })
    }

    /// The state of a member with these facts: those of its whole family. An alias has no state of its own, but what ties it.
    pub fn replay<S: Sink>(&self, rules: &Timeline, member: &str, booked: &[Booked<'_>], sink: &mut S) -> (Member, Records) {
        let counts = |fact: &Fact<'_>| self.winner(fact.member) == member && self.counts(fact.member);
        let mut own: Vec<&Booked<'_>> = booked.iter().filter(|booked| counts(&booked.fact)).collect();
        own.sort_by(|a, b| a.cmp(b));
        let (mut state, mut records) = (Member::default(), Records::complete());
        let exclusions = exclusions_of(own.iter().map(|booked| &booked.fact));
        let mut fold = Fold::new(&mut state, &mut records, rules, sink).knowing(exclusions);
        let mut seen = BTreeSet::new();
        for booked in own {
            // Two of the union may have used one natural id: the first in order counts.
            let natural = booked.fact.natural_key().map(|key| (key.kind, key.id, key.version));
            if natural.is_some_and(|natural| !seen.insert(natural)) {
                fold.apply_void(&booked.fact, booked.decision.as_ref(), None);
            } else if self.refused.contains(&(Text::new(booked.fact.id), Text::new(booked.fact.source))) {
                fold.apply_void(&booked.fact, booked.decision.as_ref(), Some("merge_cycle"));
            } else {
                fold.apply(&booked.fact, booked.decision.as_ref());
            }
        }
        let links = self.links(member);
        if links.is_some() {
            state.standing_mut().links = links;
            // Somebody without facts of its own is remembered all the same.
            state.facts = state.facts.max(1);
        }
        (state, records)
    }
}

/// The other member that a fact ties to its own, or unties.
pub(crate) fn other<'a>(fact: &Fact<'a>) -> Option<&'a str> {
    match fact.body {
        Body::MembersMerged { loser } | Body::MembersUnmerged { loser } => Some(loser),
        _ => None,
    }
}

/// Alias → winner, one step; later merges tie winners.
pub(crate) fn roots_of<'a>(edges: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    let mut roots = BTreeMap::new();
    for (winner, loser) in edges {
        let (winner, loser) = (root(&roots, winner), root(&roots, loser));
        if winner != loser {
            roots.insert(loser, winner);
        }
    }
    roots
}

pub(crate) fn root<'a>(roots: &BTreeMap<&'a str, &'a str>, mut member: &'a str) -> &'a str {
    while let Some(winner) = roots.get(member) {
        member = winner;
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn fact<'a>(id: &'a str, at: i64, member: &'a str, loser: &'a str, merged: bool) -> Booked<'a> {
        let (kind, body) = if merged {
            (Kind::MembersMerged, Body::MembersMerged { loser })
        } else {
            (Kind::MembersUnmerged, Body::MembersUnmerged { loser })
        };
        let fact = Fact { id, source: "s", program: "p", member, occurred_at: Instant(at), actor: None, kind, body };
        Booked { fact, decision: None }
    }

    fn told(family: &Family) -> Vec<String> {
        family.members().map(|member| format!("{member}>{}", family.winner(member))).collect()
    }

    #[test]
    fn chains_are_flat_and_cycles_refused_in_any_order() {
        let facts = [fact("1", 1, "a", "b", true), fact("2", 2, "c", "a", true), fact("3", 3, "b", "c", true)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let family = Family::of(&order.map(|index| facts[index].clone()));
            assert_eq!(told(&family), ["a>c", "b>c", "c>c"]);
            assert_eq!(family.refused.len(), 1, "the third");
        }
        let itself = Family::of(&[fact("1", 1, "a", "a", true)]);
        assert_eq!((told(&itself), itself.refused.len()), (vec!["a>a".to_owned()], 1));
    }

    #[test]
    fn a_repeat_is_nothing_and_an_unmerge_takes_one_tie_away() {
        let facts = [fact("1", 1, "a", "b", true), fact("2", 2, "a", "b", true), fact("3", 3, "c", "a", true)];
        assert_eq!(Family::of(&facts).refused.len(), 0);
        let untied = [&facts[..], &[fact("4", 4, "a", "b", false)]].concat();
        assert_eq!(told(&Family::of(&untied)), ["a>c", "b>b", "c>c"]);
        // Somebody who took in an alias is one with all of them.
        let through = [fact("1", 1, "a", "b", true), fact("2", 2, "c", "b", true)];
        assert_eq!(told(&Family::of(&through)), ["a>c", "b>c", "c>c"]);
        let links = Family::of(&through).links("c").expect("named");
        assert_eq!((links.winner.as_str(), links.merged.len(), links.family.len()), ("", 2, 3));
        assert!(Family::of(&through).links("d").is_none());
    }
}
