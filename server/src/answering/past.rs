//! A past on two axes, for everybody of a program: what the view has where it is now, else one sweep of the log.

use crate::problem::Problem;
use crate::readers::Open;
use accrue_ledger::{Instant, MAIN};
use accrue_projections::{About, AsKnown, AsOf, LedgerReader, NUMBERS, SweepOptions, Sweeping, Swept};
use accrue_store::Position;
use serde_json::{Value, json};

/// Which past, and how far looking at it has come.
#[derive(Clone, Copy)]
pub(super) struct Past<'a> {
    pub as_of: AsOf,
    /// The instant meant where none is given.
    pub now: Instant,
    pub progress: &'a (dyn Fn(Swept) + Sync),
}

impl Past<'_> {
    /// The instant.
    pub fn at(&self) -> Instant {
        self.as_of.as_of.unwrap_or(self.now)
    }

    /// Asks the view of a shard, or sweeps its log.
    pub fn ask<T, E>(
        &self,
        open: &Open,
        program: &str,
        present: impl FnOnce(&LedgerReader) -> Result<T, E>,
        past: impl FnOnce(&LedgerReader, &Sweeping<'_>) -> Result<T, E>,
    ) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        if self.as_of.is_present(self.now) {
            return Ok(present(&open.reader)?);
        }
        let options = SweepOptions::default();
        let how = Sweeping { program, asked: self.as_of, now: self.now, options, progress: self.progress };
        Ok(past(&open.reader, &how)?)
    }
}

/// Says in an answer which past it is of, on both axes.
pub(super) fn name(answer: &mut Value, of: AsOf, now: Instant) {
    let Some(object) = answer.as_object_mut() else { return };
    object.entry("as_of").or_insert_with(|| json!(of.as_of.unwrap_or(now).to_string()));
    let known = match of.known {
        AsKnown::Now => Value::Null,
        AsKnown::At(at) => json!(at.to_string()),
        AsKnown::Position(position) => json!(position.0),
    };
    object.insert("as_known_at".to_owned(), known);
}

/// What is known at: an instant, or a position.
///
/// # Errors
/// It is neither.
pub fn known(at: Option<&str>) -> Result<AsKnown, Problem> {
    let Some(at) = at else { return Ok(AsKnown::Now) };
    let position = at.parse().ok().map(|position| AsKnown::Position(Position(position)));
    position.or_else(|| Instant::parse(at).map(AsKnown::At)).ok_or_else(|| {
        let like = "it has to be a position, or like 2024-10-12T07:20:50Z";
        Problem::new("bad_request", format!("as_known_at is {at:?}, {like}"))
    })
}

/// What is asked to be explained: `tier`, or a number of a ledger.
///
/// # Errors
/// There is no such number.
pub fn about(name: &str, ledger: Option<&str>) -> Result<About, Problem> {
    match name.replace(' ', "_").as_str() {
        "tier" => Ok(About::Tier),
        "balance" => Ok(About::Balance),
        name if NUMBERS.contains(&name) => Ok(About::Number { ledger: ledger.unwrap_or(MAIN).to_owned(), name: name.to_owned() }),
        _ => {
            let all = NUMBERS.join(", ");
            Err(Problem::new("bad_request", format!("number is {name:?}, it has to be one of {all}, tier, balance")))
        }
    }
}
