//! One pass over the disk for a whole group: states, identities and records that its facts may need.

use super::{Ledger, judge};
use crate::error::ProjectionError;
use crate::filter::Hashed;
use crate::rows::{RecordRow, read_first, read_member};
use crate::shared::Tiers;
use crate::tier::{HashedMap, Identity, Slot};
use accrue_ledger::{Member, RecordKey, Text};
use accrue_store::{Candidate, Position, keys};
use parking_lot::RwLockUpgradableReadGuard;
use std::sync::Arc;

/// What one pass found; a key that is here with `None` is not on disk.
#[derive(Default)]
pub struct Prefetched {
    identities: HashedMap<Identity, Option<Position>>,
    records: HashedMap<(u64, RecordKey), Option<Box<[u8]>>>,
}

impl Prefetched {
    fn clear(&mut self) {
        self.identities.clear();
        self.records.clear();
    }

    /// What the disk says of an identity; `None`: was not asked.
    pub fn identity(&self, identity: &Identity) -> Option<Option<Position>> {
        self.identities.get(identity).copied()
    }
}

/// What a key was asked for.
enum Asked {
    State(usize),
    Identity(Identity),
    Record(u64, RecordKey),
}

impl Ledger {
    pub(super) fn prefetch(&mut self, candidates: &[Candidate<'_>]) -> Result<(), ProjectionError> {
        self.prefetched.clear();
        let shared = Arc::clone(&self.shared);
        let tiers = shared.tiers.upgradable_read();
        if tiers.view_is_empty {
            return Ok(());
        }
        let mut asking = std::mem::take(&mut self.asking);
        asking.clear();
        for (index, candidate) in candidates.iter().enumerate() {
            ask(&tiers, index, candidate, &mut asking);
        }
        if asking.keys.is_empty() {
            self.asking = asking;
            return Ok(());
        }
        asking.sort();
        let found = tiers.view.multi_get(&asking.names().collect::<Vec<&[u8]>>())?;
        let mut states = Vec::new();
        for ((_, asked), row) in asking.keys.iter().zip(&found) {
            match asked {
                Asked::State(index) => {
                    if let Some(row) = row {
                        states.push((*index, read_member(row)?, read_first(row)?));
                    }
                }
                Asked::Identity(identity) => {
                    let position = row.as_ref().map(|row| judge::read_position(row)).transpose()?;
                    self.prefetched.identities.insert(*identity, position);
                }
                Asked::Record(hash, key) => {
                    self.prefetched.records.insert((*hash, *key), row.as_ref().map(|row| (**row).into()));
                }
            }
        }
        drop(found);
        self.asking = asking;
        let mut tiers = RwLockUpgradableReadGuard::upgrade(tiers);
        for (index, state, first) in states {
            let candidate = &candidates[index];
            let (hash, program, member) = (candidate.hash, candidate.fact.program, candidate.fact.member);
            if tiers.live.find(hash, program, member).is_none() {
                tiers.live.insert(new_slot((hash, program, member), state, Position::NONE, first));
            }
        }
        Ok(())
    }

    /// A record from memory, from what was fetched before, or from disk.
    pub(super) fn fetch_record(&self, tiers: &Tiers, slot: u32, key: RecordKey) -> Result<Option<RecordRow>, ProjectionError> {
        if let Some((_, row)) = self.site.as_ref().filter(|(known, _)| *known == key) {
            return Ok(Some(row.clone()));
        }
        let of = &tiers.live.slots[slot as usize];
        if !tiers.known.may_hold(Hashed::record(of.hash, key)) {
            return Ok(None);
        }
        if let Some(row) = tiers.live.record(slot, key) {
            return Ok(Some(RecordRow::read(row)?));
        }
        self.fetch_old_record(tiers, of.hash, &of.program, &of.member, key)
    }

    /// The same for a member that may not be in the live tier.
    pub(super) fn fetch_old_record(
        &self,
        tiers: &Tiers,
        hash: u64,
        program: &str,
        member: &str,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, ProjectionError> {
        let frozen = tiers.frozen.as_deref();
        let in_frozen = frozen.and_then(|tier| tier.record(tier.find(hash, program, member)?, key));
        if let Some(row) = in_frozen {
            return Ok(Some(RecordRow::read(row)?));
        }
        if tiers.view_is_empty {
            return Ok(None);
        }
        if let Some(fetched) = self.prefetched.records.get(&(hash, key)) {
            return Ok(fetched.as_ref().map(|row| RecordRow::read(row)).transpose()?);
        }
        tiers.record(hash, program, member, key)
    }

    /// The member's slot in the live tier, from wherever the member is.
    pub(super) fn slot_of(&self, tiers: &mut Tiers, hash: u64, program: &str, member: &str) -> Result<u32, ProjectionError> {
        if let Some(slot) = tiers.live.find(hash, program, member) {
            return Ok(slot);
        }
        let (state, next, first) = tiers.kept(hash, program, member)?;
        let slot = new_slot((hash, program, member), state, next, first);
        Ok(tiers.live.insert(slot))
    }
}

fn ask(tiers: &Tiers, index: usize, candidate: &Candidate<'_>, asking: &mut Asking) {
    let fact = candidate.fact;
    let identity = candidate.identity;
    if tiers.known.may_hold(Hashed::identity(&identity)) && judge::identity_in_memory(tiers, &identity).is_none() {
        asking.add(Asked::Identity(identity), |name| keys::identity(name, &identity));
    }
    if tiers.in_memory(candidate.hash, fact.program, fact.member).is_none() {
        asking.add(Asked::State(index), |name| keys::member(name, fact.program, fact.member));
    }
    if let Some(natural) = fact.natural_key() {
        let key = RecordKey::new(natural.kind, natural.id);
        if !tiers.known.may_hold(Hashed::record(candidate.hash, key)) {
            return;
        }
        asking.add(Asked::Record(candidate.hash, key), |name| {
            keys::record(name, fact.program, fact.member, key.family, key.id);
        });
    }
}

/// Keys of one pass, all in one piece of memory.
#[derive(Default)]
pub struct Asking {
    bytes: Vec<u8>,
    name: Vec<u8>,
    keys: Vec<((u32, u32), Asked)>,
}

impl Asking {
    fn clear(&mut self) {
        self.bytes.clear();
        self.keys.clear();
    }

    fn add(&mut self, asked: Asked, key: impl FnOnce(&mut Vec<u8>)) {
        self.name.clear();
        key(&mut self.name);
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&self.name);
        self.keys.push(((start, self.bytes.len() as u32), asked));
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let name = |(start, end): (u32, u32)| &bytes[start as usize..end as usize];
        self.keys.sort_unstable_by(|a, b| name(a.0).cmp(name(b.0)));
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|((start, end), _)| &self.bytes[*start as usize..*end as usize])
    }
}

fn new_slot((hash, program, member): (u64, &str, &str), state: Member, next: Position, first_before: Position) -> Slot {
    let (first_entry, program, member) = (state.entries, Text::new(program), Text::new(member));
    Slot { hash, program, member, state, next, first_before, first_entry, ..Slot::default() }
}
