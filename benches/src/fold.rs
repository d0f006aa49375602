//! The rules alone: every member in memory, no identities, no entries kept, nothing written.

use crate::input::Input;
use crate::stopwatch::{Lap, Stopwatch};
use accrue_ledger::{Deciding, EntryRef, Fact, Fold, Member, Records, Sink, Timeline, decide, decision_at, must_fold_again};
use accrue_store::member_hash;
use anyhow::Result;
use hashbrown::HashMap;

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
    /// Decoding and folding.
    pub lap: Lap,
    /// Facts folded.
    pub facts: usize,
    /// Entries made.
    pub entries: u64,
}

/// Folds facts that were decoded before: the rules alone.
pub fn decoded(input: &Input, rules: &Timeline) -> Result<Folded> {
    // In slices, so that decoded facts don't take all memory; only folding is on the clock.
    const SLICE: usize = 250_000;
    let mut all = Shop::default();
    let mut total = Lap { wall: std::time::Duration::ZERO, cpu: std::time::Duration::ZERO };
    let mut facts = input.facts();
    loop {
        let slice: Vec<Fact<'_>> = facts.by_ref().take(SLICE).collect::<Result<_>>()?;
        if slice.is_empty() {
            return Ok(Folded { lap: total, facts: input.len(), entries: all.entries.0 });
        }
        let watch = Stopwatch::start();
        slice.iter().for_each(|fact| all.fold(fact, rules));
        let lap = watch.lap();
        total = Lap { wall: total.wall + lap.wall, cpu: total.cpu + lap.cpu };
    }
}

/// Decodes (borrowed) and folds.
pub fn from_bytes(input: &Input, rules: &Timeline) -> Result<Folded> {
    let mut all = Shop::default();
    let watch = Stopwatch::start();
    for fact in input.facts() {
        all.fold(&fact?, rules);
    }
    Ok(Folded { lap: watch.lap(), facts: input.len(), entries: all.entries.0 })
}

#[derive(Default)]
struct Shop {
    members: HashMap<u64, (Member, Records)>,
    entries: Count,
}

impl Shop {
    fn fold(&mut self, fact: &Fact<'_>, rules: &Timeline) {
        let hash = member_hash(fact.program, fact.member);
        let (member, records) = self.members.entry(hash).or_insert_with(|| (Member::default(), Records::complete()));
        // The workload is in order of time; what isn't (its duplicates) is the door's, not the fold's.
        if must_fold_again(member, fact, None) {
            return;
        }
        if fact.kind.is_request() {
            let at = decision_at(member, fact);
            Fold::new(member, records, rules, &mut self.entries).advance(at);
            let with = Deciding { rules, secret: &[7; 32], saw_position: 0 };
            let decision = decide(member, records, fact, at, with);
            Fold::new(member, records, rules, &mut self.entries).apply(fact, Some(&decision));
        } else {
            Fold::new(member, records, rules, &mut self.entries).apply(fact, None);
        }
    }
}
