//! What a person will do, by time.

use accrue_ledger::Instant;
use accrue_proto::pb;
use std::cmp::Ordering;

/// Something that will happen.
pub(super) struct Plan {
    pub(super) at: Instant,
    /// Ties in the order of planning.
    pub(super) number: u32,
    pub(super) what: What,
}

pub(super) enum What {
    Visit,
    Birthday,
    /// Said for the first time; it may be said late, or twice.
    Say(Box<pb::Fact>),
    /// Said as it is.
    Repeat(Box<pb::Fact>),
}

impl Ord for Plan {
    /// The earliest is the greatest: what a heap hands out first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Plan {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Plan {}
