//! Seen before? Identities, natural keys, and whether the content is the same (facts.md, "Idempotency").

use super::{Ledger, hand_over};
use crate::codec::BadRow;
use crate::error::ProjectionError;
use crate::filter::Hashed;
use crate::rows::RecordRow;
use crate::shared::Tiers;
use crate::tier::Identity;
use accrue_ledger::{Decision, RecordKey};
use accrue_proto::{fingerprint, read_decision, same_content_if};
use accrue_store::{Candidate, Frame, Group, Position, ShardLog, Verdict};

/// What memory says of an identity.
pub fn identity_in_memory(tiers: &Tiers, identity: &Identity) -> Option<Position> {
    let frozen = || tiers.frozen.as_deref().and_then(|tier| tier.identities.get(identity));
    tiers.live.identities.get(identity).or_else(frozen)
}

/// Appends the bytes of an identity's row: the position, big-endian without leading zeros.
pub fn append_position(row: &mut Vec<u8>, position: Position) {
    let bytes = position.0.to_be_bytes();
    row.extend_from_slice(&bytes[(position.0.leading_zeros() / 8) as usize..]);
}

/// Reads such a row.
pub fn read_position(row: &[u8]) -> Result<Position, BadRow> {
    if row.len() > 8 {
        return Err(BadRow::new("identity", "longer than a position"));
    }
    Ok(Position(row.iter().fold(0, |position, byte| position << 8 | u64::from(*byte))))
}

impl Ledger {
    /// Where a fact with this identity or natural key was booked.
    pub(super) fn seen_before(
        &mut self,
        tiers: &Tiers,
        candidate: &Candidate<'_>,
        (hash, member): (u64, &str),
    ) -> Result<Option<Position>, ProjectionError> {
        let identity = &candidate.identity;
        let maybe = tiers.known.may_hold(Hashed::identity(identity));
        let first = match maybe.then(|| identity_in_memory(tiers, identity)).flatten() {
            Some(first) => Some(first),
            None if tiers.view_is_empty || !maybe => None,
            None => match self.prefetched.identity(identity) {
                Some(asked) => asked,
                None => identity_on_disk(tiers, identity)?,
            },
        };
        self.site = None;
        let Some(natural) = candidate.fact.natural_key().filter(|_| first.is_none()) else {
            return Ok(first);
        };
        let key = RecordKey::new(natural.kind, natural.id);
        let program = candidate.fact.program;
        if !tiers.known.may_hold(Hashed::record(hash, key)) {
            self.site = Some((key, RecordRow::default()));
            return Ok(None);
        }
        let live = tiers.live.find(hash, program, member);
        let row = match live.and_then(|slot| tiers.live.record(slot, key)) {
            Some(row) => Some(RecordRow::read(row)?),
            None => self.fetch_old_record(tiers, hash, program, member, key)?,
        };
        let row = row.unwrap_or_default();
        let first = row.first(natural.version);
        self.site = Some((key, row));
        Ok(first)
    }
}

/// What the view says of it.
pub fn identity_on_disk(tiers: &Tiers, identity: &Identity) -> Result<Option<Position>, ProjectionError> {
    let mut name = Vec::with_capacity(16);
    accrue_store::keys::identity(&mut name, identity);
    Ok(tiers.view.get(&name)?.map(|row| read_position(&row)).transpose()?)
}

/// A fact whose id was seen at `first`: the same again, or a conflict.
/// `one_member`: whether two names mean the same member (§11).
pub fn compare(
    candidate: &Candidate<'_>,
    first: Position,
    pending: &Group,
    log: &ShardLog,
    one_member: impl Fn(&str, &str) -> bool,
) -> Result<Verdict, ProjectionError> {
    type Read = Result<(bool, Option<Decision>, bool, u64), ProjectionError>;
    let look = |frame: &Frame<'_>| -> Read {
        // What another shard forwarded is compared by what is inside, but with its like.
        let is_like = candidate.fact.kind == frame.kind;
        let (fact, decision) = if is_like { (frame.fact, frame.decision) } else { hand_over::content(frame)? };
        let decision = decision.map(read_decision).transpose();
        let decision = decision.map_err(|error| ProjectionError::Frame { position: first, error })?;
        Ok((same_content_if(candidate.bytes, fact, &one_member), decision, frame.parked, fingerprint(fact)))
    };
    let read = match pending.read(first) {
        Some(frame) => look(&frame),
        None => log.read(first, look)?,
    };
    let (same, decision, parked, known) = read?;
    if same {
        return Ok(Verdict::Duplicate { first, decision, parked });
    }
    let given = fingerprint(candidate.bytes);
    let detail = format!("booked at position {first} with fingerprint {known:016x}, now with {given:016x}");
    Ok(Verdict::Conflict { first, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_back() {
        for position in [1, 255, 256, 1 << 40, u64::MAX].map(Position) {
            let mut row = Vec::new();
            append_position(&mut row, position);
            assert_eq!(read_position(&row).expect("reads"), position);
        }
        let mut row = Vec::new();
        append_position(&mut row, Position(300));
        assert_eq!(row, [1, 44]);
        assert!(read_position(&[0; 9]).is_err());
    }
}
