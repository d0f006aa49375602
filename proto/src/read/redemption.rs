//! `redemption_recorded`, `redemption_requested`, `redemption_reversed`, `reward_granted`

use super::cause;
use crate::bounds::TEXT_BYTES_MAX;
use crate::check::{self, optional, positive, required};
use crate::error::Fault;
use crate::wire::{Parts, each_field};
use accrue_ledger::{Body, Redemption};

pub(super) fn recorded<'a>(parts: &Parts<'a>) -> Result<Redemption<'a>, Fault> {
    let redemption = redemption(parts, true)?;
    // A request without either is refused by the rules; a fact can't be refused.
    if redemption.reward.is_none() && redemption.points.is_none() {
        return Err(check::missing("redemption_recorded: one of reward and points"));
    }
    Ok(redemption)
}

pub(super) fn requested<'a>(parts: &Parts<'a>) -> Result<Redemption<'a>, Fault> {
    redemption(parts, false)
}

fn redemption<'a>(parts: &Parts<'a>, with_coupon: bool) -> Result<Redemption<'a>, Fault> {
    let mut redemption = Redemption::default();
    each_field(parts, |reader, key| {
        match key.number() {
            1 => redemption.redemption_id = reader.text(key, "redemption_id")?,
            2 => redemption.reward = Some(reader.text(key, "reward")?),
            3 => redemption.points = Some(reader.int(key, "points")?),
            4 => redemption.ledger = Some(reader.text(key, "ledger")?),
            5 if with_coupon => redemption.coupon_code = Some(reader.text(key, "coupon_code")?),
            6 => redemption.order_id = Some(reader.text(key, "order_id")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(redemption.redemption_id, "redemption_id")?;
    redemption.points.map(|points| positive(points, "points")).transpose()?;
    redemption.reward = optional(redemption.reward, "reward")?;
    redemption.ledger = optional(redemption.ledger, "ledger")?;
    redemption.coupon_code = optional(redemption.coupon_code, "coupon_code")?;
    redemption.order_id = optional(redemption.order_id, "order_id")?;
    Ok(redemption)
}

pub(super) fn reversed<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut redemption_id, mut points, mut by) = ("", None, 0);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => redemption_id = reader.text(key, "redemption_reversed.redemption_id")?,
            2 => points = Some(reader.int(key, "redemption_reversed.points")?),
            3 => by = reader.int(key, "redemption_reversed.cause")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    Ok(Body::RedemptionReversed {
        redemption_id: required(redemption_id, "redemption_reversed.redemption_id")?,
        points: points.map(|points| positive(points, "redemption_reversed.points")).transpose()?,
        cause: cause(by, "redemption_reversed.cause")?,
    })
}

pub(super) fn granted<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut grant_id, mut reward, mut reason, mut deduct) = ("", "", "", None);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => grant_id = reader.text(key, "reward_granted.grant_id")?,
            2 => reward = reader.text(key, "reward_granted.reward")?,
            3 => reason = reader.text(key, "reward_granted.reason")?,
            4 => deduct = Some(reader.bool(key, "reward_granted.deduct")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    Ok(Body::RewardGranted {
        grant_id: required(grant_id, "reward_granted.grant_id")?,
        reward: required(reward, "reward_granted.reward")?,
        reason: check::text(reason, TEXT_BYTES_MAX, "reward_granted.reason")?,
        deduct,
    })
}
