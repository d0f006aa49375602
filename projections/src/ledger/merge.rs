//! Members that become one, or two again (§11): everybody whom merges tie to them is folded again from the facts of all. Those whose
//! winner is in another shard are handed over ([`super::hand_over`]).

use super::Ledger;
use super::book::{Booking, Page};
use super::hand_over::Parcel;
use super::person::changes_keys;
use super::refold::{Again, History, Undo};
use crate::error::ProjectionError;
use crate::rows::{RecordRow, remembered};
use crate::shared::Tiers;
use accrue_ledger::{Body, Booked, Custody, Decision, Fact, Family, Kind, RecordKey, Text, Timeline, waits};
use accrue_store::{Candidate, Group, Position, member_hash};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

/// What is new among members that merges tie together.
pub(super) struct Change<'a> {
    /// What came: its member is one of this shard's own.
    pub cause: &'a Candidate<'a>,
    pub rules: &'a Timeline,
    pub position: Position,
    /// Frames that are not in the log yet.
    pub pending: Option<&'a Group>,
    /// A fact that is new, with its decision.
    pub fact: Option<(&'a Candidate<'a>, Option<&'a Decision>)>,
    /// Who was handed over.
    pub received: Vec<&'a str>,
}

/// What became of it.
pub(super) struct Gathered {
    /// The new fact waits for its order.
    pub parked: bool,
    /// What is to be sent to other shards.
    pub derived: Vec<u8>,
}

/// A family's facts with where they are: new ones at the end.
struct Facts<'a> {
    booked: Vec<Booked<'a>>,
    positions: Vec<Position>,
    /// All positions of each member's own.
    own: BTreeMap<Text, Vec<u64>>,
}

impl Ledger {
    /// Folds members that are, were or become one with everything known of all of them, and says what has to be sent so that all of
    /// it comes together.
    pub(super) fn gather(&mut self, tiers: &mut Tiers, change: &Change<'_>) -> Result<Gathered, ProjectionError> {
        let (program, rules) = (change.cause.fact.program, change.rules);
        tiers.merges = true;
        let of_fact = change.fact.iter().flat_map(|(candidate, _)| tied_by(candidate.fact));
        let named = [change.cause.fact.member].into_iter().chain(change.received.iter().copied()).chain(of_fact);
        let members = family_of(tiers, program, named)?;
        let mut own = BTreeMap::new();
        for member in &members {
            own.insert(member.clone(), tiers.positions(member_hash(program, member), program, member)?);
        }
        let mut all: Vec<Position> = own.values().flatten().copied().collect();
        all.sort_unstable();
        let history = History::read(&self.shared.log, &all, None, change.pending)?;
        let own = own.into_iter().map(|(member, at)| (member, at.into_iter().map(|at| at.0).collect())).collect();
        let mut facts = Facts { booked: history.booked()?, positions: history.positions().collect(), own };
        let known = facts.booked.len();
        let before = Family::of(&facts.booked).with(self.custody_of_all(tiers, program, &members)?);
        for member in members.iter().filter(|member| before.winner(member) == member.as_str()) {
            let mut undo = Undo { program, rules, totals: &mut tiers.totals };
            before.replay(rules, member, &facts.booked, &mut undo);
        }
        if let Some((candidate, decision)) = change.fact {
            facts.booked.push(Booked { fact: candidate.fact.clone(), decision: decision.cloned() });
            facts.positions.push(change.position);
            facts.own.entry(Text::new(candidate.fact.member)).or_default().push(change.position.0);
        }
        let mut after = Family::of(&facts.booked).with(self.custody_after(tiers, change, &members)?);
        let gathering = after.gather(&before, &facts.booked, known, change.position.0);
        let mut parked = false;
        for member in &members {
            parked |= self.fold_one_of(tiers, change, &after, member, &facts)?;
        }
        let mut parcel = Parcel::new(self, change.cause);
        let bytes_of = |index: usize| match (history.frames().get(index), change.fact) {
            (Some(kept), _) => &kept.fact[..],
            (None, Some((candidate, _))) => candidate.bytes,
            (None, None) => &[],
        };
        for (index, to) in &gathering.told {
            parcel.forward(to, to, bytes_of(*index), None);
        }
        gathering.moves.iter().for_each(|to| parcel.go_on(to, change.position, Position::NONE));
        for kept in history.undecided() {
            let member = kept.fact()?.member;
            if after.counts(member) && !before.counts(member) {
                parcel.forward(after.winner(member), member, &kept.fact, None);
            }
        }
        let of_keys = |index: &usize| matches!(facts.booked[*index].fact.kind, Kind::MemberErased | Kind::MemberRegistered);
        for index in (0..facts.booked.len()).filter(of_keys) {
            self.tell_guests_of(tiers, &after, &facts.booked[index].fact, bytes_of(index), &mut parcel)?;
        }
        Ok(Gathered { parked, derived: parcel.list })
    }

    /// The shards of those who are erased together with a member of this one, or begin again with it, are told.
    fn tell_guests_of(
        &self,
        tiers: &Tiers,
        family: &Family,
        fact: &Fact<'_>,
        bytes: &[u8],
        parcel: &mut Parcel<'_>,
    ) -> Result<(), ProjectionError> {
        let winner = family.winner(fact.member);
        let state = tiers.state(member_hash(fact.program, winner), fact.program, winner)?;
        if !family.counts(fact.member) || !state.is_some_and(|(state, _)| changes_keys(&state, fact.kind)) {
            return Ok(());
        }
        for (member, _) in family.guests().filter(|(member, _)| family.winner(member) == winner && family.counts(member)) {
            parcel.forward(member, member, bytes, None);
        }
        Ok(())
    }

    /// The same for a fact that came in order, of somebody who is one with others.
    pub(super) fn tell_guests(&self, tiers: &Tiers, slot: u32, booking: &Booking<'_>) -> Result<Vec<u8>, ProjectionError> {
        let (fact, mut parcel) = (booking.candidate.fact, Parcel::new(self, booking.cause));
        if !changes_keys(&tiers.live.slots[slot as usize].state, fact.kind) {
            return Ok(Vec::new());
        }
        for member in tiers.family(fact.program, fact.member)? {
            let links = tiers.links(fact.program, &member)?.flatten();
            if links.is_some_and(|links| links.served && !links.custody.own && *links.winner == *booking.owner.member(fact)) {
                parcel.forward(&member, &member, booking.candidate.bytes, None);
            }
        }
        Ok(parcel.list)
    }

    fn custody_of_all(
        &self,
        tiers: &Tiers,
        program: &str,
        members: &BTreeSet<Text>,
    ) -> Result<BTreeMap<Text, Custody>, ProjectionError> {
        members.iter().map(|member| Ok((member.clone(), tiers.custody(program, member)?))).collect()
    }

    fn custody_after(
        &self,
        tiers: &Tiers,
        change: &Change<'_>,
        members: &BTreeSet<Text>,
    ) -> Result<BTreeMap<Text, Custody>, ProjectionError> {
        let mut custody = self.custody_of_all(tiers, change.cause.fact.program, members)?;
        for (member, custody) in &mut custody {
            if **member == *change.cause.fact.member && !custody.own {
                (custody.own, custody.here) = (true, true);
            }
            if change.received.contains(&member.as_str()) {
                (custody.here, custody.to, custody.moving) = (true, Text::default(), None);
            }
        }
        Ok(custody)
    }

    /// Replaces everything derived of one of them; says whether the new fact waits for its order there.
    fn fold_one_of(
        &mut self,
        tiers: &mut Tiers,
        change: &Change<'_>,
        family: &Family,
        member: &Text,
        facts: &Facts<'_>,
    ) -> Result<bool, ProjectionError> {
        let (rules, program) = (change.rules, change.cause.fact.program);
        let hash = member_hash(program, member);
        let slot = tiers.slot_of(hash, program, member)?;
        let known = tiers.records(hash, program, member)?;
        let kept = |(key, row): (RecordKey, RecordRow)| (key, if is_of_requests(key) { row } else { RecordRow::default() });
        let mut rows: BTreeMap<RecordKey, RecordRow> = known.into_iter().map(kept).collect();
        let (mut parts, mut codes) = (SmallVec::new(), Vec::new());
        let (bytes, _) = tiers.live.arena.open();
        let mut page = Page { program, rules, first: 0, bytes, parts: &mut parts, totals: &mut tiers.totals, codes: &mut codes };
        let (state, mut records) = family.replay(rules, member, &facts.booked, &mut page);
        let end = bytes.len();
        let is_its = |fact: &Fact<'_>| family.counts(fact.member) && family.winner(fact.member) == member.as_str();
        let parked = change.fact.is_some_and(|(new, _)| is_its(new.fact) && waits(new.fact, &records));
        for (key, record) in records.drain_changed() {
            rows.entry(key).or_default().record = record;
        }
        // What counts elsewhere is remembered under its own name.
        let owner = |of: &str| if family.counts(of) { family.winner(of) == member.as_str() } else { *of == **member };
        for (booked, position) in facts.booked.iter().zip(&facts.positions).filter(|(booked, _)| owner(booked.fact.member)) {
            if let Some((key, version)) = remembered(&booked.fact) {
                rows.entry(key).or_default().firsts.push((version, position.0));
            }
        }
        let positions = facts.own.get(member).cloned().unwrap_or_default();
        let rows = rows.into_iter().collect();
        Again { state, rows, codes, positions }.replace(tiers, slot, &parts, end);
        let of = &mut tiers.live.slots[slot as usize];
        (of.next, of.dirty) = (change.position.next(), true);
        Ok(parked)
    }
}

/// The family of records that say where a request of another shard's was decided.
pub(super) const DECIDED: Kind = Kind::FactForwarded;

fn is_of_requests(key: RecordKey) -> bool {
    key.family == DECIDED as u8
}

/// Everybody whom merges ever tied to some members.
pub(super) fn family_of<'a>(
    tiers: &Tiers,
    program: &str,
    named: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<Text>, ProjectionError> {
    let mut members = BTreeSet::new();
    for member in named {
        members.extend(tiers.family(program, member)?);
    }
    Ok(members)
}

/// The members that a fact ties or unties; else its own alone.
pub(super) fn tied_by<'a>(fact: &Fact<'a>) -> impl Iterator<Item = &'a str> {
    let other = match fact.body {
        Body::MembersMerged { loser } | Body::MembersUnmerged { loser } => Some(loser),
        _ => None,
    };
    [fact.member].into_iter().chain(other)
}
