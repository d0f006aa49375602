//! A task carried out: noted first, then the rules, then the entries, then noted as done. Every fact has an id of its own that
//! says what it is, so that all of it can be told again from any point on.

use super::record::{Done, Record};
use super::{Applying, Task};
use crate::problem::Problem;
use accrue_ledger::{Instant, Ruleset};
use accrue_projections::{Ends, TrueUp, hash_of, point};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Who says it.
pub(super) const SOURCE: &str = "rules";
/// Entries handed in at a time.
const FEW: usize = 500;

/// Named moments of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// What is to be done is in the log.
    TaskNoted,
    /// The rules are in force.
    RulesInForce,
    /// Some more entries are booked.
    SomeBooked,
    /// All are; nothing says so yet.
    AllBooked,
    /// It is noted as done.
    TaskDone,
}

impl Point {
    /// All of them.
    pub const ALL: [Point; 5] = [Point::TaskNoted, Point::RulesInForce, Point::SomeBooked, Point::AllBooked, Point::TaskDone];

    fn reached(self) {
        point::reached(&self);
    }
}

/// What the ids of an application's entries begin with.
pub(super) fn prefix(application: &str) -> String {
    format!("{application}:")
}

/// Does it.
///
/// # Errors
/// A shard takes nothing: what is left is done when it is told again.
pub(super) fn out(of: &Applying<'_>, task: &Task) -> Result<(), Problem> {
    let record = &task.record;
    book(of, &[noted(of, record, "begun", record.begun())])?;
    Point::TaskNoted.reached();
    for (number, (from, rules)) in task.changes.iter().enumerate() {
        book(of, &[activation(of, record, number, *from, rules)?])?;
    }
    Point::RulesInForce.reached();
    let mut done = Done::default();
    let entries = numbered(&task.entries);
    for few in entries.chunks(FEW) {
        let facts: Vec<Value> = few.iter().map(|(entry, number)| true_up(of, record, entry, *number)).collect();
        for ((entry, _), receipt) in few.iter().zip(book(of, &facts)?) {
            match receipt["decision"]["outcome"].as_str() {
                Some("rejected") => {
                    let reason = receipt["decision"]["reason"].as_str().unwrap_or_default();
                    done.refused.push((entry.member.clone(), reason.to_owned()));
                }
                _ => done.accepted += 1,
            }
        }
        Point::SomeBooked.reached();
    }
    Point::AllBooked.reached();
    book(of, &[noted(of, record, "done", done.noted())])?;
    Point::TaskDone.reached();
    Ok(())
}

fn book(of: &Applying<'_>, facts: &[Value]) -> Result<Vec<Value>, Problem> {
    let bytes: Vec<Vec<u8>> = facts.iter().map(|fact| fact.to_string().into_bytes()).collect();
    let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let taken = (of.take)(&bytes)?;
    let bad =
        taken.receipts.iter().find(|receipt| !matches!(receipt["outcome"].as_str(), Some("booked" | "duplicate" | "parked")));
    match bad {
        Some(receipt) => Err(Problem::new("apply_incomplete", format!("broken off: {receipt}; do it again to complete it"))),
        None => Ok(taken.receipts),
    }
}

fn fact(of: &Applying<'_>, record: &Record, id: String, at: &str, body: (&str, Value)) -> Value {
    let mut fact = json!({ "id": id, "source": SOURCE, "program": of.program, "occurred_at": at });
    fact[body.0] = body.1;
    if let Some(actor) = &record.actor {
        fact["actor"] = json!(actor);
    }
    fact
}

fn noted(of: &Applying<'_>, record: &Record, what: &str, text: String) -> Value {
    let body = json!({ "application": record.id, "record": text });
    fact(of, record, format!("{}:{what}", record.id), &record.at, ("rules_applied", body))
}

fn activation(of: &Applying<'_>, record: &Record, number: usize, from: Instant, rules: &Ruleset) -> Result<Value, Problem> {
    let at = from.min(Record::instant(&record.at)?).to_string();
    let body = json!({ "ruleset": rules.source, "hash": rules.hash_hex(), "effective_from": from.to_string() });
    Ok(fact(of, record, format!("{}:{number}", record.id), &at, ("ruleset_activated", body)))
}

/// Entries, and how many of the same member and ledger are before each.
fn numbered(entries: &[TrueUp]) -> Vec<(&TrueUp, usize)> {
    let mut before = BTreeMap::new();
    let mut number = |entry: &TrueUp| {
        let next = before.entry((entry.member.clone(), entry.ledger.clone())).or_insert(0);
        *next += 1;
        *next - 1
    };
    entries.iter().map(|entry| (entry, number(entry))).collect()
}

/// Its ids are made of the application, the member, the ledger and the number: told again, it is the same.
fn true_up(of: &Applying<'_>, record: &Record, entry: &TrueUp, number: usize) -> Value {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let until = record.to.as_deref().unwrap_or(&record.at);
    let reason = match &record.undoes {
        Some(undone) => format!("undoes the rules applied as {undone}"),
        None => {
            let (rules, diff) = (short(&record.ruleset), short(&record.diff));
            format!("difference by rules {rules} from {} to {until}, comparison {diff}", record.from)
        }
    };
    let more = if number == 0 { String::new() } else { format!(":{number}") };
    let mut body = json!({
        "adjustment_id": format!("{}{}{more}", prefix(&record.id), entry.ledger),
        "ledger": entry.ledger, "points": entry.points, "reason": reason, "allow_debt": true,
    });
    match entry.ends {
        Ends::Program => {}
        Ends::At(Instant::MAX) => body["expires"] = json!("never"),
        Ends::At(end) => body["expires"] = json!({ "at": end.to_string() }),
    }
    if let Some(id) = &entry.takes_back {
        body["takes_back"] = json!(id);
    }
    if let Some(note) = &record.note {
        body["note"] = json!(note);
    }
    let name: String = hash_of(&format!("{}\0{}{more}", entry.member, entry.ledger)).chars().take(32).collect();
    let mut fact = fact(of, record, format!("{}{name}", prefix(&record.id)), &record.at, ("points_adjusted", body));
    fact["member"] = json!(entry.member);
    fact
}
