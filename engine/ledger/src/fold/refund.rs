//! Refunds: what was given back, noted on the order it belongs to, and the order settled (§4).
//!
//! Order of 30.00 at 1 per 3.00 gave 10; refunds of 10.00 three times take back 4, 3, 3.

use super::{Applied, Fold, Source};
use crate::entry::Sink;
use crate::fact::{RefundLine, RefundRecorded};
use crate::record::{LineRefund, Order, Record, RecordKey, WaitingRefund};
use crate::ruleset::Ruleset;
use crate::worth;
use crate::{Instant, Text};
use std::cmp::Reverse;

impl<S: Sink> Fold<'_, S> {
    pub(super) fn refund_recorded(
        &mut self,
        refund: &RefundRecorded<'_>,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) -> Applied {
        let Some(order_id) = refund.order_id else {
            self.refund_unreferenced(refund, source, rules, at);
            return Applied::default();
        };
        let key = RecordKey::order(order_id);
        let mut order = self.take_order(key, order_id);
        let Some(placed) = &order.placed else {
            order.waiting_refunds.push(waiting(refund));
            self.park(&mut order, source, rules, at);
            self.records.put(key, Record::Order(order));
            return Applied { parked: true };
        };
        if let Some(currency) = refund.currency.filter(|currency| placed.currency != *currency) {
            let about = format!("refund of order {order_id} in {currency}, not {}", placed.currency);
            self.records.put(key, Record::Order(order));
            self.exception("refund_currency", &about, 0, source, rules, at);
            return Applied::default();
        }
        order.refunded_amount += refund.amount.unwrap_or(0);
        refund.lines.iter().for_each(|line| note_line(&mut order.refunds, of_line(line)));
        self.settle_captured(&mut order, rules, source, at);
        self.records.put(key, Record::Order(order));
        Applied::default()
    }

    /// A refund that names no order: the latest orders with something left take it.
    fn refund_unreferenced(&mut self, refund: &RefundRecorded<'_>, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let currency = refund.currency;
        let mut latest: Vec<(Reverse<(Instant, Text)>, RecordKey)> = self
            .records
            .orders()
            .filter(|(_, order)| !order.cancelled)
            .filter_map(|(key, order)| Some((key, order.order_id, order.placed?)))
            .filter(|(_, _, placed)| !self.is_closed(placed.at))
            .filter(|(_, _, placed)| currency.is_none_or(|currency| placed.currency == *currency))
            .map(|(key, order_id, placed)| (Reverse((placed.at, order_id)), key))
            .collect();
        latest.sort();
        let keys: Vec<RecordKey> = latest.into_iter().map(|(_, key)| key).collect();
        let mut touched: Vec<RecordKey> = Vec::new();
        let (mut lost, mut lines, mut rest) = (Vec::new(), Vec::new(), 0);
        for line in &refund.lines {
            if let Some((what, part)) = self.place_line(line, &keys, &mut touched) {
                lost.push(what);
                lines.push(part);
            }
        }
        if let Some(amount) = refund.amount {
            rest = self.place_amount(amount, &keys, &mut touched);
            if rest > 0 {
                lost.push(format!("amount {rest}"));
            }
        }
        for key in touched {
            if let Some(Record::Order(mut order)) = self.records.take(key) {
                self.settle_captured(&mut order, rules, source, at);
                self.records.put(key, Record::Order(order));
            }
        }
        if !lost.is_empty() {
            self.exception("refund_unmatched", &lost.join(", "), 0, source, rules, at);
            // A person may still find the order: what it would take.
            if let Some(trouble) = self.member.counters_mut().troubles.last_mut() {
                (trouble.lines, trouble.amount) = (lines, rest);
                trouble.currency = Text::new(currency.unwrap_or_default());
            }
        }
    }

    /// Finds places for the pieces (or, without pieces, the amount) of a line; returns what found none, in words and as it is.
    fn place_line(
        &mut self,
        line: &RefundLine<'_>,
        keys: &[RecordKey],
        touched: &mut Vec<RecordKey>,
    ) -> Option<(String, LineRefund)> {
        let (mut pieces, mut amount) = (line.quantity, line.amount.unwrap_or(0));
        let by_amount = line.quantity == 0;
        for &key in keys {
            if (by_amount && amount == 0) || (!by_amount && pieces == 0) {
                return None;
            }
            let Some(Record::Order(mut order)) = self.records.take(key) else {
                continue;
            };
            let before = (pieces, amount);
            take_from_order(&mut order, line, &mut pieces, &mut amount);
            if (pieces, amount) != before && touched.last() != Some(&key) && !touched.contains(&key) {
                touched.push(key);
            }
            self.records.put(key, Record::Order(order));
        }
        let said = match (by_amount, pieces, amount) {
            (true, _, 0) | (false, 0, _) => return None,
            (true, _, amount) => format!("{}: amount {amount}", line.line_id),
            (false, pieces, _) => format!("{}: {pieces} of {} pieces", line.line_id, line.quantity),
        };
        let by_share = line.amount.is_none();
        Some((said, LineRefund { line_id: Text::new(line.line_id), pieces, by_share, amount }))
    }

    fn place_amount(&mut self, mut amount: i64, keys: &[RecordKey], touched: &mut Vec<RecordKey>) -> i64 {
        for &key in keys {
            if amount == 0 {
                break;
            }
            let Some(Record::Order(mut order)) = self.records.take(key) else {
                continue;
            };
            let left = order.placed.as_ref().map_or(0, |placed| worth::amount_left(&order, placed));
            let part = left.min(amount);
            if part > 0 {
                order.refunded_amount += part;
                amount -= part;
                if !touched.contains(&key) {
                    touched.push(key);
                }
            }
            self.records.put(key, Record::Order(order));
        }
        amount
    }
}

/// Takes what fits from the order's lines: those with that `line_id`, else those with that `sku`.
fn take_from_order(order: &mut Order, wanted: &RefundLine<'_>, pieces: &mut i64, amount: &mut i64) {
    let Some(placed) = &order.placed else { return };
    let by_id = placed.lines.iter().any(|line| line.line_id == *wanted.line_id);
    for line in &placed.lines {
        if if by_id { line.line_id != *wanted.line_id } else { line.sku != *wanted.line_id } {
            continue;
        }
        let (pieces_left, amount_left) = worth::left_of(line, &order.refunds);
        let (take_pieces, take_amount) = if wanted.quantity == 0 {
            (0, amount_left.min(*amount))
        } else {
            let take = pieces_left.min(*pieces);
            (take, wanted.amount.map_or(0, |whole| share(whole, wanted.quantity, *pieces, take)))
        };
        if take_pieces == 0 && take_amount == 0 {
            continue;
        }
        let taken = LineRefund {
            line_id: line.line_id.clone(),
            pieces: take_pieces,
            by_share: wanted.amount.is_none(),
            amount: take_amount,
        };
        note_line(&mut order.refunds, taken);
        *pieces -= take_pieces;
        *amount -= take_amount.min(*amount);
    }
}

/// What `take` of `quantity` pieces are of `whole` when `missing` pieces had no place before them: by cumulative pieces, floor.
fn share(whole: i64, quantity: i64, missing: i64, take: i64) -> i64 {
    let up_to = |pieces: i64| (i128::from(whole) * i128::from(pieces) / i128::from(quantity)) as i64;
    up_to(quantity - missing + take) - up_to(quantity - missing)
}

/// Adds what was refunded on a line to what was before.
pub(super) fn note_line(refunds: &mut Vec<LineRefund>, more: LineRefund) {
    match refunds.iter_mut().rfind(|known| known.line_id == more.line_id) {
        Some(known) if known.by_share == more.by_share => {
            known.pieces += more.pieces;
            known.amount += more.amount;
        }
        _ => refunds.push(more),
    }
}

fn of_line(line: &RefundLine<'_>) -> LineRefund {
    LineRefund {
        line_id: Text::new(line.line_id),
        pieces: line.quantity,
        by_share: line.amount.is_none(),
        amount: line.amount.unwrap_or(0),
    }
}

fn waiting(refund: &RefundRecorded<'_>) -> WaitingRefund {
    WaitingRefund {
        currency: Text::new(refund.currency.unwrap_or_default()),
        lines: refund.lines.iter().map(of_line).collect(),
        amount: refund.amount.unwrap_or(0),
    }
}
