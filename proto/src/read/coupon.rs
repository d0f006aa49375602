//! `coupon_used`, `coupon_released`, `coupon_reserved`, `coupon_revoked`

use super::cause;
use crate::check::{missing, required};
use crate::error::Fault;
use crate::time::{self, Stamp};
use crate::wire::{Key, Parts, Reader, each_field};
use accrue_ledger::{Body, CouponRef};

/// Fields 1 to 3 of all four: a oneof, the last wins.
fn named<'a>(reader: &mut Reader<'a>, key: Key) -> Result<Option<CouponRef<'a>>, Fault> {
    Ok(match key.number() {
        1 => Some(CouponRef::Code(reader.text(key, "code")?)),
        2 => Some(CouponRef::Redemption(reader.text(key, "redemption_id")?)),
        3 => Some(CouponRef::Grant(reader.text(key, "grant_id")?)),
        _ => None,
    })
}

fn checked(coupon: Option<CouponRef<'_>>) -> Result<CouponRef<'_>, Fault> {
    let coupon = coupon.ok_or_else(|| missing("the coupon's code, redemption_id or grant_id"))?;
    match coupon {
        CouponRef::Code(id) => required(id, "code")?,
        CouponRef::Redemption(id) => required(id, "redemption_id")?,
        CouponRef::Grant(id) => required(id, "grant_id")?,
    };
    Ok(coupon)
}

fn coupon_and_order<'a>(parts: &Parts<'a>) -> Result<(CouponRef<'a>, &'a str), Fault> {
    let (mut coupon, mut order_id) = (None, "");
    each_field(parts, |reader, key| {
        match key.number() {
            1..=3 => coupon = named(reader, key)?,
            4 => order_id = reader.text(key, "order_id")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    Ok((checked(coupon)?, required(order_id, "order_id")?))
}

pub(super) fn used<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    coupon_and_order(parts).map(|(coupon, order_id)| Body::CouponUsed { coupon, order_id })
}

pub(super) fn released<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    coupon_and_order(parts).map(|(coupon, order_id)| Body::CouponReleased { coupon, order_id })
}

pub(super) fn reserved<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (coupon, order_id) = coupon_and_order(parts)?;
    let mut until: Option<Stamp> = None;
    each_field(parts, |reader, key| match key.number() {
        5 => time::merge(&mut until, reader, key, "coupon_reserved.until"),
        _ => reader.skip(key),
    })?;
    let until = until.ok_or_else(|| missing("coupon_reserved.until"))?.instant("coupon_reserved.until")?;
    Ok(Body::CouponReserved { coupon, order_id, until })
}

pub(super) fn revoked<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut coupon, mut restore_points, mut by) = (None, false, 0);
    each_field(parts, |reader, key| {
        match key.number() {
            1..=3 => coupon = named(reader, key)?,
            4 => restore_points = reader.bool(key, "coupon_revoked.restore_points")?,
            5 => by = reader.int(key, "coupon_revoked.cause")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    Ok(Body::CouponRevoked { coupon: checked(coupon)?, restore_points, cause: cause(by, "coupon_revoked.cause")? })
}
