//! Facts of a member whose points are with another shard: kept here under its name, and sent on.

use super::{Arrival, Parcel, decided_key};
use crate::error::ProjectionError;
use crate::ledger::Ledger;
use crate::ledger::book::Booking;
use crate::rows::{RecordRow, remembered};
use crate::shared::Tiers;
use accrue_ledger::{Decision, Instant};
use accrue_store::{Candidate, Position, Verdict};

impl Ledger {
    /// Books what came under the name of such a member: a request is decided where its points are.
    pub(in crate::ledger) fn book_apart(
        &mut self,
        tiers: &mut Tiers,
        booking: &Booking<'_>,
        derived: Vec<u8>,
    ) -> Result<Verdict, ProjectionError> {
        let (candidate, fact) = (booking.candidate, booking.candidate.fact);
        self.keep(tiers, candidate, booking.position, true)?;
        let slot = tiers.slot_of(candidate.hash, fact.program, fact.member)?;
        self.note_person(tiers, slot, booking)?;
        let mut parcel = Parcel::new(self, booking.cause);
        parcel.list = derived;
        // What follows from a fact alone follows here: where it counts later, it comes as something known.
        parcel.list.extend(self.onward(fact, None, (booking.rules, booking.position), (&[], &[])));
        self.send_on(tiers, candidate, &mut parcel)?;
        Ok(Verdict::New { decision: None, late: false, parked: fact.kind.is_request(), derived: parcel.list })
    }

    /// Adds what goes on to where the member's facts went.
    pub(in crate::ledger) fn send_on(
        &self,
        tiers: &Tiers,
        candidate: &Candidate<'_>,
        parcel: &mut Parcel<'_>,
    ) -> Result<(), ProjectionError> {
        let custody = tiers.custody(candidate.fact.program, candidate.fact.member)?;
        if !custody.here && !custody.to.is_empty() {
            parcel.forward(&custody.to, candidate.fact.member, candidate.bytes, None);
        }
        Ok(())
    }

    /// Keeps what was forwarded about a member that does not count here, or not yet.
    pub(super) fn keep_apart(
        &mut self,
        tiers: &mut Tiers,
        arrival: &Arrival<'_>,
        candidate: &Candidate<'_>,
        decision: Option<&Decision>,
        is_first: bool,
    ) -> Result<(), ProjectionError> {
        let (program, member) = (candidate.fact.program, candidate.fact.member);
        self.note_look_ups(tiers, candidate)?;
        if tiers.state(candidate.hash, program, member)?.is_none() {
            // Never heard of: it is noted as one of another shard.
            self.gather(tiers, &arrival.change(Some((candidate, decision)), Vec::new()))?;
            self.known(tiers, candidate, arrival.position);
            return Ok(());
        }
        self.keep(tiers, candidate, arrival.position, is_first)
    }

    fn keep(
        &mut self,
        tiers: &mut Tiers,
        candidate: &Candidate<'_>,
        at: Position,
        is_first: bool,
    ) -> Result<(), ProjectionError> {
        let fact = candidate.fact;
        let slot = tiers.slot_of(candidate.hash, fact.program, fact.member)?;
        let of = &mut tiers.live.slots[slot as usize];
        of.positions.push(at.0);
        (of.next, of.dirty) = (at.next(), true);
        if let Some((key, version)) = remembered(fact).filter(|_| is_first) {
            let mut row = self.fetch_record(tiers, slot, key)?.unwrap_or_default();
            row.firsts.push((version, at.0));
            tiers.put_record(slot, key, &row);
        }
        if is_first {
            self.known(tiers, candidate, at);
        }
        Ok(())
    }

    fn known(&self, tiers: &mut Tiers, candidate: &Candidate<'_>, at: Position) {
        tiers.live.facts += 1;
        tiers.put_identity(candidate.identity, at);
        tiers.next = at.next();
        tiers.latest = tiers.latest.max(Instant(candidate.fact.occurred_at.0));
    }

    /// A request that is known without its decision has it there.
    pub(super) fn note_decided(
        &mut self,
        tiers: &mut Tiers,
        candidate: &Candidate<'_>,
        at: Position,
    ) -> Result<(), ProjectionError> {
        let fact = candidate.fact;
        let slot = tiers.slot_of(candidate.hash, fact.program, fact.member)?;
        tiers.put_record(slot, decided_key(fact), &RecordRow { firsts: [(0, at.0)].into_iter().collect(), record: None });
        let of = &mut tiers.live.slots[slot as usize];
        (of.next, of.dirty) = (at.next(), true);
        Ok(())
    }
}
