//! `accrue import`: orders, balances, lots and history of another system.

mod reconcile;

use super::{Ctx, publish};
use crate::cli::{Import as Args, ImportCommand, Output};
use crate::failure::Failure;
use crate::intake::{Hand, Summary};
use crate::print::points;
use crate::progress;
use accrue_ingest::facts_file::Form;
use accrue_ingest::import::{Import, ImportError, Imported, Mapping, MappingError, Opening, OpeningMapping, Report};
use accrue_proto::write_fact;
use anyhow::{Result, anyhow};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::path::Path;

/// Errors of rows that are told one by one; the rest is counted.
const ERRORS_TOLD_MAX: u64 = 20;

/// A file, by what its mapping says it is.
enum File {
    Orders(Box<Import>),
    Opening(Box<Opening>),
}

impl File {
    fn open(mapping: &Path, file: &Path) -> Result<File> {
        let path = mapping.display();
        let text = std::fs::read_to_string(mapping).map_err(|error| Failure::usage(format!("can't read {path}: {error}")))?;
        let wrong = |error: MappingError| Failure::usage(format!("{path} {error}"));
        Ok(match OpeningMapping::is_one(&text) {
            true => File::Opening(Box::new(Opening::open(file, &OpeningMapping::parse(&text).map_err(wrong)?)?)),
            false => File::Orders(Box::new(Import::open(file, &Mapping::parse(&text).map_err(wrong)?)?)),
        })
    }

    fn next(&mut self) -> Option<Result<Imported, ImportError>> {
        match self {
            File::Orders(file) => file.next(),
            File::Opening(file) => file.next(),
        }
    }

    fn report(&self) -> &Report {
        match self {
            File::Orders(file) => file.report(),
            File::Opening(file) => file.report(),
        }
    }

    fn bytes_read(&self) -> u64 {
        match self {
            File::Orders(file) => file.bytes_read(),
            File::Opening(file) => file.bytes_read(),
        }
    }
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<()> {
    if let Some(ImportCommand::Reconcile(reconcile)) = &args.command {
        return reconcile::run(ctx, reconcile);
    }
    let (Some(mapping), Some(path)) = (&args.mapping, &args.file) else {
        return Err(Failure::usage("say --mapping MAPPING.toml and a CSV file"));
    };
    publish::must_be_file(path)?;
    let mut file = File::open(mapping, path)?;
    let bar = progress::bytes("importing", std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
    let mut summary = Summary::default();
    let outcome = if args.dry_run {
        let mut bytes = Vec::new();
        std::iter::from_fn(|| next(&mut file, &bar, &mut bytes)).try_for_each(|fact| fact.map(|_| ()))
    } else {
        let hand = Hand::open(&ctx.config, ctx.url.as_deref(), args.kafka)?;
        let done = hand.all(|bytes| next(&mut file, &bar, bytes), |_| {}, &mut summary);
        // What went wrong first is what helps.
        let closed = hand.close();
        done.and(closed)
    };
    bar.finish_and_clear();
    let report = file.report().clone();
    show(ctx, &report, &summary, args.dry_run)?;
    if args.dry_run {
        outcome?;
    } else {
        outcome.inspect_err(|_| publish::so_far(&summary))?;
    }
    if report.left_out > 0 {
        return Err(anyhow!(
            "{} facts were left out, see above; mend the file or the mapping and import it again: what is in is not booked twice",
            points(report.left_out.cast_signed())
        ));
    }
    publish::end(&summary)?;
    // A shop's request may be refused; what another system had is not there then.
    match summary.count("rejected") {
        0 => Ok(()),
        count => Err(anyhow!("{} of {} were rejected, see above: they are not in", count, summary.total())),
    }
}

/// The next fact; those that can't be read are told and left out.
fn next(file: &mut File, bar: &ProgressBar, bytes: &mut Vec<u8>) -> Option<Result<(Form, Option<String>, String)>> {
    loop {
        let imported = file.next()?;
        bar.set_position(file.bytes_read());
        match imported {
            Ok(imported) => {
                bytes.clear();
                write_fact(&imported.fact, bytes);
                let (first, last) = imported.lines;
                let key = format!("{}/{}", imported.fact.program, imported.fact.member);
                return Some(Ok((Form::Protobuf, Some(key), format!("lines {first} to {last}"))));
            }
            Err(error) if error.fatal => return Some(Err(error.into())),
            Err(error) => {
                let left_out = file.report().left_out;
                if left_out <= ERRORS_TOLD_MAX {
                    bar.suspend(|| eprintln!("{error}"));
                }
            }
        }
    }
}

fn show(ctx: &Ctx, report: &Report, summary: &Summary, dry_run: bool) -> Result<()> {
    summary.rejections().iter().for_each(|rejection| eprintln!("{rejection}"));
    if ctx.printer.output() == Output::Table {
        ctx.printer.text(&report.to_string())?;
        if dry_run {
            eprintln!("nothing was handed in (--dry-run)");
            return Ok(());
        }
        ctx.printer.text("\n")?;
        return publish::show(&ctx.printer, summary);
    }
    let mut whole = json!({ "file": report_json(report), "handed_in": Value::Null });
    if !dry_run {
        whole["handed_in"] = summary.json();
    }
    let rows: Vec<Value> = report.facts().iter().map(|(kind, facts)| json!({ "outcome": kind, "facts": facts })).collect();
    let counted = summary.rows().into_iter().map(|(outcome, facts)| json!({ "outcome": outcome.trim(), "facts": facts }));
    let rows: Vec<Value> = rows.into_iter().chain(counted).collect();
    ctx.printer.rows(&whole, &rows, &[crate::print::text("outcome", "/outcome"), crate::print::right("facts", "/facts")])
}

fn report_json(report: &Report) -> Value {
    let skipped =
        report.skipped.iter().map(|skipped| json!({ "reason": skipped.reason, "rows": skipped.rows, "lines": skipped.lines }));
    let mut told = json!({
        "rows": report.rows,
        "rows_used": report.rows_used,
        "skipped": skipped.collect::<Vec<_>>(),
        "rows_left_out": report.rows_left_out,
        "left_out": report.left_out,
    });
    for (kind, facts) in report.facts() {
        told[kind] = json!(facts);
    }
    told
}
