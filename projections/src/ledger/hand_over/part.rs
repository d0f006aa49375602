//! One part of what is handed over: so many facts with one frame, the rest with the next; when nothing is left, the right to decide.

use super::{Arrival, Parcel};
use crate::error::ProjectionError;
use crate::ledger::Ledger;
use crate::ledger::refold::History;
use crate::shared::Tiers;
use accrue_ledger::Text;
use accrue_store::{Position, member_hash};

/// Facts of a part, at most.
const PART_FACTS_MAX: usize = 500;
/// Bytes of a part, at most, unless one fact has more.
const PART_BYTES_MAX: usize = 2 * 1024 * 1024;

impl Ledger {
    /// Sends the facts behind `after` of those who are on their way since `started`; nothing, if they no longer are.
    pub(super) fn send_part(
        &mut self,
        tiers: &mut Tiers,
        arrival: &Arrival<'_>,
        to: &str,
        started: Position,
        after: Position,
    ) -> Result<Vec<u8>, ProjectionError> {
        let program = arrival.candidate.fact.program;
        let (mut members, mut positions) = (Vec::new(), Vec::new());
        for member in tiers.family(program, to)? {
            let moving = tiers.custody(program, &member)?.moving;
            if moving.is_some_and(|(known, since)| *known == *to && since == started.0) {
                positions.extend(tiers.positions(member_hash(program, &member), program, &member)?);
                members.push(member);
            }
        }
        let mut parcel = Parcel::new(self, arrival.candidate);
        if members.is_empty() {
            return Ok(parcel.list);
        }
        positions.retain(|position| *position > after);
        positions.sort_unstable();
        positions.truncate(PART_FACTS_MAX);
        let part = History::read_all(&self.shared.log, &positions, None, arrival.pending)?;
        let mut last = None;
        for kept in part.frames() {
            if last.is_some() && parcel.list.len() + kept.fact.len() > PART_BYTES_MAX {
                break;
            }
            parcel.forward(to, kept.fact()?.member, &kept.fact, kept.decision.as_deref());
            last = Some(kept.position);
        }
        match last {
            Some(last) => parcel.go_on(to, started, last),
            // Only now: what was sent before has arrived, or this frame would not have come.
            None => {
                self.send_merges(tiers, arrival, to, &mut parcel)?;
                members.iter().try_for_each(|member| self.give_away(tiers, arrival, member, to))?;
                parcel.handed_over(to, members.iter().map(ToString::to_string).collect());
            }
        }
        Ok(parcel.list)
    }

    /// Who gets the facts is to know of all merges that are known here: else it may send them back.
    fn send_merges(
        &self,
        tiers: &Tiers,
        arrival: &Arrival<'_>,
        to: &str,
        parcel: &mut Parcel<'_>,
    ) -> Result<(), ProjectionError> {
        let program = arrival.candidate.fact.program;
        let mut positions = Vec::new();
        for member in tiers.family(program, to)? {
            positions.extend(tiers.positions(member_hash(program, &member), program, &member)?);
        }
        positions.sort_unstable();
        let known = History::read_all(&self.shared.log, &positions, None, arrival.pending)?;
        for kept in known.frames() {
            let fact = kept.fact()?;
            if fact.kind.links_members() {
                parcel.forward(to, fact.member, &kept.fact, None);
            }
        }
        Ok(())
    }

    fn give_away(&mut self, tiers: &mut Tiers, arrival: &Arrival<'_>, member: &str, to: &str) -> Result<(), ProjectionError> {
        let program = arrival.candidate.fact.program;
        let slot = tiers.slot_of(member_hash(program, member), program, member)?;
        let of = &mut tiers.live.slots[slot as usize];
        if let Some(links) = of.state.standing.as_mut().and_then(|standing| standing.links.as_mut()) {
            (links.custody.here, links.custody.to, links.custody.moving) = (false, Text::new(to), None);
        }
        (of.next, of.dirty) = (arrival.position.next(), true);
        Ok(())
    }
}
