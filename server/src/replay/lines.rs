//! Rows on their way out: JSON lines, CSV, or one Parquet file.

use crate::export::csv::{CsvLine, Dates, iso, writer};
use crate::export::parquet::File;
use accrue_ledger::calendar::date_of;
use accrue_ledger::{Instant, Text};
use accrue_projections::export::{Cell, Cells, ColumnSpec, Row};
use anyhow::Result;
use std::io::Write;

/// A row with the program before it and the token behind it.
pub struct Line<'a, R> {
    /// The program; nothing: the row has it itself.
    pub program: Option<Text>,
    /// The row.
    pub row: &'a R,
    /// The token.
    pub token: &'a str,
}

/// Where their bytes go.
pub type To = Box<dyn Write + Send>;

/// Where rows go.
pub enum Lines {
    /// JSON lines.
    Jsonl(To),
    /// CSV.
    Csv(Box<csv::Writer<To>>),
    /// A file of its own.
    Parquet(Box<File<To>>),
}

impl Lines {
    /// CSV to somewhere; `head`: with the names of columns.
    ///
    /// # Errors
    /// It can't be written.
    pub fn csv<R: Row>(to: To, head: bool, program: bool) -> Result<Lines> {
        let mut writer = writer(to);
        if head {
            writer.write_record(columns::<R>(program).iter().map(|column| column.name))?;
        }
        Ok(Lines::Csv(Box::new(writer)))
    }

    /// One Parquet file with these columns.
    ///
    /// # Errors
    /// It can't be written.
    pub fn parquet(to: To, columns: &[ColumnSpec]) -> Result<Lines> {
        Ok(Lines::Parquet(Box::new(File::new(to, columns)?)))
    }

    /// Writes a row.
    ///
    /// # Errors
    /// It can't be written.
    pub fn put<R: Row>(&mut self, line: &Line<'_, R>) -> Result<()> {
        match self {
            Lines::Jsonl(to) => {
                let columns = columns::<R>(line.program.is_some());
                let mut json = JsonLine { columns: columns.iter(), text: String::from("{") };
                line.cells(&mut json);
                json.text.push_str("}\n");
                Ok(to.write_all(json.text.as_bytes())?)
            }
            Lines::Csv(to) => {
                let mut fields = CsvLine::new(to, Dates::Iso);
                line.cells(&mut fields);
                fields.end()
            }
            Lines::Parquet(file) => file.add(|columns| line.cells(columns)),
        }
    }

    /// Hands what was put to the system.
    ///
    /// # Errors
    /// It can't be written.
    pub fn flush(&mut self) -> Result<()> {
        match self {
            Lines::Jsonl(to) => Ok(to.flush()?),
            Lines::Csv(to) => Ok(to.flush()?),
            Lines::Parquet(_) => Ok(()),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        if let Lines::Parquet(file) = self {
            file.finish()?.flush()?;
        }
        Ok(())
    }
}

/// The columns of lines.
pub fn columns<R: Row>(program: bool) -> Vec<ColumnSpec> {
    let text = |name: &'static str| ColumnSpec { name, of: Text::OF, nullable: false };
    let before = program.then(|| text("program"));
    before.into_iter().chain(R::COLUMNS.iter().copied()).chain([text("token")]).collect()
}

impl<R: Row> Line<'_, R> {
    /// Its cells.
    pub fn cells(&self, to: &mut impl Cells) {
        self.program.iter().for_each(|program| to.text(program));
        self.row.cells(to);
        to.text(self.token);
    }
}

struct JsonLine<'a> {
    columns: std::slice::Iter<'a, ColumnSpec>,
    text: String,
}

impl JsonLine<'_> {
    fn put(&mut self, value: &str) {
        if let Some(column) = self.columns.next() {
            if self.text.len() > 1 {
                self.text.push(',');
            }
            self.text.push('"');
            self.text.push_str(column.name);
            self.text.push_str("\":");
            self.text.push_str(value);
        }
    }
}

impl Cells for JsonLine<'_> {
    fn text(&mut self, text: &str) {
        self.put(&serde_json::Value::from(text).to_string());
    }

    fn whole(&mut self, number: i64) {
        self.put(&number.to_string());
    }

    fn instant(&mut self, at: Instant) {
        self.put(&format!("\"{}\"", iso(at)));
    }

    fn day(&mut self, day: i32) {
        self.put(&format!("\"{}\"", date_of(day)));
    }

    fn flag(&mut self, yes: bool) {
        self.put(if yes { "true" } else { "false" });
    }

    fn nothing(&mut self) {
        self.put("null");
    }

    fn json(&mut self, text: &str) {
        self.put(text);
    }
}
