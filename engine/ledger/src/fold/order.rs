//! Orders: what they earn, and the settling of what an order is worth now against what it gave (§3, §4).
//!
//! Order A of 100.00 earns 100; version 2 of it with 150.00 earns 50 more; cancelled, all 150 are taken back.

use super::clawback::Loss;
use super::limit::{award_of, entitlement};
use super::lots::{NewLot, Told};
use super::refund::note_line;
use super::{Applied, Draft, Fold, Source};
use crate::entry::{EntryKind, Sink, Why};
use crate::expression::OrderInput;
use crate::fact::{Cause, Kind, OrderPlaced};
use crate::purchases::Purchases;
use crate::ratio::spread;
use crate::record::{Asked, Order, OrderLine, Placed, Record, RecordKey};
use crate::ruleset::{EarnRule, MAIN, On, Ruleset, Start};
use crate::worth::{self, Worth};
use crate::{CouponRef, Instant, Lot, Text, calendar};
use smallvec::SmallVec;
use std::sync::Arc;

impl<S: Sink> Fold<'_, S> {
    pub(super) fn order_placed(&mut self, placed: &OrderPlaced<'_>, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let key = RecordKey::order(placed.order_id);
        let mut order = self.take_order(key, placed.order_id);
        let known = order.placed.take();
        if known.as_ref().is_some_and(|known| known.version >= placed.version) {
            order.placed = known;
            self.records.put(key, Record::Order(order));
            return;
        }
        let captured = known.as_ref().and_then(|known| self.rules.by_tag(known.ruleset)).map(Arc::clone);
        let judging = captured.as_deref().unwrap_or(rules);
        let reopened = known.is_some() && order.cancelled;
        if known.is_none() {
            self.member.parked -= order.waiting;
            order.waiting = 0;
            self.take_waiting_refunds(&mut order, placed.currency, source, rules, at);
        }
        let mut next = known.unwrap_or_else(|| {
            self.member.orders += 1;
            let (first_order, excluded) = (self.member.orders == 1, self.member.excluded_from_earning(at));
            Placed { at, ruleset: rules.tag(), first_order, excluded, tier: self.tier_now(rules), ..Placed::default() }
        });
        fill(&mut next, placed, judging);
        if judging.asks_orders() {
            next.asked = Some(Box::new(ask(&next, placed, judging)));
        }
        order.placed = Some(next);
        order.cancelled &= !reopened;
        self.settle(&mut order, judging, rules, source, at);
        for code in placed.coupons.iter() {
            self.coupon_on_order(CouponRef::Code(code), &mut order, source, rules, at, false);
        }
        if order.cancelled {
            self.undo_all_tied(&order, source, rules, at);
        }
        self.records.put(key, Record::Order(order));
    }

    pub(super) fn order_fulfilled(&mut self, order_id: &str, source: Source<'_>, rules: &Ruleset, at: Instant) -> Applied {
        let key = RecordKey::order(order_id);
        let mut order = self.take_order(key, order_id);
        let first = order.fulfilled_at.is_none();
        order.fulfilled_at = order.fulfilled_at.or(Some(at));
        let parked = order.placed.is_none();
        if parked {
            self.park(&mut order, source, rules, at);
        } else if first {
            self.start_awaiting(&mut order, rules, at);
        }
        self.records.put(key, Record::Order(order));
        Applied { parked }
    }

    pub(super) fn order_cancelled(&mut self, order_id: &str, source: Source<'_>, rules: &Ruleset, at: Instant) -> Applied {
        let key = RecordKey::order(order_id);
        let mut order = self.take_order(key, order_id);
        order.cancelled = true;
        let parked = order.placed.is_none();
        if parked {
            self.park(&mut order, source, rules, at);
        } else {
            self.settle_captured(&mut order, rules, source, at);
        }
        self.undo_all_tied(&order, source, rules, at);
        self.records.put(key, Record::Order(order));
        Applied { parked }
    }

    /// Coupons used on a cancelled order are free again; then redemptions tied to it are reversed.
    fn undo_all_tied(&mut self, order: &Order, source: Source<'_>, rules: &Ruleset, at: Instant) {
        for tied in &order.tied {
            self.release(*tied, &order.order_id, source, rules, at);
        }
        for tied in &order.tied {
            self.undo_tied(*tied, &order.order_id, source, rules, at);
        }
    }

    fn undo_tied(&mut self, key: RecordKey, order_id: &str, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let Some(redemption) = self.take_redemption(key) else { return };
        let used = redemption.coupon.as_ref().is_some_and(|coupon| !coupon.used_by.is_empty());
        let (tied, left) = (redemption.order_id == *order_id, redemption.points - redemption.reversed);
        self.put_redemption(redemption);
        if tied && left > 0 && !used {
            self.reversal(key, left, Cause::System, false, source, rules, at);
        }
    }

    pub(super) fn take_order(&mut self, key: RecordKey, order_id: &str) -> Box<Order> {
        match self.records.take(key) {
            Some(Record::Order(order)) => order,
            _ => Box::new(Order { order_id: Text::new(order_id), ..Order::default() }),
        }
    }

    /// A fact waits for its order.
    pub(super) fn park(&mut self, order: &mut Order, source: Source<'_>, rules: &Ruleset, at: Instant) {
        order.waiting += 1;
        self.member.parked += 1;
        let why = Why::Trouble { code: Text::new("order_not_known_yet"), about: order.order_id.clone() };
        let (kind, ruleset) = (EntryKind::Parked, rules.tag());
        self.entry(Draft { kind, at, ledger: MAIN, points: 0, source, ruleset, rule: None, lots: &[], why });
    }

    /// Refunds that waited are noted on the order now that its currency is known.
    fn take_waiting_refunds(&mut self, order: &mut Order, currency: &str, source: Source<'_>, rules: &Ruleset, at: Instant) {
        for waiting in std::mem::take(&mut order.waiting_refunds) {
            if waiting.currency.is_empty() || waiting.currency == *currency {
                order.refunded_amount += waiting.amount;
                waiting.lines.into_iter().for_each(|line| note_line(&mut order.refunds, line));
            } else {
                let about = format!("refund of order {} in {}, not {currency}", order.order_id, waiting.currency);
                self.exception("refund_currency", &about, 0, source, rules, at);
            }
        }
    }

    pub(super) fn settle_captured(&mut self, order: &mut Order, rules: &Ruleset, source: Source<'_>, at: Instant) {
        let tag = order.placed.as_ref().map_or(0, |placed| placed.ruleset);
        let captured = self.rules.by_tag(tag).map(Arc::clone);
        self.settle(order, captured.as_deref().unwrap_or(rules), rules, source, at);
    }

    /// New entitlement minus old, rule by rule: a gain opens a lot, a loss is clawed back. `rules`: what the order captured;
    /// `now`: what is in force at the fact's instant, whose policies take points and repay debt.
    fn settle(&mut self, order: &mut Order, rules: &Ruleset, now: &Ruleset, source: Source<'_>, at: Instant) {
        let Some(mut placed) = order.placed.take() else { return };
        let worths: SmallVec<[Worth; 4]> = worth::worths(order, &placed, rules).collect();
        if placed.awards.is_empty() {
            placed.awards.reserve_exact(worths.iter().filter(|worth| worth.points > 0).count());
        }
        for (index, mut worth) in worths.into_iter().enumerate() {
            if rules.earn[index].limit.is_some() {
                worth = self.within_limit(index, worth, &mut placed.awards, rules, source, at);
            }
            let award = placed.awards.iter().position(|award| award.rule == index as u16);
            let before = award.map_or(0, |award| placed.awards[award].points);
            if worth.points == before {
                continue;
            }
            let award = award.unwrap_or_else(|| award_of(&mut placed.awards, index));
            placed.awards[award].points = worth.points;
            if worth.points > before {
                let lot = self.gain(order, &placed, rules, now, index, worth, before, source, at);
                let waits = matches!(rules.earn[index].start, Start::Fulfilled { .. }) && order.fulfilled_at.is_none();
                placed.awards[award].lots.extend(lot);
                placed.awards[award].waiting += if waits { worth.points - before } else { 0 };
            } else {
                // What was given up is gone already: it is not taken a second time.
                let gone = if given_up(&rules.earn[index], order, &placed, rules, at) { placed.awards[award].waiting } else { 0 };
                let gone = gone.min(before - worth.points);
                placed.awards[award].waiting -= gone;
                let Worth { eligible, points: after, tier, .. } = worth;
                let (starts_at, expires_at) = (Instant::MIN, Instant::MAX);
                let why = Why::Entitlement { eligible, before, after, tier, starts_at, expires_at };
                let loss = Loss { rules, now, index, points: before - after, gone, why };
                let of = Source { kind: Kind::OrderPlaced as u8, id: &order.order_id };
                let cancelled = self.claw_back(of, loss, source, at);
                for part in cancelled.iter().filter(|part| part.lot.waits) {
                    let of_lot = placed.awards.iter_mut().find(|award| award.lots.contains(&part.lot.number));
                    of_lot.into_iter().for_each(|award| award.waiting -= part.points);
                }
            }
        }
        let counted = rules
            .factor(&placed.currency)
            .map_or(0, |factor| factor.apply(worth::eligible(order, &placed, rules), crate::Rounding::Floor));
        self.member.eligible_spend += counted - placed.counted;
        if !rules.achievements.is_empty() {
            self.order_achieves(&placed, counted, rules, now, source, at);
        }
        placed.counted = counted;
        self.tier_order(order, &mut placed, rules, at);
        let purchases = Purchases::of(order, &placed, rules);
        self.member.purchases.replace(&placed.bought.counted, &purchases);
        placed.bought.counted = purchases;
        if placed.first_order {
            self.referral_ordered(order, &placed, rules, at);
        }
        order.placed = Some(placed);
    }

    #[expect(clippy::too_many_arguments, reason = "one award is all of these")]
    fn gain(
        &mut self,
        order: &Order,
        placed: &Placed,
        rules: &Ruleset,
        now: &Ruleset,
        index: usize,
        worth: Worth,
        before: i64,
        source: Source<'_>,
        at: Instant,
    ) -> Option<u32> {
        let rule = &rules.earn[index];
        let (starts_at, cancel_at) = order_start(rule, order, placed, rules, at);
        let expires_at = if starts_at == Instant::MAX && !rule.life.from_earn {
            Instant::MAX
        } else {
            rules.expires_at(&rule.life, at, starts_at)
        };
        let why = entitlement(rule, worth, before, starts_at, expires_at);
        let new = NewLot {
            ledger: &rule.ledger,
            source: Source { kind: Kind::OrderPlaced as u8, id: &order.order_id },
            occurred_at: placed.at,
            ruleset: rules.tag(),
            rule: Some(index as u16),
            points: worth.points - before,
            starts_at,
            expires_at,
            cancel_at,
        };
        self.open_lot(new, Told { kind: EntryKind::Earned, source, why }, now, at)
    }

    /// The order's lots that waited for fulfilment become spendable.
    fn start_awaiting(&mut self, order: &mut Order, rules: &Ruleset, at: Instant) {
        let Some(placed) = &mut order.placed else { return };
        let captured = self.rules.by_tag(placed.ruleset).map(Arc::clone);
        let judging = captured.as_deref().unwrap_or(rules);
        let mut started: SmallVec<[(&EarnRule, Lot); 4]> = SmallVec::new();
        for award in &mut placed.awards {
            let Some(rule) = judging.earn.get(usize::from(award.rule)) else {
                continue;
            };
            let account = self.member.account_mut(&rule.ledger);
            for number in &award.lots {
                let waiting = account.pending.iter().position(|lot| lot.number == *number && lot.waits);
                let Some(lot) = waiting.and_then(|index| account.pending.remove(index)) else {
                    continue;
                };
                award.waiting -= lot.left;
                started.push((rule, lot));
            }
        }
        started.sort_by(|(_, a), (_, b)| a.used_cmp(b, rules.spend_order));
        for (rule, mut lot) in started {
            let sums = &mut self.member.account_mut(&rule.ledger).sums;
            sums.pending -= lot.left;
            (lot.waits, lot.turns_at) = (false, at);
            if !rule.life.from_earn {
                lot.expires_at = judging.expires_at(&rule.life, at, at);
            }
            if lot.expires_at <= at {
                sums.expired += lot.left;
                self.lot_entry(EntryKind::Expired, &lot, -lot.left, &rule.ledger, Why::EndedAlready, at);
            } else {
                self.activate(lot, &rule.ledger, Why::Fulfilled, at);
            }
        }
        for index in 0..self.member.accounts.len() {
            let ledger = self.member.accounts[index].ledger.clone();
            self.repay(&ledger, rules, at);
        }
    }
}

/// Whether what waited for the order's fulfilment was given up already.
fn given_up(rule: &EarnRule, order: &Order, placed: &Placed, rules: &Ruleset, at: Instant) -> bool {
    let Start::Fulfilled { cancel_after: Some(after) } = &rule.start else {
        return false;
    };
    let cancel_at = calendar::add(placed.at, *after, calendar::To::Exact, &rules.zone);
    cancel_at <= at && order.fulfilled_at.is_none_or(|fulfilled| fulfilled >= cancel_at)
}

/// When the points of an order start, and when they are given up without fulfilment.
fn order_start(rule: &EarnRule, order: &Order, placed: &Placed, rules: &Ruleset, at: Instant) -> (Instant, Instant) {
    let Start::Fulfilled { cancel_after } = &rule.start else {
        return (rules.starts_at(&rule.start, at), Instant::MAX);
    };
    if order.fulfilled_at.is_some() {
        return (at, Instant::MAX);
    }
    let cancel_at = cancel_after.map_or(Instant::MAX, |after| calendar::add(placed.at, after, calendar::To::Exact, &rules.zone));
    (Instant::MAX, cancel_at)
}

/// The content of a version; what the first version captured stays.
fn fill(placed: &mut Placed, version: &OrderPlaced<'_>, rules: &Ruleset) {
    placed.version = version.version;
    placed.currency = Text::new(version.currency);
    placed.channel = Text::new(version.channel.unwrap_or_default());
    placed.shipping = version.shipping;
    placed.tax = version.tax;
    placed.paid_with_gift_card = version.paid_with_gift_card;
    placed.paid_with_points = version.paid_with_points;
    placed.bought.discount = version.discount + version.lines.iter().map(|line| line.discount).sum::<i64>();
    placed.lines.clear();
    placed.lines.reserve_exact(version.lines.len());
    placed.lines.extend(version.lines.iter().map(|line| OrderLine {
        line_id: Text::new(line.line_id),
        sku: Text::new(line.sku),
        quantity: line.quantity,
        value: line.net(),
        excluded: !rules.eligible.exclude.is_empty() && rules.eligible.exclude.any(line),
        rules: rules.lines_asked_for(line),
    }));
    if version.discount > 0 {
        let mut shares = Vec::with_capacity(version.lines.len());
        spread(version.discount, version.lines.iter().map(|line| line.net()), &mut shares);
        placed.lines.iter_mut().zip(shares).for_each(|(line, share)| line.value -= share);
    }
}

/// What the expressions of rules say of a version.
fn ask(placed: &Placed, version: &OrderPlaced<'_>, rules: &Ruleset) -> Asked {
    let values: Vec<i64> = placed.lines.iter().map(|line| line.value).collect();
    let order = OrderInput::new(version, &values, placed.first_order, placed.at, &rules.zone);
    let mut asked = Asked::default();
    for (index, rule) in rules.earn.iter().enumerate().filter(|(_, rule)| rule.on == On::Order) {
        match rule.when.expression.as_ref().map(|expression| expression.holds_of_order(&order)) {
            Some(Ok(true)) => asked.holds |= 1 << index,
            Some(Err(_)) => asked.failed |= 1 << index,
            Some(Ok(false)) | None => {}
        }
    }
    asked
}
