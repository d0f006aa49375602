//! What the log says of rules that were applied: what was begun, what came of it, what undoes what.

use super::asked::Policy;
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ledger::Instant;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An application as it was begun: everything that is needed to do it again from the same place.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Record {
    /// A digest over the rest.
    pub id: String,
    /// `None`: it undoes another.
    pub policy: Option<Policy>,
    /// For whom another policy holds.
    pub cohorts: Vec<String>,
    /// The application that it undoes.
    pub undoes: Option<String>,
    /// Hash of the ruleset.
    pub ruleset: String,
    /// Its text.
    pub text: String,
    /// From when it judges what it is applied to.
    pub from: String,
    /// Until then only.
    pub to: Option<String>,
    /// When it takes effect.
    pub at: String,
    /// Who.
    pub actor: Option<String>,
    /// Why.
    pub note: Option<String>,
    /// From when which ruleset judges, by hash.
    pub changes: Vec<(String, String)>,
    /// Whether those changes reach into the past.
    pub restates: bool,
    /// The log as it was: shard and position.
    pub shards: BTreeMap<u32, u64>,
    /// Over the comparison of both rules.
    pub diff: String,
    /// Over the entries.
    pub effects: String,
    /// Entries that make up differences, and the points in them.
    pub entries: (u64, i64),
    /// Redemptions that the rules would not have covered, and the points owed for them.
    pub shortfalls: (u64, i64),
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Done {
    /// Entries that were accepted.
    pub accepted: u64,
    /// Members for whom one was refused, and why.
    pub refused: Vec<(String, String)>,
}

/// An application as the log knows it.
#[derive(Clone, Debug)]
pub struct Application {
    /// What was begun.
    pub record: Record,
    /// Where, by shard.
    pub positions: BTreeMap<u32, u64>,
    /// `None`: it was broken off.
    pub done: Option<Done>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Noted {
    Begun(Box<Record>),
    Done(Done),
}

impl Record {
    /// As the log keeps it.
    pub fn begun(&self) -> String {
        json!(Noted::Begun(Box::new(self.clone()))).to_string()
    }

    /// Over what is to be done: where, under which rules, by which policy, and to what it comes.
    pub fn digest(&self) -> String {
        let unnamed = Record { id: String::new(), actor: None, note: None, ..self.clone() };
        accrue_projections::hash_of(&json!(unnamed).to_string())
    }

    pub(super) fn instant(text: &str) -> Result<Instant, Problem> {
        Instant::parse(text).ok_or_else(|| Problem::new("internal", format!("a record says {text:?} for an instant")))
    }
}

impl Done {
    /// As the log keeps it.
    pub fn noted(&self) -> String {
        json!(Noted::Done(self.clone())).to_string()
    }
}

/// All of a program, in order of their beginning.
///
/// # Errors
/// A shard is not ready, or a record can't be read.
pub fn all(readers: &Readers, program: &str) -> Result<Vec<Application>, Problem> {
    let mut all: Vec<Application> = Vec::new();
    for open in readers.ready()? {
        for applied in open.reader.applied(program) {
            let noted = serde_json::from_str(&applied.record)
                .map_err(|error| Problem::new("internal", format!("application {}: {error}", applied.application)))?;
            let known = all.iter_mut().find(|known| known.record.id == applied.application);
            let here = (open.reader.shard(), applied.position.0);
            match (noted, known) {
                (Noted::Begun(_), Some(known)) => drop(known.positions.insert(here.0, here.1)),
                (Noted::Begun(record), None) => {
                    all.push(Application { record: *record, positions: [here].into(), done: None });
                }
                (Noted::Done(done), Some(known)) => known.done = Some(done),
                (Noted::Done(_), None) => {}
            }
        }
    }
    Ok(all)
}

/// The last link of a chain of undoing that begins with an application.
pub fn last_word<'a>(all: &'a [Application], of: &'a Application) -> &'a Application {
    let mut word = of;
    while let Some(next) = all.iter().find(|next| next.record.undoes.as_ref() == Some(&word.record.id)) {
        word = next;
    }
    word
}

/// Whether an application is in effect: nothing undid it, or that was undone.
pub fn holds(all: &[Application], of: &Application) -> bool {
    match all.iter().find(|next| next.record.undoes.as_ref() == Some(&of.record.id)) {
        Some(next) => !holds(all, next),
        None => true,
    }
}

/// As the API tells it.
pub fn told(all: &[Application], of: &Application) -> Value {
    let record = &of.record;
    let undone_by = all.iter().find(|next| next.record.undoes.as_ref() == Some(&record.id)).map(|next| &next.record.id);
    let state = match (&of.done, holds(all, of)) {
        (None, _) => "broken_off",
        (Some(_), true) => "done",
        (Some(_), false) => "undone",
    };
    let mut told = json!(record);
    if let Some(fields) = told.as_object_mut() {
        fields.remove("text");
        let (entries, shortfalls) = (record.entries, record.shortfalls);
        let without = if record.undoes.is_some() { "undo" } else { "by cohort" };
        fields.insert("policy".into(), json!(record.policy.map_or(without, Policy::name)));
        fields.insert("state".into(), json!(state));
        fields.insert("undone_by".into(), json!(undone_by));
        fields.insert("entries".into(), json!({ "members": entries.0, "points": entries.1 }));
        fields.insert("shortfalls".into(), json!({ "redemptions": shortfalls.0, "points": shortfalls.1 }));
        fields.insert("accepted".into(), json!(of.done.as_ref().map(|done| done.accepted)));
        fields.insert("refused".into(), json!(of.done.as_ref().map(|done| &done.refused)));
        let changes = record.changes.iter().map(|(from, ruleset)| json!({ "from": from, "ruleset": ruleset }));
        fields.insert("changes".into(), changes.collect());
    }
    told
}
