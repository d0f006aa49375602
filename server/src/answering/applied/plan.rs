//! What applying rules would do: the rules compared, and the entries that make up the difference.

use super::asked::{Apply, Cohort, Policy, cohorts, instants, true_ups};
use super::record::{Application, Record, holds};
use super::{Applying, Task, takes_effect};
use crate::answering::compared;
use crate::problem::Problem;
use crate::readers::Open;
use accrue_ledger::{Activation, Instant, Ruleset, Timeline};
use accrue_projections::{Across, Comparison, Plan, Sweep, SweepOptions, Swept, Who, hash_of, true_ups_digest};
use accrue_store::Position;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Gainers and losers named where nobody says how many, and at most.
const NAMED: usize = 10;
const NAMED_MAX: usize = 1_000;

type Changes = Vec<(Instant, Arc<Ruleset>)>;

/// What is asked, understood.
pub(super) struct Planned {
    new: Arc<Ruleset>,
    policy: Option<Policy>,
    words: Vec<String>,
    cohorts: Vec<Cohort>,
    from: Instant,
    to: Option<Instant>,
    at: Instant,
}

/// The rules of a program, the same in all shards.
pub(super) fn live(of: &Applying<'_>) -> Result<Timeline, Problem> {
    let mut found: Option<Timeline> = None;
    let told = |timeline: &Timeline| -> Vec<(Instant, u64)> {
        timeline.activations().iter().map(|known| (known.effective_from, known.ruleset.tag())).collect()
    };
    for open in of.readers.ready()? {
        let Some(here) = open.reader.timeline(of.program) else { continue };
        if found.as_ref().is_some_and(|known| told(known) != told(&here)) {
            let why = "the shards do not have the same rulesets: activate the latest again";
            return Err(Problem::new("apply_conflict", why));
        }
        found.get_or_insert(here);
    }
    found.ok_or_else(|| Problem::not_found(format!("there is no program {} here", of.program)))
}

/// What has to be activated so that a ruleset judges from an instant on, whatever was to come later.
fn changes(live: &Timeline, from: Instant, to: Option<Instant>, new: &Arc<Ruleset>) -> Changes {
    let until = to.unwrap_or(Instant::MAX);
    let mut starts = vec![from];
    starts.extend(live.activations().iter().map(|known| known.effective_from).filter(|at| *at > from && *at < until));
    starts.dedup();
    let mut changes: Changes = starts.into_iter().map(|at| (at, Arc::clone(new))).collect();
    changes.extend(to.and_then(|to| Some((to, Arc::clone(live.at(to)?)))));
    changes
}

fn changed(live: &Timeline, changes: &Changes) -> Timeline {
    let mut changed = live.clone();
    for (effective_from, ruleset) in changes {
        changed.insert(Activation { effective_from: *effective_from, position: u64::MAX, ruleset: Arc::clone(ruleset) });
    }
    changed
}

/// A tier that no member ever was in is rather misspelt.
fn is_known(tier: &str, live: &Timeline) -> Result<(), Problem> {
    let tiers = live.activations().iter().filter_map(|known| known.ruleset.tiers.as_deref());
    let names: BTreeSet<&str> = tiers.flat_map(|tiers| &tiers.list).map(|tier| tier.id.as_str()).collect();
    if names.contains(tier) {
        return Ok(());
    }
    let there = if names.is_empty() { "there are none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
    Err(Problem::new("bad_request", format!("a cohort is of tier {tier:?}, which no ruleset in force has: {there}")))
}

impl Planned {
    pub(super) fn of(of: &Applying<'_>, asked: &Apply) -> Result<Planned, Problem> {
        let wrong = |why: String| Problem::new("bad_request", why);
        let instant = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Instant::parse(text)
                .map(Some)
                .ok_or_else(|| wrong(format!("{name} is {text:?}, like 2024-10-12T07:20:50Z it has to be"))),
        };
        let new = compared::ruleset(of.program, Some(&asked.new))?.ok_or_else(|| wrong("there is no ruleset".to_owned()))?;
        let at = takes_effect(asked.at.as_deref(), of.now)?;
        let (from, to) = (instant("from", &asked.from)?, instant("to", &asked.to)?);
        let cohorts = cohorts(&asked.cohorts, asked.policy)?;
        let planned =
            Planned { new, policy: asked.policy, words: asked.cohorts.clone(), cohorts, from: from.unwrap_or(at), to, at };
        if planned.to.is_some_and(|to| to <= planned.from) {
            return Err(wrong("to is not after from".to_owned()));
        }
        if planned.has_true_ups() || planned.restates() {
            let from = from.ok_or_else(|| wrong("say from when on the rules judge what there is: from (--from)".to_owned()))?;
            if from > at || planned.has_true_ups() && planned.to.is_some_and(|to| to > at) {
                return Err(wrong(format!("from and to have to be past, as of {at}: for what is to come there is prospective")));
            }
        } else if planned.from < at {
            return Err(wrong(format!("prospective begins at {at} or later: for what there is, use restate or true_up")));
        }
        let live = live(of)?;
        if live.at(planned.from).is_none() {
            let first = live.activations().first().map_or(Instant::MAX, |first| first.effective_from);
            return Err(wrong(format!("no ruleset is in force before {first}: nothing could be undone. Begin there or later")));
        }
        planned.cohorts.iter().filter_map(Cohort::tier).try_for_each(|tier| is_known(tier, &live))?;
        Ok(planned)
    }

    fn restates(&self) -> bool {
        self.policy == Some(Policy::Restate)
    }

    pub(super) fn has_true_ups(&self) -> bool {
        self.cohorts.iter().any(|cohort| matches!(cohort.policy, Policy::TrueUp | Policy::NeverWorse))
    }

    /// Whether the same was asked for before.
    pub(super) fn is_again(&self, record: &Record) -> bool {
        let shown = |at: Instant| at.to_string();
        let same_begin = shown(self.from) == record.from || self.policy == Some(Policy::Prospective);
        let same = record.undoes.is_none() && record.ruleset == self.new.hash_hex() && record.policy == self.policy;
        same && same_begin && record.cohorts == self.words && record.to == self.to.map(shown)
    }

    /// Differences of the same time can't be made up for twice.
    pub(super) fn overlaps(&self, known: &[Application]) -> Result<(), Problem> {
        if !self.has_true_ups() && !self.restates() {
            return Ok(());
        }
        let until = self.to.unwrap_or(if self.restates() { Instant::MAX } else { self.at });
        for one in known.iter().filter(|one| one.record.undoes.is_none() && one.record.entries.0 > 0 && holds(known, one)) {
            let end = Record::instant(one.record.to.as_deref().unwrap_or(&one.record.at))?;
            if Record::instant(&one.record.from)? < until && self.from < end {
                let (id, from) = (&one.record.id, &one.record.from);
                let why = format!(
                    "application {id} made up for differences from {from} to {end}: undo it first, or leave that time out"
                );
                return Err(Problem::new("apply_conflict", why));
            }
        }
        Ok(())
    }

    /// Compares, and makes the task of it. `before`: as the log was then.
    pub(super) fn look(
        &self,
        of: &Applying<'_>,
        asked: &Apply,
        before: Option<&BTreeMap<u32, u64>>,
        progress: &mut dyn FnMut(u32, Swept),
    ) -> Result<(Task, Value), Problem> {
        let named = asked.named.unwrap_or(NAMED).min(NAMED_MAX);
        let (mut plan, then) = (Plan::new(named), instants(&self.cohorts));
        let (mut shards, mut sides) = (BTreeMap::new(), None);
        let open = of.readers.ready()?;
        let until = |open: &Open| {
            let before = before.and_then(|before| before.get(&open.reader.shard()));
            before.map_or_else(|| open.reader.next_position(), |at| Position(*at))
        };
        let all: Vec<_> = open.iter().map(|open| (open.reader.clone(), until(open))).collect();
        let across = Across::of(&all, None)?;
        for (open, (_, until)) in open.iter().zip(&all) {
            let Some(live) = open.reader.timeline(of.program) else { continue };
            let (shard, until) = (open.reader.shard(), *until);
            let old = live.known_before(until.0);
            let new = changed(&old, &changes(&old, self.from, self.to, &self.new));
            let comparison = Comparison { program: of.program, old: &old, new: &new, at: self.at, sample: 1, named };
            let sweep = Sweep { log: &open.log, until, recorded: None, options: SweepOptions::default(), across: Some(&across) };
            plan.add(&comparison, &sweep, (&then, |who: &Who<'_>| true_ups(&self.cohorts, who)), |swept| progress(shard, swept))?;
            shards.insert(shard, until.0);
            sides.get_or_insert((old, new));
        }
        let Some((old, new)) = sides else { return Err(Problem::not_found(format!("there is no program {} here", of.program))) };
        let rows = shards.iter().map(|(shard, until)| json!({ "shard": shard, "next_position": until })).collect();
        let diff = compared::told(of.program, self.at, 1, (&old, &new), &plan.tally, rows);
        let changes = self.actual(&old);
        self.ledgers_exist(&changed(&old, &changes), &plan)?;
        let record = self.record(asked, &plan, &changes, shards);
        Ok((Task { record, changes, entries: plan.entries }, diff))
    }

    /// What the timeline becomes: with true-ups what was shown stays.
    fn actual(&self, live: &Timeline) -> Changes {
        match (self.has_true_ups(), self.to) {
            (false, to) => changes(live, self.from, to, &self.new),
            (true, None) => changes(live, self.at, None, &self.new),
            (true, Some(_)) => Vec::new(),
        }
    }

    fn ledgers_exist(&self, then: &Timeline, plan: &Plan) -> Result<(), Problem> {
        let rules = then.at(self.at);
        let missing = plan.entries.iter().find(|entry| rules.is_none_or(|rules| !rules.has_ledger(&entry.ledger)));
        match missing {
            Some(entry) => {
                let why =
                    format!("ledger {} has differences, and the rules in force at {} do not have it", entry.ledger, self.at);
                Err(Problem::new("apply_conflict", why))
            }
            None => Ok(()),
        }
    }

    fn record(&self, asked: &Apply, plan: &Plan, changes: &Changes, shards: BTreeMap<u32, u64>) -> Record {
        let sum = plan.entries.iter().map(|entry| entry.points).sum();
        let changes: Vec<(String, String)> = changes.iter().map(|(at, rules)| (at.to_string(), rules.hash_hex())).collect();
        let mut record = Record {
            id: String::new(),
            policy: self.policy,
            cohorts: self.words.clone(),
            undoes: None,
            ruleset: self.new.hash_hex(),
            text: asked.new.clone(),
            from: self.from.to_string(),
            to: self.to.map(|to| to.to_string()),
            at: self.at.to_string(),
            actor: asked.actor.clone(),
            note: asked.note.clone(),
            changes,
            restates: self.restates(),
            shards,
            diff: plan.tally.digest(),
            effects: String::new(),
            entries: (plan.entries.len() as u64, sum),
            shortfalls: (plan.tally.uncovered.0, plan.tally.uncovered.1),
        };
        // Neither the position nor the instant: the same effects, though the log moved on, are the same digest.
        let began = if self.has_true_ups() || self.restates() { record.from.as_str() } else { "" };
        let what = json!([record.policy, record.cohorts, record.ruleset, began, record.to, true_ups_digest(&plan.entries)]);
        let numbers = if self.restates() { record.diff.as_str() } else { "" };
        record.effects = hash_of(&format!("{what}{numbers}"));
        record.id = record.digest().chars().take(16).collect();
        record
    }
}

/// The task of a record again.
///
/// # Errors
/// The log can't be read, or comes to something else.
pub(super) fn again(of: &Applying<'_>, record: &Record, progress: &mut dyn FnMut(u32, Swept)) -> Result<Task, Problem> {
    let cohorts = cohorts(&record.cohorts, record.policy)?;
    let new = compared::ruleset(of.program, Some(&record.text))?.ok_or_else(|| Problem::new("internal", "no ruleset"))?;
    let (from, at) = (Record::instant(&record.from)?, Record::instant(&record.at)?);
    let to = record.to.as_deref().map(Record::instant).transpose()?;
    let planned = Planned { new, policy: record.policy, words: record.cohorts.clone(), cohorts, from, to, at };
    let asked = Apply {
        new: record.text.clone(),
        named: Some(0),
        actor: record.actor.clone(),
        note: record.note.clone(),
        ..Apply::default()
    };
    let (task, _) = planned.look(of, &asked, Some(&record.shards), progress)?;
    if task.record != *record {
        let why = format!("application {} was begun with other numbers than the log gives now: it can't be completed", record.id);
        return Err(Problem::new("internal", why));
    }
    Ok(task)
}
