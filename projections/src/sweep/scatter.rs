//! Frames by member: how members are cut into parts, and the frames of a part.

use super::pace::Pace;
use super::relatives::{Facts, Origin};
use super::{Across, Relatives, SweepOptions};
use crate::error::ProjectionError;
use crate::ledger::booked_of;
use accrue_ledger::{Body, Booked, Instant};
use accrue_proto::read_fact;
use accrue_store::{Frame, Position, ShardLog, member_hash};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

/// Into how many buckets hashes fall by their first bits; a part is some of them, one after the other.
const BUCKETS: usize = 4_096;
/// Parts that are folded out of one scan, about.
const PARTS_A_ROUND: usize = 48;
/// A part smaller than this is not worth a thread.
const PART_BYTES_MIN: usize = 256 * 1024;
/// What a frame takes beside its bytes.
const ITEM_BYTES: usize = size_of::<Item>();

/// Which members are in which part, and which parts are scattered by one scan.
pub(crate) struct Plan {
    /// The part of each bucket.
    parts: Vec<usize>,
    /// Bytes of each part, with what its frames take beside.
    bytes: Vec<usize>,
    /// Frames of each part.
    frames: Vec<usize>,
    /// Of a member whom a merge names: the hash that stands for all whom merges ever tied to it.
    ties: BTreeMap<u64, u64>,
    roots: BTreeSet<u64>,
    /// Parts together take at most this.
    round_bytes: usize,
}

/// What a scan of a slice of the log found: bytes and frames of each bucket, and who is tied to whom.
pub(super) struct Weights {
    buckets: Vec<(usize, usize)>,
    ties: Ties,
}

impl Weights {
    /// Weighs the members of a slice of the log; `also` sees every frame.
    pub fn of(
        (log, slice): (&ShardLog, &Range<Position>),
        (recorded, pace): (Option<Instant>, &Pace),
        mut also: impl FnMut(&Frame<'_>) -> Result<(), ProjectionError>,
    ) -> Result<Weights, ProjectionError> {
        let mut weights = Weights { buckets: vec![(0, 0); BUCKETS], ties: Ties::default() };
        log.for_each(slice.start, slice.end, |frame| -> Result<(), ProjectionError> {
            pace.take(weight(frame));
            also(frame)?;
            if is_asked_for(frame, recorded) {
                let (bytes, frames) = &mut weights.buckets[bucket(frame.member_hash)];
                (*bytes, *frames) = (*bytes + weight(frame), *frames + 1);
                if frame.kind.links_members() {
                    weights.ties.tie(frame)?;
                }
            }
            Ok(())
        })?;
        Ok(weights)
    }
}

impl Plan {
    /// Cuts the members into parts and rounds by the weights of all slices.
    pub(super) fn of(slices: &[Weights], options: SweepOptions) -> Plan {
        let (mut buckets, mut ties) = (vec![(0_usize, 0_usize); BUCKETS], Ties::default());
        for of_slice in slices {
            for (sum, of_bucket) in buckets.iter_mut().zip(&of_slice.buckets) {
                *sum = (sum.0 + of_bucket.0, sum.1 + of_bucket.1);
            }
            of_slice.ties.0.iter().for_each(|(hash, next)| ties.tie_hashes(*hash, *next));
        }
        // Half is for the slack of growing vectors and for what is being folded.
        let round_bytes = options.memory_bytes / 2;
        let all: usize = buckets.iter().map(|(bytes, _)| bytes).sum();
        let part_bytes = (all.min(round_bytes) / PARTS_A_ROUND).max(PART_BYTES_MIN);
        let (mut parts, mut bytes, mut frames) = (Vec::with_capacity(BUCKETS), vec![0_usize], vec![0_usize]);
        for (of_bucket, in_bucket) in buckets {
            if bytes.last().is_some_and(|last| *last > 0 && last + of_bucket > part_bytes) {
                bytes.push(0);
                frames.push(0);
            }
            let part = bytes.len() - 1;
            (bytes[part], frames[part]) = (bytes[part] + of_bucket, frames[part] + in_bucket);
            parts.push(part);
        }
        let ties = ties.resolved();
        Plan { parts, bytes, frames, roots: ties.values().copied().collect(), ties, round_bytes }
    }

    /// Facts of all.
    pub fn facts(&self) -> u64 {
        self.frames.iter().sum::<usize>() as u64
    }

    /// Parts that one scan scatters, one after the other.
    pub fn rounds(&self) -> Vec<Range<usize>> {
        let (mut rounds, mut first, mut sum) = (Vec::new(), 0, 0);
        for (part, bytes) in self.bytes.iter().enumerate() {
            if part > first && sum + bytes > self.round_bytes {
                rounds.push(first..part);
                (first, sum) = (part, 0);
            }
            sum += bytes;
        }
        rounds.push(first..self.bytes.len());
        rounds
    }

    /// Bytes that the parts of a round take together, about.
    pub(super) fn round_bytes(&self) -> usize {
        self.round_bytes
    }

    /// Bytes of some rounds.
    pub(super) fn bytes_of(&self, rounds: &[Range<usize>]) -> usize {
        rounds.iter().flat_map(|round| self.bytes.get(round.clone()).unwrap_or_default()).sum()
    }

    /// The part of members that are gathered under a hash.
    pub(super) fn part(&self, root: u64) -> usize {
        self.parts[bucket(root)]
    }

    /// The hash under which a member's facts are gathered.
    fn root(&self, hash: u64) -> u64 {
        self.ties.get(&hash).copied().unwrap_or(hash)
    }

    /// The frames of one of `slices` slices of the log that are in the parts of a round.
    pub(super) fn scatter(
        &self,
        log: &ShardLog,
        (slice, slices): (&Range<Position>, usize),
        round: &Range<usize>,
        (recorded, pace): (Option<Instant>, &Pace),
    ) -> Result<Vec<Heap>, ProjectionError> {
        let mut heaps = self.heaps(round, slices);
        self.each_asked_for((log, slice), (recorded, pace), |hash, part, frame| {
            if round.contains(&part) {
                let &Frame { position, fact, decision, .. } = frame;
                heaps[part - round.start].push(&HeapFrame { hash, position, fact, decision });
            }
            Ok(())
        })?;
        Ok(heaps)
    }

    /// The frames of a slice of the log that count, each with the hash under which it is gathered and its part.
    pub(super) fn each_asked_for(
        &self,
        (log, slice): (&ShardLog, &Range<Position>),
        (recorded, pace): (Option<Instant>, &Pace),
        mut each: impl FnMut(u64, usize, &Frame<'_>) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        log.for_each(slice.start, slice.end, |frame| {
            pace.take(weight(frame));
            if !is_asked_for(frame, recorded) {
                return Ok(());
            }
            let hash = self.root(frame.member_hash);
            each(hash, self.part(hash), frame)
        })
    }

    /// Empty ones for the parts of a round.
    pub(super) fn heaps(&self, round: &Range<usize>, slices: usize) -> Vec<Heap> {
        round.clone().map(|part| self.heap(part, slices)).collect()
    }

    /// One with room for what the part has in one of so many slices: growing would copy it all.
    fn heap(&self, part: usize, slices: usize) -> Heap {
        let share = |all: usize| if slices == 1 { all } else { all / slices + all / slices / 8 };
        let (bytes, frames) = (self.bytes[part], self.frames[part]);
        Heap { bytes: Vec::with_capacity(share(bytes - frames * ITEM_BYTES)), items: Vec::with_capacity(share(frames)) }
    }
}

fn is_asked_for(frame: &Frame<'_>, recorded: Option<Instant>) -> bool {
    // What came from other shards counts there; what nobody has decided counts nowhere.
    let counts = !frame.kind.is_of_hand_over() && (frame.decision.is_some() || !frame.kind.is_request());
    counts && !frame.kind.is_control() && recorded.is_none_or(|recorded| frame.recorded_at <= recorded)
}

fn bucket(hash: u64) -> usize {
    (hash >> (64 - BUCKETS.trailing_zeros())) as usize
}

fn weight(frame: &Frame<'_>) -> usize {
    frame.fact.len() + frame.decision.map_or(0, <[u8]>::len) + ITEM_BYTES
}

/// Members whom merges tie together, by hash.
#[derive(Default)]
struct Ties(BTreeMap<u64, u64>);

impl Ties {
    fn tie(&mut self, frame: &Frame<'_>) -> Result<(), ProjectionError> {
        let fact = read_fact(frame.fact).map_err(|error| ProjectionError::Frame { position: frame.position, error })?;
        if let Body::MembersMerged { loser } | Body::MembersUnmerged { loser } = fact.body {
            self.tie_hashes(frame.member_hash, member_hash(fact.program, loser));
        }
        Ok(())
    }

    /// The smallest of those who are tied together stands for them, whatever the order.
    fn tie_hashes(&mut self, one: u64, other: u64) {
        let (one, other) = (self.root(one), self.root(other));
        self.0.insert(one.max(other), one.min(other));
    }

    fn root(&self, mut hash: u64) -> u64 {
        while let Some(next) = self.0.get(&hash).filter(|next| **next != hash) {
            hash = *next;
        }
        hash
    }

    /// Each with its root.
    fn resolved(&self) -> BTreeMap<u64, u64> {
        self.0.keys().map(|hash| (*hash, self.root(*hash))).collect()
    }
}

/// A frame in a heap.
#[derive(Clone, Copy)]
struct Item {
    hash: u64,
    position: Position,
    start: usize,
    fact: u32,
    /// `None`: there is no decision.
    decision: Option<u32>,
}

/// What of a frame is gathered.
pub(super) struct HeapFrame<'a> {
    /// Under which it is.
    pub hash: u64,
    pub position: Position,
    pub fact: &'a [u8],
    pub decision: Option<&'a [u8]>,
}

/// Frames of a part, from one slice of the log.
pub(super) struct Heap {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

impl Heap {
    pub fn push(&mut self, frame: &HeapFrame<'_>) {
        let (start, decision) = (self.bytes.len(), frame.decision.map(|bytes| bytes.len() as u32));
        let &HeapFrame { hash, position, fact, .. } = frame;
        self.items.push(Item { hash, position, start, fact: fact.len() as u32, decision });
        self.bytes.extend_from_slice(fact);
        self.bytes.extend_from_slice(frame.decision.unwrap_or_default());
    }

    fn booked(&self, item: &Item) -> Result<(Booked<'_>, Origin<'_>), ProjectionError> {
        let fact_end = item.start + item.fact as usize;
        let decision = item.decision.map(|len| &self.bytes[fact_end..fact_end + len as usize]);
        let (position, fact) = (item.position, &self.bytes[item.start..fact_end]);
        let booked = booked_of(fact, decision).map_err(|error| ProjectionError::Frame { position, error })?;
        Ok((booked, Origin { position, fact }))
    }
}

/// Nearly always of one program: two whose members' hashes are the same are apart by name.
fn by_program<'a>((booked, origins): Facts<'a>) -> BTreeMap<&'a str, Facts<'a>> {
    let program = booked.first().map_or("", |booked| booked.fact.program);
    if booked.iter().all(|booked| booked.fact.program == program) {
        return BTreeMap::from([(program, (booked, origins))]);
    }
    let mut programs = BTreeMap::<&str, Facts<'a>>::new();
    for (booked, origin) in booked.into_iter().zip(origins) {
        let of_program = programs.entry(booked.fact.program).or_default();
        of_program.0.push(booked);
        of_program.1.push(origin);
    }
    programs
}

/// Members of a part of all hashes, with their facts.
pub(super) struct Part<'p> {
    plan: &'p Plan,
    shard: u32,
    number: usize,
    heaps: Vec<Heap>,
}

impl<'p> Part<'p> {
    pub fn new(plan: &'p Plan, shard: u32, number: usize) -> Part<'p> {
        Part { plan, shard, number, heaps: Vec::new() }
    }

    /// Its hashes. `None`: it has no bucket.
    fn hashes(&self) -> Option<RangeInclusive<u64>> {
        let parts = &self.plan.parts;
        let (first, end) =
            (parts.partition_point(|part| *part < self.number), parts.partition_point(|part| *part <= self.number));
        let from = |bucket: usize| (bucket as u64) << (64 - BUCKETS.trailing_zeros());
        (first < end).then(|| from(first)..=from(end - 1) | (u64::MAX >> BUCKETS.trailing_zeros()))
    }

    /// Heaps come in the order of their slices.
    pub fn push(&mut self, heap: Heap) {
        self.heaps.push(heap);
    }

    pub fn facts(&self) -> u64 {
        self.heaps.iter().map(|heap| heap.items.len() as u64).sum()
    }

    /// Gives the members one after the other, those that merges tie together at once, in the order of hashes; of those whose facts
    /// are in other shards, too, the families that this shard folds.
    pub fn each_family(
        &self,
        across: Option<&Across>,
        mut each: impl FnMut(&mut Relatives<'_>) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        let mut items: Vec<(&Heap, &Item)> =
            self.heaps.iter().flat_map(|heap| heap.items.iter().map(move |item| (heap, item))).collect();
        items.sort_unstable_by_key(|(_, item)| (item.hash, item.position));
        let homed = across.zip(self.hashes()).map(|(across, hashes)| across.of_shard(self.shard, hashes));
        let mut homed = homed.into_iter().flatten().peekable();
        for of_hash in items.chunk_by(|(_, one), (_, other)| one.hash == other.hash) {
            let mut all = (Vec::with_capacity(of_hash.len()), Vec::with_capacity(of_hash.len()));
            for (heap, item) in of_hash {
                let (booked, origin) = heap.booked(item)?;
                all.0.push(booked);
                all.1.push(origin);
            }
            let hash = of_hash.first().map_or(0, |(_, item)| item.hash);
            while let Some(family) = homed.next_if(|family| family.hash <= hash) {
                family.give(&mut each)?;
            }
            let tied = self.plan.roots.contains(&hash);
            for (program, booked) in by_program(all) {
                let is_across = |booked: &Booked<'_>| across.is_some_and(|across| across.has(program, booked.fact.member));
                if booked.0.first().is_some_and(is_across) {
                    continue;
                }
                each(&mut Relatives::new((hash, program), booked, tied))?;
            }
        }
        homed.try_for_each(|family| family.give(&mut each))
    }
}
