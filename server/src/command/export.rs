//! `accrue export`: files for analysts, out of the whole log.

use super::Ctx;
use crate::cli::{Export, ExportForm, Output};
use crate::export::csv::Dates;
use crate::export::{Form, export};
use crate::failure::Failure;
use crate::past::Past;
use crate::print::points;
use crate::progress;
use accrue_ingest::Clock;
use accrue_ledger::Instant;
use accrue_projections::Swept;
use accrue_projections::export::{Selection, Tables};
use anyhow::Result;
use serde_json::Value;

pub(super) fn run(ctx: &Ctx, asked: &Export) -> Result<()> {
    let of = Selection {
        tables: tables(&asked.tables)?,
        from: asked.from.unwrap_or(Instant::MIN),
        until: asked.to.unwrap_or(Instant::MAX),
    };
    let form = match (asked.form, asked.dates) {
        (ExportForm::Csv, dates) => Form::Csv(dates.unwrap_or_default()),
        (ExportForm::Parquet, None | Some(Dates::Micros)) => Form::Parquet,
        (ExportForm::Parquet, Some(_)) => return Err(Failure::usage("Parquet has instants in microseconds: --dates is for CSV")),
    };
    let local = ctx.store_itself("export")?;
    let past = Past::of(&local.readers, &asked.past.asked()?, Clock::system().now())?;
    let mut bar = Bar::new("exporting");
    let manifest = export(&past, &of, form, &asked.out, |shard, swept| bar.at(shard, swept))?;
    bar.end();
    match ctx.printer.output() {
        Output::Json => ctx.printer.json(&manifest),
        Output::Csv | Output::Table => ctx.printer.text(&told(asked, &manifest)),
    }
}

fn tables(names: &[String]) -> Result<Tables> {
    if names.is_empty() {
        return Ok(Tables::ALL);
    }
    let mut tables = Tables::default();
    for name in names {
        if !tables.add(name) {
            return Err(Failure::usage(format!("there is no table {name}, only {}", Tables::NAMES.join(", "))));
        }
    }
    Ok(tables)
}

fn told(asked: &Export, manifest: &Value) -> String {
    let files = manifest["files"].as_array().map_or(&[][..], Vec::as_slice);
    let bytes: u64 = files.iter().filter_map(|file| file["bytes"].as_u64()).sum();
    let rows = manifest["rows"].as_object().into_iter().flatten();
    let rows: Vec<String> = rows.map(|(table, rows)| format!("{} {table}", points(rows.as_i64().unwrap_or(0)))).collect();
    format!(
        "{}: {}\n{} files, {} bytes · digest {}\n",
        asked.out.display(),
        rows.join(", "),
        files.len(),
        points(i64::try_from(bytes).unwrap_or(i64::MAX)),
        manifest["digest"].as_str().unwrap_or_default()
    )
}

/// How far a fold of all shards is.
pub(super) struct Bar {
    bar: indicatif::ProgressBar,
    shard: Option<u32>,
    before: u64,
}

impl Bar {
    pub(super) fn new(what: &'static str) -> Bar {
        Bar { bar: progress::facts(what, 0), shard: None, before: 0 }
    }

    pub(super) fn at(&mut self, shard: u32, swept: Swept) {
        if self.shard != Some(shard) {
            self.bar.inc_length(swept.of);
            (self.shard, self.before) = (Some(shard), 0);
        }
        self.bar.inc(swept.facts - self.before);
        self.before = swept.facts;
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
