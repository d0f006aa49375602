//! A digest of everything derived: equal on any number of shards and threads, whatever the order of arrival.

use crate::error::ProjectionError;
use crate::reader::{LedgerReader, RecordsInOrder};
use accrue_ledger::{Member, Pack};
use accrue_store::keys;
use std::fmt;

/// The sum, modulo 2²⁵⁶, of a hash for each member over its state (which vouches for its entries) and its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u64; 4]);

impl Digest {
    /// Adds another part of the members.
    pub fn merge(&mut self, other: Digest) {
        let mut carry = false;
        for (word, more) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = word.overflowing_add(more);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, over | again);
        }
    }

    fn of(hash: blake3::Hash) -> Digest {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *word = u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]);
        }
        Digest(words)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

impl LedgerReader {
    /// The digest of a program's members in this shard. The writer waits meanwhile.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn digest(&self, program: &str) -> Result<Digest, ProjectionError> {
        let mut digest = Digest::default();
        let mut bytes = Vec::new();
        self.each_member(program, "", |member, state, records| {
            digest.merge(of_member(records, (program, member), &state, &mut bytes)?);
            Ok(true)
        })?;
        Ok(digest)
    }
}

/// A member's part of it.
pub(crate) fn of_member(
    records: &mut RecordsInOrder<'_>,
    (program, member): (&str, &str),
    state: &Member,
    bytes: &mut Vec<u8>,
) -> Result<Digest, ProjectionError> {
    bytes.clear();
    keys::member(bytes, program, member);
    state.pack(bytes);
    records.each(member, |key, record| {
        // What only remembers an id says where it was seen, which is no part of the state.
        if !record.is_empty() {
            crate::codec::append(&key, bytes);
            bytes.extend_from_slice(record);
        }
    })?;
    Ok(Digest::of(blake3::hash(bytes)))
}
