//! Erasure: the balance is forfeited, what was bought before is closed (§11).

use super::fact::{OBody, OFact, ORefund};
use super::order::Order;
use super::state::State;

impl State {
    /// `member_erased`
    pub fn erase(&mut self) {
        self.status = "erased";
        self.erased_at = Some(self.now);
        for ledger in self.ledgers.clone() {
            for i in self.in_spend_order(|lot| lot.ledger == ledger && lot.active) {
                let left = std::mem::take(&mut self.lots[i].left);
                self.lots[i].expired += left;
                self.entry("expired", &ledger, -left);
            }
            for i in self.in_spend_order(|lot| lot.ledger == ledger && !lot.active) {
                let left = std::mem::take(&mut self.lots[i].left);
                self.lots[i].cancelled += left;
                self.entry("cancelled", &ledger, -left);
            }
        }
        for c in 0..self.coupons.len() {
            if matches!(self.coupons[c].status(), "issued" | "reserved") {
                self.coupons[c].expired = true;
                self.coupons[c].hold = None;
                self.note("coupon_expired");
            }
        }
    }

    /// Bought before the erasure, or at its instant.
    pub fn is_closed(&self, order: &Order) -> bool {
        self.erased_at.is_some_and(|erased| order.at <= erased)
    }

    /// What can't be booked any more is an exception: of orders from before the erasure for ever, of the rest until a new
    /// start.
    pub fn is_too_late(&mut self, fact: &OFact) -> bool {
        let order = match &fact.body {
            OBody::Order(order) => Some(&order.order_id),
            OBody::Cancelled(order) | OBody::Refund(ORefund { order_id: Some(order), .. }) => Some(order),
            OBody::Resolved(exception, Some(order), _) if self.is_open(exception) => Some(order),
            OBody::Refund(_) | OBody::Import(_) => None,
            _ => return false,
        };
        let too_late = match order {
            Some(order) => self.orders.get(order).is_some_and(|order| self.is_closed(order)),
            None => self.status == "erased",
        };
        if too_late {
            self.exception("member_erased", &fact.id, 0);
        }
        too_late
    }
}
