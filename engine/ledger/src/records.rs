//! The records of a member that are at hand while facts are folded: kept as bytes, opened by the facts that need them.

use crate::pack::{Damaged, Pack, Packed};
use crate::record::{Order, Record, RecordKey};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::hash::{BuildHasherDefault, Hasher};

/// A record as bytes: a fifth of the memory, in one piece, and ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBytes(Box<[u8]>);

impl RecordBytes {
    /// The bytes of a record.
    pub fn of(record: &Record) -> RecordBytes {
        let mut bytes = Vec::new();
        record.pack(&mut bytes);
        RecordBytes(bytes.into())
    }

    /// The record.
    ///
    /// # Errors
    /// They were not made by [`RecordBytes::of`].
    pub fn open(&self) -> Result<Record, Damaged> {
        Packed::read(&self.0)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes from a row.
impl From<&[u8]> for RecordBytes {
    fn from(bytes: &[u8]) -> RecordBytes {
        RecordBytes(bytes.into())
    }
}

/// The records of a member that a fact works on.
#[derive(Clone, Debug, Default)]
pub struct Records {
    slots: HashMap<RecordKey, Slot, BuildHasherDefault<IdOfKey>>,
    /// Everything the member has is here: a missing key does not exist.
    complete: bool,
    orders_complete: bool,
    /// Closed as soon as they are put.
    in_bytes: bool,
    /// Where records are written before their length is known.
    writing: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Slot {
    record: Option<Held>,
    changed: bool,
}

/// Opened when it is loaded, so that folding need not fail.
#[derive(Clone, Debug)]
enum Held {
    Open(Record),
    Closed(RecordBytes),
}

impl Held {
    /// Closed ones were made here: they can be opened.
    fn open(self) -> Option<Record> {
        match self {
            Held::Open(record) => Some(record),
            Held::Closed(bytes) => opened(&bytes),
        }
    }

    fn look(&self) -> Option<Cow<'_, Record>> {
        match self {
            Held::Open(record) => Some(Cow::Borrowed(record)),
            Held::Closed(bytes) => opened(bytes).map(Cow::Owned),
        }
    }

    /// `writing`: where it is written before its length is known.
    fn close(self, writing: &mut Vec<u8>) -> RecordBytes {
        match self {
            Held::Open(record) => {
                writing.clear();
                record.pack(writing);
                RecordBytes::from(writing.as_slice())
            }
            Held::Closed(bytes) => bytes,
        }
    }
}

fn opened(bytes: &RecordBytes) -> Option<Record> {
    let record = bytes.open();
    debug_assert!(record.is_ok(), "{bytes:?}");
    record.ok()
}

/// The id of a key is a hash already; its family is all that is mixed in.
#[derive(Default)]
struct IdOfKey(u64);

impl Hasher for IdOfKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(8) ^ word;
    }
}

/// A table with more room than this is not kept for the next fact.
const KEPT_ROOM_MAX: usize = 64;

impl Records {
    /// An empty set that is everything: for folding a member from its beginning.
    pub fn complete() -> Records {
        Records { complete: true, ..Records::default() }
    }

    /// The same in a fifth of the memory: for many members at once.
    pub fn complete_in_bytes() -> Records {
        Records { in_bytes: true, ..Records::complete() }
    }

    /// Whether the key was loaded (or is known not to exist).
    pub fn has(&self, key: RecordKey) -> bool {
        self.complete || self.slots.contains_key(&key) || (self.orders_complete && key.is_order())
    }

    /// Puts what was found in the store.
    pub fn load(&mut self, key: RecordKey, record: Option<Record>) {
        self.slots.entry(key).or_insert_with(|| Slot { record: record.map(Held::Open), changed: false });
    }

    /// The same of one that is not opened yet.
    pub fn load_bytes(&mut self, key: RecordKey, record: Option<RecordBytes>) {
        self.slots.entry(key).or_insert_with(|| Slot { record: record.map(Held::Closed), changed: false });
    }

    /// Says that everything the member has is here.
    pub fn set_complete(&mut self) {
        self.complete = true;
    }

    /// Looks at a record; `None` also if it was not loaded.
    pub fn peek(&self, key: RecordKey) -> Option<Cow<'_, Record>> {
        self.slots.get(&key)?.record.as_ref()?.look()
    }

    /// Looks whether it is here, for the memory to be near when a fact needs it: see [`crate::Member::draw_near`].
    pub fn draw_near(&self, key: RecordKey) -> bool {
        self.slots.contains_key(&key)
    }

    /// Says that all orders of the member have been loaded.
    pub fn set_orders_complete(&mut self) {
        self.orders_complete = true;
    }

    /// Whether all orders of the member are here.
    pub fn is_complete_for_orders(&self) -> bool {
        self.complete || self.orders_complete
    }

    /// Takes a record out to change it; it must be put back.
    pub(crate) fn take(&mut self, key: RecordKey) -> Option<Record> {
        debug_assert!(self.has(key), "record {key:?} was not loaded");
        let slot = self.slots.get_mut(&key)?;
        slot.changed = true;
        slot.record.take()?.open()
    }

    /// Puts a record.
    pub(crate) fn put(&mut self, key: RecordKey, record: Record) {
        let mut record = Held::Open(record);
        if self.in_bytes {
            record = Held::Closed(record.close(&mut self.writing));
        }
        self.slots.insert(key, Slot { record: Some(record), changed: true });
    }

    /// All orders that are here, with their keys.
    pub fn orders(&self) -> impl Iterator<Item = (RecordKey, Box<Order>)> {
        self.iter().filter_map(|(key, record)| match record.into_owned() {
            Record::Order(order) => Some((key, order)),
            _ => None,
        })
    }

    /// Every record that is here, by key.
    pub fn iter(&self) -> impl Iterator<Item = (RecordKey, Cow<'_, Record>)> {
        let mut here: Vec<(RecordKey, &Held)> =
            self.slots.iter().filter_map(|(key, slot)| Some((*key, slot.record.as_ref()?))).collect();
        here.sort_unstable_by_key(|(key, _)| *key);
        here.into_iter().filter_map(|(key, record)| Some((key, record.look()?)))
    }

    /// Hands out what was changed (`None`: gone), by key, and forgets everything.
    pub fn drain_changed(&mut self) -> Vec<(RecordKey, Option<RecordBytes>)> {
        self.orders_complete = false;
        let writing = &mut self.writing;
        let mut changed: Vec<(RecordKey, Option<RecordBytes>)> = self
            .slots
            .drain()
            .filter(|(_, slot)| slot.changed)
            .map(|(key, slot)| (key, slot.record.map(|record| record.close(writing))))
            .collect();
        changed.sort_unstable_by_key(|(key, _)| *key);
        if self.slots.capacity() > KEPT_ROOM_MAX {
            self.slots = HashMap::default();
        }
        changed
    }
}

/// What must be loaded before a fact can be folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing more.
    Nothing,
    /// These records.
    Records(Vec<RecordKey>),
    /// All orders of the member.
    AllOrders,
}
