//! Undoing: the former rules, and what takes back each entry that was made.

use super::plan::live;
use super::record::{self, Application, Record, holds, last_word};
use super::{Applying, Task, answer, broken_off, carry, takes_effect};
use crate::problem::Problem;
use accrue_ledger::{Instant, Ruleset, Timeline};
use accrue_projections::{Across, Sweep, SweepOptions, Undoing, hash_of, true_ups_digest};
use accrue_store::Position;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be undone.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Which application; absent: the latest that is in effect.
    pub id: Option<String>,
    /// When that takes effect; absent: now.
    pub at: Option<String>,
    /// Change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Why.
    pub note: Option<String>,
    /// Who.
    pub actor: Option<String>,
}

impl Applying<'_> {
    /// Undoes an application, or says what that would do.
    ///
    /// # Errors
    /// There is none, it is undone already, or rules changed since.
    pub fn undo(&self, asked: &Undo) -> Result<Value, Problem> {
        let _alone = super::APPLYING.lock();
        self.sees_everything()?;
        let known = record::all(self.readers, self.program)?;
        if let Some(open) = known.iter().find(|known| known.done.is_none()) {
            let same = open.record.undoes.is_some() && (asked.id.is_none() || open.record.undoes == asked.id);
            return if same && !asked.dry_run {
                self.begin(again(self, &open.record)?, Value::Null)
            } else {
                Err(broken_off(open))
            };
        }
        let of = chosen(&known, asked.id.as_deref())?;
        let at = takes_effect(asked.at.as_deref(), self.now)?;
        let record = Record {
            id: String::new(),
            policy: None,
            cohorts: Vec::new(),
            undoes: Some(of.record.id.clone()),
            from: of.record.from.clone(),
            to: of.record.to.clone(),
            at: at.to_string(),
            actor: asked.actor.clone(),
            note: asked.note.clone(),
            shards: self.readers.ready()?.iter().map(|open| (open.reader.shard(), open.reader.next_position().0)).collect(),
            ..of.record.clone()
        };
        let task = task(self, &known, of, record)?;
        if asked.dry_run {
            let fresh = Application { record: task.record, positions: BTreeMap::new(), done: None };
            return Ok(answer(&known, &fresh, "dry_run", Value::Null));
        }
        self.begin(task, Value::Null)
    }
}

/// Undoing what was undone again means undoing the undoing.
fn chosen<'a>(known: &'a [Application], id: Option<&str>) -> Result<&'a Application, Problem> {
    let one = match id {
        Some(id) => known.iter().find(|known| known.record.id == id),
        None => known.iter().rev().find(|one| one.record.undoes.is_none() && holds(known, one)),
    };
    let one = one.ok_or_else(|| Problem::not_found("there is no such application: see `accrue rules history`"))?;
    if !holds(known, one) {
        let (id, by) = (&one.record.id, &last_word(known, one).record.id);
        return Err(Problem::new("apply_conflict", format!("application {id} is undone already: undo {by} to have it again")));
    }
    Ok(last_word(known, one))
}

fn task(of: &Applying<'_>, known: &[Application], undone: &Application, mut record: Record) -> Result<Task, Problem> {
    let at = Record::instant(&record.at)?;
    let changes = former(of, known, undone, at, &record.shards)?;
    let (open, prefix) = (of.readers.ready()?, carry::prefix(&undone.record.id));
    let until = |shard: u32| record.shards.get(&shard).map_or(Position::FIRST, |at| Position(*at));
    let all: Vec<_> = open.iter().map(|open| (open.reader.clone(), until(open.reader.shard()))).collect();
    let across = Across::of(&all, None)?;
    let mut entries = Vec::new();
    for (open, (reader, until)) in open.iter().zip(&all) {
        let Some(rules) = reader.timeline(of.program) else { continue };
        let rules = rules.known_before(until.0);
        let sweep =
            Sweep { log: &open.log, until: *until, recorded: None, options: SweepOptions::default(), across: Some(&across) };
        let undoing = Undoing { program: of.program, rules: &rules, at, source: carry::SOURCE, prefix: &prefix };
        entries.extend(undoing.entries(&sweep)?);
    }
    record.changes = changes.iter().map(|(at, rules)| (at.to_string(), rules.hash_hex())).collect();
    record.entries = (entries.len() as u64, entries.iter().map(|entry| entry.points).sum());
    record.shortfalls = (0, 0);
    let (ruleset, text) = changes
        .first()
        .map_or_else(|| (record.ruleset.clone(), String::new()), |(_, rules)| (rules.hash_hex(), rules.source.to_string()));
    (record.ruleset, record.text) = (ruleset, text);
    record.effects = hash_of(&json!([record.undoes, record.changes, true_ups_digest(&entries)]).to_string());
    record.id.clear();
    record.id = record.digest().chars().take(16).collect();
    Ok(Task { record, changes, entries })
}

/// What judged before: from the same instants where history was restated, else from now on.
fn former(
    of: &Applying<'_>,
    known: &[Application],
    undone: &Application,
    at: Instant,
    shards: &BTreeMap<u32, u64>,
) -> Result<Vec<(Instant, Arc<Ruleset>)>, Problem> {
    if undone.record.changes.is_empty() {
        return Ok(Vec::new());
    }
    live(of)?;
    let Some((shard, position)) = undone.positions.first_key_value() else { return Ok(Vec::new()) };
    let open = of.readers.shard(*shard)?;
    let here = open.reader.timeline(of.program).unwrap_or_default();
    let end = shards.get(shard).copied().unwrap_or(u64::MAX);
    let since = here.activations().iter().filter(|known| known.position > *position && known.position < end).count();
    if since > undone.record.changes.len() {
        let later = known.iter().rev().find(|one| !one.record.changes.is_empty() && one.record.id != undone.record.id);
        let what = later.map_or_else(|| "activate".to_owned(), |one| format!("application {}", one.record.id));
        let why = format!("rules changed after application {}, lastly by {what}: undo that first", undone.record.id);
        return Err(Problem::new("apply_conflict", why));
    }
    let before = here.known_before(*position);
    let starts = undone.record.changes.iter().map(|(from, _)| Record::instant(from)).collect::<Result<Vec<_>, _>>()?;
    Ok(back(&before, &starts, (!undone.record.restates).then_some(at)))
}

/// `from`: not before then.
fn back(before: &Timeline, starts: &[Instant], from: Option<Instant>) -> Vec<(Instant, Arc<Ruleset>)> {
    let mut starts: Vec<Instant> = starts.iter().map(|start| from.map_or(*start, |from| from.max(*start))).collect();
    starts.dedup();
    starts.into_iter().filter_map(|start| Some((start, Arc::clone(before.at(start)?)))).collect()
}

/// The task of a record again.
///
/// # Errors
/// The log can't be read, or comes to something else.
pub(super) fn again(of: &Applying<'_>, record: &Record) -> Result<Task, Problem> {
    let known = record::all(of.readers, of.program)?;
    let undone = known.iter().find(|known| Some(&known.record.id) == record.undoes.as_ref());
    let undone = undone.ok_or_else(|| Problem::new("internal", format!("what {} undoes is not there", record.id)))?;
    let task = task(of, &known, undone, record.clone())?;
    if task.record != *record {
        return Err(Problem::new(
            "internal",
            format!("undoing {} was begun with other numbers than the log gives now", undone.record.id),
        ));
    }
    Ok(task)
}
