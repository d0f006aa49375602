//! The end of a shard's log: what the next group follows on.

use crate::block::{ChainHash, HASH_BYTES};
use crate::{Position, rows};

/// Where a group came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source<'a> {
    /// Straight in: this log is the only record of it. Offsets are a sequence of the caller's.
    Embedded,
    /// A topic: what is missing can be consumed again from an offset.
    Topic(&'a str),
}

/// How far a source was read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceOffset {
    /// The topic; `None`: the embedded log.
    pub topic: Option<String>,
    /// The first offset that is not in yet: where to resume; −1: nothing is in.
    pub next_offset: i64,
}

impl SourceOffset {
    /// Which one.
    pub fn source(&self) -> Source<'_> {
        self.topic.as_deref().map_or(Source::Embedded, Source::Topic)
    }
}

/// Sums over all blocks of a shard. `facts + requests_accepted + requests_rejected` are the frames;
/// with `duplicates + conflicts + dead_letters` they are everything that was consumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames without a decision.
    pub facts: u64,
    /// Requests that were promised.
    pub requests_accepted: u64,
    /// Requests that were refused.
    pub requests_rejected: u64,
    /// Seen before with the same content.
    pub duplicates: u64,
    /// Seen before with other content; kept among the dead letters.
    pub conflicts: u64,
    /// Dead letters without the conflicts.
    pub dead_letters: u64,
    /// Frames that came behind their member's latest.
    pub late: u64,
    /// Frames kept without effect.
    pub parked: u64,
}

impl Counters {
    /// Frames appended.
    pub fn frames(&self) -> u64 {
        self.facts + self.requests_accepted + self.requests_rejected
    }

    /// Everything taken in.
    pub fn consumed(&self) -> u64 {
        self.frames() + self.duplicates + self.conflicts + self.dead_letters
    }

    pub(crate) fn add(&mut self, more: &Counters) {
        self.facts += more.facts;
        self.requests_accepted += more.requests_accepted;
        self.requests_rejected += more.requests_rejected;
        self.duplicates += more.duplicates;
        self.conflicts += more.conflicts;
        self.dead_letters += more.dead_letters;
        self.late += more.late;
        self.parked += more.parked;
    }

    /// Counts one frame.
    pub(crate) fn frame(&mut self, decided: bool, rejected: bool, late: bool, parked: bool) {
        match (decided, rejected) {
            (false, _) => self.facts += 1,
            (true, false) => self.requests_accepted += 1,
            (true, true) => self.requests_rejected += 1,
        }
        self.late += u64::from(late);
        self.parked += u64::from(parked);
    }
}

/// The end of a shard's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The position that the next frame gets.
    pub next_position: Position,
    /// Blocks so far.
    pub block_seq: u64,
    /// Hash of the last block; zeros before the first.
    pub chain: [u8; 32],
    /// Every source this shard has read, by the index that frames name.
    pub sources: Vec<SourceOffset>,
    /// Index of the one read last.
    pub source: u16,
    /// Sums.
    pub counters: Counters,
}

impl Head {
    pub(crate) fn empty() -> Head {
        Head {
            next_position: Position::FIRST,
            block_seq: 0,
            chain: [0; HASH_BYTES],
            sources: Vec::new(),
            source: 0,
            counters: Counters::default(),
        }
    }

    /// Where to resume a source; `None`: nothing of it is in.
    pub fn next_offset(&self, source: Source<'_>) -> Option<i64> {
        let found = self.sources.iter().find(|known| known.source() == source)?;
        (found.next_offset >= 0).then_some(found.next_offset)
    }

    /// The source read last; `None` before the first group.
    pub fn last_source(&self) -> Option<&SourceOffset> {
        self.sources.get(usize::from(self.source))
    }

    pub(crate) fn row(&self) -> rows::LogHead {
        let counters = &self.counters;
        rows::LogHead {
            next_position: self.next_position.0,
            block_seq: self.block_seq,
            chain: self.chain.to_vec(),
            sources: self
                .sources
                .iter()
                .map(|known| rows::LogSource { topic: known.topic.clone().unwrap_or_default(), next_offset: known.next_offset })
                .collect(),
            source: u32::from(self.source),
            counters: Some(rows::LogCounters {
                facts: counters.facts,
                requests_accepted: counters.requests_accepted,
                requests_rejected: counters.requests_rejected,
                duplicates: counters.duplicates,
                conflicts: counters.conflicts,
                dead_letters: counters.dead_letters,
                late: counters.late,
                parked: counters.parked,
            }),
        }
    }

    /// `None`: the row is not whole.
    pub(crate) fn from_row(row: rows::LogHead) -> Option<Head> {
        let counters = row.counters?;
        let chain: ChainHash = row.chain.try_into().ok()?;
        let sources: Vec<_> = row
            .sources
            .into_iter()
            .map(|known| SourceOffset { topic: (!known.topic.is_empty()).then_some(known.topic), next_offset: known.next_offset })
            .collect();
        let source = u16::try_from(row.source).ok()?;
        if row.next_position == 0 || (row.block_seq > 0 && usize::from(source) >= sources.len()) {
            return None;
        }
        Some(Head {
            next_position: Position(row.next_position),
            block_seq: row.block_seq,
            chain,
            sources,
            source,
            counters: Counters {
                facts: counters.facts,
                requests_accepted: counters.requests_accepted,
                requests_rejected: counters.requests_rejected,
                duplicates: counters.duplicates,
                conflicts: counters.conflicts,
                dead_letters: counters.dead_letters,
                late: counters.late,
                parked: counters.parked,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_and_back() {
        let mut head = Head::empty();
        head.next_position = Position(9);
        head.block_seq = 3;
        head.chain = [7; 32];
        head.sources =
            vec![SourceOffset { topic: None, next_offset: -1 }, SourceOffset { topic: Some("orders".into()), next_offset: 44 }];
        head.source = 1;
        head.counters = Counters {
            facts: 1,
            requests_accepted: 2,
            requests_rejected: 3,
            duplicates: 4,
            conflicts: 5,
            dead_letters: 6,
            late: 7,
            parked: 8,
        };
        assert_eq!(Head::from_row(head.row()), Some(head.clone()));
        assert_eq!(head.next_offset(Source::Topic("orders")), Some(44));
        assert_eq!(head.next_offset(Source::Topic("other")), None);
        assert_eq!(head.next_offset(Source::Embedded), None);
        assert_eq!(head.last_source().map(SourceOffset::source), Some(Source::Topic("orders")));
        assert_eq!((head.counters.frames(), head.counters.consumed()), (6, 21));
    }

    #[test]
    fn a_row_that_is_not_whole_is_refused() {
        assert_eq!(Head::from_row(rows::LogHead::default()), None);
        let mut row = Head::empty().row();
        assert!(Head::from_row(row.clone()).is_some());
        row.block_seq = 1;
        assert_eq!(Head::from_row(row), None, "no source");
    }
}
