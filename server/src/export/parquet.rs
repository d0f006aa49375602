//! Rows as Parquet: what happened by local month and program, how things are by program; zstd, INT64, UTC microseconds.
//!
//! By month and not by day: a history of ten years is 120 files a table and program, each worth opening. Rows of a table are held
//! back until there are enough for a row group: what is held is bounded by table and program, and when it is full, the month with
//! most rows is written. That depends on the rows and their order alone, so the same rows are the same bytes.

use super::appending::Appending;
use super::{Outlet, Written, escaped};
use accrue_ledger::Instant;
use accrue_ledger::calendar::{month_number, month_of};
use accrue_projections::export::{CellType, Cells, ColumnSpec, Row, TakeRows};
use anyhow::{Context as _, Result};
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// Rows of a row group, at most.
const GROUP_ROWS_MAX: usize = 128 * 1024;
/// Rows of a table and program that are held back, at most.
const HELD_ROWS_MAX: usize = 512 * 1024;
const UTC: &str = "UTC";

/// All files of an export.
pub struct ParquetFiles {
    outlet: Outlet,
    /// Where a table without rows has its only, empty file.
    month: i32,
    tables: BTreeMap<(&'static str, String), Table>,
}

#[derive(Default)]
struct Table {
    held: usize,
    /// By month; of tables of how things are, one.
    files: BTreeMap<Option<i32>, (String, File<Appending>)>,
}

/// One file.
pub struct File<W: Write + Send> {
    rows: u64,
    columns: Columns,
    writer: ArrowWriter<W>,
}

impl ParquetFiles {
    /// Files that go there. `month`: the number of the local month in which tables without rows have a file.
    pub fn new(outlet: Outlet, month: i32) -> ParquetFiles {
        ParquetFiles { outlet, month, tables: BTreeMap::new() }
    }

    /// Ends all files.
    ///
    /// # Errors
    /// They can't be written.
    pub fn finish(self) -> Result<Vec<Written>> {
        let mut written = Vec::new();
        for ((table, program), of) in self.tables {
            for (path, file) in of.files.into_values() {
                let rows = file.rows;
                let sealed = file.finish()?.seal()?;
                written.push(Written { path, table, program: program.clone(), rows, sealed });
            }
        }
        Ok(written)
    }
}

impl TakeRows for ParquetFiles {
    type Error = anyhow::Error;

    fn rows<R: Row>(&mut self, program: &str, rows: &[R]) -> Result<()> {
        let table = self.tables.entry((R::TABLE, program.to_owned())).or_default();
        let outlet = &self.outlet;
        let create = |month: Option<i32>| -> Result<(String, File<Appending>)> {
            let month = month.map_or(String::new(), |month| format!("month={}/", month_of(month)));
            let path = format!("{}/{month}program={}/part-0.parquet", R::TABLE, escaped(program));
            let file = File::new(Appending::create(outlet, &path)?, R::COLUMNS)?;
            Ok((path, file))
        };
        for row in rows {
            let month = row.day().map(|day| month_number(day.0));
            let (_, file) = match table.files.entry(month) {
                std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
                std::collections::btree_map::Entry::Vacant(none) => none.insert(create(month)?),
            };
            file.put(|columns| row.cells(columns));
            table.held += 1;
            let of_file = file.columns.rows;
            if of_file == GROUP_ROWS_MAX {
                file.flush()?;
                table.held -= of_file;
            } else if table.held == HELD_ROWS_MAX {
                table.spill()?;
            }
        }
        // Whoever reads a table finds a file of it, with its columns.
        if rows.is_empty() && table.files.is_empty() {
            let month = R::HAPPENS.then_some(self.month);
            table.files.insert(month, create(month)?);
        }
        Ok(())
    }
}

impl Table {
    /// Writes the rows of the month that has most; of those with as many, of the first.
    fn spill(&mut self) -> Result<()> {
        let files = self.files.values_mut().map(|(_, file)| file);
        let most = files.rev().max_by_key(|file| file.columns.rows).context("a table with rows has a file")?;
        self.held -= most.columns.rows;
        most.flush()
    }
}

impl<W: Write + Send> File<W> {
    /// A new one.
    ///
    /// # Errors
    /// It can't be written.
    pub fn new(to: W, columns: &[ColumnSpec]) -> Result<File<W>> {
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).set_created_by("accrue".into());
        let columns = Columns::new(columns);
        let writer = ArrowWriter::try_new(to, Arc::clone(&columns.schema), Some(properties.build()))?;
        Ok(File { rows: 0, columns, writer })
    }

    fn put(&mut self, cells: impl FnOnce(&mut Columns)) {
        cells(&mut self.columns);
        self.columns.end();
        self.rows += 1;
    }

    /// Adds a row, by its cells.
    ///
    /// # Errors
    /// A full row group can't be written.
    pub fn add(&mut self, cells: impl FnOnce(&mut Columns)) -> Result<()> {
        self.put(cells);
        if self.columns.rows == GROUP_ROWS_MAX { self.flush() } else { Ok(()) }
    }

    /// Ends it; where it went.
    ///
    /// # Errors
    /// It can't be written.
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        Ok(self.writer.into_inner()?)
    }

    fn flush(&mut self) -> Result<()> {
        if self.columns.rows > 0 {
            self.writer.write(&self.columns.take()?)?;
            self.writer.flush()?;
        }
        Ok(())
    }
}

/// Rows on their way into columns.
pub struct Columns {
    schema: Arc<Schema>,
    builders: Vec<Builder>,
    /// The column of the next cell.
    next: usize,
    /// Rows that are here.
    rows: usize,
}

enum Builder {
    Text(StringBuilder),
    Whole(Int64Builder),
    Instant(TimestampMicrosecondBuilder),
    Day(Date32Builder),
    Flag(BooleanBuilder),
}

impl Columns {
    fn new(columns: &[ColumnSpec]) -> Columns {
        let field = |column: &ColumnSpec| {
            let of = match column.of {
                CellType::Text => DataType::Utf8,
                CellType::Whole => DataType::Int64,
                CellType::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
                CellType::Day => DataType::Date32,
                CellType::Flag => DataType::Boolean,
            };
            Field::new(column.name, of, column.nullable)
        };
        let builder = |column: &ColumnSpec| match column.of {
            CellType::Text => Builder::Text(StringBuilder::new()),
            CellType::Whole => Builder::Whole(Int64Builder::new()),
            CellType::Instant => Builder::Instant(TimestampMicrosecondBuilder::new().with_timezone(UTC)),
            CellType::Day => Builder::Day(Date32Builder::new()),
            CellType::Flag => Builder::Flag(BooleanBuilder::new()),
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Columns { schema, builders: columns.iter().map(builder).collect(), next: 0, rows: 0 }
    }

    fn end(&mut self) {
        debug_assert_eq!(self.next, self.builders.len(), "each column has a cell");
        (self.next, self.rows) = (0, self.rows + 1);
    }

    fn take(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let arrays: Vec<ArrayRef> = self.builders.iter_mut().map(Builder::finish).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    fn next(&mut self) -> Option<&mut Builder> {
        self.next += 1;
        self.builders.get_mut(self.next - 1)
    }
}

impl Builder {
    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(builder) => ArrayBuilder::finish(builder),
            Builder::Whole(builder) => ArrayBuilder::finish(builder),
            Builder::Instant(builder) => ArrayBuilder::finish(builder),
            Builder::Day(builder) => ArrayBuilder::finish(builder),
            Builder::Flag(builder) => ArrayBuilder::finish(builder),
        }
    }
}

impl Cells for Columns {
    fn text(&mut self, text: &str) {
        if let Some(Builder::Text(builder)) = self.next() {
            builder.append_value(text);
        }
    }

    fn whole(&mut self, number: i64) {
        if let Some(Builder::Whole(builder)) = self.next() {
            builder.append_value(number);
        }
    }

    fn instant(&mut self, at: Instant) {
        if let Some(Builder::Instant(builder)) = self.next() {
            builder.append_value(at.0);
        }
    }

    fn day(&mut self, day: i32) {
        if let Some(Builder::Day(builder)) = self.next() {
            builder.append_value(day);
        }
    }

    fn flag(&mut self, yes: bool) {
        if let Some(Builder::Flag(builder)) = self.next() {
            builder.append_value(yes);
        }
    }

    fn nothing(&mut self) {
        match self.next() {
            Some(Builder::Text(builder)) => builder.append_null(),
            Some(Builder::Whole(builder)) => builder.append_null(),
            Some(Builder::Instant(builder)) => builder.append_null(),
            Some(Builder::Day(builder)) => builder.append_null(),
            Some(Builder::Flag(builder)) => builder.append_null(),
            None => {}
        }
    }
}
