//! A group under construction: what one batch and one sync will make durable.

use crate::block::{self, BLOCK_BYTES_MAX, BLOCK_FRAMES_MAX, DeadRef};
use crate::frame::{self, Frame, FrameMeta, Shared};
use crate::head::{Counters, Head, Source};
use crate::{DeadLetter, DeadRow, DeadStatus, Position, StoreError};
use accrue_ledger::Instant;
use std::ops::Range;

/// Bytes of a fact with its decision, at most.
pub(crate) const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a group, at most; a writer ends its groups long before.
pub(crate) const GROUP_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A part of the group that will be one block.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub payload: Range<usize>,
    pub first: Position,
    pub frames: u32,
    pub seen: u32,
    pub dead: u32,
    pub next_offset: i64,
}

/// Frames, duplicates and dead letters on their way to the log. Made by [`crate::ShardLog::begin_group`], written by
/// [`crate::ShardLog::append`]; its buffers are kept for the next group by [`crate::ShardLog::begin_again`].
#[derive(Debug, Default)]
pub struct Group {
    pub(crate) shard: u32,
    pub(crate) topic: Option<String>,
    pub(crate) source: u16,
    pub(crate) recorded_at: Instant,
    pub(crate) first: Position,
    pub(crate) next_offset: i64,
    pub(crate) counters: Counters,
    pub(crate) letters: Vec<DeadRow>,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) payload: Vec<u8>,
    /// It is in the log; it has to be begun again.
    pub(crate) appended: bool,
    /// What makes the group unfit for appending.
    pub(crate) fault: Option<StoreError>,
    /// The last frame that leads to facts of other members.
    pub(crate) leads_on: Option<Position>,
    next_dead: u64,
    start_offset: i64,
    /// Where each frame starts and ends in `payload`.
    frames: Vec<(usize, usize)>,
    open_payload: usize,
    open_frames: usize,
    open_seen: Vec<(i64, Position)>,
    open_dead: Vec<DeadRef>,
}

impl Group {
    pub(crate) fn begin(&mut self, shard: u32, head: &Head, source: Source<'_>, recorded_at: Instant) {
        let index = head.sources.iter().position(|known| known.source() == source);
        self.shard = shard;
        self.topic = match source {
            Source::Embedded => None,
            Source::Topic(topic) => Some(topic.to_owned()),
        };
        self.source = u16::try_from(index.unwrap_or(head.sources.len())).unwrap_or(u16::MAX);
        self.recorded_at = recorded_at;
        self.first = head.next_position;
        self.next_offset = index.map_or(-1, |index| head.sources[index].next_offset);
        self.start_offset = self.next_offset;
        self.counters = Counters::default();
        self.next_dead = head.counters.dead_letters + head.counters.conflicts + 1;
        self.fault = None;
        self.leads_on = None;
        self.appended = false;
        self.letters.clear();
        self.cuts.clear();
        self.payload.clear();
        self.frames.clear();
        self.open_payload = 0;
        self.open_frames = 0;
        self.open_seen.clear();
        self.open_dead.clear();
        if self.source == u16::MAX {
            self.fault = Some(StoreError::TooLarge { shard, detail: format!("more than {} sources", u16::MAX) });
        }
    }

    /// Adds a frame and says where it will be.
    pub fn push(&mut self, meta: FrameMeta, fact: &[u8], decision: Option<&[u8]>) -> Position {
        self.push_leading(meta, fact, decision, &[])
    }

    /// As [`Self::push`], with what the frame leads to for other members: a list made by [`crate::push_derived`].
    pub fn push_leading(&mut self, meta: FrameMeta, fact: &[u8], decision: Option<&[u8]>, derived: &[u8]) -> Position {
        self.consume(meta.offset);
        let bytes = fact.len() + decision.map_or(0, <[u8]>::len) + derived.len();
        if bytes > FRAME_BYTES_MAX {
            self.set_fault(StoreError::TooLarge {
                shard: self.shard,
                detail: format!("a frame of {bytes} bytes, at most {FRAME_BYTES_MAX} fit"),
            });
        }
        let position = self.next_position();
        let start = self.payload.len();
        frame::encode(&mut self.payload, &meta, fact, decision, derived);
        if !derived.is_empty() {
            self.leads_on = Some(position);
        }
        self.frames.push((start, self.payload.len()));
        self.counters.frame(decision.is_some(), meta.rejected, meta.late, meta.parked);
        self.cut_when_full();
        position
    }

    /// Notes an offset that was seen before with the same content.
    pub fn seen(&mut self, offset: i64, first: Position) {
        self.consume(offset);
        self.open_seen.push((offset, first));
        self.counters.duplicates += 1;
        self.cut_when_full();
    }

    /// Adds a dead letter and says which number it gets. A letter with the code `conflict` counts as a conflict.
    pub fn dead(&mut self, letter: DeadLetter) -> u64 {
        self.consume(letter.offset);
        let seq = self.next_dead;
        self.next_dead += 1;
        let conflict = letter.is_conflict();
        if conflict {
            self.counters.conflicts += 1;
        } else {
            self.counters.dead_letters += 1;
        }
        self.open_dead.push(DeadRef { offset: letter.offset, seq, conflict });
        self.letters.push(DeadRow { seq, recorded_at: self.recorded_at, status: DeadStatus::Open, letter });
        self.cut_when_full();
        seq
    }

    /// Notes that the source was read up to `next_offset` (which is not in yet), where nothing at the end was a fact.
    pub fn advance(&mut self, next_offset: i64) {
        if next_offset < self.next_offset {
            self.set_backwards(next_offset);
        } else {
            self.next_offset = next_offset;
        }
    }

    /// A frame that was pushed and is not appended yet.
    pub fn read(&self, position: Position) -> Option<Frame<'_>> {
        let index = usize::try_from(position.0.checked_sub(self.first.0)?).ok()?;
        let (start, end) = *self.frames.get(index)?;
        let shared = Shared { recorded_at: self.recorded_at, source: self.source };
        frame::read(&self.payload[start..end], position, shared)
    }

    /// The last frame that leads to facts of other members; `None`: none does.
    pub fn leads_on(&self) -> Option<Position> {
        self.leads_on
    }

    /// The position of its first frame.
    pub fn first_position(&self) -> Position {
        self.first
    }

    /// The position that the next frame gets.
    pub fn next_position(&self) -> Position {
        Position(self.first.0 + self.frames.len() as u64)
    }

    /// When it was begun, by the engine's clock.
    pub fn recorded_at(&self) -> Instant {
        self.recorded_at
    }

    /// Where its source will be resumed; −1: nowhere yet.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Frames in it.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether appending it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.counters.consumed() == 0 && self.next_offset == self.start_offset
    }

    /// What it adds to the head's sums.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes that its frames and lists take, unpacked.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Offsets only go up; what has none is −1.
    fn consume(&mut self, offset: i64) {
        if offset < 0 {
            return;
        }
        if offset < self.next_offset {
            self.set_backwards(offset);
        } else {
            self.next_offset = offset + 1;
        }
    }

    fn set_backwards(&mut self, offset: i64) {
        let (shard, after, source_name) = (self.shard, self.next_offset, self.topic.clone().unwrap_or_default());
        self.set_fault(StoreError::OffsetsBackwards { shard, source_name, offset, after });
    }

    fn set_fault(&mut self, fault: StoreError) {
        self.fault.get_or_insert(fault);
    }

    fn open_bytes(&self) -> usize {
        self.payload.len() - self.open_payload + 16 * (self.open_seen.len() + self.open_dead.len())
    }

    fn cut_when_full(&mut self) {
        if self.frames.len() - self.open_frames >= BLOCK_FRAMES_MAX || self.open_bytes() >= BLOCK_BYTES_MAX {
            self.cut();
        }
        if self.payload.len() > GROUP_BYTES_MAX {
            self.set_fault(StoreError::TooLarge {
                shard: self.shard,
                detail: format!("a group of more than {GROUP_BYTES_MAX} bytes"),
            });
        }
    }

    fn cut(&mut self) {
        for (offset, first) in &self.open_seen {
            block::push_seen(&mut self.payload, *offset, *first);
        }
        for dead in &self.open_dead {
            block::push_dead(&mut self.payload, *dead);
        }
        // Bounded by BLOCK_FRAMES_MAX and BLOCK_BYTES_MAX, so they fit.
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.cuts.push(Cut {
            payload: self.open_payload..self.payload.len(),
            first: Position(self.first.0 + self.open_frames as u64),
            frames: count(self.frames.len() - self.open_frames),
            seen: count(self.open_seen.len()),
            dead: count(self.open_dead.len()),
            next_offset: self.next_offset,
        });
        self.open_payload = self.payload.len();
        self.open_frames = self.frames.len();
        self.open_seen.clear();
        self.open_dead.clear();
    }

    /// Ends the last block. What only moves the offset makes a block without frames, so that the chain knows it.
    pub(crate) fn finish(&mut self) {
        let written = self.cuts.last().map_or(self.start_offset, |cut| cut.next_offset);
        if self.open_bytes() > 0 || self.next_offset != written {
            self.cut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::meta;

    fn group() -> Group {
        let mut group = Group::default();
        group.begin(0, &Head::empty(), Source::Topic("t"), Instant(5));
        group
    }

    #[test]
    fn frames_can_be_read_before_they_are_appended() {
        let mut group = group();
        assert!(group.is_empty());
        let first = group.push(meta(0), b"one", None);
        let second = group.push(FrameMeta { rejected: true, ..meta(1) }, b"two", Some(b"no"));
        assert_eq!((first, second, group.next_position()), (Position(1), Position(2), Position(3)));
        assert_eq!(group.read(second).map(|frame| (frame.fact, frame.decision)), Some((&b"two"[..], Some(&b"no"[..]))));
        assert_eq!(group.read(Position(0)), None);
        assert_eq!(group.read(Position(3)), None);
        assert_eq!(group.counters(), Counters { facts: 1, requests_rejected: 1, ..Counters::default() });
        assert!(!group.is_empty());
    }

    #[test]
    fn blocks_are_bounded_by_frames_and_by_bytes() {
        let mut many = group();
        for offset in 0..600 {
            many.push(meta(offset), b"x", None);
        }
        many.finish();
        assert_eq!(many.cuts.iter().map(|cut| cut.frames).collect::<Vec<_>>(), [256, 256, 88]);
        assert_eq!(many.cuts.iter().map(|cut| cut.first.0).collect::<Vec<_>>(), [1, 257, 513]);
        assert_eq!(many.read(Position(600)).map(|frame| frame.offset), Some(599));

        let mut large = group();
        for offset in 0..4 {
            large.push(meta(offset), &vec![1; 40_000], None);
        }
        large.finish();
        assert_eq!(large.cuts.iter().map(|cut| cut.frames).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn duplicates_and_letters_alone_make_a_block() {
        let mut group = group();
        group.seen(0, Position(4));
        assert_eq!(group.dead(DeadLetter { offset: 1, code: "bad".into(), ..DeadLetter::default() }), 1);
        assert_eq!(group.dead(DeadLetter { offset: 2, code: "conflict".into(), ..DeadLetter::default() }), 2);
        group.finish();
        let cut = &group.cuts[0];
        assert_eq!((group.cuts.len(), cut.frames, cut.seen, cut.dead, cut.next_offset), (1, 0, 1, 2, 3));
        assert_eq!(group.counters(), Counters { duplicates: 1, conflicts: 1, dead_letters: 1, ..Counters::default() });
    }

    #[test]
    fn an_offset_alone_makes_a_block_and_nothing_makes_none() {
        let mut moved = group();
        moved.advance(7);
        moved.advance(7);
        moved.finish();
        assert_eq!((moved.cuts.len(), moved.cuts[0].next_offset), (1, 7));
        let mut nothing = group();
        nothing.finish();
        assert!(nothing.cuts.is_empty() && nothing.is_empty());
    }

    #[test]
    fn offsets_that_go_back_are_a_fault() {
        let mut group = group();
        group.push(meta(5), b"x", None);
        group.push(meta(-1), b"none", None);
        assert!(group.fault.is_none());
        group.push(meta(5), b"x", None);
        assert!(matches!(group.fault, Some(StoreError::OffsetsBackwards { offset: 5, after: 6, .. })));
        let mut group = self::group();
        group.advance(7);
        group.advance(6);
        assert!(matches!(group.fault, Some(StoreError::OffsetsBackwards { offset: 6, after: 7, .. })));
    }
}
