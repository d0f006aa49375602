//! A late fact: that member alone is folded again from its beginning, with the fact in its place (§1).

use super::book::{Booking, Page, keep_parts};
use super::{Ledger, hand_over};
use crate::error::ProjectionError;
use crate::filter::Hashed;
use crate::rows::{RecordRow, remembered};
use crate::shared::Tiers;
use crate::tier::{Tier, weight};
use crate::totals::Totals;
use accrue_ledger::{Booked, Decision, EntryRef, Fact, Instant, Kind, Member, RecordKey, Sink, Timeline, replay, waits};
use accrue_proto::{Malformed, read_decision, read_fact};
use accrue_store::{Frame, Group, Position, ShardLog};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

/// The bytes of a member's facts and decisions, in order of position.
#[derive(Default)]
pub struct History {
    frames: Vec<Kept>,
    /// Requests that nobody has decided yet: they count for nothing.
    undecided: Vec<Kept>,
    /// Some of it came through other shards.
    unsettled: bool,
}

pub(super) struct Kept {
    pub position: Position,
    recorded_at: Instant,
    pub fact: Vec<u8>,
    pub decision: Option<Vec<u8>>,
}

impl Kept {
    pub fn fact(&self) -> Result<Fact<'_>, ProjectionError> {
        read_fact(&self.fact).map_err(|error| ProjectionError::Frame { position: self.position, error })
    }

    fn booked(&self) -> Result<Booked<'_>, Malformed> {
        booked_of(&self.fact, self.decision.as_deref())
    }
}

/// A fact as it was booked, from the bytes of its frame.
pub(crate) fn booked_of<'a>(fact: &'a [u8], decision: Option<&[u8]>) -> Result<Booked<'a>, Malformed> {
    let decision = decision.map(read_decision).transpose()?;
    Ok(Booked { fact: read_fact(fact)?, decision })
}

impl History {
    /// Reads them from the log, and from a group that is not appended yet.
    /// `recorded`: only what was recorded at or before this instant.
    pub fn read(
        log: &ShardLog,
        positions: &[Position],
        recorded: Option<Instant>,
        pending: Option<&Group>,
    ) -> Result<History, ProjectionError> {
        let mut history = History::read_all(log, positions, recorded, pending)?;
        if history.unsettled {
            history.settle()?;
        }
        Ok(history)
    }

    /// The same with everything that stands there, requests that came and their decisions apart.
    pub(super) fn read_all(
        log: &ShardLog,
        positions: &[Position],
        recorded: Option<Instant>,
        pending: Option<&Group>,
    ) -> Result<History, ProjectionError> {
        let mut history = History::default();
        let mut keep = |frame: &Frame<'_>| -> Result<(), ProjectionError> {
            if recorded.is_some_and(|recorded| frame.recorded_at > recorded) {
                return Ok(());
            }
            let (fact, decision) = hand_over::content(frame)?;
            history.unsettled |= frame.kind == Kind::FactForwarded || (frame.kind.is_request() && decision.is_none());
            history.frames.push(Kept {
                position: frame.position,
                recorded_at: frame.recorded_at,
                fact: fact.to_vec(),
                decision: decision.map(<[u8]>::to_vec),
            });
            Ok(())
        };
        let appended = log.head().next_position;
        let in_log = positions.partition_point(|position| *position < appended);
        log.read_many(positions[..in_log].iter().copied(), &mut keep)?;
        for position in &positions[in_log..] {
            if let Some(frame) = pending.and_then(|group| group.read(*position)) {
                keep(&frame)?;
            }
        }
        Ok(history)
    }

    /// The same with what other shards know: everything once.
    pub(crate) fn with(mut self, others: Vec<History>) -> Result<History, ProjectionError> {
        let undecided = std::mem::take(&mut self.undecided);
        self.frames.extend(undecided);
        for other in others {
            self.frames.extend(other.frames.into_iter().chain(other.undecided));
        }
        self.settle()?;
        Ok(self)
    }

    /// A request that was decided in another shard stands here twice: as it came, and with its decision.
    fn settle(&mut self) -> Result<(), ProjectionError> {
        let mut decided = BTreeSet::new();
        let mut read = Vec::with_capacity(self.frames.len());
        for kept in &self.frames {
            let fact = kept.fact()?;
            let identity = accrue_store::identity(fact.program, fact.source, fact.id);
            let waits = fact.kind.is_request() && kept.decision.is_none();
            if !waits {
                decided.insert(identity);
            }
            read.push((identity, waits));
        }
        let mut seen = BTreeSet::new();
        let mut settled = Vec::with_capacity(self.frames.len());
        for (kept, (identity, waits)) in std::mem::take(&mut self.frames).into_iter().zip(read) {
            if waits && decided.contains(&identity) || !seen.insert(identity) {
                continue;
            }
            if waits { self.undecided.push(kept) } else { settled.push(kept) }
        }
        self.frames = settled;
        Ok(())
    }

    /// Requests that wait for somebody to decide.
    pub(super) fn undecided(&self) -> &[Kept] {
        &self.undecided
    }

    /// The bytes of the facts, in the order of [`History::booked`].
    pub(super) fn frames(&self) -> &[Kept] {
        &self.frames
    }

    /// Where they are, in the order of [`History::booked`].
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.frames.iter().map(|frame| frame.position)
    }

    /// The same, and when each was recorded.
    pub fn places(&self) -> impl Iterator<Item = (Position, Instant)> {
        self.frames.iter().map(|frame| (frame.position, frame.recorded_at))
    }

    /// Nothing of it came through other shards, or waits for a decision.
    pub fn is_settled(&self) -> bool {
        !self.unsettled
    }

    /// The facts and decisions.
    pub fn booked(&self) -> Result<Vec<Booked<'_>>, ProjectionError> {
        let bad = |position| move |error| ProjectionError::Frame { position, error };
        self.frames.iter().map(|frame| frame.booked().map_err(bad(frame.position))).collect()
    }
}

/// Takes entries back out of the totals.
pub(super) struct Undo<'a> {
    pub program: &'a str,
    pub rules: &'a Timeline,
    pub totals: &'a mut Totals,
}

impl Sink for Undo<'_> {
    fn entry(&mut self, _: u32, entry: &EntryRef<'_>) {
        if let Some(rules) = self.rules.at(entry.at) {
            self.totals.add(self.program, rules, entry, -1);
        }
    }
}

impl Ledger {
    pub(super) fn fold_again(
        &mut self,
        tiers: &mut Tiers,
        slot: u32,
        booking: &Booking<'_>,
        decision: Option<&Decision>,
    ) -> Result<bool, ProjectionError> {
        let (fact, rules) = (booking.candidate.fact, booking.rules);
        let (hash, program, member) = (booking.candidate.hash, fact.program, fact.member);
        let mut positions = tiers.positions(hash, program, member)?;
        let history = History::read(&self.shared.log, &positions, None, booking.pending)?;
        let mut booked = history.booked()?;
        replay(rules, &mut booked, &mut Undo { program, rules, totals: &mut tiers.totals });
        booked.push(Booked { fact: fact.clone(), decision: decision.cloned() });
        positions.push(booking.position);
        let known = tiers.records(hash, program, member)?;

        let (mut parts, mut codes) = (SmallVec::new(), Vec::new());
        let (bytes, _) = tiers.live.arena.open();
        let mut page = Page { program, rules, first: 0, bytes, parts: &mut parts, totals: &mut tiers.totals, codes: &mut codes };
        let (state, mut records) = replay(rules, &mut booked, &mut page);
        let end = bytes.len();
        let parked = waits(fact, &records);
        let mut rows: BTreeMap<RecordKey, RecordRow> =
            known.into_iter().map(|(key, row)| (key, RecordRow { record: None, ..row })).collect();
        for (key, record) in records.drain_changed() {
            rows.entry(key).or_default().record = record;
        }
        if let Some((key, version)) = remembered(fact) {
            rows.entry(key).or_default().firsts.push((version, booking.position.0));
        }
        let positions = positions.into_iter().map(|position| position.0).collect();
        let rows = rows.into_iter().collect();
        Again { state, rows, codes, positions }.replace(tiers, slot, &parts, end);
        Ok(parked)
    }
}

/// Everything derived of a member, made anew.
pub(super) struct Again {
    pub state: Member,
    /// Ascending, each key once.
    pub rows: Vec<(RecordKey, RecordRow)>,
    pub codes: Vec<(Box<str>, RecordKey)>,
    /// Of the member's own facts.
    pub positions: Vec<u64>,
}

impl Again {
    /// Takes the place of what there was. `parts`, `end`: the entries, the last that was written into the arena.
    pub fn replace(self, tiers: &mut Tiers, slot: u32, parts: &[(u32, usize)], end: usize) {
        let hash = tiers.live.slots[slot as usize].hash;
        self.rows.iter().for_each(|(key, _)| tiers.known.insert(Hashed::record(hash, *key)));
        self.put(&mut tiers.live, slot, (parts, end), Tier::put_record);
    }

    /// The same of a member that has nothing in a tier yet of which nobody asks what it knows.
    pub fn begin(self, tier: &mut Tier, slot: u32, parts: &[(u32, usize)], end: usize) {
        self.put(tier, slot, (parts, end), Tier::add_record);
    }

    fn put(
        self,
        live: &mut Tier,
        slot: u32,
        (parts, end): (&[(u32, usize)], usize),
        put_record: impl Fn(&mut Tier, u32, RecordKey, &RecordRow),
    ) {
        let of = &mut live.slots[slot as usize];
        of.pages.clear();
        // Before anything else goes into the arena: records may open its next chunk.
        keep_parts(of, &live.arena, parts, end);
        for (key, row) in self.rows {
            put_record(live, slot, key, &row);
        }
        live.coupons.extend(self.codes.into_iter().map(|(code, key)| (slot, code, key)));
        let of = &mut live.slots[slot as usize];
        let before = weight(&of.state);
        (of.state, of.positions) = (self.state, self.positions);
        (of.first_entry, of.rewritten) = (0, true);
        live.bytes = (live.bytes + weight(&of.state) + of.positions.len() * 8).saturating_sub(before);
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::LedgerOptions;
    use crate::reader::AsOf;
    use crate::story::Desk;
    use accrue_ledger::Instant;
    use accrue_proto::json::{Defaults, fact_from_json};

    const RULES: &str = "program = \"p\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
    /// Orders of the member: their entries and records, written again with each, are more than two chunks of the arena.
    const ORDERS: u32 = 180;

    #[test]
    fn a_chunk_that_ends_between_entries_and_records_mixes_nothing_up() {
        let dir = tempfile::tempdir().expect("dir");
        let mut desk = Desk::open(dir.path(), LedgerOptions::default()).expect("opens");
        desk.activate("p", RULES, Instant(0)).expect("in force");
        let now = Instant::parse("2025-01-01T00:00:00Z").expect("an instant");
        for n in (0..ORDERS).rev() {
            let text = format!(
                r#"{{"id": "{n}", "source": "s", "program": "p", "member": "m", "occurred_at": "2024-03-01T10:{:02}:{:02}Z",
                   "order_placed": {{"order_id": "order-{n}", "currency": "GBP",
                   "lines": [{{"line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00"}}]}}}}"#,
                n / 60,
                n % 60
            );
            let fact = fact_from_json(text.as_bytes(), &Defaults::default()).expect("valid");
            let mut bytes = Vec::new();
            accrue_proto::write_fact(&fact, &mut bytes);
            desk.deliver(&bytes).expect("delivered");
            let entries = desk.reader().expect("open").entries("p", "m", AsOf::default(), now).expect("reads").expect("a member");
            let sources: Vec<String> = entries.into_iter().map(|entry| entry.source).collect();
            assert_eq!(sources, (n..ORDERS).map(|n| format!("order-{n}")).collect::<Vec<_>>());
        }
        desk.checkpoint().expect("written");
    }
}
