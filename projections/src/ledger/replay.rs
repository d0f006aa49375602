//! Frames of the log booked again: after a start, for a view made anew.

use super::Ledger;
use super::book::{Booking, Owner};
use super::hand_over::Arrival;
use crate::error::ProjectionError;
use accrue_ledger::{Decision, Fact};
use accrue_proto::{read_decision, read_fact};
use accrue_store::{Candidate, Frame, Position, identity, member_hash};
use std::sync::Arc;

/// A frame, read.
struct Read<'a> {
    fact: Fact<'a>,
    decision: Option<Decision>,
}

impl Ledger {
    /// Books frames that follow one another, and writes a checkpoint when one is due.
    pub(super) fn replay_frames(&mut self, frames: &[Frame<'_>]) -> Result<(), ProjectionError> {
        self.book_frames(frames)?;
        if self.checkpoint_due() { self.checkpoint_if_due(false) } else { Ok(()) }
    }

    /// Books frames that follow one another; what they need is fetched for all of them at once.
    pub(super) fn book_frames(&mut self, frames: &[Frame<'_>]) -> Result<(), ProjectionError> {
        // They are many and large: growing would copy them again and again.
        let mut read = Vec::with_capacity(frames.len());
        for frame in frames {
            read.push(self::read(frame)?);
        }
        let candidates: Vec<Candidate<'_>> = frames.iter().zip(&read).map(|(frame, read)| candidate(frame, &read.fact)).collect();
        let shared = Arc::clone(&self.shared);
        self.filling.take(&shared);
        self.prefetch_for_replay(&candidates)?;
        for ((frame, read), candidate) in frames.iter().zip(&read).zip(&candidates) {
            if read.fact.kind.is_control() {
                self.replay_control(frame, candidate)?;
            } else {
                self.replay_fact(frame.position, candidate, read.decision.as_ref())?;
            }
        }
        if let Some(last) = frames.last() {
            shared.set_durable(last.position.next());
        }
        Ok(())
    }

    fn replay_control(&mut self, frame: &Frame<'_>, candidate: &Candidate<'_>) -> Result<(), ProjectionError> {
        let (shared, position) = (Arc::clone(&self.shared), frame.position);
        let mut tiers = shared.tiers.write();
        self.ahead.step(&tiers);
        if !tiers.programs.knows(candidate.fact.program, position) {
            self.offer_control(&mut tiers, candidate, position, frame.recorded_at);
        }
        tiers.put_identity(candidate.identity, position);
        tiers.next = position.next();
        drop(tiers);
        if !self.is_beside && std::mem::take(&mut self.rebuild_due) {
            shared.set_durable(position.next());
            self.rebuild(position.next())?;
        }
        Ok(())
    }

    fn replay_fact(
        &mut self,
        position: Position,
        candidate: &Candidate<'_>,
        decision: Option<&Decision>,
    ) -> Result<(), ProjectionError> {
        let shared = Arc::clone(&self.shared);
        let mut tiers = shared.tiers.write();
        self.ahead.step(&tiers);
        let programs = Arc::clone(&tiers.programs);
        self.site = None;
        let fact = candidate.fact;
        if let Some(program) = programs.get(fact.program) {
            let rules = &program.timeline;
            if fact.kind.is_of_hand_over() {
                let (log, logged) = (self.shared.log.clone(), Some(decision));
                self.take_between(&mut tiers, Arrival { candidate, rules, position, pending: None, log: &log, logged })?;
            } else {
                let owner = Owner::of(candidate, tiers.winner(candidate.hash, fact.program, fact.member)?);
                let booking = Booking { candidate, cause: candidate, rules, position, pending: None, owner };
                self.book_decided(&mut tiers, booking, decision)?;
            }
        }
        Ok(())
    }
}

fn read<'a>(frame: &Frame<'a>) -> Result<Read<'a>, ProjectionError> {
    let position = frame.position;
    let bad = |error| ProjectionError::Frame { position, error };
    let fact = read_fact(frame.fact).map_err(bad)?;
    Ok(Read { decision: frame.decision.map(read_decision).transpose().map_err(bad)?, fact })
}

fn candidate<'a>(frame: &Frame<'a>, fact: &'a Fact<'a>) -> Candidate<'a> {
    let identity = identity(fact.program, fact.source, fact.id);
    Candidate { fact, bytes: frame.fact, hash: member_hash(fact.program, fact.member), identity }
}
