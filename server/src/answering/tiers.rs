//! Moves between tiers, and points that end soon.

use super::past::Past;
use super::{find, no_member, value};
use crate::problem::Problem;
use crate::question::OfMember;
use crate::readers::Readers;
use accrue_ledger::Instant;
use accrue_ledger::calendar::{self, Duration, To};
use accrue_projections::{ExpiringRow, LedgerReader, Sweeping};
use serde_json::{Value, json};

/// Every move of a member from one tier to another.
pub(super) fn moves(readers: &Readers, of: &OfMember, now: Instant) -> Result<Value, Problem> {
    let found = find(readers, of, |open| open.reader.tier_moves(&of.program, &of.member, of.as_of, now))?;
    let Some(found) = found else { return Err(no_member(of)) };
    Ok(json!({ "program": of.program, "member": of.member, "moves": value(&found)? }))
}

/// Points of a program that end from `at` on within a time, soonest first, at most `limit` rows.
pub(super) fn expiring(readers: &Readers, program: &str, within: &str, limit: usize, past: &Past<'_>) -> Result<Value, Problem> {
    let at = past.at();
    let Some(length) = Duration::parse(within) else {
        return Err(Problem::new("bad_request", format!("within is {within:?}, it has to be a duration, such as P30D")));
    };
    let (mut rows, mut of, mut points): (Vec<ExpiringRow>, u64, i64) = (Vec::new(), 0, 0);
    let mut until = at;
    for open in readers.ready()? {
        let Some(rules) = open.reader.timeline(program) else { continue };
        let Some(rules) = rules.at(at).cloned() else { continue };
        until = calendar::add(at, length, To::Exact, &rules.zone);
        let mut keep = |row: ExpiringRow| {
            of += 1;
            points += row.points;
            rows.push(row);
            // So that memory does not grow with members.
            if rows.len() >= limit.saturating_mul(2).max(1_000) {
                rows.sort();
                rows.truncate(limit);
            }
        };
        if past.as_of.is_present(past.now) {
            open.reader.each_expiring(program, at, until, &mut keep)?;
        } else {
            let then = |reader: &LedgerReader, how: &Sweeping<'_>| reader.expiring_then(how, until, &mut keep);
            past.ask(&open, program, |_| Ok(()), then)?;
        }
    }
    rows.sort();
    rows.truncate(limit);
    Ok(json!({
        "program": program, "from": at.to_string(), "until": until.to_string(),
        "of": of, "points": points, "expiring": value(&rows)?,
    }))
}
