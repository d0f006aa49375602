//! `accrue import`: the orders of another system.

use super::{Ctx, publish};
use crate::cli::{Import as Args, Output};
use crate::failure::Failure;
use crate::intake::{Hand, Summary};
use crate::print::points;
use crate::progress;
use accrue_ingest::facts_file::Form;
use accrue_ingest::import::{Import, Mapping, Report};
use accrue_proto::write_fact;
use anyhow::{Result, anyhow};
use indicatif::ProgressBar;
use serde_json::{Value, json};

/// Errors of rows that are told one by one; the rest is counted.
const ERRORS_TOLD_MAX: u64 = 20;

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<()> {
    let path = args.mapping.display();
    let text = std::fs::read_to_string(&args.mapping).map_err(|error| Failure::usage(format!("can't read {path}: {error}")))?;
    let mapping = Mapping::parse(&text).map_err(|error| Failure::usage(format!("{path} {error}")))?;
    let mut file = Import::open(&args.file, &mapping)?;
    let bar = progress::bytes("importing", std::fs::metadata(&args.file).map_or(0, |metadata| metadata.len()));
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
            "{} orders and refunds were left out, see above; mend the file or the mapping and import it again: what is in is not booked twice",
            points(report.left_out.cast_signed())
        ));
    }
    publish::end(&summary)
}

/// The next order or refund; those that can't be read are told and left out.
fn next(file: &mut Import, bar: &ProgressBar, bytes: &mut Vec<u8>) -> Option<Result<(Form, Option<String>, String)>> {
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
    json!({
        "rows": report.rows,
        "rows_used": report.rows_used,
        "skipped": skipped.collect::<Vec<_>>(),
        "rows_left_out": report.rows_left_out,
        "left_out": report.left_out,
        "order_placed": report.orders,
        "refund_recorded": report.refunds,
    })
}
