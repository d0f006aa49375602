//! Answers questions from the shards that are open here. The API and the command line both come through it, so that they
//! say the same.

mod applied;
mod compared;
mod exceptions;
mod generations;
mod ladder;
mod letters;
mod members;
mod order;
mod owed;
mod past;
mod program;
mod quote;
mod tiers;
mod what_if;

pub use applied::{Apply, Applying, Guards, Point as ApplyPoint, Policy, Undo};
pub use compared::{Compare, compare};
pub use generations::{Build, Manage, manage};
pub use letters::letter_row;
pub use owed::{Owed, owed};
pub use past::{about, known};
pub use quote::{Asked, quote};
pub use what_if::{Otherwise, what_if};

use crate::problem::Problem;
use crate::question::{OfMember, Question, token};
use crate::readers::{Open, Readers};
use accrue_ledger::Instant;
use accrue_projections::Swept;
use past::Past;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long an answer waits for a position.
const POSITION_WAIT: Duration = Duration::from_secs(5);
/// Between two looks at it.
const POSITION_LOOK: Duration = Duration::from_millis(2);

/// Answers a question. `now`: the instant meant where none is given.
///
/// # Errors
/// What was asked about is not there, or can't be read.
pub fn answer(readers: &Readers, question: &Question, now: Instant) -> Result<Value, Problem> {
    answer_told(readers, question, now, &|_| {})
}

/// The same; `progress` is told how far it is where everybody of a past is folded.
///
/// # Errors
/// As [`answer`].
pub fn answer_told(
    readers: &Readers,
    question: &Question,
    now: Instant,
    progress: &(dyn Fn(Swept) + Sync),
) -> Result<Value, Problem> {
    let mut answer = answer_of(readers, question, now, progress)?;
    if let Some(as_of) = question.as_of() {
        past::name(&mut answer, as_of, now);
    }
    Ok(answer)
}

fn answer_of(readers: &Readers, question: &Question, now: Instant, progress: &(dyn Fn(Swept) + Sync)) -> Result<Value, Problem> {
    let past = Past { as_of: question.as_of().unwrap_or_default(), now, progress };
    match question {
        Question::InGeneration(generation, question) => {
            answer_told(&readers.in_generation(*generation)?, question, now, progress)
        }
        Question::Programs => Ok(json!({ "programs": program::programs(readers) })),
        Question::Member(of) => member(readers, of, now),
        Question::Entries { of, after, limit } => entries(readers, of, *after, *limit, now),
        Question::Order { of, order } => order::explained(readers, of, order, now),
        Question::Explain { of, about } => order::tree(readers, of, about, now),
        Question::Members { program, after, limit, .. } => {
            some(readers, program, "members", members::page(readers, program, after, *limit, &past)?)
        }
        Question::Find { program, by, .. } => members::find(readers, program, by, &past),
        Question::Top { program, sort, limit, .. } => {
            some(readers, program, "members", members::top(readers, program, sort, *limit, &past)?)
        }
        Question::Exceptions { program, after, limit, .. } => {
            some(readers, program, "exceptions", exceptions::page(readers, program, after, *limit, &past)?)
        }
        Question::Coupon { program, code, as_of } => {
            for open in readers.ready()? {
                if let Some(coupon) = open.reader.coupon(program, code, *as_of, now)? {
                    return value(&coupon);
                }
            }
            Err(Problem::not_found(format!("there is no coupon {code} in program {program}")))
        }
        Question::Tiers(of) => tiers::moves(readers, of, now),
        Question::Referrals(of) => {
            let found = find(readers, of, |open| open.reader.referrals(&of.program, &of.member, of.as_of, now))?;
            found.map_or_else(|| Err(no_member(of)), |found| value(&found))
        }
        Question::Expiring { program, within, limit, .. } => {
            some(readers, program, "expiring", tiers::expiring(readers, program, within, *limit, &past)?)
        }
        Question::Totals { program, by, .. } => program::totals(readers, program, by.as_deref(), &past),
        Question::TierMoves { program, .. } => ladder::moves(readers, program, &past),
        Question::Rulesets { program } => program::rulesets(readers, program, now),
        Question::Applications { program } => applied::applications(readers, program),
        Question::Digest { program } => program::digest(readers, program),
        Question::DeadLetters { after, limit, all } => letters::page(readers, *after, *limit, *all),
        Question::DeadLetter { shard, seq } => letters::one(readers, *shard, *seq),
    }
}

/// An answer without rows may be one about a program that there is not.
fn some(readers: &Readers, program: &str, rows: &str, answer: Value) -> Result<Value, Problem> {
    if answer[rows].as_array().is_some_and(Vec::is_empty) {
        program::known(readers, program)?;
    }
    Ok(answer)
}

fn value(of: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(of).map_err(|error| Problem::new("internal", error.to_string()))
}

/// Asks the shards that a member can be in, when they are as far as is wanted.
fn find<T>(
    readers: &Readers,
    of: &OfMember,
    ask: impl Fn(&Open) -> Result<Option<T>, accrue_projections::ProjectionError>,
) -> Result<Option<T>, Problem> {
    for open in readers.of_member(&of.program, &of.member)? {
        wait_for(&open, of)?;
    }
    for open in readers.that_may_answer(&of.program, &of.member)? {
        if let Some(found) = ask(&open)? {
            return Ok(Some(found));
        }
    }
    readers.may_be_elsewhere()?;
    Ok(None)
}

fn wait_for(open: &Open, of: &OfMember) -> Result<(), Problem> {
    let Some(wanted) = of.min_position else { return Ok(()) };
    let mut left = POSITION_WAIT;
    while open.reader.next_position() <= wanted {
        if left.is_zero() {
            let at = open.reader.next_position();
            return Err(Problem::new(
                "position_not_reached",
                format!("shard {} is before position {at}, not yet at {wanted}; ask again", open.reader.shard()),
            ));
        }
        std::thread::sleep(POSITION_LOOK);
        left = left.saturating_sub(POSITION_LOOK);
    }
    Ok(())
}

fn no_member(of: &OfMember) -> Problem {
    Problem::not_found(format!("there is no member {} in program {}", of.member, of.program))
}

fn member(readers: &Readers, of: &OfMember, now: Instant) -> Result<Value, Problem> {
    let found = find(readers, of, |open| open.reader.member(&of.program, &of.member, of.as_of, now))?;
    let mut found = found.ok_or_else(|| no_member(of))?;
    members::add_profiles(readers, of, &mut found, now)?;
    value(&found)
}

fn entries(readers: &Readers, of: &OfMember, after: u64, limit: usize, now: Instant) -> Result<Value, Problem> {
    let found = find(readers, of, |open| open.reader.entries(&of.program, &of.member, of.as_of, now))?;
    let Some(found) = found else { return Err(no_member(of)) };
    let from = usize::try_from(after).unwrap_or(usize::MAX).min(found.len());
    let until = from.saturating_add(limit).min(found.len());
    let next = (until < found.len()).then(|| token(&until.to_string()));
    Ok(
        json!({ "program": of.program, "member": of.member, "entries": value(&&found[from..until])?, "of": found.len(), "next_page_token": next }),
    )
}
