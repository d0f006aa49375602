//! `accrue liability`: what is owed to members, rolled forward, to the point.

use super::Ctx;
use super::chart::{self, Pair};
use super::export::Bar;
use super::triangle::{Vintage, triangle};
use crate::answering::{Owed, owed};
use crate::answers::Answers;
use crate::cli::{By, Liability, Output};
use crate::failure::Failure;
use crate::page;
use crate::print::{Column, points, right, text};
use accrue_ingest::Clock;
use anyhow::Result;
use serde_json::{Value, json};

/// All columns, for files.
const ALL: [Column; 22] = [
    text("program", "/program"),
    text("ledger", "/ledger"),
    text("period", "/period"),
    right("opening", "/opening"),
    right("earned", "/earned"),
    right("imported", "/imported"),
    right("restored", "/restored"),
    right("transferred in", "/transferred_in"),
    right("adjusted", "/adjusted"),
    right("spent", "/spent"),
    right("expired", "/expired"),
    right("cancelled", "/cancelled"),
    right("clawed back", "/clawed_back"),
    right("debt repaid", "/debt_repaid"),
    right("transferred out", "/transferred_out"),
    right("closing", "/closing"),
    right("debt opening", "/debt_opening"),
    right("debt opened", "/debt_opened"),
    right("debt closing", "/debt_closing"),
    right("entries", "/entries"),
    text("value", "/value"),
    text("expected value", "/expected_value"),
];
/// Those that a table shows also where nothing is in them.
const ALWAYS: [&str; 6] = ["period", "opening", "earned", "spent", "expired", "closing"];
const AGED: [Column; 7] = [
    text("earned in", "/month"),
    right("earned", "/earned"),
    right("spent", "/spent"),
    right("expired", "/expired"),
    right("taken back", "/clawed_back"),
    right("other", "/other"),
    right("left", "/left"),
];
const AGES: [Column; 9] = [
    text("program", "/program"),
    text("ledger", "/ledger"),
    text("earned in", "/month"),
    right("age", "/age"),
    right("earned", "/earned"),
    right("spent", "/spent"),
    right("expired", "/expired"),
    right("taken back", "/clawed_back"),
    right("other", "/other"),
];

pub(super) fn run(ctx: &Ctx, asked: &Liability) -> Result<()> {
    let date = |at: Option<accrue_ledger::Instant>| at.map(|at| at.to_string().chars().take(10).collect::<String>());
    let of = Owed {
        past: asked.past.asked()?,
        ledger: asked.ledger.clone(),
        by_day: asked.by == By::Day,
        from: date(asked.from),
        to: date(asked.to),
        vintages: asked.vintages || asked.html.is_some(),
        close: asked.close.clone(),
    };
    let answer = ask(ctx.answers()?, &of)?;
    if let Some(path) = &asked.html {
        std::fs::write(path, page::owed(&answer, &pictures(&answer)?)?)
            .map_err(|error| Failure::usage(format!("can't write {}: {error}", path.display())))?;
    }
    match ctx.printer.output() {
        Output::Json => ctx.printer.json(&answer),
        Output::Csv if asked.vintages => ctx.printer.rows(&answer, &ages(&answer), &AGES),
        Output::Csv => ctx.printer.rows(&answer, &rows(&answer), &ALL),
        Output::Table => ctx.printer.text(&told(ctx, &answer)),
    }
}

fn ask(answers: Answers, of: &Owed) -> Result<Value> {
    match answers {
        Answers::Local(local) => {
            let mut bar = Bar::new("folding");
            let answer = owed(&local.readers, of, Clock::system().now(), |shard, swept| bar.at(shard, swept))?;
            bar.end();
            Ok(answer)
        }
        Answers::Remote(client, _) => client.owed(&serde_json::to_value(of)?),
        Answers::Beside(answers, _) => ask(*answers, of),
    }
}

/// Ledgers of all programs.
fn ledgers(answer: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let programs = answer["programs"].as_array().into_iter().flatten();
    programs.flat_map(|program| program["ledgers"].as_array().into_iter().flatten().map(move |ledger| (program, ledger)))
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

fn rows(answer: &Value) -> Vec<Value> {
    let of_ledger = |(program, ledger): (&Value, &Value)| {
        let with = |row: &Value| {
            let mut row = row.clone();
            (row["program"], row["ledger"]) = (program["program"].clone(), ledger["ledger"].clone());
            row
        };
        list(ledger, "rows").iter().map(with).collect::<Vec<_>>()
    };
    ledgers(answer).flat_map(of_ledger).collect()
}

/// Vintages with their ages, one row each.
fn ages(answer: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for (program, ledger) in ledgers(answer) {
        for vintage in list(ledger, "vintages") {
            rows.extend(list(vintage, "ages").iter().map(|age| {
                let mut row = age.clone();
                (row["program"], row["ledger"]) = (program["program"].clone(), ledger["ledger"].clone());
                row["month"] = vintage["month"].clone();
                row
            }));
        }
    }
    rows
}

/// How what is owed came, month by month, and the triangle of vintages, of each ledger.
fn pictures(answer: &Value) -> Result<Vec<[String; 2]>> {
    let number = |of: &Value, name: &str| of[name].as_i64().unwrap_or(0);
    let mut all = Vec::new();
    for (_, ledger) in ledgers(answer) {
        let closings: Vec<Pair> = list(ledger, "rows")
            .iter()
            .map(|row| Pair { name: row["period"].as_str().unwrap_or_default().to_owned(), old: 0, new: number(row, "closing") })
            .collect();
        let vintages: Vec<Vintage> = list(ledger, "vintages")
            .iter()
            .map(|vintage| Vintage {
                month: vintage["month"].as_str().unwrap_or_default().to_owned(),
                came: number(vintage, "earned"),
                age: number(vintage, "age"),
                left: list(vintage, "ages").iter().map(|age| (number(age, "age"), number(age, "left"))).collect(),
            })
            .collect();
        all.push([
            chart::pairs("owed at the end of the period", &closings)?,
            triangle("what is left of each month's points, by age in months", &vintages)?,
        ]);
    }
    Ok(all)
}

fn told(ctx: &Ctx, answer: &Value) -> String {
    let (printer, style) = (&ctx.printer, ctx.printer.style);
    let mut page = String::new();
    if let Some(month) = answer["closing"].as_str() {
        page += &format!("Closing of {month}, as of {}\n\n", answer["as_of"].as_str().unwrap_or_default());
    }
    for (program, ledger) in ledgers(answer) {
        let name = |of: &Value| of.as_str().unwrap_or_default().to_owned();
        let rows = list(ledger, "rows");
        let shown: Vec<Column> = ALL.into_iter().filter(|column| is_shown(column, rows)).collect();
        let lots = |name: &str| points(ledger["lots"][name].as_i64().unwrap_or(0));
        page += &format!(
            "{}\n{}\nin lots: {} active, {} pending; owed by members: {}\n",
            style.bold(&format!("{} · {}", name(&program["program"]), name(&ledger["ledger"]))),
            printer.table(rows, &shown),
            lots("active"),
            lots("pending"),
            lots("debt"),
        );
        let vintages = list(ledger, "vintages");
        if !vintages.is_empty() {
            page += &format!("\n{}\n{}\n", style.bold("Vintages"), printer.table(vintages, &AGED));
            let closed = &ledger["breakage"]["closed"];
            if let (Some(spent), Some(expired)) = (closed["spent_rate"].as_str(), closed["expired_rate"].as_str()) {
                page += &format!("of months with nothing left: {spent} spent, {expired} expired of what was kept\n");
            }
        }
        if let (Some(value), Some(rate)) = (program["value_per_point"].as_str(), program["expected_redemption_rate"].as_str()) {
            page += &style
                .dim(&format!("a point of main is worth {value} {}, {rate} of them will be spent\n", name(&program["currency"])));
        }
        page.push('\n');
    }
    let shards: Vec<String> =
        list(answer, "shards").iter().map(|shard| format!("{}:{}", shard["shard"], shard["next_position"])).collect();
    let at = answer["closing"]
        .as_str()
        .map_or_else(|| format!("--as-of {}", answer["as_of"].as_str().unwrap_or_default()), |month| format!("--close {month}"));
    page + &style.dim(&format!(
        "again: {at} --as-known-before {} · digest {}\n",
        shards.join(","),
        answer["digest"].as_str().unwrap_or_default()
    ))
}

fn is_shown(column: &Column, rows: &[Value]) -> bool {
    let something = |row: &Value| row.pointer(column.pointer).is_some_and(|value| !value.is_null() && *value != json!(0));
    let more = !["program", "ledger", "entries", "debt opening"].contains(&column.head);
    ALWAYS.contains(&column.head) || (more && rows.iter().any(something))
}
