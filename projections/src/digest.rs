//! A digest of everything derived: equal on any number of shards and threads, whatever the order of arrival.
//!
//! Of members that merges tie together only who has the points counts, where they are: which way facts went between shards is no
//! part of it.

use crate::error::ProjectionError;
use crate::reader::{Known, LedgerReader, RecordsInOrder};
use crate::rows::packed_member;
use accrue_ledger::{Custody, Member};
use accrue_store::keys;
use std::fmt;
use std::ops::Range;

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

    /// Of a member, as [`put_member`] wrote it.
    pub(crate) fn of(bytes: &[u8]) -> Digest {
        let hash = blake3::hash(bytes);
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
        self.each_known(program, "", |member, known, records| {
            bytes.clear();
            match linked(&known)? {
                None => put_member((program, member), &known, Some(records), &mut bytes)?,
                Some(state) => {
                    let Some(state) = wherever(state) else { return Ok(true) };
                    put_member((program, member), &Known::Memory(&state), Some(records), &mut bytes)?
                }
            };
            digest.merge(Digest::of(&bytes));
            Ok(true)
        })?;
        Ok(digest)
    }
}

/// The state of a member that merges tied to others. `None`: none ever did.
fn linked(known: &Known<'_>) -> Result<Option<Member>, ProjectionError> {
    let state = match known {
        Known::Row(row) if !Member::has_standing(packed_member(row)?) => return Ok(None),
        Known::Memory(state) if state.links().is_none() => return Ok(None),
        known => known.read()?,
    };
    Ok(Some(state).filter(|state| state.links().is_some()))
}

/// The same in whatever shard it is. `None`: its facts are part of another state.
fn wherever(mut state: Member) -> Option<Member> {
    let links = state.standing.as_mut()?.links.as_mut()?;
    if !links.served || !links.winner.is_empty() {
        return None;
    }
    links.custody = Custody::default();
    Some(state)
}

/// Appends what a member's part of a digest is over, with its records or without. Where in it the packed state is.
pub(crate) fn put_member(
    (program, member): (&str, &str),
    known: &Known<'_>,
    records: Option<&mut RecordsInOrder<'_>>,
    bytes: &mut Vec<u8>,
) -> Result<Range<usize>, ProjectionError> {
    let mut key = Vec::with_capacity(program.len() + member.len() + 3);
    keys::member(&mut key, program, member);
    bytes.extend_from_slice(&key);
    let begun = bytes.len();
    known.pack(bytes)?;
    let state = begun..bytes.len();
    if let Some(records) = records {
        records.each(member, |key, record| {
            // What only remembers an id says where it was seen, which is no part of the state.
            if !record.is_empty() {
                crate::codec::append(&key, bytes);
                bytes.extend_from_slice(record);
            }
        })?;
    }
    Ok(state)
}
