//! A program as a whole: what its members have, how it came, by which rules.

use super::past::Past;
use super::value;
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ledger::{Instant, Sums};
use accrue_projections::{Digest, LedgerReader, TotalsRow};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Ids of all programs.
pub(super) fn programs(readers: &Readers) -> BTreeSet<String> {
    readers.all().iter().flat_map(|open| open.reader.programs()).collect()
}

pub(super) fn known(readers: &Readers, program: &str) -> Result<(), Problem> {
    if programs(readers).contains(program) {
        return Ok(());
    }
    Err(Problem::not_found(format!(
        "there is no program {program}; bring a ruleset of it into force with `accrue rules activate`"
    )))
}

pub(super) fn totals(readers: &Readers, program: &str, by: Option<&str>, past: &Past<'_>) -> Result<Value, Problem> {
    known(readers, program)?;
    match by {
        None => status(readers, program, past),
        Some("day") => rows(readers, program, past, 10),
        Some("month") => rows(readers, program, past, 7),
        Some(other) => Err(Problem::new("bad_request", format!("by is {other:?}, it has to be day or month"))),
    }
}

fn status(readers: &Readers, program: &str, past: &Past<'_>) -> Result<Value, Problem> {
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for open in readers.ready()? {
        let present = |reader: &LedgerReader| reader.outstanding(program, past.at());
        let of_shard = past.ask(&open, program, present, LedgerReader::outstanding_then)?;
        for (ledger, of) in of_shard.ledgers {
            let sum = sums.entry(ledger).or_default();
            for (to, more) in numbers_mut(sum).into_iter().zip(numbers(&of)) {
                *to.1 += more.1;
            }
        }
    }
    let ledgers: Map<String, Value> = sums.iter().map(|(ledger, sum)| (ledger.clone(), told(sum))).collect();
    Ok(json!({ "program": program, "ledgers": ledgers }))
}

fn told(sum: &Sums) -> Value {
    Value::Object(numbers(sum).into_iter().map(|(name, points)| (name.to_owned(), json!(points))).collect())
}

fn numbers(sum: &Sums) -> [(&'static str, i64); 10] {
    let mut copy = *sum;
    numbers_mut(&mut copy).map(|(name, points)| (name, *points))
}

/// The numbers that are shown, by name.
fn numbers_mut(sum: &mut Sums) -> [(&'static str, &mut i64); 10] {
    [
        ("active", &mut sum.active),
        ("pending", &mut sum.pending),
        ("debt", &mut sum.debt),
        ("earned", &mut sum.earned),
        ("spent", &mut sum.spent),
        ("expired", &mut sum.expired),
        ("cancelled", &mut sum.cancelled),
        ("clawed_back", &mut sum.clawed_back),
        ("repaid", &mut sum.repaid),
        ("deducted", &mut sum.deducted),
    ]
}

/// Sums of entries; `cut`: characters of the day that are the period.
fn rows(readers: &Readers, program: &str, past: &Past<'_>, cut: usize) -> Result<Value, Problem> {
    let mut sums: BTreeMap<(String, String), TotalsRow> = BTreeMap::new();
    for open in readers.ready()? {
        for row in past.ask(&open, program, |reader| reader.totals(program, past.at()), LedgerReader::totals_then)? {
            let period: String = row.day.chars().take(cut).collect();
            let sum = sums.entry((row.ledger.clone(), period.clone())).or_insert_with(|| TotalsRow {
                ledger: row.ledger.clone(),
                day: period,
                points: BTreeMap::new(),
                entries: 0,
            });
            row.points.iter().for_each(|(kind, points)| *sum.points.entry(kind).or_default() += points);
            sum.entries += row.entries;
        }
    }
    let rows: Vec<Value> = sums
        .into_values()
        .map(|row| json!({ "ledger": row.ledger, "period": row.day, "entries": row.entries, "points": row.points }))
        .collect();
    Ok(json!({ "program": program, "rows": rows }))
}

pub(super) fn rulesets(readers: &Readers, program: &str, now: Instant) -> Result<Value, Problem> {
    known(readers, program)?;
    let mut shown: Option<Vec<Value>> = None;
    let mut same = true;
    for open in readers.ready()? {
        let Some(timeline) = open.reader.timeline(program) else {
            continue;
        };
        let in_force = timeline.at(now).map(|rules| rules.tag());
        let rows = timeline.activations().iter().map(|activation| {
            let rules = &activation.ruleset;
            json!({
                "effective_from": activation.effective_from.to_string(),
                "hash": rules.hash_hex(),
                "in_force": in_force == Some(rules.tag()),
                "currency": rules.currency.as_str(),
                "time_zone": rules.time_zone.as_str(),
                "earn_rules": rules.earn.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(),
                "rewards": rules.rewards.iter().map(|reward| reward.id.as_str()).collect::<Vec<_>>(),
                "ruleset": rules.source,
            })
        });
        let rows: Vec<Value> = rows.collect();
        same &= shown.as_ref().is_none_or(|known| *known == rows);
        shown = Some(rows);
    }
    Ok(json!({ "program": program, "same_in_all_shards": same, "rulesets": value(&shown.unwrap_or_default())? }))
}

pub(super) fn digest(readers: &Readers, program: &str) -> Result<Value, Problem> {
    known(readers, program)?;
    let mut digest = Digest::default();
    let mut positions = Map::new();
    for open in readers.ready()? {
        digest.merge(open.reader.digest(program)?);
        positions.insert(open.reader.shard().to_string(), json!(open.reader.next_position().0));
    }
    Ok(json!({ "program": program, "digest": digest.to_string(), "next_positions": positions }))
}
