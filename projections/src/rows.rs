//! What the rows of the ledger's view hold.

use crate::codec::{self, BadRow};
use accrue_ledger::{Entry, EntryKind, EntryRef, Fact, Instant, Member, Pack, Packed, Record, RecordBytes, RecordKey};
use accrue_store::Position;
use bincode::{Decode, Encode};
use smallvec::SmallVec;

/// Entries of one page, at most.
pub const PAGE_ENTRIES_MAX: u32 = 256;

/// Bytes of the first position, at the end of a member's row.
const FIRST_BYTES: usize = 8;

/// A member's state, and the first position of its own: what its number is made from.
pub fn write_member(state: &Member, first: Position, row: &mut Vec<u8>) {
    codec::tag(row);
    state.pack(row);
    row.extend_from_slice(&first.0.to_be_bytes());
}

/// A member's state.
pub fn read_member(row: &[u8]) -> Result<Member, BadRow> {
    unpack_member(packed_member(row)?)
}

/// A member's state as it is packed.
pub fn packed_member(row: &[u8]) -> Result<&[u8], BadRow> {
    codec::untagged("member state", &row[..row.len().saturating_sub(FIRST_BYTES)])
}

/// Reads a packed state.
pub fn unpack_member(packed: &[u8]) -> Result<Member, BadRow> {
    Packed::read(packed).map_err(|error| BadRow::new("member state", error))
}

/// The first position of a member; the state is not read.
pub fn read_first(row: &[u8]) -> Result<Position, BadRow> {
    let first = row.last_chunk::<FIRST_BYTES>().ok_or_else(|| BadRow::new("member state", "it is too short"))?;
    Ok(Position(u64::from_be_bytes(*first)))
}

/// The record beside a member's state, and where the natural ids that it stands for were first seen.
///
/// ```text
/// codec | number of firsts | (version, position)* | record? (absent: only its id is remembered)
/// ```
#[derive(Clone, Debug, Default)]
pub struct RecordRow {
    /// Version (0 where there are none) and position of each fact with this natural id.
    pub firsts: SmallVec<[(u32, u64); 1]>,
    /// The record, as it is written.
    pub record: Option<RecordBytes>,
}

impl RecordRow {
    /// Reads a row.
    pub fn read(row: &[u8]) -> Result<RecordRow, BadRow> {
        let (firsts, rest) = codec::split::<Vec<(u32, u64)>>("record", row)?;
        Ok(RecordRow { firsts: firsts.as_slice().into(), record: if rest.is_empty() { None } else { Some(rest.into()) } })
    }

    /// The record.
    pub fn open(&self) -> Result<Option<Record>, BadRow> {
        self.record.as_ref().map(RecordBytes::open).transpose().map_err(|error| BadRow::new("record", error))
    }

    /// The part of a row that does not depend on positions: what digests are over. Empty: no record.
    pub fn record_bytes(row: &[u8]) -> Result<&[u8], BadRow> {
        let (firsts, mut rest) = codec::split::<u64>("record", row)?;
        // As a Vec of them would be read, without one.
        for _ in 0..firsts {
            rest = codec::next::<(u32, u64)>("record", rest)?.1;
        }
        Ok(rest)
    }

    /// Appends the bytes of the row.
    pub fn write(&self, out: &mut Vec<u8>) {
        codec::write(&self.firsts.as_slice(), out);
        if let Some(record) = &self.record {
            out.extend_from_slice(record.as_slice());
        }
    }

    /// Where the id was first seen with this version.
    pub fn first(&self, version: u32) -> Option<Position> {
        self.firsts.iter().find(|(known, _)| *known == version).map(|(_, position)| Position(*position))
    }
}

/// The record that remembers where a fact stands: by its natural id; all personal data of a member by one.
pub fn remembered(fact: &Fact<'_>) -> Option<(RecordKey, u32)> {
    if fact.kind.is_personal() {
        return Some((RecordKey::new(crate::profile::FAMILY, ""), 0));
    }
    fact.natural_key().map(|natural| (RecordKey::new(natural.kind, natural.id), natural.version))
}

/// Which member a coupon code belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CouponRow {
    /// The member.
    pub member: String,
    /// Its redemption or grant.
    pub key: RecordKey,
}

/// What the shard's ledger knows beside its members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ShardRow {
    /// Where rulesets were activated.
    pub activations: Vec<u64>,
    /// The latest instant folded, of any member: an activation before it reaches into the past.
    pub latest: i64,
    /// Some members are or were aliases of others.
    pub merges: bool,
}

/// Appends an entry to a page under construction.
pub fn append_entry(page: &mut Vec<u8>, entry: &EntryRef<'_>) {
    codec::append(entry, page);
}

/// Begins a page's row: entries are appended behind.
pub fn begin_page(row: &mut Vec<u8>) {
    codec::tag(row);
}

/// Reads a page's row.
pub fn read_page(row: &[u8], into: &mut Vec<Entry>) -> Result<(), BadRow> {
    read_entries(codec::untagged("page of entries", row)?, into)
}

/// Reads entries that stand one behind the other.
pub fn read_entries(mut bytes: &[u8], into: &mut Vec<Entry>) -> Result<(), BadRow> {
    while !bytes.is_empty() {
        let (entry, rest) = codec::next("page of entries", bytes)?;
        into.push(entry);
        bytes = rest;
    }
    Ok(())
}

/// Positions of a member as a row: ascending, differences.
pub fn write_positions(positions: &[u64], row: &mut Vec<u8>) {
    // As a Vec of the differences would be written.
    codec::write(&(positions.len() as u64), row);
    let mut before = 0;
    for position in positions {
        codec::append(&(position - before), row);
        before = *position;
    }
}

/// Reads such a row.
pub fn read_positions(row: &[u8], into: &mut Vec<Position>) -> Result<(), BadRow> {
    let differences: Vec<u64> = codec::read("positions", row)?;
    let mut at = 0_u64;
    into.extend(differences.into_iter().map(|difference| {
        at = at.saturating_add(difference);
        Position(at)
    }));
    Ok(())
}

/// Sums of one ledger and local day, by kind of entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DayRow {
    /// Points by [`EntryKind::sum_index`].
    pub points: [i64; EntryKind::SUMS],
    /// Entries of these kinds.
    pub entries: u64,
}

impl DayRow {
    /// Adds (`sign` 1) or takes away (−1) an entry.
    pub fn add(&mut self, entry: &EntryRef<'_>, sign: i64) {
        if let Some(sum) = entry.kind.sum_index().and_then(|index| self.points.get_mut(index)) {
            *sum += sign * entry.points;
            self.entries = self.entries.wrapping_add_signed(sign);
        }
    }
}

/// An instant as rows keep it.
pub fn later(a: i64, b: Instant) -> i64 {
    a.max(b.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_back() {
        let mut back = Vec::new();
        let mut row = Vec::new();
        write_positions(&[3, 4, 900, 901], &mut row);
        read_positions(&row, &mut back).expect("reads");
        assert_eq!(back, [3, 4, 900, 901].map(Position));
    }

    #[test]
    fn records_and_back() {
        let bytes = |row: &RecordRow| {
            let mut bytes = Vec::new();
            row.write(&mut bytes);
            bytes
        };
        let row = RecordRow { firsts: [(1, 77)].into(), record: Some(RecordBytes::of(&Record::Code(RecordKey::code("X")))) };
        let back = RecordRow::read(&bytes(&row)).expect("reads");
        assert_eq!((&back.firsts, &back.record), (&row.firsts, &row.record));
        assert!(RecordRow::record_bytes(&bytes(&RecordRow::default())).expect("reads").is_empty());
        let row = RecordRow { firsts: smallvec::smallvec![(1, 77), (0, u64::MAX), (u32::MAX, 3)], record: back.record };
        assert_eq!(Some(RecordRow::record_bytes(&bytes(&row)).expect("reads")), row.record.as_ref().map(RecordBytes::as_slice));
    }
}
