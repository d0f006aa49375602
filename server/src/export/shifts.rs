//! A comparison of rules as a table: a row a member and ledger, under both.

use super::Outlet;
use super::parquet::ParquetFiles;
use crate::answering::Compare;
use crate::readers::{Open, Readers};
use accrue_ledger::{Instant, Ruleset, Timeline};
use accrue_projections::export::{ShiftRow, TakeRows as _};
use accrue_projections::{Across, Comparison, ProjectionError, Sweep, SweepOptions, Swept};
use accrue_store::Position;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::sync::Arc;

/// What was compared.
pub struct Shifts<'a> {
    /// The program.
    pub program: &'a str,
    /// The rules of each side; `None`: those that are in force, over time.
    pub sides: [Option<Arc<Ruleset>>; 2],
    /// Rules given judge from then on.
    pub from: Instant,
    /// Those in force judge again from then on.
    pub to: Option<Instant>,
    /// As of when.
    pub at: Instant,
    /// One of so many members.
    pub sample: u64,
    /// What may be used.
    pub options: SweepOptions,
}

impl Shifts<'_> {
    /// What was asked to be compared, and answered.
    ///
    /// # Errors
    /// A ruleset is none.
    pub fn of<'a>(program: &'a str, asked: &Compare, answer: &Value) -> Result<Shifts<'a>> {
        let parsed = |text: &Option<String>| text.as_deref().map(Ruleset::parse).transpose().map(|rules| rules.map(Arc::new));
        let defaults = SweepOptions::default();
        Ok(Shifts {
            program,
            sides: [parsed(&asked.old)?, parsed(&asked.new)?],
            from: asked.from.as_deref().and_then(Instant::parse).unwrap_or(Instant::MIN),
            to: asked.to.as_deref().and_then(Instant::parse),
            at: answer["at"].as_str().and_then(Instant::parse).unwrap_or(Instant::MAX),
            sample: asked.sample.unwrap_or(1),
            options: SweepOptions {
                threads: asked.threads.unwrap_or(defaults.threads),
                memory_bytes: asked.memory_bytes.unwrap_or(defaults.memory_bytes),
            },
        })
    }
}

/// Writes all rows; a manifest that names the comparison. `answer`: its sums, and the positions.
///
/// # Errors
/// The log can't be read, or a file can't be written.
pub fn write(
    readers: &Readers,
    of: &Shifts<'_>,
    answer: &Value,
    outlet: Outlet,
    mut progress: impl FnMut(u32, Swept),
) -> Result<Value> {
    let mut files = ParquetFiles::new(outlet, 0);
    let mut failed = None;
    let all = compared(readers, answer)?;
    let across = Across::of(&all.iter().map(|(open, until)| (open.reader.clone(), *until)).collect::<Vec<_>>(), None)?;
    for (open, until) in &all {
        let (shard, Some(live)) = (open.reader.shard(), open.reader.timeline(of.program)) else { continue };
        let side = |given: &Option<Arc<Ruleset>>| -> Timeline {
            given.as_ref().map_or_else(|| live.clone(), |given| live.replaced(of.from, of.to, given))
        };
        let [old, new] = [side(&of.sides[0]), side(&of.sides[1])];
        let sweep = Sweep { log: &open.log, until: *until, recorded: None, options: of.options, across: Some(&across) };
        let comparison = Comparison { program: of.program, old: &old, new: &new, at: of.at, sample: of.sample, named: 0 };
        let done = comparison.rows(&sweep, |rows, swept| {
            progress(shard, swept);
            files.rows::<ShiftRow>(of.program, &rows).map_err(|error| {
                failed = Some(error);
                ProjectionError::NobodyTakes
            })
        });
        if let Some(error) = failed.take() {
            return Err(error);
        }
        done?;
    }
    files.rows::<ShiftRow>(of.program, &[])?;
    let written = files.finish()?;
    let names = ["program", "at", "sample", "engine", "time_zone_data", "old", "new", "shards", "digest"];
    let mut manifest: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), answer[*name].clone())).collect();
    manifest.insert("files".into(), json!(written));
    Ok(Value::Object(manifest))
}

/// The shards that were compared, and up to where.
fn compared(readers: &Readers, answer: &Value) -> Result<Vec<(Open, Position)>> {
    let rows = answer["shards"].as_array().into_iter().flatten();
    let named = |row: &Value| Some((u32::try_from(row["shard"].as_u64()?).ok()?, Position(row["next_position"].as_u64()?)));
    rows.map(|row| {
        let (shard, until) = named(row).context("a position")?;
        Ok((readers.shard(shard)?, until))
    })
    .collect()
}
