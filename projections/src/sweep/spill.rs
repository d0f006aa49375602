//! Frames scattered by round into a file, once: where members take many rounds, reading and unpacking all of the log for each of
//! them costs more than writing all of it a second time.
//!
//! The file has no name: whatever becomes of the process, nothing of it stays.

use super::Pace;
use super::scatter::{Heap, HeapFrame, Plan};
use crate::error::ProjectionError;
use accrue_ledger::Instant;
use accrue_store::{Frame, Position, ShardLog, StoreError};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Fewer rounds than this scan the log for each of them.
pub(super) const ROUNDS_MIN: usize = 3;
/// A piece of a round's frames in the file: so large that reading one is not waiting for the disk,
const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// and so small that one for each round and thread is little beside the frames of a round.
const CHUNK_BYTES_MIN: usize = 16 * 1024;
/// All pieces that are being filled, of the bytes of a round.
const CHUNKS_OF_ROUND: usize = 16;
/// Pieces begin where blocks of the file system do: only whole blocks can be given back.
const BLOCK_BYTES: usize = 4 * 1024;
/// As many times what it takes has to be free.
const ROOM_TIMES: u64 = 4;
/// A frame's hash, position, and the lengths of its fact and of its decision.
const HEAD_BYTES: usize = 24;

/// Whether files of so many bytes leave most of the room to others. Where nobody can tell, they don't.
pub(super) fn has_room(dir: &Path, bytes: usize) -> bool {
    statvfs(dir).is_ok_and(|room| room.f_bavail.saturating_mul(room.f_frsize) / ROOM_TIMES >= bytes as u64)
}

/// The rounds of one slice of the log.
pub(super) struct Spilled {
    file: File,
    dir: PathBuf,
    /// Where the pieces of each round are, in the order of the log.
    rounds: Vec<Vec<Range<u64>>>,
}

/// What is filled: rounds of a plan, by one of `slices` slices of the log.
#[derive(Clone, Copy)]
pub(super) struct Spilling<'a> {
    pub log: &'a ShardLog,
    pub slices: usize,
    pub rounds: &'a [Range<usize>],
    pub recorded: Option<Instant>,
    pub pace: &'a Pace,
    /// The file is made here.
    pub dir: &'a Path,
}

impl Spilled {
    /// Scatters one slice of the log.
    pub fn write(plan: &Plan, of: Spilling<'_>, slice: &Range<Position>) -> Result<Spilled, ProjectionError> {
        let failed = |source| ProjectionError::from(failed(of.dir, source));
        let mut file = tempfile::tempfile_in(of.dir).map_err(failed)?;
        let chunk = plan.round_bytes() / CHUNKS_OF_ROUND / of.slices / of.rounds.len().max(1);
        let chunk = chunk.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        let mut filled: Vec<Vec<u8>> = of.rounds.iter().map(|_| Vec::with_capacity(chunk)).collect();
        let mut rounds = vec![Vec::new(); of.rounds.len()];
        let mut end = 0;
        let mut flush = |chunk: &mut Vec<u8>, round: &mut Vec<Range<u64>>| {
            round.push(end..end + chunk.len() as u64);
            chunk.resize(chunk.len().next_multiple_of(BLOCK_BYTES), 0);
            file.write_all(chunk)?;
            of.pace.take(chunk.len());
            end += chunk.len() as u64;
            chunk.clear();
            io::Result::Ok(())
        };
        plan.each_asked_for((of.log, slice), (of.recorded, of.pace), |hash, part, frame| {
            // Rounds that were kept before are not there.
            let round = of.rounds.partition_point(|round| round.end <= part);
            let (Some(to), Some(at)) = (filled.get_mut(round), of.rounds.get(round)) else { return Ok(()) };
            if !at.contains(&part) {
                return Ok(());
            }
            if to.len() + HEAD_BYTES + frame.fact.len() + frame.decision.map_or(0, <[u8]>::len) > chunk && !to.is_empty() {
                flush(to, &mut rounds[round]).map_err(failed)?;
            }
            put(to, hash, frame);
            Ok(())
        })?;
        for (chunk, round) in filled.iter_mut().zip(&mut rounds).filter(|(chunk, _)| !chunk.is_empty()) {
            flush(chunk, round).map_err(failed)?;
        }
        Ok(Spilled { file, dir: of.dir.to_owned(), rounds })
    }

    /// The frames of a round, as a scan of the slice would scatter them; once.
    pub fn read(
        &self,
        plan: &Plan,
        slices: usize,
        (number, round): (usize, &Range<usize>),
        pace: &Pace,
    ) -> Result<Vec<Heap>, ProjectionError> {
        let failed = |source| ProjectionError::from(failed(&self.dir, source));
        let mut heaps = plan.heaps(round, slices);
        let (mut file, mut chunk) = (&self.file, Vec::new());
        for at in self.rounds.get(number).into_iter().flatten() {
            chunk.resize((at.end - at.start) as usize, 0);
            file.seek(SeekFrom::Start(at.start)).and_then(|_| file.read_exact(&mut chunk)).map_err(failed)?;
            pace.take(chunk.len());
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                let (frame, after) = take(rest).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
                if let Some(heap) = plan.part(frame.hash).checked_sub(round.start).and_then(|part| heaps.get_mut(part)) {
                    heap.push(&frame);
                }
                rest = after;
            }
            self.give_back(at);
        }
        Ok(heaps)
    }

    /// Rows come to the disk as frames are read: so they find room. Where the file system can't do it, the file stays to the end.
    fn give_back(&self, at: &Range<u64>) {
        let len = (at.end - at.start).next_multiple_of(BLOCK_BYTES as u64);
        let punched = fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at.start, len);
        if let Err(error) = punched {
            tracing::debug!(%error, "giving back what was read");
        }
    }
}

fn failed(dir: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action: "scatter the log into a file in", path: dir.to_owned(), source }
}

fn put(chunk: &mut Vec<u8>, hash: u64, frame: &Frame<'_>) {
    let decision = frame.decision.map_or(0, |bytes| bytes.len() as u32 + 1);
    chunk.extend_from_slice(&hash.to_le_bytes());
    chunk.extend_from_slice(&frame.position.0.to_le_bytes());
    chunk.extend_from_slice(&(frame.fact.len() as u32).to_le_bytes());
    chunk.extend_from_slice(&decision.to_le_bytes());
    chunk.extend_from_slice(frame.fact);
    chunk.extend_from_slice(frame.decision.unwrap_or_default());
}

fn take(bytes: &[u8]) -> Option<(HeapFrame<'_>, &[u8])> {
    let (hash, rest) = bytes.split_first_chunk()?;
    let (position, rest) = rest.split_first_chunk()?;
    let (fact, rest) = rest.split_first_chunk()?;
    let (decision, rest) = rest.split_first_chunk()?;
    let (fact, rest) = rest.split_at_checked(u32::from_le_bytes(*fact) as usize)?;
    let (decision, rest) = match u32::from_le_bytes(*decision).checked_sub(1) {
        None => (None, rest),
        Some(len) => rest.split_at_checked(len as usize).map(|(decision, rest)| (Some(decision), rest))?,
    };
    let position = Position(u64::from_le_bytes(*position));
    Some((HeapFrame { hash: u64::from_le_bytes(*hash), position, fact, decision }, rest))
}

#[cfg(test)]
mod tests {
    use super::super::{Part, Relatives, Sweep, SweepOptions};
    use super::*;
    use crate::ledger::LedgerOptions;
    use crate::story::Desk;
    use accrue_proto::json::{Defaults, fact_from_json};
    use std::os::unix::fs::MetadataExt;

    const RULES: &str = "program = \"p\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n";
    const SMALL: SweepOptions = SweepOptions { threads: 2, memory_bytes: 1 };

    fn fact(n: usize) -> Vec<u8> {
        // Requests are refused or not: frames have decisions, too.
        let body = match n % 2 {
            _ if n.is_multiple_of(97) => format!(r#""members_merged": {{"loser": "m{}"}}"#, (n + 50) % 400),
            0 => format!(r#""points_adjusted": {{"adjustment_id": "{n}", "points": 5, "reason": "{}"}}"#, "x".repeat(n % 2_000)),
            _ => format!(r#""redemption_requested": {{"redemption_id": "{n}", "points": 3}}"#),
        };
        let text = format!(
            r#"{{"id": "{n}", "source": "s", "program": "p", "member": "m{}", "occurred_at": "2024-03-01T10:00:00Z", {body}}}"#,
            n % 400
        );
        let fact = fact_from_json(text.as_bytes(), &Defaults::default()).expect("valid");
        let mut bytes = Vec::new();
        accrue_proto::write_fact(&fact, &mut bytes);
        bytes
    }

    /// Every member's facts of a part, by hash.
    fn told(parts: &[Part<'_>]) -> Vec<String> {
        let mut told = Vec::new();
        for part in parts {
            let each = part.each_family(None, |relatives| {
                let (hash, (booked, origins)) = (relatives.hash, relatives.take());
                let at: Vec<u64> = origins.iter().map(|origin| origin.position.0).collect();
                told.push(format!("{hash} {at:?} {booked:?}"));
                Ok(())
            });
            each.expect("reads");
        }
        told
    }

    #[test]
    fn room_is_left_to_others() {
        let dir = std::env::temp_dir();
        assert!(has_room(&dir, 1));
        assert!(!has_room(&dir, usize::MAX / 8) && !has_room(Path::new("/nowhere"), 0));
    }

    #[test]
    fn what_is_read_again_is_what_a_scan_scatters() {
        let dir = tempfile::tempdir().expect("dir");
        let mut desk = Desk::open(dir.path(), LedgerOptions::default()).expect("opens");
        desk.activate("p", RULES, Instant(0)).expect("in force");
        let facts: Vec<Vec<u8>> = (0..4_000).map(fact).collect();
        for group in facts.chunks(500) {
            desk.deliver_group(group).expect("taken");
        }
        let reader = desk.reader().expect("open");
        let log = &reader.shared().log;
        let (pace, before) = (Pace::new(None), std::fs::read_dir(dir.path()).expect("listed").count());
        let sweep = Sweep { log, until: Position(3_900), recorded: None, options: SMALL, across: None };
        let (plan, _) = sweep.plan(&pace, |(), _| Ok(())).expect("weighed");
        let rounds = plan.rounds();
        // Some were kept before.
        for skip in [0, 2] {
            let rest = &rounds[skip..];
            assert!(rest.len() >= ROUNDS_MIN, "{rounds:?}");
            let slices = sweep.spill(&plan, rest, (dir.path(), &pace));
            assert_eq!(slices.len(), 2);
            let mut members = 0;
            for (number, round) in rest.iter().enumerate() {
                let scanned = told(&sweep.scatter(&plan, round, &pace).expect("scanned"));
                assert_eq!(told(&sweep.gather(&plan, &slices, (number, round), &pace).expect("read")), scanned);
                members += scanned.len();
            }
            let blocks: u64 = slices.iter().map(|slice| slice.file.metadata().expect("told").blocks()).sum();
            assert_eq!(blocks, 0, "what was read takes no room");
            assert!(members > 100, "{members}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), before);
        let swept = |options: SweepOptions| {
            let mut all = Vec::new();
            let sweep = Sweep { options, ..sweep };
            let each = |of_part: &mut Vec<_>, relatives: &mut Relatives<'_>| {
                of_part.push((relatives.hash, format!("{:?}", relatives.booked())));
                Ok(())
            };
            let done = |of_part: Vec<_>, _| {
                all.extend(of_part);
                Ok(())
            };
            sweep.run(Vec::new, each, done).expect("swept");
            all
        };
        assert!(swept(SMALL) == swept(SweepOptions { threads: 1, memory_bytes: 1 << 30 }), "rounds make no difference");
    }
}
