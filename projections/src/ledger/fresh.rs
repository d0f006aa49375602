//! Members folded from their whole history into a tier that begins with them: what a generation is made of.

use super::book::Page;
use super::checkpoint::{Rest, write};
use super::person::found_by;
use super::refold::Again;
use crate::error::ProjectionError;
use crate::filter::{Filter, Hashed};
use crate::rows::{RecordRow, remembered};
use crate::sweep::Origin;
use crate::tier::{Slot, Tier};
use crate::totals::Totals;
use accrue_ledger::{Booked, Instant, Kind, Member, RecordKey, Text, Timeline, replay};
use accrue_store::{Position, ShardLog, View, identity, member_hash};
use smallvec::SmallVec;

/// Some members, and what their entries sum up to.
pub(crate) struct Fresh<'a> {
    log: &'a ShardLog,
    secret: [u8; 32],
    tier: Tier,
    pub totals: Totals,
    /// The latest instant folded.
    pub latest: Instant,
}

impl<'a> Fresh<'a> {
    pub fn new(log: &'a ShardLog, secret: [u8; 32]) -> Fresh<'a> {
        Fresh { log, secret, tier: Tier::default(), totals: Totals::default(), latest: Instant::MIN }
    }

    /// Takes in a member whom no merge names, with all its facts, ascending by position.
    pub fn take_in(
        &mut self,
        (program, member, rules): (&str, &str, &Timeline),
        booked: &mut [Booked<'_>],
        origins: &[Origin<'_>],
    ) -> Result<(), ProjectionError> {
        let hash = member_hash(program, member);
        self.note_look_ups(booked, origins)?;
        let mut rows: Vec<(RecordKey, RecordRow)> = Vec::with_capacity(2 * booked.len());
        for (booked, origin) in booked.iter().zip(origins) {
            let fact = &booked.fact;
            self.tier.put_identity(identity(program, fact.source, fact.id), origin.position);
            self.latest = self.latest.max(booked.at());
            if let Some((key, version)) = remembered(fact) {
                rows.push((key, RecordRow { firsts: [(version, origin.position.0)].into(), record: None }));
            }
        }
        let positions: Vec<u64> = origins.iter().map(|origin| origin.position.0).collect();
        let slot = self.tier.insert(Slot::begin((hash, program, member), Member::default(), Position::NONE, Position::NONE));
        let (mut parts, mut codes) = (SmallVec::new(), Vec::new());
        let (bytes, _) = self.tier.arena.open();
        let totals = &mut self.totals;
        let mut page = Page { program, rules, first: 0, bytes, parts: &mut parts, totals, codes: &mut codes };
        let (state, mut records) = replay(rules, booked, &mut page);
        let end = bytes.len();
        let record_row = |(key, record)| (key, RecordRow { firsts: SmallVec::new(), record });
        rows.extend(records.drain_changed().into_iter().map(record_row));
        let rows = each_once(rows);
        Again { state, rows, codes, positions }.begin(&mut self.tier, slot, &parts, end);
        let of = &mut self.tier.slots[slot as usize];
        // Nothing stands on disk that these rows take the place of.
        (of.dirty, of.rewritten) = (true, false);
        Ok(())
    }

    fn note_look_ups(&mut self, booked: &[Booked<'_>], origins: &[Origin<'_>]) -> Result<(), ProjectionError> {
        let erased = booked.iter().filter(|booked| booked.fact.kind == Kind::MemberErased).map(Booked::at).max();
        for (booked, origin) in booked.iter().zip(origins) {
            let fact = &booked.fact;
            // The key may not be destroyed yet.
            if fact.kind == Kind::MemberProfileChanged && erased.is_some_and(|erased| fact.occurred_at <= erased) {
                continue;
            }
            for look_up in found_by(self.log, fact, origin.fact)? {
                if let Some(hash) = look_up.hash(&self.secret, fact.program) {
                    self.tier.look_ups.insert((Text::new(fact.program), hash, Text::new(fact.member)), true);
                }
            }
        }
        Ok(())
    }

    /// Memory it takes, roughly.
    pub fn memory(&self) -> usize {
        self.tier.memory()
    }

    /// Tells a filter of everything in it.
    pub fn tell(&self, filter: &mut Filter) {
        self.tier.identities.iter().for_each(|identity| filter.insert(Hashed::identity(identity)));
        for slot in self.tier.slots.iter() {
            slot.records.iter().for_each(|(key, _)| filter.insert(Hashed::record(slot.hash, key)));
        }
    }

    /// Writes all rows into a view that is not complete before more is written, while others do.
    pub fn write(&self, view: &View, lane: usize) -> Result<(), ProjectionError> {
        write((view, lane), &self.tier, &Rest { next: Position::FIRST, ..Rest::default() })
    }
}

/// One row a key, ascending: what was remembered of it in the order it came, and its record.
fn each_once(mut rows: Vec<(RecordKey, RecordRow)>) -> Vec<(RecordKey, RecordRow)> {
    rows.sort_by_key(|(key, _)| *key);
    rows.dedup_by(|(key, row), (kept, first)| {
        let same = key == kept;
        if same {
            first.firsts.append(&mut row.firsts);
            first.record = row.record.take().or_else(|| first.record.take());
        }
        same
    });
    rows
}
