//! Lists of members: by id, page by page; and those with the largest numbers.

use super::past::Past;
use super::value;
use crate::problem::Problem;
use crate::question::{OfMember, token};
use crate::readers::Readers;
use accrue_ledger::{Instant, Status};
use accrue_projections::{LedgerReader, LookUp, MemberAnswer, MemberRow, Profile, ProjectionError, Sweeping, happened};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Rows read at a time when all are looked at.
const SCAN_ROWS: usize = 10_000;

/// By what members can be sorted: a column of their row.
pub const SORTS: [&str; 8] = ["active", "pending", "debt", "earned", "spent", "expired", "orders", "spend"];

/// Members by id, of all shards, behind `after`.
pub(super) fn page(readers: &Readers, program: &str, after: &str, limit: usize, past: &Past<'_>) -> Result<Value, Problem> {
    let mut rows: Vec<MemberRow> = Vec::new();
    // One more than wanted says whether there is another page.
    let most = limit.saturating_add(1);
    for open in readers.ready()? {
        let present = |reader: &LedgerReader| reader.members(program, after, most, past.at());
        let then = |reader: &LedgerReader, how: &Sweeping<'_>| first(reader, how, after, most);
        rows.extend(past.ask(&open, program, present, then)?);
    }
    rows.sort_by(|a, b| a.member.cmp(&b.member));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| token(&row.member));
    Ok(json!({ "program": program, "members": value(&rows)?, "next_page_token": next }))
}

/// The first members of a past by id, behind `after`.
fn first(reader: &LedgerReader, how: &Sweeping<'_>, after: &str, most: usize) -> Result<Vec<MemberRow>, ProjectionError> {
    let mut rows: BTreeMap<String, MemberRow> = BTreeMap::new();
    reader.members_then(how, |row| {
        if *row.member > *after {
            rows.insert(row.member.clone(), row);
            if rows.len() > most {
                rows.pop_last();
            }
        }
    })?;
    Ok(rows.into_values().collect())
}

/// The members that are found by that, of all shards. That nobody is found is an answer, too.
pub(super) fn find(readers: &Readers, program: &str, by: &LookUp, past: &Past<'_>) -> Result<Value, Problem> {
    let mut found: Vec<(String, u32)> = Vec::new();
    for open in readers.ready()? {
        let members = open.reader.look_up(program, by, past.as_of, past.now)?;
        found.extend(members.into_iter().map(|member| (member, open.reader.shard())));
    }
    if found.is_empty() {
        readers.may_be_elsewhere()?;
    }
    found.sort();
    let rows: Vec<Value> = found.iter().map(|(member, shard)| json!({ "member": member, "shard": shard })).collect();
    Ok(json!({ "program": program, "members": rows }))
}

/// What people have said of a member under other names, in the shards of those: only there it can be read.
pub(super) fn add_profiles(readers: &Readers, of: &OfMember, found: &mut MemberAnswer, now: Instant) -> Result<(), Problem> {
    let (mut facts, mut elsewhere) = (Vec::new(), false);
    for name in found.merged.iter().chain([&found.member]) {
        for open in readers.of_member(&of.program, name)? {
            elsewhere |= open.reader.shard() != found.shard;
            facts.extend(open.reader.said_of(&of.program, name, of.as_of, now)?);
        }
    }
    if elsewhere && found.standing != Status::Erased.name() {
        let erased = found.erased_at.as_deref().and_then(Instant::parse);
        facts.retain(|fact| erased.is_none_or(|erased| happened(fact) > erased));
        found.profile = Profile::of_all(facts);
    }
    Ok(())
}

/// The members with the largest numbers: looks at all of them.
pub(super) fn top(readers: &Readers, program: &str, sort: &str, limit: usize, past: &Past<'_>) -> Result<Value, Problem> {
    if !SORTS.contains(&sort) {
        return Err(Problem::new("bad_request", format!("sort is {sort:?}, it has to be one of {}", SORTS.join(", "))));
    }
    let mut best: Vec<MemberRow> = Vec::new();
    // The id decides between equals, so that the answer does not depend on shards.
    let keep = |best: &mut Vec<MemberRow>| {
        best.sort_by_cached_key(|row| (Reverse(number(row, sort)), row.member.clone()));
        best.truncate(limit);
    };
    for open in readers.ready()? {
        let present = |reader: &LedgerReader| -> Result<Vec<MemberRow>, ProjectionError> {
            let (mut best, mut after) = (Vec::new(), String::new());
            loop {
                let rows = reader.members(program, &after, SCAN_ROWS, past.at())?;
                let Some(last) = rows.last() else { return Ok(best) };
                after.clone_from(&last.member);
                best.extend(rows);
                keep(&mut best);
            }
        };
        let then = |reader: &LedgerReader, how: &Sweeping<'_>| -> Result<Vec<MemberRow>, ProjectionError> {
            let mut best = Vec::new();
            reader.members_then(how, |row| {
                best.push(row);
                if best.len() >= limit.saturating_add(SCAN_ROWS) {
                    keep(&mut best);
                }
            })?;
            Ok(best)
        };
        best.extend(past.ask(&open, program, present, then)?);
        keep(&mut best);
    }
    Ok(json!({ "program": program, "sort": sort, "members": value(&best)? }))
}

fn number(row: &MemberRow, sort: &str) -> i64 {
    match sort {
        "active" => row.active,
        "pending" => row.pending,
        "debt" => row.debt,
        "earned" => row.earned,
        "spent" => row.spent,
        "expired" => row.expired,
        "orders" => i64::from(row.orders),
        // Of one program, so all with as many decimals.
        _ => row.eligible_spend.replace('.', "").parse().unwrap_or(0),
    }
}
