//! What programs owe their members: the roll-forward by month or day, vintages, and a closing that comes out the same again.

use super::value;
use crate::export::hex;
use crate::past::{Members, Past, PastAsked};
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ledger::calendar::{date_of, day_number, month_number, month_of, month_start};
use accrue_ledger::currency::format_amount;
use accrue_ledger::{EntryKind, Instant, MAIN, Timeline};
use accrue_projections::liability::{Aged, FLOWS, Flows};
use accrue_projections::{DayRow, Swept, decimal};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Owed {
    /// Which past.
    pub past: PastAsked,
    /// Only this ledger.
    pub ledger: Option<String>,
    /// By local days, not months.
    pub by_day: bool,
    /// Rows of periods that begin on this date or later, `2025-01-01`.
    pub from: Option<String>,
    /// … and before this one.
    pub to: Option<String>,
    /// Vintages as well.
    pub vintages: bool,
    /// The closing of this month, `2025-12`: everything as of its end.
    pub close: Option<String>,
}

/// Answers it.
///
/// # Errors
/// What is asked for is not there, or can't be read; or the columns are not what the lots hold.
pub fn owed(readers: &Readers, asked: &Owed, now: Instant, mut progress: impl FnMut(u32, Swept)) -> Result<Value, Problem> {
    let mut asked = asked.clone();
    for (name, date) in [("from", &asked.from), ("to", &asked.to)] {
        if let Some(date) = date.as_ref().filter(|date| Instant::parse(&format!("{date}T00:00:00Z")).is_none()) {
            return Err(Problem::new("bad_request", format!("{name} is {date:?}, it has to be a date such as 2025-01-01")));
        }
    }
    if let Some(month) = asked.close.clone() {
        let end = end_of(readers, &asked, &month, now)?;
        asked.past.as_of = Some(end.to_string());
        (asked.by_day, asked.vintages, asked.from, asked.to) = (false, true, None, None);
    }
    let past = Past::of(readers, &asked.past, now)?;
    let mut flows: BTreeMap<String, Flows> = BTreeMap::new();
    past.fold(
        Members::default(),
        BTreeMap::<String, Flows>::new,
        |part, _, folded| {
            match part.get_mut(folded.program) {
                Some(flows) => flows.member(folded, true),
                None => part.entry(folded.program.to_owned()).or_default().member(folded, true),
            }
            Ok(())
        },
        |shard, part, swept| {
            progress(shard, swept);
            part.into_iter().for_each(|(program, more)| flows.entry(program).or_default().merge(more));
            Ok(())
        },
    )?;
    let mut answer = json!({ "engine": env!("CARGO_PKG_VERSION"), "time_zone_data": accrue_ledger::time_zone_data() });
    let mut programs = Vec::new();
    for (program, rules) in past.programs() {
        let flows = flows.remove(program).unwrap_or_default();
        if let Some(broken) = flows.broken.first() {
            return Err(Problem::new("internal", format!("the columns are not what the lots hold: {broken}")));
        }
        programs.push(of_program(program, rules, &flows, &asked, past.at)?);
    }
    let mut told = Map::new();
    told.insert("closing".into(), json!(asked.close));
    if let Value::Object(named) = past.named() {
        told.extend(named);
    }
    told.insert("programs".into(), Value::Array(programs));
    // Neither the engine's version nor that of the time-zone data: where they change nothing, it is the same closing.
    let digest = hex(&Sha256::digest(Value::Object(told.clone()).to_string().as_bytes()));
    if let Some(answer) = answer.as_object_mut() {
        answer.extend(told);
        answer.insert("digest".into(), json!(digest));
    }
    Ok(answer)
}

/// The last instant of a month, in the zone of the rules in force then.
fn end_of(readers: &Readers, asked: &Owed, month: &str, now: Instant) -> Result<Instant, Problem> {
    let wrong = |detail: String| Problem::new("bad_request", detail);
    let first = Instant::parse(&format!("{month}-01T00:00:00Z")).filter(|_| month.len() == 7);
    let first = first.ok_or_else(|| wrong(format!("close is {month:?}, it has to be a month like 2025-12")))?;
    let past = Past::of(readers, &asked.past, first)?;
    let programs = past.programs();
    let Some(rules) = programs.values().next().filter(|_| programs.len() == 1) else {
        return Err(wrong("a closing is of one program: say which".to_owned()));
    };
    let zone =
        rules.at(first).or_else(|| rules.activations().first().map(|known| &known.ruleset)).map(|rules| rules.zone.clone());
    let zone = zone.ok_or_else(|| wrong("the program has no rules then".to_owned()))?;
    let next = month_start(1 + month_number((first.0 / DAY) as i32), &zone);
    if next > now {
        return Err(wrong(format!("{month} is not over: it ends at {next}")));
    }
    Ok(Instant(next.0 - 1))
}

const DAY: i64 = 86_400_000_000;

fn of_program(program: &str, rules: &Timeline, flows: &Flows, asked: &Owed, at: Instant) -> Result<Value, Problem> {
    let in_force = rules.at(at).or_else(|| rules.activations().last().map(|known| &known.ruleset));
    let currency = in_force.map(|rules| rules.currency.to_string());
    let ledgers: BTreeSet<&String> = flows.days.keys().map(|(ledger, _)| ledger).chain(flows.standing.keys()).collect();
    let mut told = Vec::new();
    for ledger in ledgers.into_iter().filter(|ledger| asked.ledger.as_ref().is_none_or(|only| only == *ledger)) {
        let standing = flows.standing.get(ledger).copied().unwrap_or_default();
        let mut of_ledger = json!({
            "ledger": ledger,
            "lots": { "active": standing.active, "pending": standing.pending, "debt": standing.debt },
            "rows": rows(ledger, rules, flows, asked, at),
        });
        if let (true, Some(of_ledger)) = (asked.vintages, of_ledger.as_object_mut()) {
            let month = in_force.map(|rules| month_number(day_number(at, &rules.zone)));
            let (vintages, breakage) = vintages(ledger, flows, month)?;
            of_ledger.insert("vintages".into(), vintages);
            of_ledger.insert("breakage".into(), breakage);
        }
        told.push(of_ledger);
    }
    let liability = in_force.and_then(|rules| rules.liability);
    Ok(json!({
        "program": program, "currency": currency, "members": flows.members,
        "value_per_point": liability.map(|liability| decimal(liability.value_per_point)),
        "expected_redemption_rate": liability.map(|liability| decimal(liability.expected_redemption_rate)),
        "ledgers": told,
    }))
}

/// The roll-forward of a ledger. Months without an entry are there, too: something is owed in them.
fn rows(ledger: &str, rules: &Timeline, flows: &Flows, asked: &Owed, at: Instant) -> Vec<Value> {
    let mut periods: BTreeMap<i32, DayRow> = BTreeMap::new();
    for ((_, day), row) in flows.days.range((ledger.to_owned(), i32::MIN)..=(ledger.to_owned(), i32::MAX)) {
        periods.entry(if asked.by_day { *day } else { month_number(*day) }).or_default().merge(row);
    }
    if let (false, Some(first), Some(rules)) = (asked.by_day, periods.keys().next().copied(), rules.at(at)) {
        for month in first..=month_number(day_number(at, &rules.zone)) {
            periods.entry(month).or_default();
        }
    }
    let (mut rows, mut has, mut owes) = (Vec::new(), 0, 0);
    for (period, row) in periods {
        let (opening, debt_opening) = (has, owes);
        has += row.outstanding();
        owes += row.debt();
        let name = if asked.by_day { date_of(period) } else { month_of(period) };
        let first_day = if asked.by_day { name.clone() } else { format!("{name}-01") };
        let early = asked.from.as_ref().is_some_and(|from| first_day < *from);
        if early || asked.to.as_ref().is_some_and(|to| first_day >= *to) {
            continue;
        }
        let mut told = Map::new();
        told.insert("period".into(), json!(name));
        told.insert("opening".into(), json!(opening));
        told.extend(FLOWS.iter().map(|kind| (kind.name().to_owned(), json!(row.of(*kind)))));
        told.insert("closing".into(), json!(has));
        told.insert("debt_opening".into(), json!(debt_opening));
        told.insert("debt_opened".into(), json!(row.of(EntryKind::DebtOpened)));
        told.insert("debt_closing".into(), json!(owes));
        told.insert("activated".into(), json!(row.of(EntryKind::Activated)));
        told.insert("entries".into(), json!(row.entries));
        let end = end_of_period(period, asked.by_day, rules, at);
        if let Some((value, expected)) = worth(ledger, has, rules, end) {
            told.insert("value".into(), json!(value));
            told.insert("expected_value".into(), json!(expected));
        }
        rows.push(Value::Object(told));
    }
    rows
}

/// Where the ruleset is looked at that values a period: its last instant, or that of the question.
fn end_of_period(period: i32, by_day: bool, rules: &Timeline, at: Instant) -> Instant {
    let Some(in_force) = rules.at(at) else { return at };
    let next = if by_day { Instant((i64::from(period) + 1) * DAY) } else { month_start(period + 1, &in_force.zone) };
    at.min(Instant(next.0.saturating_sub(1)))
}

/// Points of `main` in money: all of them, and as far as they will be spent.
fn worth(ledger: &str, points: i64, rules: &Timeline, at: Instant) -> Option<(String, String)> {
    let in_force = rules.at(at).filter(|_| ledger == MAIN)?;
    let (value, expected) = in_force.liability?.of(points, in_force.exponent);
    Some((format_amount(value, in_force.exponent), format_amount(expected, in_force.exponent)))
}

/// Vintages by month, each by age; and what they say of points that nobody will spend.
fn vintages(ledger: &str, flows: &Flows, now: Option<i32>) -> Result<(Value, Value), Problem> {
    let from = (ledger.to_owned(), i32::MIN, i32::MIN)..=(ledger.to_owned(), i32::MAX, i32::MAX);
    let mut months: BTreeMap<i32, (Aged, Vec<Value>)> = BTreeMap::new();
    for ((_, month, age), aged) in flows.vintages.range(from) {
        let (sum, ages) = months.entry(*month).or_default();
        sum.add(aged);
        let mut told = value(aged)?;
        told["age"] = json!(age);
        told["left"] = json!(sum.net());
        ages.push(told);
    }
    let (mut closed, mut all) = (Aged::default(), Aged::default());
    let mut told = Vec::new();
    for (month, (sum, ages)) in months {
        all.add(&sum);
        if sum.net() == 0 {
            closed.add(&sum);
        }
        let mut row = value(&sum)?;
        (row["month"], row["age"]) = (json!(month_of(month)), json!(now.map(|now| now - month)));
        (row["left"], row["ages"]) = (json!(sum.net()), Value::Array(ages));
        told.push(row);
    }
    let part = |of: &Aged| -> Result<Value, Problem> {
        let mut row = value(of)?;
        let kept = of.earned + of.clawed_back;
        (row["left"], row["spent_rate"], row["expired_rate"]) =
            (json!(of.net()), json!(rate(-of.spent, kept)), json!(rate(-of.expired, kept)));
        Ok(row)
    };
    Ok((Value::Array(told), json!({ "all": part(&all)?, "closed": part(&closed)? })))
}

/// A part of a whole with four decimals, rounded down; nothing of nothing.
fn rate(part: i64, whole: i64) -> Option<String> {
    (whole > 0).then(|| {
        let of_10_000 = i128::from(part) * 10_000 / i128::from(whole);
        format!("{}.{:04}", of_10_000 / 10_000, of_10_000 % 10_000)
    })
}
