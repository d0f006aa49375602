//! A checkpoint: what is new goes to disk as sorted rows, in one atomic step with the position, while the writer goes on.

mod out;

use super::judge::append_position;
use super::{Ledger, touch};
use crate::codec;
use crate::error::ProjectionError;
use crate::filter;
use crate::rows::{DayRow, ShardRow, write_member};
use crate::tier::{PagePart, Slot, Span, Tier};
use accrue_ledger::{RecordKey, Text};
use accrue_store::{Position, View, keys};
use out::Rows;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A generation beside the live one has this part of the memory: nobody decides on it.
const BESIDE: usize = 9;

/// The checkpoint that is being written, if any: at most one.
#[derive(Default)]
pub struct Checkpointer {
    running: Option<JoinHandle<Result<(), ProjectionError>>>,
}

impl Checkpointer {
    /// Waits for the running one. `false`: there was none.
    pub fn join(&mut self, shard: u32) -> Result<bool, ProjectionError> {
        let Some(running) = self.running.take() else { return Ok(false) };
        let panicked = |_| Err(ProjectionError::Checkpoint { shard, detail: "its thread panicked".into() });
        running.join().unwrap_or_else(panicked).map(|()| true)
    }

    fn finished(&self) -> bool {
        self.running.as_ref().is_some_and(JoinHandle::is_finished)
    }

    fn is_writing(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.is_finished())
    }
}

/// Everything one checkpoint writes beside its tier.
#[derive(Default)]
pub(super) struct Rest {
    pub next: Position,
    pub shard: ShardRow,
    pub totals: Vec<(Vec<u8>, DayRow)>,
}

impl Ledger {
    /// Whether memory since the last checkpoint is at its bound.
    pub(super) fn checkpoint_due(&self) -> bool {
        let tiers = self.shared.tiers.read();
        tiers.live.memory() >= self.bytes_max() || tiers.live.facts >= self.options.checkpoint_facts
    }

    /// Memory since the last checkpoint, at most.
    fn bytes_max(&self) -> usize {
        if self.is_beside { self.options.delta_bytes_max / BESIDE } else { self.options.delta_bytes_max }
    }

    /// Whether there is no more room for what the last checkpoint wrote.
    fn is_full(&self) -> bool {
        let tiers = self.shared.tiers.read();
        let frozen = tiers.frozen.as_deref();
        frozen.is_some_and(|frozen| tiers.live.memory() + frozen.memory() >= self.bytes_max() / 3 * 5)
    }

    /// Waits for the one that is being written, if any.
    pub(super) fn end_checkpoint(&mut self) -> Result<(), ProjectionError> {
        if self.checkpointer.join(self.shared.log.shard())? {
            self.shared.tiers.write().view_is_empty = false;
        }
        Ok(())
    }

    /// As [`Ledger::checkpoint_if_due`] of a ledger that follows: whoever flips must not wait behind it as long as there is memory.
    pub(super) fn make_room(&mut self) -> Result<(), ProjectionError> {
        let has_memory = || self.shared.tiers.read().live.memory() < self.options.delta_bytes_max;
        if self.checkpointer.is_writing() && has_memory() { Ok(()) } else { self.checkpoint_if_due(false) }
    }

    pub(super) fn checkpoint_if_due(&mut self, force: bool) -> Result<(), ProjectionError> {
        if self.checkpointer.finished() || force {
            self.end_checkpoint()?;
        }
        let unwritten = || {
            let tiers = self.shared.tiers.read();
            Ok::<bool, ProjectionError>(tiers.next > tiers.view.next_position()?)
        };
        if self.checkpoint_due() || (force && unwritten()?) {
            // One at a time: a writer that is faster than the disk waits here.
            self.end_checkpoint()?;
            self.start_checkpoint()?;
        } else if self.is_full() {
            // What is on disk is in memory only to be near.
            self.end_checkpoint()?;
            let near = self.shared.tiers.write().frozen.take();
            // Some hundred thousand pieces of memory take long to give back; without a thread, it is done here.
            let _ = std::thread::Builder::new().name("let-go".to_owned()).spawn(move || drop(near));
        }
        if force { self.end_checkpoint() } else { Ok(()) }
    }

    fn start_checkpoint(&mut self) -> Result<(), ProjectionError> {
        let shard = self.shared.log.shard();
        let mut tiers = self.shared.tiers.write();
        let like = Tier::like(&tiers.live);
        let tier = Arc::new(std::mem::replace(&mut tiers.live, like));
        self.ahead.clear();
        let before = tiers.frozen.replace(Arc::clone(&tier));
        let totals = tiers.totals.iter().map(|(program, ledger, day, row)| {
            let mut key = Vec::new();
            keys::totals(&mut key, program, ledger, day);
            (key, *row)
        });
        let mut totals: Vec<(Vec<u8>, DayRow)> = totals.collect();
        totals.sort_by(|a, b| a.0.cmp(&b.0));
        let row = ShardRow { activations: tiers.programs.activations(), latest: tiers.latest.0, merges: tiers.merges };
        let rest = Rest { next: tiers.next, shard: row, totals };
        let view = tiers.view.clone();
        drop(tiers);
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new().name(format!("checkpoint-{shard}")).spawn(move || {
            drop(before);
            // Without it the next start reads the keys of the view: no reason to stop.
            if let Err(error) = filter::keep(&shared, &view, rest.next) {
                tracing::warn!(shard, %error, "the filter is not kept: the next start takes longer");
            }
            write((&view, 0), &tier, &rest)
        });
        let spawned = spawned.map_err(|error| ProjectionError::Checkpoint { shard, detail: error.to_string() })?;
        self.checkpointer.running = Some(spawned);
        Ok(())
    }
}

/// A member's program and id, and its slot: names beside numbers, so that comparing does not go through all of memory.
type Named = (Text, Text, u32);

/// What a member's slot has for the rows behind those of the states, by its place in the order of names: a slot is looked at once.
#[derive(Default)]
struct Behind {
    records: Vec<(u32, RecordKey, Span)>,
    pages: Vec<(u32, PagePart)>,
    /// Positions of all, and where each member's end.
    positions: Vec<u64>,
    ends: Vec<usize>,
}

/// Rows of members that were folded again: read before anything is written.
#[derive(Default)]
struct Old {
    pages: BTreeMap<u32, Vec<Vec<u8>>>,
    positions: BTreeMap<u32, Vec<Vec<u8>>>,
}

/// `lane`: others write into the view at the same time.
pub(super) fn write((view, lane): (&View, usize), tier: &Tier, rest: &Rest) -> Result<(), ProjectionError> {
    let mut order: Vec<Named> = (0_u32..)
        .zip(tier.slots.iter())
        .filter(|(_, slot)| slot.dirty)
        .map(|(number, slot)| (slot.program.clone(), slot.member.clone(), number))
        .collect();
    order.sort_unstable();
    let mut old = Old::default();
    for (place, (program, member, number)) in (0_u32..).zip(&order) {
        if tier.slots[*number as usize].rewritten {
            old.pages.insert(place, keys_of(view, |prefix| keys::entries_of(prefix, program, member))?);
            old.positions.insert(place, keys_of(view, |prefix| keys::index_of(prefix, program, member))?);
        }
    }
    view.ingest_beside(lane, rest.next, |to| {
        let mut rows = Rows::new(to);
        for (identity, position) in tier.identities.ascending() {
            rows.put(|key| keys::identity(key, &identity), |row| append_position(row, position))?;
        }
        // The shard's own row: the state of the member without a name, which no member can be.
        rows.put(|key| keys::member(key, "", ""), |row| codec::write(&rest.shard, row))?;
        let behind = write_states(&mut rows, tier, &order)?;
        write_behind(&mut rows, tier, &order, behind, old)?;
        rows.coupons(tier)?;
        rows.look_ups(tier)?;
        for (key, day) in &rest.totals {
            rows.put(|name| name.clone_from(key), |row| codec::write(day, row))?;
        }
        Ok(())
    })
}

fn write_states(rows: &mut Rows<'_, '_>, tier: &Tier, order: &[Named]) -> Result<Behind, ProjectionError> {
    let mut behind = Behind::default();
    for (first, some) in (0_u32..).step_by(touch::AT_ONCE).zip(order.chunks(touch::AT_ONCE)) {
        let slots: SmallVec<[&Slot; touch::AT_ONCE]> = some.iter().map(|(_, _, number)| &tier.slots[*number as usize]).collect();
        touch::slots(&slots);
        for (place, slot) in (first..).zip(&slots) {
            rows.put(|key| keys::member(key, &slot.program, &slot.member), |row| write_member(&slot.state, slot.first(), row))?;
            let begun = behind.records.len();
            behind.records.extend(slot.records.iter().map(|(key, span)| (place, key, span)));
            behind.records[begun..].sort_unstable_by_key(|(_, key, _)| *key);
            behind.pages.extend(slot.pages.iter().map(|part| (place, *part)));
            behind.positions.extend(&slot.positions);
            behind.ends.push(behind.positions.len());
        }
    }
    Ok(behind)
}

fn write_behind(
    rows: &mut Rows<'_, '_>,
    tier: &Tier,
    order: &[Named],
    behind: Behind,
    mut old: Old,
) -> Result<(), ProjectionError> {
    for some in behind.records.chunks(touch::AT_ONCE) {
        touch::bytes(some.iter().map(|(_, _, span)| tier.arena.get(*span)));
        for (place, record, span) in some {
            let (program, member, _) = &order[*place as usize];
            rows.put_bytes(|key| keys::record(key, program, member, record.family, record.id), tier.arena.get(*span))?;
        }
    }
    let mut pages = behind.pages.as_slice();
    for (place, (program, member, _)) in (0_u32..).zip(order) {
        let (own, others) = pages.split_at(pages.iter().take_while(|(of, _)| *of == place).count());
        if (place as usize).is_multiple_of(touch::AT_ONCE) {
            touch::bytes(others.iter().take(touch::AT_ONCE).map(|(_, part)| tier.arena.get(part.span)));
        }
        pages = others;
        let own = own.iter().map(|(_, part)| (part.first, tier.arena.get(part.span)));
        match old.pages.remove(&place) {
            Some(old) => rows.replace(old, |rows| rows.pages((program, member), own))?,
            None => rows.pages((program, member), own)?,
        }
    }
    let mut begin = 0;
    for ((place, end), (program, member, _)) in (0_u32..).zip(behind.ends).zip(order) {
        let own = &behind.positions[begin..end];
        begin = end;
        match old.positions.remove(&place) {
            Some(old) => rows.replace(old, |rows| rows.positions((program, member), own))?,
            None => rows.positions((program, member), own)?,
        }
    }
    Ok(())
}

/// Keys of a member's old rows.
fn keys_of(view: &View, prefix_of: impl Fn(&mut Vec<u8>)) -> Result<Vec<Vec<u8>>, ProjectionError> {
    let mut prefix = Vec::new();
    prefix_of(&mut prefix);
    let mut keys = Vec::new();
    let mut old = view.scan_prefix(&prefix)?;
    while let Some((key, _)) = old.next_row()? {
        keys.push(key.to_vec());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use crate::digest::Digest;
    use crate::ledger::LedgerOptions;
    use crate::story::{Delivered, Desk};
    use accrue_ledger::Instant;
    use accrue_proto::json::{Defaults, fact_from_json};
    use accrue_store::member_hash;

    const RULES: &str = "program = \"p\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
    /// A chunk of the arena is this; with the last checkpoint's, that is more than two thirds on top.
    const NO_ROOM: usize = 1024 * 1024 * 6 / 5;

    fn orders(of: std::ops::Range<u32>) -> Vec<Vec<u8>> {
        let order = |n: u32| {
            let text = format!(
                r#"{{"id": "{n}", "source": "s", "program": "p", "member": "m{}", "occurred_at": "2024-03-01T10:{:02}:{:02}Z",
                   "order_placed": {{"order_id": "order-{n}", "currency": "GBP",
                   "lines": [{{"line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00"}}]}}}}"#,
                n % 5,
                n / 60,
                n % 60
            );
            let fact = fact_from_json(text.as_bytes(), &Defaults::default()).expect("valid");
            let mut bytes = Vec::new();
            accrue_proto::write_fact(&fact, &mut bytes);
            bytes
        };
        of.map(order).collect()
    }

    fn known(desk: &mut Desk, of: std::ops::Range<u32>) -> usize {
        let all = desk.deliver_group(&orders(of)).expect("taken");
        all.iter().filter(|one| matches!(one, Delivered::Duplicate { .. })).count()
    }

    /// Facts around checkpoints; whether what the last one wrote stayed near; the digest, live and after a start.
    fn run(delta_bytes_max: usize) -> (bool, [Digest; 2]) {
        let dir = tempfile::tempdir().expect("dir");
        let options = LedgerOptions { delta_bytes_max, ..LedgerOptions::default() };
        let mut desk = Desk::open(dir.path(), options).expect("opens");
        desk.activate("p", RULES, Instant(0)).expect("in force");
        for n in 0..10 {
            assert_eq!(known(&mut desk, n * 10..n * 10 + 10), 0);
            desk.checkpoint().expect("written");
            assert_eq!(known(&mut desk, 0..n * 10 + 10), n as usize * 10 + 10);
        }
        assert_eq!(known(&mut desk, 100..103), 0);
        let near = {
            let tiers = desk.ledger().expect("open").shared.tiers.read();
            let frozen = tiers.frozen.as_deref().map(|tier| {
                let state =
                    |member: &str| &tier.slots[tier.find(member_hash("p", member), "p", member).expect("there") as usize].state;
                // Members of the facts since have their states in the live tier, and only there.
                assert_eq!(["m0", "m1", "m2"].map(|member| state(member).facts), [0; 3]);
            });
            frozen.is_some()
        };
        let live = desk.reader().expect("open").digest("p").expect("reads");
        desk.reopen().expect("opens");
        (near, [live, desk.reader().expect("open").digest("p").expect("reads")])
    }

    #[test]
    fn states_move_out_of_a_written_checkpoint_and_what_finds_no_room_is_read_from_disk() {
        let (near, digests) = run(LedgerOptions::default().delta_bytes_max);
        assert!(near && digests[0] == digests[1]);
        assert_eq!(run(NO_ROOM), (false, digests));
    }
}
