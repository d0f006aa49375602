//! Lots: opened, taken from in spend order, ended; debt repaid (§2, §4, §5).

use super::life::Life;
use super::rules::Clawback;
use super::state::State;
use anyhow::Result;
use std::cmp::Reverse;

/// Points that came from one source together. `amount` is always the sum of `left` and everything below it.
#[derive(Clone, Debug, Default)]
pub struct Lot {
    /// Where.
    pub ledger: String,
    /// The order it belongs to.
    pub order: Option<String>,
    /// The rule's place in the ruleset; 0 where there is none.
    pub rule: usize,
    /// When its source happened: the order, whichever version opened the lot.
    pub source_at: i64,
    /// When its points were earned.
    pub earned_at: i64,
    /// The number of the source's kind.
    pub kind: u32,
    /// The natural id of the source.
    pub natural: String,
    /// How many lots source and rule had opened before.
    pub opening: usize,
    /// When it was opened: no boundary of it comes earlier.
    pub opened_at: i64,
    /// When it becomes spendable; `None`: with the fulfilment.
    pub starts: Option<i64>,
    /// When it ends; `None`: never.
    pub expires: Option<i64>,
    /// When it is cancelled unless it was fulfilled.
    pub cancel_at: Option<i64>,
    /// Spendable, as long as anything is left.
    pub active: bool,
    /// All of it.
    pub amount: i64,
    /// Pending or active.
    pub left: i64,
    /// Paid for redemptions.
    pub spent: i64,
    /// Ended.
    pub expired: i64,
    /// Clawed back while pending, or never fulfilled.
    pub cancelled: i64,
    /// Clawed back while active.
    pub clawed_back: i64,
    /// Repaid debt.
    pub repaid: i64,
    /// Taken by negative adjustments.
    pub deducted: i64,
    /// Taken to another ledger.
    pub moved: i64,
    /// It came from another ledger or member, and was earned there.
    pub came_over: bool,
    /// Of `cancelled`: never fulfilled, and not yet counted toward a refund.
    pub lapsed: i64,
}

/// Points owed.
#[derive(Clone, Debug)]
pub struct Debt {
    /// Where.
    pub ledger: String,
    /// The redemption that opened it, if one did.
    pub redemption: Option<String>,
    /// Not repaid yet.
    pub open: i64,
}

/// In the place of a rule's number where an achievement gave: before all rules.
pub const NO_RULE: usize = usize::MAX;

/// Where a lot comes from, and how much it is.
pub struct Opening<'a> {
    /// Where.
    pub ledger: &'a str,
    /// The order it belongs to.
    pub order: Option<&'a str>,
    /// See [`Lot::rule`].
    pub rule: usize,
    /// See [`Lot::kind`].
    pub kind: u32,
    /// See [`Lot::natural`].
    pub natural: &'a str,
    /// How many.
    pub points: i64,
    /// `earned`, `imported`, `adjusted`.
    pub entry: &'a str,
}

impl Lot {
    /// The same lot before anything was taken from it.
    pub fn as_new(&self) -> Lot {
        Lot { spent: 0, expired: 0, cancelled: 0, clawed_back: 0, repaid: 0, deducted: 0, moved: 0, lapsed: 0, ..self.clone() }
    }

    /// Something of it can be spent.
    pub fn is_spendable_in(&self, ledger: &str) -> bool {
        self.active && self.left > 0 && self.ledger == ledger
    }

    /// When it becomes spendable, if that is still to come.
    pub fn activation(&self) -> Option<i64> {
        if self.active || self.left == 0 { None } else { self.starts.map(|at| at.max(self.opened_at)) }
    }

    /// When it ends, if that is still to come.
    pub fn end(&self) -> Option<i64> {
        let waits = !self.active && self.starts.is_none();
        if self.left == 0 || waits { None } else { self.expires.map(|at| at.max(self.opened_at)) }
    }

    /// When it is cancelled for want of fulfilment, if that is still to come.
    pub fn lapse(&self) -> Option<i64> {
        let waits = !self.active && self.starts.is_none() && self.left > 0;
        if waits { self.cancel_at.map(|at| at.max(self.opened_at)) } else { None }
    }
}

impl State {
    /// The lots that `which` names, in spend order.
    pub fn in_spend_order(&self, which: impl Fn(&Lot) -> bool) -> Vec<usize> {
        let oldest_first = self.rules().oldest_first;
        let mut found: Vec<usize> = (0..self.lots.len()).filter(|&i| self.lots[i].left > 0 && which(&self.lots[i])).collect();
        found.sort_by_key(|&i| {
            let lot = &self.lots[i];
            let first = if oldest_first { lot.source_at } else { 0 };
            let expires = lot.expires.unwrap_or(i64::MAX);
            let starts = lot.starts.unwrap_or(i64::MAX);
            let rule = if lot.rule == NO_RULE { 0 } else { lot.rule + 1 };
            (first, expires, starts, lot.source_at, lot.kind, lot.natural.clone(), rule, lot.opening)
        });
        found
    }

    /// Opens a lot now. One that starts now or before is spendable at once and repays debt; one that would have
    /// ended by now ends at once without ever having been spendable.
    pub fn open_lot(&mut self, from: &Opening<'_>, starts: Option<i64>, expires: Option<i64>, cancel_at: Option<i64>) {
        self.use_ledger(from.ledger);
        let same = |lot: &&Lot| lot.kind == from.kind && lot.natural == from.natural && lot.rule == from.rule;
        let opening = self.lots.iter().filter(same).count();
        let active = starts.is_some_and(|at| at <= self.now) && expires.is_none_or(|at| at > self.now);
        self.lots.push(Lot {
            ledger: from.ledger.to_owned(),
            order: from.order.map(str::to_owned),
            rule: from.rule,
            source_at: from.order.and_then(|id| self.orders.get(id)).map_or(self.now, |order| order.at),
            earned_at: self.now,
            kind: from.kind,
            natural: from.natural.to_owned(),
            opening,
            opened_at: self.now,
            starts,
            expires,
            cancel_at,
            active,
            amount: from.points,
            left: from.points,
            ..Lot::default()
        });
        self.entry(from.entry, from.ledger, from.points);
        if starts.is_some()
            && expires.is_some_and(|at| at <= self.now)
            && let Some(lot) = self.lots.last_mut()
        {
            lot.left = 0;
            lot.expired = from.points;
            self.entry("expired", from.ledger, -from.points);
        }
        if cancel_at.is_some_and(|at| at <= self.now)
            && let Some(lot) = self.lots.last_mut()
        {
            lot.left = 0;
            lot.cancelled = from.points;
            lot.lapsed = from.points;
            self.entry("cancelled", from.ledger, -from.points);
        }
        self.repay_debt(from.ledger);
    }

    /// Start and end of points that a rule gives now; no start: with the fulfilment.
    pub fn life_from_now(&self, life: &Life, zone: &super::calendar::Zone) -> Result<(Option<i64>, Option<i64>)> {
        let starts = life.starts_at(zone, self.now)?;
        let expires = match starts {
            Some(starts) => life.ends_at(zone, self.now, starts)?,
            // Counted from earning, the end is known; it comes into force with the start.
            None if life.from_earning => life.ends_at(zone, self.now, self.now)?,
            None => None,
        };
        Ok((starts, expires))
    }

    /// Takes up to `points` from these lots, in their order: what was taken from which.
    pub fn take(&mut self, from: &[usize], points: i64, bucket: impl Fn(&mut Lot) -> &mut i64) -> Vec<(usize, i64)> {
        let mut taken = Vec::new();
        let mut wanted = points;
        for &i in from {
            let part = wanted.min(self.lots[i].left);
            if part > 0 {
                self.lots[i].left -= part;
                *bucket(&mut self.lots[i]) += part;
                taken.push((i, part));
                wanted -= part;
            }
        }
        taken
    }

    /// Repays debt of a ledger from what is active in it, the oldest debt first.
    pub fn repay_debt(&mut self, ledger: &str) {
        for d in 0..self.debts.len() {
            if self.debts[d].ledger != ledger || self.debts[d].open == 0 {
                continue;
            }
            let lots = self.in_spend_order(|lot| lot.ledger == ledger && lot.active);
            let taken = self.take(&lots, self.debts[d].open, |lot| &mut lot.repaid);
            let repaid = sum(&taken);
            self.debts[d].open -= repaid;
            if let Some(redemption) = self.debts[d].redemption.clone()
                && let Some(redemption) = self.redemptions.get_mut(&redemption)
            {
                redemption.allocation.extend(taken.iter().map(|&(lot, part)| (lot, part, true)));
            }
            self.entry("debt_repaid", ledger, -repaid);
        }
    }

    /// Owes points.
    pub fn open_debt(&mut self, ledger: &str, points: i64, redemption: Option<&str>) {
        if points > 0 {
            self.use_ledger(ledger);
            let redemption = redemption.map(str::to_owned);
            self.debts.push(Debt { ledger: ledger.to_owned(), redemption, open: points });
            self.entry("debt_opened", ledger, points);
        }
    }

    /// Takes back `loss` points that a rule of an order no longer gives (§4).
    pub fn claw_back(&mut self, order: &str, rule: usize, ledger: &str, loss: i64) {
        let rules = self.rules();
        self.totals.clawback_due += loss;
        let mut wanted = loss;
        // What was never fulfilled is gone already: it is not taken a second time.
        for lot in &mut self.lots {
            if lot.order.as_deref() == Some(order) && lot.rule == rule && lot.ledger == ledger {
                let part = wanted.min(lot.lapsed);
                lot.lapsed -= part;
                wanted -= part;
                self.totals.clawback_lapsed += part;
            }
        }
        let own = |state: &State, active: bool| {
            let mut lots =
                state.in_spend_order(|lot| lot.ledger == ledger && lot.order.as_deref() == Some(order) && lot.active == active);
            lots.sort_by_key(|&i| Reverse(state.lots[i].rule == rule));
            lots
        };
        let cancelled = sum(&self.take(&own(self, false), wanted, |lot| &mut lot.cancelled));
        wanted -= cancelled;
        self.entry("cancelled", ledger, -cancelled);
        if rules.clawback != Clawback::PendingOnly {
            let mut active = if rules.originating_first { own(self, true) } else { Vec::new() };
            let all = self.in_spend_order(|lot| lot.ledger == ledger && lot.active);
            active.extend(all.into_iter().filter(|i| !active.contains(i)).collect::<Vec<_>>());
            let clawed_back = sum(&self.take(&active, wanted, |lot| &mut lot.clawed_back));
            wanted -= clawed_back;
            self.entry("clawed_back", ledger, -clawed_back);
            self.totals.clawback_taken += clawed_back;
        }
        self.totals.clawback_taken += cancelled;
        if rules.clawback == Clawback::Debt {
            self.open_debt(ledger, wanted, None);
            self.totals.clawback_debt += wanted;
        } else {
            self.totals.clawback_forgiven += wanted;
        }
    }

    /// Everything that happens to lots at the boundary `now`, ledger by ledger.
    pub fn lots_at_boundary(&mut self) {
        let now = self.now;
        for ledger in self.ledgers.clone() {
            let run_out = self.is_run_out(&ledger);
            let ends = |lot: &Lot| lot.end().is_some_and(|at| at <= now) || (run_out && lot.active);
            for i in self.in_spend_order(|lot| lot.ledger == ledger && ends(lot)) {
                let ended = self.lots[i].left;
                self.lots[i].left = 0;
                self.lots[i].expired += ended;
                self.entry("expired", &ledger, -ended);
            }
            for i in self.in_spend_order(|lot| lot.ledger == ledger && lot.lapse().is_some_and(|at| at <= now)) {
                let lapsed = self.lots[i].left;
                self.lots[i].left = 0;
                self.lots[i].cancelled += lapsed;
                self.lots[i].lapsed += lapsed;
                self.entry("cancelled", &ledger, -lapsed);
            }
            for i in self.in_spend_order(|lot| lot.ledger == ledger && lot.activation().is_some_and(|at| at <= now)) {
                self.lots[i].active = true;
                self.entry("activated", &ledger, self.lots[i].left);
            }
            self.repay_debt(&ledger);
        }
    }

    /// Spendable points of a ledger.
    pub fn active(&self, ledger: &str) -> i64 {
        self.lots.iter().filter(|lot| lot.active && lot.ledger == ledger).map(|lot| lot.left).sum()
    }

    /// A ledger has lots or debt: ledgers take their turns in the order of first use.
    pub fn use_ledger(&mut self, ledger: &str) {
        if !self.ledgers.iter().any(|known| known == ledger) {
            self.ledgers.push(ledger.to_owned());
        }
    }
}

/// The points of an allocation.
pub fn sum(taken: &[(usize, i64)]) -> i64 {
    taken.iter().map(|(_, part)| part).sum()
}
