//! A small projection, whole in itself: which ids are known, and how many facts each member has. It decides like the ledger
//! does, by what it has booked: a request of a member with facts is accepted, a known id is a duplicate or a conflict.
//! Its checkpoint outlives the writer in [`Disk`].

use accrue_ledger::{Decision, Instant, Outcome, Promise, Rejection};
use accrue_proto::{fingerprint, read_decision, read_fact};
use accrue_store::{Candidate, Frame, Group, Inline, InlineError, Position, ShardLog, Verdict};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What is known at a position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    pub next: u64,
    pub ids: BTreeMap<(String, String, String), Entry>,
    pub members: BTreeMap<(String, String), (u64, i64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub position: Position,
    pub fingerprint: u64,
    pub decision: Option<Decision>,
}

/// The last checkpoint of each shard, and how many frames were replayed since it was made.
#[derive(Clone, Default)]
pub struct Disk(pub Arc<Mutex<BTreeMap<u32, Known>>>, pub Arc<Mutex<u64>>);

impl Disk {
    pub fn known(&self, shard: u32) -> Known {
        self.0.lock().expect("whole").get(&shard).cloned().unwrap_or_default()
    }

    pub fn open(&self, shard: u32) -> Box<dyn Inline> {
        let mut known = self.0.lock().expect("whole").get(&shard).cloned().unwrap_or_default();
        known.next = known.next.max(1);
        Box::new(Ids { shard, known, disk: self.clone() })
    }
}

pub struct Ids {
    shard: u32,
    known: Known,
    disk: Disk,
}

impl Ids {
    fn book(&mut self, candidate: &Candidate<'_>, position: Position, decision: Option<Decision>) -> bool {
        let fact = candidate.fact;
        let entry = Entry { position, fingerprint: fingerprint(candidate.bytes), decision };
        self.known.ids.insert((fact.program.into(), fact.source.into(), fact.id.into()), entry);
        let member = self.known.members.entry((fact.program.into(), fact.member.into())).or_insert((0, i64::MIN));
        let late = fact.occurred_at.0 < member.1;
        *member = (member.0 + 1, member.1.max(fact.occurred_at.0));
        self.known.next = position.next().0;
        late
    }

    fn decide(&self, candidate: &Candidate<'_>) -> Option<Decision> {
        let fact = candidate.fact;
        let member = self.known.members.get(&(fact.program.to_owned(), fact.member.to_owned()));
        fact.kind.is_request().then(|| Decision {
            at: Instant(member.map_or(i64::MIN, |member| member.1)).max(fact.occurred_at),
            outcome: match member {
                Some(member) => Outcome::Accepted(Promise { points: member.0 as i64, ..Promise::default() }),
                None => Outcome::Rejected(Rejection::MemberUnknown),
            },
            ruleset: 1,
            balance_before: 0,
            saw_position: self.known.next - 1,
        })
    }
}

impl Inline for Ids {
    fn next_position(&self) -> Position {
        Position(self.known.next)
    }

    fn prepare(&mut self, candidates: &[Candidate<'_>]) -> Result<(), InlineError> {
        assert!(
            candidates
                .iter()
                .all(|candidate| candidate.hash == accrue_store::member_hash(candidate.fact.program, candidate.fact.member))
        );
        Ok(())
    }

    fn offer(
        &mut self,
        candidate: &Candidate<'_>,
        position: Position,
        pending: &Group,
        _: &ShardLog,
    ) -> Result<Verdict, InlineError> {
        assert_eq!((pending.next_position(), position), (position, Position(self.known.next)));
        let fact = candidate.fact;
        if fact.program == "broken" {
            return Err(InlineError::projection("the view can't be read"));
        }
        if fact.program == "panics" {
            panic!("a bug in the projection");
        }
        if fact.program != "acme" {
            return Ok(Verdict::Refused { code: "unknown_program", detail: format!("no program {}", fact.program) });
        }
        if let Some(known) = self.known.ids.get(&(fact.program.into(), fact.source.into(), fact.id.into())) {
            let (first, now) = (known.position, fingerprint(candidate.bytes));
            return Ok(if known.fingerprint == now {
                Verdict::Duplicate { first, decision: known.decision.clone(), parked: false }
            } else {
                Verdict::Conflict { first, detail: format!("{:016x} is not {now:016x}", known.fingerprint) }
            });
        }
        let decision = self.decide(candidate);
        let late = self.book(candidate, position, decision.clone());
        Ok(Verdict::New { decision, late, parked: false, derived: Vec::new() })
    }

    fn replay(&mut self, frame: &Frame<'_>, _: &ShardLog) -> Result<(), InlineError> {
        assert_eq!(frame.position, Position(self.known.next), "no gaps, nothing twice");
        let fact = read_fact(frame.fact).map_err(InlineError::projection)?;
        let decision = frame.decision.map(read_decision).transpose().map_err(InlineError::projection)?;
        let identity = accrue_store::identity(fact.program, fact.source, fact.id);
        let candidate = Candidate { fact: &fact, bytes: frame.fact, hash: frame.member_hash, identity };
        self.book(&candidate, frame.position, decision);
        *self.disk.1.lock().expect("whole") += 1;
        Ok(())
    }

    fn durable(&mut self, next: Position) {
        assert_eq!(next, Position(self.known.next));
    }

    fn checkpoint(&mut self, force: bool) -> Result<(), InlineError> {
        if force {
            self.disk.0.lock().expect("whole").insert(self.shard, self.known.clone());
        }
        Ok(())
    }
}
