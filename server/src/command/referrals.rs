//! `accrue member referrals`

use super::{Ctx, of_member};
use crate::cli::{MemberShow, Output};
use crate::page;
use crate::print::{Column, right, text};
use crate::question::Question;
use anyhow::Result;

const FRIENDS: [Column; 8] = [
    text("friend", "/friend"),
    text("state", "/state"),
    right("points", "/points"),
    text("code", "/code"),
    text("joined at", "/joined_at").instant(),
    text("first order", "/order_id"),
    right("amount", "/amount"),
    text("window until", "/window_until").instant(),
];

pub(super) fn run(ctx: &Ctx, show: &MemberShow) -> Result<()> {
    let answers = ctx.answers_in(show.generation)?;
    let of = of_member(&answers, &show.asked)?;
    let answer = answers.ask(&Question::Referrals(of))?;
    let friends = answer["friends"].as_array().cloned().unwrap_or_default();
    if ctx.printer.output() == Output::Table {
        ctx.printer.text(&page::referrals(&answer["referrals"], ctx.printer.style)?)?;
        if friends.is_empty() {
            return Ok(());
        }
    }
    ctx.printer.rows(&answer, &friends, &FRIENDS)
}
