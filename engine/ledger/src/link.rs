//! What follows from one member's fact or decision for another member: pure, decided once, kept in the log beside its cause.
//!
//! A transfer accepted at A leads to `points_received` at B; when B has left, the refusal leads back to A. Whoever runs the
//! engine carries these to the other member's shard; their ids make a second carrying harmless.

use crate::Instant;
use crate::decision::{Decision, Outcome};
use crate::fact::{Body, Fact, ImportedLot, TransferTo};
use crate::referral::ReferralOnward;
use crate::ruleset::MAIN;
use xxhash_rust::xxh3::xxh3_128;

/// The source of facts that the engine makes; refused from everybody else.
pub const ENGINE: &str = "accrue";

/// `points_received`: points on their way from another member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointsReceived<'a> {
    /// The sender's id of the transfer.
    pub transfer_id: &'a str,
    /// Who gave them; of points that come back, who did not take them.
    pub from_member: &'a str,
    /// Absent: `main`.
    pub ledger: Option<&'a str>,
    /// What each lot gave, with its start and end; at least one.
    pub lots: Vec<ImportedLot>,
    /// They come back to who gave them: taken whatever has become of the member.
    pub returned: bool,
}

/// A fact that follows for another member.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// Whose.
    pub member: String,
    /// Unique, and the same whenever it is derived again.
    pub id: String,
    /// When.
    pub occurred_at: Instant,
    /// What.
    pub body: Onward,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Onward {
    /// `points_received`
    PointsReceived {
        /// The sender's id of the transfer.
        transfer_id: String,
        /// Who gave them, or did not take them.
        from_member: String,
        /// The ledger.
        ledger: String,
        /// What each lot gave.
        lots: Vec<ImportedLot>,
        /// They come back.
        returned: bool,
    },
    /// About referrals.
    Referral(ReferralOnward),
}

/// What follows from a fact, or from a request with its decision; mostly nothing.
pub fn derive(fact: &Fact<'_>, decision: Option<&Decision>) -> Vec<Derived> {
    match (&fact.body, decision.map(|decision| (&decision.outcome, decision.at))) {
        (Body::PointsTransferred { transfer_id, to: TransferTo::Member(to), ledger, .. }, Some((outcome, at))) => {
            let Outcome::Accepted(promise) = outcome else { return Vec::new() };
            let body = Onward::PointsReceived {
                transfer_id: (*transfer_id).to_owned(),
                from_member: fact.member.to_owned(),
                ledger: ledger.unwrap_or(MAIN).to_owned(),
                lots: promise.lots.clone(),
                returned: false,
            };
            vec![Derived { member: (*to).to_owned(), id: id_of("received", fact), occurred_at: at, body }]
        }
        (Body::PointsReceived(received), Some((Outcome::Rejected(_), at))) => {
            let body = Onward::PointsReceived {
                transfer_id: received.transfer_id.to_owned(),
                from_member: fact.member.to_owned(),
                ledger: received.ledger.unwrap_or(MAIN).to_owned(),
                lots: received.lots.clone(),
                returned: true,
            };
            vec![Derived { member: received.from_member.to_owned(), id: id_of("returned", fact), occurred_at: at, body }]
        }
        _ => Vec::new(),
    }
}

/// A pure function of the identity of what it follows from.
fn id_of(kind: &str, fact: &Fact<'_>) -> String {
    format!("{kind}:{:032x}", xxh3_128(origin_of(fact).as_bytes()))
}

/// What nothing else follows from.
pub(crate) fn origin_of(fact: &Fact<'_>) -> String {
    [fact.program, fact.member, fact.source, fact.id].join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Promise};

    #[test]
    fn an_id_is_of_the_cause_alone() {
        let lots = vec![ImportedLot { points: 5, ..ImportedLot::default() }];
        let body = Body::PointsTransferred { transfer_id: "T1", to: TransferTo::Member("b"), ledger: None, points: 5 };
        let (kind, occurred_at) = (Kind::PointsTransferred, Instant(7));
        let fact = Fact { id: "1", source: "s", program: "acme", member: "a", occurred_at, actor: None, kind, body };
        let decision = |at| Decision {
            at,
            outcome: Outcome::Accepted(Promise { points: 5, lots: lots.clone(), ..Promise::default() }),
            ruleset: 0,
            balance_before: 5,
            saw_position: 0,
        };
        let (one, two) = (derive(&fact, Some(&decision(Instant(8)))), derive(&fact, Some(&decision(Instant(9)))));
        assert_eq!((one.len(), &one[0].id, one[0].member.as_str()), (1, &two[0].id, "b"));
        let other = Fact { member: "c", ..fact.clone() };
        assert_ne!(derive(&other, Some(&decision(Instant(8))))[0].id, one[0].id);
        assert!(derive(&fact, None).is_empty());
    }
}
