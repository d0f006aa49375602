//! Deliveries: what is new, what was there before, what contradicts it; requests are decided as they come.

use super::fact::{OBody, OFact};
use super::family::Families;
use super::transfer::follows;
use super::{Known, OAnswer, ODecision, OMember, Timeline, decide, replay};
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivered {
    /// A new fact.
    Booked,
    /// A new fact that waits for its order.
    Parked,
    /// A new request and its answer.
    Decided(ODecision),
    /// The same as before: the answer then, if it was a request.
    Duplicate(Option<OAnswer>),
    /// The same identity with other content: not booked.
    Conflict,
}

/// A program and all its members.
pub struct Door<'a> {
    rules: &'a Timeline,
    /// What is known of each member, in order of arrival.
    pub known: BTreeMap<String, Vec<Known>>,
    /// What follows for other members, and was not delivered yet.
    onward: Vec<OFact>,
}

impl<'a> Door<'a> {
    /// Nobody is known yet.
    pub fn new(rules: &'a Timeline) -> Door<'a> {
        Door { rules, known: BTreeMap::new(), onward: Vec::new() }
    }

    /// The rulesets that judge.
    pub fn rules(&self) -> &'a Timeline {
        self.rules
    }

    /// Takes in one fact or request in the JSON of `facts.md`. What follows for other members waits: see [`Door::carry`].
    ///
    /// # Errors
    /// Not such a JSON.
    pub fn deliver(&mut self, fact: &Value) -> Result<Delivered> {
        self.take(OFact::from_json(fact)?)
    }

    /// Delivers what follows, and what follows from that.
    ///
    /// # Errors
    /// See [`Door::deliver`].
    pub fn carry(&mut self) -> Result<()> {
        while !self.onward.is_empty() {
            for fact in std::mem::take(&mut self.onward) {
                self.take(fact)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, fact: OFact) -> Result<Delivered> {
        if let Some(before) = self.find(&fact) {
            if !is_same(before.request(), &fact) {
                return Ok(Delivered::Conflict);
            }
            return Ok(Delivered::Duplicate(match before {
                Known::Fact(_) => None,
                Known::Decision { answer, .. } => Some(answer.clone()),
            }));
        }
        let union = self.union(&fact.member, i64::MAX);
        let known = self.known.entry(fact.member.clone()).or_default();
        if fact.is_request() {
            let decision = decide(self.rules, &union, &fact)?;
            self.onward.extend(follows(&fact, &decision));
            known.push(Known::Decision { request: fact, at: decision.at, answer: decision.answer.clone() });
            return Ok(Delivered::Decided(decision));
        }
        let waits = |order: &str| !union.iter().any(|known| is_order(known, order));
        let parked = match &fact.body {
            OBody::Fulfilled(order) | OBody::Cancelled(order) => waits(order),
            OBody::Refund(refund) => refund.order_id.as_deref().is_some_and(waits),
            _ => false,
        };
        known.push(Known::Fact(fact));
        Ok(if parked { Delivered::Parked } else { Delivered::Booked })
    }

    /// A member as of an instant.
    ///
    /// # Errors
    /// See [`replay`].
    pub fn member(&self, member: &str, at: i64) -> Result<OMember> {
        replay(self.rules, &self.union(member, at), at)
    }

    /// All that is known of a member and of those who are one with it at an instant.
    pub fn union(&self, member: &str, at: i64) -> Vec<Known> {
        Families::of(&self.known, at).union(&self.known, member)
    }

    /// The same id of the same source, or the same natural key of the same member.
    fn find(&self, fact: &OFact) -> Option<&Known> {
        let by_id = self.known.values().flatten().find(|known| {
            let before = known.request();
            before.id == fact.id && before.source == fact.source
        });
        let key = fact.natural_key();
        by_id.or_else(|| {
            let of_member = self.known.get(&fact.member)?;
            of_member.iter().find(|known| key.is_some() && known.request().natural_key() == key)
        })
    }
}

fn is_order(known: &Known, id: &str) -> bool {
    matches!(&known.request().body, OBody::Order(order) if order.order_id == id)
}

/// A retry of a request may be stamped anew; a fact happened once.
fn is_same(before: &OFact, now: &OFact) -> bool {
    let same = before.kind == now.kind && before.member == now.member && before.raw == now.raw;
    same && (now.is_request() || before.at == now.at)
}
