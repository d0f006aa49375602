//! Points by the month in which they came, and what became of them by age.

use super::lots::{LotLife, Move};
use accrue_ledger::{Entry, EntryKind};
use serde::Serialize;
use std::collections::BTreeMap;

/// A ledger, the month in which points came, and how many months later.
pub type VintageKey = (String, i32, i32);

/// What happened to points of a vintage in one month of their age. Signed as entries are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Aged {
    /// Points that came: of age 0.
    pub earned: i64,
    /// Spent, net of what came back.
    pub spent: i64,
    /// Ended.
    pub expired: i64,
    /// Taken back, pending and active.
    pub clawed_back: i64,
    /// Used to repay debt, taken by hand, gone to another ledger or member.
    pub other: i64,
}

impl Aged {
    /// Adds another.
    pub fn add(&mut self, other: &Aged) {
        self.earned += other.earned;
        self.spent += other.spent;
        self.expired += other.expired;
        self.clawed_back += other.clawed_back;
        self.other += other.other;
    }

    /// What is left after it.
    pub fn net(&self) -> i64 {
        self.earned + self.spent + self.expired + self.clawed_back + self.other
    }

    fn of(&mut self, kind: EntryKind) -> &mut i64 {
        match kind {
            EntryKind::Spent | EntryKind::Restored => &mut self.spent,
            EntryKind::Expired => &mut self.expired,
            EntryKind::Cancelled | EntryKind::ClawedBack => &mut self.clawed_back,
            _ => &mut self.other,
        }
    }
}

/// Adds all moves of a member. `months`: the local month of each entry.
pub fn add_moves(vintages: &mut BTreeMap<VintageKey, Aged>, entries: &[Entry], months: &[i32], lots: &[LotLife], moves: &[Move]) {
    // Lots are by number, and nearly always without a gap.
    let lot_of = |number: u32| {
        let place = lots.get(number as usize).filter(|lot| lot.number == number);
        place.or_else(|| lots.iter().find(|lot| lot.number == number))
    };
    for one in moves {
        let (Some(lot), Some(entry), Some(&month)) = (lot_of(one.lot), entries.get(one.entry), months.get(one.entry)) else {
            continue;
        };
        let born = months.get(lot.opened_by).copied().unwrap_or(month);
        let aged = vintages.entry((lot.ledger.to_string(), born, month - born)).or_default();
        *(if one.opens { &mut aged.earned } else { aged.of(entry.kind) }) += one.points;
    }
}
