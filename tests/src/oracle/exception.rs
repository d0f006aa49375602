//! What people have to look at, and how they resolve it.

use super::fact::{OBody, OFact, ORefund};
use super::state::State;
use anyhow::Result;

/// Something that did not fit.
#[derive(Clone, Debug)]
pub struct Exception {
    /// What, and of which source: `refund_unmatched/RF-1`.
    pub id: String,
    /// Nobody has resolved it yet.
    pub open: bool,
    /// Of a refund that found no order: what of it found no place.
    pub left: Option<ORefund>,
}

impl State {
    /// Something that people have to look at, and what it cost.
    pub fn exception(&mut self, code: &str, source: &str, cost: i64) {
        self.exceptions.push(Exception { id: format!("{code}/{source}"), open: true, left: None });
        self.note("exception");
        if let Some(entry) = self.entries.last_mut() {
            entry.points = cost;
            code.clone_into(&mut entry.code);
        }
    }

    /// It waits for somebody to find its order.
    pub fn is_open(&self, id: &str) -> bool {
        self.exceptions.iter().any(|exception| exception.open && exception.left.is_some() && exception.id == id)
    }

    /// Booked on an order as a refund of now, or written off.
    pub fn resolve(&mut self, fact: &OFact, id: &str, order: Option<&str>, line: Option<&str>) -> Result<()> {
        for e in 0..self.exceptions.len() {
            if !self.exceptions[e].open || self.exceptions[e].id != id {
                continue;
            }
            self.exceptions[e].open = false;
            self.note("exception_resolved");
            if let (Some(mut refund), Some(order)) = (self.exceptions[e].left.clone(), order) {
                refund.order_id = Some(order.to_owned());
                for (name, ..) in &mut refund.lines {
                    *name = line.map_or_else(|| name.clone(), str::to_owned);
                }
                self.fact(&OFact { body: OBody::Refund(refund), ..fact.clone() })?;
            }
        }
        Ok(())
    }
}
