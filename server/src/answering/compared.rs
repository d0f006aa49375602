//! What other rules would make of everything there is, shard by shard.

use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ledger::currency::format_amount;
use accrue_ledger::{Instant, Ruleset, Timeline};
use accrue_projections::{Across, Comparison, LedgerShift, Sweep, SweepOptions, Swept, Tally};
use accrue_store::Position;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Gainers and losers named where nobody says how many.
const NAMED: usize = 10;
/// … and at most.
const NAMED_MAX: usize = 1_000;

/// Rules to compare.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// Text of a ruleset; absent: the rules that are in force, over time.
    pub old: Option<String>,
    /// As `old`.
    pub new: Option<String>,
    /// A ruleset given judges from then on, those in force judge before; absent: always.
    pub from: Option<String>,
    /// Those in force judge again from then on; absent: never.
    pub to: Option<String>,
    /// Compared as of then; absent: now.
    pub at: Option<String>,
    /// One of so many members; absent: all.
    pub sample: Option<u64>,
    /// How many gainers and losers are named.
    pub named: Option<usize>,
    /// Threads; absent: all cores.
    pub threads: Option<usize>,
    /// Memory for facts, bytes.
    pub memory_bytes: Option<usize>,
}

/// Compares two sides.
///
/// # Errors
/// A ruleset is none or for another program, there is no such program, or the log can't be read.
pub fn compare(
    readers: &Readers,
    program: &str,
    asked: &Compare,
    now: Instant,
    mut progress: impl FnMut(u32, Swept),
) -> Result<Value, Problem> {
    let instant = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => Instant::parse(text)
            .map(Some)
            .ok_or_else(|| Problem::new("bad_request", format!("{name} is {text:?}, it has to be like 2024-10-12T07:20:50Z"))),
    };
    let (at, from) = (instant("at", &asked.at)?.unwrap_or(now), instant("from", &asked.from)?.unwrap_or(Instant::MIN));
    let to = instant("to", &asked.to)?;
    if to.is_some_and(|to| to <= from) {
        return Err(Problem::new("bad_request", "to is not after from"));
    }
    let (old, new) = (ruleset(program, asked.old.as_deref())?, ruleset(program, asked.new.as_deref())?);
    let defaults = SweepOptions::default();
    let options = SweepOptions {
        threads: asked.threads.unwrap_or(defaults.threads),
        memory_bytes: asked.memory_bytes.unwrap_or(defaults.memory_bytes),
    };
    let mut tally = Tally::new(asked.named.unwrap_or(NAMED).min(NAMED_MAX));
    let (mut shards, mut sides) = (Vec::new(), None);
    let open = readers.ready()?;
    let all: Vec<_> = open.iter().map(|open| (open.reader.clone(), open.reader.next_position())).collect();
    let across = Across::of(&all, None)?;
    for (open, (_, until)) in open.iter().zip(&all) {
        let until = *until;
        let Some(live) = open.reader.timeline(program) else { continue };
        if let Some(to) = to.filter(|to| live.at(*to).is_none()) {
            return Err(Problem::new("bad_request", format!("no ruleset is in force at {to}: nothing could judge from then on")));
        }
        let side =
            |given: &Option<Arc<Ruleset>>| given.as_ref().map_or_else(|| live.clone(), |given| live.replaced(from, to, given));
        let (old, new) = (side(&old), side(&new));
        let sample = asked.sample.unwrap_or(1).max(1);
        let comparison =
            Comparison { program, old: &old, new: &new, at, sample, named: NAMED_MAX.min(asked.named.unwrap_or(NAMED)) };
        let sweep = Sweep { log: &open.log, until, recorded: None, options, across: Some(&across) };
        comparison.add(&sweep, &mut tally, |swept| progress(open.reader.shard(), swept))?;
        shards.push(json!({ "shard": open.reader.shard(), "next_position": until.max(Position::FIRST).0 }));
        sides.get_or_insert((old, new));
    }
    let Some((old, new)) = sides else { return Err(Problem::not_found(format!("there is no program {program} here"))) };
    Ok(told(program, at, asked.sample.unwrap_or(1).max(1), (&old, &new), &tally, shards))
}

pub(super) fn ruleset(program: &str, text: Option<&str>) -> Result<Option<Arc<Ruleset>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let read = Ruleset::parse(text).map_err(|error| Problem::new("ruleset_invalid", error.to_string()))?;
    if read.program != program {
        return Err(Problem::new("wrong_program", format!("the ruleset is for program {}, not {program}", read.program)));
    }
    Ok(Some(Arc::new(read)))
}

pub(super) fn told(
    program: &str,
    at: Instant,
    sample: u64,
    (old, new): (&Timeline, &Timeline),
    tally: &Tally,
    shards: Vec<Value>,
) -> Value {
    let rules = |timeline: &Timeline| -> Vec<Value> {
        let one = |known: &accrue_ledger::Activation| {
            let from = if known.effective_from == Instant::MIN { "always".to_owned() } else { known.effective_from.to_string() };
            json!({ "ruleset": known.ruleset.hash_hex(), "from": from })
        };
        timeline.activations().iter().map(one).collect()
    };
    let ledgers: serde_json::Map<String, Value> =
        tally.ledgers.iter().map(|(ledger, shift)| (ledger.clone(), ledger_row(shift))).collect();
    let main = tally.ledgers.get(accrue_ledger::MAIN).copied().unwrap_or_default();
    let tiers = tally.tiers.iter().filter(|((from, to), _)| !(from.is_empty() && to.is_empty()));
    let tiers: Vec<Value> = tiers.map(|((from, to), members)| json!({ "from": from, "to": to, "members": members })).collect();
    let rule_rows: Vec<Value> = tally
        .rules
        .iter()
        .map(|(rule, shift)| {
            json!({ "rule": rule, "old": shift.old, "new": shift.new, "delta": shift.new - shift.old, "members": shift.members })
        })
        .collect();
    let sizes: Vec<Value> =
        tally.sizes.iter().map(|(size, members)| json!({ "delta": range(*size), "members": members })).collect();
    let mut answer = json!({
        "program": program, "sample": sample,
        "old": rules(old), "new": rules(new), "shards": shards,
        "members": tally.members, "changed": tally.changed, "moved": tally.moved, "ledgers": ledgers,
        "liability": liability(&main, old, new, at),
        "tiers": tiers, "rules": rule_rows, "sizes": sizes,
        "uncovered": { "redemptions": tally.uncovered.0, "points": tally.uncovered.1, "largest": tally.shortfalls },
        "gainers": tally.gainers, "losers": tally.losers,
    });
    // Over what each member has on both sides, and over all that is said here, but for who says it when.
    let mut digest = blake3::Hasher::new();
    digest.update(tally.digest().as_bytes());
    digest.update(answer.to_string().as_bytes());
    answer["digest"] = json!(digest.finalize().to_hex().to_string());
    answer["at"] = json!(at.to_string());
    (answer["engine"], answer["time_zone_data"]) = (json!(env!("CARGO_PKG_VERSION")), json!(accrue_ledger::time_zone_data()));
    answer
}

fn ledger_row(shift: &LedgerShift) -> Value {
    let (old, new) = (&shift.old, &shift.new);
    json!({
        "old": old, "new": new, "members": shift.members,
        "delta": {
            "active": new.active - old.active, "pending": new.pending - old.pending,
            "debt": new.debt - old.debt, "expiring": new.expiring - old.expiring,
        },
    })
}

/// What active and pending points of `main` are worth, by the ruleset of each side; `null` on a side that says nothing of it, and
/// altogether where both do.
fn liability(main: &LedgerShift, old: &Timeline, new: &Timeline, at: Instant) -> Value {
    let of = |timeline: &Timeline, points: i64| {
        let rules = timeline.at(at)?;
        let (_, expected) = rules.liability?.of(points, rules.exponent);
        Some((expected, rules.exponent, rules.currency.to_string()))
    };
    let (was, is) = (of(old, main.old.active + main.old.pending), of(new, main.new.active + main.new.pending));
    let Some((_, exponent, currency)) = was.clone().or_else(|| is.clone()) else { return Value::Null };
    let (was, is) = (was.map(|(was, ..)| was), is.map(|(is, ..)| is));
    let shown = |amount: i64| format_amount(amount, exponent);
    let delta = was.zip(is).map(|(was, is)| format!("{}{}", if is > was { "+" } else { "" }, shown(is - was)));
    json!({ "currency": currency, "old": was.map(shown), "new": is.map(shown), "delta": delta })
}

/// `+10 to +99`, of a sign and a number of digits.
fn range(size: i8) -> String {
    let digits = u32::from(size.unsigned_abs());
    let sign = if size < 0 { '−' } else { '+' };
    match digits {
        0 => "0 (other numbers)".to_owned(),
        digits => format!("{sign}{} to {sign}{}", 10_u64.pow(digits - 1), 10_u64.pow(digits) - 1),
    }
}
