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
    let mut file = File::open(mapping, path)?;
    let bar = progress::bytes("importing", std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
    let outcome = if args.dry_run {
        let mut bytes = Vec::new();
        let all = std::iter::from_fn(|| next(&mut file, &bar, &mut bytes)).try_for_each(|fact| fact.map(|_| ()));
        all.map(|()| Summary::default())
    } else {
        let hand = Hand::open(&ctx.config, ctx.url.as_deref(), args.kafka)?;
        let done = hand.all(|bytes| next(&mut file, &bar, bytes), |_| {});
        // What went wrong first is what helps.
        let closed = hand.close();
        done.and_then(|done| closed.map(|()| done))
    };
    bar.finish_and_clear();
    let report = file.report().clone();
    show(ctx, &report, outcome.as_ref().ok(), args.dry_run)?;
    let summary = outcome?;
    if report.left_out > 0 {
        return Err(anyhow!(
            "{} facts were left out, see above; mend the file or the mapping and import it again: what is in is not booked twice",
            points(report.left_out.cast_signed())
        ));
    }
    publish::end(&summary)
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

fn show(ctx: &Ctx, report: &Report, summary: Option<&Summary>, dry_run: bool) -> Result<()> {
    if ctx.printer.output() == Output::Table {
        ctx.printer.text(&report.to_string())?;
        if dry_run {
            eprintln!("nothing was handed in (--dry-run)");
        }
        return summary.filter(|_| !dry_run).map_or(Ok(()), |summary| {
            ctx.printer.text("\n")?;
            publish::show(&ctx.printer, summary)
        });
    }
    let mut whole = json!({ "file": report_json(report), "handed_in": Value::Null });
    if let Some(summary) = summary.filter(|_| !dry_run) {
        whole["handed_in"] = summary.json();
    }
    let rows: Vec<Value> = report.facts().iter().map(|(kind, facts)| json!({ "outcome": kind, "facts": facts })).collect();
    let counted =
        summary.into_iter().flat_map(Summary::rows).map(|(outcome, facts)| json!({ "outcome": outcome.trim(), "facts": facts }));
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
