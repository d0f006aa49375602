//! `accrue member show | list`

use super::{Ctx, last_entries, of_member, pages};
use crate::answers::Answers;
use crate::cli::{MemberList, MemberShow, Output};
use crate::page;
use crate::print::{Column, right, text};
use crate::question::{OfMember, Question};
use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

const LOTS: [Column; 12] = [
    text("ledger", "/ledger"),
    right("lot", "/lot"),
    text("status", "/status"),
    right("left", "/left"),
    right("amount", "/amount"),
    text("rule", "/rule"),
    text("source kind", "/source_kind"),
    text("source", "/source"),
    text("occurred at", "/occurred_at"),
    text("starts at", "/starts_at"),
    text("expires at", "/expires_at"),
    text("as of", "/as_of"),
];

const ROWS: [Column; 11] = [
    text("member", "/member"),
    right("active", "/active"),
    right("pending", "/pending"),
    right("debt", "/debt"),
    right("earned", "/earned"),
    right("spent", "/spent"),
    right("expired", "/expired"),
    right("orders", "/orders"),
    right("eligible spend", "/eligible_spend"),
    right("exceptions", "/exceptions"),
    text("last activity", "/last_activity").instant(),
];

pub(super) fn show(ctx: &Ctx, show: &MemberShow) -> Result<()> {
    let answers = ctx.answers_in(show.generation)?;
    let of = of_member(&answers, &show.asked)?;
    let answer = answers.ask(&Question::Member(of.clone()))?;
    match ctx.printer.output() {
        Output::Json => ctx.printer.json(&answer),
        Output::Csv => ctx.printer.rows(&answer, &lots(&answer), &LOTS),
        Output::Table => {
            let entries = last_entries(&answers, &pinned(of, &answer), page::ENTRIES_SHOWN)?;
            let when = page::When::new(&zone(&answers, answer["program"].as_str().unwrap_or_default())?);
            ctx.printer.text(&page::member(&answer, &entries, &when, &ctx.printer)?)
        }
    }
}

/// The program's zone, by the ruleset in force.
fn zone(answers: &Answers, program: &str) -> Result<String> {
    let answer = answers.ask(&Question::Rulesets { program: program.to_owned() })?;
    let rulesets = answer["rulesets"].as_array().map_or(&[][..], Vec::as_slice);
    let in_force = rulesets.iter().find(|ruleset| ruleset["in_force"] == true).or(rulesets.last());
    Ok(in_force.and_then(|ruleset| ruleset["time_zone"].as_str()).unwrap_or("UTC").to_owned())
}

/// The entries of a page are those of its numbers, also if a fact comes in between.
fn pinned(of: OfMember, answer: &Value) -> OfMember {
    let as_of = answer["as_of"].as_str().and_then(accrue_ledger::Instant::parse);
    OfMember { as_of: accrue_projections::AsOf { as_of, ..of.as_of }, ..of }
}

fn lots(answer: &Value) -> Vec<Value> {
    let ledgers = answer["balance"].as_object().into_iter().flatten();
    let lots = ledgers.flat_map(|(ledger, balance)| {
        let lots = balance["lots"].as_array().into_iter().flatten();
        lots.map(move |lot| {
            let mut row = lot.clone();
            row["ledger"] = json!(ledger);
            row["as_of"] = answer["as_of"].clone();
            row
        })
    });
    lots.collect()
}

pub(super) fn list(ctx: &Ctx, list: &MemberList) -> Result<()> {
    let answers = ctx.answers()?;
    let program = answers.program(list.name.as_deref().or(list.program.as_deref()))?;
    if list.sort.is_some() || list.top.is_some() {
        return top(ctx, &answers, program, list);
    }
    let (first, as_of) = (list.after.clone().unwrap_or_default(), list.past.as_of());
    let (mut at, mut known) = (Value::Null, Value::Null);
    let page = |limit: usize, after: &str| {
        let after = if after.is_empty() { first.clone() } else { after.to_owned() };
        let answer = answers.ask(&Question::Members { program: program.clone(), after, limit, as_of })?;
        (at, known) = (answer["as_of"].clone(), answer["as_known_at"].clone());
        Ok(answer)
    };
    let (rows, more) = pages("members", answers.page_rows(), list.limit as usize, page)?;
    let whole = json!({ "program": program, "members": rows, "as_of": at, "as_known_at": known });
    ctx.printer.rows(&whole, &rows, &ROWS)?;
    if more && let Some(last) = rows.last().and_then(|row| row["member"].as_str()) {
        eprintln!("there are more: go on with --after {last}");
    }
    Ok(())
}

fn top(ctx: &Ctx, answers: &Answers, program: String, list: &MemberList) -> Result<()> {
    let sort = list.sort.and_then(|sort| sort.to_possible_value()).map_or("active".to_owned(), |sort| sort.get_name().to_owned());
    let limit = list.top.unwrap_or(list.limit) as usize;
    let answer = answers.ask(&Question::Top { program, sort, limit, as_of: list.past.as_of() })?;
    let rows = answer["members"].as_array().cloned().unwrap_or_default();
    ctx.printer.rows(&answer, &rows, &ROWS)
}
