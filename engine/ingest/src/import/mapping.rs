//! The mapping: what the columns of a file mean. One TOML file, every key known (`docs/import.md`).

use super::number::NumberStyle;
use super::time::Clockface;
use super::words::EncodingText;
use rust_decimal::Decimal;

/// How to read a file of orders. Parsed once, used for any number of files.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The loyalty program of all facts.
    pub program: String,
    /// Who publishes them.
    pub source: String,
    pub(super) file: FileStyle,
    /// Every header that is read, with the mapping's key that first names it.
    pub(super) headers: Vec<(String, String)>,
    pub(super) time: Column,
    pub(super) clock: Clockface,
    pub(super) differs: Differs,
    pub(super) currency: Currency,
    pub(super) order: OrderColumns,
    pub(super) lines: LineColumns,
    pub(super) refund: Option<RefundRows>,
    pub(super) skip: Vec<Skip>,
}

/// The file itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileStyle {
    pub(super) delimiter: u8,
    /// `None`: quotes mean nothing.
    pub(super) quote: Option<u8>,
    pub(super) encoding: EncodingText,
    pub(super) numbers: NumberStyle,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) enum Column {
    /// The cell of this header, after the text.
    Cell {
        /// Index in [`Mapping::headers`].
        header: usize,
        prefix: String,
        /// Between the entries of a list.
        split: Option<String>,
    },
    /// The same for all rows.
    Constant(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Differs {
    Error,
    Earliest,
    Latest,
}

#[derive(Clone, Debug)]
pub(super) enum Currency {
    Fixed { code: String, exponent: u8 },
    From(Column),
}

#[derive(Clone, Debug)]
pub(super) struct OrderColumns {
    pub(super) id: Column,
    pub(super) member: Column,
    /// Rows of one order are at most this many rows apart.
    pub(super) rows_apart: u64,
    pub(super) channel: Option<Column>,
    pub(super) coupons: Option<Column>,
    pub(super) discount: Option<Column>,
    pub(super) shipping: Option<Column>,
    pub(super) tax: Option<Column>,
    pub(super) paid_with_gift_card: Option<Column>,
    pub(super) paid_with_points: Option<Column>,
}

#[derive(Clone, Debug)]
pub(super) struct LineColumns {
    pub(super) id: LineId,
    pub(super) sku: Option<Column>,
    pub(super) quantity: Column,
    pub(super) price: Price,
    pub(super) discount: Option<Column>,
    pub(super) collections: Option<Column>,
    pub(super) tags: Option<Column>,
}

#[derive(Clone, Debug)]
pub(super) enum LineId {
    Column(Column),
    /// 1, 2, … within the order.
    Number,
    /// `85123A#1`, `71053#1`, `85123A#2`, …: unique, and never equal to a sku, so that an unreferenced refund by sku finds all of them.
    SkuNumber,
}

#[derive(Clone, Debug)]
pub(super) enum Price {
    Unit { column: Column, rounded_once: bool },
    Total { column: Column, rounded: bool },
}

#[derive(Clone, Debug)]
pub(super) struct RefundRows {
    pub(super) when: Condition,
    pub(super) negative: bool,
    /// `None`: unreferenced.
    pub(super) order: Option<Column>,
}

#[derive(Clone, Debug)]
pub(super) struct Skip {
    pub(super) condition: Condition,
    /// Only rows of refunds (`true`) or orders (`false`).
    pub(super) of_refund: Option<bool>,
    pub(super) reason: String,
}

#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) header: usize,
    pub(super) test: Test,
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    Empty(bool),
    Equals(Vec<String>),
    StartsWith(Vec<String>),
    AtMost(Decimal),
}
