//! What a frame sends to other shards for members that are one: written as facts of the engine's own.

use crate::ledger::Ledger;
use crate::ledger::onward::{ProofKey, proven};
use accrue_proto::{pb, to_timestamp};
use accrue_store::{Candidate, Position, push_derived};
use pb::fact::Body;

/// Everything that one frame sends.
pub(in crate::ledger) struct Parcel<'a> {
    key: ProofKey,
    cause: &'a Candidate<'a>,
    /// As [`push_derived`] lists it.
    pub list: Vec<u8>,
}

impl<'a> Parcel<'a> {
    /// An empty one. The member of the cause is one of this shard's own.
    pub fn new(ledger: &Ledger, cause: &'a Candidate<'a>) -> Parcel<'a> {
        Parcel { key: ledger.proof_key, cause, list: Vec::new() }
    }

    /// A fact or request as it is known here, to the shard of `to`.
    pub fn forward(&mut self, to: &str, about: &str, fact: &[u8], decision: Option<&[u8]>) {
        let (about, fact, decision) = (about.to_owned(), fact.to_vec(), decision.unwrap_or_default().to_vec());
        self.push(to, Body::FactForwarded(pb::FactForwarded { about, fact, decision }));
    }

    /// The next part of a hand-over, to this shard itself.
    pub fn go_on(&mut self, to: &str, started: Position, after: Position) {
        let number = |position: Position| i64::try_from(position.0).unwrap_or(i64::MAX);
        let next = pb::HandOverContinued { to: to.to_owned(), started: number(started), after: number(after) };
        self.push(self.cause.fact.member, Body::HandOverContinued(next));
    }

    /// Everything known of them is there.
    pub fn handed_over(&mut self, to: &str, members: Vec<String>) {
        self.push(to, Body::MembersHandedOver(pb::MembersHandedOver { members }));
    }

    fn push(&mut self, to: &str, body: Body) {
        let fact = self.cause.fact;
        let mut sent = pb::Fact {
            source: accrue_ledger::ENGINE.to_owned(),
            program: fact.program.to_owned(),
            member: to.to_owned(),
            occurred_at: Some(to_timestamp(fact.occurred_at)),
            body: Some(body),
            ..pb::Fact::default()
        };
        // A pure function of what it follows from and what it says.
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.cause.identity);
        hasher.update(&prost::Message::encode_to_vec(&sent));
        sent.id = format!("between:{}", &hasher.finalize().to_hex()[..32]);
        push_derived(&mut self.list, &proven(&sent, &self.key));
    }
}
