//! `accrue verify`: derives everything again from the log, compares, checks every invariant.

use super::Ctx;
use crate::answers::{Found, Local, find, must_exist, open_store};
use crate::cli::Output;
use crate::config::Config;
use crate::failure::Failure;
use crate::print::{Column, points, right, text};
use crate::progress;
use accrue_projections::{Report, verify};
use accrue_store::Store;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// What does not hold, shown one by one.
const BROKEN_SHOWN_MAX: usize = 50;

const ROWS: [Column; 6] = [
    right("shard", "/shard"),
    right("frames", "/frames"),
    right("consumed", "/consumed"),
    right("members", "/members"),
    text("digest", "/digest"),
    text("holds", "/holds"),
];

pub(super) fn run(ctx: &Ctx) -> Result<()> {
    must_exist(&ctx.config)?;
    // A service goes on taking facts in; then live and derived are of two positions.
    let store = match find(&ctx.config)? {
        Found::Store(store) => store,
        Found::Service(_) => open_store(&ctx.config).context("verify needs the store for itself: stop the service first")?,
    };
    let reports = reports(&ctx.config, store)?;
    let rows: Vec<Value> = reports.iter().map(row).collect();
    let whole = json!({ "holds": reports.iter().all(Report::is_whole), "shards": reports });
    ctx.printer.rows(&whole, &rows, &ROWS)?;
    holds(&reports, ctx.printer.output() == Output::Table)
}

/// Verifies each shard.
pub(super) fn reports(config: &Config, store: Store) -> Result<Vec<Report>> {
    let local = Local::open(config, store)?;
    let mut reports = Vec::new();
    for open in local.readers.all() {
        let shard = open.reader.shard();
        let total = open.log.head().next_position.0.saturating_sub(1);
        let bar = progress::facts("verifying", total);
        let scratch = tempfile::Builder::new()
            .prefix("verify-")
            .tempdir_in(&config.data_dir)
            .context("can't make a folder for the second derivation")?;
        let report = verify(&local.store, &open.reader, config.ledger, scratch.path(), |position| bar.set_position(position.0));
        bar.finish_and_clear();
        reports.push(report.with_context(|| format!("shard {shard}"))?);
    }
    Ok(reports)
}

/// Tells what does not hold; `told`: also that everything does.
pub(super) fn holds(reports: &[Report], told: bool) -> Result<()> {
    let broken: Vec<String> = reports
        .iter()
        .flat_map(|report| report.broken.iter().map(|broken| format!("shard {}: {broken}", report.shard)))
        .collect();
    let (members, consumed) =
        reports.iter().fold((0, 0), |(members, consumed), report| (members + report.members, consumed + report.consumed));
    if broken.is_empty() {
        if told {
            let told = format!(
                "everything holds: {} members, {} messages consumed, the log's chain is whole, live and derived are the same",
                points(members.cast_signed()),
                points(consumed.cast_signed())
            );
            eprintln!("{}", crate::print::Style::of_stderr().green(&told));
        }
        return Ok(());
    }
    for line in broken.iter().take(BROKEN_SHOWN_MAX) {
        eprintln!("{line}");
    }
    Err(Failure::broken(format!("{} things do not hold", broken.len())))
}

fn row(report: &Report) -> Value {
    let digests: Vec<String> = report
        .live
        .iter()
        .map(|(program, digest)| format!("{program}:{}", digest.chars().take(16).collect::<String>()))
        .collect();
    json!({
        "shard": report.shard,
        "frames": report.frames,
        "consumed": report.consumed,
        "members": report.members,
        "digest": digests.join(" "),
        "holds": if report.is_whole() { "yes" } else { "no" },
    })
}
