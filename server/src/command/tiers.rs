//! `accrue member tiers`, `accrue expiring`

use super::{Ctx, of_member};
use crate::cli::{Expiring, MemberShow, Output};
use crate::print::{Column, minute, points, right, text};
use crate::question::Question;
use anyhow::Result;

const MOVES: [Column; 8] = [
    text("when", "/at").instant(),
    text("from", "/from"),
    text("to", "/to"),
    text("cause", "/cause"),
    right("counted", "/metric"),
    right("needed", "/needed"),
    right("refunds took", "/lowered"),
    text("why", "/why"),
];

const EXPIRING: [Column; 5] = [
    text("ends", "/at").instant(),
    text("member", "/member"),
    text("ledger", "/ledger"),
    right("points", "/points"),
    text("by inactivity", "/by_inactivity"),
];

/// Every move of a member from one tier to another, and why.
pub(super) fn moves(ctx: &Ctx, show: &MemberShow) -> Result<()> {
    let answers = ctx.answers_in(show.generation)?;
    let of = of_member(&answers, &show.asked)?;
    let answer = answers.ask(&Question::Tiers(of))?;
    let rows = answer["moves"].as_array().cloned().unwrap_or_default();
    ctx.printer.rows(&answer, &rows, &MOVES)
}

/// Points that end within a time: who has to be reminded.
pub(super) fn expiring(ctx: &Ctx, asked: &Expiring) -> Result<()> {
    let answers = ctx.answers()?;
    let program = answers.program(asked.of.named())?;
    let (within, limit) = (asked.within.clone(), asked.limit as usize);
    let answer = answers.ask(&Question::Expiring { program, within, as_of: asked.past.as_of(), limit })?;
    let rows = answer["expiring"].as_array().cloned().unwrap_or_default();
    ctx.printer.rows(&answer, &rows, &EXPIRING)?;
    if ctx.printer.output() == Output::Table {
        let number = |name: &str| points(answer[name].as_i64().unwrap_or(0));
        let until = minute(answer["until"].as_str().unwrap_or_default());
        eprintln!("{} points in {} rows end by {until} UTC, {} shown", number("points"), number("of"), points(rows.len() as i64));
    }
    Ok(())
}
