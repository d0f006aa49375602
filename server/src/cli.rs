//! The words of the command line.

mod analysts;
mod asked;
mod backup;
mod explain;
mod operate;
mod person;
mod rebuild;
mod rules;

pub use analysts::{By, Expiring, Export, Liability, LogArgs, Replay, Tiers, Totals};
pub use asked::{MemberArgs, PastArgs, Who, instant};
pub use backup::Backup;
pub use explain::{Explain, ExplainAbout};
pub use operate::{Bench, ConfigCommand, Dlq, Exceptions, Resolve, Topics};
pub use person::{MemberFind, MemberQr};
pub use rebuild::{Rebuild, RebuildDiff, RebuildStart};
pub use rules::{Activate, Apply, Diff, Rules, Undo};

use accrue_ledger::Instant;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A loyalty ledger that can be asked why.
#[derive(Debug, Parser)]
#[command(
    name = "accrue",
    version,
    max_term_width = 120,
    after_help = "Data goes to standard output, everything else to standard error. Exit codes: docs/cli.md."
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// Configuration file [default: ./accrue.toml if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data directory (data_dir)
    #[arg(long, global = true, visible_alias = "data-dir", value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// A key of the configuration; may be given several times
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// How to print
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// A running service to ask [default: the one that has the data directory, if there is one]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Bootstrap servers of Kafka (kafka.brokers)
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    pub brokers: Option<String>,
    /// The topic of facts (kafka.topic)
    #[arg(long, global = true, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// How much to log (log.level)
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// The answer as the API gives it.
    Json,
    /// RFC 4180 with a header.
    Csv,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take facts in and answer, until told to stop
    Serve(Serve),
    /// Make a few years of life of a shop's members, take it in, show it
    Demo(Demo),
    /// Hand in files of facts: one JSON object a line, or an array
    Publish(Publish),
    /// Hand in what another system had, from CSV: orders, balances, lots, history; and compare the two
    Import(Import),
    /// Members
    #[command(subcommand)]
    Member(Member),
    /// Everything that changed a number of a member
    Entries(Entries),
    /// Why a number is what it is
    Explain(Explain),
    /// What a basket would earn and what could be used on it; nothing is booked
    Quote(Quote),
    /// A coupon by its code
    Coupon(Coupon),
    /// Points that end soon: who has to be reminded
    Expiring(Expiring),
    /// Sums of a program
    Totals(Totals),
    /// Who was ever in which tier, the moves of each month, and who fell by a refund
    Tiers(Tiers),
    /// What is owed to members, rolled forward by month: opening, what came and went, closing
    Liability(Liability),
    /// Entries under any rules, or facts, as a stream that can be taken up again
    Replay(Replay),
    /// Files for analysts: every number there is, as CSV or Parquet
    Export(Export),
    /// Rulesets
    #[command(subcommand)]
    Rules(Rules),
    /// Build views again beside the live ones, compare, switch, switch back
    #[command(subcommand)]
    Rebuild(Rebuild),
    /// Derive everything again from the log, compare, and check every invariant
    Verify,
    /// A hash over everything derived: equal digests, equal answers
    Digest(OfProgram),
    /// Backups, in a directory or in object storage
    #[command(subcommand)]
    Backup(Backup),
    /// What could not be booked
    #[command(subcommand)]
    Dlq(Dlq),
    /// What was booked and needs a person: refunds without an order, coupons used twice
    #[command(subcommand)]
    Exceptions(Exceptions),
    /// Topics of Kafka
    #[command(subcommand)]
    Topics(Topics),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measure, each figure beside its floor
    Bench(Bench),
}

/// `serve`
#[derive(Args, Debug)]
pub struct Serve {
    /// Address of the API (listen)
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Address of metrics and health (admin_listen)
    #[arg(long, value_name = "HOST:PORT")]
    pub admin_listen: Option<String>,
}

/// `demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// Members
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub members: u32,
    /// Years of life
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub years: u32,
    /// The same seed, the same life
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Go on as a running service
    #[arg(long)]
    pub serve: bool,
}

/// `publish`
#[derive(Args, Debug)]
pub struct Publish {
    /// Files of facts, `.gz` unpacked; `-`: standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Into the topic, not into the store
    #[arg(long)]
    pub kafka: bool,
}

/// `import`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Import {
    /// What to do instead
    #[command(subcommand)]
    pub command: Option<ImportCommand>,
    /// What the columns mean (docs/import.md)
    #[arg(long, value_name = "FILE", alias = "map", required = true)]
    pub mapping: Option<PathBuf>,
    /// The CSV file, `.gz` unpacked
    #[arg(value_name = "FILE", required = true)]
    pub file: Option<PathBuf>,
    /// Into the topic, not into the store
    #[arg(long)]
    pub kafka: bool,
    /// Read all of it, hand in nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `import …`
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Compare balances: theirs, ours, difference; ends with 1 when one differs
    Reconcile(Reconcile),
}

/// `import reconcile`
#[derive(Args, Debug)]
pub struct Reconcile {
    /// The CSV file with what members have there, `.gz` unpacked
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What its columns mean: a mapping with kind = "balances", "lots" or "history"
    #[arg(long = "map", alias = "mapping", value_name = "FILE")]
    pub mapping: PathBuf,
    /// What members have then [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub as_of: Option<Instant>,
    /// Also those that agree
    #[arg(long)]
    pub all: bool,
}

/// `member …`
#[derive(Debug, Subcommand)]
pub enum Member {
    /// One member
    Show(MemberShow),
    /// How one member came from one tier to another, and why
    Tiers(MemberShow),
    /// Whom one member brought, and what became of them
    Referrals(MemberShow),
    /// Many
    List(MemberList),
    /// By card, number, e-mail or phone
    Find(MemberFind),
    /// The QR code of one member's number, as SVG
    Qr(MemberQr),
}

/// `member show`
#[derive(Args, Debug)]
pub struct MemberShow {
    /// Who, and which past
    #[command(flatten)]
    pub asked: MemberArgs,
    /// As this generation has it [default: the live one]
    #[arg(long, value_name = "G")]
    pub generation: Option<u32>,
}

/// `member list`
#[derive(Args, Debug)]
pub struct MemberList {
    /// Only of this program [default: the only one there is]
    #[arg(value_name = "PROGRAM")]
    pub name: Option<String>,
    /// Only of this program
    #[arg(long, conflicts_with = "name")]
    pub program: Option<String>,
    /// Rows, at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
    /// Behind this member
    #[arg(long, value_name = "MEMBER", conflicts_with_all = ["sort", "top"])]
    pub after: Option<String>,
    /// Largest first, out of all members
    #[arg(long, value_enum)]
    pub sort: Option<Sort>,
    /// As --limit with --sort (active, if nothing else is said)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub top: Option<u32>,
    /// Which past
    #[command(flatten)]
    pub past: PastArgs,
}

/// By what members can be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Spendable points.
    Active,
    /// Points that wait.
    Pending,
    /// Points owed.
    Debt,
    /// Points ever credited.
    Earned,
    /// Points spent.
    Spent,
    /// Points that ended.
    Expired,
    /// Orders placed.
    Orders,
    /// Eligible amount of all orders.
    Spend,
}

/// `entries`
#[derive(Args, Debug)]
pub struct Entries {
    /// Who, and which past
    #[command(flatten)]
    pub asked: MemberArgs,
    /// Only the last so many
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,
    /// As this generation has it [default: the live one]
    #[arg(long, value_name = "G")]
    pub generation: Option<u32>,
}

/// `quote`
#[derive(Args, Debug)]
pub struct Quote {
    /// PROGRAM/MEMBER, or MEMBER with --program or where there is only one program
    #[arg(long)]
    pub member: String,
    /// The basket: TOML or JSON, as the body of order_placed (docs/cli.md)
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// The program
    #[arg(long)]
    pub program: Option<String>,
    /// Which past: when it is paid
    #[command(flatten)]
    pub past: PastArgs,
}

/// `coupon`
#[derive(Args, Debug)]
pub struct Coupon {
    /// The code
    #[arg(value_name = "CODE")]
    pub code: String,
    /// Its program [default: the only one there is]
    #[arg(long)]
    pub program: Option<String>,
    /// Which past
    #[command(flatten)]
    pub past: PastArgs,
}

/// Commands about one program.
#[derive(Args, Debug)]
pub struct OfProgram {
    /// The program [default: the only one there is]
    #[arg(value_name = "PROGRAM")]
    pub name: Option<String>,
    /// The program
    #[arg(long, conflicts_with = "name")]
    pub program: Option<String>,
}

impl OfProgram {
    /// The program that was named.
    pub fn named(&self) -> Option<&str> {
        self.name.as_deref().or(self.program.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_readme_is_right() {
        for line in [
            "accrue member list --dir ./data/demo",
            "accrue member show --dir ./data/demo demo m-00042",
            "accrue explain --dir ./data/demo demo m-00042",
            "accrue import --mapping m.toml orders.csv --dry-run",
            "accrue import reconcile balances.csv --map m.toml --dir x",
            "accrue quote --member m1 --file basket.toml",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "accrue member show",
            "accrue dlq requeue",
            "accrue dlq show 7",
            "accrue explain m --order a --entry 1",
            "accrue totals --at yesterday",
            "accrue import orders.csv",
            "accrue import reconcile balances.csv",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
