//! What is new since a checkpoint, in memory: members, records, identities, coupon codes. A checkpoint writes a tier as sorted rows.

mod identities;
mod records;

use crate::look_up::LookUpHash;
use crate::rows::RecordRow;
use accrue_ledger::{Account, Lot, Member, RecordKey, Text};
use accrue_store::Position;
use hashbrown::{HashMap, HashTable};
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::{Index, IndexMut};

pub use accrue_store::Identity;
pub use identities::Identities;
pub use records::SlotRecords;

/// Keys here are hashes already: any 8 bytes of them do.
#[derive(Default)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        let used = bytes.len().min(8);
        word[..used].copy_from_slice(&bytes[..used]);
        self.write_u64(u64::from_le_bytes(word));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// A map whose keys are hashes.
pub type HashedMap<K, V> = HashMap<K, V, BuildHasherDefault<AlreadyHashed>>;

/// Where bytes are in an [`Arena`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    chunk: u32,
    start: u32,
    len: u32,
}

/// Bytes of many rows one behind the other: no memory of its own for each, and none is copied to make room.
#[derive(Debug, Default)]
pub struct Arena {
    chunks: Vec<Vec<u8>>,
}

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 1024 * 1024;
/// A new chunk is begun when less is left: few rows are larger, and those make their chunk grow.
const ROW_BYTES_USUAL: usize = 4 * 1024;

impl Arena {
    /// Where the next bytes go, and the length before.
    pub fn open(&mut self) -> (&mut Vec<u8>, usize) {
        let full = self.chunks.last().is_none_or(|chunk| chunk.len() + ROW_BYTES_USUAL > CHUNK_BYTES);
        if full {
            self.chunks.push(Vec::with_capacity(CHUNK_BYTES));
        }
        let last = self.chunks.len() - 1;
        let start = self.chunks[last].len();
        (&mut self.chunks[last], start)
    }

    /// What was appended since the chunk was `start` long, to `end`.
    pub fn span(&self, start: usize, end: usize) -> Span {
        Span { chunk: self.chunks.len() as u32 - 1, start: start as u32, len: (end - start) as u32 }
    }

    /// Appends bytes.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let (chunk, start) = self.open();
        write(chunk);
        let end = chunk.len();
        self.span(start, end)
    }

    /// The bytes.
    pub fn get(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        &self.chunks[span.chunk as usize][start..start + span.len as usize]
    }

    /// Memory it takes.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Vec::capacity).sum()
    }
}

/// Some entries of a member.
#[derive(Clone, Copy, Debug)]
pub struct PagePart {
    /// Number of the first.
    pub first: u32,
    /// Their bytes.
    pub span: Span,
}

/// A member in memory.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// `member_hash(program, member)`.
    pub hash: u64,
    /// The program.
    pub program: Text,
    /// The member.
    pub member: Text,
    /// Its state.
    pub state: Member,
    /// First position that is not part of it.
    pub next: Position,
    /// The first position of its own before the checkpoint; `NONE`: there was none.
    pub first_before: Position,
    /// Changed since the checkpoint.
    pub dirty: bool,
    /// Folded again: pages, positions and records on disk are to be replaced, not continued.
    pub rewritten: bool,
    /// Number of the first entry in `pages`, or of the next one.
    pub first_entry: u32,
    /// Entries since the checkpoint.
    pub pages: Vec<PagePart>,
    /// Positions since the checkpoint.
    pub positions: Vec<u64>,
    /// Records since the checkpoint.
    pub records: SlotRecords,
}

impl Slot {
    /// A member as it was at the last checkpoint, or before its first fact.
    pub fn begin((hash, program, member): (u64, &str, &str), state: Member, next: Position, first_before: Position) -> Slot {
        let (first_entry, program, member) = (state.entries, Text::new(program), Text::new(member));
        Slot { hash, program, member, state, next, first_before, first_entry, ..Slot::default() }
    }

    /// The first position of the member's own; `NONE`: there is none yet.
    pub fn first(&self) -> Position {
        match self.first_before {
            Position::NONE => self.positions.iter().min().map_or(Position::NONE, |first| Position(*first)),
            before => before,
        }
    }
}

/// Slots that never move: a table that doubles would copy every member.
#[derive(Debug, Default)]
pub struct Slots {
    chunks: Vec<Vec<Slot>>,
}

/// Slots of a chunk.
const CHUNK_SLOTS: usize = 1024;

impl Slots {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK_SLOTS + last.len())
    }

    /// One of them, if it is there.
    pub fn get(&self, number: usize) -> Option<&Slot> {
        self.chunks.get(number / CHUNK_SLOTS)?.get(number % CHUNK_SLOTS)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.chunks.iter().flatten()
    }

    fn push(&mut self, slot: Slot) {
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK_SLOTS) {
            self.chunks.push(Vec::with_capacity(CHUNK_SLOTS));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(slot);
        }
    }
}

impl Index<usize> for Slots {
    type Output = Slot;
    fn index(&self, number: usize) -> &Slot {
        &self.chunks[number / CHUNK_SLOTS][number % CHUNK_SLOTS]
    }
}

impl IndexMut<usize> for Slots {
    fn index_mut(&mut self, number: usize) -> &mut Slot {
        &mut self.chunks[number / CHUNK_SLOTS][number % CHUNK_SLOTS]
    }
}

/// Everything in memory since a checkpoint.
#[derive(Debug, Default)]
pub struct Tier {
    /// Members, found by hash.
    pub slots: Slots,
    index: HashTable<(u64, u32)>,
    /// Bytes of records and entries.
    pub arena: Arena,
    /// Identities.
    pub identities: Identities,
    /// Coupon codes: `program 00 code` → slot and key.
    pub coupons: Vec<(u32, Box<str>, RecordKey)>,
    /// What members are looked up by: program, hash and member; `false`: no longer.
    pub look_ups: BTreeMap<(Text, LookUpHash, Text), bool>,
    /// Facts booked.
    pub facts: usize,
    /// Bytes beside those of the arena, roughly.
    pub bytes: usize,
}

/// Memory that a slot takes beside what it points to.
const SLOT_BYTES: usize = size_of::<Slot>() + 64;
/// Memory of a record beside its bytes.
const RECORD_BYTES: usize = 72;
/// Memory of an identity.
const IDENTITY_ROW_BYTES: usize = 40;

impl Tier {
    /// An empty one with room for as much as another has: growing means moving.
    pub fn like(other: &Tier) -> Tier {
        let mut tier = Tier::default();
        tier.index.reserve(other.index.len(), |(hash, _)| *hash);
        tier.identities = Identities::like(&other.identities);
        tier
    }

    /// Where a member is.
    pub fn find(&self, hash: u64, program: &str, member: &str) -> Option<u32> {
        let same = |(known, number): &(u64, u32)| {
            let slot = &self.slots[*number as usize];
            *known == hash && *slot.member == *member && *slot.program == *program
        };
        self.index.find(hash, same).map(|(_, number)| *number)
    }

    /// Where a member with this hash is; another may have the same.
    pub fn with_hash(&self, hash: u64) -> Option<u32> {
        self.index.find(hash, |(known, _)| *known == hash).map(|(_, number)| *number)
    }

    /// Adds a member that is not there.
    pub fn insert(&mut self, slot: Slot) -> u32 {
        let number = self.slots.len() as u32;
        self.bytes += SLOT_BYTES + weight(&slot.state);
        self.index.insert_unique(slot.hash, (slot.hash, number), |(hash, _)| *hash);
        self.slots.push(slot);
        number
    }

    /// Takes a state that is not needed here any more.
    pub fn take_state(&mut self, number: usize) -> Member {
        let state = std::mem::take(&mut self.slots[number].state);
        self.bytes = self.bytes.saturating_sub(weight(&state));
        state
    }

    /// A record's bytes.
    pub fn record(&self, slot: u32, key: RecordKey) -> Option<&[u8]> {
        self.slots[slot as usize].records.get(key).map(|span| self.arena.get(span))
    }

    /// Keeps a record. [`crate::shared::Tiers::put_record`] tells the filter too.
    pub fn put_record(&mut self, slot: u32, key: RecordKey, row: &RecordRow) {
        let span = self.arena.write(|out| row.write(out));
        if self.slots[slot as usize].records.put(key, span) {
            self.bytes += RECORD_BYTES;
        }
    }

    /// The same of a record that the member certainly has not got here.
    pub fn add_record(&mut self, slot: u32, key: RecordKey, row: &RecordRow) {
        let span = self.arena.write(|out| row.write(out));
        self.slots[slot as usize].records.add(key, span);
        self.bytes += RECORD_BYTES;
    }

    /// Entries of a member since the checkpoint, encoded.
    pub fn pages(&self, slot: &Slot) -> impl Iterator<Item = (u32, &[u8])> {
        slot.pages.iter().map(|part| (part.first, self.arena.get(part.span)))
    }

    /// Memory it takes, roughly: what the bound is compared with.
    pub fn memory(&self) -> usize {
        self.bytes + self.arena.bytes()
    }

    /// Keeps an identity. [`crate::shared::Tiers::put_identity`] tells the filter too.
    pub fn put_identity(&mut self, identity: Identity, position: Position) {
        self.bytes += IDENTITY_ROW_BYTES;
        self.identities.insert(identity, position);
    }
}

/// Bytes of a state, roughly.
pub fn weight(state: &Member) -> usize {
    let lots: usize = state.accounts.iter().map(|account| account.active.len() + account.pending.len()).sum();
    let more_accounts = state.accounts.len().saturating_sub(1);
    size_of::<Member>() + lots * size_of::<Lot>() + state.open.len() * 320 + more_accounts * size_of::<Account>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_with_one_hash_are_two() {
        let mut tier = Tier::default();
        let slot = |member: &str| Slot { hash: 7, program: Text::new("p"), member: Text::new(member), ..Slot::default() };
        let (a, b) = (tier.insert(slot("a")), tier.insert(slot("b")));
        assert_eq!((tier.find(7, "p", "a"), tier.find(7, "p", "b"), tier.find(7, "q", "a")), (Some(a), Some(b), None));
    }
}
