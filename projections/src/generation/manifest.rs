//! What is known of a generation beside its rows: a small file in its directory. The one that a new store begins with has none.

use crate::error::ProjectionError;
use crate::rows::DayRow;
use crate::totals::Totals;
use accrue_ledger::{Instant, Ruleset};
use accrue_store::View;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::BuildOptions;

const NAME: &str = "generation.json";
const VERSION: u32 = 1;

/// Rules that are not in force: a ruleset judges from an instant on, those in force judge before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supposed {
    /// The text of the ruleset.
    pub ruleset: String,
    /// From then on, microseconds; `None`: always.
    pub from: Option<i64>,
}

impl Supposed {
    /// The ruleset, read, and from when it judges.
    pub(crate) fn read(&self) -> Result<(Arc<Ruleset>, Instant), String> {
        let ruleset = Ruleset::parse(&self.ruleset).map_err(|error| error.to_string())?;
        Ok((Arc::new(ruleset), self.from.map_or(Instant::MIN, Instant)))
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Building,
    Complete,
    Dropping,
}

/// Sums of a day, as the file has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Day {
    program: String,
    ledger: String,
    day: i32,
    points: Vec<i64>,
    entries: u64,
}

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    pub stage: Stage,
    /// Built from everything before this position; what comes later is followed.
    pub until: u64,
    pub options: BuildOptions,
    pub what_if: Option<Supposed>,
    /// The writer builds it for itself: nobody goes on with it after a crash.
    pub by_writer: bool,
    /// It was live once.
    pub kept: bool,
    /// What was live before it.
    pub came_from: Option<u32>,
    /// Rounds whose rows are in the view, and facts in them.
    pub rounds: usize,
    pub facts: u64,
    /// The latest instant folded, of these rounds.
    pub latest: i64,
    /// Sums of these rounds.
    pub(crate) totals: Vec<Day>,
}

impl Manifest {
    pub fn new(until: u64, options: BuildOptions, what_if: Option<Supposed>) -> Manifest {
        Manifest {
            version: VERSION,
            stage: Stage::Building,
            until,
            options,
            what_if,
            by_writer: false,
            kept: false,
            came_from: None,
            rounds: 0,
            facts: 0,
            latest: Instant::MIN.0,
            totals: Vec::new(),
        }
    }

    /// Of a generation that was made by the writer, fact by fact.
    pub fn of_old(until: u64) -> Manifest {
        Manifest { stage: Stage::Complete, ..Manifest::new(until, BuildOptions::default(), None) }
    }

    /// `None`: there is none, or it is of a version that is not known here: the view is worth nothing then.
    pub fn read(view: &View) -> Result<Option<Manifest>, ProjectionError> {
        let Some(bytes) = view.beside(NAME)? else { return Ok(None) };
        let manifest = serde_json::from_slice::<Manifest>(&bytes).ok();
        Ok(manifest.filter(|manifest| manifest.version == VERSION))
    }

    pub fn write(&self, view: &View) -> Result<(), ProjectionError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| ProjectionError::Generation { detail: error.to_string() })?;
        Ok(view.put_beside(NAME, &bytes)?)
    }

    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for day in &self.totals {
            let mut row = DayRow { entries: day.entries, ..DayRow::default() };
            row.points.iter_mut().zip(&day.points).for_each(|(to, points)| *to = *points);
            totals.set(&day.program, &day.ledger, day.day, row);
        }
        totals
    }

    pub fn set_totals(&mut self, totals: &Totals) {
        let day = |(program, ledger, day, row): (&str, &str, i32, &DayRow)| {
            let (program, ledger, points) = (program.to_owned(), ledger.to_owned(), row.points.to_vec());
            Day { program, ledger, day, points, entries: row.entries }
        };
        self.totals = totals.iter().map(day).collect();
    }
}
