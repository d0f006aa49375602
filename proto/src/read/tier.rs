//! Credit toward tiers and tiers by hand: rare enough to be checked through the owned types first.

use super::noted;
use crate::check::{optional, required};
use crate::error::Fault;
use crate::time;
use crate::wire::{Parts, each_field};
use accrue_ledger::Body;

pub(super) fn credit<'a>(parts: &Parts<'a>, fact: &[u8]) -> Result<Body<'a>, Fault> {
    noted::check(fact)?;
    let mut amount = 0;
    each_field(parts, |reader, key| match key.number() {
        1 => reader.int(key, "tier_credit_adjusted.amount").map(|value| amount = value),
        _ => reader.skip(key),
    })?;
    Ok(Body::TierCreditAdjusted { amount })
}

pub(super) fn overridden<'a>(parts: &Parts<'a>, fact: &[u8]) -> Result<Body<'a>, Fault> {
    noted::check(fact)?;
    let (mut tier, mut mode, mut until) = (None, 0, None);
    each_field(parts, |reader, key| match key.number() {
        1 => reader.text(key, "tier_overridden.tier").map(|value| tier = Some(value)),
        2 => reader.int(key, "tier_overridden.mode").map(|value| mode = value),
        3 => time::merge(&mut until, reader, key, "tier_overridden.until"),
        _ => reader.skip(key),
    })?;
    let tier = required(optional(tier, "tier_overridden.tier")?.unwrap_or(""), "tier_overridden.tier")?;
    Ok(Body::TierOverridden { tier, floor: mode == 2, until: time::instant(until, "tier_overridden.until")? })
}
