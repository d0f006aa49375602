//! The words of analysts: exports, replays, what is owed.

use super::OfProgram;
use super::asked::{PastArgs, before_positions, instant};
use crate::export::ExportForm;
use crate::export::csv::Dates;
use crate::failure::Failure;
use crate::past::PastAsked;
use crate::replay::ReplayForm;
use accrue_ledger::Instant;
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which past of the whole log, and with how much of the machine.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Only this program [default: all of them]
    #[arg(long)]
    pub program: Option<String>,
    /// True then: everything that happened by then, and what time did until then [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub as_of: Option<Instant>,
    /// As known then: without what was recorded later
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub as_known_at: Option<Instant>,
    /// As known before these positions, one a shard, as a manifest or a closing names them
    #[arg(long, value_name = "SHARD:POSITION,…", value_parser = before_positions, conflicts_with = "as_known_at")]
    pub as_known_before: Option<BTreeMap<u32, u64>>,
    /// Under this ruleset, instead of those that were in force
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Memory for facts, MiB [default: 256]
    #[arg(long, value_name = "MIB")]
    pub memory_mib: Option<usize>,
}

impl LogArgs {
    /// What is asked for.
    ///
    /// # Errors
    /// The ruleset can't be read.
    pub fn asked(&self) -> Result<PastAsked> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("can't read {}: {error}", path.display())))
        };
        Ok(PastAsked {
            program: self.program.clone(),
            as_of: self.as_of.map(|at| at.to_string()),
            as_known_at: self.as_known_at.map(|at| at.to_string()),
            as_known_before: self.as_known_before.clone(),
            rules: self.rules.as_ref().map(read).transpose()?,
            threads: self.threads.map(usize::from),
            memory_bytes: self.memory_mib.map(|mib| mib.saturating_mul(1024 * 1024)),
        })
    }
}

/// `export`
#[derive(Args, Debug)]
pub struct Export {
    /// In which form
    #[arg(value_enum)]
    pub form: ExportForm,
    /// The folder: not there, or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Some of entries, moves, lots, members, balances, tiers, coupons, redemptions, orders, daily [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub tables: Vec<String>,
    /// Of what happens (entries, moves, tiers, coupons, redemptions, orders, daily): at or after this
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub from: Option<Instant>,
    /// … and before this
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub to: Option<Instant>,
    /// How CSV has instants [default: iso]
    #[arg(long, value_enum)]
    pub dates: Option<Dates>,
    /// Which past
    #[command(flatten)]
    pub past: LogArgs,
}

/// `liability`
#[derive(Args, Debug)]
pub struct Liability {
    /// Only this ledger
    #[arg(long)]
    pub ledger: Option<String>,
    /// By local months or days
    #[arg(long, value_enum, default_value_t = By::Month)]
    pub by: By,
    /// Rows of periods that begin then or later; what was before is in the opening
    #[arg(long, value_name = "DATE", value_parser = instant)]
    pub from: Option<Instant>,
    /// … and before this
    #[arg(long, value_name = "DATE", value_parser = instant)]
    pub to: Option<Instant>,
    /// Points by the month in which they came, and what became of them by age
    #[arg(long)]
    pub vintages: bool,
    /// The closing of a month that is over: everything as of its end, with a digest that comes out the same again
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["as_of", "by", "from", "to"])]
    pub close: Option<String>,
    /// Write a page with pictures to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Which past
    #[command(flatten)]
    pub past: LogArgs,
}

/// `replay`
#[derive(Args, Debug)]
pub struct Replay {
    /// Entries, in the order of members; so it is if nothing is said
    #[arg(long, conflicts_with = "facts")]
    pub entries: bool,
    /// Facts, in the order of the log
    #[arg(long)]
    pub facts: bool,
    /// What happened at or after this
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub from: Option<Instant>,
    /// … and before this
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub to: Option<Instant>,
    /// Only this member
    #[arg(long)]
    pub member: Option<String>,
    /// In which form
    #[arg(long, value_enum, default_value_t = ReplayForm::Jsonl)]
    pub format: ReplayForm,
    /// Into this file, which is not there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Go on where the file ends: what is torn there is cut off
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Begin behind the row with this token
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["resume", "as_of", "as_known_before"])]
    pub after: Option<String>,
    /// Which past
    #[command(flatten)]
    pub past: LogArgs,
}

/// `expiring`
#[derive(Args, Debug)]
pub struct Expiring {
    /// Of which program
    #[command(flatten)]
    pub of: OfProgram,
    /// So long from now on, ISO 8601
    #[arg(long, default_value = "P30D", value_name = "DURATION")]
    pub within: String,
    /// Which past: from then on
    #[command(flatten)]
    pub past: PastArgs,
    /// At most so many rows, soonest first
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// `totals`
#[derive(Args, Debug)]
pub struct Totals {
    /// Of which program
    #[command(flatten)]
    pub of: OfProgram,
    /// Entries by local day or month; without it, what members have, by status
    #[arg(long, value_enum)]
    pub by: Option<By>,
    /// As this generation has it [default: the live one]
    #[arg(long, value_name = "G")]
    pub generation: Option<u32>,
    /// Which past
    #[command(flatten)]
    pub past: PastArgs,
}

/// `tiers`
#[derive(Args, Debug)]
pub struct Tiers {
    /// Of which program
    #[command(flatten)]
    pub of: OfProgram,
    /// Which past
    #[command(flatten)]
    pub past: PastArgs,
    /// Draw it into an SVG file
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
}

/// How totals are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Local days of the program.
    Day,
    /// Local months of the program.
    Month,
}
