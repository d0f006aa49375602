//! What members bring along from another system: balances, lots, or the history that made them; one row, one fact.
//!
//! A row `c7,120,2024-01-31` under `kind = "lots"` is a `points_imported` of 120 points that end on 31 January 2024; under
//! `kind = "history"` a row of −120 points is a `redemption_recorded` of that day.

mod mapping;

pub use mapping::{OpeningKind, OpeningMapping};

use super::Imported;
use super::cells::{Cells, Head};
use super::error::ImportError;
use super::mapping::Column;
use super::report::{Report, Skipped};
use super::table::{self, BytesRead, Table};
use super::time::Clockface;
use accrue_ledger::Instant;
use accrue_proto::{pb, to_timestamp};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Reads a file; an iterator of its facts in the order of its rows. After an error that is not fatal it goes on.
///
/// Ids come from the column `id`, else from the member and the number of its row among the member's rows: then 16 bytes are
/// kept for each member of the file.
pub struct Opening {
    file: String,
    mapping: OpeningMapping,
    clock: Clockface,
    table: Table,
    report: Report,
    bytes_read: BytesRead,
    rows_of: BTreeMap<u64, u32>,
    ended: bool,
}

impl Opening {
    /// Opens a file, gzip or plain.
    ///
    /// # Errors
    /// Unreadable, empty, of a strange encoding, or without a column that the mapping names.
    pub fn open(path: &Path, mapping: &OpeningMapping) -> Result<Opening, ImportError> {
        let name = path.display().to_string();
        let file =
            std::fs::File::open(path).map_err(|error| ImportError::fatal(&name, None, format!("can't be opened: {error}")))?;
        Opening::read(&name, file, mapping)
    }

    /// As [`open`](Self::open), from bytes; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(name: &str, from: impl Read + Send + 'static, mapping: &OpeningMapping) -> Result<Opening, ImportError> {
        let (reader, bytes_read) =
            table::unpacked(from).map_err(|error| ImportError::fatal(name, None, format!("can't be read: {error}")))?;
        let skipped = mapping.skip.iter().map(|skip| Skipped { reason: skip.reason.clone(), ..Skipped::default() }).collect();
        Ok(Opening {
            file: name.to_owned(),
            clock: mapping.clock.clone(),
            table: Table::new(name, reader, mapping.style, &mapping.headers)?,
            report: Report { skipped, ..Report::default() },
            mapping: mapping.clone(),
            bytes_read,
            rows_of: BTreeMap::new(),
            ended: false,
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

    fn cells(&self) -> Cells<'_> {
        Cells { table: &self.table, headers: &self.mapping.headers }
    }

    /// Which entry of `[[skip]]` leaves the row out.
    fn skipped_by(&self) -> Option<usize> {
        self.mapping.skip.iter().position(|skip| self.cells().holds(&skip.condition))
    }

    fn fact(&mut self) -> Result<pb::Fact, String> {
        let (mapping, clock) = (&self.mapping, &mut self.clock);
        let cells = Cells { table: &self.table, headers: &mapping.headers };
        let member = cells.member(&mapping.member)?;
        let mut instant = |column: &Option<Column>| cells.instant(column.as_ref(), clock);
        let date = instant(&mapping.date)?;
        let at = mapping.at.or(date).ok_or("the date is empty")?;
        let earned_at = instant(&mapping.earned_at)?.or(date);
        let (starts_at, expires_at) = (instant(&mapping.starts_at)?, instant(&mapping.expires_at)?);
        let text = cells.text(&mapping.points);
        let points = if text.is_empty() { Ok(0) } else { mapping.style.numbers.pieces(&text) };
        let points = points.map_err(|error| cells.in_column(&mapping.points, error))?;
        let credit = match mapping.exponent {
            Some(exponent) => cells.amount(mapping.tier_credit.as_ref(), exponent)?.unwrap_or(0),
            None => 0,
        };
        let (ledger, named) = (cells.some_text(mapping.ledger.as_ref()), cells.some_text(mapping.id.as_ref()));
        let id = self.id(&member, &named);
        let stamp = |at: Option<Instant>| at.map(to_timestamp);
        let lot =
            pb::ImportedLot { points, earned_at: stamp(earned_at), starts_at: stamp(starts_at), expires_at: stamp(expires_at) };
        let body = body(self.mapping.kind, &id, ledger, lot, credit)?;
        Head { id, source: &self.mapping.source, program: &self.mapping.program, member, at }.fact(body)
    }

    /// The same on every run over the same file.
    fn id(&mut self, member: &str, named: &str) -> String {
        if !named.is_empty() {
            return format!("opening:{named}");
        }
        let number = self.rows_of.entry(xxh3_64(member.as_bytes())).or_default();
        *number += 1;
        format!("opening:{member}:{number}")
    }
}

fn body(kind: OpeningKind, id: &str, ledger: String, lot: pb::ImportedLot, tier_credit: i64) -> Result<pb::fact::Body, String> {
    let (id, points) = (id.to_owned(), lot.points);
    Ok(match (points, kind) {
        (1.., _) => pb::fact::Body::PointsImported(pb::PointsImported { import_id: id, ledger, lots: vec![lot], tier_credit }),
        (0, _) if tier_credit > 0 => pb::fact::Body::TierCreditAdjusted(pb::TierCreditAdjusted {
            amount: tier_credit,
            reason: "opening balance".to_owned(),
        }),
        (0, _) => {
            return Err("has neither points nor tier credit: leave such rows out with [[skip]] … at_most = \"0\"".to_owned());
        }
        (..0, OpeningKind::History) => pb::fact::Body::RedemptionRecorded(pb::RedemptionRecorded {
            redemption_id: id,
            points: Some(points.saturating_neg()),
            ledger,
            ..pb::RedemptionRecorded::default()
        }),
        (..0, OpeningKind::Balances) => pb::fact::Body::PointsAdjusted(pb::PointsAdjusted {
            adjustment_id: id,
            ledger,
            points,
            reason: "opening balance".to_owned(),
            allow_debt: true,
            ..pb::PointsAdjusted::default()
        }),
        (..0, OpeningKind::Lots) => return Err(format!("a lot has {points} points: what is owed is a balance, not a lot")),
    })
}

impl Iterator for Opening {
    type Item = Result<Imported, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.table.next(&self.mapping.headers) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.ended = error.fatal;
                    return Some(Err(error));
                }
            }
            let line = self.table.line;
            self.report.rows = self.table.row;
            if let Some(index) = self.skipped_by() {
                self.report.skipped[index].add(line);
                continue;
            }
            return Some(match self.fact() {
                Ok(fact) => {
                    let kind = match &fact.body {
                        Some(pb::fact::Body::PointsImported(_)) => "points_imported",
                        Some(pb::fact::Body::RedemptionRecorded(_)) => "redemption_recorded",
                        Some(pb::fact::Body::PointsAdjusted(_)) => "points_adjusted",
                        _ => "tier_credit_adjusted",
                    };
                    self.report.rows_used += 1;
                    *self.report.others.entry(kind).or_default() += 1;
                    Ok(Imported { fact, lines: (line, line) })
                }
                Err(message) => {
                    (self.report.left_out, self.report.rows_left_out) = (self.report.left_out + 1, self.report.rows_left_out + 1);
                    Err(ImportError::left_out(&self.file, (line, line), message))
                }
            });
        }
        self.ended = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const LOTS: &str = "kind = \"lots\"\nprogram = \"p\"\nsource = \"old\"\ncurrency = \"GBP\"\n[time]\nformat = \"%Y-%m-%d\"\nzone = \"UTC\"\n\
        [opening]\nat = \"2024-06-01T00:00:00Z\"\nmember = \"Who\"\npoints = \"Points\"\nexpires_at = \"Ends\"\ntier_credit = \"Spend\"\n\
        [[skip]]\ncolumn = \"Who\"\nempty = true\nreason = \"nobody\"\n";

    fn facts(mapping: &str, csv: &str) -> (Vec<Result<pb::Fact, String>>, Report) {
        let mapping = OpeningMapping::parse(mapping).expect("valid");
        let mut file = Opening::read("x.csv", Cursor::new(csv.as_bytes().to_vec()), &mapping).expect("opens");
        let facts = file.by_ref().map(|fact| fact.map(|imported| imported.fact).map_err(|error| error.to_string())).collect();
        (facts, file.report().clone())
    }

    #[test]
    fn lots_of_members() {
        assert!(OpeningMapping::is_one(LOTS) && !OpeningMapping::is_one("program = \"p\""));
        let csv = "Who,Points,Ends,Spend\nc7,120,2025-01-31,\nc7,30,,12.50\n,5,,\nc8,0,,99.00\nc9,-5,,\nc9,7,tomorrow,\n";
        let (facts, report) = facts(LOTS, csv);
        let ids: Vec<&str> = facts.iter().flatten().map(|fact| fact.id.as_str()).collect();
        assert_eq!(ids, ["opening:c7:1", "opening:c7:2", "opening:c8:1"]);
        let Some(Ok(pb::Fact { body: Some(pb::fact::Body::PointsImported(second)), .. })) = facts.get(1) else {
            panic!("{facts:?}");
        };
        assert_eq!((second.lots[0].points, second.lots[0].expires_at, second.tier_credit), (30, None, 1_250));
        assert!(
            matches!(&facts[2], Ok(fact) if matches!(&fact.body, Some(pb::fact::Body::TierCreditAdjusted(of)) if of.amount == 9_900))
        );
        let errors: Vec<&String> = facts.iter().filter_map(|fact| fact.as_ref().err()).collect();
        assert!(errors[0].contains("line 6") && errors[0].contains("not a lot"), "{errors:?}");
        assert!(errors[1].contains("column \"Ends\"") && errors[1].contains("tomorrow"), "{errors:?}");
        assert_eq!((report.rows, report.rows_used, report.left_out, report.skipped[0].rows), (6, 3, 2, 1));
        assert_eq!(report.facts(), [("points_imported", 2), ("tier_credit_adjusted", 1)]);
    }

    #[test]
    fn history_comes_and_goes() {
        let mapping = LOTS.replace("lots", "history").replace("at = \"2024-06-01T00:00:00Z\"", "date = \"Day\"\nid = \"No\"");
        let (facts, _) = facts(&mapping, "No,Day,Who,Points,Ends,Spend\n1,2023-02-01,c7,50,2024-02-01,\n2,2023-03-01,c7,-20,,\n");
        let facts: Vec<pb::Fact> = facts.into_iter().map(|fact| fact.expect("a fact")).collect();
        assert_eq!((facts[0].id.as_str(), facts[1].id.as_str()), ("opening:1", "opening:2"));
        assert!(matches!(&facts[1].body, Some(pb::fact::Body::RedemptionRecorded(of)) if of.points == Some(20)));
        assert_eq!(facts[1].occurred_at.as_ref().map(|at| at.seconds), Some(1_677_628_800));
    }

    #[test]
    fn what_cannot_be_meant() {
        for (from, to, line, message) in [
            ("kind = \"lots\"", "kind = \"lot\"", 1, "unknown variant"),
            ("at = \"2024-06-01T00:00:00Z\"\n", "", 8, "say when members move"),
            ("kind = \"lots\"", "kind = \"history\"", 8, "column of its dates"),
            ("currency = \"GBP\"\n", "", 1, "tier credit is money"),
            ("points = \"Points\"", "poinst = \"Points\"", 10, "did you mean `points`?"),
        ] {
            let error = OpeningMapping::parse(&LOTS.replacen(from, to, 1)).expect_err(to);
            assert!(error.message.contains(message), "{error}");
            assert!(error.line >= line.min(1), "{error}");
        }
    }
}
