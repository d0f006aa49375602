//! Sums of a program's entries by ledger and local day, kept in memory: they grow with days, not with members.

use crate::rows::DayRow;
use accrue_ledger::calendar::day_number;
use accrue_ledger::{EntryRef, Ruleset, Text};

/// All totals of a shard.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    programs: Vec<ProgramTotals>,
}

#[derive(Clone, Debug, Default)]
struct ProgramTotals {
    program: Box<str>,
    ledgers: Vec<(Text, Days)>,
}

impl Totals {
    /// Adds (`sign` 1) or takes away (−1) an entry.
    pub fn add(&mut self, program: &str, rules: &Ruleset, entry: &EntryRef<'_>, sign: i64) {
        if !entry.kind.moves_points() {
            return;
        }
        let totals = self.program_mut(program);
        totals.ledger_mut(entry.ledger).row_mut(day_number(entry.at, &rules.zone)).add(entry, sign);
    }

    /// Sets what a row of the view says.
    pub fn set(&mut self, program: &str, ledger: &str, day: i32, row: DayRow) {
        *self.program_mut(program).ledger_mut(ledger).row_mut(day) = row;
    }

    /// Adds all sums of another.
    pub fn merge(&mut self, other: &Totals) {
        for (program, ledger, day, more) in other.iter() {
            let row = self.program_mut(program).ledger_mut(ledger).row_mut(day);
            row.points.iter_mut().zip(more.points).for_each(|(sum, points)| *sum += points);
            row.entries += more.entries;
        }
    }

    /// Every sum: program, ledger, day.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, i32, &DayRow)> {
        self.programs.iter().flat_map(|program| {
            let ledgers = program.ledgers.iter();
            ledgers.flat_map(move |(ledger, days)| {
                days.rows.iter().map(move |(day, row)| (&*program.program, ledger.as_str(), *day, row))
            })
        })
    }

    fn program_mut(&mut self, program: &str) -> &mut ProgramTotals {
        let index = self.programs.iter().position(|known| *known.program == *program).unwrap_or_else(|| {
            self.programs.push(ProgramTotals { program: program.into(), ledgers: Vec::new() });
            self.programs.len() - 1
        });
        &mut self.programs[index]
    }
}

/// Sums of a ledger in order of days: nearly everything is about the last one.
#[derive(Clone, Debug, Default)]
struct Days {
    rows: Vec<(i32, DayRow)>,
}

impl Days {
    fn row_mut(&mut self, day: i32) -> &mut DayRow {
        let place = match self.rows.last() {
            Some((last, _)) if *last == day => self.rows.len() - 1,
            _ => self.rows.binary_search_by_key(&day, |(known, _)| *known).unwrap_or_else(|place| {
                self.rows.insert(place, (day, DayRow::default()));
                place
            }),
        };
        &mut self.rows[place].1
    }
}

impl ProgramTotals {
    fn ledger_mut(&mut self, ledger: &str) -> &mut Days {
        let index = self.ledgers.iter().position(|(known, _)| *known == *ledger).unwrap_or_else(|| {
            self.ledgers.push((Text::new(ledger), Days::default()));
            self.ledgers.len() - 1
        });
        &mut self.ledgers[index].1
    }
}
