//! Members that become one, or two again (§11): everybody whom merges tie to them is folded again from the facts of all.

use super::Ledger;
use super::book::{Booking, Page};
use super::refold::{Again, History, Undo};
use crate::error::ProjectionError;
use crate::rows::{RecordRow, remembered};
use crate::shared::Tiers;
use accrue_ledger::{Body, Booked, Decision, Fact, Family, RecordKey, Text, waits};
use accrue_store::{Position, member_hash};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

/// A family's facts with where they are: new ones at the end.
struct Facts<'a> {
    booked: Vec<Booked<'a>>,
    positions: Vec<Position>,
}

impl Ledger {
    /// Folds a fact of members that are, were or become one, with everything else known of all of them.
    pub(super) fn fold_family(
        &mut self,
        tiers: &mut Tiers,
        booking: &Booking<'_>,
        decision: Option<&Decision>,
    ) -> Result<bool, ProjectionError> {
        let (fact, rules) = (booking.candidate.fact, booking.rules);
        let program = fact.program;
        tiers.merges |= fact.kind.links_members();
        let members = family_of(tiers, fact)?;
        let mut all = Vec::new();
        for member in &members {
            all.extend(tiers.positions(member_hash(program, member), program, member)?);
        }
        all.sort_unstable();
        let history = History::read(&self.shared.log, &all, None, booking.pending)?;
        let mut facts = Facts { booked: history.booked()?, positions: history.positions().collect() };
        let before = Family::of(&facts.booked);
        for member in members.iter().filter(|member| before.winner(member) == member.as_str()) {
            let mut undo = Undo { program, rules, totals: &mut tiers.totals };
            before.replay(rules, member, &facts.booked, &mut undo);
        }
        facts.booked.push(Booked { fact: fact.clone(), decision: decision.cloned() });
        facts.positions.push(booking.position);
        let (after, mut parked) = (Family::of(&facts.booked), false);
        for member in &members {
            parked |= self.fold_one_of(tiers, booking, &after, member, &facts)?;
        }
        Ok(parked)
    }

    /// Replaces everything derived of one of them; says whether the new fact waits for its order there.
    fn fold_one_of(
        &mut self,
        tiers: &mut Tiers,
        booking: &Booking<'_>,
        family: &Family,
        member: &Text,
        facts: &Facts<'_>,
    ) -> Result<bool, ProjectionError> {
        let (rules, program) = (booking.rules, booking.candidate.fact.program);
        let hash = member_hash(program, member);
        let slot = tiers.slot_of(hash, program, member)?;
        let known = tiers.records(hash, program, member)?;
        let mut rows: BTreeMap<RecordKey, RecordRow> = known.into_keys().map(|key| (key, RecordRow::default())).collect();
        let (mut parts, mut codes) = (SmallVec::new(), Vec::new());
        let (bytes, _) = tiers.live.arena.open();
        let mut page = Page { program, rules, first: 0, bytes, parts: &mut parts, totals: &mut tiers.totals, codes: &mut codes };
        let (state, mut records) = family.replay(rules, member, &facts.booked, &mut page);
        let end = bytes.len();
        let fact = booking.candidate.fact;
        let parked = family.winner(fact.member) == member.as_str() && waits(fact, &records);
        for (key, record) in records.drain_changed() {
            rows.entry(key).or_default().record = record;
        }
        let mut own = Vec::new();
        for (booked, position) in facts.booked.iter().zip(&facts.positions) {
            if *booked.fact.member == **member {
                own.push(position.0);
            }
            if let Some((key, version)) =
                remembered(&booked.fact).filter(|_| family.winner(booked.fact.member) == member.as_str())
            {
                rows.entry(key).or_default().firsts.push((version, position.0));
            }
        }
        Again { state, rows, codes, positions: own }.replace(tiers, slot, &parts, end);
        let of = &mut tiers.live.slots[slot as usize];
        (of.next, of.dirty) = (booking.position.next(), true);
        Ok(parked)
    }
}

/// Everybody whom merges ever tied to the members that a fact names.
pub(super) fn family_of(tiers: &Tiers, fact: &Fact<'_>) -> Result<BTreeSet<Text>, ProjectionError> {
    let mut named = vec![fact.member];
    if let Body::MembersMerged { loser } | Body::MembersUnmerged { loser } = fact.body {
        named.push(loser);
    }
    let mut members = BTreeSet::new();
    for member in named {
        let state = tiers.state(member_hash(fact.program, member), fact.program, member)?;
        members.extend(state.iter().filter_map(|(state, _)| state.links()).flat_map(|links| links.family.iter().cloned()));
        members.insert(Text::new(member));
    }
    Ok(members)
}
