//! Reading the log: scans, single positions, sorted sets of positions.

use crate::block::Block;
use crate::log::{CF_FRAMES, ShardLog};
use crate::{Frame, Position, StoreError, keys, options};
use rocksdb::{DB, DBRawIteratorWithThreadMode, ReadOptions};
use std::sync::Arc;

/// A run of frames is handed on when it has so many, or so many bytes.
const RUN_FRAMES: usize = 16 * 1024;
const RUN_BYTES: usize = 32 * 1024 * 1024;
/// Unpacked blocks that wait for whoever asked for all of them.
const BLOCKS_AHEAD: usize = 8;
/// Unpacked blocks kept for single reads: duplicates mostly come soon after their first.
const RECENT_BLOCKS_MAX: usize = 16;

/// The last blocks that single reads unpacked.
#[derive(Default)]
pub(crate) struct Recent(Vec<Arc<Block>>);

impl Recent {
    fn find(&mut self, position: Position) -> Option<Arc<Block>> {
        let found = self.0.iter().position(|block| block.first_position() <= position && position < block.next_position())?;
        self.0[..=found].rotate_right(1);
        self.0.first().cloned()
    }

    fn keep(&mut self, block: &Arc<Block>) {
        self.0.truncate(RECENT_BLOCKS_MAX - 1);
        self.0.insert(0, Arc::clone(block));
    }
}

/// Blocks of a log in order. What is appended after its start may or may not be seen.
pub struct Scan<'a> {
    log: &'a ShardLog,
    at: Result<DBRawIteratorWithThreadMode<'a, DB>, Option<StoreError>>,
    until: Position,
    /// What has to be reached: the head as it was at the start, or `until`.
    goal: Position,
    /// The end of the block read last; before the first one, where the scan starts.
    reached: Position,
    started: bool,
    block: Block,
}

impl<'a> Scan<'a> {
    fn new(log: &'a ShardLog, from: Position, until: Position) -> Scan<'a> {
        let goal = log.head().next_position.min(until);
        let at = log.cf(CF_FRAMES).map(|cf| {
            let mut at = log.db().raw_iterator_cf_opt(cf, options::scan());
            if from <= Position::FIRST {
                // Not by position: the very first blocks may hold no frame.
                at.seek_to_first();
            } else {
                // The block that holds `from` starts at or before it.
                at.seek_for_prev(keys::block(from, u64::MAX));
            }
            at
        });
        Scan {
            log,
            at: at.map_err(Some),
            until,
            goal,
            reached: from.max(Position::FIRST),
            started: false,
            block: Block::default(),
        }
    }

    /// The next block, whole: the first one may start before the position asked for. `None`: the end.
    /// The buffers are reused; clone the block to keep it.
    ///
    /// # Errors
    /// The log can't be read, or is corrupt: the scan ends with it.
    pub fn next_block(&mut self) -> Result<Option<&Block>, StoreError> {
        match self.advance() {
            Ok(true) => Ok(Some(&self.block)),
            Ok(false) => {
                self.at = Err(None);
                Ok(None)
            }
            Err(error) => {
                self.at = Err(None);
                Err(error)
            }
        }
    }

    /// The next block, to be kept.
    fn next_owned(&mut self) -> Result<Option<Block>, StoreError> {
        Ok(self.next_block()?.cloned())
    }

    /// Whether there is another block. No gap and no early end passes unnoticed.
    fn advance(&mut self) -> Result<bool, StoreError> {
        let at = match &mut self.at {
            Ok(at) => at,
            Err(error) => return error.take().map_or(Ok(false), Err),
        };
        let before = self.started.then(|| self.block.seq());
        if self.started && at.valid() {
            at.next();
        }
        self.started = true;
        let missing = || self.log.corrupt(self.reached, "frames".into(), "the block that should hold the position is missing");
        let ended = match at.item() {
            Some((key, _)) => keys::parse_block(key).is_some_and(|(first, _)| first >= self.until),
            None => true,
        };
        if ended {
            // An iterator that meets a damaged file just ends: only its status tells.
            at.status().map_err(StoreError::database("scan", self.log.path()))?;
            return if self.reached < self.goal { Err(missing()) } else { Ok(false) };
        }
        let Some((key, value)) = at.item() else { return Ok(false) };
        self.log.inner().read_block(&mut self.block, key, value)?;
        let follows = match before {
            Some(seq) => self.block.seq() == seq + 1 && self.block.first_position() == self.reached,
            None => self.block.first_position() <= self.reached && self.reached.min(self.goal) <= self.block.next_position(),
        };
        if !follows {
            return Err(missing());
        }
        self.reached = self.block.next_position();
        Ok(true)
    }

    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.at.as_ref().ok()?.value()
    }
}

impl ShardLog {
    /// Scans from a position to the end.
    pub fn scan(&self, from: Position) -> Scan<'_> {
        self.scan_range(from, Position::MAX)
    }

    /// Scans the blocks that hold `from..until`; the first and the last may reach beyond.
    pub fn scan_range(&self, from: Position, until: Position) -> Scan<'_> {
        Scan::new(self, from, until)
    }

    /// Gives every frame in `from..until` to `each`, in order.
    ///
    /// # Errors
    /// The log can't be read, or is corrupt, or `each` failed.
    pub fn for_each<E: From<StoreError>>(
        &self,
        from: Position,
        until: Position,
        mut each: impl FnMut(&Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut scan = self.scan_range(from, until);
        while let Some(block) = scan.next_block()? {
            for frame in block.frames_from(from).take_while(|frame| frame.position < until) {
                each(&frame)?;
            }
        }
        Ok(())
    }

    /// Gives the frames in `from..until` to `each`, some ten thousand at a time, in order: whoever looks things up for all of them at
    /// once goes over the disk seldom. A thread of its own reads and unpacks ahead.
    ///
    /// # Errors
    /// The log can't be read, or is corrupt, or `each` failed.
    pub fn for_each_run<E: From<StoreError>>(
        &self,
        from: Position,
        until: Position,
        mut each: impl FnMut(&[Frame<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        std::thread::scope(|scope| {
            let (ahead, blocks) = crossbeam_channel::bounded::<Result<Block, StoreError>>(BLOCKS_AHEAD);
            scope.spawn(move || {
                let mut scan = self.scan_range(from, until);
                // Nobody takes them any more when `each` has failed.
                while let Some(block) = scan.next_owned().transpose() {
                    if ahead.send(block).is_err() {
                        break;
                    }
                }
            });
            let mut give = |run: &[Block]| {
                let frames = run.iter().flat_map(|block| block.frames_from(from)).take_while(|frame| frame.position < until);
                each(&frames.collect::<Vec<Frame<'_>>>())
            };
            let (mut run, mut frames, mut bytes) = (Vec::new(), 0, 0);
            for block in blocks {
                let block = block?;
                (frames, bytes) = (frames + block.len(), bytes + block.bytes());
                run.push(block);
                if frames >= RUN_FRAMES || bytes >= RUN_BYTES {
                    give(&run)?;
                    run.clear();
                    (frames, bytes) = (0, 0);
                }
            }
            if run.is_empty() { Ok(()) } else { give(&run) }
        })
    }

    /// The block that holds a position, unpacked. `None`: no frame there yet. The last few are kept.
    ///
    /// # Errors
    /// The log can't be read, or is corrupt.
    pub fn block_at(&self, position: Position) -> Result<Option<Arc<Block>>, StoreError> {
        if position < Position::FIRST || position >= self.head().next_position {
            return Ok(None);
        }
        if let Some(found) = self.inner().recent.lock().find(position) {
            return Ok(Some(found));
        }
        let mut block = Block::default();
        self.seek_block(&mut self.seeker()?, position, &mut block)?;
        let block = Arc::new(block);
        self.inner().recent.lock().keep(&block);
        Ok(Some(block))
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// No frame there, or the log can't be read, or is corrupt.
    pub fn read<R>(&self, position: Position, with: impl FnOnce(&Frame<'_>) -> R) -> Result<R, StoreError> {
        let block = self.block_at(position)?;
        let frame = block.as_ref().and_then(|block| block.frame(position));
        frame.map(|frame| with(&frame)).ok_or(StoreError::NoFrame { shard: self.shard(), position })
    }

    /// Reads frames at positions in ascending order, unpacking each block once.
    ///
    /// # Errors
    /// No frame at one of them, or the log can't be read, or is corrupt, or `each` failed.
    pub fn read_many<E: From<StoreError>>(
        &self,
        positions: impl IntoIterator<Item = Position>,
        mut each: impl FnMut(&Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = self.seeker()?;
        let end = self.head().next_position;
        let mut block = Block::default();
        for position in positions {
            if block.frame(position).is_none() {
                if position < Position::FIRST || position >= end {
                    return Err(StoreError::NoFrame { shard: self.shard(), position }.into());
                }
                self.seek_block(&mut at, position, &mut block)?;
            }
            let frame = block.frame(position).ok_or(StoreError::NoFrame { shard: self.shard(), position })?;
            each(&frame)?;
        }
        Ok(())
    }

    fn seeker(&self) -> Result<DBRawIteratorWithThreadMode<'_, DB>, StoreError> {
        Ok(self.db().raw_iterator_cf_opt(self.cf(CF_FRAMES)?, ReadOptions::default()))
    }

    /// Unpacks the block that holds a position below the head.
    fn seek_block(
        &self,
        at: &mut DBRawIteratorWithThreadMode<'_, DB>,
        position: Position,
        block: &mut Block,
    ) -> Result<(), StoreError> {
        at.seek_for_prev(keys::block(position, u64::MAX));
        at.status().map_err(StoreError::database("read", self.path()))?;
        let missing = || self.corrupt(position, "frames".into(), "the block that should hold the position is missing");
        let (key, value) = at.item().ok_or_else(missing)?;
        self.inner().read_block(block, key, value)?;
        if block.frame(position).is_none() { Err(missing()) } else { Ok(()) }
    }
}
