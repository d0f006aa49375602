//! A second, dumb model of the rules: recomputes a member from a plain list of facts and decisions.
//!
//! Shares no code with the engine. Every question folds the whole history from its first fact; every order is worth what
//! its definition says at that moment. Meant to be obviously right, not fast (`domain.md` §1–§7, §10, §11 as far as
//! exclusions go, §13 without the *why*, §14; `docs/semantics.md` where those are silent).
//!
//! Reading order: [`fact`] and [`rules`] (input), [`order`] (what an order is worth), [`state`] (the fold), [`lots`],
//! [`redeem`], [`refund`], [`coupon`], [`promise`], then [`decide`](mod@decide). [`door`] tells duplicates and conflicts;
//! [`story`] runs conformance files.

pub mod booking;
pub mod calendar;
pub mod cards;
pub mod coupon;
pub mod decide;
pub mod door;
pub mod erased;
pub mod exception;
pub mod fact;
pub mod family;
pub mod feats;
pub mod inactivity;
pub mod ladder;
pub mod life;
pub mod limits;
pub mod lots;
pub mod member;
pub mod number;
pub mod occurrence;
pub mod order;
pub mod promise;
pub mod read;
pub mod redeem;
pub mod refund;
pub mod rules;
pub mod standing;
pub mod state;
pub mod story;
pub mod terms;
pub mod tiers;
pub mod transfer;
#[cfg(test)]
mod vectors;

pub use decide::{OAnswer, OCoupon, ODecision, OPromise, decide};
pub use fact::OFact;
pub use member::{OEntry, OLedger, OLot, OMember};
pub use rules::ORules;

use anyhow::Result;
use std::rc::Rc;

/// One thing known about a member, at its place in the member's history.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// A fact, at its `occurred_at`.
    Fact(OFact),
    /// A request with its answer, at the instant it was decided.
    Decision {
        /// What was asked.
        request: OFact,
        /// The instant of the decision, microseconds.
        at: i64,
        /// What was answered.
        answer: OAnswer,
    },
}

impl Known {
    /// Its instant, microseconds.
    pub fn at(&self) -> i64 {
        match self {
            Known::Fact(fact) => fact.at,
            Known::Decision { at, .. } => *at,
        }
    }

    /// The fact, or the request that was decided.
    pub fn request(&self) -> &OFact {
        match self {
            Known::Fact(fact) => fact,
            Known::Decision { request, .. } => request,
        }
    }

    /// Decisions come after the facts of the same instant.
    pub fn is_decision(&self) -> bool {
        matches!(self, Known::Decision { .. })
    }
}

/// The rulesets of a program and from when each judges (microseconds), earliest first, at least one; the first also judges
/// what came before it.
pub type Timeline = [(i64, Rc<ORules>)];

/// The member as of `at`, from everything known.
///
/// # Errors
/// A ruleset whose durations or dates make no sense.
pub fn replay(rules: &Timeline, known: &[Known], at: i64) -> Result<OMember> {
    Ok(OMember::of(&state::State::replay(rules, known, at)?))
}
