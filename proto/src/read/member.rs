//! `activity_recorded`, `member_registered`, `members_merged`, `members_unmerged`, `member_excluded`, `member_included`, `ruleset_activated`, `rules_applied`

use crate::bounds::{LABELS_MAX, RULESET_BYTES_MAX, TEXT_BYTES_MAX};
use crate::check::{self, missing, required};
use crate::error::{Fault, fault};
use crate::time::{self, Stamp};
use crate::wire::{Key, Parts, Reader, each_field};
use accrue_ledger::{Body, Exclusion, Fact};

pub(super) fn activity<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut activity_id, mut activity, mut attributes) = ("", "", 0);
    each_field(parts, |reader, key| {
        match key.number() {
            1 => activity_id = reader.text(key, "activity_recorded.activity_id")?,
            2 => activity = reader.text(key, "activity_recorded.activity")?,
            3 => {
                check::room(attributes, LABELS_MAX, "activity_recorded.attributes")?;
                attribute(reader, key)?;
                attributes += 1;
            }
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    Ok(Body::ActivityRecorded {
        activity_id: required(activity_id, "activity_recorded.activity_id")?,
        activity: required(activity, "activity_recorded.activity")?,
    })
}

fn attribute(reader: &mut Reader<'_>, key: Key) -> Result<(), Fault> {
    let (mut name, mut said) = ("", "");
    each_field(&[reader.bytes(key, "activity_recorded.attributes")?], |reader, key| {
        match key.number() {
            1 => name = reader.text(key, "activity_recorded.attributes")?,
            2 => said = reader.text(key, "activity_recorded.attributes")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(name, "activity_recorded.attributes: a name")?;
    check::text(said, TEXT_BYTES_MAX, "activity_recorded.attributes").map(drop)
}

pub(super) fn excluded(parts: &Parts<'_>) -> Result<Exclusion, Fault> {
    let (mut from, mut until): (Option<Stamp>, Option<Stamp>) = (None, None);
    let (mut earn, mut redeem) = (false, false);
    each_field(parts, |reader, key| match key.number() {
        1 => time::merge(&mut from, reader, key, "member_excluded.from"),
        2 => time::merge(&mut until, reader, key, "member_excluded.until"),
        3 => reader.bool(key, "member_excluded.earn").map(|said| earn = said),
        4 => reader.bool(key, "member_excluded.redeem").map(|said| redeem = said),
        _ => reader.skip(key),
    })?;
    if !earn && !redeem {
        return Err(missing("member_excluded: one of earn and redeem"));
    }
    let (from, until) = (time::instant(from, "member_excluded.from")?, time::instant(until, "member_excluded.until")?);
    Ok(Exclusion { from, until, earn, redeem })
}

/// An exclusion ends after it starts; where it starts only the envelope may know.
pub(super) fn exclusion_after_start(fact: &Fact<'_>) -> Result<(), Fault> {
    if let Body::MemberExcluded(Exclusion { from, until: Some(until), .. }) = fact.body
        && until <= from.unwrap_or(fact.occurred_at)
    {
        let detail = format!("member_excluded.until is {until}: not after its start, {}", from.unwrap_or(fact.occurred_at));
        return Err(fault("out_of_range", detail));
    }
    Ok(())
}

pub(super) fn registered<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let mut guest = false;
    each_field(parts, |reader, key| match key.number() {
        1 => reader.bool(key, "member_registered.guest").map(|said| guest = said),
        _ => reader.skip(key),
    })?;
    Ok(Body::MemberRegistered { guest })
}

/// The other member of a merge.
pub(super) fn loser<'a>(parts: &Parts<'a>, field: &str) -> Result<&'a str, Fault> {
    let mut loser = "";
    each_field(parts, |reader, key| match key.number() {
        1 => reader.text(key, field).map(|said| loser = said),
        _ => reader.skip(key),
    })?;
    required(loser, field)
}

/// Nothing inside but what later versions may add.
pub(super) fn included<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    each_field(parts, Reader::skip).map(|()| Body::MemberIncluded)
}

pub(super) fn ruleset<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut ruleset, mut hash, mut effective_from) = ("", "", None);
    each_field(parts, |reader, key| match key.number() {
        1 => reader.text(key, "ruleset_activated.ruleset").map(|said| ruleset = said),
        2 => reader.text(key, "ruleset_activated.hash").map(|said| hash = said),
        3 => time::merge(&mut effective_from, reader, key, "ruleset_activated.effective_from"),
        _ => reader.skip(key),
    })?;
    if ruleset.is_empty() {
        return Err(missing("ruleset_activated.ruleset"));
    }
    if !required(hash, "ruleset_activated.hash")?.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let detail = format!("ruleset_activated.hash is {}: hex digits are needed", check::shown(hash));
        return Err(fault("invalid_id", detail));
    }
    let effective_from = time::instant(effective_from, "ruleset_activated.effective_from")?
        .ok_or_else(|| missing("ruleset_activated.effective_from"))?;
    let ruleset = check::text(ruleset, RULESET_BYTES_MAX, "ruleset_activated.ruleset")?;
    Ok(Body::RulesetActivated { ruleset, hash, effective_from })
}

pub(super) fn applied<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut application, mut record) = ("", "");
    each_field(parts, |reader, key| match key.number() {
        1 => reader.text(key, "rules_applied.application").map(|said| application = said),
        2 => reader.text(key, "rules_applied.record").map(|said| record = said),
        _ => reader.skip(key),
    })?;
    let application = required(application, "rules_applied.application")?;
    if record.is_empty() {
        return Err(missing("rules_applied.record"));
    }
    let record = check::text(record, 2 * RULESET_BYTES_MAX, "rules_applied.record")?;
    Ok(Body::RulesApplied { application, record })
}
