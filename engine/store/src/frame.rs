//! One frame: a fact or request as it was appended, with its decision.
//!
//! ```text
//! kind u8 | schema u8 | flags u8 | 00 | member_hash u64 | occurred_at i64 | offset i64
//! | fact_len u32 | decision_len u32 | checksum u32 | fact | decision          (big-endian, header 40 bytes)
//! flags: 1 late, 2 has a decision, 4 parked, 8 its decision is a rejection, 16 leads to facts of other members:
//! then decision_len counts | decision | each: len u32, fact | len u32 of all these | together
//! checksum: low half of xxh3 over everything but itself
//! ```
//! A scan can route or skip by the header without decoding the protobuf.

use crate::Position;
use accrue_ledger::{Instant, Kind};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) const HEADER_BYTES: usize = 40;
const CHECKSUM_AT: usize = 36;
const LATE: u8 = 1;
const HAS_DECISION: u8 = 2;
const PARKED: u8 = 4;
const REJECTED: u8 = 8;
const LEADS_ON: u8 = 16;
const FLAGS: u8 = LATE | HAS_DECISION | PARKED | REJECTED | LEADS_ON;
/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// What a frame says about its fact without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMeta {
    /// What it is.
    pub kind: Kind,
    /// Schema number of the protobuf, from 1.
    pub schema: u8,
    /// It came behind its member's latest fact (§1).
    pub late: bool,
    /// It is kept without effect until there are rules for it.
    pub parked: bool,
    /// Its decision is a rejection; ignored without one.
    pub rejected: bool,
    /// `member_hash(program, member)`.
    pub member_hash: u64,
    /// Its place in the member's history: the decision's `at` where there is one, else the fact's `occurred_at`.
    pub occurred_at: Instant,
    /// Where the source has it: Kafka offset or embedded sequence; −1: nowhere.
    pub offset: i64,
}

/// A frame as read: borrows from its block, or from a group that is not appended yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame<'a> {
    /// Its place in the shard.
    pub position: Position,
    /// When its group was begun, by the engine's clock.
    pub recorded_at: Instant,
    /// What it is.
    pub kind: Kind,
    /// Schema number of the protobuf.
    pub schema: u8,
    /// It came behind its member's latest fact (§1).
    pub late: bool,
    /// It is kept without effect until there are rules for it.
    pub parked: bool,
    /// Its decision is a rejection.
    pub rejected: bool,
    /// `member_hash(program, member)`.
    pub member_hash: u64,
    /// Its place in the member's history.
    pub occurred_at: Instant,
    /// Index of its source in [`crate::Head::sources`].
    pub source: u16,
    /// Where the source has it; −1: nowhere.
    pub offset: i64,
    /// Protobuf of the fact or request.
    pub fact: &'a [u8],
    /// Protobuf of the decision.
    pub decision: Option<&'a [u8]>,
    /// What it leads to for other members.
    pub derived: Derived<'a>,
}

/// Facts that follow from a frame for other members, to be sent on once it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Derived<'a>(&'a [u8]);

impl Derived<'_> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Iterator for Derived<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_at_checked(LENGTH_BYTES)?;
        let (fact, rest) = rest.split_at_checked(be_u32(len, 0) as usize)?;
        self.0 = rest;
        Some(fact)
    }
}

/// Appends a fact to the list that a frame leads to.
pub fn push_derived(list: &mut Vec<u8>, fact: &[u8]) {
    list.extend_from_slice(&length(fact).to_be_bytes());
    list.extend_from_slice(fact);
}

/// Appends a frame to `out`. `derived`: a list made by [`push_derived`].
pub(crate) fn encode(out: &mut Vec<u8>, meta: &FrameMeta, fact: &[u8], decision: Option<&[u8]>, derived: &[u8]) {
    let start = out.len();
    let mut flags = 0;
    for (set, bit) in [(meta.late, LATE), (meta.parked, PARKED)] {
        if set {
            flags |= bit;
        }
    }
    if decision.is_some() {
        flags |= HAS_DECISION;
        if meta.rejected {
            flags |= REJECTED;
        }
    }
    let decision = decision.unwrap_or_default();
    let leads_on = if derived.is_empty() { 0 } else { derived.len() + LENGTH_BYTES };
    if leads_on > 0 {
        flags |= LEADS_ON;
    }
    let mut header = [0; HEADER_BYTES];
    header[..3].copy_from_slice(&[meta.kind as u8, meta.schema, flags]);
    header[4..12].copy_from_slice(&meta.member_hash.to_be_bytes());
    header[12..20].copy_from_slice(&meta.occurred_at.0.to_be_bytes());
    header[20..28].copy_from_slice(&meta.offset.to_be_bytes());
    header[28..32].copy_from_slice(&length(fact).to_be_bytes());
    let decision_len = u32::try_from(decision.len() + leads_on).unwrap_or(u32::MAX);
    header[32..36].copy_from_slice(&decision_len.to_be_bytes());
    out.reserve(HEADER_BYTES + fact.len() + decision.len() + leads_on);
    out.extend_from_slice(&header);
    out.extend_from_slice(fact);
    out.extend_from_slice(decision);
    if leads_on > 0 {
        out.extend_from_slice(derived);
        out.extend_from_slice(&length(derived).to_be_bytes());
    }
    let checksum = checksum(&out[start..]);
    out[start + CHECKSUM_AT..start + HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
}

/// Lengths beyond u32 are refused by the group before they get here.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn checksum(frame: &[u8]) -> u32 {
    // Two one-shot hashes are cheaper than one streaming over two parts.
    let low = |hash: u64| hash as u32;
    low(xxh3_64(&frame[..CHECKSUM_AT])) ^ low(xxh3_64(&frame[HEADER_BYTES..])).rotate_left(16)
}

/// The bytes of a frame that starts `bytes`, checked against its checksum.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(bytes: &[u8]) -> Result<usize, &'static str> {
    let header = bytes.get(..HEADER_BYTES).ok_or("frame header is cut")?;
    let len = HEADER_BYTES + be_u32(header, 28) as usize + be_u32(header, 32) as usize;
    let frame = bytes.get(..len).ok_or("frame is cut")?;
    if be_u32(header, CHECKSUM_AT) != checksum(frame) {
        return Err("frame checksum differs");
    }
    if Kind::from_number(u32::from(header[0])).is_none() {
        return Err("frame kind is unknown to this version");
    }
    if header[2] & !FLAGS != 0 || header[3] != 0 {
        return Err("frame flags are unknown to this version");
    }
    Ok(len)
}

/// What all frames of a block share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    pub recorded_at: Instant,
    pub source: u16,
}

/// Reads a frame that `encode` wrote or `check` passed. `None`: neither did.
pub(crate) fn read(bytes: &[u8], position: Position, shared: Shared) -> Option<Frame<'_>> {
    let (header, body) = bytes.split_at_checked(HEADER_BYTES)?;
    let (fact, rest) = body.split_at_checked(be_u32(header, 28) as usize)?;
    let decision = rest.get(..be_u32(header, 32) as usize)?;
    let flags = header[2];
    let (decision, derived) = if flags & LEADS_ON == 0 { (decision, Derived::default()) } else { leads_on(decision)? };
    Some(Frame {
        position,
        recorded_at: shared.recorded_at,
        kind: Kind::from_number(u32::from(header[0]))?,
        schema: header[1],
        late: flags & LATE != 0,
        parked: flags & PARKED != 0,
        rejected: flags & REJECTED != 0,
        member_hash: be_u64(header, 4),
        occurred_at: Instant(be_u64(header, 12).cast_signed()),
        source: shared.source,
        offset: be_u64(header, 20).cast_signed(),
        fact,
        decision: (flags & HAS_DECISION != 0).then_some(decision),
        derived,
    })
}

/// The decision, and what stands behind it.
fn leads_on(bytes: &[u8]) -> Option<(&[u8], Derived<'_>)> {
    let (rest, len) = bytes.split_at_checked(bytes.len().checked_sub(LENGTH_BYTES)?)?;
    let (decision, derived) = rest.split_at_checked(rest.len().checked_sub(be_u32(len, 0) as usize)?)?;
    Some((decision, Derived(derived)))
}

/// Reads 4 big-endian bytes at `at`; the caller has checked that they are there.
pub(crate) fn be_u32(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(raw)
}

/// Reads 8 big-endian bytes at `at`; the caller has checked that they are there.
pub(crate) fn be_u64(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(raw)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn meta(offset: i64) -> FrameMeta {
        FrameMeta {
            kind: Kind::OrderPlaced,
            schema: 1,
            late: false,
            parked: false,
            rejected: false,
            member_hash: 7,
            occurred_at: Instant(1_000),
            offset,
        }
    }

    #[test]
    fn golden_bytes() {
        let mut out = Vec::new();
        encode(&mut out, &FrameMeta { late: true, rejected: true, ..meta(-1) }, b"fact", Some(b"no"), b"");
        let drawn = "10010b00 0000000000000007 00000000000003e8 ffffffffffffffff 00000004 00000002".replace(' ', "");
        let hex: String = out[..CHECKSUM_AT].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, drawn);
        assert_eq!(&out[HEADER_BYTES..], b"factno");
        assert_eq!(be_u32(&out, CHECKSUM_AT), checksum(&out));
        assert_eq!(check(&out), Ok(46));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut out = Vec::new();
        encode(&mut out, &meta(3), b"a fact of some length", Some(b"decision"), b"");
        for bit in 0..out.len() * 8 {
            let mut flipped = out.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&flipped).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn comes_back(
            kind in 0..Kind::ALL.len(), schema: u8, late: bool, parked: bool, rejected: bool, member_hash: u64, at: i64, offset: i64,
            fact in proptest::collection::vec(any::<u8>(), 0..300), decision in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
            derived in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..4),
        ) {
            let meta = FrameMeta { kind: Kind::ALL[kind], schema, late, parked, rejected, member_hash, occurred_at: Instant(at), offset };
            let (mut out, mut list) = (Vec::new(), Vec::new());
            derived.iter().for_each(|fact| push_derived(&mut list, fact));
            encode(&mut out, &meta, &fact, decision.as_deref(), &list);
            prop_assert_eq!(check(&out), Ok(out.len()));
            let shared = Shared { recorded_at: Instant(5), source: 2 };
            let frame = read(&out, Position(9), shared).expect("checked");
            prop_assert_eq!(frame, Frame {
                position: Position(9), recorded_at: Instant(5), kind: meta.kind, schema, late, parked,
                rejected: rejected && decision.is_some(), member_hash, occurred_at: Instant(at), source: 2, offset,
                fact: &fact, decision: decision.as_deref(), derived: Derived(&list),
            });
            prop_assert!(frame.derived.eq(derived.iter().map(Vec::as_slice)));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = check(&bytes);
            let _ = read(&bytes, Position(1), Shared { recorded_at: Instant(0), source: 0 });
        }
    }
}
