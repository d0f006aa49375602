//! `accrue exceptions list | show | resolve`

use super::{Ctx, of_member, pages};
use crate::answers::Answers;
use crate::cli::{Exceptions, Output, Resolve};
use crate::failure::Failure;
use crate::intake::{Hand, Summary};
use crate::print::{Column, right, text};
use crate::question::Question;
use accrue_ingest::Clock;
use accrue_ingest::facts_file::Form;
use accrue_ledger::Instant;
use anyhow::Result;
use serde_json::{Value, json};

const ROWS: [Column; 7] = [
    text("member", "/member"),
    text("exception", "/exception"),
    text("at", "/at").instant(),
    right("cost", "/cost"),
    text("from", "/source_kind"),
    text("can be matched", "/can_be_matched"),
    text("about", "/about"),
];

pub(super) fn run(ctx: &Ctx, exceptions: Exceptions) -> Result<()> {
    match exceptions {
        Exceptions::List { program, limit, past } => {
            let as_of = past.as_of();
            let answers = ctx.answers()?;
            let program = answers.program(program.named())?;
            let (mut at, mut known) = (Value::Null, Value::Null);
            let (rows, more) = pages("exceptions", answers.page_rows(), limit as usize, |limit, after| {
                let answer =
                    answers.ask(&Question::Exceptions { program: program.clone(), after: after.to_owned(), limit, as_of })?;
                (at, known) = (answer["as_of"].clone(), answer["as_known_at"].clone());
                Ok(answer)
            })?;
            let whole = json!({ "program": program, "exceptions": rows, "as_of": at, "as_known_at": known });
            ctx.printer.rows(&whole, &rows, &ROWS)?;
            if more {
                eprintln!("there are more: --limit");
            }
            Ok(())
        }
        Exceptions::Show { exception, who } => {
            let answers = ctx.answers()?;
            let of = of_member(&answers, &who)?;
            show(ctx, &open(&answers, of, &exception)?.1)
        }
        Exceptions::Resolve(resolve) => resolved(ctx, &resolve),
    }
}

/// An open exception of a member.
fn open(answers: &Answers, of: crate::question::OfMember, exception: &str) -> Result<(String, Value)> {
    let (program, member) = (of.program.clone(), of.member.clone());
    let answer = answers.ask(&Question::Member(of))?;
    let found = answer["open_exceptions"].as_array().into_iter().flatten().find(|known| known["exception"] == exception);
    match found {
        Some(found) => Ok((program, found.clone())),
        None => Err(Failure::not_found(format!(
            "{program}/{member} has no open exception {exception:?}: see `accrue exceptions list`"
        ))),
    }
}

fn show(ctx: &Ctx, exception: &Value) -> Result<()> {
    if ctx.printer.output() != Output::Table {
        return ctx.printer.rows(exception, std::slice::from_ref(exception), &ROWS);
    }
    let mut page = String::new();
    for (name, value) in exception.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        page += &format!("{}  {value}\n", ctx.printer.style.dim(&format!("{name:<15}")));
    }
    ctx.printer.text(&page)
}

/// The fact that a person resolved an exception.
fn fact(program: &str, resolve: &Resolve, member: &str, now: Instant) -> Value {
    let mut body = json!({ "exception": resolve.exception, "reason": resolve.reason });
    resolve.order.iter().for_each(|order| body["order_id"] = json!(order));
    resolve.line.iter().for_each(|line| body["line_id"] = json!(line));
    json!({
        "id": format!("resolve-{}-{now}", resolve.exception),
        "source": "console",
        "program": program,
        "member": member,
        "occurred_at": now.to_string(),
        "actor": resolve.actor,
        "exception_resolved": body,
    })
}

fn resolved(ctx: &Ctx, resolve: &Resolve) -> Result<()> {
    let now = Clock::system().now();
    let (program, member) = {
        let answers = ctx.answers()?;
        let of = of_member(&answers, &resolve.who)?;
        let member = of.member.clone();
        let (program, found) = open(&answers, of, &resolve.exception)?;
        if resolve.order.is_some() && found["can_be_matched"] != true {
            return Err(Failure::usage(format!(
                "{} can't be matched to an order: leave --order out to write it off",
                resolve.exception
            )));
        }
        (program, member)
    };
    let mut bytes = Some(fact(&program, resolve, &member, now).to_string().into_bytes());
    let key = format!("{program}/{member}");
    let hand = Hand::open(&ctx.config, ctx.url.as_deref(), resolve.kafka)?;
    let next = |into: &mut Vec<u8>| {
        into.extend(bytes.take()?);
        Some(Ok((Form::Json, Some(key.clone()), resolve.exception.clone())))
    };
    let mut summary = Summary::default();
    let done = hand.all(next, |_| {}, &mut summary);
    hand.close()?;
    done?;
    if let Some(trouble) = summary.troubles().first() {
        return Err(Failure::broken(trouble.clone()));
    }
    let how = resolve.order.as_ref().map_or_else(|| "written off".to_owned(), |order| format!("matched to order {order}"));
    let whole =
        json!({ "member": member, "exception": resolve.exception, "resolution": how, "outcomes": summary.json()["outcomes"] });
    let columns = [text("member", "/member"), text("exception", "/exception"), text("resolution", "/resolution")];
    ctx.printer.rows(&whole, std::slice::from_ref(&whole), &columns)
}
