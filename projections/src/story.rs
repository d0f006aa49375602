//! Scenario files: stories with expected numbers, told to a real shard (`conformance/README.md`).
//!
//! [`run`] is `accrue rules test`: every file is played in order of arrival through a log, the ledger the writer decides on and
//! the reader; then everything is derived again in every way there is, and must be the same. [`Desk`] is the writer's loop
//! without its thread, for tests of the whole.
//!
//! Reads files; knows nothing of Kafka, HTTP or clocks: what is recorded is stamped with the latest instant of the story.

mod desk;
mod desks;
mod expect;
mod file;
mod later;
mod orders;
mod play;
mod rules;
mod shrink;
mod step;
mod swept;
mod told;

pub use desk::{Delivered, Desk};
pub use desks::Desks;
pub use told::{ToldRows, told_rows};

use crate::answer::EntryAnswer;
use crate::error::ProjectionError;
use accrue_store::{InlineError, StoreError};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What became of one scenario file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoryReport {
    /// The file.
    pub file: PathBuf,
    /// Its `name`.
    pub name: String,
    /// Its `section`; empty: none given.
    pub section: String,
    /// Everything is as expected.
    pub passed: bool,
    /// What differs.
    pub differences: Vec<Difference>,
    /// Where something differs: the entries of the members, as sentences.
    pub story: Vec<String>,
    /// The fewest steps that show the first difference, and the entries they make.
    pub smallest: Option<Smallest>,
}

/// A story without what a difference does not need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Smallest {
    /// Its steps; the last is the one that differs.
    pub steps: Vec<StepRow>,
    /// The entries of the member concerned, as of that step.
    pub entries: Vec<EntryAnswer>,
}

/// A step, in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepRow {
    /// Its number in the file, from 1.
    pub step: usize,
    /// Its instant.
    pub at: String,
    /// Its member.
    pub member: String,
    /// The body of the fact, or what is expected.
    pub what: String,
}

/// One number that is not what the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The step, from 1; 0: the file as a whole.
    pub step: usize,
    /// Which number.
    pub what: String,
    /// By the file.
    pub expected: String,
    /// By the engine.
    pub found: String,
}

/// Why stories can't be told at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoryError {
    /// A file or folder can't be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A scenario or ruleset that is not one.
    #[error("{}:{line}: {detail}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What, and a hint.
        detail: String,
    },
    /// More than one shard answers for a member.
    #[error("more than one shard answers for member {0}")]
    Twice(String),
    /// What goes between shards does not come to an end.
    #[error("what goes between shards does not come to an end: {0}")]
    Restless(String),
    /// The store in the scratch directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Inline(#[from] InlineError),
    /// Its answers.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// The desk lost its ledger in an earlier error.
    #[error("the ledger is closed after an earlier error: open a new desk")]
    Closed,
}

/// Plays scenario files; of folders, all `*.toml` files in them and in folders below, except those in a folder `rulesets`.
/// Files with one content but in two places are two stories. `scratch`: an empty directory for the stores; what is in it
/// afterwards can be deleted.
///
/// # Errors
/// A file can't be read or is no scenario (nothing is played then), or a store fails. What differs is in the reports.
pub fn run(paths: &[PathBuf], scratch: &Path) -> Result<Vec<StoryReport>, StoryError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            file::scenarios_in(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    let stories = files.iter().map(|file| file::read(file)).collect::<Result<Vec<_>, _>>()?;
    stories.iter().enumerate().map(|(number, story)| play::play(story, &scratch.join(number.to_string()))).collect()
}
