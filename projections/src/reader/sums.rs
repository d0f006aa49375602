//! Sums over all members of a program.

use super::LedgerReader;
use crate::answer::TotalsRow;
use crate::error::ProjectionError;
use crate::rows::DayRow;
use crate::totals::Totals;
use accrue_ledger::{EntryRef, Fold, Instant, Member, Records, Sink, Sums, Timeline};
use std::collections::BTreeMap;

impl LedgerReader {
    /// Sums of entries by ledger and local day, what happens by itself up to `at` included.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn totals(&self, program: &str, at: Instant) -> Result<Vec<TotalsRow>, ProjectionError> {
        let rules = self.timeline(program).unwrap_or_default();
        let mut totals = self.shared.tiers.read().totals.clone();
        self.each_member(program, "", |_, mut state| {
            let mut virtual_entries = VirtualTotals { program, rules: &rules, totals: &mut totals };
            Fold::new(&mut state, &mut Records::complete(), &rules, &mut virtual_entries).advance(at);
            Ok(true)
        })?;
        // A day from which late facts took everything away again is like one without entries.
        let of_program = totals.iter().filter(|(known, _, _, row)| *known == program && **row != DayRow::default());
        Ok(of_program.map(|(_, ledger, day, row)| TotalsRow::of(ledger, day, row)).collect())
    }
}

struct VirtualTotals<'a> {
    program: &'a str,
    rules: &'a Timeline,
    totals: &'a mut Totals,
}

impl Sink for VirtualTotals<'_> {
    fn entry(&mut self, _: u32, entry: &EntryRef<'_>) {
        if let Some(rules) = self.rules.at(entry.at) {
            self.totals.add(self.program, rules, entry, 1);
        }
    }
}

/// Adds a member's numbers.
pub(super) fn add_sums(sums: &mut BTreeMap<String, Sums>, state: &Member) {
    for account in &state.accounts {
        add(sums.entry(account.ledger.to_string()).or_default(), &account.sums);
    }
}

pub(super) fn add(sum: &mut Sums, of: &Sums) {
    sum.pending += of.pending;
    sum.active += of.active;
    sum.debt += of.debt;
    sum.earned += of.earned;
    sum.spent += of.spent;
    sum.expired += of.expired;
    sum.cancelled += of.cancelled;
    sum.clawed_back += of.clawed_back;
    sum.repaid += of.repaid;
    sum.deducted += of.deducted;
    sum.moved_in += of.moved_in;
    sum.moved_out += of.moved_out;
    sum.added += of.added;
    sum.imported += of.imported;
    sum.debt_opened += of.debt_opened;
    sum.debt_lifted += of.debt_lifted;
    sum.repaid_back += of.repaid_back;
    sum.clawback_due += of.clawback_due;
    sum.forgiven += of.forgiven;
    sum.clawback_debt += of.clawback_debt;
}
