//! Sums of a program, day by day.

use crate::rows::DayRow;
use accrue_ledger::EntryKind;
use accrue_ledger::calendar::date_of;
use serde::Serialize;
use std::collections::BTreeMap;

/// Sums of a program's ledger on a local day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TotalsRow {
    /// The ledger.
    pub ledger: String,
    /// The local day, `YYYY-MM-DD`.
    pub day: String,
    /// Signed points by kind of entry.
    pub points: BTreeMap<&'static str, i64>,
    /// Entries.
    pub entries: u64,
}

impl TotalsRow {
    pub(crate) fn of(ledger: &str, day: i32, row: &DayRow) -> TotalsRow {
        let of = |kind: &'static EntryKind| Some((kind, *row.points.get(kind.sum_index()?)?));
        let points = EntryKind::ALL.iter().filter_map(of).filter(|(_, points)| *points != 0);
        TotalsRow {
            ledger: ledger.to_string(),
            day: date_of(day),
            points: points.map(|(kind, points)| (kind.name(), points)).collect(),
            entries: row.entries,
        }
    }
}
