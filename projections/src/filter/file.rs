//! The filter kept beside the view: a start need not read all keys of the view to know what is new.
//!
//! ```text
//! version u8 | next position u64 | keys u64 | lines | xxh3 of all before u64      (little-endian)
//! ```
//! It is written before its checkpoint and may know more than that: what it does not know is new all the same.

use super::{FILTER_BYTES, Filter, Line};
use crate::error::ProjectionError;
use crate::shared::Shared;
use accrue_store::{Position, View};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::ops::Range;
use xxhash_rust::xxh3::Xxh3;

const NAME: &str = "filter";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 17;
const CHECKSUM_BYTES: usize = 8;
/// Of fewer keys a filter is made again at once.
const KEYS_MIN: usize = if cfg!(test) { 300 } else { 100_000 };
/// Lines copied while the writer waits.
const LINES_AT_ONCE: usize = 4096;

/// Writes what the filter knows, everything before `next` at least; nothing if that is not worth it.
pub fn keep(shared: &Shared, view: &View, next: Position) -> Result<(), ProjectionError> {
    let (lines, keys) = {
        let tiers = shared.tiers.read();
        let known = &tiers.known;
        if tiers.view.path() != view.path() || known.keys < KEYS_MIN || !known.complete || !known.is_useful() {
            return Ok(());
        }
        (known.lines.len(), known.keys)
    };
    let flipped = Cell::new(false);
    let copy = |range: Range<usize>, to: &mut Vec<u8>| {
        let tiers = shared.tiers.read();
        if tiers.view.path() != view.path() {
            flipped.set(true);
            return Err(io::Error::other("another generation is there now"));
        }
        tiers.known.copy_lines(range, to);
        Ok(())
    };
    match view.put_beside_with(NAME, |file| write(file, (next, keys), lines, copy)) {
        // The next checkpoint keeps it.
        Err(_) if flipped.get() => Ok(()),
        kept => Ok(kept?),
    }
}

/// The filter kept beside a view, if it knows everything there.
pub fn kept(view: &View) -> Option<Filter> {
    let next = view.next_position().ok()?;
    let file = view.open_beside(NAME).ok()??;
    let bytes = usize::try_from(file.metadata().ok()?.len()).ok()?;
    read(file, bytes, next)
}

/// A piece at a time, so that it needs no second memory of its size.
fn write(
    mut to: impl Write,
    (next, keys): (Position, usize),
    lines: usize,
    copy: impl Fn(Range<usize>, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let (mut piece, mut sum) = (Vec::with_capacity(LINES_AT_ONCE * size_of::<Line>()), Xxh3::new());
    piece.push(VERSION);
    piece.extend_from_slice(&next.0.to_le_bytes());
    piece.extend_from_slice(&(keys as u64).to_le_bytes());
    for first in (0..lines).step_by(LINES_AT_ONCE) {
        sum.update(&piece);
        to.write_all(&piece)?;
        piece.clear();
        copy(first..lines.min(first + LINES_AT_ONCE), &mut piece)?;
    }
    sum.update(&piece);
    piece.extend_from_slice(&sum.digest().to_le_bytes());
    to.write_all(&piece)
}

/// What was written, of so many bytes. `None`: it is not whole, or the view knows more.
fn read(mut from: impl Read, bytes: usize, next: Position) -> Option<Filter> {
    let of_lines = bytes.checked_sub(HEADER_BYTES + CHECKSUM_BYTES).filter(|bytes| *bytes <= FILTER_BYTES)?;
    let (lines, odd) = (of_lines / size_of::<Line>(), of_lines % size_of::<Line>());
    let mut header = [0; HEADER_BYTES];
    from.read_exact(&mut header).ok()?;
    let number = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    if header.first() != Some(&VERSION) || Position(number(1)?) < next || lines == 0 || odd != 0 {
        return None;
    }
    let mut filter = Filter { lines: Vec::with_capacity(lines), keys: usize::try_from(number(9)?).ok()?, complete: true };
    let (mut piece, mut sum) = (vec![0; LINES_AT_ONCE * size_of::<Line>()], Xxh3::new());
    sum.update(&header);
    while filter.lines.len() < lines {
        let piece = &mut piece[..(lines - filter.lines.len()).min(LINES_AT_ONCE) * size_of::<Line>()];
        from.read_exact(piece).ok()?;
        sum.update(piece);
        let words = piece.as_chunks::<8>().0.as_chunks::<8>().0;
        filter.lines.extend(words.iter().map(|words| words.map(u64::from_le_bytes)));
    }
    let mut checksum = [0; CHECKSUM_BYTES];
    from.read_exact(&mut checksum).ok()?;
    (sum.digest() == u64::from_le_bytes(checksum)).then_some(filter)
}

impl Filter {
    fn copy_lines(&self, range: Range<usize>, out: &mut Vec<u8>) {
        out.extend(self.lines[range].iter().flatten().flat_map(|word| word.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Hashed;
    use crate::ledger::LedgerOptions;
    use crate::story::Desk;
    use accrue_ledger::Instant;
    use accrue_proto::json::{Defaults, fact_from_json};

    #[test]
    fn it_comes_back_whole_or_not_at_all() {
        let identity = |n: u64| {
            let mut identity = accrue_store::Identity::default();
            identity[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
            Hashed::identity(&identity)
        };
        let whole = |lines: usize| {
            let mut filter = Filter::with_bytes(lines * size_of::<Line>(), true);
            (0..300).for_each(|n| filter.insert(identity(n)));
            let mut bytes = Vec::new();
            let copy = |range: Range<usize>, to: &mut Vec<u8>| {
                filter.copy_lines(range, to);
                Ok(())
            };
            write(&mut bytes, (Position(77), 300), lines, copy).expect("written");
            (filter, bytes)
        };
        let back = |bytes: &[u8], next: u64| read(bytes, bytes.len(), Position(next));
        let (filter, bytes) = whole(LINES_AT_ONCE * 2 + 1);
        let same = back(&bytes, 77).expect("whole");
        assert!(same.lines == filter.lines && same.keys == 300 && same.complete, "of several pieces");
        let (_, bytes) = whole(64);
        assert!(back(&bytes, 77).is_some() && back(&bytes, 78).is_none(), "the view knows more");
        assert!((0..bytes.len()).all(|len| back(&bytes[..len], 1).is_none()));
        for at in (0..bytes.len()).step_by(5) {
            let mut other = bytes.clone();
            other[at] ^= 16;
            assert!(back(&other, 1).is_none(), "byte {at}");
        }
    }

    #[test]
    fn a_disk_without_room_for_it_stops_nothing() {
        let dir = tempfile::tempdir().expect("dir");
        let mut desk = Desk::open(dir.path(), LedgerOptions::default()).expect("opens");
        desk.activate("p", "program = \"p\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n", Instant(0)).expect("in force");
        let fact = |n: usize| {
            let text = format!(
                r#"{{"id": "{n}", "source": "s", "program": "p", "member": "m{n}", "occurred_at": "2024-03-01T10:00:00Z", "order_fulfilled": {{"order_id": "{n}"}}}}"#
            );
            let fact = fact_from_json(text.as_bytes(), &Defaults::default()).expect("valid");
            let mut bytes = Vec::new();
            accrue_proto::write_fact(&fact, &mut bytes);
            bytes
        };
        let facts: Vec<Vec<u8>> = (0..KEYS_MIN + 10).map(fact).collect();
        desk.deliver_group(&facts).expect("taken");
        let view = desk.reader().expect("open").shared().tiers.read().view.clone();
        // It can't be written there.
        let (beside, kept) = (view.path().join("filter.tmp"), view.path().join(NAME));
        std::fs::create_dir(&beside).expect("made");
        desk.checkpoint().expect("all the same");
        assert!(!kept.exists() && view.next_position().expect("told") > Position(KEYS_MIN as u64));
        std::fs::remove_dir(&beside).expect("gone");
        desk.deliver_group(&[fact(1_000)]).expect("taken");
        desk.checkpoint().expect("written");
        assert!(kept.exists(), "the next one keeps it");
    }
}
