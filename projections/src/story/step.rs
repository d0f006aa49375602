//! One step of a scenario: a fact or request with what is to become of it, or an expectation.

use super::StoryError;
use super::expect::Expectation;
use super::file::Source;
use super::rules::Rules;
use accrue_ledger::{Instant, Kind, Rejection};
use accrue_proto::json::Defaults;
use accrue_proto::{Malformed, pb, write_fact};
use toml::{Table, Value};

const ENVELOPE: [&str; 5] = ["at", "id", "source", "member", "actor"];
const OUTCOMES: &str = "\"duplicate\", \"conflict\", \"parked\" or \"dead_letter: <reason>\"";

/// A step.
pub(super) struct Step {
    /// From 1.
    pub number: usize,
    pub at: Instant,
    pub member: String,
    pub what: What,
}

/// What a step is.
pub(super) enum What {
    Fact(Box<FactStep>),
    Expect(Box<Expectation>),
}

/// A fact or request.
pub(super) struct FactStep {
    /// The fact, or why it is none (only where the step says that it is a dead letter).
    pub fact: Result<pb::Fact, Malformed>,
    pub is_request: bool,
    /// The name of the body.
    pub body: String,
    pub decision: Option<String>,
    pub outcome: Option<String>,
}

/// A fact's bytes, under another member and source where `other` says so.
pub(super) fn bytes_of(fact: &pb::Fact) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_fact(fact, &mut bytes);
    bytes
}

/// A part of the step while it is read.
struct Reading<'a> {
    step: &'a Table,
    index: String,
    source: &'a Source<'a>,
}

impl Reading<'_> {
    fn error(&self, path: &[&str], detail: impl Into<String>) -> StoryError {
        let path: Vec<&str> = ["step", &self.index].into_iter().chain(path.iter().copied()).collect();
        self.source.error(&path, detail)
    }

    fn word(&self, key: &str) -> Result<Option<&str>, StoryError> {
        match self.step.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(&[key], format!("`{key}` is a text"))),
        }
    }
}

/// Reads the step of this index.
pub(super) fn read(step: &Value, index: usize, rules: &Rules, source: &Source<'_>) -> Result<Step, StoryError> {
    let Some(table) = step.as_table() else {
        return Err(source.error(&["step"], "a step is a table"));
    };
    let reading = Reading { step: table, index: index.to_string(), source };
    let at = match table.get("at") {
        Some(at) => {
            instant(at).ok_or_else(|| reading.error(&["at"], "`at` is an instant with its offset: 2024-01-01T00:00:00Z"))?
        }
        None => return Err(reading.error(&[], "`at` is missing: when it happened, or the instant asked about")),
    };
    let member = reading.word("member")?.unwrap_or("m1").to_string();
    let number = index + 1;
    let what = match table.get("expect") {
        Some(expect) => What::Expect(Box::new(expectation(&reading, expect, number, rules)?)),
        None => What::Fact(Box::new(fact_step(&reading, number, at, &member, rules)?)),
    };
    Ok(Step { number, at, member, what })
}

fn instant(value: &Value) -> Option<Instant> {
    let Value::Datetime(at) = value else { return None };
    Instant::parse(&at.to_string())
}

fn expectation(reading: &Reading<'_>, expect: &Value, number: usize, rules: &Rules) -> Result<Expectation, StoryError> {
    let known = ["at", "member", "expect", "as_known_after"];
    if let Some(key) = reading.step.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(reading.error(&[key], format!("unknown key `{key}` beside `expect`, expected one of {}", known.join(", "))));
    }
    let as_known_after = match reading.step.get("as_known_after") {
        None => None,
        Some(Value::Integer(after)) if (1..number as i64).contains(after) => Some(*after as usize),
        Some(_) => {
            return Err(reading.error(&["as_known_after"], "`as_known_after` is the number of a step before this one"));
        }
    };
    let Some(table) = expect.as_table() else {
        return Err(reading.error(&["expect"], "`expect` is a table"));
    };
    Expectation::read(table, as_known_after, rules).map_err(|(path, detail)| {
        let path: Vec<&str> = ["expect"].into_iter().chain(path.iter().map(String::as_str)).collect();
        reading.error(&path, detail)
    })
}

fn fact_step(reading: &Reading<'_>, number: usize, at: Instant, member: &str, rules: &Rules) -> Result<FactStep, StoryError> {
    let beside = |key: &&String| !ENVELOPE.contains(&key.as_str()) && !["decision", "outcome"].contains(&key.as_str());
    let bodies: Vec<&String> = reading.step.keys().filter(beside).collect();
    if let Some(key) = bodies.iter().find(|key| Kind::from_name(key).is_none()) {
        let detail =
            format!("`{key}` is neither a body of facts.md, nor `expect`, nor one of {}, decision, outcome", ENVELOPE.join(", "));
        return Err(reading.error(&[key], detail));
    }
    let [body] = bodies[..] else {
        return Err(reading.error(&[], format!("a step has one body or `expect`, this one has {} bodies", bodies.len())));
    };
    let is_request = Kind::from_name(body).is_some_and(Kind::is_request);
    let (decision, outcome) = (reading.word("decision")?.map(str::to_string), reading.word("outcome")?.map(str::to_string));
    if let Some(said) = &decision {
        if !is_request {
            return Err(reading.error(&["decision"], format!("{body} is no request: nothing is decided")));
        }
        let named = |reason: &str| Rejection::ALL.iter().any(|known| known.name() == reason);
        if said != "accepted" && !said.strip_prefix("rejected: ").is_some_and(named) {
            return Err(reading.error(
                &["decision"],
                format!("\"{said}\" is neither \"accepted\" nor \"rejected: <reason>\" with a known reason"),
            ));
        }
    }
    let dead = outcome.as_ref().is_some_and(|said| said.starts_with("dead_letter: "));
    if let Some(said) = outcome.as_ref().filter(|said| !dead && !["duplicate", "conflict", "parked"].contains(&said.as_str())) {
        return Err(reading.error(&["outcome"], format!("outcome \"{said}\" is not {OUTCOMES}")));
    }
    let envelope = envelope(reading, body, number, at, member, rules)?;
    let fact = accrue_proto::toml::fact_from_toml(&envelope, &Defaults { currency: Some(&rules.currency) });
    match fact {
        Err(error) if !dead => Err(reading.error(&[body], error.to_string())),
        fact => Ok(FactStep { fact, is_request, body: body.to_string(), decision, outcome }),
    }
}

/// The whole fact: with everything that the scenario may leave out.
fn envelope(
    reading: &Reading<'_>,
    body: &str,
    number: usize,
    at: Instant,
    member: &str,
    rules: &Rules,
) -> Result<Table, StoryError> {
    let mut envelope = Table::new();
    let id = reading.word("id")?.map_or_else(|| format!("step-{number}"), str::to_string);
    let source = reading.word("source")?.unwrap_or("test");
    let words = [
        ("id", id.as_str()),
        ("source", source),
        ("program", &rules.program),
        ("member", member),
        ("occurred_at", &at.to_string()),
    ];
    for (key, word) in words {
        envelope.insert(key.to_string(), Value::String(word.to_string()));
    }
    if let Some(actor) = reading.word("actor")? {
        envelope.insert("actor".to_string(), Value::String(actor.to_string()));
    }
    let mut content = reading.step.get(body).cloned().unwrap_or(Value::Boolean(false));
    if let Some(order) = content.as_table_mut().filter(|_| body == Kind::OrderPlaced.name())
        && let Some(total) = order.remove("total")
    {
        if order.contains_key("lines") {
            return Err(reading.error(&[body, "total"], "an order has `lines` or, for short, `total`"));
        }
        let mut line = Table::new();
        for (key, value) in [("line_id", Value::from("1")), ("sku", "item".into()), ("quantity", 1.into()), ("unit_price", total)]
        {
            line.insert(key.to_string(), value);
        }
        order.insert("lines".to_string(), Value::Array(vec![Value::Table(line)]));
    }
    envelope.insert(body.to_string(), content);
    Ok(envelope)
}
