//! What is to be explained, and what is to be otherwise.

use super::{MemberArgs, instant};
use accrue_ledger::Instant;
use clap::Args;
use std::path::PathBuf;

/// `explain`
#[derive(Args, Debug)]
pub struct Explain {
    /// Who, and which past
    #[command(flatten)]
    pub asked: MemberArgs,
    /// What
    #[command(flatten)]
    pub about: ExplainAbout,
    /// Of this ledger [default: main]
    #[arg(long, requires = "number")]
    pub ledger: Option<String>,
    /// What would be without this fact (ID, or KIND/ID); may be given several times
    #[arg(long, value_name = "FACT", conflicts_with = "what")]
    pub without: Vec<String>,
    /// What would be had this fact happened so much earlier or later: A-1=-P1D
    #[arg(long, value_name = "FACT=DURATION", conflicts_with = "what")]
    pub shift: Vec<String>,
    /// What would be with these facts, too: a JSON object or array; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub with: Vec<PathBuf>,
    /// What would be under this ruleset
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub rules: Option<PathBuf>,
    /// The ruleset judges from then on [default: always]
    #[arg(long, value_name = "INSTANT", value_parser = instant, requires = "rules")]
    pub from: Option<Instant>,
}

/// What is to be explained.
#[derive(Args, Debug)]
#[group(id = "what", multiple = false)]
pub struct ExplainAbout {
    /// Why this order gave what it gave, or nothing: rule by rule
    #[arg(long, value_name = "ID")]
    pub order: Option<String>,
    /// Why this entry is there, and what became of it
    #[arg(long, value_name = "N")]
    pub entry: Option<u32>,
    /// What happened to this lot
    #[arg(long, value_name = "N")]
    pub lot: Option<u32>,
    /// What this number is made of, down to the facts: active, pending, debt, earned, expiring_soon, tier, …
    #[arg(long, value_name = "NAME")]
    pub number: Option<String>,
    /// What this coupon cost, and its life
    #[arg(long, value_name = "CODE")]
    pub coupon: Option<String>,
}
