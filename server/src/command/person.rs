//! `accrue member find | qr`

use super::{Ctx, of_member};
use crate::cli::{MemberFind, MemberQr};
use crate::failure::Failure;
use crate::print::{Column, right, text};
use crate::question::Question;
use accrue_projections::{LookUp, is_number};
use anyhow::{Context as _, Result};
use qrcode::QrCode;
use qrcode::render::svg;

const FOUND: [Column; 2] = [text("member", "/member"), right("shard", "/shard")];
/// Width and height of the picture at least, in its own units.
const QR_SIZE: u32 = 240;

pub(super) fn find(ctx: &Ctx, find: &MemberFind) -> Result<()> {
    let by = find.by();
    if let LookUp::Number(_) = &by
        && !is_number(&by.normal())
    {
        return Err(Failure::usage("a member's number has 16 digits, the last one checks the others: this is none"));
    }
    let answers = ctx.answers()?;
    let program = answers.program(find.name.as_deref().or(find.program.as_deref()))?;
    let answer = answers.ask(&Question::Find { program, by, as_of: find.past.as_of() })?;
    let rows = answer["members"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() {
        return Err(Failure::not_found("no member is found by that"));
    }
    ctx.printer.rows(&answer, &rows, &FOUND)
}

/// The 16 digits as a QR code: what a till scans.
pub(super) fn qr(ctx: &Ctx, qr: &MemberQr) -> Result<()> {
    let answers = ctx.answers()?;
    let answer = answers.ask(&Question::Member(of_member(&answers, &qr.asked)?))?;
    let Some(number) = answer["number"].as_str() else {
        return Err(Failure::not_found("the member has no number: its shard or position is too high for 16 digits"));
    };
    let code = QrCode::new(number).context("the number does not fit a qr code")?;
    ctx.printer.text(&format!("{}\n", code.render::<svg::Color>().min_dimensions(QR_SIZE, QR_SIZE).build()))
}
