//! The words of who runs it: dead letters, topics, configuration, measuring.

use super::OfProgram;
use super::asked::{MemberArgs, PastArgs, letter};
use clap::{Args, Subcommand};

/// `dlq …`
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// Dead letters, the open ones first of all
    List {
        /// Also those that were requeued
        #[arg(long)]
        all: bool,
        /// Rows, at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// One of them, whole
    Show {
        /// As `dlq list` names it: SHARD/NUMBER
        #[arg(value_name = "SHARD/NUMBER", value_parser = letter)]
        letter: (u32, u64),
    },
    /// Hand them in again
    Requeue {
        /// As `dlq list` names them: SHARD/NUMBER
        #[arg(value_name = "SHARD/NUMBER", value_parser = letter, required_unless_present_any = ["code", "all"])]
        letters: Vec<(u32, u64)>,
        /// All open ones with this code
        #[arg(long, conflicts_with_all = ["letters", "all"])]
        code: Option<String>,
        /// All open ones
        #[arg(long, conflicts_with = "letters")]
        all: bool,
    },
}

/// `exceptions …`
#[derive(Debug, Subcommand)]
pub enum Exceptions {
    /// Those that nobody has resolved yet
    List {
        /// Of which program
        #[command(flatten)]
        program: OfProgram,
        /// Members, at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Which past
        #[command(flatten)]
        past: PastArgs,
    },
    /// One of them, whole
    Show {
        /// As `exceptions list` names it: CODE/ID
        #[arg(long, value_name = "CODE/ID")]
        exception: String,
        /// Whose
        #[command(flatten)]
        who: MemberArgs,
    },
    /// Match a refund to its order, or write the exception off
    Resolve(Resolve),
}

/// `exceptions resolve`
#[derive(Args, Debug)]
pub struct Resolve {
    /// Whose
    #[command(flatten)]
    pub who: MemberArgs,
    /// As `exceptions list` names it: CODE/ID
    #[arg(long, value_name = "CODE/ID")]
    pub exception: String,
    /// The order that takes the refund [default: written off]
    #[arg(long, value_name = "ID")]
    pub order: Option<String>,
    /// The line of that order [default: those that the refund names]
    #[arg(long, value_name = "ID", requires = "order")]
    pub line: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who decided it
    #[arg(long, value_name = "NAME")]
    pub actor: String,
    /// Into the topic, not into the store
    #[arg(long)]
    pub kafka: bool,
}

/// `topics …`
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// What `apply` would do
    Plan,
    /// Make what is missing
    Apply,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Whether it is right
    Check,
    /// What was chosen, and where
    Show {
        /// Also what nobody chose
        #[arg(long)]
        effective: bool,
    },
}

/// `bench`
#[derive(Args, Debug)]
pub struct Bench {
    /// Facts
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..=1_000_000_000))]
    pub facts: u64,
    /// Members
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub members: u32,
    /// The same seed, the same facts
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}
