//! Sums of a program's entries by ledger and local day, kept in memory: they grow with days, not with members.

use crate::rows::DayRow;
use accrue_ledger::calendar::local_day;
use accrue_ledger::{EntryRef, Instant, Ruleset, Text};
use std::collections::BTreeMap;

/// All totals of a shard.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    programs: Vec<ProgramTotals>,
}

#[derive(Clone, Debug, Default)]
struct ProgramTotals {
    program: Box<str>,
    ledgers: Vec<(Text, BTreeMap<i32, DayRow>)>,
    /// The last local day that was asked for, its bounds, and the ruleset whose zone it is in.
    day: (i32, Instant, Instant, u64),
}

impl Totals {
    /// Adds (`sign` 1) or takes away (−1) an entry.
    pub fn add(&mut self, program: &str, rules: &Ruleset, entry: &EntryRef<'_>, sign: i64) {
        if !entry.kind.moves_points() {
            return;
        }
        let totals = self.program_mut(program);
        let (_, start, end, tag) = totals.day;
        if entry.at < start || entry.at >= end || tag != rules.tag() {
            let (number, start, end) = local_day(entry.at, &rules.zone);
            totals.day = (number, start, end, rules.tag());
        }
        let day = totals.day.0;
        totals.ledger_mut(entry.ledger).entry(day).or_default().add(entry, sign);
    }

    /// Sets what a row of the view says.
    pub fn set(&mut self, program: &str, ledger: &str, day: i32, row: DayRow) {
        self.program_mut(program).ledger_mut(ledger).insert(day, row);
    }

    /// Every sum: program, ledger, day.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, i32, &DayRow)> {
        self.programs.iter().flat_map(|program| {
            let ledgers = program.ledgers.iter();
            ledgers.flat_map(move |(ledger, days)| {
                days.iter()
                    .map(move |(day, row)| (&*program.program, ledger.as_str(), *day, row))
            })
        })
    }

    fn program_mut(&mut self, program: &str) -> &mut ProgramTotals {
        let index = self
            .programs
            .iter()
            .position(|known| *known.program == *program)
            .unwrap_or_else(|| {
                let day = (0, Instant::MAX, Instant::MIN, 0);
                self.programs.push(ProgramTotals {
                    program: program.into(),
                    ledgers: Vec::new(),
                    day,
                });
                self.programs.len() - 1
            });
        &mut self.programs[index]
    }
}

impl ProgramTotals {
    fn ledger_mut(&mut self, ledger: &str) -> &mut BTreeMap<i32, DayRow> {
        let index = self.ledgers.iter().position(|(known, _)| *known == *ledger).unwrap_or_else(|| {
            self.ledgers.push((Text::new(ledger), BTreeMap::new()));
            self.ledgers.len() - 1
        });
        &mut self.ledgers[index].1
    }
}
