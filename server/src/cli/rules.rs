//! The words of rules: read them, try them, bring them into force, apply them to what was there, undo that.

use super::OfProgram;
use super::asked::instant;
use crate::answering::Policy;
use accrue_ledger::Instant;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rules …`
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Read rulesets, say what is wrong with them, print their hashes
    Check {
        /// Files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run scenarios and show what differs
    Test {
        /// Files, or folders of them
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Bring a ruleset into force
    Activate(Activate),
    /// Which rulesets are in force, and from when
    Show(OfProgram),
    /// What other rules would make of everything there is; nothing is changed
    Diff(Diff),
    /// Apply rules to what was there already: look first, then do it; it can be undone
    Apply(Apply),
    /// Undo an application
    Undo(Undo),
    /// How rules were applied, the latest first
    History(OfProgram),
}

/// `rules apply`
#[derive(Args, Debug)]
pub struct Apply {
    /// The ruleset
    #[arg(value_name = "FILE", required_unless_present = "resume")]
    pub file: Option<PathBuf>,
    /// What becomes of what was there already, for all who are in no cohort
    #[arg(long)]
    pub policy: Option<Policy>,
    /// The first instant that the rules judge [prospective: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub from: Option<Instant>,
    /// The first that they do not judge; afterwards rules are as before
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub to: Option<Instant>,
    /// As of then, and with effect from then [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub at: Option<Instant>,
    /// Another policy for some: tier=gold:never_worse, tier@2024-01-01T00:00:00Z=gold:true_up, since_before=2024-01-01T00:00:00Z:true_up, rest:prospective; the first that fits
    #[arg(long = "cohort", value_name = "WHO:POLICY")]
    pub cohorts: Vec<String>,
    /// Stop where more than so many of a hundred members would change
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u64).range(..=100))]
    pub max_members_pct: Option<u64>,
    /// Stop where differences of all members, without signs, come to more points
    #[arg(long, value_name = "N")]
    pub max_abs_delta: Option<u64>,
    /// Go on all the same, if it still comes to what a dry run gave this digest
    #[arg(long, value_name = "DIGEST")]
    pub approve: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Complete what was broken off
    #[arg(long, conflicts_with_all = ["file", "policy", "dry_run"])]
    pub resume: bool,
    /// What is kept with it.
    #[command(flatten)]
    pub said: Said,
    /// Of which program [default: that of the ruleset, or the only one there is]
    #[arg(long)]
    pub program: Option<String>,
    /// Name so many gainers and losers
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub named: usize,
    /// Write the comparison as a page with pictures to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What is kept of whoever applies or undoes.
#[derive(Args, Debug)]
pub struct Said {
    /// Why; kept with the record and with each entry
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Who does it
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
}

/// `rules undo`
#[derive(Args, Debug)]
pub struct Undo {
    /// As `rules history` names it [default: the latest that is in effect]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// With effect from then [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub at: Option<Instant>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What is kept with it.
    #[command(flatten)]
    pub said: Said,
    /// Of which program [default: the only one there is]
    #[arg(long)]
    pub program: Option<String>,
}

/// `rules diff`
#[derive(Args, Debug)]
pub struct Diff {
    /// A file of a ruleset, or `live`: those in force, over time
    #[arg(value_name = "OLD")]
    pub old: String,
    /// As OLD
    #[arg(value_name = "NEW")]
    pub new: String,
    /// Of which program [default: the only one there is]
    #[arg(long)]
    pub program: Option<String>,
    /// A ruleset given judges from then on, and those in force before [default: always]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub from: Option<Instant>,
    /// The first instant that a ruleset given does not judge; afterwards rules are as before [default: it judges for good]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub to: Option<Instant>,
    /// Compare as of then [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub at: Option<Instant>,
    /// Look at one of so many members only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Name so many gainers and losers
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub named: usize,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Memory for facts, MiB [default: 256]
    #[arg(long, value_name = "MIB")]
    pub memory_mib: Option<usize>,
    /// Write a page with pictures to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a row a member and ledger into this folder, which is not there or empty, as Parquet
    #[arg(long, value_name = "DIR")]
    pub parquet: Option<PathBuf>,
}

/// `rules activate`
#[derive(Args, Debug)]
pub struct Activate {
    /// The ruleset
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// It judges what happens from then on [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub from: Option<Instant>,
    /// Into the topic, every partition, not into the store
    #[arg(long)]
    pub kafka: bool,
}
