//! Asking a shard's ledger: as of any instant, as known at any.

mod booked;
mod exceptions;
mod friends;
mod milestone;
mod moves;
mod outlook;
mod past;
mod person;
mod quote;
mod recall;
mod records;
mod sums;
mod tiers;
mod walk;
mod what_if;
mod why;

use milestone::Along;
pub use quote::{Points, Quote, RewardQuote};
pub(crate) use records::RecordsInOrder;
pub(crate) use walk::Known;
pub use walk::Outstanding;

pub use moves::{Fall, TierMoves};
pub use outlook::{Changed, CouponChange, LotChange, Outlook, Shortfall};
pub use past::Sweeping;
pub use what_if::{Shift, WhatIf};

use crate::answer::{CouponAnswer, EntryAnswer, MemberAnswer, MemberRow, member_answer};
use crate::error::ProjectionError;
use crate::programs::{Applied, Programs};
use crate::rows::{CouponRow, read_page};
use crate::shared::Shared;
use crate::tier::Tier;
use accrue_ledger::{Entry, Family, Fold, Instant, Member, Record, RecordKey, Records, Text, Timeline};
use accrue_store::{Position, keys, member_hash};
use std::borrow::Cow;
use std::sync::Arc;

/// Which past is asked for (§1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    /// True at this instant; `None`: at `now`.
    pub as_of: Option<Instant>,
    /// As known then.
    pub known: AsKnown,
}

/// What was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsKnown {
    /// Everything.
    #[default]
    Now,
    /// What was recorded at or before this instant, by the engine's clock.
    At(Instant),
    /// What stands at or before this position of the member's shard.
    Position(Position),
}

/// A handle that answers questions about one shard. Cheap to clone; answers are durable and true at one position.
#[derive(Clone)]
pub struct LedgerReader {
    shared: Arc<Shared>,
    /// Shards that know of members whom merges tied to this one's.
    others: Arc<[Arc<Shared>]>,
}

/// A member as it was asked for, with everything needed to answer more about it.
pub(crate) struct Found {
    /// Who it is: the winner of an alias.
    pub member: Text,
    pub state: Member,
    pub rules: Timeline,
    pub at: Instant,
    pub position: Position,
    /// Of a past: all records and entries, where they are [`Wanted`].
    pub past: Option<(Records, Vec<Entry>)>,
    /// Who was one with whom then, where merges are known of it and it was folded from its beginning.
    pub family: Option<Family>,
}

/// What is wanted of a member as of a past beside its state. Making entries takes longer than all the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    State,
    Records,
    /// And records.
    Entries,
}

impl LedgerReader {
    pub(crate) fn new(shared: Arc<Shared>) -> LedgerReader {
        LedgerReader { shared, others: Arc::default() }
    }

    /// The same with what other shards know: the past of a member is told from everything that was known of it and of those it was
    /// one with, by its own shard alone.
    pub fn beside(&self, others: &[LedgerReader]) -> LedgerReader {
        let not_this = others.iter().filter(|other| !Arc::ptr_eq(&other.shared, &self.shared));
        LedgerReader { shared: Arc::clone(&self.shared), others: not_this.map(|other| Arc::clone(&other.shared)).collect() }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The shard.
    pub fn shard(&self) -> u32 {
        self.shared.log.shard()
    }

    /// Answers hold everything durable before this position.
    pub fn next_position(&self) -> Position {
        self.shared.durable()
    }

    /// Ids of the programs that have rules here.
    pub fn programs(&self) -> Vec<String> {
        self.programs_now().ids().map(str::to_string).collect()
    }

    /// The rules of a program over time.
    pub fn timeline(&self, program: &str) -> Option<Timeline> {
        self.programs_now().get(program).map(|program| program.timeline.clone())
    }

    /// The rules of a program over time, as known when the log ended before a position, or at an instant of the engine's clock.
    pub fn timeline_known(&self, program: &str, before: Position, recorded: Option<Instant>) -> Option<Timeline> {
        self.programs_now().known(program, before.0.checked_sub(1).map(Position), recorded)
    }

    /// What was noted of rules being applied to what was there already, in order.
    pub fn applied(&self, program: &str) -> Vec<Applied> {
        self.programs_now().get(program).map(|program| program.applied.clone()).unwrap_or_default()
    }

    fn programs_now(&self) -> Arc<Programs> {
        Arc::clone(&self.shared.tiers.read().programs)
    }

    /// A member: balances, lots, coupons, as of an instant. `now`: the instant meant where none is given.
    ///
    /// # Errors
    /// The store can't be read, or the writer stopped before what is asked for was durable.
    pub fn member(
        &self,
        program: &str,
        member: &str,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<MemberAnswer>, ProjectionError> {
        let Some(found) = self.find(program, member, asked, now, Wanted::State)? else {
            return Ok(None);
        };
        let mut answer = member_answer(self.shard(), program, &found);
        answer.number = self.number(program, &found.member)?;
        answer.profile = self.profile(program, &found, asked)?;
        Ok(Some(answer))
    }

    /// All entries of a member up to the instant asked for, with their sentences.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn entries(
        &self,
        program: &str,
        member: &str,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<Vec<EntryAnswer>>, ProjectionError> {
        let Some((found, entries)) = self.find_entries(program, member, asked, now)? else {
            return Ok(None);
        };
        let told = entries.iter().enumerate().map(|(number, entry)| EntryAnswer::of(number as u32, entry, &found.rules));
        Ok(Some(told.collect()))
    }

    /// The coupon of a code, wherever its life had come to.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn coupon(&self, program: &str, code: &str, asked: AsOf, now: Instant) -> Result<Option<CouponAnswer>, ProjectionError> {
        let Some(row) = self.coupon_row(program, code)? else {
            return Ok(None);
        };
        let Some(found) = self.find(program, &row.member, asked, now, Wanted::Records)? else {
            return Ok(None);
        };
        let open = found.state.open.iter().find(|redemption| redemption.key() == row.key).cloned();
        let closed = match (&open, &found.past) {
            (Some(_), _) => None,
            (None, Some((records, _))) => records.peek(row.key).map(Cow::into_owned),
            (None, None) => self.record(program, &found.member, row.key)?,
        };
        let redemption = open.or(match closed {
            Some(Record::Redemption(redemption)) => Some(*redemption),
            _ => None,
        });
        // Its time may have come after the last fact: it is in the member's state at `now` only.
        let since = || self.expired_since(program, &found.member, row.key).filter(|_| found.past.is_none());
        Ok(redemption.or_else(since).and_then(|redemption| CouponAnswer::of(&redemption, &found.member, found.at)))
    }

    /// A record of a member as of its last fact.
    fn record(&self, program: &str, member: &str, key: RecordKey) -> Result<Option<Record>, ProjectionError> {
        let row = self.shared.tiers.read().record(member_hash(program, member), program, member, key)?;
        Ok(row.map(|row| row.open()).transpose()?.flatten())
    }

    /// A coupon that is open in the state as of the last fact, and has ended by itself since.
    fn expired_since(&self, program: &str, member: &str, key: RecordKey) -> Option<accrue_ledger::RedemptionRecord> {
        let tiers = self.shared.tiers.read();
        let (state, _) = tiers.state(member_hash(program, member), program, member).ok()??;
        state.open.into_iter().find(|redemption| redemption.key() == key)
    }

    fn coupon_row(&self, program: &str, code: &str) -> Result<Option<CouponRow>, ProjectionError> {
        let tiers = self.shared.tiers.read();
        for tier in [Some(&tiers.live), tiers.frozen.as_deref()].into_iter().flatten() {
            let found = tier
                .coupons
                .iter()
                .rev()
                .find(|(slot, known, _)| **known == *code && *tier.slots[*slot as usize].program == *program);
            if let Some((slot, _, key)) = found {
                return Ok(Some(CouponRow { member: tier.slots[*slot as usize].member.to_string(), key: *key }));
            }
        }
        let mut name = Vec::new();
        keys::coupon(&mut name, program, code);
        Ok(tiers.view.get(&name)?.map(|row| crate::codec::read("coupon", &row)).transpose()?)
    }

    /// Members of a program by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn members(&self, program: &str, after: &str, limit: usize, now: Instant) -> Result<Vec<MemberRow>, ProjectionError> {
        let mut rows = Vec::new();
        let rules = self.timeline(program).unwrap_or_default();
        self.each_member(program, after, |member, mut state| {
            if !state.known {
                return Ok(true);
            }
            if rows.len() == limit {
                return Ok(false);
            }
            Fold::new(&mut state, &mut Records::complete(), &rules, &mut ()).advance(now);
            rows.push(MemberRow::of(self.shard(), member, &state, &rules));
            Ok(true)
        })?;
        Ok(rows)
    }

    /// A property of the view's database by RocksDB's name; for metrics.
    pub fn view_property(&self, name: &str) -> Option<u64> {
        self.shared.tiers.read().view.property(name)
    }

    pub(crate) fn find_entries(
        &self,
        program: &str,
        member: &str,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<(Found, Vec<Entry>)>, ProjectionError> {
        let Some(mut found) = self.find(program, member, asked, now, Wanted::Entries)? else {
            return Ok(None);
        };
        if let Some((_, entries)) = &mut found.past {
            let entries = std::mem::take(entries);
            return Ok(Some((found, entries)));
        }
        let member = &*found.member.clone();
        let hash = member_hash(program, member);
        let mut entries = Vec::new();
        let tiers = self.shared.tiers.read();
        let in_tier = |tier: &Tier| tier.find(hash, program, member).map(|slot| slot as usize);
        let live = in_tier(&tiers.live).map(|slot| (&tiers.live, &tiers.live.slots[slot]));
        let frozen = tiers.frozen.as_deref().and_then(|tier| Some((tier, &tier.slots[in_tier(tier)?])));
        let replaced = live.is_some_and(|(_, slot)| slot.rewritten);
        let in_memory = frozen.filter(|_| !replaced).into_iter().chain(live);
        let disk_until = in_memory.clone().map(|(_, slot)| slot.first_entry).min().unwrap_or(u32::MAX);
        let mut prefix = Vec::new();
        keys::entries_of(&mut prefix, program, member);
        let mut rows = tiers.view.scan_prefix(&prefix)?;
        while let Some((key, row)) = rows.next_row()? {
            if matches!(keys::parse_view(key), Some(keys::ViewKey::Entries { first_entry, .. }) if first_entry < disk_until) {
                read_page(row, &mut entries)?;
            }
        }
        for (tier, slot) in in_memory {
            for (_, bytes) in tier.pages(slot) {
                crate::rows::read_entries(bytes, &mut entries)?;
            }
        }
        let Some((mut state, _)) = tiers.state(hash, program, member)? else {
            return Ok(None);
        };
        // What happened by itself since the last fact.
        Fold::new(&mut state, &mut Records::complete(), &found.rules, &mut entries).advance(found.at);
        Ok(Some((found, entries)))
    }

    pub(crate) fn find(
        &self,
        program: &str,
        member: &str,
        asked: AsOf,
        now: Instant,
        wanted: Wanted,
    ) -> Result<Option<Found>, ProjectionError> {
        let at = asked.as_of.unwrap_or(now);
        let (owner, mut state, needed, programs, positions) = {
            let tiers = self.shared.tiers.read();
            let winner = tiers.winner(member_hash(program, member), program, member)?;
            let owner = winner.unwrap_or_else(|| Text::new(member));
            let Some((state, needed)) = tiers.state(member_hash(program, &owner), program, &owner)? else {
                return Ok(None);
            };
            let is_past = asked.known != AsKnown::Now || state.last.at > at;
            // What is told of somebody whom merges tie to others is not made of its own facts alone.
            let milestones = is_past && wanted != Wanted::Entries && state.links().is_none();
            let positions = match milestones && self.shared.milestones.are_for(state.facts as usize) {
                true => tiers.positions(member_hash(program, &owner), program, &owner)?,
                false => Vec::new(),
            };
            (owner, state, needed, Arc::clone(&tiers.programs), positions)
        };
        if !positions.is_empty() {
            self.shared.wait_durable(needed)?;
            let of = Along { program, owner: &owner, positions: &positions, programs: &programs };
            if let Some(found) = self.find_along(&of, asked.known, at, wanted)? {
                return Ok(found);
            }
        }
        let tied_later = state.links().is_some_and(|links| links.changed_at > at);
        if state.links().is_some() && !self.others.is_empty() && (asked.known != AsKnown::Now || at < now) {
            return self.find_past_of_all(program, member, asked, at, wanted);
        }
        if asked.known != AsKnown::Now || state.last.at > at || tied_later {
            return self.find_past(program, member, asked, at, wanted);
        }
        // An alias has no state, nor has what is with another shard.
        if !state.known {
            return Ok(None);
        }
        self.shared.wait_durable(needed)?;
        let position = self.shared.durable();
        let Some(rules) = programs.known(program, None, None) else {
            return Ok(None);
        };
        Fold::new(&mut state, &mut Records::complete(), &rules, &mut ()).advance(at);
        Ok(Some(Found { member: owner, state, rules, at, position, past: None, family: None }))
    }
}
