//! A packed block: the frames of a group (or a part of them), what else the group consumed, one link of the chain.
//!
//! ```text
//!  0 format u8 = 1 | codec u8 (0 stored, 1 lz4) | source u16 | frames u32 | seen u32 | dead u32
//! 16 payload bytes, unpacked u32 | stored u32
//! 24 first_position u64 | block_seq u64 | recorded_at i64 | next_offset i64
//! 56 hash of the block before (BLAKE3, 32 bytes; zeros in the first)
//! 88 payload: frames, then seen (offset i64 | first position u64)*, then dead (offset i64 | conflict bit + seq u64)*
//! .. checksum u64: xxh3 over everything before                                              (big-endian)
//! ```
//! A block's own hash is BLAKE3 over the whole value. Position and number are in the value too, so that the hash
//! holds them and a block can't be moved. Seen and dead are here so that the chain accounts for every offset.

use crate::frame::{self, Frame, Shared, be_u32, be_u64};
use crate::{Position, keys};
use accrue_ledger::Instant;
use lz4_flex::block::CompressTable;
use xxhash_rust::xxh3::xxh3_64;

/// Frames in a block, at most.
pub const BLOCK_FRAMES_MAX: usize = 256;
/// Bytes of frames and lists after which a block takes no more, unpacked. One frame may be larger by itself.
pub const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// Bytes that a block may claim to have unpacked; more is corruption, not data.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;

const FORMAT: u8 = 1;
const STORED: u8 = 0;
const LZ4: u8 = 1;
pub(crate) const HEADER_BYTES: usize = 88;
const CHECKSUM_BYTES: usize = 8;
const LIST_ROW_BYTES: usize = 16;
const CONFLICT_BIT: u64 = 1 << 63;
pub(crate) const HASH_BYTES: usize = 32;

/// BLAKE3 of a block's value: a link of the chain.
pub(crate) type ChainHash = [u8; HASH_BYTES];

/// The numbers of a block's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub source: u16,
    pub frames: u32,
    pub seen: u32,
    pub dead: u32,
    pub first: Position,
    pub seq: u64,
    pub recorded_at: Instant,
    pub next_offset: i64,
    pub before: ChainHash,
}

/// Something consumed that is not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeadRef {
    pub offset: i64,
    pub seq: u64,
    pub conflict: bool,
}

pub(crate) fn push_seen(out: &mut Vec<u8>, offset: i64, first: Position) {
    out.extend_from_slice(&offset.to_be_bytes());
    out.extend_from_slice(&first.0.to_be_bytes());
}

pub(crate) fn push_dead(out: &mut Vec<u8>, dead: DeadRef) {
    let seq = if dead.conflict { dead.seq | CONFLICT_BIT } else { dead.seq };
    out.extend_from_slice(&dead.offset.to_be_bytes());
    out.extend_from_slice(&seq.to_be_bytes());
}

/// Packs blocks; keeps its table and buffer between them.
pub(crate) struct Packer {
    table: CompressTable,
    value: Vec<u8>,
}

impl Packer {
    pub(crate) fn new() -> Packer {
        Packer { table: CompressTable::default(), value: Vec::new() }
    }

    /// The value of a block and its hash. The value is valid until the next call.
    pub(crate) fn pack(&mut self, header: &Header, payload: &[u8]) -> (&[u8], ChainHash) {
        let room = lz4_flex::block::get_maximum_output_size(payload.len());
        self.value.clear();
        self.value.resize(HEADER_BYTES + room, 0);
        let packed = lz4_flex::block::compress_into_with_table(payload, &mut self.value[HEADER_BYTES..], &mut self.table);
        let (codec, stored) = match packed {
            Ok(packed) if packed < payload.len() => (LZ4, packed),
            _ => {
                self.value[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
                (STORED, payload.len())
            }
        };
        self.value.truncate(HEADER_BYTES + stored);
        write_header(&mut self.value[..HEADER_BYTES], header, codec, payload.len(), stored);
        let checksum = xxh3_64(&self.value);
        self.value.extend_from_slice(&checksum.to_be_bytes());
        (&self.value, hash(&self.value))
    }
}

/// The link of the chain that a block's value is.
pub(crate) fn hash(value: &[u8]) -> ChainHash {
    *blake3::hash(value).as_bytes()
}

fn write_header(out: &mut [u8], header: &Header, codec: u8, payload: usize, stored: usize) {
    // Groups are bounded far below u32; see `group.rs`.
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    out[0] = FORMAT;
    out[1] = codec;
    out[2..4].copy_from_slice(&header.source.to_be_bytes());
    out[4..8].copy_from_slice(&header.frames.to_be_bytes());
    out[8..12].copy_from_slice(&header.seen.to_be_bytes());
    out[12..16].copy_from_slice(&header.dead.to_be_bytes());
    out[16..20].copy_from_slice(&size(payload));
    out[20..24].copy_from_slice(&size(stored));
    out[24..32].copy_from_slice(&header.first.0.to_be_bytes());
    out[32..40].copy_from_slice(&header.seq.to_be_bytes());
    out[40..48].copy_from_slice(&header.recorded_at.0.to_be_bytes());
    out[48..56].copy_from_slice(&header.next_offset.to_be_bytes());
    out[56..88].copy_from_slice(&header.before);
}

/// A block as read: unpacked, every checksum verified. Reusable: see [`crate::Scan`].
#[derive(Clone, Debug, Default)]
pub struct Block {
    header: Header,
    payload: Vec<u8>,
    /// Where each frame starts in `payload`; the last one is where the lists start.
    starts: Vec<u32>,
}

impl Block {
    /// Unpacks a row of `frames` into this block.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub(crate) fn read(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let (body, checksum) = value.split_at_checked(value.len().wrapping_sub(CHECKSUM_BYTES)).ok_or("block is cut")?;
        if body.len() < HEADER_BYTES {
            return Err("block is cut");
        }
        if be_u64(checksum, 0) != xxh3_64(body) {
            return Err("block checksum differs");
        }
        if body[0] != FORMAT {
            return Err("block format is unknown to this version");
        }
        let header = Header {
            source: u16::from_be_bytes([body[2], body[3]]),
            frames: be_u32(body, 4),
            seen: be_u32(body, 8),
            dead: be_u32(body, 12),
            first: Position(be_u64(body, 24)),
            seq: be_u64(body, 32),
            recorded_at: Instant(be_u64(body, 40).cast_signed()),
            next_offset: be_u64(body, 48).cast_signed(),
            before: body[56..88].try_into().map_err(|_| "block is cut")?,
        };
        if key != keys::block(header.first, header.seq) {
            return Err("block is under the key of another");
        }
        let payload = be_u32(body, 16) as usize;
        if payload > PAYLOAD_BYTES_MAX {
            return Err("block claims an impossible size");
        }
        if be_u32(body, 20) as usize != body.len() - HEADER_BYTES {
            return Err("block length differs");
        }
        self.header = header;
        self.unpack(body[1], &body[HEADER_BYTES..], payload)?;
        self.find_frames()
    }

    fn unpack(&mut self, codec: u8, stored: &[u8], payload: usize) -> Result<(), &'static str> {
        match codec {
            STORED if stored.len() == payload => {
                self.payload.clear();
                self.payload.extend_from_slice(stored);
                Ok(())
            }
            LZ4 => {
                self.payload.resize(payload, 0);
                match lz4_flex::block::decompress_into(stored, &mut self.payload) {
                    Ok(unpacked) if unpacked == payload => Ok(()),
                    _ => Err("block can't be unpacked"),
                }
            }
            _ => Err("block codec is unknown to this version"),
        }
    }

    fn find_frames(&mut self) -> Result<(), &'static str> {
        let lists = (self.header.seen as usize + self.header.dead as usize).saturating_mul(LIST_ROW_BYTES);
        let end = self.payload.len().checked_sub(lists).ok_or("block lists are cut")?;
        self.starts.clear();
        let mut at = 0;
        for _ in 0..self.header.frames {
            // Bounded by PAYLOAD_BYTES_MAX, so it fits.
            self.starts.push(at as u32);
            at += frame::check(&self.payload[at..end])?;
        }
        if at != end {
            return Err("block holds bytes of no frame");
        }
        self.starts.push(at as u32);
        Ok(())
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The position of its first frame; where it has none, the position that the next frame got.
    pub fn first_position(&self) -> Position {
        self.header.first
    }

    /// The position after its last frame.
    pub fn next_position(&self) -> Position {
        Position(self.header.first.0 + u64::from(self.header.frames))
    }

    /// Its number in the shard, from 1.
    pub fn seq(&self) -> u64 {
        self.header.seq
    }

    /// When its group was begun, by the engine's clock.
    pub fn recorded_at(&self) -> Instant {
        self.header.recorded_at
    }

    /// Index of its source in [`crate::Head::sources`].
    pub fn source(&self) -> u16 {
        self.header.source
    }

    /// The resume offset of its source after it.
    pub fn next_offset(&self) -> i64 {
        self.header.next_offset
    }

    /// Frames in it.
    pub fn len(&self) -> usize {
        self.header.frames as usize
    }

    /// Bytes of it, unpacked.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Whether it holds no frame, only offsets that led to none.
    pub fn is_empty(&self) -> bool {
        self.header.frames == 0
    }

    /// Its frames in order.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.frames_from(Position::NONE)
    }

    /// Its frames in order from a position on.
    pub fn frames_from(&self, from: Position) -> impl Iterator<Item = Frame<'_>> {
        let skip = from.0.saturating_sub(self.header.first.0).min(u64::from(self.header.frames));
        (skip..u64::from(self.header.frames)).filter_map(|index| self.frame_at(index as usize))
    }

    /// The frame at a position; `None`: not in this block.
    pub fn frame(&self, position: Position) -> Option<Frame<'_>> {
        let index = position.0.checked_sub(self.header.first.0)?;
        if index >= u64::from(self.header.frames) {
            return None;
        }
        self.frame_at(index as usize)
    }

    fn frame_at(&self, index: usize) -> Option<Frame<'_>> {
        let (start, end) = (*self.starts.get(index)? as usize, *self.starts.get(index + 1)? as usize);
        let shared = Shared { recorded_at: self.header.recorded_at, source: self.header.source };
        frame::read(self.payload.get(start..end)?, Position(self.header.first.0 + index as u64), shared)
    }

    /// Offsets that were seen before with the same content, each with the position of the first.
    pub fn seen(&self) -> impl Iterator<Item = (i64, Position)> {
        let start = self.starts.last().map_or(0, |at| *at as usize);
        let rows = self.payload[start..].chunks_exact(LIST_ROW_BYTES).take(self.header.seen as usize);
        rows.map(|row| (be_u64(row, 0).cast_signed(), Position(be_u64(row, 8))))
    }

    /// Offsets that became dead letters, each with the letter's number.
    pub(crate) fn dead(&self) -> impl Iterator<Item = DeadRef> {
        let start = self.starts.last().map_or(0, |at| *at as usize);
        let rows = self.payload[start..].chunks_exact(LIST_ROW_BYTES).skip(self.header.seen as usize);
        rows.map(|row| {
            let seq = be_u64(row, 8);
            DeadRef { offset: be_u64(row, 0).cast_signed(), seq: seq & !CONFLICT_BIT, conflict: seq & CONFLICT_BIT != 0 }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::meta;
    use proptest::prelude::*;

    fn sample(frames: u32, fact: &[u8]) -> (Vec<u8>, Header) {
        let mut payload = Vec::new();
        for offset in 0..frames {
            frame::encode(&mut payload, &meta(i64::from(offset)), fact, None, b"");
        }
        push_seen(&mut payload, 90, Position(3));
        push_dead(&mut payload, DeadRef { offset: 91, seq: 4, conflict: true });
        let header = Header {
            frames,
            seen: 1,
            dead: 1,
            first: Position(11),
            seq: 5,
            next_offset: 92,
            before: [8; 32],
            ..Header::default()
        };
        (payload, header)
    }

    #[test]
    fn comes_back() {
        for (frames, fact) in [(0, &b""[..]), (1, b"x"), (200, b"the same text again and again")] {
            let (payload, header) = sample(frames, fact);
            let mut packer = Packer::new();
            let (value, link) = packer.pack(&header, &payload);
            assert_eq!(link, hash(value));
            let mut block = Block::default();
            block.read(&keys::block(header.first, header.seq), value).expect("whole");
            assert_eq!(*block.header(), header);
            assert_eq!(block.frames().count(), frames as usize);
            assert!(block.frames().all(|frame| frame.fact == fact));
            assert_eq!(block.frame(Position(11)).is_some(), frames > 0);
            assert_eq!(block.frame(Position(10)), None);
            assert_eq!(block.frame(block.next_position()), None);
            assert_eq!(block.frames_from(Position(12)).count(), frames.saturating_sub(1) as usize);
            assert_eq!(block.frames_from(Position::MAX).count(), 0);
            assert_eq!(block.seen().collect::<Vec<_>>(), [(90, Position(3))]);
            assert_eq!(block.dead().collect::<Vec<_>>(), [DeadRef { offset: 91, seq: 4, conflict: true }]);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (payload, header) = sample(4, b"the same text again and again");
        let mut packer = Packer::new();
        let value = packer.pack(&header, &payload).0.to_vec();
        let key = keys::block(header.first, header.seq);
        let mut block = Block::default();
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(block.read(&key, &flipped).is_err(), "bit {bit}");
        }
        for len in 0..value.len() {
            assert!(block.read(&key, &value[..len]).is_err(), "cut to {len}");
        }
        assert!(block.read(&keys::block(header.first, header.seq + 1), &value).is_err(), "moved");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(mut value in proptest::collection::vec(any::<u8>(), 0..300), sealed: bool) {
            if sealed && value.len() > HEADER_BYTES {
                value[0] = FORMAT;
                value[1] &= 1;
                let checksum = xxh3_64(&value);
                value.extend_from_slice(&checksum.to_be_bytes());
            }
            let key: Vec<u8> = value.get(24..40).unwrap_or_default().to_vec();
            let mut block = Block::default();
            if block.read(&key, &value).is_ok() {
                prop_assert_eq!(block.frames().count(), block.len());
            }
        }
    }
}
