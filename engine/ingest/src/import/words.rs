//! The mapping as people write it: every key, and what is taken when it is absent.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingText {
    pub(super) program: String,
    pub(super) source: String,
    /// A code, or `{ column = "Currency" }`.
    pub(super) currency: ColumnText,
    #[serde(default)]
    pub(super) file: FileText,
    pub(super) time: TimeText,
    pub(super) order: OrderText,
    pub(super) lines: LinesText,
    pub(super) refund: Option<RefundText>,
    #[serde(default)]
    pub(super) skip: Vec<SkipText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileText {
    pub(super) delimiter: String,
    pub(super) quote: String,
    pub(super) encoding: EncodingText,
    pub(super) decimal: String,
    pub(super) thousands: String,
}

impl Default for FileText {
    fn default() -> Self {
        let [delimiter, quote, decimal, thousands] = [",", "\"", ".", ""].map(str::to_owned);
        FileText { delimiter, quote, encoding: EncodingText::Utf8, decimal, thousands }
    }
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EncodingText {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "latin1")]
    Latin1,
    #[serde(rename = "windows-1252")]
    Windows1252,
}

impl EncodingText {
    pub(super) fn name(self) -> &'static str {
        match self {
            EncodingText::Utf8 => "utf-8",
            EncodingText::Latin1 => "latin1",
            EncodingText::Windows1252 => "windows-1252",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeText {
    pub(super) column: String,
    /// As strftime: `%Y-%m-%dT%H:%M:%S`.
    pub(super) format: String,
    /// Of times without an offset.
    pub(super) zone: String,
    /// What to do when rows of one order have several times.
    #[serde(default)]
    pub(super) rows_differ: DiffersText,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum DiffersText {
    #[default]
    Error,
    Earliest,
    Latest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderText {
    pub(super) id: ColumnText,
    pub(super) member: ColumnText,
    #[serde(default)]
    pub(super) rows_apart: RowsApartText,
    pub(super) channel: Option<ColumnText>,
    pub(super) coupons: Option<ColumnText>,
    pub(super) discount: Option<ColumnText>,
    pub(super) shipping: Option<ColumnText>,
    pub(super) tax: Option<ColumnText>,
    pub(super) paid_with_gift_card: Option<ColumnText>,
    pub(super) paid_with_points: Option<ColumnText>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "rows_apart is a number of rows, or \"any\"")]
pub(super) enum RowsApartText {
    Rows(u64),
    Any(AnyText),
}

impl Default for RowsApartText {
    fn default() -> Self {
        RowsApartText::Rows(1)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnyText {
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinesText {
    #[serde(default)]
    pub(super) id: LineIdText,
    pub(super) sku: Option<ColumnText>,
    pub(super) quantity: ColumnText,
    pub(super) unit_price: Option<ColumnText>,
    pub(super) total: Option<ColumnText>,
    #[serde(default)]
    pub(super) price_decimals: PriceDecimalsText,
    pub(super) discount: Option<ColumnText>,
    pub(super) collections: Option<ColumnText>,
    pub(super) tags: Option<ColumnText>,
}

/// A column, `{ number = true }` or `{ sku_number = true }`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "lines.id is a column's name, { number = true } or { sku_number = true }")]
pub(super) enum LineIdText {
    Number {
        #[serde(rename = "number")]
        _number: True,
    },
    SkuNumber {
        #[serde(rename = "sku_number")]
        _sku_number: True,
    },
    Column(ColumnText),
}

impl Default for LineIdText {
    fn default() -> Self {
        LineIdText::Number { _number: True }
    }
}

/// The one value `true`.
#[derive(Deserialize)]
#[serde(try_from = "bool")]
pub(super) struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        if value { Ok(True) } else { Err("must be true, or absent") }
    }
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum PriceDecimalsText {
    /// More decimals than the currency has are an error.
    #[default]
    Currency,
    /// A line's total is rounded once.
    ExactLine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundText {
    /// What makes a row part of a refund.
    pub(super) when: ConditionText,
    /// The sign of quantities and totals in refunds.
    #[serde(default)]
    pub(super) sign: SignText,
    /// The order it is of; absent: unreferenced.
    pub(super) order: Option<ColumnText>,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignText {
    #[default]
    Positive,
    Negative,
}

/// Rows that are left out on purpose, the first that fits counts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SkipText {
    column: String,
    empty: Option<bool>,
    equals: Option<Texts>,
    starts_with: Option<Texts>,
    at_most: Option<String>,
    pub(super) of: Option<KindText>,
    pub(super) reason: String,
}

impl SkipText {
    pub(super) fn condition(&self) -> ConditionText {
        ConditionText {
            column: self.column.clone(),
            empty: self.empty,
            equals: self.equals.clone(),
            starts_with: self.starts_with.clone(),
            at_most: self.at_most.clone(),
        }
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindText {
    Order,
    Refund,
}

impl KindText {
    pub(super) fn is_refund(self) -> bool {
        match self {
            KindText::Order => false,
            KindText::Refund => true,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionText {
    pub(super) column: String,
    pub(super) empty: Option<bool>,
    pub(super) equals: Option<Texts>,
    pub(super) starts_with: Option<Texts>,
    pub(super) at_most: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub(super) enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Texts {
    pub(super) fn all(self) -> Vec<String> {
        match self {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a column's name, { column = \"…\", prefix = \"…\", split = \"…\" } or { value = \"…\" }")]
pub(super) enum ColumnText {
    Name(String),
    Table(ColumnTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnTable {
    pub(super) column: Option<String>,
    pub(super) value: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) split: Option<String>,
}
