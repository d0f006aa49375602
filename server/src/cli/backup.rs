//! `backup …`

use clap::Subcommand;

/// `backup …`
#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Back the data directory up, while it is served or not: only what is new is sent
    Create {
        /// A directory, file:///… or s3://bucket/prefix
        #[arg(value_name = "PLACE")]
        place: String,
        /// Remove all but the newest so many, this one among them [default: keep all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        keep: Option<u32>,
    },
    /// The backups of a place, oldest first, and whether they are whole
    List {
        /// A directory, file:///… or s3://bucket/prefix
        #[arg(value_name = "PLACE")]
        place: String,
    },
    /// Read every byte of all backups back, or of one
    Verify {
        /// A directory, file:///… or s3://bucket/prefix
        #[arg(value_name = "PLACE")]
        place: String,
        /// As `backup list` names it [default: all; with --deep the newest]
        #[arg(value_name = "BACKUP")]
        id: Option<String>,
        /// Also restore it into a temporary directory and run `accrue verify` there
        #[arg(long)]
        deep: bool,
    },
    /// Make the data directory (--dir) of a backup; it must be empty or not there
    Restore {
        /// A directory, file:///… or s3://bucket/prefix
        #[arg(value_name = "PLACE")]
        place: String,
        /// As `backup list` names it [default: the newest]
        #[arg(value_name = "BACKUP")]
        id: Option<String>,
    },
}
