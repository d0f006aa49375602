//! The proof that a log is whole: every block hangs on the one before, positions have no gaps, offsets only go up,
//! every consumed offset is a frame, a duplicate or a dead letter, and the sums of the head are those of the blocks.

use crate::block::{self, Block, ChainHash};
use crate::dead::hex;
use crate::head::{Counters, Head};
use crate::log::ShardLog;
use crate::{Position, StoreError, keys};

/// What a whole log was found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The position that the next frame gets.
    pub next_position: Position,
    /// Blocks.
    pub blocks: u64,
    /// Hash of the last block.
    pub chain: [u8; 32],
    /// Sums, counted again.
    pub counters: Counters,
}

struct Walk {
    chain: ChainHash,
    seq: u64,
    next: Position,
    next_dead: u64,
    /// By source.
    offsets: Vec<i64>,
    counters: Counters,
    /// Offsets of one block, reused.
    consumed: Vec<i64>,
}

impl ShardLog {
    /// Reads the whole log up to the head as it is now and checks all that can be checked without knowing what a
    /// fact is. `progress` is told the position reached after each block.
    ///
    /// # Errors
    /// The log can't be read, or the first place where it is not whole.
    pub fn verify_chain(&self, mut progress: impl FnMut(Position)) -> Result<Verified, StoreError> {
        let head = self.head();
        let mut walk = Walk {
            chain: [0; block::HASH_BYTES],
            seq: 0,
            next: Position::FIRST,
            next_dead: 1,
            offsets: vec![-1; head.sources.len()],
            counters: Counters::default(),
            consumed: Vec::new(),
        };
        let mut scan = self.scan(Position::FIRST);
        while walk.seq < head.block_seq {
            let Some(block) = scan.next_block()? else { break };
            let key = keys::block(block.first_position(), block.seq());
            walk.block(block).map_err(|detail| self.corrupt(walk.next, format!("frames/{}", hex(&key)), detail))?;
            walk.chain = scan.value().map(block::hash).unwrap_or_default();
            progress(walk.next);
        }
        walk.end(&head).map_err(|detail| self.corrupt(walk.next, "meta/head".into(), detail))?;
        self.verify_dead(walk.next_dead)?;
        Ok(Verified { next_position: walk.next, blocks: walk.seq, chain: walk.chain, counters: walk.counters })
    }

    /// Every dead letter that the chain names is there, without gaps.
    fn verify_dead(&self, end: u64) -> Result<(), StoreError> {
        const PAGE: usize = 256;
        let mut next = 1;
        while next < end {
            let page = self.dead_letters(next, PAGE)?;
            let Some(last) = page.last() else { break };
            let after = last.seq + 1;
            for row in page {
                if row.seq != next {
                    break;
                }
                next += 1;
            }
            if next != after {
                break;
            }
        }
        if next < end {
            return Err(self.corrupt(
                Position::NONE,
                format!("dead/{next:016x}"),
                "a dead letter that the chain names is missing",
            ));
        }
        Ok(())
    }
}

impl Walk {
    fn block(&mut self, block: &Block) -> Result<(), &'static str> {
        let header = block.header();
        if header.before != self.chain {
            return Err("the chain is broken: the block does not hang on the one before");
        }
        if header.seq != self.seq + 1 {
            return Err("a block is missing");
        }
        if header.first != self.next {
            return Err("positions have a gap");
        }
        self.seq = header.seq;
        self.next = block.next_position();
        self.consumed.clear();
        for frame in block.frames() {
            self.counters.frame(frame.decision.is_some(), frame.rejected, frame.late, frame.parked);
            self.consumed.push(frame.offset);
        }
        for (offset, first) in block.seen() {
            if first >= self.next {
                return Err("a duplicate names a first one that is not there");
            }
            self.counters.duplicates += 1;
            self.consumed.push(offset);
        }
        for dead in block.dead() {
            if dead.seq != self.next_dead {
                return Err("dead letters have a gap");
            }
            self.next_dead += 1;
            *(if dead.conflict { &mut self.counters.conflicts } else { &mut self.counters.dead_letters }) += 1;
            self.consumed.push(dead.offset);
        }
        self.offsets(header.source, header.next_offset)
    }

    fn offsets(&mut self, source: u16, next_offset: i64) -> Result<(), &'static str> {
        let reached = self.offsets.get_mut(usize::from(source)).ok_or("the block names a source that the head does not know")?;
        self.consumed.retain(|offset| *offset >= 0);
        self.consumed.sort_unstable();
        let mut at = *reached;
        for offset in &self.consumed {
            if *offset < at {
                return Err("an offset was consumed twice, or out of order");
            }
            at = offset + 1;
        }
        if next_offset < at {
            return Err("the resume offset is behind what was consumed");
        }
        *reached = next_offset;
        Ok(())
    }

    fn end(&self, head: &Head) -> Result<(), &'static str> {
        let same_offsets = self.offsets.iter().zip(&head.sources).all(|(walked, known)| *walked == known.next_offset);
        if self.seq != head.block_seq || self.next != head.next_position || self.chain != head.chain {
            Err("the blocks end before the head")
        } else if !same_offsets {
            Err("the resume offsets are not those of the blocks")
        } else if self.counters != head.counters {
            Err("the sums are not those of the blocks")
        } else {
            Ok(())
        }
    }
}
