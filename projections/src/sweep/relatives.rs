//! A member with all facts known of it, or some whom merges tie together.

use accrue_ledger::{Booked, Family, Fold, Instant, Member, Records, Sink, Timeline, replay};
use accrue_store::Position;
use std::collections::BTreeSet;

/// Where a fact stands in the log, and its bytes there.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub position: Position,
    pub fact: &'a [u8],
}

/// Facts and decisions, and where each stands.
pub(crate) type Facts<'a> = (Vec<Booked<'a>>, Vec<Origin<'a>>);

/// Their facts, and how to fold them.
pub struct Relatives<'a> {
    /// The hash under which they are gathered: families come in its order.
    pub hash: u64,
    /// Their program.
    pub program: &'a str,
    /// Facts and decisions of all of them.
    booked: Vec<Booked<'a>>,
    /// Of each of them, as they stand before anything is folded.
    origins: Vec<Origin<'a>>,
    /// `None`: it is one member, whom no merge names.
    family: Option<Family>,
}

impl<'a> Relatives<'a> {
    /// `tied`: merges name them.
    pub(super) fn new((hash, program): (u64, &'a str), (booked, origins): Facts<'a>, tied: bool) -> Relatives<'a> {
        let alone = booked.iter().all(|one| booked.first().is_some_and(|first| first.fact.member == one.fact.member));
        let family = (tied || !alone).then(|| Family::of(&booked));
        Relatives { hash, program, booked, origins, family }
    }

    /// Takes out the facts of all of them, ascending by position, and where each stands.
    pub(crate) fn take(&mut self) -> Facts<'a> {
        (std::mem::take(&mut self.booked), std::mem::take(&mut self.origins))
    }

    /// Facts and decisions of all of them.
    pub fn booked(&self) -> &[Booked<'a>] {
        &self.booked
    }

    /// Those of them who have a state: all but aliases, in order of id. `before`: as of that instant.
    pub fn members(&self, before: Instant) -> Vec<String> {
        let Some(family) = self.family_at(before) else {
            return self.booked.first().map(|booked| booked.fact.member.to_owned()).into_iter().collect();
        };
        let named = family.members().map(|member| member.to_string());
        let all: BTreeSet<String> = self.booked.iter().map(|booked| booked.fact.member.to_owned()).chain(named).collect();
        all.into_iter().filter(|member| family.winner(member) == member).collect()
    }

    fn family_at(&self, at: Instant) -> Option<Family> {
        self.family.as_ref()?;
        let then: Vec<Booked<'a>> = self.booked.iter().filter(|booked| booked.at() <= at).cloned().collect();
        Some(Family::of(&then))
    }

    /// A member as of an instant, under some rules: what happened by itself until then included.
    pub fn fold<S: Sink>(&mut self, member: &str, rules: &Timeline, at: Instant, sink: &mut S) -> (Member, Records) {
        let (mut state, mut records) = match self.family_at(at) {
            Some(family) => {
                let then: Vec<Booked<'a>> = self.booked.iter().filter(|booked| booked.at() <= at).cloned().collect();
                family.replay(rules, member, &then, sink)
            }
            None => {
                self.booked.sort_by_key(Booked::at);
                let then = self.booked.partition_point(|booked| booked.at() <= at);
                replay(rules, &mut self.booked[..then], sink)
            }
        };
        if state.facts > 0 {
            Fold::new(&mut state, &mut records, rules, sink).advance(at);
        }
        (state, records)
    }
}
