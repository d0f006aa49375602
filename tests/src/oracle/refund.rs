//! Refunds: to their order, or to wherever the member bought such things (§4).

use super::fact::{Millionths, ORefund};
use super::order::{Order, Refunded, Worth};
use super::state::State;
use anyhow::Result;
use std::collections::BTreeMap;

/// A refund in the pieces that orders keep.
pub fn pieces_of(refund: &ORefund, order: &Order) -> Vec<Refunded> {
    if let Some(amount) = refund.amount {
        return vec![Refunded::Amount(order.minor(amount))];
    }
    let piece = |(line_id, pieces, amount): &(String, i128, Option<Millionths>)| Refunded::Line {
        line_id: line_id.clone(),
        pieces: *pieces,
        amount: amount.map(|amount| order.minor(amount)),
    };
    refund.lines.iter().map(piece).collect()
}

/// A refund can be booked on an order in its currency only.
pub fn fits_currency(refund: &ORefund, order: &Order) -> bool {
    refund.currency.as_ref().is_none_or(|currency| *currency == order.content.currency)
}

impl State {
    /// Finds orders for a refund without one. All places are found first, then each order is worth less, in the order in
    /// which they were found. What finds no place is an exception, one for the refund.
    pub fn place_unreferenced(&mut self, refund: &ORefund) -> Result<()> {
        let before: BTreeMap<String, Worth> = self.orders.iter().map(|(id, order)| (id.clone(), order.worth())).collect();
        let mut touched = Vec::new();
        let mut missing = ORefund { amount: None, lines: Vec::new(), ..refund.clone() };
        if let Some(amount) = refund.amount {
            let left = self.place_amount(refund, None, amount, &mut touched);
            if left != 0 {
                missing.amount = Some(left);
            }
        }
        for (name, pieces, amount) in &refund.lines {
            if *pieces > 0 {
                let (pieces, amount) = self.place_pieces(refund, name, *pieces, *amount, &mut touched);
                if pieces > 0 {
                    missing.lines.push((name.clone(), pieces, amount));
                }
            } else {
                let left = self.place_amount(refund, Some(name), amount.unwrap_or(0), &mut touched);
                if left != 0 {
                    missing.lines.push((name.clone(), 0, Some(left)));
                }
            }
        }
        for (n, id) in touched.iter().enumerate() {
            if !touched[..n].contains(id) {
                self.apply_difference(id, &before[id])?;
            }
        }
        if missing.amount.is_some() || !missing.lines.is_empty() {
            self.exception("refund_unmatched", &refund.refund_id, 0);
            if let Some(exception) = self.exceptions.last_mut() {
                exception.left = Some(missing);
            }
        }
        Ok(())
    }

    /// Not cancelled, in the refund's currency, the latest first.
    fn latest_orders(&self, refund: &ORefund) -> Vec<String> {
        let fits = |(_, order): &(&String, &Order)| !order.is_cancelled && !self.is_closed(order) && fits_currency(refund, order);
        let mut orders: Vec<(i64, String)> = self.orders.iter().filter(fits).map(|(id, order)| (order.at, id.clone())).collect();
        orders.sort();
        orders.reverse();
        orders.into_iter().map(|(_, id)| id).collect()
    }

    /// Pieces of lines. Inside: how many found no place, and what of the amount.
    fn place_pieces(
        &mut self,
        refund: &ORefund,
        name: &str,
        pieces: i128,
        amount: Option<Millionths>,
        touched: &mut Vec<String>,
    ) -> (i128, Option<Millionths>) {
        let mut placed = 0;
        let mut unplaced = amount;
        for id in self.latest_orders(refund) {
            for line in lines_named(&self.orders[&id], name) {
                let order = &self.orders[&id];
                let left = order.content.lines[line].quantity - order.taken().pieces[line];
                let part = left.min(pieces - placed);
                if part > 0 {
                    let share = amount.map(|amount| {
                        let amount = order.minor(amount);
                        amount * (placed + part) / pieces - amount * placed / pieces
                    });
                    unplaced = unplaced.zip(share).map(|(unplaced, share)| unplaced - share * amount_unit(order));
                    placed += part;
                    let line_id = order.content.lines[line].line_id.clone();
                    self.note_refund(&id, Refunded::Line { line_id, pieces: part, amount: share }, touched);
                }
            }
        }
        (pieces - placed, unplaced)
    }

    /// An amount, on the lines of that name or, without a name, on whole orders. Inside: what found no place.
    fn place_amount(
        &mut self,
        refund: &ORefund,
        name: Option<&str>,
        amount: Millionths,
        touched: &mut Vec<String>,
    ) -> Millionths {
        let mut left = amount;
        for id in self.latest_orders(refund) {
            let lines = match name {
                Some(name) => lines_named(&self.orders[&id], name).into_iter().map(Some).collect(),
                None => vec![None],
            };
            for line in lines {
                let order = &self.orders[&id];
                let room = match line {
                    Some(line) => order.values()[line] - order.taken().amounts[line],
                    None => order.amount_left(),
                };
                let part = order.minor(left).min(room);
                if part > 0 {
                    left -= part * amount_unit(order);
                    let refunded = match line {
                        None => Refunded::Amount(part),
                        Some(line) => {
                            let line_id = order.content.lines[line].line_id.clone();
                            Refunded::Line { line_id, pieces: 0, amount: Some(part) }
                        }
                    };
                    self.note_refund(&id, refunded, touched);
                }
            }
        }
        left
    }

    fn note_refund(&mut self, id: &str, refunded: Refunded, touched: &mut Vec<String>) {
        if let Some(order) = self.orders.get_mut(id) {
            order.refunds.push(refunded);
            touched.push(id.to_owned());
        }
    }
}

/// Millionths in a minor unit of the order's currency.
fn amount_unit(order: &Order) -> Millionths {
    1_000_000 / 10_i128.pow(super::number::decimals(&order.content.currency))
}

/// The lines with that id, or, where there is none, of that article.
fn lines_named(order: &Order, name: &str) -> Vec<usize> {
    let lines = &order.content.lines;
    let by_id: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].line_id == name).collect();
    if by_id.is_empty() { (0..lines.len()).filter(|&i| lines[i].sku == name).collect() } else { by_id }
}
