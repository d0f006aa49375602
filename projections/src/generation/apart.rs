//! Members that cannot be folded each by itself: those whom merges name, or who came from or went to other shards. Their facts
//! are applied in the order of the log, as a start does it.

use crate::error::ProjectionError;
use accrue_ledger::{Body, Fact};
use accrue_proto::read_fact;
use accrue_store::{Frame, Position, member_hash};
use std::collections::BTreeSet;

/// What a first scan found.
#[derive(Default)]
pub(super) struct Apart {
    /// Hashes of such members.
    members: BTreeSet<u64>,
    /// Where control facts are: activations, and notes of rules being applied.
    pub activations: Vec<Position>,
}

impl Apart {
    /// Looks at a frame of the log.
    ///
    /// # Errors
    /// It can't be read.
    pub fn see(&mut self, frame: &Frame<'_>) -> Result<(), ProjectionError> {
        if frame.kind.is_control() {
            self.activations.push(frame.position);
        } else if frame.kind.links_members() || frame.kind.is_of_hand_over() || is_undecided(frame) {
            let bad = |error| ProjectionError::Frame { position: frame.position, error };
            self.add(&read_fact(frame.fact).map_err(bad)?);
        }
        Ok(())
    }

    /// With what another scan found in what follows.
    pub fn and(mut self, other: Apart) -> Apart {
        self.members.extend(other.members);
        self.activations.extend(other.activations);
        self
    }

    fn add(&mut self, fact: &Fact<'_>) {
        let mut add = |member: &str| {
            self.members.insert(member_hash(fact.program, member));
        };
        add(fact.member);
        match &fact.body {
            Body::MembersMerged { loser } | Body::MembersUnmerged { loser } => add(loser),
            Body::FactForwarded { about, fact: inside, .. } => {
                add(about);
                if let Ok(inside) = read_fact(inside) {
                    self.add(&inside);
                }
            }
            Body::HandOverContinued { to, .. } => add(to),
            Body::MembersHandedOver { members } => members.iter().for_each(add),
            _ => {}
        }
    }

    /// Nobody is apart.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn has(&self, program: &str, member: &str) -> bool {
        !self.members.is_empty() && self.members.contains(&member_hash(program, member))
    }

    /// Whether a frame is applied in the order of the log.
    pub fn takes(&self, frame: &Frame<'_>) -> bool {
        let of_all = frame.kind.is_control() || frame.kind.is_of_hand_over();
        of_all || self.members.contains(&frame.member_hash)
    }
}

fn is_undecided(frame: &Frame<'_>) -> bool {
    frame.kind.is_request() && frame.decision.is_none()
}
