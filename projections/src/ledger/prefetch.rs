//! One pass over the disk for a whole group: states, identities and records that its facts may need.

use super::touch::{self, Keys};
use super::{Ledger, judge};
use crate::error::ProjectionError;
use crate::filter::Hashed;
use crate::rows::{RecordRow, read_first, read_member};
use crate::shared::Tiers;
use crate::tier::{HashedMap, Identity, Slot, Tier};
use accrue_ledger::{Body, Fact, Instant, Member, Needs, RecordKey, Records, needs};
use accrue_store::{Candidate, Position, keys};
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
    /// Brings every member of a group into the live tier, and asks the disk for what else its facts may need, all at once.
    pub(super) fn prefetch(&mut self, candidates: &[Candidate<'_>]) -> Result<(), ProjectionError> {
        self.fetch(candidates, true)
    }

    /// The same for facts that are in the log: nobody asks whether they are new.
    pub(super) fn prefetch_for_replay(&mut self, candidates: &[Candidate<'_>]) -> Result<(), ProjectionError> {
        self.fetch(candidates, false)
    }

    fn fetch(&mut self, candidates: &[Candidate<'_>], identities: bool) -> Result<(), ProjectionError> {
        self.prefetched.clear();
        let shared = Arc::clone(&self.shared);
        let mut asking = std::mem::take(&mut self.asking);
        asking.clear();
        self.ahead.begin(candidates);
        {
            let tiers = shared.tiers.read();
            touch::filter(&tiers.known, self.ahead.keys.iter().copied());
            touch_slots(&tiers, candidates);
            for (index, (candidate, keys)) in candidates.iter().zip(&self.ahead.keys).enumerate() {
                ask(&tiers, (index, candidate, *keys), identities, &mut asking);
            }
        }
        for index in &asking.frozen {
            let candidate = &candidates[*index];
            let (hash, program, member) = (candidate.hash, candidate.fact.program, candidate.fact.member);
            // A lock each: readers wait for a member, not for a group.
            let mut tiers = shared.tiers.write();
            if tiers.live.find(hash, program, member).is_none() {
                tiers.thaw(hash, program, member);
            }
        }
        self.look_up(candidates, &mut asking)?;
        {
            let tiers = shared.tiers.read();
            self.ahead.find(&tiers.live, candidates);
            for (candidate, slot) in candidates.iter().zip(&self.ahead.slots) {
                let slot = slot.and_then(|number| tiers.live.slots.get(number as usize));
                slot.into_iter().for_each(|slot| ask_of_ending(&tiers, (slot, candidate.fact.occurred_at), &mut asking));
            }
        }
        self.look_up(candidates, &mut asking)?;
        self.asking = asking;
        Ok(())
    }

    /// What the disk has of the keys asked for, which are none afterwards.
    fn look_up(&mut self, candidates: &[Candidate<'_>], asking: &mut Asking) -> Result<(), ProjectionError> {
        if asking.keys.is_empty() {
            return Ok(());
        }
        asking.sort();
        let shared = Arc::clone(&self.shared);
        // Only the writer takes another view.
        let view = shared.tiers.read().view.clone();
        let found = view.multi_get(&asking.names().collect::<Vec<&[u8]>>())?;
        for ((_, asked), row) in asking.keys.iter().zip(&found) {
            match asked {
                Asked::State(index) => {
                    let Some(row) = row else { continue };
                    let (state, first) = (read_member(row)?, read_first(row)?);
                    let candidate = &candidates[*index];
                    let (hash, program, member) = (candidate.hash, candidate.fact.program, candidate.fact.member);
                    let mut tiers = shared.tiers.write();
                    if tiers.live.find(hash, program, member).is_none() {
                        tiers.live.insert(Slot::begin((hash, program, member), state, Position::NONE, first));
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
        asking.clear();
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
}

/// What looking for the candidates reads.
fn touch_slots(tiers: &Tiers, candidates: &[Candidate<'_>]) {
    let mut slots = Vec::with_capacity(candidates.len());
    slots.extend(candidates.iter().filter_map(|candidate| {
        let frozen = || tiers.frozen.as_deref().and_then(|tier| tier.slots.get(tier.with_hash(candidate.hash)? as usize));
        let live = tiers.live.with_hash(candidate.hash).and_then(|number| tiers.live.slots.get(number as usize));
        live.or_else(frozen)
    }));
    touch::heads(slots.into_iter());
}

fn ask(
    tiers: &Tiers,
    (index, candidate, (of_identity, of_natural)): (usize, &Candidate<'_>, Keys),
    identities: bool,
    asking: &mut Asking,
) {
    let fact = candidate.fact;
    let find = |tier: &Tier| tier.find(candidate.hash, fact.program, fact.member);
    let live = find(&tiers.live).map(|slot| (&tiers.live, slot));
    let frozen = tiers.frozen.as_deref().and_then(|tier| Some((tier, find(tier)?)));
    let known = live.or(frozen);
    if live.is_none() && known.is_some() {
        asking.frozen.push(index);
    }
    if tiers.view_is_empty {
        return;
    }
    let identity = candidate.identity;
    if identities && tiers.known.may_hold(of_identity) && judge::identity_in_memory(tiers, &identity).is_none() {
        asking.add(Asked::Identity(identity), |name| keys::identity(name, &identity));
    }
    if known.is_none() {
        asking.add(Asked::State(index), |name| keys::member(name, fact.program, fact.member));
    }
    let natural = fact.natural_key().map(|natural| RecordKey::new(natural.kind, natural.id));
    if let Some(natural) = natural.filter(|_| of_natural.is_some_and(|key| tiers.known.may_hold(key))) {
        asking.add_record(candidate, natural);
    }
    let is_near = |key| live.into_iter().chain(frozen).any(|(tier, slot)| tier.record(slot, key).is_some());
    let state = known.map(|(tier, slot)| &tier.slots[slot as usize].state);
    for key in told_of(fact, state.unwrap_or(&asking.nobody)) {
        if Some(key) != natural && tiers.known.may_hold(Hashed::record(candidate.hash, key)) && !is_near(key) {
            asking.add_record(candidate, key);
        }
    }
}

/// Records of coupons that end by themselves before a fact: what the state has of them is put back into their rows.
fn ask_of_ending(tiers: &Tiers, (slot, at): (&Slot, Instant), asking: &mut Asking) {
    if tiers.view_is_empty || slot.state.due > at {
        return;
    }
    let frozen = tiers.frozen.as_deref();
    let in_frozen = frozen.and_then(|tier| Some((tier, tier.find(slot.hash, &slot.program, &slot.member)?)));
    for redemption in slot.state.open.iter().filter(|redemption| redemption.next_boundary() <= at) {
        let key = redemption.key();
        let is_near = slot.records.get(key).is_some() || in_frozen.is_some_and(|(tier, slot)| tier.record(slot, key).is_some());
        if !is_near {
            asking.add(Asked::Record(slot.hash, key), |name| {
                keys::record(name, &slot.program, &slot.member, key.family, key.id);
            });
        }
    }
}

/// Records of what a fact refers to, as far as the fact alone says it.
fn told_of(fact: &Fact<'_>, state: &Member) -> Vec<RecordKey> {
    match &fact.body {
        // Its own, and nothing else.
        Body::OrderPlaced(placed) if placed.coupons.is_empty() => Vec::new(),
        _ => match needs(state, &Records::default(), fact) {
            Needs::Records(keys) => keys,
            Needs::Nothing | Needs::AllOrders => Vec::new(),
        },
    }
}

/// Keys of one pass, all in one piece of memory.
#[derive(Default)]
pub struct Asking {
    bytes: Vec<u8>,
    name: Vec<u8>,
    keys: Vec<((u32, u32), Asked)>,
    /// Candidates whose member is frozen.
    frozen: Vec<usize>,
    /// The state of a member of whom nothing is in memory.
    nobody: Member,
}

impl Asking {
    fn clear(&mut self) {
        self.bytes.clear();
        self.keys.clear();
        self.frozen.clear();
    }

    fn add(&mut self, asked: Asked, key: impl FnOnce(&mut Vec<u8>)) {
        self.name.clear();
        key(&mut self.name);
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&self.name);
        self.keys.push(((start, self.bytes.len() as u32), asked));
    }

    fn add_record(&mut self, candidate: &Candidate<'_>, key: RecordKey) {
        let fact = candidate.fact;
        self.add(Asked::Record(candidate.hash, key), |name| {
            keys::record(name, fact.program, fact.member, key.family, key.id);
        });
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
