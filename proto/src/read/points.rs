//! `points_imported`, `points_adjusted`, `points_transferred`

use super::in_entry;
use crate::bounds::{LOTS_MAX, TEXT_BYTES_MAX};
use crate::check::{self, optional, required};
use crate::error::{Fault, fault};
use crate::time::{self, Stamp};
use crate::wire::{Key, Parts, Reader, each_field};
use accrue_ledger::calendar::{Duration, To};
use accrue_ledger::{Body, ImportedLot, PointsAdjusted, PointsImported, TransferTo, When};

pub(super) fn imported<'a>(parts: &Parts<'a>) -> Result<PointsImported<'a>, Fault> {
    let mut imported = PointsImported::default();
    each_field(parts, |reader, key| {
        match key.number() {
            1 => imported.import_id = reader.text(key, "points_imported.import_id")?,
            2 => imported.ledger = Some(reader.text(key, "points_imported.ledger")?),
            3 => {
                check::room(imported.lots.len(), LOTS_MAX, "points_imported.lots")?;
                let lot = lot(reader, key).map_err(|error| in_entry(error, imported.lots.len()))?;
                imported.lots.push(lot);
            }
            4 => imported.tier_credit = reader.int(key, "points_imported.tier_credit")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(imported.import_id, "points_imported.import_id")?;
    imported.ledger = optional(imported.ledger, "points_imported.ledger")?;
    if imported.lots.is_empty() {
        return Err(check::missing("points_imported.lots"));
    }
    check::amount(imported.tier_credit, "points_imported.tier_credit")?;
    Ok(imported)
}

pub(super) fn transferred<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut transfer_id, mut to, mut points, mut ledger) = ("", None, 0, None);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => transfer_id = reader.text(key, "points_transferred.transfer_id")?,
            2 => to = Some(TransferTo::Member(reader.text(key, "points_transferred.to_member")?)),
            3 => to = Some(TransferTo::Ledger(reader.text(key, "points_transferred.to_ledger")?)),
            4 => points = reader.int(key, "points_transferred.points")?,
            5 => ledger = Some(reader.text(key, "points_transferred.ledger")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(transfer_id, "points_transferred.transfer_id")?;
    let to = to.ok_or_else(|| check::missing("points_transferred: one of to_member and to_ledger"))?;
    let (TransferTo::Member(name) | TransferTo::Ledger(name)) = to;
    required(name, "points_transferred: to_member or to_ledger")?;
    check::positive(points, "points_transferred.points")?;
    Ok(Body::PointsTransferred { transfer_id, to, points, ledger: optional(ledger, "points_transferred.ledger")? })
}

pub(super) fn lot(reader: &mut Reader<'_>, key: Key) -> Result<ImportedLot, Fault> {
    let (mut points, mut earned_at, mut starts_at, mut expires_at) = (0, None, None, None);
    each_field(&[reader.bytes(key, "points_imported.lots")?], |reader, key| match key.number() {
        1 => reader.int(key, "points").map(|value| points = value),
        2 => time::merge(&mut earned_at, reader, key, "earned_at"),
        3 => time::merge(&mut starts_at, reader, key, "starts_at"),
        4 => time::merge(&mut expires_at, reader, key, "expires_at"),
        _ => reader.skip(key),
    })?;
    Ok(ImportedLot {
        points: check::positive(points, "points")?,
        earned_at: time::instant(earned_at, "earned_at")?,
        starts_at: time::instant(starts_at, "starts_at")?,
        expires_at: time::instant(expires_at, "expires_at")?,
    })
}

pub(super) fn adjusted<'a>(parts: &Parts<'a>) -> Result<PointsAdjusted<'a>, Fault> {
    let mut adjusted = PointsAdjusted::default();
    let (mut note, mut starts, mut expires) = ("", None, None);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => adjusted.adjustment_id = reader.text(key, "points_adjusted.adjustment_id")?,
            2 => adjusted.ledger = Some(reader.text(key, "points_adjusted.ledger")?),
            3 => adjusted.points = reader.int(key, "points_adjusted.points")?,
            4 => adjusted.tier_credit = reader.int(key, "points_adjusted.tier_credit")?,
            5 => adjusted.reason = reader.text(key, "points_adjusted.reason")?,
            6 => note = reader.text(key, "points_adjusted.note")?,
            7 => adjusted.message = Some(reader.text(key, "points_adjusted.message")?),
            8 => merge(starts.get_or_insert(Said::Nothing), reader, key, "points_adjusted.starts")?,
            9 => merge(expires.get_or_insert(Said::Nothing), reader, key, "points_adjusted.expires")?,
            10 => adjusted.allow_debt = reader.bool(key, "points_adjusted.allow_debt")?,
            11 => adjusted.takes_back = Some(reader.text(key, "points_adjusted.takes_back")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(adjusted.adjustment_id, "points_adjusted.adjustment_id")?;
    adjusted.ledger = optional(adjusted.ledger, "points_adjusted.ledger")?;
    check::nonzero(adjusted.points, "points_adjusted.points")?;
    check::signed(adjusted.tier_credit, "points_adjusted.tier_credit")?;
    check::text(adjusted.reason, TEXT_BYTES_MAX, "points_adjusted.reason")?;
    check::text(note, TEXT_BYTES_MAX, "points_adjusted.note")?;
    adjusted.message = adjusted.message.filter(|message| !message.is_empty());
    check::text(adjusted.message.unwrap_or(""), TEXT_BYTES_MAX, "points_adjusted.message")?;
    adjusted.starts = starts.map(|said| when(said, "points_adjusted.starts")).transpose()?;
    adjusted.expires = expires.map(|said| when(said, "points_adjusted.expires")).transpose()?;
    adjusted.takes_back = optional(adjusted.takes_back, "points_adjusted.takes_back")?;
    if adjusted.takes_back.is_some() && adjusted.points > 0 {
        let detail = "points_adjusted.takes_back is for deductions: points must be negative";
        return Err(fault("unexpected_field", detail));
    }
    Ok(adjusted)
}

/// A `When` while it is being read.
#[derive(Clone, Copy)]
enum Said<'a> {
    Nothing,
    At(Stamp),
    Named(i64),
    After(&'a str, &'a str),
}

fn merge<'a>(said: &mut Said<'a>, reader: &mut Reader<'a>, key: Key, field: &str) -> Result<(), Fault> {
    each_field(&[reader.bytes(key, field)?], |reader, key| {
        match key.number() {
            1 => {
                let mut at = if let Said::At(at) = *said { at } else { Stamp::default() };
                at.merge(reader, key, field)?;
                *said = Said::At(at);
            }
            2 => *said = Said::Named(reader.int(key, field)?),
            3 => {
                let (mut after, mut to) = if let Said::After(after, to) = *said { (after, to) } else { ("", "") };
                each_field(&[reader.bytes(key, field)?], |reader, key| {
                    match key.number() {
                        1 => after = reader.text(key, field)?,
                        2 => to = reader.text(key, field)?,
                        _ => reader.skip(key)?,
                    }
                    Ok(())
                })?;
                *said = Said::After(after, to);
            }
            _ => reader.skip(key)?,
        }
        Ok(())
    })
}

fn when<'a>(said: Said<'a>, field: &str) -> Result<When<'a>, Fault> {
    match said {
        Said::At(at) => at.instant(field).map(When::At),
        Said::Named(1) => Ok(When::Never),
        Said::Named(2) => Ok(When::Immediate),
        Said::After(after, to) => {
            if Duration::parse(after).is_none() {
                let after = check::shown(after);
                return Err(fault(
                    "unknown_value",
                    format!("{field}: after is {after}: a duration like \"P14D\" is needed (iso 8601)"),
                ));
            }
            if !to.is_empty() && To::parse(to).is_none() {
                let detail = format!(
                    "{field}: to is {}: day_start, or day_, week_, month_, quarter_ or year_end is needed",
                    check::shown(to)
                );
                return Err(fault("unknown_value", detail));
            }
            Ok(When::After { after, to })
        }
        Said::Nothing => Err(check::missing(field)),
        Said::Named(number) => Err(fault("unknown_value", format!("{field} is {number}: never (1) or immediate (2) is needed"))),
    }
}
