//! The ways of taking facts in that are measured beside each other.

use super::{Chunk, Phase};
use crate::config::Config;
use crate::intake::Straight;
use accrue_ingest::workload::{PROGRAM, RULESET};
use accrue_ingest::{Clock, Message};
use accrue_ledger::{Deciding, Fold, Instant, Member, Records, Ruleset, Timeline, decide, decision_at};
use accrue_proto::{murmur2_partition, read_fact};
use accrue_store::{FrameMeta, Group, ShardLog, Source, Store, StoreOptions, member_hash};
use anyhow::{Context as _, Result, anyhow};
use std::path::Path;

/// Makes the code warm and takes nothing in.
pub(super) const NOTHING: &str = "making facts";
/// One core.
pub(super) const DECODE: &str = "decode alone, one core";
/// One core, everything in memory.
pub(super) const FOLD: &str = "decode and fold alone, one core";
/// What any engine pays that keeps the facts.
pub(super) const FLOOR: &str = "append only (the floor): same frames, same sync";
/// Everything.
pub(super) const INGEST: &str = "embedded ingest: dedupe, decide, fold, log";

/// From when the rules of the workload judge.
const RULES_FROM: Instant = Instant(0);

/// Only the making of facts.
pub(super) struct Nothing;

impl Phase for Nothing {
    fn name(&self) -> String {
        NOTHING.to_owned()
    }

    fn take(&mut self, chunk: &Chunk) -> Result<()> {
        let bytes: usize = chunk.facts().map(|(fact, _)| fact.len()).sum();
        std::hint::black_box(bytes);
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// Decodes, and folds nothing.
pub(super) struct DecodeAlone;

impl Phase for DecodeAlone {
    fn name(&self) -> String {
        DECODE.to_owned()
    }

    fn take(&mut self, chunk: &Chunk) -> Result<()> {
        for (bytes, _) in chunk.facts() {
            let fact = read_fact(bytes).map_err(|error| anyhow!("{}: {}", error.code, error.detail))?;
            std::hint::black_box(&fact);
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// Decodes and folds, member by member as facts come.
pub(super) struct FoldAlone {
    rules: Timeline,
    members: Vec<(Member, Records)>,
    /// Number of the latest fact: one that is said again is not folded again.
    latest: u64,
}

impl FoldAlone {
    /// For so many members.
    pub fn new(members: u32) -> Result<FoldAlone> {
        let rules = Timeline::always(Ruleset::parse(RULESET).context("the ruleset of the workload")?);
        let members = (0..members).map(|_| (Member::default(), Records::complete())).collect();
        Ok(FoldAlone { rules, members, latest: 0 })
    }
}

fn number(id: &str) -> Option<u64> {
    id.rsplit('-').next()?.parse().ok()
}

impl Phase for FoldAlone {
    fn name(&self) -> String {
        FOLD.to_owned()
    }

    fn take(&mut self, chunk: &Chunk) -> Result<()> {
        for (bytes, member) in chunk.facts() {
            let fact = read_fact(bytes).map_err(|error| anyhow!("{}: {}", error.code, error.detail))?;
            let id = number(fact.id).context("a fact's id has no number")?;
            if id <= self.latest {
                continue;
            }
            self.latest = id;
            let slot = number(member).and_then(|slot| self.members.get_mut(usize::try_from(slot).ok()?));
            let (state, records) = slot.context("a member's id has no number")?;
            if !fact.kind.is_request() {
                Fold::new(state, records, &self.rules, &mut ()).apply(&fact, None);
                continue;
            }
            let at = decision_at(state, &fact);
            Fold::new(state, records, &self.rules, &mut ()).advance(at);
            let with = Deciding { rules: &self.rules, secret: &[7; 32], saw_position: id };
            let decision = decide(state, records, &fact, at, with);
            Fold::new(state, records, &self.rules, &mut ()).apply(&fact, Some(&decision));
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<()> {
        // Freeing it is no part of a fold.
        std::mem::forget(self);
        Ok(())
    }
}

fn store(config: &Config, dir: &Path) -> Result<Store> {
    let shards = config.shards.unwrap_or(config.shards_new);
    Ok(Store::open(dir, StoreOptions { embedded_shards: Some(shards), ..config.store.clone() })?)
}

/// A thread a shard that only appends.
pub(super) struct AppendOnly {
    logs: Vec<ShardLog>,
    group_facts_max: usize,
    _store: Store,
}

impl AppendOnly {
    /// In a folder of its own.
    pub fn open(config: &Config, dir: &Path) -> Result<AppendOnly> {
        let store = store(config, dir)?;
        let logs = store.shard_ids().into_iter().map(|shard| store.shard(shard)).collect::<Result<_, _>>()?;
        Ok(AppendOnly { logs, group_facts_max: config.group_facts_max, _store: store })
    }
}

impl Phase for AppendOnly {
    fn name(&self) -> String {
        FLOOR.to_owned()
    }

    fn take(&mut self, chunk: &Chunk) -> Result<()> {
        let mut of_shard: Vec<Vec<(&[u8], &str)>> = vec![Vec::new(); self.logs.len()];
        let shards = u32::try_from(self.logs.len())?;
        for (fact, member) in chunk.facts() {
            let shard = murmur2_partition(format!("{PROGRAM}/{member}").as_bytes(), shards);
            of_shard[shard as usize].push((fact, member));
        }
        let group_facts_max = self.group_facts_max;
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .logs
                .iter()
                .zip(&of_shard)
                .map(|(log, facts)| scope.spawn(move || append(log, facts, group_facts_max)))
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("appending panicked"))))
        })
    }

    fn end(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn append(log: &ShardLog, facts: &[(&[u8], &str)], group_facts_max: usize) -> Result<()> {
    let (clock, mut group) = (Clock::system(), Group::default());
    let kind = accrue_ledger::Kind::OrderPlaced;
    for facts in facts.chunks(group_facts_max) {
        log.begin_again(&mut group, Source::Embedded, clock.now())?;
        let first = group.next_offset().max(0);
        for ((fact, member), offset) in facts.iter().zip(first..) {
            let member_hash = member_hash(PROGRAM, member);
            let meta = FrameMeta {
                kind,
                schema: 1,
                late: false,
                parked: false,
                rejected: false,
                member_hash,
                occurred_at: Instant(0),
                offset,
            };
            group.push(meta, fact, None);
        }
        log.append(&mut group)?;
    }
    Ok(())
}

/// Everything that a running service does, but HTTP.
pub(super) struct Ingest(Straight);

impl Ingest {
    /// In a folder of its own, with the rules in force.
    pub fn open(config: &Config, dir: &Path) -> Result<Ingest> {
        let straight = Straight::open(config, store(config, dir)?)?;
        let rules = Ruleset::parse(RULESET).context("the ruleset of the workload")?;
        let (fact, key) = crate::command::rules::activation(&rules, RULES_FROM, RULES_FROM);
        straight.embedded().publish(&Message { value: Some(&fact), key: Some(key.as_bytes()), ..Message::default() })?;
        Ok(Ingest(straight))
    }
}

impl Phase for Ingest {
    fn name(&self) -> String {
        INGEST.to_owned()
    }

    fn take(&mut self, chunk: &Chunk) -> Result<()> {
        let mut publisher = self.0.embedded().publisher();
        let mut key = String::new();
        for (fact, member) in chunk.facts() {
            key.clear();
            key.extend([PROGRAM, "/", member]);
            publisher.push(&Message { value: Some(fact), key: Some(key.as_bytes()), ..Message::default() })?;
        }
        let counts = publisher.finish()?;
        if counts.refused + counts.conflicts > 0 {
            return Err(anyhow!(
                "{} facts were refused, {} in conflict: the workload does not fit its ruleset",
                counts.refused,
                counts.conflicts
            ));
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<()> {
        self.0.close()
    }
}
