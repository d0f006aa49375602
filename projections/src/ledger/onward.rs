//! What follows for other members: written as facts of the engine's own, and known again when they come back in.

use super::Ledger;
use super::book::Booking;
use super::merge::{family_of, tied_by};
use crate::error::ProjectionError;
use crate::shared::Tiers;
use accrue_ledger::{
    Body, Decision, Derived, ENGINE, Fact, Onward, ReferralOnward, Text, TiesOf, Timeline, TransferTo, derive, derive_referrals,
    is_reserved_member,
};
use accrue_proto::{lot_to, pb, to_timestamp, write_fact};
use accrue_store::{Position, member_hash, push_derived};

/// The key of the proof's field and its length, as they stand before it (`fact.proto`, 15).
const PROOF_HEADER: [u8; 2] = [15 << 3 | 2, PROOF_BYTES as u8];
const PROOF_BYTES: usize = 32;

/// By what the engine knows its own facts.
pub(super) type ProofKey = [u8; 32];

impl Ledger {
    /// The list that the fact's frame will hold; mostly empty.
    pub(super) fn onward(
        &self,
        fact: &Fact<'_>,
        decision: Option<&Decision>,
        (rules, position): (&Timeline, Position),
        ties: (&[TiesOf], &[TiesOf]),
    ) -> Vec<u8> {
        let of_referrals = derive_referrals(fact, decision, rules, ties, position.0 as i64);
        let mut list = Vec::new();
        for derived in derive(fact, decision).into_iter().chain(of_referrals) {
            push_derived(&mut list, &written(fact.program, derived, &self.proof_key));
        }
        list
    }

    /// The ties of all members whose state a fact may change, as they are now; most have none.
    pub(super) fn ties(&self, tiers: &Tiers, slot: u32, booking: &Booking<'_>) -> Result<Vec<TiesOf>, ProjectionError> {
        let fact = booking.candidate.fact;
        let state = &tiers.live.slots[slot as usize].state;
        if state.links().is_none() && !fact.kind.links_members() {
            let tied = state.referrals.is_some().then(|| TiesOf::new(booking.owner.member(fact), Some(state)));
            return Ok(tied.into_iter().collect());
        }
        self.ties_of(tiers, fact.program, tied_by(fact))
    }

    /// The same of members that merges tie to these.
    pub(super) fn ties_of<'a>(
        &self,
        tiers: &Tiers,
        program: &str,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<TiesOf>, ProjectionError> {
        let of = |member: &Text| {
            let known = tiers.state(member_hash(program, member), program, member)?;
            Ok(TiesOf::new(member, known.as_ref().map(|(state, _)| state)))
        };
        family_of(tiers, program, named)?.iter().map(of).collect()
    }

    /// Why a fact can't come from outside; `None`: it may, or it is the engine's own.
    pub(super) fn reserved(&self, fact: &Fact<'_>, bytes: &[u8]) -> Option<String> {
        if fact.source != ENGINE && !fact.kind.is_derived() {
            let about = named(fact).find(|member| is_reserved_member(member))?;
            return Some(format!("member \"{about}\" is none: names that begin with \"accrue:\" are the engine's own"));
        }
        if fact.source == ENGINE && is_proven(bytes, &self.proof_key) {
            return None;
        }
        let kind = fact.kind.name();
        Some(format!("source \"{ENGINE}\" and {kind} of it are the engine's own: publish under another source"))
    }
}

fn written(program: &str, derived: Derived, key: &ProofKey) -> Vec<u8> {
    let body = match derived.body {
        Onward::PointsReceived { transfer_id, from_member, ledger, lots, returned } => {
            let lots = lots.iter().map(lot_to).collect();
            pb::fact::Body::PointsReceived(pb::PointsReceived { transfer_id, from_member, ledger, lots, returned })
        }
        Onward::Referral(said) => referral(said),
    };
    let fact = pb::Fact {
        id: derived.id,
        source: ENGINE.to_owned(),
        program: program.to_owned(),
        member: derived.member,
        occurred_at: Some(to_timestamp(derived.occurred_at)),
        body: Some(body),
        ..pb::Fact::default()
    };
    proven(&fact, key)
}

/// A fact of the engine's own, as it is written.
pub(super) fn proven(fact: &pb::Fact, key: &ProofKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_fact(fact, &mut bytes);
    let proof = blake3::keyed_hash(key, &bytes);
    bytes.extend_from_slice(&PROOF_HEADER);
    bytes.extend_from_slice(proof.as_bytes());
    bytes
}

/// Every member that a fact names.
fn named<'a>(fact: &Fact<'a>) -> impl Iterator<Item = &'a str> {
    let other = match &fact.body {
        Body::PointsTransferred { to: TransferTo::Member(to), .. } => Some(*to),
        Body::MembersMerged { loser } | Body::MembersUnmerged { loser } => Some(*loser),
        _ => None,
    };
    [fact.member].into_iter().chain(other)
}

fn referral(said: ReferralOnward) -> pb::fact::Body {
    use pb::fact::Body as Wire;
    match said {
        ReferralOnward::CodeClaimed { code, owner } => Wire::ReferralCodeClaimed(pb::ReferralCodeClaimed { code, owner }),
        ReferralOnward::Asked { code, friend } => Wire::ReferralAsked(pb::ReferralAsked { code, friend }),
        ReferralOnward::CodeSettled { code, taken } => Wire::ReferralCodeSettled(pb::ReferralCodeSettled { code, taken }),
        ReferralOnward::Answered { code, owner } => Wire::ReferralAnswered(pb::ReferralAnswered { code, owner }),
        ReferralOnward::Told { friend, code, stage, revision, order_id, amount, withdrawn } => {
            let (friend, code, order_id) = (friend.to_string(), code.to_string(), order_id.to_string());
            let stage = stage as i32;
            Wire::ReferralTold(pb::ReferralTold { friend, code, stage, revision, order_id, amount, withdrawn })
        }
    }
}

/// Whether the engine wrote it: nothing was changed, nothing added.
fn is_proven(bytes: &[u8], key: &ProofKey) -> bool {
    let Some((rest, proof)) = bytes.split_last_chunk::<PROOF_BYTES>() else { return false };
    // Compared in constant time.
    rest.strip_suffix(&PROOF_HEADER).is_some_and(|fact| blake3::keyed_hash(key, fact) == *proof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::Instant;
    use accrue_proto::read_fact;

    #[test]
    fn the_engine_knows_its_own_and_nothing_else() {
        let lots = vec![accrue_ledger::ImportedLot { points: 5, ..Default::default() }];
        let (transfer_id, from_member, ledger) = ("T".to_owned(), "a".to_owned(), "main".to_owned());
        let body = Onward::PointsReceived { transfer_id, from_member, ledger, lots, returned: false };
        let derived = Derived { member: "b".to_owned(), id: "received:1".to_owned(), occurred_at: Instant(7), body };
        let bytes = written("acme", derived, &[1; 32]);
        let read = read_fact(&bytes).expect("reads");
        assert_eq!((read.source, read.member, read.program), (ENGINE, "b", "acme"));
        assert!(is_proven(&bytes, &[1; 32]) && !is_proven(&bytes, &[2; 32]));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!is_proven(&other, &[1; 32]), "byte {at}");
            assert!(!is_proven(&bytes[..at], &[1; 32]), "cut at {at}");
        }
        let longer = [&bytes[..], &[0x20, 0]].concat();
        assert!(!is_proven(&longer, &[1; 32]));
    }
}
