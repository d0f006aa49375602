//! Known or not? A filter of fixed size in front of memory and disk, so that what is new costs no look-up at all.
//!
//! A blocked Bloom filter over the identities and the records' keys of a shard: each key sets [`BITS_A_KEY`] bits in one line
//! of 64 bytes. It never forgets: "no" is certain, "maybe" is looked up. It does not grow with members or facts; when it
//! holds too many keys to say "no" often enough, everything is looked up as if it were not there.

mod file;

use crate::tier::Identity;
use accrue_ledger::RecordKey;
use accrue_store::{View, keys, member_hash};
use std::sync::atomic::{AtomicBool, Ordering};

pub use file::{keep, kept};

/// Memory of one filter: the bound, whatever it holds (50 million keys at 10.7 bits).
pub const FILTER_BYTES: usize = 64 * 1024 * 1024;
/// Bits of a line that a key sets.
const BITS_A_KEY: u32 = 6;
/// Below this many bits a key, three answers of four are "maybe": not worth its memory's touch.
const USEFUL_BITS_A_KEY: usize = 2;
/// Rows between two looks at whether the building is still wanted.
const ROWS_PER_LOOK: usize = 4096;

type Line = [u64; 8];

/// The filter. Empty memory until something is in it.
#[derive(Debug)]
pub struct Filter {
    lines: Vec<Line>,
    keys: usize,
    /// Everything in memory and on disk is in it: a missing bit means something.
    complete: bool,
}

/// A key's place and its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed(u64);

impl Hashed {
    /// Of an identity, which is a hash.
    pub fn identity(identity: &Identity) -> Hashed {
        let mut word = [0; 8];
        word.copy_from_slice(&identity[..8]);
        Hashed(u64::from_be_bytes(word))
    }

    /// Of a member's record.
    pub fn record(member: u64, key: RecordKey) -> Hashed {
        // Both are hashes; two rounds of multiplication keep equal ids of different members and families apart.
        let mixed = (key.id ^ member.rotate_left(29)).wrapping_add(u64::from(key.family)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Hashed((mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn line(self, lines: usize) -> usize {
        // The upper half of the product: as even as a remainder, without a division.
        ((u128::from(self.0) * lines as u128) >> 64) as usize
    }

    /// Words of a line and bits in them: six times nine bits of the lower half, which barely decides the line.
    fn bits(self) -> impl Iterator<Item = (usize, u64)> {
        let bits = self.0.wrapping_mul(0x9FB2_1C65_1E98_DF25);
        (0..BITS_A_KEY).map(move |number| bits >> (9 * number)).map(|bits| ((bits >> 6 & 7) as usize, 1 << (bits & 63)))
    }
}

impl Filter {
    /// An empty one of [`FILTER_BYTES`]; `complete`: there is nothing else that it should know.
    pub fn new(complete: bool) -> Filter {
        Filter::with_bytes(FILTER_BYTES, complete)
    }

    fn with_bytes(bytes: usize, complete: bool) -> Filter {
        // Zeros come from the system as they are touched: a small store pays for what it uses.
        Filter { lines: vec![Line::default(); (bytes / size_of::<Line>()).max(1)], keys: 0, complete }
    }

    /// Adds a key.
    pub fn insert(&mut self, key: Hashed) {
        let line = key.line(self.lines.len());
        for (word, bit) in key.bits() {
            self.lines[line][word] |= bit;
        }
        self.keys += 1;
    }

    /// `false`: it was never added. `true`: perhaps.
    pub fn may_hold(&self, key: Hashed) -> bool {
        if !self.complete || !self.is_useful() {
            return true;
        }
        let line = &self.lines[key.line(self.lines.len())];
        key.bits().all(|(word, bit)| line[word] & bit != 0)
    }

    fn is_useful(&self) -> bool {
        self.keys * USEFUL_BITS_A_KEY <= self.lines.len() * 512
    }

    /// Reads where a key's bits are.
    pub fn touch(&self, key: Hashed) -> u64 {
        self.lines[key.line(self.lines.len())][0]
    }

    /// Whether a missing bit means something.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether all that was told another one of the same size was told this one.
    #[cfg(test)]
    pub fn knows_all_of(&self, other: &Filter) -> bool {
        self.lines.iter().flatten().zip(other.lines.iter().flatten()).all(|(own, bits)| own & bits == *bits)
    }

    /// Takes in another one of the same size that knows everything older: now this one knows everything.
    pub fn complete_with(&mut self, older: &Filter) {
        for (line, other) in self.lines.iter_mut().zip(&older.lines) {
            for (word, bits) in line.iter_mut().zip(other) {
                *word |= bits;
            }
        }
        self.keys += older.keys;
        self.complete = self.lines.len() == older.lines.len();
    }
}

/// Everything that is in a view now. `None`: it was stopped, there is too much for a filter to be of use, or the view can't
/// be read (whoever reads it next says why).
pub fn of_view(view: &View, stop: &AtomicBool) -> Option<Filter> {
    let mut filter = Filter::new(false);
    let most = filter.lines.len() * 512 / USEFUL_BITS_A_KEY;
    let mut identities = view.scan_prefix(&[keys::SPACE_IDENTITY]).ok()?;
    while let Some((key, _)) = identities.next_row().ok()? {
        if let Some(keys::ViewKey::Identity(identity)) = keys::parse_view(key) {
            filter.insert(Hashed::identity(identity));
        }
        if filter.keys > most || (filter.keys.is_multiple_of(ROWS_PER_LOOK) && stop.load(Ordering::Relaxed)) {
            return None;
        }
    }
    let mut records = view.scan_prefix(&[keys::SPACE_RECORD]).ok()?;
    while let Some((key, _)) = records.next_row().ok()? {
        if let Some(keys::ViewKey::Record { of, kind, hash }) = keys::parse_view(key) {
            filter.insert(Hashed::record(member_hash(of.program, of.member), RecordKey { family: kind, id: hash }));
        }
        if filter.keys > most || (filter.keys.is_multiple_of(ROWS_PER_LOOK) && stop.load(Ordering::Relaxed)) {
            return None;
        }
    }
    Some(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn key(number: u64) -> Hashed {
        Hashed::record(xxh3_64(&(number % 1000).to_le_bytes()), RecordKey { family: 2, id: xxh3_64(&number.to_le_bytes()) })
    }

    #[test]
    fn nothing_is_forgotten_and_little_is_made_up() {
        let mut filter = Filter::with_bytes(128 * 1024, true);
        (0..100_000).for_each(|number| filter.insert(key(number)));
        assert!((0..100_000).all(|number| filter.may_hold(key(number))));
        let wrong = (100_000..200_000).filter(|number| filter.may_hold(key(*number))).count();
        assert!(wrong < 3_000, "{wrong} of 100,000 at 10.5 bits a key");
    }

    #[test]
    fn what_is_not_whole_or_too_full_says_maybe() {
        let mut young = Filter::with_bytes(1024, false);
        young.insert(key(1));
        assert!(young.may_hold(key(2)) && !young.is_complete());
        let mut older = Filter::with_bytes(1024, false);
        older.insert(key(3));
        young.complete_with(&older);
        assert!(young.is_complete() && young.may_hold(key(1)) && young.may_hold(key(3)));
        assert!((10..40).any(|number| !young.may_hold(key(number))));
        (100..5_000).for_each(|number| young.insert(key(number)));
        assert!((10_000..11_000).all(|number| young.may_hold(key(number))));
    }

    #[test]
    fn members_and_families_are_apart() {
        let hashed = |member, family| Hashed::record(member, RecordKey { family, id: 7 });
        assert_ne!(hashed(1, 1), hashed(2, 1));
        assert_ne!(hashed(1, 1), hashed(1, 2));
    }
}
