//! `accrue demo`: a few years in the life of a small shop, made up from a seed, taken in and shown.

use super::programs::earned_by_period;
use super::{Ctx, rules, serve};
use crate::answering::answer;
use crate::answers::{Found, find};
use crate::cli::{Demo, Output};
use crate::failure::Failure;
use crate::intake::Straight;
use crate::page::bars;
use crate::print::{Column, Printer, points, right, text};
use crate::progress;
use crate::question::Question;
use crate::telemetry::Stopwatch;
use accrue_ingest::life::{DAYS, Life, PROGRAM, RULESET};
use accrue_ingest::{Clock, Message, Outcome, Receipt};
use accrue_ledger::{Instant, Outcome as Answer, Ruleset};
use accrue_projections::AsOf;
use accrue_proto::{from_timestamp, pb, write_fact};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Members in the summary.
const TOP: usize = 5;

const KINDS: [Column; 8] = [
    text("fact", "/kind"),
    right("applied", "/applied"),
    right("accepted", "/accepted"),
    right("rejected", "/rejected"),
    right("waits", "/parked"),
    right("seen before", "/duplicate"),
    right("conflict", "/conflict"),
    right("refused", "/refused"),
];

const BEST: [Column; 6] = [
    text("member", "/member"),
    right("active", "/active"),
    right("pending", "/pending"),
    right("spent", "/spent"),
    right("orders", "/orders"),
    right("eligible spend", "/eligible_spend"),
];

/// Counts by kind of fact and outcome.
type Counts = BTreeMap<&'static str, BTreeMap<&'static str, u64>>;

pub(super) fn run(ctx: &Ctx, demo: &Demo) -> Result<()> {
    let store = match find(&ctx.config)? {
        Found::Store(store) => store,
        Found::Service(client) => {
            return Err(Failure::usage(format!(
                "the store is served at {} already: stop that first, or choose another --dir",
                client.base()
            )));
        }
    };
    let straight = Straight::open(&ctx.config, store)?;
    let now = Clock::system().now();
    let days = DAYS * i64::from(demo.years) / 2;
    let start = start(&straight, now, days);
    activate(&straight, start, now)?;
    let watch = Stopwatch::start();
    let counts = take_in(&straight, demo, start, days)?;
    let seconds = watch.elapsed().as_secs_f64();
    summary(ctx, demo, &straight, &counts, seconds)?;
    straight.close()?;
    if demo.serve { serve::run(ctx) } else { Ok(()) }
}

/// The same life again, if it was lived here before; else one that ends today.
fn start(straight: &Straight, now: Instant, days: i64) -> Instant {
    let lived = straight.readers.all().iter().find_map(|open| open.reader.timeline(PROGRAM));
    let began = lived.and_then(|timeline| timeline.activations().first().map(|first| first.effective_from));
    began.unwrap_or(Instant((now.0.div_euclid(DAY) - days) * DAY))
}

fn activate(straight: &Straight, start: Instant, now: Instant) -> Result<()> {
    let rules = Ruleset::parse(RULESET).context("the ruleset of the demo")?;
    let (fact, key) = rules::activation(&rules, start, now);
    let message = Message { value: Some(&fact), key: Some(key.as_bytes()), ..Message::default() };
    match straight.embedded().publish(&message)?.outcome {
        Outcome::Booked { .. } | Outcome::Duplicate { .. } => Ok(()),
        Outcome::Conflict { detail, .. } | Outcome::Refused { detail, .. } => {
            Err(anyhow::anyhow!("the ruleset of the demo: {detail}"))
        }
    }
}

fn take_in(straight: &Straight, demo: &Demo, start: Instant, days: i64) -> Result<Counts> {
    let end = Instant(start.0 + days * DAY);
    let bar = progress::facts("taking in", Life::estimate(demo.members) * u64::from(demo.years) / 2);
    let mut publisher = straight.embedded().publisher().with_receipts();
    let (mut counts, mut kinds, mut bytes) = (Counts::new(), VecDeque::new(), Vec::new());
    let at = |fact: &pb::Fact| fact.occurred_at.as_ref().and_then(from_timestamp);
    for fact in Life::new(demo.seed, demo.members, start).filter(|fact| at(fact).is_some_and(|at| at < end)) {
        bytes.clear();
        write_fact(&fact, &mut bytes);
        let key = format!("{}/{}", fact.program, fact.member);
        publisher.push(&Message { value: Some(&bytes), key: Some(key.as_bytes()), ..Message::default() })?;
        kinds.push_back(accrue_proto::read_fact(&bytes).map_or("unreadable", |fact| fact.kind.name()));
        while let Some((_, receipt)) = publisher.receipt() {
            count(&mut counts, kinds.pop_front(), &receipt);
            bar.inc(1);
        }
    }
    publisher.flush()?;
    while let Some((_, receipt)) = publisher.receipt() {
        count(&mut counts, kinds.pop_front(), &receipt);
    }
    bar.finish_and_clear();
    Ok(counts)
}

fn count(counts: &mut Counts, kind: Option<&'static str>, receipt: &Receipt) {
    let outcome = match &receipt.outcome {
        Outcome::Booked { parked: true, .. } => "parked",
        Outcome::Booked { decision: None, .. } => "applied",
        Outcome::Booked { decision: Some(decision), .. } => match decision.outcome {
            Answer::Accepted(_) => "accepted",
            Answer::Rejected(_) => "rejected",
        },
        Outcome::Duplicate { .. } => "duplicate",
        Outcome::Conflict { .. } => "conflict",
        Outcome::Refused { .. } => "refused",
    };
    *counts.entry(kind.unwrap_or("unreadable")).or_default().entry(outcome).or_default() += 1;
}

fn summary(ctx: &Ctx, demo: &Demo, straight: &Straight, counts: &Counts, seconds: f64) -> Result<()> {
    let now = Clock::system().now();
    let program = || PROGRAM.to_owned();
    let ask = |question: &Question| answer(&straight.readers, question, now).map_err(anyhow::Error::from);
    let kinds: Vec<Value> = counts.iter().map(|(kind, outcomes)| with_kind(kind, outcomes)).collect();
    let totals = ask(&Question::Totals { program: program(), by: None, as_of: AsOf::default() })?;
    let top = ask(&Question::Top { program: program(), sort: "active".to_owned(), limit: TOP, as_of: AsOf::default() })?;
    let months = ask(&Question::Totals { program: program(), by: Some("month".to_owned()), as_of: AsOf::default() })?;
    let facts: u64 = counts.values().flat_map(BTreeMap::values).sum();
    let seen: u64 = counts.values().filter_map(|outcomes| outcomes.get("duplicate")).sum();
    let rate = (facts as f64 / seconds.max(0.001)) as u64;
    let head = format!(
        "{} facts of {} members in {seconds:.1} s, {} facts/s, every group synced",
        number(facts),
        number(u64::from(demo.members)),
        number(rate)
    );
    if ctx.printer.output() == Output::Json {
        let told = json!({ "facts": facts, "members": demo.members, "seconds": seconds, "kinds": counts, "totals": totals["ledgers"], "top": top["members"] });
        return ctx.printer.json(&told);
    }
    let (printer, style) = (&ctx.printer, ctx.printer.style);
    let rows = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let again = if seen * 2 > facts {
        "this life was taken in before: all of it was recognised, and nothing was booked twice\n"
    } else {
        ""
    };
    let page = format!(
        "\n{}\n{again}\n{}\n\n{}\n{}\n\n{}\n{}\n\n{}\n{}",
        style.bold(&head),
        printer.table(&kinds, &KINDS),
        style.bold("Points by status"),
        status(printer, &totals),
        style.bold("Members with the most points"),
        printer.table(&rows(&top["members"]), &BEST),
        style.bold("Points earned by month"),
        bars(&earned_by_period(&rows(&months["rows"])), style),
    );
    printer.text(&page)?;
    let best = top["members"][0]["member"].as_str().unwrap_or("m-00042").to_owned();
    printer.text(&examples(ctx, &best))
}

fn number(number: u64) -> String {
    points(number.cast_signed())
}

fn with_kind(kind: &str, outcomes: &BTreeMap<&'static str, u64>) -> Value {
    let mut row = json!(outcomes);
    row["kind"] = json!(kind);
    row
}

fn status(printer: &Printer, totals: &Value) -> String {
    const COLUMNS: [Column; 7] = [
        text("ledger", "/ledger"),
        right("active", "/active"),
        right("pending", "/pending"),
        right("debt", "/debt"),
        right("earned", "/earned"),
        right("spent", "/spent"),
        right("expired", "/expired"),
    ];
    let ledgers = totals["ledgers"].as_object().into_iter().flatten();
    let rows: Vec<Value> = ledgers
        .map(|(ledger, sums)| {
            let mut row = sums.clone();
            row["ledger"] = json!(ledger);
            row
        })
        .collect();
    printer.table(&rows, &COLUMNS)
}

fn examples(ctx: &Ctx, member: &str) -> String {
    let dir = ctx.config.data_dir.display();
    let earlier: String = Instant(Clock::system().now().0 - DAYS / 4 * DAY).to_string().chars().take(10).collect();
    let lines = [
        ("a member on one page", format!("accrue member show --dir {dir} {PROGRAM} {member}")),
        ("as it was, half a year ago", format!("accrue member show --dir {dir} {PROGRAM} {member} --as-of {earlier}")),
        ("what each number is made of", format!("accrue explain --dir {dir} {PROGRAM} {member}")),
        ("everything that changed it", format!("accrue entries --dir {dir} {PROGRAM} {member}")),
        ("its tier, and how it came to it", format!("accrue member tiers --dir {dir} {PROGRAM} {member}")),
        ("moves between tiers", format!("accrue tiers --dir {dir} --picture tiers.svg")),
        ("points that end soon", format!("accrue expiring --dir {dir} --within P30D --limit 10")),
        ("who spent most", format!("accrue member list --dir {dir} --sort spend --top 10")),
        ("the program by month", format!("accrue totals --dir {dir} --by month")),
        ("derive all of it again, and compare", format!("accrue verify --dir {dir}")),
    ];
    let width = lines.iter().map(|(_, command)| command.chars().count()).max().unwrap_or(0);
    let style = ctx.printer.style;
    let lines = lines.iter().map(|(what, command)| format!("  {command:<width$}   {}\n", style.dim(what)));
    format!("\n{}\n{}\n", style.bold("Try"), lines.collect::<String>())
}
