//! Memory that a group will need is asked for before it is needed: many members at once, so that the waits overlap. What is
//! read is thrown away.

use crate::filter::{Filter, Hashed};
use crate::shared::Tiers;
use crate::tier::{Slot, Tier};
use accrue_ledger::RecordKey;
use accrue_store::Candidate;
use std::hint::black_box;

/// Members touched at once: what they bring stays in the fast caches until it is used.
pub(super) const AT_ONCE: usize = 32;

/// What the filter is asked of a candidate: its identity and its natural id.
pub(super) type Keys = (Hashed, Option<Hashed>);

/// What the filter is asked of the candidates of a group and where they are in the live tier, in order.
#[derive(Default)]
pub(super) struct Ahead {
    pub keys: Vec<Keys>,
    pub slots: Vec<Option<u32>>,
    next: usize,
}

impl Ahead {
    /// Takes over what is asked of the next group.
    pub fn begin(&mut self, candidates: &[Candidate<'_>]) {
        self.clear();
        self.keys.extend(candidates.iter().map(keys));
    }

    /// … and where it is.
    pub fn find(&mut self, tier: &Tier, candidates: &[Candidate<'_>]) {
        self.slots.extend(candidates.iter().map(|candidate| tier.with_hash(candidate.hash)));
    }

    /// Slots have other numbers from now on.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.keys.clear();
        self.next = 0;
    }

    /// The next candidate is at hand: now and then, touches what the ones behind it will need.
    pub fn step(&mut self, tiers: &Tiers) {
        if self.next.is_multiple_of(AT_ONCE) {
            let tier = &tiers.live;
            filter(&tiers.known, self.keys.iter().skip(self.next).take(AT_ONCE).copied());
            let behind = self.slots.iter().skip(self.next).take(AT_ONCE);
            self::slots(&behind.filter_map(|number| tier.slots.get((*number)? as usize)).collect::<Vec<&Slot>>());
        }
        self.next += 1;
    }
}

/// Step by step from what points to what is pointed to: within a step, no read waits for another.
pub(super) fn slots(slots: &[&Slot]) {
    heads(slots.iter().copied());
    let lists = slots.iter().map(|slot| {
        let state = &slot.state;
        let account = state.accounts.first().map_or(0, |account| account.sums.active ^ account.sums.forgiven);
        let open = state.open.first().map_or(0, |redemption| redemption.points);
        let last = slot.positions.last().copied().unwrap_or(0) ^ u64::from(slot.pages.last().map_or(0, |page| page.first));
        account ^ open ^ last.cast_signed() ^ i64::from(slot.records.last().is_some())
    });
    black_box(lists.fold(0, |all, one| all ^ one));
    let lots = slots.iter().map(|slot| {
        let ends = slot.state.accounts.first().map_or(0, |account| {
            account.active.back().map_or(0, |lot| lot.left) ^ account.pending.back().map_or(0, |lot| lot.left)
        });
        slot.state.next_boundary().0 ^ ends
    });
    black_box(lots.fold(0, |all, one| all ^ one));
}

/// The slots themselves, which are several lines of the cache long.
pub(super) fn heads<'a>(slots: impl Iterator<Item = &'a Slot>) {
    let heads = slots.map(|slot| {
        let state = &slot.state;
        let counts = u64::from(state.facts) ^ state.accounts.len() as u64 ^ state.entries_hash ^ slot.records.len() as u64;
        counts ^ slot.hash ^ slot.next.0 ^ slot.positions.len() as u64 ^ slot.member.len() as u64 ^ u64::from(state.known)
    });
    black_box(heads.fold(0, |all, one| all ^ one));
}

/// The beginnings of some bytes.
pub(super) fn bytes<'a>(all: impl Iterator<Item = &'a [u8]>) {
    black_box(all.fold(0, |sum, bytes| sum ^ bytes.first().copied().unwrap_or(0)));
}

fn keys(candidate: &Candidate<'_>) -> Keys {
    let natural = candidate.fact.natural_key().map(|natural| RecordKey::new(natural.kind, natural.id));
    (Hashed::identity(&candidate.identity), natural.map(|key| Hashed::record(candidate.hash, key)))
}

/// What the filter has of identities and natural ids.
pub(super) fn filter(known: &Filter, keys: impl Iterator<Item = Keys>) {
    let lines = keys.map(|(identity, natural)| known.touch(identity) ^ natural.map_or(0, |natural| known.touch(natural)));
    black_box(lines.fold(0, |all, one| all ^ one));
}
