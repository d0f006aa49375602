//! How answers come out: tables for people, JSON as the API gives it, CSV for spreadsheets.

mod column;
mod style;

pub use column::{Cell, Column, minute, points, right, text, without_formula};
pub use comfy_table::Cell as TableCell;
pub use style::Style;

use crate::cli::Output;
use anyhow::Result;
use comfy_table::{Attribute, CellAlignment, ContentArrangement, Table};
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// Widest table where the terminal does not say.
const WIDTH: u16 = 200;

/// Standard output, and how it is written to.
pub struct Printer {
    output: Output,
    /// Colours, if there are any.
    pub style: Style,
}

impl Printer {
    /// For standard output.
    pub fn new(output: Output) -> Printer {
        Printer { output, style: Style::of_stdout() }
    }

    /// How it prints.
    pub fn output(&self) -> Output {
        self.output
    }

    /// Prints text as it is. A reader that went away is none of our business.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub fn text(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Prints a value as JSON.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub fn json(&self, value: &Value) -> Result<()> {
        self.text(&format!("{}\n", serde_json::to_string_pretty(value)?))
    }

    /// Prints rows: `whole` as JSON, or the columns as a table or CSV.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub fn rows(&self, whole: &Value, rows: &[Value], columns: &[Column]) -> Result<()> {
        match self.output {
            Output::Json => self.json(whole),
            Output::Csv => self.text(&csv(rows, columns)?),
            Output::Table => self.text(&format!("{}\n", self.table(rows, columns))),
        }
    }

    /// The columns of rows as a table.
    pub fn table(&self, rows: &[Value], columns: &[Column]) -> String {
        let lines = rows.iter().map(|row| columns.iter().map(|column| TableCell::new(column.shown(row))).collect());
        self.lines(columns, lines)
    }

    /// Lines of cells as a table; of the columns only their heads count.
    pub fn lines(&self, columns: &[Column], lines: impl Iterator<Item = Vec<TableCell>>) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if self.style.is_on() {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if !io::stdout().is_terminal() {
            table.set_width(WIDTH);
        }
        table.set_header(columns.iter().map(|column| TableCell::new(column.head).add_attribute(Attribute::Dim)));
        for line in lines {
            table.add_row(line);
        }
        for (index, column) in columns.iter().enumerate() {
            if let Some(of) = table.column_mut(index) {
                of.set_padding((0, 2));
                if column.right {
                    of.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        table.trim_fmt()
    }
}

/// RFC 4180. Text that a spreadsheet would take for a formula begins with an apostrophe.
fn csv(rows: &[Value], columns: &[Column]) -> Result<String> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(columns.iter().map(|column| column.head.replace(' ', "_")))?;
    for row in rows {
        writer.write_record(columns.iter().map(|column| column.raw(row)))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: [Column; 3] = [text("name", "/name"), right("points", "/points"), text("at", "/at").instant()];

    #[test]
    fn a_table_is_aligned() {
        let printer = Printer { output: Output::Table, style: Style::plain() };
        let rows = [
            json!({"name": "a", "points": 12345, "at": "2024-01-02T03:04:05.678Z"}),
            json!({"name": "bbb", "points": -7, "at": "never"}),
        ];
        let lines: Vec<String> = printer.table(&rows, &COLUMNS).lines().map(str::to_owned).collect();
        assert_eq!(lines, ["name  points  at", "a     12,345  2024-01-02 03:04", "bbb       -7  never"]);
    }

    #[test]
    fn csv_is_raw_and_has_no_formulas() {
        let rows =
            [json!({"name": "=1+1", "points": -7, "at": "2024-01-02T03:04:05Z"}), json!({"name": "a,\"b", "points": null})];
        let expected = "name,points,at\r\n'=1+1,-7,2024-01-02T03:04:05Z\r\n\"a,\"\"b\",,\r\n";
        assert_eq!(csv(&rows, &COLUMNS).expect("writes"), expected);
    }
}
