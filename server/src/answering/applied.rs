//! Rules applied to what was there already: looked at first, then done, noted in the log, and undone if somebody wants that.

mod asked;
mod carry;
mod plan;
mod record;
mod undo;

pub use asked::{Apply, Policy};
pub use carry::Point;
pub use undo::Undo;

use crate::intake::Taken;
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ledger::{Instant, Ruleset};
use accrue_projections::{Swept, TrueUp};
use parking_lot::Mutex;
use plan::Planned;
use record::{Application, Done, Record};
use serde_json::{Value, json};
use std::sync::Arc;

/// One at a time.
static APPLYING: Mutex<()> = Mutex::new(());

/// Where facts go in.
pub type Take<'a> = &'a dyn Fn(&[&[u8]]) -> Result<Taken, Problem>;

/// How far an application may go without being approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// Of a hundred members.
    pub max_members_pct: Option<u64>,
    /// Points of all differences, without signs.
    pub max_abs_delta: Option<u64>,
}

/// What is needed to apply rules.
pub struct Applying<'a> {
    /// What is known.
    pub readers: &'a Readers,
    /// Where facts go in.
    pub take: Take<'a>,
    /// Waits until what went in before is known: nothing may be begun beside what was broken off.
    pub catch_up: &'a dyn Fn() -> Result<(), Problem>,
    /// Of which program.
    pub program: &'a str,
    /// Those of the configuration.
    pub guards: Guards,
    /// The instant meant where none is given.
    pub now: Instant,
}

/// What is to be done, whole.
struct Task {
    record: Record,
    changes: Vec<(Instant, Arc<Ruleset>)>,
    entries: Vec<TrueUp>,
}

impl Applying<'_> {
    /// Applies rules, or says what that would do.
    ///
    /// # Errors
    /// What is asked can't be, goes too far, or was broken off.
    pub fn apply(&self, asked: &Apply, progress: &mut dyn FnMut(u32, Swept)) -> Result<Value, Problem> {
        let _alone = APPLYING.lock();
        self.sees_everything()?;
        let known = record::all(self.readers, self.program)?;
        let planned = Planned::of(self, asked)?;
        if let Some(open) = known.iter().find(|known| known.done.is_none()) {
            if !planned.is_again(&open.record) {
                return Err(broken_off(open));
            }
            return if asked.dry_run { Ok(answer(&known, open, "dry_run", Value::Null)) } else { self.complete(open, progress) };
        }
        let again = known.iter().find(|one| planned.is_again(&one.record) && record::holds(&known, one));
        if let Some(again) = again.filter(|_| planned.has_true_ups()) {
            return Ok(answer(&known, again, "already", Value::Null));
        }
        planned.overlaps(&known)?;
        let (task, diff) = planned.look(self, asked, None, progress)?;
        let stopped = self.stopped(asked, &task.record, &diff);
        if asked.dry_run {
            let fresh = Application { record: task.record, positions: [].into(), done: None };
            let mut told = answer(&known, &fresh, "dry_run", diff);
            told["stopped_by"] = json!(stopped);
            return Ok(told);
        }
        if task.changes_nothing(self)? {
            let fresh = Application { record: task.record, positions: [].into(), done: None };
            return Ok(answer(&known, &fresh, "already", diff));
        }
        if let Some(why) = stopped {
            return Err(Problem::new("not_approved", why));
        }
        self.begin(task, diff)
    }

    /// Completes what was broken off.
    ///
    /// # Errors
    /// Nothing was, or it is broken off again.
    pub fn resume(&self, progress: &mut dyn FnMut(u32, Swept)) -> Result<Value, Problem> {
        let _alone = APPLYING.lock();
        self.sees_everything()?;
        let known = record::all(self.readers, self.program)?;
        let open = known.iter().find(|known| known.done.is_none());
        let open = open.ok_or_else(|| Problem::not_found("nothing was broken off"))?;
        self.complete(open, progress)
    }

    fn sees_everything(&self) -> Result<(), Problem> {
        self.readers.all_are_here()?;
        (self.catch_up)()
    }

    /// The same task again, from where it was begun: what is there already is recognised.
    fn complete(&self, open: &Application, progress: &mut dyn FnMut(u32, Swept)) -> Result<Value, Problem> {
        let task = match &open.record.undoes {
            Some(_) => undo::again(self, &open.record)?,
            None => plan::again(self, &open.record, progress)?,
        };
        self.begin(task, Value::Null)
    }

    fn begin(&self, task: Task, diff: Value) -> Result<Value, Problem> {
        let id = task.record.id.clone();
        carry::out(self, &task)?;
        let known = record::all(self.readers, self.program)?;
        let done = known.iter().find(|known| known.record.id == id);
        Ok(match done {
            Some(done) => answer(&known, done, "done", diff),
            // Through a topic it may not have come back yet.
            None => {
                let fresh = Application { record: task.record, positions: [].into(), done: Some(Done::default()) };
                answer(&known, &fresh, "done", diff)
            }
        })
    }

    /// Why it may not go on unapproved.
    fn stopped(&self, asked: &Apply, record: &Record, diff: &Value) -> Option<String> {
        let number = |name: &str| diff[name].as_u64().unwrap_or(0);
        let (members, changed, moved) = (number("members"), number("changed"), number("moved"));
        let stricter = |own: Option<u64>, configured: Option<u64>| own.into_iter().chain(configured).min();
        let of_members = stricter(asked.max_members_pct, self.guards.max_members_pct)
            .filter(|most| changed.saturating_mul(100) > most.saturating_mul(members))
            .map(|most| format!("{changed} of {members} members would change, more than {most} %"));
        let of_points = stricter(asked.max_abs_delta, self.guards.max_abs_delta)
            .filter(|most| moved > *most)
            .map(|most| format!("{moved} points would move, more than {most}"));
        let approved = asked.approve.as_deref();
        let fits = approved.is_some_and(|digest| digest == record.digest() || digest == record.effects);
        let moved_on = approved.filter(|_| !fits).map(|digest| {
            format!("{digest} was approved, and it comes to something else now: {changed} of {members} members, {moved} points")
        });
        if fits {
            return None;
        }
        let why: Vec<String> = [moved_on, of_members, of_points].into_iter().flatten().collect();
        let hint = format!("look at it with a dry run, then approve {}", record.effects);
        (!why.is_empty()).then(|| format!("{}; {hint}", why.join("; ")))
    }
}

impl Task {
    /// The same rules are in force already, and nobody gets anything.
    fn changes_nothing(&self, of: &Applying<'_>) -> Result<bool, Problem> {
        let same = |timeline: &accrue_ledger::Timeline| {
            self.changes.iter().all(|(at, rules)| timeline.at(*at).is_some_and(|known| known.tag() == rules.tag()))
        };
        Ok(self.entries.is_empty() && same(&plan::live(of)?))
    }
}

/// When it takes effect: facts say so, and none may come from the future.
fn takes_effect(asked: Option<&str>, now: Instant) -> Result<Instant, Problem> {
    let wrong = |why: String| Problem::new("bad_request", why);
    let Some(text) = asked else { return Ok(now) };
    let at = Instant::parse(text).ok_or_else(|| wrong(format!("at is {text:?}, like 2024-10-12T07:20:50Z it has to be")))?;
    if at > now {
        return Err(wrong(format!("at is {at}, and that is still to come: leave it out for now, or do it then")));
    }
    Ok(at)
}

/// What an undoing or applying that was broken off stands in the way of.
fn broken_off(open: &Application) -> Problem {
    let id = &open.record.id;
    Problem::new("apply_conflict", format!("application {id} was broken off: complete it first (`accrue rules apply --resume`)"))
}

fn answer(known: &[Application], of: &Application, state: &str, diff: Value) -> Value {
    let mut told = record::told(known, of);
    told["state"] = json!(state);
    json!({ "application": told, "digest": of.record.digest(), "effects": of.record.effects, "diff": diff })
}

/// All applications of a program, the latest first.
///
/// # Errors
/// There is no such program.
pub(super) fn applications(readers: &Readers, program: &str) -> Result<Value, Problem> {
    super::program::known(readers, program)?;
    let known = record::all(readers, program)?;
    let rows: Vec<Value> = known.iter().rev().map(|one| record::told(&known, one)).collect();
    Ok(json!({ "program": program, "applications": rows }))
}
