//! The filter kept beside the view: a start need not read all keys of the view to know what is new.
//!
//! ```text
//! version u8 | next position u64 | keys u64 | lines | xxh3 of all before u64      (little-endian)
//! ```
//! It is written before its checkpoint and may know more than that: what it does not know is new all the same.

use super::{Filter, Line};
use crate::error::ProjectionError;
use crate::shared::Shared;
use accrue_store::{Position, View};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

const NAME: &str = "filter";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 17;
/// Of fewer keys a filter is made again at once.
const KEYS_MIN: usize = if cfg!(test) { 300 } else { 100_000 };
/// Lines copied while the writer waits.
const LINES_AT_ONCE: usize = 4096;

/// Writes what the filter knows, everything before `next` at least; nothing if that is not worth it.
pub fn keep(shared: &Shared, view: &View, next: Position) -> Result<(), ProjectionError> {
    let lines = {
        let known = &shared.tiers.read().known;
        if known.keys < KEYS_MIN || !known.complete || !known.is_useful() {
            return Ok(());
        }
        known.lines.len()
    };
    let mut bytes = Vec::with_capacity(HEADER_BYTES + lines * size_of::<Line>() + 8);
    bytes.push(VERSION);
    bytes.extend_from_slice(&next.0.to_le_bytes());
    bytes.extend_from_slice(&(shared.tiers.read().known.keys as u64).to_le_bytes());
    for first in (0..lines).step_by(LINES_AT_ONCE) {
        shared.tiers.read().known.copy_lines(first..lines.min(first + LINES_AT_ONCE), &mut bytes);
    }
    bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
    Ok(view.put_beside(NAME, &bytes)?)
}

/// The filter kept beside a view, if it knows everything there.
pub fn kept(view: &View) -> Option<Filter> {
    let next = view.next_position().ok()?;
    read(&view.beside(NAME).ok()??, next)
}

fn read(bytes: &[u8], next: Position) -> Option<Filter> {
    let (bytes, checksum) = bytes.split_last_chunk()?;
    let (header, lines) = bytes.split_at_checked(HEADER_BYTES)?;
    let number = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    let whole = header.first() == Some(&VERSION) && xxh3_64(bytes) == u64::from_le_bytes(*checksum);
    let (words, rest) = lines.as_chunks::<8>();
    let (of_lines, odd) = words.as_chunks::<8>();
    if !whole || Position(number(1)?) < next || !rest.is_empty() || !odd.is_empty() || of_lines.is_empty() {
        return None;
    }
    let lines = of_lines.iter().map(|words| words.map(u64::from_le_bytes)).collect();
    Some(Filter { lines, keys: usize::try_from(number(9)?).ok()?, complete: true })
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

    #[test]
    fn it_comes_back_whole_or_not_at_all() {
        let identity = |n: u64| {
            let mut identity = accrue_store::Identity::default();
            identity[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
            Hashed::identity(&identity)
        };
        let mut filter = Filter::with_bytes(4096, true);
        (0..300).for_each(|n| filter.insert(identity(n)));
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&77_u64.to_le_bytes());
        bytes.extend_from_slice(&300_u64.to_le_bytes());
        filter.copy_lines(0..20, &mut bytes);
        filter.copy_lines(20..64, &mut bytes);
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        let back = read(&bytes, Position(77)).expect("whole");
        assert!(back.lines == filter.lines && back.keys == 300 && back.complete);
        assert!(read(&bytes, Position(78)).is_none(), "the view knows more");
        assert!((0..bytes.len()).step_by(7).all(|len| read(&bytes[..len], Position(1)).is_none()));
        for at in (0..bytes.len()).step_by(5) {
            let mut other = bytes.clone();
            other[at] ^= 16;
            assert!(read(&other, Position(1)).is_none(), "byte {at}");
        }
    }
}
