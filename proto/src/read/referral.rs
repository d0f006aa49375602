//! Facts of referrals: from outside, and from one shard to another.

use crate::bounds::SLUG_BYTES_MAX;
use crate::check::{self, optional, required};
use crate::error::{Fault, fault};
use crate::wire::{Parts, each_field};
use accrue_ledger::{Body, Kind, ReferralFact, Stage, Told};

pub(super) fn body<'a>(kind: Kind, parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    Ok(Body::Referral(match kind {
        Kind::ReferralTold => ReferralFact::Told(told(parts)?),
        Kind::ReferralCodeSettled => settled(parts)?,
        _ => {
            let (first, second) = texts(parts)?;
            let code = required(first, "code")?;
            match kind {
                Kind::ReferralVisited => ReferralFact::Visited { code },
                Kind::ReferralCodeChanged => ReferralFact::CodeChanged { slug: slug(first)? },
                Kind::ReferralCodeClaimed => ReferralFact::CodeClaimed { code, owner: required(second, "owner")? },
                Kind::ReferralAsked => ReferralFact::Asked { code, friend: required(second, "friend")? },
                Kind::ReferralAnswered => ReferralFact::Answered { code, owner: required(second, "owner")? },
                _ => ReferralFact::Joined { code },
            }
        }
    }))
}

/// Fields 1 and 2 of the bodies that have nothing but texts.
fn texts<'a>(parts: &Parts<'a>) -> Result<(&'a str, &'a str), Fault> {
    let (mut first, mut second) = ("", "");
    each_field(parts, |reader, key| {
        match key.number() {
            1 => first = reader.text(key, "the first field")?,
            2 => second = reader.text(key, "the second field")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    Ok((first, second))
}

/// What links can show as it is.
fn slug(slug: &str) -> Result<&str, Fault> {
    let slug = required(slug, "referral_code_changed.slug")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if slug.len() > SLUG_BYTES_MAX || !slug.bytes().all(plain) {
        let hint = format!("1 to {SLUG_BYTES_MAX} letters, digits, \"-\", \"_\", \".\" and \"~\" are needed");
        return Err(fault("invalid_id", format!("referral_code_changed.slug is {}: {hint}", check::shown(slug))));
    }
    Ok(slug)
}

fn settled<'a>(parts: &Parts<'a>) -> Result<ReferralFact<'a>, Fault> {
    let (mut code, mut taken) = ("", false);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => code = reader.text(key, "referral_code_settled.code")?,
            2 => taken = reader.bool(key, "referral_code_settled.taken")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    Ok(ReferralFact::CodeSettled { code: required(code, "referral_code_settled.code")?, taken })
}

fn told<'a>(parts: &Parts<'a>) -> Result<Told<'a>, Fault> {
    let (mut told, mut stage, mut order_id) = (Told::default(), 0, None);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => told.friend = reader.text(key, "referral_told.friend")?,
            2 => told.code = reader.text(key, "referral_told.code")?,
            3 => stage = reader.int(key, "referral_told.stage")?,
            4 => told.revision = reader.int(key, "referral_told.revision")?,
            5 => order_id = Some(reader.text(key, "referral_told.order_id")?),
            6 => told.amount = reader.int(key, "referral_told.amount")?,
            7 => told.withdrawn = reader.bool(key, "referral_told.withdrawn")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(told.friend, "referral_told.friend")?;
    required(told.code, "referral_told.code")?;
    told.order_id = optional(order_id, "referral_told.order_id")?.unwrap_or_default();
    told.stage = Stage::from_number(stage).ok_or_else(|| {
        fault("unknown_value", format!("referral_told.stage is {stage}: joined (1), ordered (2) or reversed (3) is needed"))
    })?;
    Ok(told)
}
