//! Members that merges tie together across shards (docs/semantics.md, "Merges across shards"): the shard that has a member's facts hands
//! them over to the winner's, part by part, and with the last the right to decide; what comes later is sent on.

mod apart;
mod parcel;
mod part;

use super::Ledger;
use super::book::{Booking, Owner};
use super::judge;
use super::merge::Change;
use super::person::{KeyChange, Keys};
use crate::error::ProjectionError;
use crate::shared::Tiers;
use accrue_ledger::{Body, Decision, Fact, Kind, RecordKey, Text, Timeline};
use accrue_proto::{read_decision, read_fact, write_decision};
use accrue_store::{Candidate, Frame, Group, Position, ShardLog, Verdict, identity, member_hash};

pub(super) use parcel::Parcel;

/// The fact of a frame and its decision: of one that another shard forwarded, those inside.
pub(crate) fn content<'a>(frame: &Frame<'a>) -> Result<(&'a [u8], Option<&'a [u8]>), ProjectionError> {
    if frame.kind != Kind::FactForwarded {
        return Ok((frame.fact, frame.decision));
    }
    let bad = |error| ProjectionError::Frame { position: frame.position, error };
    match read_fact(frame.fact).map_err(bad)?.body {
        Body::FactForwarded { fact, decision, .. } => Ok((fact, frame.decision.or(decision))),
        _ => Ok((frame.fact, frame.decision)),
    }
}

/// The decision of a frame, wherever it was taken.
pub fn decision_of<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    content(frame).ok().and_then(|(_, decision)| decision)
}

/// A fact between shards, where it is being booked.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub candidate: &'a Candidate<'a>,
    pub rules: &'a Timeline,
    pub position: Position,
    pub pending: Option<&'a Group>,
    pub log: &'a ShardLog,
    /// The decision that the log has with it; outside: it comes for the first time.
    pub logged: Option<Option<&'a Decision>>,
}

/// What another shard forwarded.
struct Forwarded<'a> {
    candidate: Candidate<'a>,
    given: Option<Decision>,
    /// Where it is known from.
    first: Option<Position>,
}

impl Ledger {
    /// Judges what came from another shard, or from this one for itself.
    pub(super) fn offer_between(
        &mut self,
        tiers: &mut Tiers,
        candidate: &Candidate<'_>,
        (position, pending, log): (Position, &Group, &ShardLog),
    ) -> Result<Verdict, ProjectionError> {
        let fact = candidate.fact;
        if let Some(first) = self.seen_before(tiers, candidate, (candidate.hash, fact.member))? {
            return judge::compare(candidate, first, pending, log, |a, b| a == b);
        }
        if let Some(detail) = self.reserved(fact, candidate.bytes) {
            return Ok(Verdict::Refused { code: "reserved_source", detail });
        }
        let programs = std::sync::Arc::clone(&tiers.programs);
        let Some(program) = programs.get(fact.program) else {
            let detail =
                format!("no ruleset of program \"{}\" was ever activated here; activate one, then requeue", fact.program);
            return Ok(Verdict::Refused { code: "unknown_program", detail });
        };
        let rules = &program.timeline;
        self.take_between(tiers, Arrival { candidate, rules, position, pending: Some(pending), log, logged: None })
    }

    /// Books it, for the first time or again.
    pub(super) fn take_between(&mut self, tiers: &mut Tiers, arrival: Arrival<'_>) -> Result<Verdict, ProjectionError> {
        let verdict = match &arrival.candidate.fact.body {
            Body::FactForwarded { about, fact, decision } => self.take_forwarded(tiers, arrival, (about, fact, *decision))?,
            Body::HandOverContinued { to, started, after } => {
                new(None, self.send_part(tiers, &arrival, to, Position(*started), Position(*after))?)
            }
            Body::MembersHandedOver { members } => new(None, self.receive(tiers, &arrival, &members.iter().collect::<Vec<_>>())?),
            _ => new(None, Vec::new()),
        };
        if matches!(verdict, Verdict::New { .. }) {
            tiers.live.facts += 1;
            tiers.put_identity(arrival.candidate.identity, arrival.position);
            tiers.next = arrival.position.next();
        }
        Ok(verdict)
    }

    /// From now on these count here.
    fn receive(&mut self, tiers: &mut Tiers, arrival: &Arrival<'_>, members: &[&str]) -> Result<Vec<u8>, ProjectionError> {
        let fact = arrival.candidate.fact;
        let named = || members.iter().copied().chain([fact.member]);
        let before = self.ties_of(tiers, fact.program, named())?;
        let mut derived = self.gather(tiers, &arrival.change(None, members.to_vec()))?.derived;
        let after = self.ties_of(tiers, fact.program, named())?;
        derived.extend(self.onward(fact, None, (arrival.rules, arrival.position), (&before, &after)));
        for member in members {
            self.note_keys(tiers, fact.program, member, arrival.position)?;
        }
        Ok(derived)
    }

    fn take_forwarded(
        &mut self,
        tiers: &mut Tiers,
        arrival: Arrival<'_>,
        (about, bytes, decision): (&str, &[u8], Option<&[u8]>),
    ) -> Result<Verdict, ProjectionError> {
        let (fact, given) = match (read_fact(bytes), decision.map(read_decision).transpose()) {
            (Ok(fact), Ok(given)) => (fact, given),
            (Err(error), _) | (_, Err(error)) => return Ok(Verdict::Refused { code: error.code, detail: error.detail }),
        };
        let (to, program) = (arrival.candidate.fact.member, fact.program);
        if about == to && fact.member != to {
            // Who is merged into an erased member is erased with it, and begins again with it.
            let keys = match fact.kind {
                Kind::MemberErased => Some(Keys::Destroyed(fact.occurred_at)),
                Kind::MemberRegistered => Some(Keys::Anew(fact.occurred_at)),
                _ => None,
            };
            if let Some(keys) = keys {
                let (program, members) = (Text::new(program), vec![Text::new(to)]);
                self.key_changes.push(KeyChange { program, members, position: arrival.position, to: keys });
                return Ok(new(None, Vec::new()));
            }
        }
        let mut parcel = Parcel::new(self, arrival.candidate);
        let placed = !tiers.custody(program, to)?.own;
        if placed {
            parcel.list = self.gather(tiers, &arrival.change(None, Vec::new()))?.derived;
        }
        let candidate = Candidate {
            fact: &fact,
            bytes,
            hash: member_hash(program, fact.member),
            identity: identity(program, fact.source, fact.id),
        };
        let owner = Owner::of(&candidate, tiers.winner(candidate.hash, program, fact.member)?);
        let first = self.seen_before(tiers, &candidate, (owner.hash, owner.member(&fact)))?;
        let known = first.map(|first| self.decided_at(tiers, &candidate, first, arrival.pending)).transpose()?;
        let undecided = matches!(known, Some(None)) && fact.kind.is_request();
        let counts = tiers.counts_here(program, fact.member)?.unwrap_or(false);
        let is_new = first.is_none() || undecided && (given.is_some() || counts);
        // What is known and has gone on from here may have been on its way when it did.
        let away = |custody: accrue_ledger::Custody| Some(custody.to).filter(|to| !custody.here && !to.is_empty());
        let mut on = Vec::new();
        if first.is_none() || undecided && given.is_none() {
            on.extend(away(tiers.custody(program, fact.member)?).map(|to| (to, fact.member)));
        }
        // A merge that is told to somebody goes to where that one's facts are, by its own way: known here or not.
        if fact.kind.links_members() && about != fact.member {
            on.extend(away(tiers.custody(program, about)?).map(|to| (to, about)));
        }
        if let Some(first) = first.filter(|_| !is_new && on.is_empty() && !placed) {
            let Some(pending) = arrival.pending else { return Ok(new(None, Vec::new())) };
            let one = |a: &str, b: &str| a == b || tiers.one_member(program, a, b);
            return judge::compare(&candidate, known.flatten().unwrap_or(first), pending, arrival.log, one);
        }
        on.iter().for_each(|(to, about)| parcel.forward(to, about, bytes, decision));
        let forwarded = Forwarded { candidate, given, first };
        let booked = if is_new { self.book_forwarded(tiers, &arrival, &forwarded, counts, &mut parcel)? } else { None };
        Ok(new(booked, parcel.list))
    }

    fn book_forwarded(
        &mut self,
        tiers: &mut Tiers,
        arrival: &Arrival<'_>,
        forwarded: &Forwarded<'_>,
        counts: bool,
        parcel: &mut Parcel<'_>,
    ) -> Result<Option<Decision>, ProjectionError> {
        let Forwarded { candidate, given, first } = forwarded;
        let (fact, program) = (candidate.fact, candidate.fact.program);
        let logged = arrival.logged.flatten().or(given.as_ref()).cloned();
        if let Some(first) = first {
            self.note_decided(tiers, candidate, arrival.position)?;
            // Booked again, it is known from where it came first, whenever a checkpoint comes: of two places in a tier the lower stays.
            tiers.put_identity(candidate.identity, *first);
        }
        if !counts && !fact.kind.links_members() {
            self.keep_apart(tiers, arrival, candidate, logged.as_ref(), first.is_none())?;
            return Ok(None);
        }
        let owner = Owner::of(candidate, tiers.winner(candidate.hash, program, fact.member)?);
        let (rules, position, pending) = (arrival.rules, arrival.position, arrival.pending);
        let booking = Booking { candidate, cause: arrival.candidate, rules, position, pending, owner };
        if arrival.logged.is_some() {
            self.fold_booked(tiers, &booking, logged.as_ref())?;
            return Ok(None);
        }
        let (decided, folded) = self.fold_first(tiers, &booking, logged.as_ref())?;
        parcel.list.extend(folded.derived);
        let Some(decision) = decided else { return Ok(None) };
        if !tiers.custody(program, fact.member)?.own {
            let mut bytes = Vec::new();
            write_decision(&decision, &mut bytes);
            parcel.forward(fact.member, fact.member, candidate.bytes, Some(&bytes));
        }
        Ok(Some(decision))
    }

    /// Where a request has its decision, if it has one: it may have come back from another shard. Of a fact: where it is.
    pub(super) fn decided_at(
        &self,
        tiers: &Tiers,
        candidate: &Candidate<'_>,
        first: Position,
        pending: Option<&Group>,
    ) -> Result<Option<Position>, ProjectionError> {
        let fact = candidate.fact;
        if !fact.kind.is_request() || !tiers.merges {
            return Ok(Some(first));
        }
        let row = tiers.record(candidate.hash, fact.program, fact.member, decided_key(fact))?;
        if let Some(decided) = row.and_then(|row| row.first(0)) {
            return Ok(Some(decided));
        }
        let has_decision = |frame: &Frame<'_>| content(frame).map(|(_, decision)| decision.is_some());
        let decided = match pending.and_then(|group| group.read(first)) {
            Some(frame) => has_decision(&frame)?,
            None => self.shared.log.read(first, has_decision)??,
        };
        Ok(Some(first).filter(|_| decided))
    }
}

fn new(decision: Option<Decision>, derived: Vec<u8>) -> Verdict {
    Verdict::New { decision, late: false, parked: false, derived }
}

/// The record that says where a request has its decision.
pub(crate) fn decided_key(fact: &Fact<'_>) -> RecordKey {
    RecordKey::new(super::merge::DECIDED, &[fact.source, fact.id].join("\0"))
}

impl<'a> Arrival<'a> {
    /// What it changes among members that are one.
    pub fn change(&self, fact: Option<(&'a Candidate<'a>, Option<&'a Decision>)>, received: Vec<&'a str>) -> Change<'a> {
        let (cause, rules, position, pending) = (self.candidate, self.rules, self.position, self.pending);
        Change { cause, rules, position, pending, fact, received }
    }
}
