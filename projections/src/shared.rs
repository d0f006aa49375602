//! What the writer's half of a shard's ledger shares with its readers.

use crate::codec::BadRow;
use crate::error::ProjectionError;
use crate::filter::{Filter, Hashed};
use crate::generation::Flips;
use crate::milestones::{MilestoneOptions, Milestones};
use crate::programs::Programs;
use crate::rows::{RecordRow, read_first, read_member, read_positions};
use crate::tier::{Identity, Slot, Tier};
use crate::totals::Totals;
use crate::watched::Watched;
use accrue_ledger::{Custody, Instant, Links, Member, RecordKey, Text};
use accrue_store::{Position, ShardLog, View, keys, member_hash};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long a reader waits for the writer's sync before it gives up.
const DURABLE_WAIT: Duration = Duration::from_secs(10);

/// Shared between one writer and any number of readers.
pub struct Shared {
    /// The log below.
    pub log: ShardLog,
    /// Memory over disk, true at one position.
    pub tiers: RwLock<Tiers>,
    /// Everything before it is durable.
    durable: Mutex<Durable>,
    synced: Condvar,
    /// How long the writer's groups take.
    pub watched: Mutex<Watched>,
    /// Other rows that the writer is asked to go on with.
    pub flips: Flips,
    /// What answers about a past begin at.
    pub milestones: Milestones,
}

#[derive(Clone, Copy)]
struct Durable {
    next: Position,
    writer_gone: bool,
}

/// Memory over disk: what is in `live` hides what is in `frozen`, and that hides the view.
pub struct Tiers {
    /// Since the last checkpoint began.
    pub live: Tier,
    /// What the last checkpoint wrote or is writing.
    pub frozen: Option<Arc<Tier>>,
    /// On disk.
    pub view: View,
    /// No checkpoint was ever written: nothing needs to be looked up there.
    pub view_is_empty: bool,
    /// All identities and records' keys of the three, and perhaps others.
    pub known: Filter,
    /// Sums of everything.
    pub totals: Totals,
    /// Rules of everything.
    pub programs: Arc<Programs>,
    /// First position that is not part of it.
    pub next: Position,
    /// The latest instant folded.
    pub latest: Instant,
    /// Some members are or were aliases of others: whoever comes by name may be one.
    pub merges: bool,
}

impl Shared {
    /// Shares what was opened.
    pub fn new(log: ShardLog, tiers: Tiers, milestones: MilestoneOptions) -> Shared {
        let durable = Mutex::new(Durable { next: tiers.next, writer_gone: false });
        let milestones = Milestones::new(milestones);
        let (tiers, synced) = (RwLock::new(tiers), Condvar::new());
        Shared { log, tiers, durable, synced, watched: Mutex::default(), flips: Flips::default(), milestones }
    }

    /// Says that everything before `next` is durable.
    pub fn set_durable(&self, next: Position) {
        self.durable.lock().next = next;
        self.synced.notify_all();
    }

    /// Says that nothing more will become durable.
    pub fn set_writer_gone(&self) {
        self.durable.lock().writer_gone = true;
        self.synced.notify_all();
    }

    /// Nobody writes.
    pub fn is_writer_gone(&self) -> bool {
        self.durable.lock().writer_gone
    }

    /// Everything before this is durable.
    pub fn durable(&self) -> Position {
        self.durable.lock().next
    }

    /// Waits until more than what is before `next` is durable, or that long.
    pub fn wait_for_more(&self, next: Position, at_most: Duration) {
        let mut durable = self.durable.lock();
        if durable.next <= next {
            // Whoever waits looks for itself.
            let _ = self.synced.wait_for(&mut durable, at_most);
        }
    }

    /// Waits until everything before `next` is durable: nothing leaves the process before.
    pub fn wait_durable(&self, next: Position) -> Result<(), ProjectionError> {
        let mut durable = self.durable.lock();
        while durable.next < next {
            let late = self.synced.wait_for(&mut durable, DURABLE_WAIT).timed_out();
            if durable.next < next && (late || durable.writer_gone) {
                return Err(ProjectionError::NotDurable { shard: self.log.shard(), position: next });
            }
        }
        Ok(())
    }
}

impl Tiers {
    /// Keeps an identity.
    pub fn put_identity(&mut self, identity: Identity, position: Position) {
        self.known.insert(Hashed::identity(&identity));
        self.live.put_identity(identity, position);
    }

    /// Keeps a record of a member of the live tier.
    pub fn put_record(&mut self, slot: u32, key: RecordKey, row: &RecordRow) {
        let hashed = Hashed::record(self.live.slots[slot as usize].hash, key);
        if self.known.may_hold(hashed) {
            self.live.put_record(slot, key, row);
        } else {
            self.live.add_record(slot, key, row);
        }
        self.known.insert(hashed);
    }

    /// A member's state and the position it is true at, from memory.
    pub fn in_memory(&self, hash: u64, program: &str, member: &str) -> Option<&Slot> {
        if let Some(slot) = self.live.find(hash, program, member) {
            return Some(&self.live.slots[slot as usize]);
        }
        let frozen = self.frozen.as_deref()?;
        Some(&frozen.slots[frozen.find(hash, program, member)? as usize])
    }

    /// A member's state from wherever it is, and the position from which it may not be durable yet.
    pub fn state(&self, hash: u64, program: &str, member: &str) -> Result<Option<(Member, Position)>, ProjectionError> {
        if let Some(slot) = self.in_memory(hash, program, member) {
            return Ok((slot.state.facts > 0).then(|| (slot.state.clone(), slot.next)));
        }
        Ok(self.on_disk(program, member, read_member)?.map(|state| (state, Position::NONE)))
    }

    /// Makes a live slot of a frozen one, if there is one.
    pub fn thaw(&mut self, hash: u64, program: &str, member: &str) -> Option<u32> {
        let frozen = self.frozen.as_mut()?;
        let number = frozen.find(hash, program, member)? as usize;
        let slot = &frozen.slots[number];
        let (next, first) = (slot.next, slot.first());
        // When its checkpoint is written, nobody reads it there any more: live slots hide frozen ones.
        let state = match Arc::get_mut(frozen) {
            Some(frozen) => frozen.take_state(number),
            None => frozen.slots[number].state.clone(),
        };
        Some(self.live.insert(Slot::begin((hash, program, member), state, next, first)))
    }

    /// The member's slot in the live tier, made from wherever the member is.
    pub fn slot_of(&mut self, hash: u64, program: &str, member: &str) -> Result<u32, ProjectionError> {
        if let Some(slot) = self.live.find(hash, program, member).or_else(|| self.thaw(hash, program, member)) {
            return Ok(slot);
        }
        let found = self.on_disk(program, member, |row| Ok((read_member(row)?, read_first(row)?)))?;
        let (state, first) = found.unwrap_or_default();
        Ok(self.live.insert(Slot::begin((hash, program, member), state, Position::NONE, first)))
    }

    fn on_disk<T>(
        &self,
        program: &str,
        member: &str,
        read: impl Fn(&[u8]) -> Result<T, BadRow>,
    ) -> Result<Option<T>, ProjectionError> {
        let mut key = Vec::new();
        keys::member(&mut key, program, member);
        Ok(self.view.get(&key)?.map(|row| read(&row)).transpose()?)
    }

    /// The first position of a member's own; `NONE`: there is none.
    pub fn first(&self, hash: u64, program: &str, member: &str) -> Result<Position, ProjectionError> {
        if let Some(slot) = self.in_memory(hash, program, member) {
            return Ok(slot.first());
        }
        Ok(self.on_disk(program, member, read_first)?.unwrap_or(Position::NONE))
    }

    /// The member that this one is an alias of.
    pub fn winner(&self, hash: u64, program: &str, member: &str) -> Result<Option<Text>, ProjectionError> {
        if !self.merges {
            return Ok(None);
        }
        if let Some(slot) = self.in_memory(hash, program, member) {
            return Ok(slot.state.winner().cloned());
        }
        let state = self.state(hash, program, member)?;
        Ok(state.and_then(|(state, _)| state.winner().cloned()))
    }

    /// What is known of the merges of somebody: inside, none; outside, nothing is known of it at all.
    pub fn links(&self, program: &str, member: &str) -> Result<Option<Option<Links>>, ProjectionError> {
        let hash = member_hash(program, member);
        if let Some(slot) = self.in_memory(hash, program, member) {
            return Ok((slot.state.facts > 0).then(|| slot.state.links().cloned()));
        }
        if !self.merges {
            // Whether there is a row is enough: a state of many lots takes its time.
            return Ok(self.on_disk(program, member, |_| Ok(()))?.map(|()| None));
        }
        Ok(self.state(hash, program, member)?.map(|(state, _)| state.links().cloned()))
    }

    /// Where a member's facts count: of somebody whom no merge names, here, if there are any.
    pub fn custody(&self, program: &str, member: &str) -> Result<Custody, ProjectionError> {
        let links = self.links(program, member)?;
        Ok(links.map(|links| links.map_or_else(Custody::at_home, |links| links.custody)).unwrap_or_default())
    }

    /// Whether a member's facts are part of a state here; `None`: nothing is known of it.
    pub fn counts_here(&self, program: &str, member: &str) -> Result<Option<bool>, ProjectionError> {
        Ok(self.links(program, member)?.map(|links| links.is_none_or(|links| links.served)))
    }

    /// Everybody whom merges ever tied to a member, itself included.
    pub fn family(&self, program: &str, member: &str) -> Result<BTreeSet<Text>, ProjectionError> {
        let tied = self.links(program, member)?.flatten().map(|links| links.family).unwrap_or_default();
        Ok(tied.into_iter().chain([Text::new(member)]).collect())
    }

    /// Whether two names mean the same member, as far as is known here.
    pub fn one_member(&self, program: &str, a: &str, b: &str) -> bool {
        let winner = |member: &str| {
            let links = self.links(program, member).ok().flatten().flatten();
            links.map(|links| links.winner).filter(|winner| !winner.is_empty()).unwrap_or_else(|| Text::new(member))
        };
        a == b || (self.merges && winner(a) == winner(b))
    }

    /// The positions of a member's facts, ascending.
    pub fn positions(&self, hash: u64, program: &str, member: &str) -> Result<Vec<Position>, ProjectionError> {
        let mut positions = Vec::new();
        let live = self.live.find(hash, program, member).map(|slot| &self.live.slots[slot as usize]);
        let frozen = self.frozen.as_deref().and_then(|tier| Some(&tier.slots[tier.find(hash, program, member)? as usize]));
        let replaced = live.is_some_and(|slot| slot.rewritten);
        if !replaced && !frozen.is_some_and(|slot| slot.rewritten) {
            let mut prefix = Vec::new();
            keys::index_of(&mut prefix, program, member);
            let mut rows = self.view.scan_prefix(&prefix)?;
            while let Some((_, row)) = rows.next_row()? {
                read_positions(row, &mut positions)?;
            }
        }
        if !replaced {
            positions.extend(frozen.into_iter().flat_map(|slot| &slot.positions).copied().map(Position));
        }
        positions.extend(live.into_iter().flat_map(|slot| &slot.positions).copied().map(Position));
        // What a checkpoint has just written is in memory as well.
        positions.sort_unstable();
        positions.dedup();
        Ok(positions)
    }

    /// A record's row from wherever it is.
    pub fn record(&self, hash: u64, program: &str, member: &str, key: RecordKey) -> Result<Option<RecordRow>, ProjectionError> {
        let in_tier = |tier: &Tier| -> Option<Result<RecordRow, crate::codec::BadRow>> {
            let slot = tier.find(hash, program, member)?;
            tier.record(slot, key).map(RecordRow::read)
        };
        if let Some(row) = in_tier(&self.live).or_else(|| self.frozen.as_deref().and_then(in_tier)) {
            return Ok(Some(row?));
        }
        let mut name = Vec::new();
        keys::record(&mut name, program, member, key.family, key.id);
        Ok(self.view.get(&name)?.map(|row| RecordRow::read(&row)).transpose()?)
    }

    /// All records of a member, by key.
    pub fn records(
        &self,
        hash: u64,
        program: &str,
        member: &str,
    ) -> Result<std::collections::BTreeMap<RecordKey, RecordRow>, ProjectionError> {
        let mut records = std::collections::BTreeMap::new();
        let mut prefix = Vec::new();
        keys::records_of(&mut prefix, program, member);
        let mut rows = self.view.scan_prefix(&prefix)?;
        while let Some((name, row)) = rows.next_row()? {
            if let Some(keys::ViewKey::Record { kind, hash, .. }) = keys::parse_view(name) {
                records.insert(RecordKey { family: kind, id: hash }, RecordRow::read(row)?);
            }
        }
        for tier in self.frozen.as_deref().into_iter().chain([&self.live]) {
            let Some(slot) = tier.find(hash, program, member) else {
                continue;
            };
            for (key, span) in tier.slots[slot as usize].records.iter() {
                records.insert(key, RecordRow::read(tier.arena.get(span))?);
            }
        }
        Ok(records)
    }
}
