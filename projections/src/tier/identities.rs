//! Identities since a checkpoint, by the beginning of their hash: appended, sorted when they are written, rarely looked for.

use super::Identity;
use accrue_store::Position;

/// One for each value of the first 12 bits.
const BUCKETS: usize = 4096;

/// Identities and where they were booked.
#[derive(Debug)]
pub struct Identities {
    /// In order of the hashes' beginnings: the ends of all of them stay in a fast cache, which those of a table do not.
    buckets: Vec<Vec<(Identity, Position)>>,
    len: usize,
}

impl Default for Identities {
    fn default() -> Self {
        Identities { buckets: vec![Vec::new(); BUCKETS], len: 0 }
    }
}

fn bucket(identity: &Identity) -> usize {
    usize::from(u16::from_be_bytes([identity[0], identity[1]]) >> 4)
}

impl Identities {
    /// One that has room for as many as another.
    pub fn like(other: &Identities) -> Identities {
        let room = other.len / BUCKETS + other.len / BUCKETS / 4;
        Identities { buckets: (0..BUCKETS).map(|_| Vec::with_capacity(room)).collect(), len: 0 }
    }

    /// Adds one that is not there.
    pub fn insert(&mut self, identity: Identity, position: Position) {
        self.buckets[bucket(&identity)].push((identity, position));
        self.len += 1;
    }

    /// Where it was booked. Looks through a bucket: for what a filter says may be here.
    pub fn get(&self, identity: &Identity) -> Option<Position> {
        let of_bucket = &self.buckets[bucket(identity)];
        of_bucket.iter().find(|(known, _)| known == identity).map(|(_, position)| *position)
    }

    /// All, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.buckets.iter().flatten().map(|(identity, _)| identity)
    }

    /// All, ascending, each once.
    pub fn ascending(&self) -> impl Iterator<Item = (Identity, Position)> {
        self.buckets.iter().flat_map(|bucket| {
            let mut sorted = bucket.clone();
            sorted.sort_unstable();
            sorted.dedup_by_key(|(identity, _)| *identity);
            sorted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_out_in_order() {
        let mut identities = Identities::default();
        let identity = |n: u64| {
            let mut identity = Identity::default();
            identity[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
            identity
        };
        (0..10_000).for_each(|n| identities.insert(identity(n), Position(n)));
        assert!((0..10_000).all(|n| identities.get(&identity(n)) == Some(Position(n))));
        assert_eq!(identities.get(&identity(10_000)), None);
        let all: Vec<_> = identities.ascending().collect();
        assert!(all.len() == 10_000 && all.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(Identities::like(&identities).ascending().count(), 0);
    }
}
