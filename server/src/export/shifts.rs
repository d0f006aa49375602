//! A comparison of rules as a table: a row a member and ledger, under both.

use super::Folder;
use super::parquet::ParquetFiles;
use crate::readers::Readers;
use accrue_ledger::{Instant, Ruleset, Timeline};
use accrue_projections::export::{ShiftRow, TakeRows as _};
use accrue_projections::{Comparison, ProjectionError, Sweep, SweepOptions, Swept};
use accrue_store::Position;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// What was compared.
pub struct Shifts<'a> {
    /// The program.
    pub program: &'a str,
    /// The rules of each side; `None`: those that are in force, over time.
    pub sides: [Option<Arc<Ruleset>>; 2],
    /// Rules given judge from then on.
    pub from: Instant,
    /// As of when.
    pub at: Instant,
    /// One of so many members.
    pub sample: u64,
    /// What may be used.
    pub options: SweepOptions,
}

/// Writes all rows into a new folder, with a manifest that names the comparison. `answer`: its sums, and the positions.
///
/// # Errors
/// There is something in that place, the log can't be read, a file can't be written: then nothing is there.
pub fn write(
    readers: &Readers,
    of: &Shifts<'_>,
    answer: &Value,
    place: &Path,
    mut progress: impl FnMut(u32, Swept),
) -> Result<()> {
    let folder = Folder::begin(place)?;
    let mut files = ParquetFiles::new(folder.path().to_owned(), 0);
    let mut failed = None;
    for open in readers.ready()? {
        let (shard, Some(live)) = (open.reader.shard(), open.reader.timeline(of.program)) else { continue };
        let side = |given: &Option<Arc<Ruleset>>| -> Timeline {
            given.as_ref().map_or_else(|| live.clone(), |given| live.replaced(of.from, given))
        };
        let [old, new] = [side(&of.sides[0]), side(&of.sides[1])];
        let rows = answer["shards"].as_array().into_iter().flatten();
        let until = rows.into_iter().find(|row| row["shard"] == shard).and_then(|row| row["next_position"].as_u64());
        let sweep = Sweep { log: &open.log, until: Position(until.context("a position")?), recorded: None, options: of.options };
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
    folder.complete(&format!("{}\n", serde_json::to_string_pretty(&manifest)?))
}
