//! Orders from another system: a CSV file and a mapping of its columns, as facts.
//!
//! Rows of one invoice become one `order_placed`; rows that the mapping says are refunds, a `refund_recorded`. Ids come from
//! the file, so that importing it again books nothing twice. Memory is that of the orders still open, and 8 bytes for each closed.
//!
//! ```
//! use accrue_ingest::import::{Import, Mapping};
//! let mapping = Mapping::parse(r#"
//!     program = "shop"
//!     source = "old-shop"
//!     currency = "GBP"
//!     time = { column = "Date", format = "%d/%m/%Y %H:%M", zone = "Europe/London" }
//!     order = { id = "Order", member = "Customer" }
//!     lines = { sku = "Article", quantity = "Pieces", unit_price = "Price" }
//! "#)?;
//! let csv = "Order,Date,Customer,Article,Pieces,Price\nA1,01/03/2024 10:00,c7,tea,2,4.50\nA1,01/03/2024 10:00,c7,cup,1,9.00\n";
//! let mut import = Import::read("old.csv", csv.as_bytes(), &mapping)?;
//! let order = import.next().expect("one order")?;
//! assert_eq!((order.fact.id.as_str(), order.lines), ("order:A1", (2, 3)));
//! assert!(import.next().is_none());
//! assert_eq!(import.report().rows_used, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cells;
mod check;
mod error;
mod group;
mod mapping;
mod number;
mod opening;
mod order;
mod report;
mod row;
pub(crate) mod table;
mod time;
mod words;

pub use error::{ImportError, MappingError};
pub use mapping::Mapping;
pub use opening::{Opening, OpeningKind, OpeningMapping};
pub use report::{EXAMPLE_LINES_MAX, Report, Skipped};

use accrue_proto::pb;
use cells::Cells;
use group::{CameBack, Group, Groups};
use row::RowReader;
use std::io::Read;
use std::path::Path;
use table::{BytesRead, Table};
use time::Clockface;

/// A fact, and where it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The fact.
    pub fact: pb::Fact,
    /// First and last line of it in the file, from 1.
    pub lines: (u64, u64),
}

/// Reads a file; an iterator of its facts, by the place of their last row in the file.
///
/// After an error that is not [`fatal`](ImportError::fatal) it goes on with the next order.
pub struct Import {
    file: String,
    mapping: Mapping,
    clock: Clockface,
    table: Table,
    groups: Groups,
    report: Report,
    bytes_read: BytesRead,
    /// A row that is read and still to be added once what is whole was handed out.
    held: bool,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    No,
    /// The file is read; what is open is handed out.
    File,
    All,
}

impl Import {
    /// Opens a file, gzip or plain.
    ///
    /// # Errors
    /// Unreadable, empty, of a strange encoding, or without a column that the mapping names.
    pub fn open(path: &Path, mapping: &Mapping) -> Result<Import, ImportError> {
        let name = path.display().to_string();
        let file =
            std::fs::File::open(path).map_err(|error| ImportError::fatal(&name, None, format!("can't be opened: {error}")))?;
        Import::from_owned(&name, file, mapping)
    }

    /// As [`open`](Self::open), from bytes; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(name: &str, bytes: &[u8], mapping: &Mapping) -> Result<Import, ImportError> {
        Import::from_owned(name, std::io::Cursor::new(bytes.to_vec()), mapping)
    }

    fn from_owned(name: &str, from: impl Read + Send + 'static, mapping: &Mapping) -> Result<Import, ImportError> {
        let (reader, bytes_read) =
            table::unpacked(from).map_err(|error| ImportError::fatal(name, None, format!("can't be read: {error}")))?;
        let skipped = mapping.skip.iter().map(|skip| Skipped { reason: skip.reason.clone(), ..Skipped::default() }).collect();
        Ok(Import {
            file: name.to_owned(),
            clock: mapping.clock.clone(),
            table: Table::new(name, reader, mapping.file, &mapping.headers)?,
            groups: Groups::new(mapping.order.rows_apart, mapping.differs),
            report: Report { skipped, ..Report::default() },
            mapping: mapping.clone(),
            bytes_read,
            held: false,
            ended: Ended::No,
        })
    }

    /// What was made of the rows so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Bytes read from the file, packed as they are there: how far it is.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.get()
    }

    fn step(&mut self) -> Result<Option<Group>, ImportError> {
        loop {
            if !self.held {
                if !self.table.next(&self.mapping.headers)? {
                    return Ok(None);
                }
                self.report.rows = self.table.row;
                self.held = true;
            }
            if let Some(group) = self.groups.close_before(self.table.row) {
                return Ok(Some(group));
            }
            self.held = false;
            self.add()?;
        }
    }

    /// Adds the row that is held.
    fn add(&mut self) -> Result<(), ImportError> {
        let (row, line) = (self.table.row, self.table.line);
        let cells = Cells { table: &self.table, headers: &self.mapping.headers };
        let reader = RowReader { cells, mapping: &self.mapping };
        let refund = reader.is_refund();
        if let Some(index) = reader.skipped_by(refund) {
            self.report.skipped[index].add(line);
            return Ok(());
        }
        let whole = match reader.whole(refund) {
            Ok(whole) => whole,
            Err(message) => {
                (self.report.left_out, self.report.rows_left_out) = (self.report.left_out + 1, self.report.rows_left_out + 1);
                return Err(ImportError::left_out(&self.file, (line, line), message));
            }
        };
        let id = whole.id.clone();
        let content = reader.row(refund, &mut self.clock);
        self.groups.add(whole, content, row, line).map_err(|CameBack| {
            let message = format!(
                "a row of {id} comes after {id} was taken as whole: raise order.rows_apart (now {}), or set it to \"any\"",
                self.mapping.order.rows_apart
            );
            ImportError::fatal(&self.file, Some(line), message)
        })
    }

    fn finish(&mut self, mut group: Group) -> Result<Imported, ImportError> {
        let (lines, rows, refund) = (group.lines, group.rows, group.whole.refund);
        let id = group.whole.id.clone();
        let made = match group.wrong.take() {
            Some((line, message)) => Err(((line, line), message)),
            None => order::fact(group, &self.mapping).map_err(|message| (lines, message)),
        };
        match made {
            Ok(fact) => {
                *(if refund { &mut self.report.refunds } else { &mut self.report.orders }) += 1;
                self.report.rows_used += rows;
                Ok(Imported { fact, lines })
            }
            Err((lines, message)) => {
                (self.report.left_out, self.report.rows_left_out) = (self.report.left_out + 1, self.report.rows_left_out + rows);
                let what = if refund { "refund" } else { "order" };
                Err(ImportError::left_out(&self.file, lines, format!("{what} {id} is left out: {message}")))
            }
        }
    }
}

impl Iterator for Import {
    type Item = Result<Imported, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended == Ended::No {
            match self.step() {
                Ok(Some(group)) => return Some(self.finish(group)),
                Ok(None) => self.ended = Ended::File,
                Err(error) => {
                    if error.fatal {
                        self.ended = Ended::All;
                    }
                    return Some(Err(error));
                }
            }
        }
        if self.ended == Ended::File {
            if let Some(group) = self.groups.close_first() {
                return Some(self.finish(group));
            }
            self.ended = Ended::All;
        }
        None
    }
}

#[cfg(test)]
mod tests;
