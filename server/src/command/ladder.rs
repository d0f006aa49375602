//! `accrue tiers`

use super::Ctx;
use super::chart::{self, Month};
use crate::cli::{Output, Tiers};
use crate::print::{Column, minute, right, text};
use crate::question::Question;
use anyhow::Result;
use serde_json::Value;

const TIERS: [Column; 4] = [text("tier", "/tier"), text("name", "/name"), right("ever", "/ever"), right("now", "/now")];
const MONTHS: [Column; 3] = [text("month", "/month"), right("up", "/up"), right("down", "/down")];
const FALLS: [Column; 8] = [
    text("member", "/member"),
    text("at", "/at").instant(),
    text("from", "/from"),
    text("to", "/to"),
    right("metric", "/metric"),
    right("needed", "/needed"),
    right("lowered by", "/lowered"),
    text("cause", "/cause"),
];
/// Falls that the page shows; all of them are in the JSON.
const FALLS_SHOWN: usize = 20;

pub(super) fn run(ctx: &Ctx, of: &Tiers) -> Result<()> {
    let answers = ctx.answers()?;
    let program = answers.program(of.of.named())?;
    let answer = answers.ask(&Question::TierMoves { program: program.clone(), as_of: of.past.as_of() })?;
    let rows = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let (tiers, months, falls) = (rows("tiers"), rows("months"), rows("lowered_by_refunds"));
    if let Some(path) = &of.picture {
        let number = |row: &Value, name: &str| row[name].as_u64().map_or(0, |number| u32::try_from(number).unwrap_or(u32::MAX));
        let word = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let ever: Vec<(String, u32)> = tiers.iter().map(|row| (word(row, "name"), number(row, "ever"))).collect();
        let moves: Vec<Month> = months
            .iter()
            .map(|row| Month { name: word(row, "month"), up: number(row, "up"), down: number(row, "down") })
            .collect();
        let title = format!("Tiers of {program} up to {}", word(&answer, "as_of").chars().take(10).collect::<String>());
        chart::tiers(path, &title, &ever, &moves)?;
    }
    match ctx.printer.output() {
        Output::Json => ctx.printer.json(&answer),
        Output::Csv => ctx.printer.rows(&answer, &months, &MONTHS),
        Output::Table => {
            ctx.printer.rows(&answer, &tiers, &TIERS)?;
            ctx.printer.text("\n")?;
            ctx.printer.rows(&answer, &months, &MONTHS)?;
            ctx.printer.text(&format!(
                "\n{} falls that would not have been without refunds{}\n",
                falls.len(),
                if falls.len() > FALLS_SHOWN { ", the first of them" } else { "" }
            ))?;
            if !falls.is_empty() {
                ctx.printer.rows(&answer, &falls[..falls.len().min(FALLS_SHOWN)], &FALLS)?;
                ctx.printer.text("\n")?;
            }
            eprintln!("as of {} UTC", minute(answer["as_of"].as_str().unwrap_or_default()));
            Ok(())
        }
    }
}
