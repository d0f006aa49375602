//! The mapping of balances, lots and history: what the columns of such a file mean.

use crate::import::check::{Checked, Headers, file, located, skipped, wrong};
use crate::import::error::MappingError;
use crate::import::mapping::{Column, FileStyle, Skip};
use crate::import::time::Clockface;
use crate::import::words::{ColumnText, FileText, SkipText};
use accrue_ledger::Instant;
use accrue_proto::money;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpeningKind {
    /// Everything a member has; below zero: what it owes.
    Balances,
    /// Points with one start and one end.
    Lots,
    /// Something that happened: points came (above zero) or went (below).
    History,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningText {
    kind: OpeningKind,
    program: String,
    source: String,
    currency: Option<String>,
    #[serde(default)]
    file: FileText,
    time: TimeText,
    opening: ColumnsText,
    #[serde(default)]
    skip: Vec<SkipText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeText {
    format: String,
    zone: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnsText {
    at: Option<String>,
    date: Option<ColumnText>,
    member: ColumnText,
    points: ColumnText,
    ledger: Option<ColumnText>,
    earned_at: Option<ColumnText>,
    starts_at: Option<ColumnText>,
    expires_at: Option<ColumnText>,
    tier_credit: Option<ColumnText>,
    id: Option<ColumnText>,
}

/// How to read a file of balances, lots or history. Parsed once, used for any number of files.
#[derive(Clone, Debug)]
pub struct OpeningMapping {
    /// What its rows are.
    pub kind: OpeningKind,
    /// The loyalty program of all facts.
    pub program: String,
    /// Who publishes them.
    pub source: String,
    pub(super) style: FileStyle,
    pub(super) headers: Vec<(String, String)>,
    pub(super) clock: Clockface,
    /// Of the program, for tier credit: its decimals.
    pub(super) exponent: Option<u8>,
    pub(super) at: Option<Instant>,
    pub(super) date: Option<Column>,
    pub(super) member: Column,
    pub(super) points: Column,
    pub(super) ledger: Option<Column>,
    pub(super) earned_at: Option<Column>,
    pub(super) starts_at: Option<Column>,
    pub(super) expires_at: Option<Column>,
    pub(super) tier_credit: Option<Column>,
    pub(super) id: Option<Column>,
    pub(super) skip: Vec<Skip>,
}

impl OpeningMapping {
    /// Whether a mapping is one of these: it has a `kind`.
    pub fn is_one(text: &str) -> bool {
        text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("kind"))
    }

    /// Reads and checks a mapping.
    ///
    /// # Errors
    /// [`MappingError`] with the line, what is wrong and a hint; unknown keys are errors.
    pub fn parse(text: &str) -> Result<OpeningMapping, MappingError> {
        located(text, |words: OpeningText, headers| words.check(headers))
    }
}

impl OpeningText {
    fn check(&self, headers: &mut Headers) -> Checked<OpeningMapping> {
        for (key, value) in [("program", &self.program), ("source", &self.source)] {
            if value.is_empty() {
                return wrong(key, "is empty");
            }
        }
        let Ok(zone) = TimeZone::get(&self.time.zone) else {
            return wrong(
                "time.zone",
                format!("\"{}\" is not a time zone, such as \"Europe/London\" or \"UTC\"", self.time.zone),
            );
        };
        let of = &self.opening;
        let at = match of.at.as_deref().map(|text| (text, Instant::parse(text))) {
            None => None,
            Some((_, Some(at))) => Some(at),
            Some((text, None)) => return wrong("opening.at", format!("\"{text}\" is not like 2024-06-01T00:00:00Z")),
        };
        match (self.kind, at, &of.date) {
            (OpeningKind::History, None, Some(_)) | (OpeningKind::Balances | OpeningKind::Lots, Some(_), None) => {}
            (OpeningKind::History, ..) => {
                return wrong("opening.date", "history needs the column of its dates, and no opening.at");
            }
            _ => return wrong("opening.at", "say when members move, such as \"2024-06-01T00:00:00Z\"; dates are for history"),
        }
        let exponent = match self.currency.as_deref().map(|code| (code, money::exponent(code))) {
            Some((code, None)) => return wrong("currency", format!("\"{code}\" is not an ISO 4217 code")),
            Some((_, exponent)) => exponent,
            None if of.tier_credit.is_some() => return wrong("currency", "tier credit is money: say the program's currency"),
            None => None,
        };
        Ok(OpeningMapping {
            kind: self.kind,
            program: self.program.clone(),
            source: self.source.clone(),
            style: file(&self.file)?,
            clock: Clockface::new(&self.time.format, zone),
            exponent,
            at,
            date: headers.some("opening.date", of.date.as_ref())?,
            member: headers.column("opening.member", &of.member)?,
            points: headers.column("opening.points", &of.points)?,
            ledger: headers.some("opening.ledger", of.ledger.as_ref())?,
            earned_at: headers.some("opening.earned_at", of.earned_at.as_ref())?,
            starts_at: headers.some("opening.starts_at", of.starts_at.as_ref())?,
            expires_at: headers.some("opening.expires_at", of.expires_at.as_ref())?,
            tier_credit: headers.some("opening.tier_credit", of.tier_credit.as_ref())?,
            id: headers.some("opening.id", of.id.as_ref())?,
            skip: skipped(&self.skip, headers)?,
            headers: headers.take(),
        })
    }
}
