//! `accrue import reconcile`: what another system says members have, beside what they have here.

use super::super::{Ctx, pages};
use crate::answers::Answers;
use crate::cli::Reconcile;
use crate::failure::Failure;
use crate::print::{Column, points, right, text};
use crate::progress;
use crate::question::{OfMember, Question};
use accrue_ingest::import::{Opening, OpeningKind, OpeningMapping};
use accrue_ledger::{Instant, MAIN};
use accrue_projections::AsOf;
use accrue_proto::{from_timestamp, pb};
use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ROWS: [Column; 6] = [
    text("member", "/member"),
    text("ledger", "/ledger"),
    right("theirs", "/theirs"),
    right("ours", "/ours"),
    right("difference", "/difference"),
    text("note", "/note"),
];

/// Points by member and ledger.
type Points = BTreeMap<(String, String), i64>;

pub(super) fn run(ctx: &Ctx, args: &Reconcile) -> Result<()> {
    let path = args.mapping.display();
    let words = std::fs::read_to_string(&args.mapping).map_err(|error| Failure::usage(format!("can't read {path}: {error}")))?;
    if !OpeningMapping::is_one(&words) {
        return Err(Failure::usage(format!(
            "{path} is a mapping of orders: reconcile needs kind = \"balances\", \"lots\" or \"history\""
        )));
    }
    super::publish::must_be_file(&args.file)?;
    let mapping = OpeningMapping::parse(&words).map_err(|error| Failure::usage(format!("{path} {error}")))?;
    let answers = ctx.answers()?;
    let at = args.as_of.unwrap_or_else(|| accrue_ingest::Clock::system().now());
    let theirs = theirs(args, &mapping, at)?;
    let mut ours = Points::new();
    let members: std::collections::BTreeSet<&str> = theirs.keys().map(|(member, _)| member.as_str()).collect();
    for member in &members {
        ours.extend(of_member(&answers, &mapping.program, member, at)?);
    }
    if args.as_of.is_none() {
        only_here(&answers, &mapping.program, &members, &mut ours)?;
    }
    let rows = compare(&theirs, &ours, |member| members.contains(member));
    let differ: Vec<&Value> = rows.iter().filter(|row| row["difference"] != 0).collect();
    let (all, wrong) = (rows.len(), differ.len());
    let sum = |of: &Points| of.values().sum::<i64>();
    let whole = json!({
        "program": mapping.program, "as_of": at.to_string(), "agree": all - wrong, "differ": wrong,
        "theirs": sum(&theirs), "ours": sum(&ours), "rows": rows,
    });
    let shown: Vec<Value> = if args.all { rows.clone() } else { differ.into_iter().cloned().collect() };
    ctx.printer.rows(&whole, &shown, &ROWS)?;
    eprintln!("{} agree, {} differ; theirs {}, ours {}", all - wrong, wrong, points(sum(&theirs)), points(sum(&ours)));
    if wrong > 0 { Err(anyhow!("{wrong} of {all} balances differ")) } else { Ok(()) }
}

/// What the file says, at that instant: lots that have ended by then are gone.
fn theirs(args: &Reconcile, mapping: &OpeningMapping, at: Instant) -> Result<Points> {
    let bar = progress::bytes("reading", std::fs::metadata(&args.file).map_or(0, |metadata| metadata.len()));
    let mut file = Opening::open(&args.file, mapping)?;
    let mut theirs = Points::new();
    while let Some(imported) = file.next() {
        bar.set_position(file.bytes_read());
        let fact = imported?.fact;
        let (ledger, points) = match fact.body {
            Some(pb::fact::Body::PointsImported(of)) => {
                let lives = |lot: &&pb::ImportedLot| {
                    let end = lot.expires_at.as_ref().and_then(from_timestamp);
                    mapping.kind == OpeningKind::History || end.is_none_or(|end| end > at)
                };
                (of.ledger, of.lots.iter().filter(lives).map(|lot| lot.points).sum())
            }
            Some(pb::fact::Body::PointsAdjusted(of)) => (of.ledger, of.points),
            Some(pb::fact::Body::RedemptionRecorded(of)) => (of.ledger, -of.points.unwrap_or(0)),
            _ => (String::new(), 0),
        };
        let ledger = if ledger.is_empty() { MAIN.to_owned() } else { ledger };
        *theirs.entry((fact.member, ledger)).or_default() += points;
    }
    bar.finish_and_clear();
    Ok(theirs)
}

/// Active and pending points minus what is owed.
fn of_member(answers: &Answers, program: &str, member: &str, at: Instant) -> Result<Points> {
    let as_of = AsOf { as_of: Some(at), ..AsOf::default() };
    let of = OfMember { program: program.to_owned(), member: member.to_owned(), as_of, min_position: None };
    let answer = match answers.ask(&Question::Member(of)) {
        Ok(answer) => answer,
        Err(error) if Failure::exit_of(&error) == crate::failure::Exit::NotFound => return Ok(Points::new()),
        Err(error) => return Err(error),
    };
    let balances = answer["balance"].as_object().into_iter().flatten();
    let number = |balance: &Value, name: &str| balance[name].as_i64().unwrap_or_default();
    Ok(balances
        .map(|(ledger, balance)| {
            let points = number(balance, "active") + number(balance, "pending") - number(balance, "debt");
            ((member.to_owned(), ledger.clone()), points)
        })
        .collect())
}

/// Members with points that the file does not have.
fn only_here(answers: &Answers, program: &str, known: &std::collections::BTreeSet<&str>, ours: &mut Points) -> Result<()> {
    let page = |limit: usize, after: &str| {
        answers.ask(&Question::Members { program: program.to_owned(), after: after.to_owned(), limit, as_of: AsOf::default() })
    };
    let (rows, _) = pages("members", answers.page_rows(), usize::MAX, page)?;
    for row in rows {
        let number = |name: &str| row[name].as_i64().unwrap_or_default();
        let (member, points) =
            (row["member"].as_str().unwrap_or_default(), number("active") + number("pending") - number("debt"));
        if points != 0 && !known.contains(member) {
            ours.insert((member.to_owned(), MAIN.to_owned()), points);
        }
    }
    Ok(())
}

fn compare(theirs: &Points, ours: &Points, in_file: impl Fn(&str) -> bool) -> Vec<Value> {
    let keys: std::collections::BTreeSet<&(String, String)> = theirs.keys().chain(ours.keys()).collect();
    let row = |key: &&(String, String)| {
        let (member, ledger) = *key;
        let number = |of: &Points| of.get(*key).copied().unwrap_or(0);
        let (theirs_of, ours_of) = (number(theirs), number(ours));
        let note = match (in_file(member), ours.contains_key(*key)) {
            (false, _) => "not in the file",
            (true, false) if theirs_of != 0 => "not here",
            _ => "",
        };
        json!({
            "member": member, "ledger": ledger, "theirs": theirs_of, "ours": ours_of, "difference": ours_of - theirs_of, "note": note,
        })
    };
    keys.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_says_how() {
        let of = |rows: &[(&str, i64)]| -> Points {
            rows.iter().map(|(member, points)| (((*member).to_owned(), "main".to_owned()), *points)).collect()
        };
        let (theirs, ours) = (of(&[("a", 10), ("b", 20), ("c", 5)]), of(&[("a", 10), ("b", 15), ("d", 7)]));
        let rows = compare(&theirs, &ours, |member| member != "d");
        let told: Vec<(i64, &str)> =
            rows.iter().map(|row| (row["difference"].as_i64().unwrap_or(99), row["note"].as_str().unwrap_or("?"))).collect();
        assert_eq!(told, [(0, ""), (-5, ""), (-5, "not here"), (7, "not in the file")]);
    }
}
