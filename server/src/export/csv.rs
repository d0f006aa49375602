//! Rows as CSV: RFC 4180 with a header, a file a program and table.

use super::appending::Appending;
use super::{Outlet, Written, escaped};
use crate::print::without_formula;
use accrue_ledger::Instant;
use accrue_ledger::calendar::date_of;
use accrue_projections::export::{Cells, Row, TakeRows};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

/// How instants are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Dates {
    /// `2026-01-31T12:00:00.000Z`: milliseconds, microseconds where there are any.
    #[default]
    Iso,
    /// Whole microseconds since 1970.
    Micros,
    /// Whole milliseconds since 1970, cut.
    Millis,
    /// Whole seconds since 1970, cut.
    Seconds,
}

/// All files of an export.
pub struct CsvFiles {
    outlet: Outlet,
    dates: Dates,
    files: BTreeMap<(String, &'static str), File>,
}

struct File {
    path: String,
    rows: u64,
    writer: csv::Writer<Appending>,
}

impl CsvFiles {
    /// Files that go there.
    pub fn new(outlet: Outlet, dates: Dates) -> CsvFiles {
        CsvFiles { outlet, dates, files: BTreeMap::new() }
    }

    /// Ends all files.
    ///
    /// # Errors
    /// They can't be written.
    pub fn finish(self) -> Result<Vec<Written>> {
        let end = |((program, table), file): ((String, &'static str), File)| {
            let inner = file.writer.into_inner().map_err(|error| error.into_error())?;
            Ok(Written { path: file.path, table, program, rows: file.rows, sealed: inner.seal()? })
        };
        self.files.into_iter().map(end).collect()
    }
}

impl TakeRows for CsvFiles {
    type Error = anyhow::Error;

    fn rows<R: Row>(&mut self, program: &str, rows: &[R]) -> Result<()> {
        let key = (program.to_owned(), R::TABLE);
        if !self.files.contains_key(&key) {
            let path = format!("{}/{}.csv", escaped(program), R::TABLE);
            let mut writer = writer(Appending::create(&self.outlet, &path)?);
            writer.write_record(["program"].into_iter().chain(R::COLUMNS.iter().map(|column| column.name)))?;
            self.files.insert(key.clone(), File { path, rows: 0, writer });
        }
        let file = self.files.get_mut(&key).context("just made")?;
        let mut line = CsvLine::new(&mut file.writer, self.dates);
        for row in rows {
            line.text(program);
            row.cells(&mut line);
            line.end()?;
        }
        file.rows += rows.len() as u64;
        Ok(())
    }
}

/// A writer as RFC 4180 wants it.
pub fn writer<W: io::Write>(to: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(to)
}

/// Writes the cells of a row as fields.
pub struct CsvLine<'a, W: io::Write> {
    writer: &'a mut csv::Writer<W>,
    dates: Dates,
    failed: Option<csv::Error>,
    shown: String,
}

impl<'a, W: io::Write> CsvLine<'a, W> {
    /// Lines to a writer.
    pub fn new(writer: &'a mut csv::Writer<W>, dates: Dates) -> Self {
        CsvLine { writer, dates, failed: None, shown: String::new() }
    }

    fn field(&mut self, text: &str) {
        if let Err(error) = self.writer.write_field(text) {
            self.failed.get_or_insert(error);
        }
    }

    fn number(&mut self, number: i64) {
        let mut shown = std::mem::take(&mut self.shown);
        shown.clear();
        // Writing to a string does not fail.
        let _ = write!(shown, "{number}");
        self.field(&shown);
        self.shown = shown;
    }

    /// Ends the line.
    ///
    /// # Errors
    /// It, or something before, could not be written.
    pub fn end(&mut self) -> Result<()> {
        match self.failed.take() {
            Some(error) => Err(error.into()),
            None => Ok(self.writer.write_record(None::<&[u8]>)?),
        }
    }
}

impl<W: io::Write> Cells for CsvLine<'_, W> {
    fn text(&mut self, text: &str) {
        self.field(&without_formula(text));
    }

    fn whole(&mut self, number: i64) {
        self.number(number);
    }

    fn instant(&mut self, at: Instant) {
        match self.dates {
            Dates::Iso => self.field(&iso(at)),
            Dates::Micros => self.number(at.0),
            Dates::Millis => self.number(at.0.div_euclid(1_000)),
            Dates::Seconds => self.number(at.0.div_euclid(1_000_000)),
        }
    }

    fn day(&mut self, day: i32) {
        self.field(&date_of(day));
    }

    fn flag(&mut self, yes: bool) {
        self.field(if yes { "true" } else { "false" });
    }

    fn nothing(&mut self) {
        self.field("");
    }
}

/// UTC with milliseconds; with microseconds where there are any.
pub fn iso(at: Instant) -> String {
    let decimals = if at.0.rem_euclid(1_000) == 0 { 3 } else { 6 };
    format!("{:.decimals$}", at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_milliseconds() {
        let at = |text: &str| iso(Instant::parse(text).expect("an instant"));
        assert_eq!(at("2024-01-02T03:04:05Z"), "2024-01-02T03:04:05.000Z");
        assert_eq!(at("2024-01-02T03:04:05.25+01:00"), "2024-01-02T02:04:05.250Z");
        assert_eq!(at("2024-01-02T03:04:05.000001Z"), "2024-01-02T03:04:05.000001Z");
    }

    #[test]
    fn a_line_is_rfc_4180_without_formulas() {
        let line = |dates: Dates| {
            let mut writer = writer(Vec::new());
            let mut line = CsvLine::new(&mut writer, dates);
            ["=1+1", "a,\"b\"", "two\nlines"].iter().for_each(|text| line.text(text));
            line.whole(-7);
            line.instant(Instant(1_500_000));
            line.day(365);
            line.flag(true);
            line.nothing();
            line.end().expect("written");
            drop(line);
            String::from_utf8(writer.into_inner().expect("whole")).expect("text")
        };
        let rest = "'=1+1,\"a,\"\"b\"\"\",\"two\nlines\",-7,";
        assert_eq!(line(Dates::Iso), format!("{rest}1970-01-01T00:00:01.500Z,1971-01-01,true,\r\n"));
        for (dates, shown) in [(Dates::Micros, "1500000"), (Dates::Millis, "1500"), (Dates::Seconds, "1")] {
            assert_eq!(line(dates), format!("{rest}{shown},1971-01-01,true,\r\n"));
        }
    }
}
