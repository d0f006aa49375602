//! Rows gathered into orders and refunds: they are whole once no more of their rows can come.

use super::mapping::Differs;
use super::row::Common;
use super::row::{Row, RowLine, Whole};
use accrue_ledger::Instant;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// An order or a refund, from its rows.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) whole: Whole,
    /// First and last line in the file, from 1.
    pub(super) lines: (u64, u64),
    pub(super) rows: u64,
    /// Number of its last row, for knowing when it is whole.
    last_row: u64,
    pub(super) at: Instant,
    pub(super) common: Common,
    pub(super) content: Vec<RowLine>,
    /// What keeps it out, and the line.
    pub(super) wrong: Option<(u64, String)>,
}

/// What is still open.
pub(super) struct Groups {
    rows_apart: u64,
    differs: Differs,
    open: BTreeMap<Whole, Group>,
    by_last_row: BTreeMap<u64, Whole>,
    /// Hashes of all that were closed: 8 bytes each, so that one that comes back is noticed.
    closed: BTreeSet<u64>,
}

/// An order came back after it was taken as whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CameBack;

impl Groups {
    pub(super) fn new(rows_apart: u64, differs: Differs) -> Self {
        Groups { rows_apart, differs, open: BTreeMap::new(), by_last_row: BTreeMap::new(), closed: BTreeSet::new() }
    }

    /// Adds a row, or what is wrong with it.
    pub(super) fn add(&mut self, whole: Whole, row: Result<Row, String>, number: u64, line: u64) -> Result<(), CameBack> {
        if self.closed.contains(&hash(&whole)) {
            return Err(CameBack);
        }
        if let Some(group) = self.open.get_mut(&whole) {
            self.by_last_row.remove(&group.last_row);
            (group.last_row, group.lines.1, group.rows) = (number, line, group.rows + 1);
            if let Err(wrong) = row.and_then(|row| group.take(row, self.differs)) {
                group.wrong.get_or_insert((line, wrong));
            }
        } else {
            self.open.insert(whole.clone(), Group::new(whole.clone(), row, number, line));
        }
        self.by_last_row.insert(number, whole);
        Ok(())
    }

    /// One that is whole when the file is at row `number`, the one that ended first.
    pub(super) fn close_before(&mut self, number: u64) -> Option<Group> {
        let (last, _) = self.by_last_row.first_key_value()?;
        if last.saturating_add(self.rows_apart) >= number {
            return None;
        }
        self.close_first()
    }

    /// At the end of the file.
    pub(super) fn close_first(&mut self) -> Option<Group> {
        let (_, whole) = self.by_last_row.pop_first()?;
        self.closed.insert(hash(&whole));
        self.open.remove(&whole)
    }
}

fn hash(whole: &Whole) -> u64 {
    xxh3_64(whole.id.as_bytes()) ^ u64::from(whole.refund)
}

impl Group {
    fn new(whole: Whole, row: Result<Row, String>, number: u64, line: u64) -> Group {
        let (at, common, content, wrong) = match row {
            Ok(row) => (row.at, row.common, vec![row.line], None),
            Err(wrong) => (Instant::MIN, Common::default(), Vec::new(), Some((line, wrong))),
        };
        Group { whole, lines: (line, line), rows: 1, last_row: number, at, common, content, wrong }
    }

    fn take(&mut self, row: Row, differs: Differs) -> Result<(), String> {
        if self.wrong.is_some() {
            return Ok(());
        }
        if row.at != self.at {
            self.at = match differs {
                Differs::Earliest => self.at.min(row.at),
                Differs::Latest => self.at.max(row.at),
                Differs::Error => {
                    return Err(format!(
                        "rows of one order have more than one time, {} and {}; set time.rows_differ = \"earliest\" or \"latest\"",
                        self.at, row.at
                    ));
                }
            };
        }
        self.common.merge(row.common)?;
        self.content.push(row.line);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64, member: &str) -> Result<Row, String> {
        let common = Common { member: member.to_owned(), ..Common::default() };
        Ok(Row { at: Instant(at), common, line: RowLine::default() })
    }

    fn whole(id: &str) -> Whole {
        Whole { refund: false, id: id.to_owned() }
    }

    /// Adds rows of these orders one after the other; the ids in the order in which they are whole.
    fn closing(rows_apart: u64, ids: &str) -> Result<String, CameBack> {
        let mut groups = Groups::new(rows_apart, Differs::Error);
        let mut closed = String::new();
        for (number, id) in (1..).zip(ids.chars()) {
            while let Some(group) = groups.close_before(number) {
                closed.push_str(&group.whole.id);
            }
            groups.add(whole(&id.to_string()), row(0, "m"), number, number + 1)?;
        }
        closed.push('|');
        while let Some(group) = groups.close_first() {
            closed.push_str(&format!("{}{}", group.whole.id, group.rows));
        }
        Ok(closed)
    }

    #[test]
    fn an_order_is_whole_when_no_more_rows_can_come() {
        assert_eq!(closing(1, "aabbbc").as_deref(), Ok("a|b3c1"));
        assert_eq!(closing(2, "aabab"), Ok("|a3b2".to_owned()));
        assert_eq!(closing(1, "aabbac"), Err(CameBack));
        assert_eq!(closing(u64::MAX, "abcabc").as_deref(), Ok("|a2b2c2"));
    }

    #[test]
    fn rows_must_agree() {
        let merged = |differs, other: Result<Row, String>| {
            let mut groups = Groups::new(1, differs);
            groups.add(whole("a"), row(20, "m"), 1, 2).expect("new");
            groups.add(whole("a"), other, 2, 3).expect("open");
            let group = groups.close_first().expect("there");
            group.wrong.map_or(Ok(group.at.0), Err)
        };
        assert_eq!(merged(Differs::Earliest, row(10, "m")), Ok(10));
        assert_eq!(merged(Differs::Latest, row(10, "m")), Ok(20));
        let (line, message) = merged(Differs::Error, row(10, "m")).expect_err("differs");
        assert!(line == 3 && message.contains("time.rows_differ"), "{message}");
        let (_, message) = merged(Differs::Error, row(20, "n")).expect_err("differs");
        assert!(message.contains("\"m\" and \"n\""), "{message}");
        assert_eq!(merged(Differs::Error, Err("bad".to_owned())), Err((3, "bad".to_owned())));
    }
}
