//! A member folded from its beginning: everything that was known of it, under any rules, as of any instant (§1).

use super::{AsKnown, AsOf, Found, LedgerReader, Wanted};
use crate::error::ProjectionError;
use crate::ledger::History;
use crate::shared::Tiers;
use accrue_ledger::{Booked, Custody, Family, Fold, Instant, Member, Sink, Text, Timeline, replay};
use accrue_store::{Position, member_hash};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl LedgerReader {
    /// The member folded from its beginning.
    pub(super) fn find_past(
        &self,
        program: &str,
        member: &str,
        asked: AsOf,
        at: Instant,
        wanted: Wanted,
    ) -> Result<Option<Found>, ProjectionError> {
        self.recall(program, member, asked)?.map_or(Ok(None), |recalled| recalled.found(member, at, wanted))
    }

    /// The same of a member whom merges tie to others, with what all shards know: told by its own shard alone.
    pub(super) fn find_past_of_all(
        &self,
        program: &str,
        member: &str,
        asked: AsOf,
        at: Instant,
        wanted: Wanted,
    ) -> Result<Option<Found>, ProjectionError> {
        if !self.shared.tiers.read().custody(program, member)?.own {
            return Ok(None);
        }
        self.recall(program, member, asked)?.map_or(Ok(None), |recalled| recalled.found(member, at, wanted))
    }

    /// Everything that was known of a member. `None`: nothing is, or no rules were.
    pub(crate) fn recall(&self, program: &str, member: &str, asked: AsOf) -> Result<Option<Recalled>, ProjectionError> {
        let (owner, needed, mut positions, linked, custody, programs) = {
            let tiers = self.shared.tiers.read();
            let winner = tiers.winner(member_hash(program, member), program, member)?;
            let owner = winner.unwrap_or_else(|| Text::new(member));
            let Some((state, needed)) = tiers.state(member_hash(program, &owner), program, &owner)? else {
                return Ok(None);
            };
            let positions = positions_of_all(&tiers, program, &owner, &state)?;
            let custody = custody_then(&tiers, program, &state)?;
            (owner, needed, positions, state.links().is_some(), custody, Arc::clone(&tiers.programs))
        };
        self.shared.wait_durable(needed)?;
        let (known_position, recorded) = asked.known.bounds();
        let Some(rules) = programs.known(program, known_position, recorded) else {
            return Ok(None);
        };
        positions.retain(|at| known_position.is_none_or(|known| *at <= known));
        let mut history = History::read(&self.shared.log, &positions, recorded, None)?;
        let mut custody = custody;
        if linked && !self.others.is_empty() {
            let until = self.recorded_until(asked.known)?;
            history = history.with(self.elsewhere(program, &owner, until)?)?;
            // Everything is here: whose is whose is in the merges.
            custody.clear();
        }
        Ok(Some(Recalled { owner, linked, custody, history, rules, position: self.shared.durable() }))
    }

    /// What the other shards know of a member and of all whom merges ever tied to it.
    fn elsewhere(&self, program: &str, member: &str, recorded: Option<Instant>) -> Result<Vec<History>, ProjectionError> {
        let shards = || [&self.shared].into_iter().chain(self.others.iter());
        let mut family = BTreeSet::from([Text::new(member)]);
        // A shard may know of ties that another does not.
        for _ in shards() {
            for shard in shards() {
                let tiers = shard.tiers.read();
                for member in family.clone() {
                    family.extend(tiers.family(program, &member)?);
                }
            }
        }
        let mut histories = Vec::new();
        for shard in self.others.iter() {
            let (mut positions, until) = (Vec::new(), shard.durable());
            {
                let tiers = shard.tiers.read();
                for member in &family {
                    positions.extend(tiers.positions(member_hash(program, member), program, member)?);
                }
            }
            positions.retain(|at| *at < until);
            positions.sort_unstable();
            histories.push(History::read(&shard.log, &positions, recorded, None)?);
        }
        Ok(histories)
    }

    /// Until when other shards had recorded what this one knew at a position.
    fn recorded_until(&self, known: AsKnown) -> Result<Option<Instant>, ProjectionError> {
        match known.bounds() {
            (Some(position), _) if position < self.shared.log.head().next_position => {
                Ok(Some(self.shared.log.read(position, |frame| frame.recorded_at)?))
            }
            (_, recorded) => Ok(recorded),
        }
    }
}

impl AsKnown {
    /// The last position and the last instant of recording.
    pub(crate) fn bounds(self) -> (Option<Position>, Option<Instant>) {
        match self {
            AsKnown::Now => (None, None),
            AsKnown::At(recorded) => (None, Some(recorded)),
            AsKnown::Position(position) => (Some(position), None),
        }
    }
}

/// Everything that was known of a member and of all whom merges ever tied to it.
pub(crate) struct Recalled {
    owner: Text,
    /// Merges name it.
    linked: bool,
    custody: BTreeMap<Text, Custody>,
    pub history: History,
    pub rules: Timeline,
    position: Position,
}

impl Recalled {
    fn found(&self, member: &str, at: Instant, wanted: Wanted) -> Result<Option<Found>, ProjectionError> {
        let mut booked = self.history.booked()?;
        booked.retain(|booked| booked.at() <= at);
        let found = match wanted {
            Wanted::Entries => self.fold_all(member, booked, &self.rules, at),
            Wanted::State | Wanted::Records => self.fold(member, booked, &self.rules, at, &mut ()),
        };
        Ok(Some(found).filter(|found| found.state.known))
    }

    /// The member with these facts, under some rules, as of an instant, and all its entries.
    pub fn fold_all(&self, member: &str, booked: Vec<Booked<'_>>, rules: &Timeline, at: Instant) -> Found {
        let mut entries = Vec::new();
        let found = self.fold(member, booked, rules, at, &mut entries);
        Found { past: found.past.map(|(records, _)| (records, entries)), ..found }
    }

    /// The same without entries but for the sink's.
    pub fn fold(&self, member: &str, mut booked: Vec<Booked<'_>>, rules: &Timeline, at: Instant, sink: &mut impl Sink) -> Found {
        // Who was one with whom is that of then, too.
        let (winner, family, (mut state, mut records)) = if self.linked {
            let family = Family::of(&booked).with(self.custody.clone());
            let winner = Text::new(family.winner(member));
            let replayed = family.replay(rules, &winner, &booked, sink);
            (winner, Some(family), replayed)
        } else {
            (self.owner.clone(), None, replay(rules, &mut booked, sink))
        };
        Fold::new(&mut state, &mut records, rules, sink).advance(at);
        let (position, past) = (self.position, Some((records, Vec::new())));
        Found { member: winner, state, rules: rules.clone(), at, position, past, family }
    }
}

/// Where facts counted in the past, as far as this shard can tell: what it gave away again was here then.
fn custody_then(tiers: &Tiers, program: &str, state: &Member) -> Result<BTreeMap<Text, Custody>, ProjectionError> {
    let family = state.links().into_iter().flat_map(|links| &links.family);
    let then = |member: &Text| {
        let now = tiers.custody(program, member)?;
        let here = now.own || now.here || !now.to.is_empty();
        Ok((member.clone(), Custody { own: now.own, here, ..Custody::default() }))
    };
    family.map(then).collect()
}

/// The positions of a member's facts and of everybody's whom merges ever tied to it, ascending.
fn positions_of_all(tiers: &Tiers, program: &str, member: &str, state: &Member) -> Result<Vec<Position>, ProjectionError> {
    let Some(links) = state.links() else {
        return tiers.positions(member_hash(program, member), program, member);
    };
    let mut positions = Vec::new();
    for member in &links.family {
        positions.extend(tiers.positions(member_hash(program, member), program, member)?);
    }
    positions.sort_unstable();
    Ok(positions)
}
