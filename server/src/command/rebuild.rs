//! `accrue rebuild …`: generations of views, built beside the live one, compared, made live, dropped.

use super::Ctx;
use crate::answering::{Build, Manage};
use crate::answers::Answers;
use crate::cli::{Output, Rebuild, RebuildDiff, RebuildStart};
use crate::failure::Failure;
use crate::print::{Column, right, text};
use crate::progress;
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

/// Between two looks at a build.
const LOOK: Duration = Duration::from_millis(200);

const GENERATIONS: [Column; 11] = [
    right("shard", "/shard"),
    right("generation", "/generation"),
    text("state", "/state"),
    right("position", "/next_position"),
    right("behind", "/behind"),
    text("folded", "/folded"),
    right("facts/s", "/facts_per_second"),
    text("left", "/left"),
    text("ingest p99", "/ingest_p99"),
    right("MiB", "/mib"),
    text("ruleset", "/ruleset"),
];
const FLIPS: [Column; 3] = [right("shard", "/shard"), right("live", "/live"), text("the writer waited", "/waited")];
const SUMS: [Column; 6] = [
    text("program", "/program"),
    text("ledger", "/ledger"),
    text("number", "/number"),
    right("live", "/live"),
    right("other", "/other"),
    right("difference", "/difference"),
];
const FIELDS: [Column; 4] = [text("member", "/member"), text("field", "/field"), text("live", "/live"), text("other", "/other")];

pub(super) fn run(ctx: &Ctx, rebuild: Rebuild) -> Result<()> {
    let answers = ctx.answers()?;
    if let Answers::Local(local) = &answers {
        local.keep()?;
    }
    match rebuild {
        Rebuild::Start(asked) => start(ctx, &answers, &asked),
        Rebuild::Status => show(ctx, &answers.manage(&Manage::Status)?),
        Rebuild::Diff(asked) => diff(ctx, &answers, asked),
        Rebuild::Flip { generation } => {
            wait_until_ready(&answers, generation)?;
            flipped(ctx, &answers.manage(&Manage::Flip(generation))?)
        }
        Rebuild::Rollback => {
            wait_for_all(&answers)?;
            flipped(ctx, &answers.manage(&Manage::RollBack)?)
        }
        Rebuild::Drop { generation } => {
            let answer = answers.manage(&Manage::Drop(generation))?;
            ctx.printer.rows(&answer, std::slice::from_ref(&answer), &[right("dropped", "/dropped")])
        }
    }
}

fn start(ctx: &Ctx, answers: &Answers, asked: &RebuildStart) -> Result<()> {
    if asked.detach && matches!(answers, Answers::Local(_)) {
        return Err(Failure::usage("nobody serves this directory: without --detach, this command builds it"));
    }
    let build = Build {
        threads: asked.threads,
        memory_mib: asked.memory_mib,
        io_mib_s: asked.io_mib_s,
        what_if: asked.rules.as_deref().map(super::rules::read).transpose()?,
        from: asked.from.map(|from| from.to_string()),
    };
    let answer = answers.manage(&Manage::Start(build))?;
    if asked.detach {
        return ctx.printer.rows(&answer, std::slice::from_ref(&answer), &[right("generation", "/generation")]);
    }
    let generation = answer["generation"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
    wait_until_ready(answers, generation)?;
    show(ctx, &answers.manage(&Manage::Status)?)
}

/// Waits until a generation is in step, in all shards.
fn wait_until_ready(answers: &Answers, generation: u32) -> Result<()> {
    wait(answers, |row| row["generation"] == generation)
}

fn wait_for_all(answers: &Answers) -> Result<()> {
    wait(answers, |_| true)
}

fn wait(answers: &Answers, is_meant: impl Fn(&Value) -> bool) -> Result<()> {
    let bar = progress::facts("building", 0);
    loop {
        let status = answers.manage(&Manage::Status)?;
        let rows = status["generations"].as_array().map_or(&[][..], Vec::as_slice);
        let meant: Vec<&Value> = rows.iter().filter(|row| is_meant(row)).collect();
        if let Some(failed) = meant.iter().find(|row| row["state"] == "failed") {
            bar.finish_and_clear();
            let detail = failed["detail"].as_str().unwrap_or_default();
            anyhow::bail!("shard {}, generation {}: {detail}; the live one is as it was", failed["shard"], failed["generation"]);
        }
        let busy = meant.iter().filter(|row| row["state"] == "building" || row["state"] == "catching_up").count();
        if busy == 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        let sum = |name: &str| meant.iter().filter_map(|row| row[name].as_u64()).sum::<u64>();
        bar.set_length(sum("of"));
        bar.set_position(sum("facts"));
        std::thread::sleep(LOOK);
    }
}

fn show(ctx: &Ctx, answer: &Value) -> Result<()> {
    let rows: Vec<Value> = answer["generations"].as_array().into_iter().flatten().map(row).collect();
    ctx.printer.rows(answer, &rows, &GENERATIONS)
}

/// A generation, as people read it.
fn row(status: &Value) -> Value {
    let mut row = status.clone();
    let number = |name: &str| status[name].as_u64().unwrap_or(0);
    row["state"] = json!(status["state"].as_str().unwrap_or_default().replace('_', " "));
    row["mib"] = json!(number("bytes").div_ceil(1024 * 1024));
    let building = status["state"] == "building" && number("of") > 0;
    row["folded"] = json!(if building { format!("{} %", number("facts") * 100 / number("of")) } else { String::new() });
    row["left"] =
        json!(status["seconds_left"].as_u64().filter(|_| building).map_or_else(String::new, |left| format!("{left} s")));
    let p99 = |when: &str| status[when]["p99_ms"].as_f64().map(|p99| format!("{p99:.1} ms"));
    row["ingest_p99"] = json!(match (p99("groups_while"), p99("groups_alone")) {
        (Some(during), Some(alone)) => format!("{during}, alone {alone}"),
        (Some(during), None) => during,
        (None, _) => String::new(),
    });
    if !building {
        row["facts_per_second"] = Value::Null;
    }
    let hashes = status["rulesets"].as_object().into_iter().flatten();
    let hashes =
        hashes.map(|(program, hash)| format!("{program} {}", &hash.as_str().unwrap_or_default().get(..12).unwrap_or_default()));
    row["ruleset"] = json!(match status["detail"].as_str() {
        Some(detail) => detail.to_owned(),
        None => hashes.collect::<Vec<_>>().join(", "),
    });
    row
}

fn flipped(ctx: &Ctx, answer: &Value) -> Result<()> {
    let rows = answer["shards"].as_array().into_iter().flatten().map(|shard| {
        let mut row = shard.clone();
        row["waited"] = json!(format!("{:.1} ms", shard["writer_waited_ms"].as_f64().unwrap_or(0.0)));
        row
    });
    ctx.printer.rows(answer, &rows.collect::<Vec<_>>(), &FLIPS)
}

fn diff(ctx: &Ctx, answers: &Answers, asked: RebuildDiff) -> Result<()> {
    wait_until_ready(answers, asked.generation)?;
    let RebuildDiff { generation, program, states, named, at } = asked;
    let answer = answers.manage(&Manage::Diff { generation, program, states, named: usize::from(named), at })?;
    let (sums, fields) = (sums(&answer), fields(&answer));
    match ctx.printer.output() {
        Output::Json => ctx.printer.json(&answer),
        Output::Csv => ctx.printer.rows(&answer, &fields, &FIELDS),
        Output::Table => {
            let mut page = String::new();
            for (program, found) in answer["programs"].as_object().into_iter().flatten() {
                let number = |name: &str| crate::print::points(found[name].as_i64().unwrap_or(0));
                page += &format!(
                    "{}: {} of {} members differ{}, {} of {} slices are the same\n",
                    ctx.printer.style.bold(program),
                    number("changed"),
                    number("members"),
                    if states { " in their states (records were not compared)" } else { "" },
                    number("slices_equal"),
                    number("slices")
                );
                if found["unsettled"].as_u64().unwrap_or(0) > 0 {
                    page += &format!("{} members went on changing and could not be compared\n", number("unsettled"));
                }
            }
            if !sums.is_empty() {
                page += &format!("\n{}\n{}\n", ctx.printer.style.bold("Sums of all members"), ctx.printer.table(&sums, &SUMS));
            }
            if !fields.is_empty() {
                page +=
                    &format!("\n{}\n{}\n", ctx.printer.style.bold("Members that differ"), ctx.printer.table(&fields, &FIELDS));
            }
            ctx.printer.text(&page)
        }
    }
}

/// Sums that differ.
fn sums(answer: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for (program, found) in answer["programs"].as_object().into_iter().flatten() {
        for (ledger, numbers) in found["sums"].as_object().into_iter().flatten() {
            for (number, pair) in numbers.as_object().into_iter().flatten() {
                let (live, other) = (pair["live"].as_i64().unwrap_or(0), pair["other"].as_i64().unwrap_or(0));
                if live != other {
                    let difference = other - live;
                    rows.push(json!({ "program": program, "ledger": ledger, "number": number, "live": live, "other": other, "difference": difference }));
                }
            }
        }
    }
    rows
}

/// A value in a cell: of what is long, how much it is; JSON has it whole.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) if !items.is_empty() => format!("{} of them", items.len()),
        Value::Object(fields) if !fields.is_empty() => format!("{{{}}}", fields.keys().cloned().collect::<Vec<_>>().join(", ")),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What differs in the members that are named.
fn fields(answer: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for (_, found) in answer["programs"].as_object().into_iter().flatten() {
        for member in found["named"].as_array().into_iter().flatten() {
            for (field, pair) in member["fields"].as_object().into_iter().flatten() {
                rows.push(
                    json!({ "member": member["member"], "field": field, "live": shown(&pair[0]), "other": shown(&pair[1]) }),
                );
            }
        }
    }
    rows
}
