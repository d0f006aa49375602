//! Where a member's records are: a short list, with a table beside it when it is long.

use super::{HashedMap, Span};
use accrue_ledger::RecordKey;

/// Longer lists get a table: one member may have most of a tier.
const LIST_MAX: usize = 32;

/// Records of one member since a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct SlotRecords {
    list: Vec<(RecordKey, Span)>,
    /// Places in `list`, when that is long.
    table: Option<Box<HashedMap<RecordKey, u32>>>,
}

impl SlotRecords {
    fn place(&self, key: RecordKey) -> Option<usize> {
        match &self.table {
            Some(table) => table.get(&key).map(|place| *place as usize),
            // Facts are mostly about what came last.
            None => self.list.iter().rposition(|(known, _)| *known == key),
        }
    }

    /// Where a record's bytes are.
    pub fn get(&self, key: RecordKey) -> Option<Span> {
        self.place(key).map(|place| self.list[place].1)
    }

    /// Says where a record's bytes are now. Whether it is new.
    pub fn put(&mut self, key: RecordKey, span: Span) -> bool {
        if let Some(place) = self.place(key) {
            self.list[place].1 = span;
            return false;
        }
        self.add(key, span);
        true
    }

    /// The same of a record that is certainly not there: nobody looks for it.
    pub fn add(&mut self, key: RecordKey, span: Span) {
        let place = self.list.len();
        self.list.push((key, span));
        match &mut self.table {
            Some(table) => {
                table.insert(key, place as u32);
            }
            None if place >= LIST_MAX => {
                let places = self.list.iter().zip(0_u32..).map(|((key, _), place)| (*key, place));
                self.table = Some(Box::new(places.collect()));
            }
            None => {}
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The one that came last.
    pub fn last(&self) -> Option<RecordKey> {
        self.list.last().map(|(key, _)| *key)
    }

    /// All, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (RecordKey, Span)> {
        self.list.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_lists_find_the_latest() {
        let mut records = SlotRecords::default();
        let key = |id: u64| RecordKey { family: 1, id };
        let span = |start: u32| Span { chunk: 0, start, len: 1 };
        for round in 0..2 {
            for id in 0..100 {
                match (round, id % 3) {
                    (0, 0) => records.add(key(id), span(id as u32)),
                    _ => assert_eq!(records.put(key(id), span(id as u32 + round)), round == 0),
                }
                assert_eq!(records.get(key(id)).map(|span| span.start), Some(id as u32 + round));
            }
        }
        assert_eq!((records.iter().count(), records.get(key(100)).is_none()), (100, true));
        assert!((0..100).all(|id| records.get(key(id)).is_some_and(|span| span.start == id as u32 + 1)));
    }
}
