//! Facts without rules of their own: rare enough to be checked through the owned types.

use crate::bounds::TEXT_BYTES_MAX;
use crate::check::{self, missing, required};
use crate::error::{Fault, fault};
use crate::pb;
use crate::time::from_timestamp;
use prost::Message as _;

pub(super) fn check(fact: &[u8]) -> Result<(), Fault> {
    let fact = pb::Fact::decode(fact).map_err(|error| fault("undecodable", format!("protobuf: {error}")))?;
    let body = fact.body.ok_or_else(|| fault("unknown_body", "the fact has no body"))?;
    noted(&body)
}

fn noted(body: &pb::fact::Body) -> Result<(), Fault> {
    use pb::fact::Body as B;
    match body {
        B::MemberProfileChanged(pb::MemberProfileChanged { sealed, .. })
        | B::NoteAdded(pb::NoteAdded { sealed, .. })
        | B::TagsChanged(pb::TagsChanged { sealed, .. })
            if !sealed.is_empty() =>
        {
            crate::personal::only_sealed(body)
        }
        B::MemberProfileChanged(profile) => profile_changed(profile),
        B::NoteAdded(pb::NoteAdded { text, .. }) if text.is_empty() => Err(missing("note_added.text")),
        B::NoteAdded(pb::NoteAdded { text, .. }) => check::text(text, TEXT_BYTES_MAX, "note_added.text").map(drop),
        B::TagsChanged(pb::TagsChanged { add, remove, .. }) => {
            if add.is_empty() && remove.is_empty() {
                return Err(missing("tags_changed: one of add and remove"));
            }
            let labels = add.iter().enumerate().chain(remove.iter().enumerate());
            labels.into_iter().try_for_each(|(index, tag)| check::label(tag, index, "tags_changed").map(drop))
        }
        B::TierCreditAdjusted(adjusted) => {
            check::nonzero(adjusted.amount, "tier_credit_adjusted.amount")?;
            check::text(&adjusted.reason, TEXT_BYTES_MAX, "tier_credit_adjusted.reason").map(drop)
        }
        B::TierOverridden(tier) => tier_overridden(tier),
        // Nothing inside, or nothing that could be wrong.
        B::MemberLeft(_) | B::MemberErased(_) | B::TierCreditRecalculated(_) | B::TierOverrideEnded(_) => Ok(()),
        // These have readers of their own.
        B::MemberRegistered(_) | B::MembersMerged(_) | B::MembersUnmerged(_) => Ok(()),
        B::CardIssued(_) | B::CardStatusChanged(_) | B::CardReplaced(_) => Ok(()),
        B::ReferralVisited(_) | B::ReferralJoined(_) | B::ReferralCodeChanged(_) | B::ReferralCodeClaimed(_) => Ok(()),
        B::ReferralAsked(_) | B::ReferralCodeSettled(_) | B::ReferralAnswered(_) | B::ReferralTold(_) => Ok(()),
        B::OrderPlaced(_) | B::OrderFulfilled(_) | B::OrderCancelled(_) | B::RefundRecorded(_) | B::ActivityRecorded(_) => Ok(()),
        B::PointsImported(_) | B::PointsAdjusted(_) | B::MemberExcluded(_) | B::MemberIncluded(_) => Ok(()),
        B::RulesetActivated(_) | B::RulesApplied(_) => Ok(()),
        B::RedemptionRecorded(_) | B::RedemptionRequested(_) | B::RedemptionReversed(_) | B::RewardGranted(_) => Ok(()),
        B::PointsTransferred(_) | B::PointsReceived(_) | B::ExceptionResolved(_) => Ok(()),
        B::CouponUsed(_) | B::CouponReleased(_) | B::CouponReserved(_) | B::CouponRevoked(_) => Ok(()),
        B::FactForwarded(_) | B::HandOverContinued(_) | B::MembersHandedOver(_) => Ok(()),
    }
}

fn profile_changed(profile: &pb::MemberProfileChanged) -> Result<(), Fault> {
    let texts = [
        ("member_profile_changed.name", &profile.name),
        ("member_profile_changed.email", &profile.email),
        ("member_profile_changed.phone", &profile.phone),
    ];
    for (field, said) in texts {
        check::text(said.as_deref().unwrap_or(""), TEXT_BYTES_MAX, field)?;
    }
    if let Some(birthday) = profile.birthday.as_deref().filter(|text| !text.is_empty())
        && (birthday.len() != 10 || birthday.parse::<jiff::civil::Date>().is_err())
    {
        let detail = "member_profile_changed.birthday is no date: \"1990-02-28\" is the form";
        return Err(fault("unknown_value", detail));
    }
    let names = profile.attributes.keys().enumerate().chain(profile.consents.keys().enumerate());
    for (index, name) in names {
        check::label(name, index, "member_profile_changed: attributes or consents: a name")?;
    }
    profile
        .attributes
        .values()
        .try_for_each(|said| check::text(said, TEXT_BYTES_MAX, "member_profile_changed.attributes").map(drop))
}

fn tier_overridden(tier: &pb::TierOverridden) -> Result<(), Fault> {
    required(&tier.tier, "tier_overridden.tier")?;
    check::text(&tier.reason, TEXT_BYTES_MAX, "tier_overridden.reason")?;
    if tier.until.as_ref().is_some_and(|until| from_timestamp(until).is_none()) {
        return Err(fault("out_of_range", "tier_overridden.until is no instant of the calendar"));
    }
    match tier.mode() {
        pb::tier_overridden::Mode::Unspecified => Err(named(tier.mode, "tier_overridden.mode", "exact or floor")),
        pb::tier_overridden::Mode::Exact | pb::tier_overridden::Mode::Floor => Ok(()),
    }
}

fn named(number: i32, field: &str, names: &str) -> Fault {
    if number == 0 { missing(field) } else { fault("unknown_value", format!("{field} is {number}: {names} is needed")) }
}
