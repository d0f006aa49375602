//! What is told of generations.

use super::Keeper;
use super::besides::{Beside, LOOK};
use crate::error::ProjectionError;
use crate::generation::manifest::Manifest;
use crate::reader::LedgerReader;
use crate::watched::GroupTimes;
use accrue_ledger::Instant;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// In step is what is so many facts behind the live one, at most: what comes in a fraction of a second.
const BEHIND_MAX: u64 = if cfg!(test) { 20 } else { 20_000 };

/// What a generation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationState {
    /// It answers.
    Live,
    /// Its rows are not all there.
    Building,
    /// All rows are there, and what the log has more is being applied: more than comes in a moment.
    CatchingUp,
    /// True at the position of the live one, or a moment behind.
    InStep,
    /// It was live; in step.
    Kept,
    /// It supposes other rules; in step.
    WhatIf,
    /// It does not go on.
    Failed,
}

/// A generation of a shard.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationStatus {
    /// The shard.
    pub shard: u32,
    /// Its number.
    pub generation: u32,
    /// What it is.
    pub state: GenerationState,
    /// It answers as of everything before this.
    pub next_position: u64,
    /// The log has so many facts more.
    pub behind: u64,
    /// Hash of the ruleset that judges now, by program.
    pub rulesets: BTreeMap<String, String>,
    /// It supposes other rules.
    pub what_if: bool,
    /// Bytes on disk.
    pub bytes: u64,
    /// Facts folded; of a build.
    pub facts: u64,
    /// Of so many.
    pub of: u64,
    /// Rounds whose rows are written.
    pub rounds: u64,
    /// Of so many.
    pub rounds_of: u64,
    /// Facts folded a second, since it went on.
    pub facts_per_second: u64,
    /// Until everything is folded at this rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// How long the writer's groups took while nothing was built, when this one was begun,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_alone: Option<GroupTimes>,
    /// and while it was built, or is; absent: there were none, or it was built before this start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_while: Option<GroupTimes>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Keeper {
    /// All generations, by number.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn status(&self, now: Instant) -> Result<Vec<GenerationStatus>, ProjectionError> {
        let mut all = vec![self.status_of_live(now)?];
        for beside in self.besides.lock().iter() {
            all.push(self.status_of(beside, now)?);
        }
        all.sort_by_key(|one| one.generation);
        Ok(all)
    }

    fn status_of_live(&self, now: Instant) -> Result<GenerationStatus, ProjectionError> {
        let generation = self.live()?;
        let bytes = bytes_in(self.store.view(self.shard(), generation)?.path());
        Ok(GenerationStatus { state: GenerationState::Live, bytes, ..answering(&self.live, generation, now) })
    }

    /// Waits until every generation whose rows are all there can be asked: after [`Keeper::open`] its thread opens it.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn wait_until_open(&self) -> Result<(), ProjectionError> {
        let besides = self.besides.lock().clone();
        for beside in besides {
            let is_opening = || -> Result<bool, ProjectionError> {
                let held = beside.held.lock();
                let waits = held.ledger.is_none() && held.failed.is_none();
                Ok(waits && self.store.view(self.shard(), beside.number())?.next_position()?.0 > 1)
            };
            while is_opening()? {
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    fn status_of(&self, beside: &Beside, now: Instant) -> Result<GenerationStatus, ProjectionError> {
        let generation = beside.number();
        let view = self.store.view(self.shard(), generation)?;
        let bytes = bytes_in(view.path());
        let kept = Manifest::read(&view)?.is_some_and(|manifest| manifest.kept);
        let (reader, gauged) = (beside.reader(), beside.gauge.look());
        let next_position = reader.as_ref().map_or_else(|| view.next_position(), |reader| Ok(reader.next_position()))?;
        let behind = self.live.next_position().0.saturating_sub(next_position.0);
        let during = self.live.shared().watched.lock().during(generation);
        let held = beside.held.lock();
        let [groups_alone, groups_while] = held.groups;
        let groups_while = groups_while.or(during);
        let what_if = held.what_if.is_some();
        let state = match (&held.failed, &reader) {
            (Some(_), _) => GenerationState::Failed,
            (None, Some(_)) if behind > BEHIND_MAX => GenerationState::CatchingUp,
            (None, None) if view.next_position()?.0 > 1 => GenerationState::CatchingUp,
            (None, None) => GenerationState::Building,
            (None, Some(_)) if what_if => GenerationState::WhatIf,
            (None, Some(_)) if kept => GenerationState::Kept,
            (None, Some(_)) => GenerationState::InStep,
        };
        let of_build = GenerationStatus {
            shard: self.shard(),
            generation,
            state,
            next_position: next_position.0,
            behind,
            rulesets: BTreeMap::new(),
            what_if,
            bytes,
            facts: gauged.facts,
            of: gauged.of,
            rounds: gauged.rounds,
            rounds_of: gauged.rounds_of,
            facts_per_second: gauged.facts_per_second,
            seconds_left: gauged.seconds_left,
            groups_alone,
            groups_while,
            detail: held.failed.clone(),
        };
        drop(held);
        let Some(reader) = reader else { return Ok(of_build) };
        let told = answering(&reader, generation, now);
        let (of, detail) = (told.facts + behind, of_build.detail);
        Ok(GenerationStatus { state, what_if, bytes, behind, of, groups_alone, groups_while, detail, ..told })
    }
}

fn answering(reader: &LedgerReader, generation: u32, now: Instant) -> GenerationStatus {
    let in_force = |program: String| {
        let hash = reader.timeline(&program).and_then(|timeline| Some(timeline.at(now)?.hash_hex()));
        hash.map(|hash| (program, hash))
    };
    let facts = reader.next_position().0.saturating_sub(1);
    GenerationStatus {
        shard: reader.shard(),
        generation,
        state: GenerationState::Live,
        next_position: reader.next_position().0,
        behind: 0,
        rulesets: reader.programs().into_iter().filter_map(in_force).collect(),
        what_if: false,
        bytes: 0,
        facts,
        of: facts,
        rounds: 0,
        rounds_of: 0,
        facts_per_second: 0,
        seconds_left: None,
        groups_alone: None,
        groups_while: None,
        detail: None,
    }
}

/// Bytes of the files of a folder.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::BuildOptions;
    use crate::generation::tests::{ORDERS, SMALL, filled, keeper, order, wait_for};

    const NOW: Instant = Instant(0);

    #[test]
    fn what_is_behind_is_not_in_step() {
        let dir = tempfile::tempdir().expect("dir");
        let mut desk = filled(dir.path());
        let keeper = keeper(&desk);
        keeper.plan(2, BuildOptions { threads: 1, ..SMALL }, None).expect("planned");
        keeper.begin(2).expect("begun");
        wait_for(&keeper, 2);
        let told = |keeper: &Keeper| {
            let all = keeper.status(NOW).expect("told");
            all.into_iter().map(|one| (one.state, one.behind, one.of - one.facts)).collect::<Vec<_>>()
        };
        let live = (GenerationState::Live, 0, 0);
        assert_eq!(told(&keeper), [live, (GenerationState::InStep, 0, 0)]);
        let beside = keeper.beside(2).expect("there");
        let still = beside.hold_still();
        // Whatever its thread was at has ended.
        drop(beside.ledger().expect("complete").lock());
        let more: Vec<Vec<u8>> = (ORDERS..).take(BEHIND_MAX as usize + 1).map(order).collect();
        desk.deliver_group(&more).expect("taken");
        assert_eq!(told(&keeper), [live, (GenerationState::CatchingUp, BEHIND_MAX + 1, BEHIND_MAX + 1)]);
        drop(still);
        wait_for(&keeper, 2);
        keeper.stop().expect("ended");
    }
}
