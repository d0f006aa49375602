//! `accrue rules diff`: what other rules would make of everything there is, before anybody decides anything.

use super::Ctx;
use super::chart::{self, Pair};
use super::export::Bar;
use crate::answering::Compare;
use crate::answers::Answers;
use crate::cli::{Diff, Output};
use crate::export::Folder;
use crate::export::frames::take;
use crate::export::shifts::{self, Shifts};
use crate::failure::Failure;
use crate::page;
use crate::print::{Column, right, text};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::Path;

/// Stands for the rules that are in force, over time.
const LIVE: &str = "live";
const LEDGERS: [Column; 11] = [
    text("ledger", "/ledger"),
    right("active", "/old/active"),
    right("then", "/new/active"),
    right("pending", "/old/pending"),
    right("then", "/new/pending"),
    right("owed", "/old/debt"),
    right("then", "/new/debt"),
    right("ends in 30 days", "/old/expiring"),
    right("then", "/new/expiring"),
    right("change", "/change"),
    right("members", "/members"),
];
const RULES: [Column; 5] = [
    text("rule", "/rule"),
    right("gave", "/old"),
    right("would give", "/new"),
    right("change", "/delta"),
    right("members", "/members"),
];
const SIZES: [Column; 2] = [text("a member's change", "/delta"), right("members", "/members")];
/// Members whose entries are shown, and entries of each; the page and JSON have more.
const EXPLAINED: usize = 1;
const EXPLAINED_ROWS: usize = 6;
/// Rulesets of a side that are named, the latest; the page and JSON have all.
const RULESETS: usize = 3;
const BESIDE: [Column; 4] =
    [text("at", "/at").instant(), text("because of", "/source"), text("now", "/old"), text("then", "/new")];
const NAMED: [Column; 6] = [
    text("member", "/member"),
    right("has", "/old"),
    right("would have", "/new"),
    right("change", "/delta"),
    text("tier", "/tier"),
    text("by rules", "/why"),
];

pub(super) fn run(ctx: &Ctx, diff: &Diff) -> Result<()> {
    let side = |name: &str| if name == LIVE { Ok(None) } else { super::rules::read(Path::new(name)).map(Some) };
    let (old, new) = (side(&diff.old)?, side(&diff.new)?);
    let answers = ctx.answers()?;
    let program = answers.program(diff.program.as_deref())?;
    let asked = Compare {
        old,
        new,
        from: diff.from.map(|from| from.to_string()),
        to: diff.to.map(|to| to.to_string()),
        at: diff.at.map(|at| at.to_string()),
        sample: diff.sample,
        named: Some(diff.named),
        threads: diff.threads,
        memory_bytes: diff.memory_mib.map(|mib| mib.saturating_mul(1024 * 1024)),
    };
    let answer = match &diff.parquet {
        Some(place) => with_rows(&answers, &program, &asked, Folder::begin(place)?)?,
        None => answers.compare(&program, &asked)?,
    };
    if let Some(path) = &diff.html {
        write_page(path, &answer, (&diff.old, &diff.new))?;
    }
    match ctx.printer.output() {
        Output::Json => ctx.printer.json(&answer),
        Output::Csv => ctx.printer.rows(&answer, &rows(&answer, "rules"), &RULES),
        Output::Table => ctx.printer.text(&told(ctx, &answer)),
    }
}

/// The answer, and the rows behind the sums, of the same positions.
fn with_rows(answers: &Answers, program: &str, asked: &Compare, folder: Folder) -> Result<Value> {
    let mut bar = Bar::new("writing rows");
    match answers {
        Answers::Local(local) => {
            let answer = answers.compare(program, asked)?;
            let of = Shifts::of(program, asked, &answer)?;
            let manifest = shifts::write(&local.readers, &of, &answer, folder.outlet(), |shard, swept| bar.at(shard, swept))?;
            folder.complete(&manifest)?;
            bar.end();
            Ok(answer)
        }
        Answers::Remote(client, _) => {
            let taken = take(client.compare_rows(program, asked)?, folder, |shard, swept| bar.at(shard, swept))?;
            bar.end();
            taken.answer.context("rows came without what they are of")
        }
        Answers::Beside(answers, _) => with_rows(answers, program, asked, folder),
    }
}

/// The comparison as a page.
pub(super) fn write_page(path: &Path, answer: &Value, sides: (&str, &str)) -> Result<()> {
    let page = page::compared(answer, sides, &pictures(answer)?)?;
    std::fs::write(path, page).map_err(|error| Failure::usage(format!("can't write {}: {error}", path.display())))
}

fn rows(answer: &Value, name: &str) -> Vec<Value> {
    answer[name].as_array().cloned().unwrap_or_default()
}

/// Pictures of the page: members by the size of their change, and points by rule.
fn pictures(answer: &Value) -> Result<[String; 2]> {
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap_or(0);
    let name = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let sizes: Vec<Pair> =
        rows(answer, "sizes").iter().map(|row| Pair { name: name(row, "delta"), old: 0, new: number(row, "members") }).collect();
    let rules: Vec<Pair> = rows(answer, "rules")
        .iter()
        .map(|row| Pair { name: name(row, "rule"), old: number(row, "old"), new: number(row, "new") })
        .collect();
    Ok([chart::pairs("members by the size of their change", &sizes)?, chart::pairs("points by rule: given, and then", &rules)?])
}

pub(super) fn told(ctx: &Ctx, answer: &Value) -> String {
    let (printer, style) = (&ctx.printer, ctx.printer.style);
    let number = |value: &Value| crate::print::points(value.as_i64().unwrap_or(0));
    let of = |name: &str| answer[name].as_str().unwrap_or_default();
    let mut page = format!(
        "{} of {} members would change as of {}\n",
        style.bold(&number(&answer["changed"])),
        number(&answer["members"]),
        of("at")
    );
    if answer["liability"].is_object() {
        let liability = |name: &str| answer["liability"][name].as_str().unwrap_or("not said");
        let delta = answer["liability"]["delta"].as_str().map(|delta| format!(" ({delta})")).unwrap_or_default();
        page += &format!("liability {} → {} {}{delta}\n", liability("old"), liability("new"), liability("currency"));
    }
    if answer["uncovered"]["redemptions"] != 0 {
        let (redemptions, missing) = (number(&answer["uncovered"]["redemptions"]), number(&answer["uncovered"]["points"]));
        page += &style.yellow(&format!(
            "{redemptions} redemptions that were made would not have been covered: {missing} points are owed\n"
        ));
    }
    let ledgers: Vec<Value> = answer["ledgers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(ledger, shift)| {
            let part = |name: &str| shift["delta"][name].as_i64().unwrap_or(0);
            let mut row = shift.clone();
            (row["ledger"], row["change"]) = (json!(ledger), json!(part("active") + part("pending") - part("debt")));
            row
        })
        .collect();
    let mut section = |title: &str, table: String| page += &format!("\n{}\n{table}\n", style.bold(title));
    section("Points", printer.table(&ledgers, &LEDGERS));
    let mut rules = rows(answer, "rules");
    rules.sort_by_key(|row| std::cmp::Reverse(row["delta"].as_i64().unwrap_or(0).unsigned_abs()));
    section("Which rule caused how much", printer.table(&rules, &RULES));
    let tiers = rows(answer, "tiers");
    if !tiers.is_empty() {
        section("Tiers: now, and then", matrix(ctx, &tiers));
    }
    let sizes = rows(answer, "sizes");
    if !sizes.is_empty() {
        section("Members by the size of their change", printer.table(&sizes, &SIZES));
    }
    page += &named_members(ctx, answer);
    let shards: Vec<String> =
        rows(answer, "shards").iter().map(|shard| format!("{} before {}", shard["shard"], shard["next_position"])).collect();
    let rules = |side: &str| {
        let rulesets = rows(answer, side);
        let one = |row: &Value| {
            let hash: String = row["ruleset"].as_str().unwrap_or_default().chars().take(16).collect();
            format!("{hash} from {}", row["from"].as_str().unwrap_or_default())
        };
        let last = rulesets.iter().skip(rulesets.len().saturating_sub(RULESETS)).map(one).collect::<Vec<_>>().join(", ");
        if rulesets.len() > RULESETS { format!("…, {last}") } else { last }
    };
    let sample = match answer["sample"].as_u64() {
        Some(1) | None => String::new(),
        Some(sample) => format!(" · one of {sample} members"),
    };
    page += &style.dim(&format!("\nrules: {} → {}{sample}", rules("old"), rules("new")));
    page + &style.dim(&format!(
        "\nshards: {} · time-zone data {} · engine {} · digest {}\n",
        shards.join(", "),
        of("time_zone_data"),
        of("engine"),
        of("digest")
    ))
}

/// Who gains and loses most, and of the first of them the entries that differ.
fn named_members(ctx: &Ctx, answer: &Value) -> String {
    let (printer, style) = (&ctx.printer, ctx.printer.style);
    let mut page = String::new();
    let mut section = |title: &str, table: String| page += &format!("\n{}\n{table}\n", style.bold(title));
    for (title, name) in [("Gain most", "gainers"), ("Lose most", "losers")] {
        let members = rows(answer, name);
        if members.is_empty() {
            continue;
        }
        let named: Vec<Value> = members.iter().map(named).collect();
        section(title, printer.table(&named, &NAMED));
        for shift in members.iter().take(EXPLAINED) {
            let pairs = page::pairs_of(&shift["entries"]);
            let shown: Vec<Value> = pairs.iter().take(EXPLAINED_ROWS).map(|(at, old, new)| pair_row(at, *old, *new)).collect();
            let who = shift["member"].as_str().unwrap_or_default();
            section(&format!("{who}: the first entries that differ, side by side"), printer.table(&shown, &BESIDE));
        }
    }
    page
}

/// An entry on each side.
fn pair_row(at: &str, old: Option<&Value>, new: Option<&Value>) -> Value {
    let side = |entry: Option<&Value>| {
        entry.map_or_else(String::new, |entry| {
            let (kind, rule) = (entry["kind"].as_str().unwrap_or_default(), entry["rule"].as_str().unwrap_or_default());
            format!("{} {kind} {rule}", entry["points"]).trim_end().to_owned()
        })
    };
    let source = old.or(new).map(|entry| entry["source"].clone());
    json!({ "at": at, "source": source, "old": side(old), "new": side(new) })
}

/// A gainer or loser, as a row.
fn named(shift: &Value) -> Value {
    let mut row = shift.clone();
    let (old, new) = (shift["tier_old"].as_str().unwrap_or_default(), shift["tier_new"].as_str().unwrap_or_default());
    row["tier"] = json!(if old == new { old.to_owned() } else { format!("{old} → {new}") });
    let rules = shift["rules"].as_object().into_iter().flatten();
    let rules = rules.map(|(rule, points)| format!("{rule} {} → {}", points[0], points[1]));
    row["why"] = json!(rules.collect::<Vec<_>>().join(", "));
    row
}

/// Tiers now down, tiers then across.
fn matrix(ctx: &Ctx, tiers: &[Value]) -> String {
    let name = |row: &Value, side: &str| {
        Some(row[side].as_str().unwrap_or_default()).filter(|name| !name.is_empty()).unwrap_or("none").to_owned()
    };
    let mut names: Vec<String> = tiers.iter().flat_map(|row| [name(row, "from"), name(row, "to")]).collect();
    names.sort();
    names.dedup();
    let cell = |from: &str, to: &str| {
        let found = tiers.iter().find(|row| name(row, "from") == from && name(row, "to") == to);
        found.map_or_else(String::new, |row| crate::print::points(row["members"].as_i64().unwrap_or(0)))
    };
    let width = names.iter().map(String::len).max().unwrap_or(0).max(9);
    let mut lines =
        vec![format!("{:width$}  {}", "", names.iter().map(|to| format!("{to:>width$}")).collect::<Vec<_>>().join("  "))];
    for from in &names {
        let cells: Vec<String> = names.iter().map(|to| format!("{:>width$}", cell(from, to))).collect();
        lines.push(format!("{}  {}", ctx.printer.style.dim(&format!("{from:width$}")), cells.join("  ")));
    }
    lines.join("\n")
}
