//! `accrue rules check | test | activate | show | diff | apply | undo | history`

mod applied;

use super::Ctx;
use crate::answers::{Answers, must_exist};
use crate::cli::{Activate, OfProgram, Output, Rules};
use crate::failure::Failure;
use crate::intake::{Hand, Summary};
use crate::print::{Column, minute, right, text};
use crate::question::Question;
use accrue_ingest::Clock;
use accrue_ingest::facts_file::Form;
use accrue_ledger::{Instant, Ruleset};
use accrue_projections::story;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const CHECKED: [Column; 8] = [
    text("file", "/file"),
    text("program", "/program"),
    text("currency", "/currency"),
    text("zone", "/time_zone"),
    right("earn rules", "/earn_rules"),
    right("rewards", "/rewards"),
    text("hash", "/hash"),
    text("wrong", "/wrong"),
];

const SHOWN: [Column; 7] = [
    text("from", "/effective_from").instant(),
    text("hash", "/hash"),
    text("in force", "/in_force"),
    text("currency", "/currency"),
    text("zone", "/time_zone"),
    text("earn rules", "/earn_rules"),
    text("rewards", "/rewards"),
];

const TESTED: [Column; 4] =
    [text("file", "/file"), text("result", "/result"), text("section", "/section"), text("story", "/name")];
const STEPS: [Column; 4] =
    [right("step", "/step"), text("at", "/at").instant(), text("member", "/member"), text("what", "/what")];
const ENTRIES: [Column; 6] = [
    text("at", "/at").instant(),
    text("kind", "/kind"),
    text("ledger", "/ledger"),
    right("points", "/points"),
    right("then active", "/active_after"),
    text("why", "/why"),
];
const DIFFERENCES: [Column; 4] =
    [right("step", "/step"), text("what", "/what"), text("expected", "/expected"), text("found", "/found")];

pub(super) fn run(ctx: &Ctx, rules: Rules) -> Result<()> {
    match rules {
        Rules::Check { files } => check(ctx, &files),
        Rules::Test { paths } => test(ctx, &paths),
        Rules::Activate(activate) => bring_into_force(ctx, &activate),
        Rules::Show(of) => show(ctx, &of),
        Rules::Diff(diff) => super::compare::run(ctx, &diff),
        Rules::Apply(apply) => applied::apply(ctx, &apply),
        Rules::Undo(undo) => applied::undo(ctx, &undo),
        Rules::History(of) => applied::history(ctx, &of),
    }
}

pub(super) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("can't read {}: {error}", path.display())))
}

fn check(ctx: &Ctx, files: &[PathBuf]) -> Result<()> {
    let mut rows = Vec::new();
    for file in files {
        let name = file.display().to_string();
        rows.push(match Ruleset::parse(&read(file)?) {
            Ok(rules) => json!({
                "file": name,
                "program": rules.program.as_str(),
                "currency": rules.currency.as_str(),
                "time_zone": rules.time_zone.as_str(),
                "earn_rules": rules.earn.len(),
                "rewards": rules.rewards.len(),
                "hash": rules.hash_hex(),
                "warnings": rules.warnings(),
            }),
            Err(error) => json!({ "file": name, "line": error.line, "column": error.column, "wrong": error.message }),
        });
    }
    ctx.printer.rows(&json!({ "rulesets": rows }), &rows, &CHECKED)?;
    let file = |row: &Value| row["file"].as_str().unwrap_or_default().to_owned();
    for row in &rows {
        for warning in row["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            eprintln!("{}: warning: {warning}", file(row));
        }
    }
    let wrong: Vec<&Value> = rows.iter().filter(|row| !row["wrong"].is_null()).collect();
    for row in &wrong {
        let message = row["wrong"].as_str().unwrap_or_default();
        eprintln!("{} line {}, column {}: {message}", file(row), row["line"], row["column"]);
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::broken(format!("{} of {} rulesets are wrong", wrong.len(), rows.len()))) }
}

fn test(ctx: &Ctx, paths: &[PathBuf]) -> Result<()> {
    let scratch = tempfile::Builder::new().prefix("accrue-stories-").tempdir()?;
    let reports = story::run(paths, scratch.path())?;
    if reports.is_empty() {
        let named: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::usage(format!("{} has no scenario: they are files that end in .toml", named.join(", "))));
    }
    let row = |report: &story::StoryReport| {
        let result = if report.passed { "passed" } else { "FAILED" };
        let file = report.file.file_name().map(|name| name.to_string_lossy().into_owned());
        json!({ "file": file, "result": result, "section": report.section, "name": report.name })
    };
    let rows: Vec<Value> = reports.iter().map(row).collect();
    ctx.printer.rows(&json!({ "stories": reports }), &rows, &TESTED)?;
    let failed: Vec<_> = reports.iter().filter(|report| !report.passed).collect();
    if ctx.printer.output() == Output::Table {
        for report in &failed {
            let style = ctx.printer.style;
            let differences: Vec<Value> = report.differences.iter().map(|of| json!(of)).collect();
            let mut page = format!(
                "\n{}\n{}\n",
                style.red(&report.file.display().to_string()),
                ctx.printer.table(&differences, &DIFFERENCES)
            );
            match &report.smallest {
                Some(smallest) => {
                    let steps: Vec<Value> = smallest.steps.iter().map(|row| json!(row)).collect();
                    let entries: Vec<Value> = smallest.entries.iter().map(|row| json!(row)).collect();
                    page += &format!("\n{}\n{}\n", style.bold("The fewest steps"), ctx.printer.table(&steps, &STEPS));
                    page += &format!("\n{}\n{}\n", style.bold("Their entries"), ctx.printer.table(&entries, &ENTRIES));
                }
                None => report.story.iter().for_each(|line| page += &format!("  {line}\n")),
            }
            ctx.printer.text(&page)?;
        }
    }
    eprintln!("{} passed, {} failed", reports.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { Err(Failure::broken(format!("{} of {} stories differ", failed.len(), reports.len()))) }
}

/// The control fact that brings a ruleset into force.
pub(super) fn activation(rules: &Ruleset, from: Instant, now: Instant) -> (Vec<u8>, String) {
    let hash = rules.hash_hex();
    let at = from.min(now);
    let fact = json!({
        "id": format!("ruleset-{}-{from}-{at}", hash.chars().take(16).collect::<String>()),
        "source": "cli",
        "program": rules.program.as_str(),
        "occurred_at": at.to_string(),
        "ruleset_activated": { "ruleset": rules.source, "hash": hash, "effective_from": from.to_string() },
    });
    (fact.to_string().into_bytes(), format!("{}/", rules.program))
}

fn bring_into_force(ctx: &Ctx, activate: &Activate) -> Result<()> {
    let path = activate.file.display();
    let rules = Ruleset::parse(&read(&activate.file)?)
        .map_err(|error| Failure::broken(format!("{path} line {}, column {}: {}", error.line, error.column, error.message)))?;
    let now = Clock::system().now();
    let (program, hash) = (rules.program.as_str(), rules.hash_hex());
    if let Some(since) = in_force(ctx, program, &hash, activate.from)? {
        eprintln!("ruleset {hash} of program {program} is in force since {} UTC already: nothing to do", minute(&since));
        return Ok(());
    }
    let from = activate.from.unwrap_or(now);
    let (fact, key) = activation(&rules, from, now);
    let hand = Hand::open(&ctx.config, ctx.url.as_deref(), activate.kafka)?;
    let mut fact = Some(fact);
    let next = |bytes: &mut Vec<u8>| {
        bytes.extend(fact.take()?);
        Some(Ok((Form::Json, Some(key.clone()), activate.file.display().to_string())))
    };
    let mut summary = Summary::default();
    hand.all(next, |_| {}, &mut summary)?;
    hand.close()?;
    if let Some(trouble) = summary.troubles().first() {
        return Err(Failure::broken(trouble.clone()));
    }
    let whole =
        json!({ "program": program, "hash": hash, "effective_from": from.to_string(), "outcomes": summary.json()["outcomes"] });
    let columns = [text("program", "/program"), text("hash", "/hash"), text("from", "/effective_from").instant()];
    ctx.printer.rows(&whole, std::slice::from_ref(&whole), &columns)
}

/// Since when the same ruleset is in force in all shards, if it is, from the instant that is wanted.
fn in_force(ctx: &Ctx, program: &str, hash: &str, from: Option<Instant>) -> Result<Option<String>> {
    if ctx.url.is_none() && must_exist(&ctx.config).is_err() {
        return Ok(None);
    }
    let answers = Answers::open(&ctx.config, ctx.url.as_deref())?;
    let programs = answers.ask(&Question::Programs)?;
    let known = programs["programs"].as_array().is_some_and(|programs| programs.iter().any(|known| known == program));
    if !known {
        return Ok(None);
    }
    let answer = answers.ask(&Question::Rulesets { program: program.to_owned() })?;
    let same = |row: &&Value| match from {
        Some(from) => row["hash"] == hash && row["effective_from"] == from.to_string(),
        None => row["hash"] == hash && row["in_force"] == true,
    };
    let found = answer["rulesets"].as_array().into_iter().flatten().find(same);
    let whole = answer["same_in_all_shards"] == true;
    Ok(found.filter(|_| whole).and_then(|row| row["effective_from"].as_str()).map(str::to_owned))
}

fn show(ctx: &Ctx, of: &OfProgram) -> Result<()> {
    let answers = ctx.answers()?;
    let program = answers.program(of.named())?;
    let answer = answers.ask(&Question::Rulesets { program })?;
    let rows = answer["rulesets"].as_array().cloned().unwrap_or_default();
    ctx.printer.rows(&answer, &rows, &SHOWN)?;
    if answer["same_in_all_shards"] == false {
        eprintln!("the shards do not have the same rulesets: activate the latest again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_proto::json::{Defaults, fact_from_json};
    use accrue_proto::{read_fact, write_fact};

    #[test]
    fn an_activation_is_a_fact() {
        let rules = Ruleset::parse(accrue_ingest::life::RULESET).expect("valid");
        let (from, now) = (Instant(2_000_000), Instant(1_000_000));
        let (json, key) = activation(&rules, from, now);
        let mut bytes = Vec::new();
        write_fact(&fact_from_json(&json, &Defaults::default()).expect("has the form"), &mut bytes);
        let fact = read_fact(&bytes).expect("is valid");
        assert_eq!((fact.program, fact.member, fact.occurred_at, key.as_str()), ("demo", "", now, "demo/"));
        let accrue_ledger::Body::RulesetActivated { hash, effective_from, .. } = fact.body else { panic!("another body") };
        assert_eq!((hash, effective_from), (rules.hash_hex().as_str(), from));
    }
}
