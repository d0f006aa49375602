//! `fact_forwarded`, `hand_over_continued`, `members_handed_over`

use crate::check::{self, missing, required};
use crate::error::{Fault, fault};
use crate::wire::{Parts, each_field};
use accrue_ledger::{Body, Names};

/// What is inside is read where it is booked.
pub(super) fn forwarded<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut about, mut fact, mut decision): (&str, &[u8], Option<&[u8]>) = ("", &[], None);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => about = reader.text(key, "fact_forwarded.about")?,
            2 => fact = reader.bytes(key, "fact_forwarded.fact")?,
            3 => decision = Some(reader.bytes(key, "fact_forwarded.decision")?).filter(|bytes| !bytes.is_empty()),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    Ok(Body::FactForwarded { about: required(about, "fact_forwarded.about")?, fact, decision })
}

pub(super) fn continued<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut to, mut started, mut after) = ("", 0, 0);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => to = reader.text(key, "hand_over_continued.to")?,
            2 => started = reader.int(key, "hand_over_continued.started")?,
            3 => after = reader.int(key, "hand_over_continued.after")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    let position = |number: i64, field: &str| {
        u64::try_from(number).map_err(|_| fault("out_of_range", format!("{field} is {number}: no position is below 0")))
    };
    let (started, after) = (position(started, "hand_over_continued.started")?, position(after, "hand_over_continued.after")?);
    Ok(Body::HandOverContinued { to: required(to, "hand_over_continued.to")?, started, after })
}

/// As many as merges may have tied together: nobody else made it.
pub(super) fn handed_over<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let mut members = Names::default();
    each_field(parts, |reader, key| {
        match key.number() {
            1 => members.push(check::required(reader.text(key, "members_handed_over.members")?, "members_handed_over.members")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    if members.is_empty() {
        return Err(missing("members_handed_over.members"));
    }
    Ok(Body::MembersHandedOver { members })
}
