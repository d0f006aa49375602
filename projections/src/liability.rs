//! What a program owes its members, as accountants roll it forward: what it was, what came, what went, what it is.
//!
//! Every entry that changes points is in exactly one column, and the columns of a ledger add up to its lots, to the point:
//! `earned + imported + restored + transferred_in + adjusted + spent + expired + cancelled + clawed_back + debt_repaid +
//! transferred_out = pending + active`, signs as in entries; `debt_opened + debt_repaid = debt`.

mod check;
mod lots;
mod vintage;

pub use check::differing_flows;
pub use lots::{LotLife, Move, lots_of, moves_lots};
pub use vintage::{Aged, VintageKey};

use crate::folded::Folded;
use crate::rows::DayRow;
use accrue_ledger::calendar::{day_number, month_number};
use accrue_ledger::{Entry, EntryKind, Timeline};
use std::collections::BTreeMap;

/// Columns of the roll-forward that change what members have, in the order in which they are shown; each is one kind of entry.
pub const FLOWS: [EntryKind; 11] = [
    EntryKind::Earned,
    EntryKind::Imported,
    EntryKind::Restored,
    EntryKind::TransferredIn,
    EntryKind::Adjusted,
    EntryKind::Spent,
    EntryKind::Expired,
    EntryKind::Cancelled,
    EntryKind::ClawedBack,
    EntryKind::DebtRepaid,
    EntryKind::TransferredOut,
];

/// Members' sums found broken that are named.
const BROKEN_NAMED: usize = 20;

/// What is left in lots of a ledger, and owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// In lots that are spendable.
    pub active: i64,
    /// In lots that are not yet.
    pub pending: i64,
    /// Owed.
    pub debt: i64,
}

/// The flows of a program, by ledger and local day, and its vintages by ledger and local month.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// By ledger and number of the local day.
    pub days: BTreeMap<(String, i32), DayRow>,
    /// By ledger, month and age; empty where nobody asked.
    pub vintages: BTreeMap<VintageKey, Aged>,
    /// What lots and debts hold in the end, by ledger.
    pub standing: BTreeMap<String, Standing>,
    /// Members.
    pub members: u64,
    /// Members whose columns are not what their lots hold: there must be none.
    pub broken: Vec<String>,
}

impl DayRow {
    /// Signed points of a kind.
    pub fn of(&self, kind: EntryKind) -> i64 {
        kind.sum_index().and_then(|index| self.points.get(index)).copied().unwrap_or(0)
    }

    /// By how much it changes what members have.
    pub fn outstanding(&self) -> i64 {
        FLOWS.iter().map(|kind| self.of(*kind)).sum()
    }

    /// By how much it changes what they owe.
    pub fn debt(&self) -> i64 {
        self.of(EntryKind::DebtOpened) + self.of(EntryKind::DebtRepaid)
    }

    /// Adds another.
    pub fn merge(&mut self, other: &DayRow) {
        self.points.iter_mut().zip(other.points).for_each(|(sum, more)| *sum += more);
        self.entries += other.entries;
    }
}

impl Flows {
    /// Adds a member; `aged`: its lots by vintage as well.
    pub fn member(&mut self, folded: &Folded<'_>, aged: bool) {
        self.members += 1;
        let days: Vec<i32> = folded.entries.iter().map(|entry| local_day(folded.rules, entry)).collect();
        let mut sums: BTreeMap<&str, DayRow> = BTreeMap::new();
        for (entry, day) in folded.entries.iter().zip(&days).filter(|(entry, _)| entry.kind.moves_points()) {
            add(self.days.entry((entry.ledger.to_string(), *day)).or_default(), entry);
            add(sums.entry(&entry.ledger).or_default(), entry);
        }
        let mut left = BTreeMap::new();
        if aged {
            let months: Vec<i32> = days.iter().map(|day| month_number(*day)).collect();
            let (lots, moves) = lots_of(folded.entries);
            vintage::add_moves(&mut self.vintages, folded.entries, &months, &lots, &moves);
            lots.iter().for_each(|lot| *left.entry(lot.ledger.to_string()).or_insert(0) += lot.left);
        }
        for account in &folded.state.accounts {
            let lots = |lots: &std::collections::VecDeque<accrue_ledger::Lot>| lots.iter().map(|lot| lot.left).sum::<i64>();
            let (active, pending, debt) = (lots(&account.active), lots(&account.pending), account.debt());
            let standing = self.standing.entry(account.ledger.to_string()).or_default();
            standing.active += active;
            standing.pending += pending;
            standing.debt += debt;
            let sum = sums.get(account.ledger.as_str()).copied().unwrap_or_default();
            let by_vintage = left.get(account.ledger.as_str()).copied().unwrap_or(0);
            let holds = sum.outstanding() == active + pending && sum.debt() == debt && (!aged || by_vintage == active + pending);
            if !holds && self.broken.len() < BROKEN_NAMED {
                let (member, ledger) = (folded.member, &account.ledger);
                let (outstanding, owed) = (sum.outstanding(), sum.debt());
                self.broken.push(format!(
                    "{member}, {ledger}: entries come to {outstanding} and {owed} owed, lots to {active} + {pending} and {debt} owed, vintages to {by_vintage}"
                ));
            }
        }
    }

    /// Adds those of other members.
    pub fn merge(&mut self, other: Flows) {
        self.members += other.members;
        other.days.into_iter().for_each(|(key, row)| self.days.entry(key).or_default().merge(&row));
        other.vintages.into_iter().for_each(|(key, aged)| self.vintages.entry(key).or_default().add(&aged));
        for (ledger, more) in other.standing {
            let standing = self.standing.entry(ledger).or_default();
            standing.active += more.active;
            standing.pending += more.pending;
            standing.debt += more.debt;
        }
        self.broken.extend(other.broken);
        self.broken.truncate(BROKEN_NAMED);
    }
}

/// The number of the local day of an entry, in the zone of the rules in force then.
pub fn local_day(rules: &Timeline, entry: &Entry) -> i32 {
    rules.at(entry.at).map_or(0, |rules| day_number(entry.at, &rules.zone))
}

fn add(row: &mut DayRow, entry: &Entry) {
    if let Some(sum) = entry.kind.sum_index().and_then(|index| row.points.get_mut(index)) {
        *sum += entry.points;
        row.entries += 1;
    }
}
