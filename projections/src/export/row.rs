//! What a table is to whoever writes it to a file: columns with types, and rows that hand their cells over one by one.

use accrue_ledger::{Instant, Text};

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellType {
    /// UTF-8.
    Text,
    /// 64 bits: points, counts, minor units of money.
    Whole,
    /// Microseconds, UTC.
    Instant,
    /// A local day, days since 1970-01-01.
    Day,
    /// Yes or no.
    Flag,
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub of: CellType,
    /// Whether a row may have nothing there.
    pub nullable: bool,
}

/// Takes the cells of a row, in the order of columns.
pub trait Cells {
    /// Text.
    fn text(&mut self, text: &str);
    /// A whole number.
    fn whole(&mut self, number: i64);
    /// An instant.
    fn instant(&mut self, at: Instant);
    /// A local day.
    fn day(&mut self, day: i32);
    /// Yes or no.
    fn flag(&mut self, yes: bool);
    /// Nothing.
    fn nothing(&mut self);
    /// Text that is JSON.
    fn json(&mut self, text: &str) {
        self.text(text);
    }
}

/// A value in a cell.
pub trait Cell {
    /// What it is.
    const OF: CellType;
    /// Whether it may be nothing.
    const NULLABLE: bool = false;
    /// Hands it over.
    fn put(&self, to: &mut impl Cells);
}

/// A local day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalDay(pub i32);

/// Text that is JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Json(pub String);

impl Cell for Json {
    const OF: CellType = CellType::Text;
    fn put(&self, to: &mut impl Cells) {
        to.json(&self.0);
    }
}

impl Cell for Text {
    const OF: CellType = CellType::Text;
    fn put(&self, to: &mut impl Cells) {
        to.text(self);
    }
}

impl Cell for &'static str {
    const OF: CellType = CellType::Text;
    fn put(&self, to: &mut impl Cells) {
        to.text(self);
    }
}

impl Cell for i64 {
    const OF: CellType = CellType::Whole;
    fn put(&self, to: &mut impl Cells) {
        to.whole(*self);
    }
}

impl Cell for Instant {
    const OF: CellType = CellType::Instant;
    fn put(&self, to: &mut impl Cells) {
        to.instant(*self);
    }
}

impl Cell for LocalDay {
    const OF: CellType = CellType::Day;
    fn put(&self, to: &mut impl Cells) {
        to.day(self.0);
    }
}

impl Cell for bool {
    const OF: CellType = CellType::Flag;
    fn put(&self, to: &mut impl Cells) {
        to.flag(*self);
    }
}

impl<T: Cell> Cell for Option<T> {
    const OF: CellType = T::OF;
    const NULLABLE: bool = true;
    fn put(&self, to: &mut impl Cells) {
        match self {
            Some(value) => value.put(to),
            None => to.nothing(),
        }
    }
}

/// A row of a table.
pub trait Row: Send + 'static {
    /// The table's name.
    const TABLE: &'static str;
    /// Its columns.
    const COLUMNS: &'static [ColumnSpec];
    /// It says what happened, and not how things are.
    const HAPPENS: bool;
    /// The local day it belongs to; `None`: it says how things are, not what happened.
    fn day(&self) -> Option<LocalDay>;
    /// Hands its cells over.
    fn cells(&self, to: &mut impl Cells);
}

/// A row as a plain struct: its fields are the columns. `on field`: the local day that it belongs to.
macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident $table:literal $(on $day:ident)? { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)+ }
            impl $crate::export::Row for $name {
                const TABLE: &'static str = $table;
                const COLUMNS: &'static [$crate::export::ColumnSpec] = &[$($crate::export::ColumnSpec {
                    name: stringify!($field),
                    of: <$type as $crate::export::Cell>::OF,
                    nullable: <$type as $crate::export::Cell>::NULLABLE,
                },)+];
                const HAPPENS: bool = false $(|| !stringify!($day).is_empty())?;
                fn day(&self) -> Option<$crate::export::LocalDay> {
                    None$(.or(Some(self.$day)))?
                }
                fn cells(&self, to: &mut impl $crate::export::Cells) {
                    $($crate::export::Cell::put(&self.$field, to);)+
                }
            }
        )+
    };
}

pub(crate) use rows;

/// An end that may be none.
pub fn end(at: Instant) -> Option<Instant> {
    Some(at).filter(|at| *at != Instant::MAX)
}

/// Text that may be none.
pub fn some(text: &str) -> Option<Text> {
    Some(text).filter(|text| !text.is_empty()).map(Text::new)
}
