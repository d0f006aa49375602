//! The points of one ledger of a member: lots, debts and sums.

use crate::ruleset::{Ruleset, SpendOrder};
use crate::{Instant, Text};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// One ledger of a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Its id.
    pub ledger: Text,
    /// What everything adds up to.
    pub sums: Sums,
    /// Spendable lots with points left, in the order of `[spend] order = "soonest_expiry"`.
    pub active: VecDeque<Lot>,
    /// Lots that are not spendable yet, by the instant at which that changes.
    pub pending: VecDeque<Lot>,
    /// What is owed, oldest first; paid ones only while a reversal may need them.
    pub debts: Vec<Debt>,
    /// When all active lots end for want of activity (§8); `None`: no clock is running.
    pub idle_at: Option<Instant>,
}

/// Sums of a ledger; all ≥ 0. §14.1: `earned + moved_in = pending + active + spent + expired + cancelled +
/// clawed_back + repaid + deducted + moved_out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// In pending lots.
    pub pending: i64,
    /// In active lots.
    pub active: i64,
    /// Owed.
    pub debt: i64,
    /// Ever credited.
    pub earned: i64,
    /// Paid by lots for redemptions, net of what was restored.
    pub spent: i64,
    /// Ended.
    pub expired: i64,
    /// Taken back while pending.
    pub cancelled: i64,
    /// Taken back while active.
    pub clawed_back: i64,
    /// Used to repay debt, net of what a reversal gave back.
    pub repaid: i64,
    /// Taken by negative adjustments.
    pub deducted: i64,
    /// Came from another ledger or member.
    pub moved_in: i64,
    /// Went to another ledger or member.
    pub moved_out: i64,
    /// Of what was credited: by positive adjustments.
    pub added: i64,
    /// Of what was credited: brought along from another system.
    pub imported: i64,
    /// Debt ever opened.
    pub debt_opened: i64,
    /// Debt lifted by reversals.
    pub debt_lifted: i64,
    /// Debt repayments undone by reversals: they were repaid once.
    pub repaid_back: i64,
    /// What refunds were due to take back.
    pub clawback_due: i64,
    /// What of it the ruleset forgave.
    pub forgiven: i64,
    /// What of it became debt.
    pub clawback_debt: i64,
}

/// Index of an earn rule in its ruleset, or none, in two bytes: members have many lots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleIndex(u16);

impl RuleIndex {
    /// The index.
    pub fn get(self) -> Option<u16> {
        self.0.checked_sub(1)
    }
}

impl From<Option<u16>> for RuleIndex {
    fn from(index: Option<u16>) -> RuleIndex {
        // Rules are few: see `EARN_RULES_MAX`.
        RuleIndex(index.map_or(0, |index| index.saturating_add(1)))
    }
}

/// Points of one rule and source with one start and one end.
#[derive(Clone, Debug, PartialEq)]
pub struct Lot {
    /// Its number within the member.
    pub number: u32,
    /// Kind of the source fact.
    pub source_kind: u8,
    /// Natural id of the source fact.
    pub source: Text,
    /// When that happened.
    pub occurred_at: Instant,
    /// The ruleset that gave it.
    pub ruleset: u64,
    /// The earn rule there.
    pub rule: RuleIndex,
    /// Waits for fulfilment: it neither starts nor ends before that.
    pub waits: bool,
    /// Spendable from; of a lot that waits, when it is given up.
    pub turns_at: Instant,
    /// Spendable to before this; `MAX`: never ends.
    pub expires_at: Instant,
    /// Points at the beginning.
    pub amount: i64,
    /// Points left, from 0 to `amount`.
    pub left: i64,
}

/// Something owed.
#[derive(Clone, Debug, PartialEq)]
pub struct Debt {
    /// Kind of the fact that opened it.
    pub source_kind: u8,
    /// Its natural id.
    pub source: Text,
    /// Still owed.
    pub open: i64,
    /// A redemption's debt remembers which lots paid: a reversal gives back to them.
    pub paid_by: Vec<Allocation>,
}

/// Points that a lot gave, and the lot as it is needed to give them back.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// The lot; its `left` says nothing here, and is its `amount`.
    pub lot: Lot,
    /// Points it gave that have not been given back.
    pub points: i64,
}

impl Allocation {
    /// `points` of a lot.
    pub(crate) fn of(lot: &Lot, points: i64) -> Allocation {
        Allocation { lot: Lot { left: lot.amount, ..lot.clone() }, points }
    }
}

impl Lot {
    /// Spendable from; `MAX`: it waits for fulfilment.
    pub fn starts_at(&self) -> Instant {
        if self.waits { Instant::MAX } else { self.turns_at }
    }

    /// When a pending lot changes: it starts, ends before it starts, or is given up.
    pub fn due(&self) -> Instant {
        if self.waits { self.turns_at } else { self.turns_at.min(self.expires_at) }
    }

    /// §5: the total order in which lots are used.
    pub fn spend_cmp(&self, other: &Lot) -> Ordering {
        (self.expires_at, self.starts_at()).cmp(&(other.expires_at, other.starts_at())).then_with(|| self.age_cmp(other))
    }

    fn age_cmp(&self, other: &Lot) -> Ordering {
        (self.occurred_at, self.source_kind).cmp(&(other.occurred_at, other.source_kind)).then_with(|| {
            self.source
                .as_str()
                .cmp(other.source.as_str())
                .then_with(|| (self.rule, self.number).cmp(&(other.rule, other.number)))
        })
    }

    /// The order in which lots are used under a policy.
    pub(crate) fn used_cmp(&self, other: &Lot, order: SpendOrder) -> Ordering {
        match order {
            SpendOrder::SoonestExpiry => self.spend_cmp(other),
            SpendOrder::Oldest => self.oldest_cmp(other),
        }
    }

    pub(crate) fn oldest_cmp(&self, other: &Lot) -> Ordering {
        self.occurred_at.cmp(&other.occurred_at).then_with(|| self.spend_cmp(other))
    }

    fn pending_cmp(&self, other: &Lot) -> Ordering {
        self.due().cmp(&other.due()).then_with(|| self.spend_cmp(other))
    }
}

impl Account {
    /// The next instant at which a lot changes by itself.
    pub fn next_boundary(&self) -> Instant {
        let ends = self.active.front().map_or(Instant::MAX, |lot| lot.expires_at);
        let starts = self.pending.front().map_or(Instant::MAX, Lot::due);
        ends.min(starts).min(self.idle_at.unwrap_or(Instant::MAX))
    }

    /// Adds a lot where it belongs: spendable at `at` or pending. Sums are the caller's.
    pub(crate) fn insert(&mut self, lot: Lot, active: bool) {
        let (lots, order): (_, fn(&Lot, &Lot) -> Ordering) =
            if active { (&mut self.active, Lot::spend_cmp) } else { (&mut self.pending, Lot::pending_cmp) };
        if lots.back().is_none_or(|last| order(last, &lot).is_lt()) {
            lots.push_back(lot);
        } else {
            let index = lots.partition_point(|known| order(known, &lot).is_lt());
            lots.insert(index, lot);
        }
    }

    /// Indexes of the active lots in the order in which `[spend] order` uses them.
    pub(crate) fn spend_order(&self, order: SpendOrder) -> impl Iterator<Item = usize> + use<> {
        let sorted = (order == SpendOrder::Oldest).then(|| {
            let mut indexes: Vec<usize> = (0..self.active.len()).collect();
            indexes.sort_by(|&a, &b| self.active[a].oldest_cmp(&self.active[b]));
            indexes
        });
        let count = if sorted.is_some() { 0 } else { self.active.len() };
        sorted.into_iter().flatten().chain(0..count)
    }

    /// Drops lots without points.
    pub(crate) fn sweep(&mut self) {
        // Spending empties from the front: don't walk all the rest.
        while self.active.front().is_some_and(|lot| lot.left == 0) {
            self.active.pop_front();
        }
        if self.active.iter().any(|lot| lot.left == 0) {
            self.active.retain(|lot| lot.left > 0);
        }
    }

    /// Owed, by the list of debts.
    pub fn debt(&self) -> i64 {
        self.debts.iter().map(|debt| debt.open).sum()
    }

    /// There is something to end for want of activity, and no clock is running.
    pub(crate) fn awaits_clock(&self) -> bool {
        self.idle_at.is_none() && !self.active.is_empty()
    }

    /// When its active lots end for want of activity under `rules`, those in force; `None`: they don't.
    pub fn idle_end(&self, rules: Option<&Ruleset>) -> Option<Instant> {
        self.idle_at.filter(|_| rules.is_some_and(|rules| rules.inactivity.is_some()))
    }

    /// What ends and when under `rules`, those in force; soonest first, by itself or for want of activity.
    pub fn expiring(&self, rules: Option<&Ruleset>) -> Vec<(Instant, i64)> {
        let mut ends: Vec<(Instant, i64)> = Vec::new();
        let idle_at = self.idle_end(rules).unwrap_or(Instant::MAX);
        let parts = self.active.iter().map(|lot| (lot.expires_at.min(idle_at), lot.left));
        for (end, left) in parts.filter(|(end, _)| *end != Instant::MAX) {
            match ends.last_mut() {
                Some((at, points)) if *at == end => *points += left,
                _ => ends.push((end, left)),
            }
        }
        ends
    }
}
