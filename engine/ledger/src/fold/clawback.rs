//! Taking back what an order no longer gives (§4): its own pending points, its own active ones, others, debt.
//!
//! An order of two lots, one spent: after a refund of half, what is left of its lots pays first, other lots next, the rest is owed.

use super::lots::parts;
use super::{Draft, Fold, Source};
use crate::Instant;
use crate::account::{Account, Allocation, Lot, RuleIndex};
use crate::entry::{EntryKind, Sink, Why};
use crate::ruleset::{Clawback, OrderOfLots, Ruleset, SpendOrder};

/// What a rule no longer gives.
pub(super) struct Loss<'r> {
    /// What gave the points.
    pub rules: &'r Ruleset,
    /// What is in force at the fact's instant: its policies take the points.
    pub now: &'r Ruleset,
    /// The rule in `rules`.
    pub index: usize,
    /// Points > 0 that it gave and gives no more.
    pub points: i64,
    /// Of these: points that were given up already.
    pub gone: i64,
    /// Why.
    pub why: Why,
}

impl<S: Sink> Fold<'_, S> {
    /// `of`: whose points they are, an order's or a friend's. Returns what was taken while pending.
    pub(super) fn claw_back(&mut self, of: Source<'_>, loss: Loss<'_>, source: Source<'_>, at: Instant) -> Vec<Allocation> {
        let Loss { rules, now, index, points: due, gone, why } = loss;
        let ledger = rules.earn[index].ledger.as_str();
        let (rule, ruleset) = (Some(index as u16), rules.tag());
        let account = self.member.account_mut(ledger);
        account.sums.clawback_due += due;
        let own = |lot: &Lot| is_of(lot, of);
        let pending = take_pending(account, own, rule, due - gone, now.spend_order);
        let cancelled = sum(&pending);
        account.sums.pending -= cancelled;
        account.sums.cancelled += cancelled;
        let mut rest = due - gone - cancelled;
        let mut active = Vec::new();
        if now.refund.clawback != Clawback::PendingOnly {
            if now.refund.order_of_lots == OrderOfLots::OriginatingFirst {
                active = take_own_active(account, own, rule, rest, now.spend_order);
                rest -= sum(&active);
            }
            if rest > 0 {
                let others = self.take_active(ledger, rest, now);
                rest -= sum(&others);
                active.extend(others);
            }
        }
        let clawed = sum(&active);
        self.member.account_mut(ledger).sums.clawed_back += clawed;
        for (kind, taken) in [(EntryKind::Cancelled, &pending), (EntryKind::ClawedBack, &active)] {
            let points = -sum(taken);
            if points != 0 {
                let (lots, why) = (parts(taken, -1), why.clone());
                self.entry(Draft { kind, at, ledger, points, source, ruleset, rule, lots: &lots, why });
            }
        }
        if rest > 0 && now.refund.clawback == Clawback::Debt {
            self.member.account_mut(ledger).sums.clawback_debt += rest;
            self.owe(ledger, rest, source, rule, ruleset, at);
        } else {
            self.member.account_mut(ledger).sums.forgiven += rest;
        }
        pending
    }
}

fn sum(taken: &[Allocation]) -> i64 {
    taken.iter().map(|part| part.points).sum()
}

/// Whether a lot is the order's (or the friend's): one that it opened, or one beside it that a reversal had to open. Those of an
/// achievement that the order completed are not: they have no rule.
fn is_of(lot: &Lot, of: Source<'_>) -> bool {
    lot.source_kind == of.kind && lot.source == *of.id && lot.rule.get().is_some()
}

/// From the own pending lots: those of the rule first, each in spend order. Sums are the caller's.
pub(super) fn take_pending(
    account: &mut Account,
    own: impl Fn(&Lot) -> bool,
    rule: Option<u16>,
    due: i64,
    used: SpendOrder,
) -> Vec<Allocation> {
    if account.pending.is_empty() {
        return Vec::new();
    }
    let rule = RuleIndex::from(rule);
    let mut indexes: Vec<usize> = (0..account.pending.len()).filter(|&index| own(&account.pending[index])).collect();
    indexes.sort_by(|&a, &b| {
        let (a, b) = (&account.pending[a], &account.pending[b]);
        (a.rule != rule).cmp(&(b.rule != rule)).then_with(|| a.used_cmp(b, used))
    });
    let taken = take_at(&mut account.pending, &indexes, due);
    if !taken.is_empty() {
        account.pending.retain(|lot| lot.left > 0);
    }
    taken
}

/// From the own active lots: those of the rule first, each in spend order. What they have is less; what the points are used for is
/// the caller's.
pub(super) fn take_own_active(
    account: &mut Account,
    own: impl Fn(&Lot) -> bool,
    rule: Option<u16>,
    due: i64,
    used: SpendOrder,
) -> Vec<Allocation> {
    if due == 0 {
        return Vec::new();
    }
    let rule = RuleIndex::from(rule);
    let mut indexes: Vec<usize> = (0..account.active.len()).filter(|&index| own(&account.active[index])).collect();
    indexes.sort_by(|&a, &b| {
        let (a, b) = (&account.active[a], &account.active[b]);
        (a.rule != rule).cmp(&(b.rule != rule)).then_with(|| a.used_cmp(b, used))
    });
    let taken = take_at(&mut account.active, &indexes, due);
    account.sums.active -= sum(&taken);
    account.sweep();
    taken
}

fn take_at(lots: &mut std::collections::VecDeque<crate::Lot>, indexes: &[usize], mut due: i64) -> Vec<Allocation> {
    let mut taken = Vec::new();
    for &index in indexes {
        let lot = &mut lots[index];
        let points = lot.left.min(due);
        if points > 0 {
            lot.left -= points;
            due -= points;
            taken.push(Allocation::of(lot, points));
        }
    }
    taken
}
