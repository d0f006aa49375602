//! Why: an order rule by rule, and any number as a tree.

use super::{AsOf, Found, LedgerReader};
use crate::error::ProjectionError;
use crate::explain::{About, Explained, Explanation, Story, explain_order, zone_name};
use accrue_ledger::{Instant, Order, Record, RecordKey};
use accrue_store::member_hash;
use std::borrow::Cow;

impl LedgerReader {
    /// Why an order gave what it gave, rule by rule, and all entries it led to. `None`: no such member or order.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn explain_order(
        &self,
        program: &str,
        member: &str,
        order_id: &str,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<Explanation>, ProjectionError> {
        let Some((found, entries)) = self.find_entries(program, member, asked, now)? else {
            return Ok(None);
        };
        let key = RecordKey::order(order_id);
        let record = match &found.past {
            Some((records, _)) => records.peek(key).map(Cow::into_owned),
            None => self.record(program, &found.member, key)?,
        };
        let Some(Record::Order(order)) = record else { return Ok(None) };
        Ok(Some(explain_order(&order, &found.state, &found.rules, &entries)))
    }

    /// A number of a member as a tree. Outside `None`: no such member; no trees: it has no such thing.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn explain(
        &self,
        program: &str,
        member: &str,
        about: &About,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<Explained>, ProjectionError> {
        let Some((found, entries)) = self.find_entries(program, member, asked, now)? else {
            return Ok(None);
        };
        let orders = self.orders_of(program, &found)?;
        let story = Story::new(&found.state, &found.rules, &entries, &orders, found.at);
        Ok(Some(Explained {
            program: program.to_owned(),
            member: found.member.to_string(),
            as_of: found.at.to_string(),
            time_zone: zone_name(&found.rules, found.at),
            trees: story.about(about).unwrap_or_default(),
        }))
    }

    /// Numbers of a member whose explanation does not add up to them: every number of every ledger, every lot, entry and coupon,
    /// and the tier. For tests that check after every fact; empty, one hopes.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn unexplained(&self, program: &str, member: &str, asked: AsOf, now: Instant) -> Result<Vec<String>, ProjectionError> {
        let Some((found, entries)) = self.find_entries(program, member, asked, now)? else { return Ok(Vec::new()) };
        let orders = self.orders_of(program, &found)?;
        Ok(Story::new(&found.state, &found.rules, &entries, &orders, found.at).unexplained())
    }

    fn orders_of(&self, program: &str, found: &Found) -> Result<Vec<Order>, ProjectionError> {
        if let Some((records, _)) = &found.past {
            return Ok(records.orders().map(|(_, order)| *order).collect());
        }
        let rows = self.shared.tiers.read().records(member_hash(program, &found.member), program, &found.member)?;
        let mut orders = Vec::new();
        for (_, row) in rows.iter().filter(|(key, _)| key.is_order()) {
            if let Some(Record::Order(order)) = row.open()? {
                orders.push(*order);
            }
        }
        Ok(orders)
    }
}
