//! Files for analysts: all members folded, their rows written as CSV or Parquet, and a manifest that says of what.
//!
//! Folding and writing go on at the same time: parts of members come in their order, so that the same log, asked the same, is the
//! same bytes, on any number of threads and with any memory.

mod appending;
mod asked;
pub mod csv;
mod folder;
pub mod frames;
mod outlet;
pub mod parquet;
pub mod shifts;

pub use appending::{Appending, Sealed, hex};
pub use asked::{Export, ExportAsked, ExportForm};
pub use folder::Folder;
pub use outlet::Outlet;

use self::csv::{CsvFiles, Dates};
use self::parquet::ParquetFiles;
use crate::failure::Failure;
use crate::past::{Members, Past};
use accrue_ledger::calendar::{day_number, month_number};
use accrue_projections::export::{Row, Rows, Selection, TakeRows, daily_rows};
use accrue_projections::liability::Flows;
use accrue_projections::{ProjectionError, Swept};
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Parts that are folded and wait to be written.
const WAITING_PARTS: usize = 2;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Within the export.
    pub path: String,
    /// Its table.
    pub table: &'static str,
    /// Its program.
    pub program: String,
    /// Rows.
    pub rows: u64,
    /// Length and hash.
    #[serde(flatten)]
    pub sealed: Sealed,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// CSV, instants written so.
    Csv(Dates),
    /// Parquet.
    Parquet,
}

enum Files {
    Csv(CsvFiles),
    Parquet(ParquetFiles),
}

impl TakeRows for Files {
    type Error = anyhow::Error;

    fn rows<R: Row>(&mut self, program: &str, rows: &[R]) -> Result<()> {
        match self {
            Files::Csv(files) => files.rows(program, rows),
            Files::Parquet(files) => files.rows(program, rows),
        }
    }
}

impl Files {
    fn finish(self) -> Result<Vec<Written>> {
        match self {
            Files::Csv(files) => files.finish(),
            Files::Parquet(files) => files.finish(),
        }
    }
}

impl Export {
    /// Writes everything that is asked for; what the files are.
    ///
    /// # Errors
    /// The log can't be read, or a file can't be written.
    pub fn write(&self, outlet: Outlet, progress: impl FnMut(u32, Swept)) -> Result<Value> {
        let (past, of) = (&self.past, &self.of);
        let files = match self.form {
            Form::Csv(dates) => Files::Csv(CsvFiles::new(outlet, dates)),
            Form::Parquet => {
                let zone = past.programs().into_values().find_map(|rules| Some(rules.at(past.at)?.zone.clone()));
                let month = zone.map_or(0, |zone| month_number(day_number(past.at, &zone)));
                Files::Parquet(ParquetFiles::new(outlet, month))
            }
        };
        let (mut files, flows) = write_members(past, of, files, progress)?;
        for (program, timeline) in past.programs() {
            let flows = flows.get(program).cloned().unwrap_or_default();
            if let Some(broken) = flows.broken.first() {
                return Err(Failure::broken(format!(
                    "the sums of program {program} do not hold (`accrue verify` says more): {broken}"
                )));
            }
            // Also tables without a row have a file.
            Rows::default().give(program, of.tables, &mut files)?;
            let daily = daily_rows(&flows, timeline, of);
            if of.tables.daily && !daily.is_empty() {
                files.rows(program, &daily)?;
            }
        }
        let mut written = files.finish()?;
        written.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(manifest(past, of, self.form, &written))
    }
}

/// Folds on some threads and writes on one.
fn write_members(
    past: &Past,
    of: &Selection,
    mut files: Files,
    mut progress: impl FnMut(u32, Swept),
) -> Result<(Files, BTreeMap<String, Flows>)> {
    type Part = BTreeMap<String, Rows>;
    let (send, receive) = crossbeam_channel::bounded::<Part>(WAITING_PARTS);
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || -> Result<(Files, BTreeMap<String, Flows>)> {
            let mut flows: BTreeMap<String, Flows> = BTreeMap::new();
            for part in receive {
                for (program, rows) in part {
                    rows.give(&program, of.tables.of_members(), &mut files)?;
                    flows.entry(program).or_default().merge(rows.flows);
                }
            }
            Ok((files, flows))
        });
        let folded = past.fold(
            Members::default(),
            Part::new,
            |part, _, folded| {
                match part.get_mut(folded.program) {
                    Some(rows) => rows.member(folded, of),
                    None => part.entry(folded.program.to_owned()).or_default().member(folded, of),
                }
                Ok(())
            },
            |shard, part, swept| {
                progress(shard, swept);
                send.send(part).map_err(|_| ProjectionError::NobodyTakes)
            },
        );
        drop(send);
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Where writing failed, that is why nobody takes the rows.
        match (written, folded) {
            (Ok(done), Ok(())) => Ok(done),
            (Ok(_), Err(error)) => Err(error).context("the log"),
            (Err(error), _) => Err(error),
        }
    })
}

fn manifest(past: &Past, of: &Selection, form: Form, files: &[Written]) -> Value {
    let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
    let mut digest = Sha256::new();
    for file in files {
        *rows.entry(file.table).or_default() += file.rows;
        digest.update(format!("{}  {}\n", file.sealed.sha256, file.path).as_bytes());
    }
    let shown = |at: accrue_ledger::Instant| Some(at.to_string()).filter(|text| !["always", "never"].contains(&text.as_str()));
    let mut manifest = json!({
        "format": 1,
        "form": match form { Form::Csv(_) => "csv", Form::Parquet => "parquet" },
        "engine": env!("CARGO_PKG_VERSION"),
        "time_zone_data": accrue_ledger::time_zone_data(),
        "from": shown(of.from), "to": shown(of.until),
    });
    if let (Some(manifest), Value::Object(named)) = (manifest.as_object_mut(), past.named()) {
        manifest.extend(named);
        manifest.insert("rows".into(), json!(rows));
        manifest.insert("digest".into(), json!(hex(&digest.finalize())));
        manifest.insert("files".into(), json!(files));
    }
    manifest
}

/// A name as it can stand in a path: letters, digits, `-`, `_` and `.` within it; the rest as `%2F`.
pub fn escaped(name: &str) -> String {
    let plain =
        |place: usize, byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && place > 0);
    name.bytes()
        .enumerate()
        .map(|(place, byte)| if plain(place, byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_projections::export::BalanceRow;

    /// As on a full disk: what was begun is gone, and the error says why.
    #[test]
    fn what_can_not_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("out");
        let folder = Folder::begin(&place).expect("begins");
        let mut files = CsvFiles::new(folder.outlet(), Dates::Iso);
        let row = BalanceRow {
            member: "m".into(),
            ledger: "main".into(),
            active: 1,
            pending: 2,
            debt: 3,
            earned: 4,
            spent: 5,
            expired: 6,
            cancelled: 7,
            clawed_back: 8,
            repaid: 9,
            deducted: 10,
            moved_in: 11,
            moved_out: 12,
        };
        files.rows("p", std::slice::from_ref(&row)).expect("held back");
        std::fs::remove_dir_all(dir.path().join(".out.part/p")).expect("removed");
        let error = files.rows("p", &vec![row; 10_000]).map(|()| files.finish()).expect_err("there is no such file any more");
        assert!(error.to_string().contains("can't write"), "{error}");
        drop(folder);
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
    }

    #[test]
    fn names_in_paths() {
        let all = ["acme-2_x.y", "..", "a/b", "é", ""].map(escaped);
        assert_eq!(all, ["acme-2_x.y", "%2E.", "a%2Fb", "%C3%A9", ""]);
    }
}
