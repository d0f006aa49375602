//! The words of generations.

use super::asked::instant;
use accrue_ledger::Instant;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rebuild …`
#[derive(Debug, Subcommand)]
pub enum Rebuild {
    /// Build a generation of all views from the log, beside the live one
    Start(RebuildStart),
    /// All generations: which is live, how far the others are
    Status,
    /// What is different in a generation
    Diff(RebuildDiff),
    /// Make a generation the live one
    Flip {
        /// Its number
        #[arg(value_name = "G")]
        generation: u32,
    },
    /// Make the generation live again that was so before the last flip
    Rollback,
    /// Remove a generation that is not live
    Drop {
        /// Its number
        #[arg(value_name = "G")]
        generation: u32,
    },
}

/// `rebuild start`
#[derive(Args, Debug)]
pub struct RebuildStart {
    /// Threads of each shard's build [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Memory of each shard's build, MiB [default: 256]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub memory_mib: Option<u32>,
    /// At most so much of the log read and of rows written in a second, MiB, of each shard [default: as fast as it goes]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub io_mib_s: Option<u32>,
    /// Suppose this ruleset were in force
    #[arg(long, value_name = "FILE", requires = "what_if")]
    pub rules: Option<PathBuf>,
    /// It can be asked and compared, and never be live
    #[arg(long, requires = "rules")]
    pub what_if: bool,
    /// The ruleset judges from then on, and those in force before [default: always]
    #[arg(long, value_name = "INSTANT", value_parser = instant, requires = "rules")]
    pub from: Option<Instant>,
    /// Do not wait: a running service builds it
    #[arg(long)]
    pub detach: bool,
}

/// `rebuild diff`
#[derive(Args, Debug)]
pub struct RebuildDiff {
    /// Its number
    #[arg(value_name = "G")]
    pub generation: u32,
    /// Only of this program [default: all]
    #[arg(long)]
    pub program: Option<String>,
    /// States only (balances, lots, tiers, coupons), without the records of orders and other ids: faster, and proves less
    #[arg(long)]
    pub states: bool,
    /// Name so many members that differ
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub named: u16,
    /// Numbers as of then [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub at: Option<Instant>,
}
