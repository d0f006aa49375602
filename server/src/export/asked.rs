//! What is asked to be exported: on the command line, or of a running service.

use super::Form;
use super::csv::Dates;
use crate::past::{Past, PastAsked, instant};
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ledger::Instant;
use accrue_projections::export::{Selection, Tables};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ExportForm {
    /// RFC 4180, a file a program and table.
    Csv,
    /// zstd, by month and program.
    Parquet,
}

/// It, as a body has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExportAsked {
    /// In which form.
    pub form: ExportForm,
    /// How CSV has instants.
    pub dates: Option<Dates>,
    /// These tables; nothing: all.
    #[serde(default)]
    pub tables: Vec<String>,
    /// What happens: at or after this.
    pub from: Option<String>,
    /// … and before this.
    pub to: Option<String>,
    /// Which past.
    #[serde(default)]
    pub past: PastAsked,
}

/// An export that can be made.
pub struct Export {
    /// Which past.
    pub past: Past,
    /// What of it.
    pub of: Selection,
    /// In which form.
    pub form: Form,
}

impl ExportAsked {
    /// Finds what it is about.
    ///
    /// # Errors
    /// It is asked wrongly, or is not there.
    pub fn find(&self, readers: &Readers, now: Instant) -> Result<Export, Problem> {
        let of = Selection {
            tables: self.tables()?,
            from: instant("from", self.from.as_deref())?.unwrap_or(Instant::MIN),
            until: instant("to", self.to.as_deref())?.unwrap_or(Instant::MAX),
        };
        let form = match (self.form, self.dates) {
            (ExportForm::Csv, dates) => Form::Csv(dates.unwrap_or_default()),
            (ExportForm::Parquet, None | Some(Dates::Micros)) => Form::Parquet,
            (ExportForm::Parquet, Some(_)) => {
                let detail = "Parquet has instants in microseconds: other dates are for CSV";
                return Err(Problem::new("bad_request", detail));
            }
        };
        Ok(Export { past: Past::of(readers, &self.past, now)?, of, form })
    }

    fn tables(&self) -> Result<Tables, Problem> {
        if self.tables.is_empty() {
            return Ok(Tables::ALL);
        }
        let mut tables = Tables::default();
        for name in &self.tables {
            if !tables.add(name) {
                let detail = format!("there is no table {name}, only {}", Tables::NAMES.join(", "));
                return Err(Problem::new("bad_request", detail));
            }
        }
        Ok(tables)
    }
}
