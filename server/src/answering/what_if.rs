//! What would have been: a member folded again, otherwise.

use super::past::name;
use super::value;
use crate::problem::Problem;
use crate::question::OfMember;
use crate::readers::Readers;
use accrue_ledger::calendar::Duration;
use accrue_ledger::{Fact, Instant, Ruleset};
use accrue_projections::{Shift, WhatIf};
use accrue_proto::json::{Defaults, fact_from_value};
use accrue_proto::{read_fact, write_fact};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be otherwise.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otherwise {
    /// Facts that never came: `KIND/ID` or `ID`.
    pub without: Vec<String>,
    /// Facts that happened earlier or later: `{"A-1": "-P1D"}`.
    pub shift: BTreeMap<String, String>,
    /// Facts beside those that came, as JSON; program, member, id and source may be left out.
    pub with: Vec<Map<String, Value>>,
    /// Text of a ruleset.
    pub rules: Option<String>,
    /// It judges from then on; absent: always.
    pub from: Option<String>,
    /// True then; absent: now.
    pub as_of: Option<String>,
    /// As known then: an instant, or a position as text.
    pub as_known_at: Option<String>,
}

/// A member beside what it would be. Nothing is written.
///
/// # Errors
/// What is asked can't be read, or the member or a fact is not there.
pub fn what_if(readers: &Readers, of: &OfMember, asked: Otherwise, now: Instant) -> Result<Value, Problem> {
    let wrong = |what: String| Problem::new("bad_request", what);
    let currency = readers.currency(&of.program);
    let mut bytes = Vec::with_capacity(asked.with.len());
    for (number, fact) in (1..).zip(asked.with) {
        bytes.push(fact_bytes(fact, number, of, currency.as_deref(), now)?);
    }
    let with: Result<Vec<Fact<'_>>, _> = bytes.iter().map(|bytes| read_fact(bytes)).collect();
    let with = with.map_err(|error| wrong(format!("a fact can't be read: {error}")))?;
    if let Some(other) = with.iter().find(|fact| fact.member != of.member || fact.program != of.program) {
        return Err(wrong(format!("fact {} is of {}/{}, not of the member", other.id, other.program, other.member)));
    }
    let shifts: Result<Vec<Shift>, Problem> = asked.shift.into_iter().map(|(fact, by)| shift(fact, &by)).collect();
    let what_if = WhatIf { without: asked.without, shifts: shifts?, with, rules: rules(of, asked.rules, asked.from)? };
    for open in readers.that_may_answer(&of.program, &of.member)? {
        if let Some(found) = open.reader.what_if(&of.program, &of.member, &what_if, of.as_of, now)? {
            let mut answer = value(&found.map_err(Problem::not_found)?)?;
            name(&mut answer, of.as_of, now);
            return Ok(answer);
        }
    }
    Err(super::no_member(of))
}

fn fact_bytes(
    mut fact: Map<String, Value>,
    number: usize,
    of: &OfMember,
    currency: Option<&str>,
    now: Instant,
) -> Result<Vec<u8>, Problem> {
    let at = of.as_of.as_of.unwrap_or(now);
    let left_out = [
        ("id", format!("what-if-{number}")),
        ("source", "what-if".to_owned()),
        ("program", of.program.clone()),
        ("member", of.member.clone()),
        ("occurred_at", at.to_string()),
    ];
    for (name, text) in left_out {
        fact.entry(name).or_insert_with(|| json!(text));
    }
    let fact = fact_from_value(&Value::Object(fact), &Defaults { currency });
    let fact = fact.map_err(|error| Problem::new("bad_request", format!("fact {number} can't be read: {error}")))?;
    let mut bytes = Vec::new();
    write_fact(&fact, &mut bytes);
    Ok(bytes)
}

fn shift(fact: String, by: &str) -> Result<Shift, Problem> {
    let length = by.strip_prefix(['-', '+']).unwrap_or(by);
    match Duration::parse(length) {
        Some(length) => Ok(Shift { fact, earlier: by.starts_with('-'), by: length }),
        None => Err(Problem::new("bad_request", format!("{fact} is shifted by {by:?}, it has to be a duration, such as -P1D"))),
    }
}

fn rules(of: &OfMember, text: Option<String>, from: Option<String>) -> Result<Option<(Instant, Arc<Ruleset>)>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let ruleset = Ruleset::parse(&text).map_err(|error| Problem::new("ruleset_invalid", error.to_string()))?;
    if ruleset.program != of.program {
        let what = format!("the ruleset is for program {}, not {}", ruleset.program, of.program);
        return Err(Problem::new("wrong_program", what));
    }
    let from = match from {
        None => Instant::MIN,
        Some(from) => Instant::parse(&from)
            .ok_or_else(|| Problem::new("bad_request", format!("from is {from:?}, it has to be like 2024-10-12T07:20:50Z")))?,
    };
    Ok(Some((from, Arc::new(ruleset))))
}
