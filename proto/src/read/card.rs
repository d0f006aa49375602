//! `card_issued`, `card_status_changed`, `card_replaced`

use crate::check::{missing, required};
use crate::error::{Fault, fault};
use crate::wire::{Parts, each_field};
use accrue_ledger::{Body, CardStatus};

pub(super) fn issued<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let mut code = "";
    each_field(parts, |reader, key| match key.number() {
        1 => reader.text(key, "card_issued.code").map(|said| code = said),
        _ => reader.skip(key),
    })?;
    Ok(Body::CardIssued { code: required(code, "card_issued.code")? })
}

pub(super) fn status_changed<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut code, mut status) = ("", 0);
    each_field(parts, |reader, key| match key.number() {
        1 => reader.text(key, "card_status_changed.code").map(|said| code = said),
        2 => reader.int(key, "card_status_changed.status").map(|said| status = said),
        _ => reader.skip(key),
    })?;
    let code = required(code, "card_status_changed.code")?;
    // As prost reads an enum: its low 32 bits.
    let status = match status as i32 {
        0 => return Err(missing("card_status_changed.status")),
        1 => CardStatus::Active,
        2 => CardStatus::Inactive,
        3 => CardStatus::Blocked,
        number => {
            let detail = format!("card_status_changed.status is {number}: active, inactive or blocked is needed");
            return Err(fault("unknown_value", detail));
        }
    };
    Ok(Body::CardStatusChanged { code, status })
}

pub(super) fn replaced<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut old, mut new) = ("", "");
    each_field(parts, |reader, key| match key.number() {
        1 => reader.text(key, "card_replaced.old").map(|said| old = said),
        2 => reader.text(key, "card_replaced.new").map(|said| new = said),
        _ => reader.skip(key),
    })?;
    Ok(Body::CardReplaced { old: required(old, "card_replaced.old")?, new: required(new, "card_replaced.new")? })
}
