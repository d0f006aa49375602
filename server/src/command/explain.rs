//! `accrue entries` and `accrue explain`

use super::{Ctx, all_entries, last_entries, of_member};
use crate::cli::{Entries, Explain, Output};
use crate::failure::Failure;
use crate::page;
use crate::print::{Column, right, text};
use crate::question::Question;
use anyhow::Result;
use serde_json::json;

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

pub(super) fn entries(ctx: &Ctx, entries: &Entries) -> Result<()> {
    let answers = ctx.answers()?;
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
    if let Some(order) = &explain.order {
        let answer = answers.ask(&Question::Order { of, order: order.clone() })?;
        return match ctx.printer.output() {
            Output::Json => ctx.printer.json(&answer),
            Output::Csv => ctx.printer.rows(&answer, answer["entries"].as_array().map_or(&[], Vec::as_slice), &ROWS),
            Output::Table => ctx.printer.text(&page::order(&answer, &ctx.printer)),
        };
    }
    let entries = all_entries(&answers, &of)?;
    if let Some(number) = explain.entry {
        let Some(entry) = entries.iter().find(|entry| entry["entry"] == number) else {
            return Err(Failure::not_found(format!(
                "member {} has no entry {number}, the last is {}",
                of.member,
                entries.len().saturating_sub(1)
            )));
        };
        return match ctx.printer.output() {
            Output::Table => ctx.printer.text(&page::entry(entry, &ctx.printer)),
            _ => ctx.printer.rows(entry, std::slice::from_ref(entry), &ROWS),
        };
    }
    let answer = answers.ask(&Question::Member(of))?;
    match ctx.printer.output() {
        Output::Table => ctx.printer.text(&page::balance(&answer, &entries, &ctx.printer)),
        _ => ctx.printer.rows(&json!({ "member": answer, "entries": entries }), &entries, &ROWS),
    }
}
