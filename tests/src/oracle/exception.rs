//! What people have to look at, and how they resolve it.

use super::fact::Millionths;
use super::order::Refunded;
use super::state::State;
use anyhow::Result;

/// Something that did not fit.
#[derive(Clone, Debug)]
pub struct Exception {
    /// What, and of which source: `refund_unmatched/RF-1`.
    pub id: String,
    /// Nobody has resolved it yet.
    pub open: bool,
    /// Of a refund that found no order: line or article (none: of an order as a whole), pieces, amount.
    pub left: Vec<(Option<String>, i128, Option<Millionths>)>,
}

impl State {
    /// Something that people have to look at, and what it cost.
    pub fn exception(&mut self, code: &str, source: &str, cost: i64) {
        self.exceptions.push(Exception { id: format!("{code}/{source}"), open: true, left: Vec::new() });
        self.note("exception");
        if let Some(entry) = self.entries.last_mut() {
            entry.points = cost;
        }
    }

    /// Booked on an order, or written off.
    pub fn resolve(&mut self, id: &str, order: Option<&str>, line: Option<&str>) -> Result<()> {
        let Some(e) = self.exceptions.iter().position(|exception| exception.open && exception.id == id) else {
            return Ok(());
        };
        let exception = self.exceptions[e].clone();
        if let Some(order) = order {
            let Some(before) = self.orders.get(order).map(super::order::Order::worth) else { return Ok(()) };
            if let Some(order) = self.orders.get_mut(order) {
                for (name, pieces, amount) in exception.left {
                    let amount = amount.map(|amount| order.minor(amount));
                    let refunded = match name {
                        None => Refunded::Amount(amount.unwrap_or(0)),
                        Some(name) => Refunded::Line { line_id: line.map_or(name, str::to_owned), pieces, amount },
                    };
                    order.refunds.push(refunded);
                }
            }
            self.apply_difference(order, &before)?;
        }
        self.exceptions[e].open = false;
        self.note("exception_resolved");
        Ok(())
    }
}
