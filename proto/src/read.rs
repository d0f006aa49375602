//! The hot path: protobuf straight to the facts the rules read. Borrows everything; only lists of lines and lots allocate.
//!
//! Says no to whatever can be seen to be wrong without a ruleset. Unknown fields are skipped, the last value of a field
//! wins and embedded messages merge, as protobuf demands.

mod card;
mod coupon;
mod exception;
mod hand_over;
mod member;
mod noted;
mod order;
mod points;
mod received;
mod redemption;
mod referral;
mod refund;
mod tier;

use crate::error::{Fault, fault};
use crate::time::{self, Stamp};
use crate::wire::{Key, Parts, Reader};
use crate::{Malformed, check, pb};
use accrue_ledger::{Body, Fact, Kind};
use prost::Message as _;

/// The smallest field number of a body.
const BODY_NUMBER_MIN: u32 = 16;

/// A fact's fields as they stand in the bytes, nothing checked but the encoding.
#[derive(Default)]
pub(crate) struct Envelope<'a> {
    pub(crate) id: &'a str,
    pub(crate) source: &'a str,
    pub(crate) program: &'a str,
    pub(crate) member: &'a str,
    pub(crate) occurred_at: Option<Stamp>,
    pub(crate) actor: &'a str,
    pub(crate) body: Option<(Kind, Parts<'a>)>,
}

impl<'a> Envelope<'a> {
    /// # Errors
    /// `undecodable`, `unknown_body`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut envelope = Envelope::default();
        let (mut reader, mut replaced) = (Reader::new(bytes), false);
        while let Some(key) = reader.next()? {
            let number = key.number();
            match key.number() {
                1 => envelope.id = reader.text(key, "id")?,
                2 => envelope.source = reader.text(key, "source")?,
                3 => envelope.program = reader.text(key, "program")?,
                4 => envelope.member = reader.text(key, "member")?,
                5 => time::merge(&mut envelope.occurred_at, &mut reader, key, "occurred_at")?,
                6 => envelope.actor = reader.text(key, "actor")?,
                BODY_NUMBER_MIN.. => {
                    let Some(kind) = Kind::from_number(number) else { return Err(unknown_body(reader, key)) };
                    let part = reader.bytes(key, kind.name())?;
                    match &mut envelope.body {
                        Some((known, parts)) if *known == kind => parts.push(part),
                        body => {
                            replaced |= body.is_some();
                            *body = Some((kind, Parts::from_buf([part])));
                        }
                    }
                }
                _ => reader.skip(key)?,
            }
        }
        if replaced {
            // The last body wins, but those before it must be well-formed too.
            pb::Fact::decode(bytes).map_err(|error| fault("undecodable", format!("protobuf: {error}")))?;
        }
        Ok(envelope)
    }
}

/// The program and the member that a fact's bytes name; what else is in them is skipped, right or wrong.
///
/// # Errors
/// `undecodable`.
pub(crate) fn owner(bytes: &[u8]) -> Result<(&str, &str), Fault> {
    let (mut reader, mut program, mut member) = (Reader::new(bytes), "", "");
    while let Some(key) = reader.next()? {
        match key.number() {
            3 => program = reader.text(key, "program")?,
            4 => member = reader.text(key, "member")?,
            _ => reader.skip(key)?,
        }
    }
    Ok((program, member))
}

#[cold]
#[inline(never)]
fn unknown_body(mut reader: Reader<'_>, key: Key) -> Fault {
    let number = key.number();
    // Rubbish has field numbers too: only what is protobuf to its end can be of a later version.
    let rest = reader.bytes(key, "the body").and_then(|_| {
        while let Some(key) = reader.next()? {
            reader.skip(key)?;
        }
        Ok(())
    });
    let detail = || format!("field {number} is no body this version knows; requeue into the version that does");
    rest.err().unwrap_or_else(|| fault("unknown_body", detail()))
}

#[cold]
#[inline(never)]
fn no_body() -> Fault {
    fault("unknown_body", "the fact has no body, or one this version does not know")
}

/// Reads a fact and checks all that needs no ruleset.
///
/// # Errors
/// [`Malformed`] with the code of the first thing found wrong.
pub fn read_fact(bytes: &[u8]) -> Result<Fact<'_>, Malformed> {
    read(bytes).map_err(Malformed::from)
}

fn read(bytes: &[u8]) -> Result<Fact<'_>, Fault> {
    let envelope = Envelope::read(bytes)?;
    let (kind, parts) = envelope.body.ok_or_else(no_body)?;
    let fact = Fact {
        id: check::required(envelope.id, "id")?,
        source: check::required(envelope.source, "source")?,
        program: check::program(envelope.program, "program")?,
        member: member_of(envelope.member, kind)?,
        occurred_at: envelope.occurred_at.ok_or_else(|| check::missing("occurred_at"))?.instant("occurred_at")?,
        actor: check::optional(Some(envelope.actor), "actor")?,
        kind,
        body: body(kind, &parts, bytes)?,
    };
    member::exclusion_after_start(&fact)?;
    Ok(fact)
}

fn member_of(member: &str, kind: Kind) -> Result<&str, Fault> {
    match (kind, member) {
        (kind, "") if kind.is_control() => Ok(""),
        (kind, _) if kind.is_control() => {
            Err(fault("unexpected_field", format!("member must be empty: {} is for the whole program", kind.name())))
        }
        _ => check::required(member, "member"),
    }
}

fn body<'a>(kind: Kind, parts: &Parts<'a>, fact: &[u8]) -> Result<Body<'a>, Fault> {
    Ok(match kind {
        Kind::OrderPlaced => Body::OrderPlaced(order::placed(parts)?),
        Kind::OrderFulfilled => Body::OrderFulfilled { order_id: order::id(parts, "order_fulfilled.order_id")? },
        Kind::OrderCancelled => Body::OrderCancelled { order_id: order::id(parts, "order_cancelled.order_id")? },
        Kind::RefundRecorded => Body::RefundRecorded(refund::recorded(parts)?),
        Kind::RedemptionRecorded => Body::Redemption(redemption::recorded(parts)?),
        Kind::RedemptionRequested => Body::Redemption(redemption::requested(parts)?),
        Kind::RedemptionReversed => redemption::reversed(parts)?,
        Kind::RewardGranted => redemption::granted(parts)?,
        Kind::ActivityRecorded => member::activity(parts)?,
        Kind::MemberExcluded => Body::MemberExcluded(member::excluded(parts)?),
        Kind::MemberIncluded => member::included(parts)?,
        Kind::RulesetActivated => member::ruleset(parts)?,
        Kind::RulesApplied => member::applied(parts)?,
        Kind::PointsImported => Body::PointsImported(points::imported(parts)?),
        Kind::PointsAdjusted => Body::PointsAdjusted(points::adjusted(parts)?),
        Kind::CouponUsed => coupon::used(parts)?,
        Kind::CouponReleased => coupon::released(parts)?,
        Kind::CouponReserved => coupon::reserved(parts)?,
        Kind::CouponRevoked => coupon::revoked(parts)?,
        Kind::MemberRegistered => member::registered(parts)?,
        Kind::MembersMerged => Body::MembersMerged { loser: member::loser(parts, "members_merged.loser")? },
        Kind::MembersUnmerged => Body::MembersUnmerged { loser: member::loser(parts, "members_unmerged.loser")? },
        Kind::CardIssued => card::issued(parts)?,
        Kind::CardStatusChanged => card::status_changed(parts)?,
        Kind::CardReplaced => card::replaced(parts)?,
        Kind::PointsTransferred => points::transferred(parts)?,
        Kind::PointsReceived => Body::PointsReceived(received::received(parts)?),
        Kind::ReferralVisited
        | Kind::ReferralJoined
        | Kind::ReferralCodeChanged
        | Kind::ReferralCodeClaimed
        | Kind::ReferralAsked
        | Kind::ReferralCodeSettled
        | Kind::ReferralAnswered
        | Kind::ReferralTold => referral::body(kind, parts)?,
        Kind::FactForwarded => hand_over::forwarded(parts)?,
        Kind::HandOverContinued => hand_over::continued(parts)?,
        Kind::MembersHandedOver => hand_over::handed_over(parts)?,
        Kind::ExceptionResolved => exception::resolved(parts)?,
        Kind::TierCreditAdjusted => tier::credit(parts, fact)?,
        Kind::TierCreditRecalculated => noted::check(fact).map(|()| Body::TierCreditRecalculated)?,
        Kind::TierOverridden => tier::overridden(parts, fact)?,
        Kind::TierOverrideEnded => noted::check(fact).map(|()| Body::TierOverrideEnded)?,
        Kind::MemberProfileChanged | Kind::MemberLeft | Kind::MemberErased | Kind::NoteAdded | Kind::TagsChanged => {
            noted::check(fact).map(|()| Body::Noted)?
        }
    })
}

/// A `Cause` of the wire; absent is a system.
fn cause(number: i64, field: &str) -> Result<accrue_ledger::Cause, Fault> {
    match number {
        0 | 2 => Ok(accrue_ledger::Cause::System),
        1 => Ok(accrue_ledger::Cause::Staff),
        _ => Err(fault("unknown_value", format!("{field} is {number}: staff (1) or system (2) is needed"))),
    }
}

/// The line of a list an error is about.
#[cold]
#[inline(never)]
fn in_entry(mut fault: Fault, index: usize) -> Fault {
    fault.detail.push_str(&format!(" (entry {index} of the list)"));
    fault
}
