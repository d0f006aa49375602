//! A checkpoint: what is new goes to disk as sorted rows, in one atomic step with the position, while the writer goes on.

use super::Ledger;
use super::judge::position_row;
use crate::codec;
use crate::error::ProjectionError;
use crate::rows::{CouponRow, DayRow, PAGE_ENTRIES_MAX, ShardRow, page_row, write_positions};
use crate::tier::{Identity, Slot, Tier};
use accrue_ledger::RecordKey;
use accrue_store::{Position, View, keys};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

type Row = (Vec<u8>, Option<Vec<u8>>);

/// The checkpoint that is being written, if any: at most one.
#[derive(Default)]
pub struct Checkpointer {
    running: Option<JoinHandle<Result<(), ProjectionError>>>,
}

impl Checkpointer {
    /// Waits for the running one.
    pub fn join(&mut self, shard: u32) -> Result<(), ProjectionError> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.join().unwrap_or_else(|_| Err(ProjectionError::Checkpoint { shard, detail: "its thread panicked".into() }))
    }

    fn finished(&self) -> bool {
        self.running.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

/// Everything one checkpoint writes beside its tier.
struct Rest {
    next: Position,
    shard: ShardRow,
    totals: Vec<(Vec<u8>, DayRow)>,
}

impl Ledger {
    /// Whether memory since the last checkpoint is at its bound.
    pub(super) fn checkpoint_due(&self) -> bool {
        let tiers = self.shared.tiers.read();
        tiers.live.memory() >= self.options.delta_bytes_max || tiers.live.facts >= self.options.checkpoint_facts
    }

    pub(super) fn checkpoint_if_due(&mut self, force: bool) -> Result<(), ProjectionError> {
        let shard = self.shared.log.shard();
        if self.checkpointer.finished() || force {
            self.checkpointer.join(shard)?;
        }
        let unwritten = || {
            let tiers = self.shared.tiers.read();
            Ok::<bool, ProjectionError>(tiers.next > tiers.view.next_position()?)
        };
        if self.checkpoint_due() || (force && unwritten()?) {
            // One at a time: a writer that is faster than the disk waits here.
            self.checkpointer.join(shard)?;
            self.start_checkpoint()?;
        }
        if force { self.checkpointer.join(shard) } else { Ok(()) }
    }

    fn start_checkpoint(&mut self) -> Result<(), ProjectionError> {
        let shard = self.shared.log.shard();
        let mut tiers = self.shared.tiers.write();
        let like = Tier::like(&tiers.live);
        let tier = Arc::new(std::mem::replace(&mut tiers.live, like));
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
            write(&view, &tier, &rest)?;
            shared.tiers.write().view_is_empty = false;
            Ok(())
        });
        let spawned = spawned.map_err(|error| ProjectionError::Checkpoint { shard, detail: error.to_string() })?;
        self.checkpointer.running = Some(spawned);
        Ok(())
    }
}

fn write(view: &View, tier: &Tier, rest: &Rest) -> Result<(), ProjectionError> {
    let mut order: Vec<u32> = (0..tier.slots.len() as u32).filter(|&slot| tier.slots[slot as usize].dirty).collect();
    order.sort_by(|&a, &b| {
        let key = |slot: u32| (&*tier.slots[slot as usize].program, &*tier.slots[slot as usize].member);
        key(a).cmp(&key(b))
    });
    let slots = || order.iter().map(|&slot| (slot, &tier.slots[slot as usize]));
    let mut identities: Vec<(&Identity, &Position)> = tier.identities.iter().collect();
    identities.sort_unstable();
    // Old rows of members that were folded again are read before anything is written.
    let mut replaced: BTreeMap<u32, (Vec<Row>, Vec<Row>)> = BTreeMap::new();
    for (number, slot) in slots().filter(|(_, slot)| slot.rewritten) {
        replaced.insert(
            number,
            (replace(view, slot, pages(tier, slot), keys::entries_of)?, replace(view, slot, positions(slot), keys::index_of)?),
        );
    }
    let replaced = &replaced;
    let identities = identities.into_iter().map(|(identity, position)| {
        let mut key = Vec::with_capacity(16);
        keys::identity(&mut key, identity);
        (key, Some(position_row(*position)))
    });
    let states = slots().map(|(_, slot)| named(slot, keys::member, |row| codec::write(&slot.state, row)));
    let records = slots().flat_map(|(number, slot)| records(tier, number, slot));
    let pages =
        slots().flat_map(|(number, slot)| replaced.get(&number).map_or_else(|| pages(tier, slot), |(pages, _)| pages.clone()));
    let index =
        slots().flat_map(|(number, slot)| replaced.get(&number).map_or_else(|| positions(slot), |(_, index)| index.clone()));
    let totals = rest.totals.iter().map(|(key, row)| (key.clone(), Some(encoded(row))));
    let rows = identities
        .chain([shard_row(rest)])
        .chain(states)
        .chain(records)
        .chain(pages)
        .chain(index)
        .chain(coupons(tier))
        .chain(look_ups(tier))
        .chain(totals);
    view.ingest(rest.next, rows)?;
    Ok(())
}

fn encoded<T: bincode::Encode>(value: &T) -> Vec<u8> {
    let mut row = Vec::new();
    codec::write(value, &mut row);
    row
}

/// The shard's own row: the state of the member without a name, which no member can be.
fn shard_row(rest: &Rest) -> Row {
    let mut key = Vec::new();
    keys::member(&mut key, "", "");
    (key, Some(encoded(&rest.shard)))
}

fn named(slot: &Slot, key: impl Fn(&mut Vec<u8>, &str, &str), value: impl FnOnce(&mut Vec<u8>)) -> Row {
    let (mut name, mut row) = (Vec::with_capacity(32), Vec::with_capacity(256));
    key(&mut name, &slot.program, &slot.member);
    value(&mut row);
    (name, Some(row))
}

fn records(tier: &Tier, number: u32, slot: &Slot) -> Vec<Row> {
    let mut of_slot: Vec<RecordKey> = slot.record_keys.clone();
    of_slot.sort_unstable();
    let rows = of_slot.into_iter().filter_map(|key| {
        let row = tier.record(number, key)?;
        let mut name = Vec::with_capacity(40);
        keys::record(&mut name, &slot.program, &slot.member, key.family, key.id);
        Some((name, Some(row.to_vec())))
    });
    rows.collect()
}

fn pages(tier: &Tier, slot: &Slot) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut page_first = None;
    for (first, bytes) in tier.pages(slot) {
        let open = page_first.filter(|page| first - page < PAGE_ENTRIES_MAX);
        if let (Some(_), Some((_, Some(row)))) = (open, rows.last_mut()) {
            row.extend_from_slice(bytes);
            continue;
        }
        page_first = Some(first);
        let mut name = Vec::with_capacity(40);
        keys::entries(&mut name, &slot.program, &slot.member, first);
        rows.push((name, Some(page_row(bytes))));
    }
    rows
}

fn positions(slot: &Slot) -> Vec<Row> {
    let Some(first) = slot.positions.first() else {
        return Vec::new();
    };
    let mut name = Vec::with_capacity(40);
    keys::index(&mut name, &slot.program, &slot.member, Position(*first));
    vec![(name, Some(write_positions(&slot.positions)))]
}

/// New rows, and the deletion of old ones that have no successor.
fn replace(
    view: &View,
    slot: &Slot,
    new: Vec<Row>,
    prefix_of: impl Fn(&mut Vec<u8>, &str, &str),
) -> Result<Vec<Row>, ProjectionError> {
    let mut prefix = Vec::new();
    prefix_of(&mut prefix, &slot.program, &slot.member);
    let mut rows: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    let mut old = view.scan_prefix(&prefix)?;
    while let Some((key, _)) = old.next_row()? {
        rows.insert(key.to_vec(), None);
    }
    rows.extend(new);
    Ok(rows.into_iter().collect())
}

fn look_ups(tier: &Tier) -> impl Iterator<Item = Row> + use<'_> {
    let mut rows = BTreeMap::new();
    for ((program, hash, member), holds) in &tier.look_ups {
        let mut name = Vec::new();
        keys::look_ups_of(&mut name, program, hash);
        name.extend_from_slice(member.as_bytes());
        rows.insert(name, holds.then(Vec::new));
    }
    rows.into_iter()
}

fn coupons(tier: &Tier) -> impl Iterator<Item = Row> + use<> {
    let mut rows = BTreeMap::new();
    for (slot, code, key) in &tier.coupons {
        let slot = &tier.slots[*slot as usize];
        let mut name = Vec::new();
        keys::coupon(&mut name, &slot.program, code);
        rows.insert(name, Some(encoded(&CouponRow { member: slot.member.to_string(), key: *key })));
    }
    rows.into_iter()
}
