//! The rules alone: requests decided, facts folded, entries made; no identities, no entries kept, nothing written.
//!
//! The hash of a fact's member is known beforehand, as it is to callers: the head of a frame has it.

use crate::input::Input;
use crate::stopwatch::{Lap, Stopwatch};
use accrue_ledger::{
    Deciding, EntryRef, Fact, Fold, Member, RecordKey, Records, Sink, Timeline, decide, decision_at, must_fold_again,
};
use anyhow::Result;
use hashbrown::HashMap;
use std::hint::black_box;
use std::time::Duration;

/// Counts entries, so that making them is not optimised away.
#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn entry(&mut self, _: u32, entry: &EntryRef<'_>) {
        self.0 = self.0.wrapping_add(1 + u64::from(entry.points == i64::MIN));
    }
}

/// What a fold did.
pub struct Folded {
    /// What the fold took.
    pub lap: Lap,
    /// Facts folded.
    pub facts: usize,
    /// Entries made.
    pub entries: u64,
}

/// Facts decoded at a time: what is folded next is in the cache, as when each is decoded just before; decoding is off the clock.
const SLICE: usize = 250;

/// Folds member by member, as after the log was scattered by member hash: the rules alone, everything near in the cache.
pub fn by_member(input: &Input, rules: &Timeline) -> Result<Folded> {
    let order = input.by_member()?;
    let mut entries = Count::default();
    let mut total = Lap { wall: Duration::ZERO, cpu: Duration::ZERO };
    let mut of = (None, Member::default(), Records::complete());
    for slice in order.chunks(SLICE) {
        let facts: Vec<(u64, Fact<'_>)> =
            slice.iter().map(|&(hash, index)| Ok((hash, input.fact(index)?))).collect::<Result<_>>()?;
        let watch = Stopwatch::start();
        for (hash, fact) in &facts {
            if of.0 != Some(*hash) {
                of = (Some(*hash), Member::default(), Records::complete());
            }
            fold(&mut of.1, &mut of.2, fact, rules, &mut entries);
        }
        total = total.and(watch.lap());
    }
    Ok(Folded { lap: total, facts: input.len(), entries: entries.0 })
}

/// Every member with its records, by the hash of its name.
pub type Members = HashMap<u64, (Member, Records)>;

/// Folds in order of arrival, every member and record in memory: nothing is near in the cache.
pub fn as_they_come(input: &Input, rules: &Timeline) -> Result<(Folded, Members)> {
    let mut members = Members::new();
    let mut entries = Count::default();
    let mut total = Lap { wall: Duration::ZERO, cpu: Duration::ZERO };
    let hashes = input.hashes()?;
    let mut facts = input.facts().zip(hashes);
    loop {
        let slice: Vec<(Fact<'_>, u64)> =
            facts.by_ref().take(SLICE).map(|(fact, hash)| Ok((fact?, hash))).collect::<Result<_>>()?;
        if slice.is_empty() {
            return Ok((Folded { lap: total, facts: input.len(), entries: entries.0 }, members));
        }
        let watch = Stopwatch::start();
        for (fact, hash) in &slice {
            if let Some((member, records)) = members.get(hash) {
                let natural = fact.natural_key().map(|natural| RecordKey::new(natural.kind, natural.id));
                black_box((member.draw_near(), natural.is_some_and(|key| records.draw_near(key))));
            }
        }
        for (fact, hash) in &slice {
            let (member, records) = members.entry(*hash).or_insert_with(|| (Member::default(), Records::complete_in_bytes()));
            fold(member, records, fact, rules, &mut entries);
        }
        total = total.and(watch.lap());
    }
}

/// Decodes (borrowed) and folds, member by member.
pub fn from_bytes(input: &Input, rules: &Timeline) -> Result<Folded> {
    let order = input.by_member()?;
    let mut entries = Count::default();
    let mut of = (None, Member::default(), Records::complete());
    let watch = Stopwatch::start();
    for &(hash, index) in &order {
        if of.0 != Some(hash) {
            of = (Some(hash), Member::default(), Records::complete());
        }
        fold(&mut of.1, &mut of.2, &input.fact(index)?, rules, &mut entries);
    }
    Ok(Folded { lap: watch.lap(), facts: input.len(), entries: entries.0 })
}

fn fold(member: &mut Member, records: &mut Records, fact: &Fact<'_>, rules: &Timeline, entries: &mut Count) {
    // The workload is in order of time; what isn't (its duplicates) is the door's, not the fold's.
    if must_fold_again(member, fact, None) {
        return;
    }
    if fact.kind.is_request() {
        let at = decision_at(member, fact);
        Fold::new(member, records, rules, entries).advance(at);
        let with = Deciding { rules, secret: &[7; 32], saw_position: 0 };
        let decision = decide(member, records, fact, at, with);
        Fold::new(member, records, rules, entries).apply(fact, Some(&decision));
    } else {
        Fold::new(member, records, rules, entries).apply(fact, None);
    }
}
