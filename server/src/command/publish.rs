//! `accrue publish`: files of facts, as they are.

use super::Ctx;
use crate::cli::Publish;
use crate::failure::Failure;
use crate::intake::{Hand, Summary};
use crate::print::{Column, Printer, points, right, text};
use crate::progress;
use accrue_ingest::facts_file::FactsFile;
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use std::path::Path;

const ROWS: [Column; 2] = [text("outcome", "/outcome"), right("facts", "/facts")];

pub(super) fn run(ctx: &Ctx, publish: &Publish) -> Result<()> {
    for path in publish.files.iter().filter(|path| *path != Path::new("-")) {
        must_be_file(path)?;
    }
    let hand = Hand::open(&ctx.config, ctx.url.as_deref(), publish.kafka)?;
    let mut summary = Summary::default();
    let mut outcome = Ok(());
    for path in &publish.files {
        outcome = one(&hand, path, &mut summary);
        if outcome.is_err() {
            break;
        }
    }
    let closed = hand.close();
    show(&ctx.printer, &summary)?;
    outcome.inspect_err(|_| so_far(&summary))?;
    closed?;
    end(&summary)
}

fn one(hand: &Hand, path: &Path, summary: &mut Summary) -> Result<()> {
    let stdin = path == Path::new("-");
    let mut file = if stdin { FactsFile::read("standard input", std::io::stdin())? } else { FactsFile::open(path)? };
    let name = if stdin { "standard input".to_owned() } else { path.display().to_string() };
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = progress::bytes("publishing", size);
    let mut read = 0;
    let next = |bytes: &mut Vec<u8>| {
        let fact = file.next()?;
        read = file.bytes_read();
        bar.set_position(read);
        Some(fact.map_err(anyhow::Error::from).map(|fact| {
            bytes.extend_from_slice(&fact.bytes);
            (fact.form, None, format!("{name} {}", fact.place))
        }))
    };
    let told = |done: &Summary| {
        if done.total().is_multiple_of(1_000) {
            bar.set_message(format!("{} durable", done.total()));
        }
    };
    let mut of_file = Summary::default();
    let done = hand.all(next, told, &mut of_file).with_context(|| format!("publishing {name}"));
    bar.finish_and_clear();
    summary.merge(of_file);
    done
}

/// Told where something broke off.
pub(super) fn so_far(summary: &Summary) {
    let total = points(i64::try_from(summary.total()).unwrap_or(i64::MAX));
    eprintln!("broken off, {total} were handed in: do it again when it is mended, what is in is not booked twice");
}

/// A file that is not there is a wrong argument, whatever would be done with it.
pub(super) fn must_be_file(path: &Path) -> Result<()> {
    let shown = path.display();
    let found = std::fs::metadata(path).map_err(|error| Failure::usage(format!("can't read {shown}: {error}")))?;
    if found.is_dir() { Err(Failure::usage(format!("{shown} is a directory: name a file"))) } else { Ok(()) }
}

/// Counts on standard output, troubles on standard error.
pub(super) fn show(printer: &Printer, summary: &Summary) -> Result<()> {
    for trouble in summary.troubles() {
        eprintln!("{trouble}");
    }
    let rows: Vec<Value> =
        summary.rows().into_iter().map(|(outcome, facts)| json!({ "outcome": outcome, "facts": facts })).collect();
    printer.rows(&summary.json(), &rows, &ROWS)
}

/// What could not be booked is kept, and yet it did not work.
pub(super) fn end(summary: &Summary) -> Result<()> {
    match summary.count("refused") + summary.count("conflict") + summary.count("failed") {
        0 => Ok(()),
        count => Err(anyhow!("{count} of {} could not be booked; `accrue dlq list` has them", summary.total())),
    }
}
