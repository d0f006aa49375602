//! What is asked to be replayed: on the command line, or of a running service.

use super::token::{self, Head, Place};
use super::{Asked, Lines, To, columns, replay};
use crate::past::{Past, PastAsked, instant};
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ledger::Instant;
use accrue_projections::Swept;
use accrue_projections::export::{EntryRow, FactRow};
use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::io::BufWriter;

/// Bytes written at a time.
const WRITE_BYTES: usize = 256 * 1024;

/// The form of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ReplayForm {
    /// JSON lines.
    #[default]
    Jsonl,
    /// RFC 4180.
    Csv,
    /// A Parquet file.
    Parquet,
}

/// It, as a body has it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayAsked {
    /// In which form.
    pub format: ReplayForm,
    /// Facts, not entries.
    pub facts: bool,
    /// Only this member.
    pub member: Option<String>,
    /// What happened at or after this …
    pub from: Option<String>,
    /// … and before this.
    pub to: Option<String>,
    /// Behind the row with this token.
    pub after: Option<String>,
    /// Which past.
    pub past: PastAsked,
}

/// A replay that can begin.
pub struct Replay {
    past: Past,
    asked: Asked,
    after: Option<Place>,
    format: ReplayForm,
}

impl ReplayAsked {
    /// Finds what it is about.
    ///
    /// # Errors
    /// It is asked wrongly, or is not there.
    pub fn find(&self, readers: &Readers, now: Instant) -> Result<Replay, Problem> {
        if self.facts && self.past.rules.is_some() {
            return Err(Problem::new("bad_request", "facts are what they are: other rules are for entries"));
        }
        let mut asked = Asked {
            past: self.past.clone(),
            facts: self.facts,
            member: self.member.clone(),
            from: instant("from", self.from.as_deref())?.unwrap_or(Instant::MIN),
            until: instant("to", self.to.as_deref())?.unwrap_or(Instant::MAX),
        };
        let again = self.after.as_deref().map(|token| asked.again(token)).transpose()?;
        let past = Past::of(readers, &asked.past, now)?;
        let after = match again {
            Some((_, log)) if token::log(&past)? != log => {
                return Err(Problem::new("bad_request", "the token is of another log: ask where it came from, or begin again"));
            }
            again => again.map(|(place, _)| place),
        };
        Ok(Replay { past, asked, after, format: self.format })
    }
}

impl Asked {
    /// The same again, behind a token: where, and of which log.
    fn again(&mut self, token: &str) -> Result<(Place, String), Problem> {
        let wrong = |detail: String| Problem::new("bad_request", detail);
        let none = || wrong(format!("{token:?} is no token of a replay: take the last one that was written"));
        let (Head { at, before, log, question }, place) = token::read(token).ok_or_else(none)?;
        if question != token::question(self) {
            return Err(wrong("the token is of another replay: ask with the same flags".to_owned()));
        }
        self.past.as_of = Some(at.to_string());
        self.past.as_known_before = Some(before);
        Ok((place, log))
    }
}

impl Replay {
    /// Writes every row that is asked for.
    ///
    /// # Errors
    /// The log can't be read, or it can't be written.
    pub fn write(&self, to: To, progress: impl FnMut(u32, Swept)) -> Result<()> {
        let (to, head) = (Box::new(BufWriter::with_capacity(WRITE_BYTES, to)), self.after.is_none());
        let mut lines = match (self.format, self.asked.facts) {
            (ReplayForm::Csv, false) => Lines::csv::<EntryRow>(to, head, true)?,
            (ReplayForm::Csv, true) => Lines::csv::<FactRow>(to, head, false)?,
            (ReplayForm::Parquet, false) => Lines::parquet(to, &columns::<EntryRow>(true))?,
            (ReplayForm::Parquet, true) => Lines::parquet(to, &columns::<FactRow>(false))?,
            (ReplayForm::Jsonl, _) => Lines::Jsonl(to),
        };
        replay(&self.past, &self.asked, self.after.as_ref(), &mut lines, progress)?;
        lines.finish()
    }
}
