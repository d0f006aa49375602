//! `accrue quote`: what a basket would do, without booking it.

use super::Ctx;
use super::explain::known_text;
use crate::cli::{Output, Quote};
use crate::failure::Failure;
use crate::page;
use crate::print::{Column, right, text};
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

const RULES: [Column; 3] = [text("rule", "/rule"), right("points", "/points"), text("because", "/because")];

pub(super) fn run(ctx: &Ctx, quote: &Quote) -> Result<()> {
    let basket = read(&quote.file)?;
    let answers = ctx.answers()?;
    let (program, member) = match (&quote.program, quote.member.split_once('/')) {
        (None, Some((program, member))) => (Some(program), member),
        (program, _) => (program.as_deref(), quote.member.as_str()),
    };
    let program = answers.program(program)?;
    let mut body = json!({ "member": member, "basket": basket });
    let past = quote.past.as_of();
    if let Some(at) = past.as_of {
        body["at"] = json!(at.to_string());
    }
    if let Some(known) = known_text(past.known) {
        body["as_known_at"] = json!(known);
    }
    let answer = answers.quote(&program, body)?;
    match ctx.printer.output() {
        Output::Json => ctx.printer.json(&answer),
        Output::Csv => ctx.printer.rows(&answer, answer["rules"].as_array().map_or(&[], Vec::as_slice), &RULES),
        Output::Table => ctx.printer.text(&page::quote(&answer, &ctx.printer)),
    }
}

/// TOML, or JSON where it begins like that; `-` is standard input.
fn read(path: &Path) -> Result<Value> {
    let name = path.display();
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("{name}: {error}"));
    let text = if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(|error| Failure::usage(format!("can't read {name}: {error}")))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| wrong(&error));
    }
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(&error.message()))?;
    accrue_proto::toml::object(&table).map_err(|error| wrong(&error))
}
