//! Folding a member from its beginning: the definition of its state (§1). Incremental folding must give the same.

use crate::entry::Sink;
use crate::fact::{Body, Fact};
use crate::fold::{Fold, exclusions_after, standing_from};
use crate::member::Member;
use crate::record::{Record, RecordKey};
use crate::records::Records;
use crate::ruleset::Timeline;
use crate::{Decision, Instant};

/// A fact, or a request with its decision, as it was booked.
#[derive(Clone, Debug)]
pub struct Booked<'a> {
    /// The fact or request.
    pub fact: Fact<'a>,
    /// Its decision.
    pub decision: Option<Decision>,
}

impl Booked<'_> {
    /// Its instant in the member's history.
    pub fn at(&self) -> Instant {
        self.decision.as_ref().map_or(self.fact.occurred_at, |decision| decision.at)
    }

    pub(crate) fn cmp(&self, other: &Booked<'_>) -> std::cmp::Ordering {
        let key = |booked: &Self| (booked.at(), booked.decision.is_some());
        let other_key = (other.at(), other.decision.is_some());
        key(self).cmp(&other_key).then_with(|| (self.fact.id, self.fact.source).cmp(&(other.fact.id, other.fact.source)))
    }
}

/// Puts facts and decisions into the order of folding.
pub fn in_order(booked: &mut [Booked<'_>]) {
    booked.sort_by(Booked::cmp);
}

/// The state of a member with these facts and decisions, as of the last of them, in any order given.
pub fn replay<S: Sink>(rules: &Timeline, booked: &mut [Booked<'_>], sink: &mut S) -> (Member, Records) {
    in_order(booked);
    let (mut member, mut records) = (Member::default(), Records::complete());
    replay_on(rules, (&mut member, &mut records), booked, sink, |_, _, _| {});
    (member, records)
}

/// The same on top of a state, with facts that come after it, [`in_order`], and none of which [`reaches_back`] to what was folded
/// before. `near` brings the records that a fact needs.
pub fn replay_on<S: Sink>(
    rules: &Timeline,
    (member, records): (&mut Member, &mut Records),
    booked: &[Booked<'_>],
    sink: &mut S,
    mut near: impl FnMut(&Member, &mut Records, &Fact<'_>),
) {
    let before = std::mem::take(&mut member.exclusions);
    let exclusions = exclusions_after(before, booked.iter().map(|booked| &booked.fact));
    let mut fold = Fold::new(member, records, rules, sink).knowing(exclusions);
    for booked in booked {
        near(fold.member, fold.records, &booked.fact);
        fold.apply(&booked.fact, booked.decision.as_ref());
    }
}

/// From which instant on a fact changes what others are worth, whether they were folded before it or not. `None`: it doesn't.
pub fn reaches_back(fact: &Fact<'_>) -> Option<Instant> {
    standing_from(fact)
}

/// Whether a fact of a member whose whole history is in `records` waits for its order.
pub fn waits(fact: &Fact<'_>, records: &Records) -> bool {
    let order_id = match &fact.body {
        Body::OrderFulfilled { order_id } | Body::OrderCancelled { order_id } => Some(*order_id),
        Body::RefundRecorded(refund) => refund.order_id,
        Body::ExceptionResolved { order_id, .. } => *order_id,
        _ => None,
    };
    let record = order_id.and_then(|order_id| records.peek(RecordKey::order(order_id)));
    matches!(record.as_deref(), Some(Record::Order(order)) if order.waiting > 0)
}

/// Whether a new fact (or, with `decided_at`, a request) can't be folded on top of `member`: it belongs before what was folded,
/// or changes the standing of orders that were.
pub fn must_fold_again(member: &Member, fact: &Fact<'_>, decided_at: Option<Instant>) -> bool {
    if member.facts == 0 {
        return false;
    }
    member.last.is_after(fact, decided_at) || standing_from(fact).is_some_and(|from| from <= member.last.at)
}
