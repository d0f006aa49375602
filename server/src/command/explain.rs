//! `accrue entries` and `accrue explain`

use super::{Ctx, all_entries, last_entries, of_member};
use crate::answering::{Otherwise, about};
use crate::answers::Answers;
use crate::cli::{Entries, Explain, Output};
use crate::failure::Failure;
use crate::page;
use crate::print::{Column, right, text};
use crate::question::{OfMember, Question};
use accrue_projections::{About, AsKnown};
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::path::Path;

const ROWS: [Column; 9] = [
    right("entry", "/entry"),
    text("at", "/at").instant(),
    text("kind", "/kind"),
    text("ledger", "/ledger"),
    right("points", "/points"),
    right("active after", "/active_after"),
    text("rule", "/rule"),
    text("source", "/source"),
    text("why", "/why"),
];

const NUMBERS: [Column; 4] = [text("what", "/what"), text("is", "/before"), text("would be", "/after"), right("by", "/delta")];

pub(super) fn entries(ctx: &Ctx, entries: &Entries) -> Result<()> {
    let answers = ctx.answers_in(entries.generation)?;
    let of = of_member(&answers, &entries.asked)?;
    let rows = match entries.last {
        Some(count) => last_entries(&answers, &of, count)?,
        None => all_entries(&answers, &of)?,
    };
    let whole = json!({ "program": of.program, "member": of.member, "entries": rows });
    ctx.printer.rows(&whole, &rows, &ROWS)
}

pub(super) fn run(ctx: &Ctx, explain: &Explain) -> Result<()> {
    let answers = ctx.answers()?;
    let of = of_member(&answers, &explain.asked)?;
    if let Some(asked) = otherwise(explain, &of)? {
        let answer = answers.what_if(&of, asked)?;
        return match ctx.printer.output() {
            Output::Json => ctx.printer.json(&answer),
            Output::Csv => ctx.printer.rows(&answer, list(&answer, "numbers"), &NUMBERS),
            Output::Table => ctx.printer.text(&page::what_if(&answer, &ctx.printer)),
        };
    }
    if let Some(order) = &explain.about.order {
        let answer = answers.ask(&Question::Order { of, order: order.clone() })?;
        return match ctx.printer.output() {
            Output::Json => ctx.printer.json(&answer),
            Output::Csv => ctx.printer.rows(&answer, list(&answer, "entries"), &ROWS),
            Output::Table => ctx.printer.text(&page::order(&answer, &ctx.printer)),
        };
    }
    let about = about_of(explain)?;
    let summary = about == About::Balance && ctx.printer.output() == Output::Table;
    if summary || ctx.printer.output() == Output::Csv {
        return numbers(ctx, &answers, of, &about);
    }
    let answer = answers.ask(&Question::Explain { of, about })?;
    match ctx.printer.output() {
        Output::Table => ctx.printer.text(&page::trees(&answer, &ctx.printer)),
        _ => ctx.printer.json(&answer),
    }
}

/// All numbers of a member in a few lines; as CSV, the entries they are made of.
fn numbers(ctx: &Ctx, answers: &Answers, of: OfMember, about: &About) -> Result<()> {
    let mut entries = all_entries(answers, &of)?;
    match about {
        About::Entry(number) => entries.retain(|entry| entry["entry"] == *number),
        About::Lot(number) => entries.retain(|entry| list(entry, "lots").iter().any(|part| part["lot"] == *number)),
        _ => {}
    }
    let answer = answers.ask(&Question::Member(of))?;
    match ctx.printer.output() {
        Output::Table => ctx.printer.text(&page::balance(&answer, &entries, &ctx.printer)),
        _ => ctx.printer.rows(&answer, &entries, &ROWS),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn about_of(explain: &Explain) -> Result<About> {
    let asked = &explain.about;
    let coupon = asked.coupon.clone().map(About::Coupon);
    let one = asked.entry.map(About::Entry).or(asked.lot.map(About::Lot)).or(coupon);
    match (one, &asked.number) {
        (Some(one), _) => Ok(one),
        (None, Some(name)) => {
            about(name, explain.ledger.as_deref()).map_err(|problem| Failure::usage(format!("--{}", problem.detail)))
        }
        (None, None) => Ok(About::Balance),
    }
}

/// What is to be otherwise; `None`: nothing.
fn otherwise(explain: &Explain, of: &OfMember) -> Result<Option<Otherwise>> {
    if explain.without.is_empty() && explain.shift.is_empty() && explain.with.is_empty() && explain.rules.is_none() {
        return Ok(None);
    }
    let mut asked = Otherwise {
        without: explain.without.clone(),
        from: explain.from.map(|from| from.to_string()),
        as_of: of.as_of.as_of.map(|at| at.to_string()),
        as_known_at: known_text(of.as_of.known),
        ..Otherwise::default()
    };
    for shift in &explain.shift {
        let Some((fact, by)) = shift.rsplit_once('=') else {
            return Err(Failure::usage(format!("--shift is {shift:?}, it has to be like A-1=-P1D")));
        };
        asked.shift.insert(fact.to_owned(), by.to_owned());
    }
    for path in &explain.with {
        let wrong = |error: serde_json::Error| Failure::usage(format!("{}: {error}", path.display()));
        match serde_json::from_str(&read(path)?).map_err(wrong)? {
            Value::Object(fact) => asked.with.push(fact),
            facts => asked.with.extend(serde_json::from_value::<Vec<Map<String, Value>>>(facts).map_err(wrong)?),
        }
    }
    asked.rules = explain.rules.as_deref().map(read).transpose()?;
    Ok(Some(asked))
}

fn read(path: &Path) -> Result<String> {
    let text = if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    text.map_err(|error| Failure::usage(format!("can't read {}: {error}", path.display())))
}

/// As a body has it.
pub(super) fn known_text(known: AsKnown) -> Option<String> {
    match known {
        AsKnown::Now => None,
        AsKnown::At(at) => Some(at.to_string()),
        AsKnown::Position(position) => Some(position.0.to_string()),
    }
}
