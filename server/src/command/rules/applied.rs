//! `accrue rules apply | undo | history`

use super::super::{Ctx, compare};
use crate::answering::{Apply as Asked, Applying, Undo as AskedBack};
use crate::answers::{Found, find, must_exist};
use crate::cli::{Apply, OfProgram, Output, Undo};
use crate::client::Client;
use crate::failure::Failure;
use crate::intake::{Straight, straight_in};
use crate::print::{Column, right, text};
use crate::problem::Problem;
use crate::progress;
use crate::question::Question;
use accrue_ingest::Clock;
use accrue_ledger::Ruleset;
use anyhow::Result;
use serde_json::{Value, json};

const APPLICATIONS: [Column; 9] = [
    text("at", "/at").instant(),
    text("id", "/id"),
    text("policy", "/policy"),
    text("state", "/state"),
    text("from", "/from").instant(),
    text("to", "/to").instant(),
    right("entries", "/entries/members"),
    right("points", "/entries/points"),
    text("by", "/actor"),
];

/// Who applies rules: a running service, or this process.
enum Hand {
    Service(Client),
    Store(Box<Straight>),
}

impl Hand {
    fn open(ctx: &Ctx) -> Result<Hand> {
        if let Some(url) = &ctx.url {
            return Ok(Hand::Service(Client::new(url)));
        }
        must_exist(&ctx.config)?;
        match find(&ctx.config)? {
            Found::Service(client) => Ok(Hand::Service(client)),
            Found::Store(store) if store.embedded_shards().is_none() => {
                Err(Failure::usage("the store is filled from Kafka: start `accrue serve`, rules are applied through it"))
            }
            Found::Store(store) => Ok(Hand::Store(Box::new(Straight::open(&ctx.config, store)?))),
        }
    }

    /// Has it done; a store of this process is closed afterwards, whatever came of it.
    fn run(
        self,
        ctx: &Ctx,
        (program, what): (&str, &str),
        body: &Value,
        work: impl FnOnce(&Applying<'_>) -> Result<Value, Problem>,
    ) -> Result<Value> {
        let straight = match self {
            Hand::Service(client) => return client.rules(program, what, body),
            Hand::Store(straight) => straight,
        };
        let answer = {
            let take = |facts: &[&[u8]]| straight_in(straight.embedded(), facts);
            let (readers, guards) = (&straight.readers, ctx.config.http.guards);
            work(&Applying { readers, take: &take, catch_up: &|| Ok(()), program, guards, now: Clock::system().now() })
        };
        straight.close()?;
        Ok(answer?)
    }
}

fn program(ctx: &Ctx, named: Option<&str>) -> Result<String> {
    ctx.answers()?.program(named)
}

pub(super) fn apply(ctx: &Ctx, apply: &Apply) -> Result<()> {
    let text = apply.file.as_deref().map(super::read).transpose()?;
    let program = match (&apply.program, &text) {
        (Some(program), _) => program.clone(),
        (None, Some(text)) => {
            let rules =
                Ruleset::parse(text).map_err(|error| Failure::broken(format!("line {}: {}", error.line, error.message)))?;
            rules.program.to_string()
        }
        (None, None) => program(ctx, None)?,
    };
    let asked = asked(apply, text.unwrap_or_default());
    let bar = progress::facts("folding twice", 0);
    let hand = Hand::open(ctx)?;
    let mut progress = |_, swept: accrue_projections::Swept| {
        bar.set_length(swept.of);
        bar.set_position(swept.facts);
    };
    let answer = if apply.resume {
        hand.run(ctx, (&program, "resume"), &json!({}), |applying| applying.resume(&mut progress))
    } else {
        hand.run(ctx, (&program, "apply"), &serde_json::to_value(&asked)?, |applying| applying.apply(&asked, &mut progress))
    };
    bar.finish_and_clear();
    let answer = answer?;
    if let (Some(path), true) = (&apply.html, answer["diff"].is_object()) {
        let file = apply.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        compare::write_page(path, &answer["diff"], ("live", &file))?;
    }
    show(ctx, &answer)
}

fn asked(apply: &Apply, new: String) -> Asked {
    Asked {
        new,
        policy: apply.policy,
        from: apply.from.map(|at| at.to_string()),
        to: apply.to.map(|at| at.to_string()),
        at: apply.at.map(|at| at.to_string()),
        cohorts: apply.cohorts.clone(),
        max_members_pct: apply.max_members_pct,
        max_abs_delta: apply.max_abs_delta,
        approve: apply.approve.clone(),
        dry_run: apply.dry_run,
        note: apply.said.note.clone(),
        actor: apply.said.actor.clone(),
        named: Some(apply.named),
    }
}

pub(super) fn undo(ctx: &Ctx, undo: &Undo) -> Result<()> {
    let program = program(ctx, undo.program.as_deref())?;
    let asked = AskedBack {
        id: undo.id.clone(),
        at: undo.at.map(|at| at.to_string()),
        dry_run: undo.dry_run,
        note: undo.said.note.clone(),
        actor: undo.said.actor.clone(),
    };
    let body = serde_json::to_value(&asked)?;
    let answer = Hand::open(ctx)?.run(ctx, (&program, "undo"), &body, |applying| applying.undo(&asked))?;
    show(ctx, &answer)
}

pub(super) fn history(ctx: &Ctx, of: &OfProgram) -> Result<()> {
    let answers = ctx.answers()?;
    let program = answers.program(of.named())?;
    let answer = answers.ask(&Question::Applications { program })?;
    let rows = answer["applications"].as_array().cloned().unwrap_or_default();
    ctx.printer.rows(&answer, &rows, &APPLICATIONS)
}

fn show(ctx: &Ctx, answer: &Value) -> Result<()> {
    let application = &answer["application"];
    if ctx.printer.output() != Output::Table {
        return ctx.printer.rows(answer, std::slice::from_ref(application), &APPLICATIONS);
    }
    let style = ctx.printer.style;
    let mut page = String::new();
    if answer["diff"].is_object() {
        page += &compare::told(ctx, &answer["diff"]);
        page += "\n";
    }
    page += &ctx.printer.table(std::slice::from_ref(application), &APPLICATIONS);
    page += "\n";
    let refused = application["refused"].as_array().map_or(0, Vec::len);
    if refused > 0 {
        page += &style.yellow(&format!("{refused} entries were refused: see `accrue rules history -o json`\n"));
    }
    if let Some(why) = answer["stopped_by"].as_str() {
        page += &style.yellow(&format!("it would be stopped: {why}\n"));
    }
    let word = match application["state"].as_str() {
        Some("dry_run") => "nothing was done; with the same words without --dry-run it is",
        Some("already") => "that is so already: nothing to do",
        _ => "done",
    };
    page += &format!("{}\n", style.bold(word));
    page += &style.dim(&format!(
        "digest {} · of what it does {}\n",
        answer["digest"].as_str().unwrap_or_default(),
        answer["effects"].as_str().unwrap_or_default()
    ));
    ctx.printer.text(&page)
}
