//! What became of what was handed in.

use accrue_ledger::{Decision, Outcome as Answer};
use accrue_store::Position;

/// The answer to one message; given only when it is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// The shard that has it.
    pub shard: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// New, and in the log.
    Booked {
        /// Where.
        position: Position,
        /// The answer to a request; `None` for facts and for what is set aside.
        decision: Option<Decision>,
        /// Behind the member's latest fact (§1).
        late: bool,
        /// Kept without effect until there are rules for it.
        parked: bool,
    },
    /// Seen before with the same content.
    Duplicate {
        /// Where it was booked.
        first: Position,
        /// The answer given then.
        decision: Option<Decision>,
        /// Set aside then.
        parked: bool,
    },
    /// Seen before with other content; kept among the dead letters.
    Conflict {
        /// Where the first one was booked.
        first: Position,
        /// Both fingerprints.
        detail: String,
        /// Number of the dead letter in the shard.
        dead_letter: u64,
    },
    /// Can't be booked; kept among the dead letters.
    Refused {
        /// Stable name of the reason.
        code: &'static str,
        /// For people.
        detail: String,
        /// Number of the dead letter in the shard.
        dead_letter: u64,
    },
}

impl Outcome {
    /// Of the answers of several shards to one control fact the one to show: trouble before success, news before repeats.
    pub(crate) fn weight(&self) -> u8 {
        match self {
            Outcome::Refused { .. } => 3,
            Outcome::Conflict { .. } => 2,
            Outcome::Booked { .. } => 1,
            Outcome::Duplicate { .. } => 0,
        }
    }

    /// One, of its kind.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        match self {
            Outcome::Booked { decision, .. } => counts.booked_one(decision.as_ref()),
            Outcome::Duplicate { .. } => counts.duplicates = 1,
            Outcome::Conflict { .. } => counts.conflicts = 1,
            Outcome::Refused { .. } => counts.refused = 1,
        }
        counts
    }
}

/// How many messages went which way. Everything taken in is in exactly one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Facts booked.
    pub facts: u64,
    /// Requests booked with a promise.
    pub accepted: u64,
    /// Requests booked with a rejection.
    pub rejected: u64,
    /// Seen before with the same content.
    pub duplicates: u64,
    /// Seen before with other content.
    pub conflicts: u64,
    /// Other dead letters.
    pub refused: u64,
    /// Already in the log when they came (a source that went back); not counted anywhere else.
    pub known: u64,
}

impl Counts {
    /// Facts and requests that are in the log now and were not before.
    pub fn booked(&self) -> u64 {
        self.facts + self.accepted + self.rejected
    }

    /// Everything taken in.
    pub fn consumed(&self) -> u64 {
        self.booked() + self.duplicates + self.conflicts + self.refused
    }

    /// Adds another's.
    pub fn add(&mut self, more: &Counts) {
        self.facts += more.facts;
        self.accepted += more.accepted;
        self.rejected += more.rejected;
        self.duplicates += more.duplicates;
        self.conflicts += more.conflicts;
        self.refused += more.refused;
        self.known += more.known;
    }

    /// Counts what was booked.
    pub(crate) fn booked_one(&mut self, decision: Option<&Decision>) {
        match decision.map(|decision| &decision.outcome) {
            None => self.facts += 1,
            Some(Answer::Accepted(_)) => self.accepted += 1,
            Some(Answer::Rejected(_)) => self.rejected += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        let mut sum = Counts { facts: 1, accepted: 2, rejected: 3, duplicates: 4, conflicts: 5, refused: 6, known: 7 };
        sum.add(&sum.clone());
        assert_eq!((sum.booked(), sum.consumed(), sum.known), (12, 42, 14));
    }
}
