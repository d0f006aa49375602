//! Tentative: a basket becomes an order that nobody books.

use super::past::{known, name};
use super::value;
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ledger::Instant;
use accrue_projections::AsOf;
use accrue_proto::json::{Defaults, fact_from_value};
use accrue_proto::{read_fact, write_fact};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The order's id where the basket has none.
const ORDER_ID: &str = "(quote)";

/// What is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Whose basket it is.
    pub member: String,
    /// As `order_placed`: `order_id` and the lines' `line_id` may be left out.
    pub basket: Map<String, Value>,
    /// When it is paid; absent: now.
    pub at: Option<String>,
    /// As known then: an instant, or a position as text; absent: everything.
    pub as_known_at: Option<String>,
}

/// What a basket would earn, which rewards could be used on it, what the balance would be.
///
/// # Errors
/// The basket is none, or the program has no rules in force.
pub fn quote(readers: &Readers, program: &str, asked: Asked, now: Instant) -> Result<Value, Problem> {
    let Asked { member, mut basket, at, as_known_at } = asked;
    let known = known(as_known_at.as_deref())?;
    let at = match at {
        None => now.to_string(),
        Some(at) => Instant::parse(&at)
            .ok_or_else(|| Problem::new("bad_request", format!("at is {at:?}, it has to be like 2024-10-12T07:20:50Z")))?
            .to_string(),
    };
    basket.entry("order_id").or_insert_with(|| json!(ORDER_ID));
    let lines = basket.get_mut("lines").and_then(Value::as_array_mut).into_iter().flatten();
    for (line, number) in lines.filter_map(Value::as_object_mut).zip(1..) {
        line.entry("line_id").or_insert_with(|| json!(format!("{number}")));
    }
    let fact = json!({
        "id": ORDER_ID, "source": "quote", "program": program, "member": member, "occurred_at": at, "order_placed": basket,
    });
    let wrong = |error: accrue_proto::Malformed| Problem::new("bad_request", format!("the basket can't be read: {error}"));
    let currency = readers.currency(program);
    let fact = fact_from_value(&fact, &Defaults { currency: currency.as_deref() }).map_err(wrong)?;
    let mut bytes = Vec::new();
    write_fact(&fact, &mut bytes);
    let fact = read_fact(&bytes).map_err(wrong)?;
    let open = readers.that_may_answer(program, &member)?;
    let here = open.iter().find(|open| open.reader.answers_for(program, &member).unwrap_or(false)).cloned();
    for open in here.into_iter().chain(open) {
        let Some(rules) = open.reader.timeline(program) else { continue };
        if let Some(ruleset) = rules.at(fact.occurred_at) {
            accrue_ledger::check(&fact, ruleset)
                .map_err(|refusal| Problem::new("bad_request", format!("{}: {}", refusal.code, refusal.detail)))?;
        }
        if let Some(quote) = open.reader.quote(&fact, known)? {
            let mut answer = value(&quote)?;
            name(&mut answer, AsOf { as_of: Some(fact.occurred_at), known }, now);
            return Ok(answer);
        }
    }
    Err(Problem::not_found(format!("there is no program {program} with a ruleset in force at {at}")))
}
