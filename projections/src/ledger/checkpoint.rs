//! A checkpoint: what is new goes to disk as sorted rows, in one atomic step with the position, while the writer goes on.

mod out;

use super::Ledger;
use super::judge::append_position;
use crate::codec;
use crate::error::ProjectionError;
use crate::rows::{DayRow, ShardRow, write_member};
use crate::tier::{Slot, Tier};
use accrue_ledger::Text;
use accrue_store::{Position, View, keys};
use out::Rows;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

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
    // Names beside their numbers: comparing does not go through all of memory.
    let mut order: Vec<(Text, Text, u32)> = (0_u32..)
        .zip(tier.slots.iter())
        .filter(|(_, slot)| slot.dirty)
        .map(|(number, slot)| (slot.program.clone(), slot.member.clone(), number))
        .collect();
    order.sort_unstable();
    let slots: Vec<&Slot> = order.iter().map(|(_, _, number)| &tier.slots[*number as usize]).collect();
    // Old rows of members that were folded again are read before anything is written.
    let (mut old_pages, mut old_positions) = (BTreeMap::new(), BTreeMap::new());
    for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.rewritten) {
        old_pages.insert(index, keys_of(view, slot, keys::entries_of)?);
        old_positions.insert(index, keys_of(view, slot, keys::index_of)?);
    }
    view.ingest_with(rest.next, |to| {
        let mut rows = Rows::new(to);
        for (identity, position) in tier.identities.ascending() {
            rows.put(|key| keys::identity(key, &identity), |row| append_position(row, position))?;
        }
        // The shard's own row: the state of the member without a name, which no member can be.
        rows.put(|key| keys::member(key, "", ""), |row| codec::write(&rest.shard, row))?;
        for slot in &slots {
            rows.put(|key| keys::member(key, &slot.program, &slot.member), |row| write_member(&slot.state, slot.first(), row))?;
        }
        let mut of_slot = Vec::new();
        for slot in &slots {
            of_slot.clear();
            of_slot.extend(slot.records.iter());
            of_slot.sort_unstable_by_key(|(key, _)| *key);
            for (record, span) in &of_slot {
                let key = |key: &mut Vec<u8>| keys::record(key, &slot.program, &slot.member, record.family, record.id);
                rows.put_bytes(key, tier.arena.get(*span))?;
            }
        }
        for (index, slot) in slots.iter().enumerate() {
            match old_pages.remove(&index) {
                Some(old) => rows.replace(old, |rows| rows.pages(tier, slot))?,
                None => rows.pages(tier, slot)?,
            }
        }
        for (index, slot) in slots.iter().enumerate() {
            match old_positions.remove(&index) {
                Some(old) => rows.replace(old, |rows| rows.positions(slot))?,
                None => rows.positions(slot)?,
            }
        }
        rows.coupons(tier)?;
        rows.look_ups(tier)?;
        for (key, day) in &rest.totals {
            rows.put(|name| name.clone_from(key), |row| codec::write(day, row))?;
        }
        Ok(())
    })
}

/// Keys of a member's old rows.
fn keys_of(view: &View, slot: &Slot, prefix_of: impl Fn(&mut Vec<u8>, &str, &str)) -> Result<Vec<Vec<u8>>, ProjectionError> {
    let mut prefix = Vec::new();
    prefix_of(&mut prefix, &slot.program, &slot.member);
    let mut keys = Vec::new();
    let mut old = view.scan_prefix(&prefix)?;
    while let Some((key, _)) = old.next_row()? {
        keys.push(key.to_vec());
    }
    Ok(keys)
}
