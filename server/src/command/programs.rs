//! `accrue coupon | totals | digest`

use super::Ctx;
use crate::cli::{By, Coupon, OfProgram, Output, Totals};
use crate::page::{Bar, bars};
use crate::print::{Column, minute, right, text};
use crate::question::Question;
use anyhow::Result;
use serde_json::{Value, json};

const COUPON: [Column; 11] = [
    text("code", "/code"),
    text("status", "/status"),
    text("member", "/member"),
    text("reward", "/reward"),
    text("value", "/value"),
    right("points", "/points"),
    text("issued by", "/issued_by"),
    text("issued at", "/issued_at").instant(),
    text("expires at", "/expires_at").instant(),
    text("used on", "/used_on"),
    text("reserved for", "/reserved_for"),
];

const STATUS: [Column; 11] = [
    text("ledger", "/ledger"),
    right("active", "/active"),
    right("pending", "/pending"),
    right("debt", "/debt"),
    right("earned", "/earned"),
    right("spent", "/spent"),
    right("expired", "/expired"),
    right("cancelled", "/cancelled"),
    right("clawed back", "/clawed_back"),
    right("repaid", "/repaid"),
    right("deducted", "/deducted"),
];

const PERIODS: [Column; 12] = [
    text("ledger", "/ledger"),
    text("period", "/period"),
    right("entries", "/entries"),
    right("earned", "/points/earned"),
    right("activated", "/points/activated"),
    right("imported", "/points/imported"),
    right("adjusted", "/points/adjusted"),
    right("spent", "/points/spent"),
    right("restored", "/points/restored"),
    right("expired", "/points/expired"),
    right("cancelled", "/points/cancelled"),
    right("clawed back", "/points/clawed_back"),
];

pub(super) fn coupon(ctx: &Ctx, coupon: &Coupon) -> Result<()> {
    let answers = ctx.answers()?;
    let program = answers.program(coupon.program.as_deref())?;
    let answer = answers.ask(&Question::Coupon { program, code: coupon.code.clone(), as_of: coupon.past.as_of() })?;
    ctx.printer.rows(&answer, std::slice::from_ref(&answer), &COUPON)
}

pub(super) fn totals(ctx: &Ctx, totals: &Totals) -> Result<()> {
    let answers = ctx.answers_in(totals.generation)?;
    let program = answers.program(totals.of.named())?;
    let by = totals.by.map(|by| match by {
        By::Day => "day".to_owned(),
        By::Month => "month".to_owned(),
    });
    let answer = answers.ask(&Question::Totals { program, by: by.clone(), as_of: totals.past.as_of() })?;
    if by.is_none() {
        let rows: Vec<Value> =
            answer["ledgers"].as_object().into_iter().flatten().map(|(ledger, sums)| with_ledger(ledger, sums)).collect();
        return ctx.printer.rows(&answer, &rows, &STATUS);
    }
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    ctx.printer.rows(&answer, &rows, &PERIODS)?;
    if ctx.printer.output() == Output::Table {
        let earned: Vec<Bar> = earned_by_period(&rows);
        ctx.printer.text(&format!("\n{}\n{}", ctx.printer.style.bold("Points earned"), bars(&earned, ctx.printer.style)))?;
        eprintln!("as of {} UTC", minute(answer["as_of"].as_str().unwrap_or_default()));
    }
    Ok(())
}

fn with_ledger(ledger: &str, sums: &Value) -> Value {
    let mut row = sums.clone();
    row["ledger"] = json!(ledger);
    row
}

/// Points earned, of all ledgers together.
pub(super) fn earned_by_period(rows: &[Value]) -> Vec<Bar> {
    let mut sums: std::collections::BTreeMap<&str, i64> = std::collections::BTreeMap::new();
    for row in rows {
        let earned = row["points"]["earned"].as_i64().unwrap_or(0);
        *sums.entry(row["period"].as_str().unwrap_or_default()).or_default() += earned;
    }
    sums.into_iter().map(|(period, value)| Bar { name: period.to_owned(), value }).collect()
}

pub(super) fn digest(ctx: &Ctx, of: &OfProgram) -> Result<()> {
    let answers = ctx.answers()?;
    let program = answers.program(of.named())?;
    let answer = answers.ask(&Question::Digest { program })?;
    match ctx.printer.output() {
        Output::Table => ctx.printer.text(&format!("{}\n", answer["digest"].as_str().unwrap_or_default())),
        _ => ctx.printer.rows(&answer, std::slice::from_ref(&answer), &[text("program", "/program"), text("digest", "/digest")]),
    }
}
