//! `accrue dlq list | show | requeue`

use super::{Ctx, pages};
use crate::answers::{Answers, must_exist};
use crate::cli::{Dlq, Output};
use crate::failure::Failure;
use crate::intake::{Hand, REQUEUE_FEW, Summary};
use crate::print::{Column, right, text};
use crate::question::Question;
use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ROWS: [Column; 8] = [
    text("letter", "/letter"),
    text("status", "/status"),
    text("recorded", "/recorded_at").instant(),
    text("code", "/code"),
    text("key", "/key"),
    text("topic", "/topic"),
    right("offset", "/offset"),
    text("detail", "/detail"),
];

pub(super) fn run(ctx: &Ctx, dlq: Dlq) -> Result<()> {
    match dlq {
        Dlq::List { all, limit } => {
            let (rows, more) = letters(&ctx.answers()?, all, limit as usize)?;
            ctx.printer.rows(&json!({ "dead_letters": rows }), &rows, &ROWS)?;
            if more {
                eprintln!("there are more: --limit");
            }
            Ok(())
        }
        Dlq::Show { letter: (shard, seq) } => show(ctx, &ctx.answers()?.ask(&Question::DeadLetter { shard, seq })?),
        Dlq::Requeue { letters, code, all } => requeue(ctx, letters, code.as_deref(), all),
    }
}

fn letters(answers: &Answers, all: bool, limit: usize) -> Result<(Vec<Value>, bool)> {
    pages("dead_letters", answers.page_rows(), limit, |limit, after| {
        let after = match after {
            "" => (0, 0),
            text => parse(text)?,
        };
        answers.ask(&Question::DeadLetters { after, limit, all })
    })
}

fn parse(letter: &str) -> Result<(u32, u64)> {
    let parsed = letter.split_once('/').and_then(|(shard, seq)| Some((shard.parse().ok()?, seq.parse().ok()?)));
    parsed.ok_or_else(|| anyhow!("{letter:?} names no dead letter"))
}

fn show(ctx: &Ctx, answer: &Value) -> Result<()> {
    if ctx.printer.output() != Output::Table {
        return ctx.printer.rows(answer, std::slice::from_ref(answer), &ROWS);
    }
    let style = ctx.printer.style;
    let mut page = String::new();
    for (name, value) in answer
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| !value.is_null() && !matches!(name.as_str(), "headers" | "value"))
    {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        page += &format!("{}  {value}\n", style.dim(&format!("{name:<15}")));
    }
    for header in answer["headers"].as_array().into_iter().flatten() {
        page += &format!(
            "{}  {}: {}\n",
            style.dim("header         "),
            header["name"].as_str().unwrap_or_default(),
            header["value"].as_str().unwrap_or("(none)")
        );
    }
    page += &format!("\n{}\n", answer["value"].as_str().unwrap_or("(no value)"));
    ctx.printer.text(&page)
}

fn requeue(ctx: &Ctx, mut named: Vec<(u32, u64)>, code: Option<&str>, all: bool) -> Result<()> {
    must_exist_or_url(ctx)?;
    if all || code.is_some() {
        let answers = ctx.answers()?;
        let (rows, _) = letters(&answers, false, usize::MAX)?;
        let wanted = rows.iter().filter(|row| code.is_none_or(|code| row["code"] == code));
        named = wanted.filter_map(|row| row["letter"].as_str()).map(parse).collect::<Result<_>>()?;
        if let (Some(code), true, false) = (code, named.is_empty(), rows.is_empty()) {
            let there: BTreeSet<&str> = rows.iter().filter_map(|row| row["code"].as_str()).collect();
            let there: Vec<&str> = there.into_iter().collect();
            return Err(Failure::usage(format!("no open dead letter has the code {code:?}; there are {}", there.join(", "))));
        }
    }
    let hand = match (&ctx.url, &ctx.config.kafka) {
        (None, Some(_)) => Hand::for_letters(&ctx.config)?,
        (url, _) => Hand::open(&ctx.config, url.as_deref(), false)?,
    };
    let mut summary = Summary::default();
    let mut rows = Vec::with_capacity(named.len());
    for of_shard in named.chunk_by(|one, next| one.0 == next.0).flat_map(|of_shard| of_shard.chunks(REQUEUE_FEW)) {
        let Some(&(shard, _)) = of_shard.first() else { continue };
        let numbers: Vec<u64> = of_shard.iter().map(|(_, seq)| *seq).collect();
        for (seq, receipt) in numbers.iter().zip(hand.requeue(shard, &numbers)?) {
            summary.add(&receipt, || format!("{shard}/{seq}"));
            rows.push(json!({ "letter": format!("{shard}/{seq}"), "receipt": receipt }));
        }
    }
    hand.close()?;
    let columns = [
        text("letter", "/letter"),
        text("outcome", "/receipt/outcome"),
        text("code", "/receipt/code"),
        text("detail", "/receipt/detail"),
    ];
    ctx.printer.rows(&json!({ "requeued": rows, "outcomes": summary.json()["outcomes"] }), &rows, &columns)
}

fn must_exist_or_url(ctx: &Ctx) -> Result<()> {
    if ctx.url.is_some() { Ok(()) } else { must_exist(&ctx.config) }
}
