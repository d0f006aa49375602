//! Runs conformance files on the oracle: the format of `conformance/README.md`.

use super::door::{Delivered, Door};
use super::{OAnswer, OMember, ORules, calendar};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use toml::Table;

/// Where the conformance files are.
pub fn scenarios() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = here.join("../../shared/conformance");
    if shared.is_dir() { shared } else { here.join("scenarios") }
}

/// Runs one file in the order of its steps; where it says so, also its facts in other orders.
///
/// # Errors
/// What differs, and at which step.
pub fn run(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let story: Value = serde_json::to_value(text.parse::<Table>()?)?;
    let story = plain(story);
    let base = file.parent().context("no folder")?.join(story["base"].as_str().context("base")?);
    let mut rules = plain(serde_json::to_value(std::fs::read_to_string(base)?.parse::<Table>()?)?);
    if let Some(over) = story.get("ruleset") {
        lay_over(&mut rules, over);
    }
    let rules = [(i64::MIN, Rc::new(ORules::from_table(&Table::try_from(&rules)?)?))];
    let steps = story["step"].as_array().context("step")?;
    let steps: Vec<Value> = steps.iter().enumerate().map(|(n, step)| whole(step, n + 1, &rules[0].1.currency)).collect();
    let mut door = Door::new(&rules);
    for (n, step) in steps.iter().enumerate() {
        check_step(&mut door, &steps, step).with_context(|| format!("{}: step {}", file.display(), n + 1))?;
    }
    if story.get("order_independent") == Some(&Value::Bool(true)) {
        in_other_orders(&rules, &steps).with_context(|| format!("{}: in another order", file.display()))?;
    }
    Ok(())
}

/// All facts first, in any order, then all expectations.
fn in_other_orders(rules: &super::Timeline, steps: &[Value]) -> Result<()> {
    let (expectations, facts): (Vec<&Value>, Vec<&Value>) = steps.iter().partition(|step| step.get("expect").is_some());
    let mut order: Vec<usize> = (0..facts.len()).collect();
    for _ in 0..200 {
        let mut door = Door::new(rules);
        for &n in &order {
            door.deliver(&fact_of(facts[n]))?;
            door.carry()?;
        }
        for expectation in &expectations {
            check_expectation(&door.member(&member_of(expectation), at_of(expectation)?)?, &expectation["expect"])?;
        }
        if !next_permutation(&mut order) {
            break;
        }
    }
    Ok(())
}

/// The next in lexical order; false when there is none.
pub fn next_permutation(order: &mut [usize]) -> bool {
    let Some(pivot) = (1..order.len()).rev().find(|&i| order[i - 1] < order[i]) else {
        return false;
    };
    let Some(swap) = (pivot..order.len()).rev().find(|&i| order[i] > order[pivot - 1]) else {
        return false;
    };
    order.swap(pivot - 1, swap);
    order[pivot..].reverse();
    true
}

fn check_step(door: &mut Door<'_>, steps: &[Value], step: &Value) -> Result<()> {
    if let Some(expect) = step.get("expect") {
        let (member, at) = (member_of(step), at_of(step)?);
        let found = match step.get("as_known_after").and_then(Value::as_u64) {
            None => door.member(&member, at)?,
            Some(after) => {
                let mut then = Door::new(door.rules());
                for earlier in steps.iter().take(usize::try_from(after)?).filter(|step| step.get("expect").is_none()) {
                    then.deliver(&fact_of(earlier))?;
                    then.carry()?;
                }
                then.member(&member, at)?
            }
        };
        return check_expectation(&found, expect);
    }
    let delivered = door.deliver(&fact_of(step))?;
    door.carry()?;
    let broken = door.member(&member_of(step), at_of(step)?)?.broken;
    ensure!(broken.is_empty(), "invariants: {broken:?}");
    let answer = match &delivered {
        Delivered::Decided(decision) => Some(decision.answer.clone()),
        Delivered::Duplicate(answer) => answer.clone(),
        Delivered::Booked | Delivered::Parked | Delivered::Conflict => None,
    };
    if let Some(decision) = step.get("decision").and_then(Value::as_str) {
        let found = match answer {
            Some(OAnswer::Accepted(_)) => "accepted".to_owned(),
            Some(OAnswer::Rejected(reason)) => format!("rejected: {reason}"),
            None => "none".to_owned(),
        };
        ensure!(found == decision, "decision {found}, expected {decision}");
    }
    let outcome = match delivered {
        Delivered::Booked | Delivered::Decided(_) => "booked",
        Delivered::Parked => "parked",
        Delivered::Duplicate(_) => "duplicate",
        Delivered::Conflict => "conflict",
    };
    let expected = step.get("outcome").and_then(Value::as_str).unwrap_or("booked");
    ensure!(outcome == expected, "outcome {outcome}, expected {expected}");
    Ok(())
}

fn check_expectation(found: &OMember, expect: &Value) -> Result<()> {
    for (key, expected) in expect.as_object().context("expect")? {
        match key.as_str() {
            "balance" => {
                for (ledger, numbers) in expected.as_object().context("balance")? {
                    let sums = found.ledger(ledger);
                    let all = json!({ "active": sums.active, "pending": sums.pending, "debt": sums.debt, "spent": sums.spent,
                        "expired": sums.expired, "earned": sums.earned });
                    check_named(&all, numbers).with_context(|| format!("balance.{ledger}"))?;
                }
            }
            "coupons" => check_named(&serde_json::to_value(&found.coupons)?, expected).context("coupons")?,
            "expiring" => {
                let all: Vec<Value> = found
                    .expiring("main")
                    .into_iter()
                    .map(|(points, at)| json!({ "points": points, "at": calendar::show(at) }))
                    .collect();
                ensure!(Value::from(all.clone()) == *expected, "expiring {all:?}, expected {expected}");
            }
            "entries" => {
                ensure!(json!(found.entries) == *expected, "entries {:?}, expected {expected}", found.entries);
            }
            "tier" => check_named(&tier(found), expected).context("tier")?,
            "parked" => ensure!(json!(found.parked) == *expected, "parked {}, expected {expected}", found.parked),
            "exceptions" => {
                ensure!(json!(found.exceptions) == *expected, "exceptions {}, expected {expected}", found.exceptions);
            }
            other => anyhow::bail!("the oracle knows nothing about {other}"),
        }
    }
    Ok(())
}

/// The tier as the files name it.
fn tier(found: &OMember) -> Value {
    let Some(tier) = &found.tier else { return json!({}) };
    let amount = |amount: i64| crate::history::money(amount, tier.digits);
    json!({
        "effective": tier.effective, "qualified": tier.qualified, "metric": amount(tier.metric), "next": tier.next,
        "missing": tier.missing.map(amount), "held_until": tier.held_until.map(calendar::show),
    })
}

/// Compares only what is named; what is not there counts 0.
fn check_named(found: &Value, expected: &Value) -> Result<()> {
    for (key, expected) in expected.as_object().context("a table")? {
        let found = found.get(key).cloned().unwrap_or(json!(0));
        ensure!(found == *expected, "{key} is {found}, expected {expected}");
    }
    Ok(())
}

fn member_of(step: &Value) -> String {
    step["member"].as_str().unwrap_or_default().to_owned()
}

fn at_of(step: &Value) -> Result<i64> {
    calendar::instant(step["occurred_at"].as_str().context("at")?)
}

/// The step with everything that defaults: the envelope of facts.md, and orders written out.
fn whole(step: &Value, number: usize, currency: &str) -> Value {
    let mut whole = Map::new();
    let default = [("id", format!("step-{number}")), ("source", "test".to_owned()), ("member", "m1".to_owned())];
    whole.insert("program".to_owned(), json!("test"));
    for (key, value) in default {
        whole.insert(key.to_owned(), json!(value));
    }
    for (key, value) in step.as_object().into_iter().flatten() {
        let key = if key == "at" { "occurred_at" } else { key };
        whole.insert(key.to_owned(), value.clone());
    }
    if let Some(order) = whole.get_mut("order_placed").and_then(Value::as_object_mut) {
        order.entry("currency").or_insert(json!(currency));
        if let Some(total) = order.remove("total") {
            let line = json!({ "line_id": "1", "sku": "item", "quantity": 1, "unit_price": total });
            order.insert("lines".to_owned(), json!([line]));
        }
    }
    Value::Object(whole)
}

/// The step without what only the story says.
fn fact_of(step: &Value) -> Value {
    let only_story = ["decision", "outcome", "as_known_after"];
    let parts = step.as_object().into_iter().flatten().filter(|(key, _)| !only_story.contains(&key.as_str()));
    Value::Object(parts.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// TOML's date-times as text.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(table) if table.len() == 1 && table.contains_key("$__toml_private_datetime") => {
            table.into_iter().next().map(|(_, at)| at).unwrap_or_default()
        }
        Value::Object(table) => Value::Object(table.into_iter().map(|(key, value)| (key, plain(value))).collect()),
        Value::Array(list) => Value::Array(list.into_iter().map(plain).collect()),
        other => other,
    }
}

/// Lays a part of a ruleset over a whole one; entries of lists are matched by `id`.
fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(under), Value::Array(over)) if over.iter().all(|entry| entry.get("id").is_some()) => {
            for entry in over {
                match under.iter_mut().find(|before| before.get("id") == entry.get("id")) {
                    Some(before) => lay_over(before, entry),
                    None => under.push(entry.clone()),
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story() {
        let mut files: Vec<PathBuf> = std::fs::read_dir(scenarios()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        assert!(files.len() >= 12, "{files:?}");
        for file in files {
            run(&file).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}
