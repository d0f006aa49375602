//! Generated histories: a ruleset, and what is delivered about a few members, in order of arrival.
//!
//! Small numbers and few ids, so that what is interesting collides often: points cost about what members have, facts happen
//! at one instant, at the very instant at which points start or end, or a microsecond beside it. The same seed and options
//! always give the same history.

mod features;
mod ladders;
mod life;
mod orders;
mod people;
pub mod random;
mod requests;
pub mod rulesets;

use crate::oracle::{ORules, calendar};
use anyhow::Result;
pub use features::Features;
pub use orders::decimal as money;
use random::Random;
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a history is to have.
#[derive(Clone, Debug)]
pub struct Options {
    /// Members, from 1.
    pub members: usize,
    /// Facts and requests of each member, about.
    pub steps: usize,
    /// Requests too, not facts alone.
    pub requests: bool,
    /// Some come up to 90 days after they happened.
    pub late: bool,
    /// Some are delivered again.
    pub duplicates: bool,
    /// Some are delivered again with other content, or with a new id: then the order of arrival decides what is booked.
    pub conflicts: bool,
    /// A second ruleset comes into force half way.
    pub second_ruleset: bool,
    /// Which parts of the domain take part.
    pub features: Features,
}

impl Options {
    /// Everything there is.
    pub fn all() -> Options {
        Options {
            members: 2,
            steps: 40,
            requests: true,
            late: true,
            duplicates: true,
            conflicts: true,
            second_ruleset: true,
            features: Features::ALL,
        }
    }

    /// Facts only, whose state is the same in whatever order they come.
    pub fn order_independent() -> Options {
        Options { requests: false, conflicts: false, ..Options::all() }
    }
}

/// What is to become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is new: booked, parked, or decided.
    New,
    /// It was there before, with the same content.
    Duplicate,
    /// It was there before, with other content.
    Conflict,
}

/// One delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The JSON of `facts.md`. A coupon of a request has the code `code-of-<redemption or grant>`: see [`with_codes`].
    pub fact: Value,
    /// What is to become of it.
    pub expected: Expected,
}

/// A generated history.
#[derive(Clone, Debug)]
pub struct History {
    /// The ruleset at first.
    pub rules_toml: String,
    /// Rulesets that come into force later: RFC 3339 instant, TOML.
    pub later_rules: Vec<(String, String)>,
    /// The members.
    pub members: Vec<String>,
    /// In order of arrival.
    pub deliveries: Vec<Delivery>,
}

impl History {
    /// The facts in order of arrival.
    pub fn facts(&self) -> Vec<Value> {
        self.deliveries.iter().map(|delivery| delivery.fact.clone()).collect()
    }

    /// The rulesets as the oracle wants them.
    ///
    /// # Errors
    /// A ruleset that can't be read.
    pub fn timeline(&self) -> Result<Vec<(i64, Rc<ORules>)>> {
        let mut timeline = vec![(i64::MIN, Rc::new(ORules::parse(&self.rules_toml)?))];
        for (from, toml) in &self.later_rules {
            timeline.push((calendar::instant(from)?, Rc::new(ORules::parse(toml)?)));
        }
        Ok(timeline)
    }

    /// Instants worth looking at: those of all facts, and some in between and after.
    ///
    /// # Errors
    /// None, unless the generator is wrong.
    pub fn instants(&self) -> Result<Vec<i64>> {
        let mut instants = Vec::new();
        for delivery in &self.deliveries {
            let at = calendar::instant(delivery.fact["occurred_at"].as_str().unwrap_or_default())?;
            instants.extend([at - 1, at, at + 10 * DAY]);
        }
        instants.extend(instants.iter().max().map(|last| last + 800 * DAY));
        instants.sort_unstable();
        instants.dedup();
        Ok(instants)
    }
}

/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// A history. The same for the same seed and options.
///
/// # Errors
/// None, unless the generator is wrong.
pub fn generate(seed: u64, options: &Options) -> Result<History> {
    let mut random = Random::new(seed);
    let (currencies, ledgers) = rulesets::frame(&mut random);
    let made = rulesets::make(&mut random, &currencies, &ledgers, options.features);
    let mut later_rules = Vec::new();
    if options.second_ruleset && random.chance(40) {
        let second = rulesets::make(&mut random, &currencies, &ledgers, options.features);
        let zone = |toml: &str| toml.lines().find(|line| line.starts_with("time_zone")).map(str::to_owned);
        if zone(&second.toml) == zone(&made.toml) || random.chance(30) {
            later_rules.push((format!("2024-0{}-01T00:00:00Z", random.between(3, 8)), second.toml));
        }
    }
    let members: Vec<String> = (1..=options.members.max(1)).map(|number| format!("m{number}")).collect();
    let mut planned = Vec::new();
    for member in &members {
        planned.extend(life::live(&mut random, member, &made, options)?);
    }
    planned.sort_by_key(|planned: &life::Planned| planned.arrives_at);
    let deliveries = planned.into_iter().map(|planned| Delivery { fact: planned.fact, expected: planned.expected }).collect();
    Ok(History { rules_toml: made.toml, later_rules, members, deliveries })
}

/// The fact with the codes that coupons really have: `codes` maps `code-of-<id>` to them. What is not in it stays as it is: a
/// code that nobody knows yet.
pub fn with_codes(fact: &Value, codes: &BTreeMap<String, String>) -> Value {
    match fact {
        Value::String(text) => codes.get(text).map_or_else(|| fact.clone(), |code| Value::String(code.clone())),
        Value::Array(list) => list.iter().map(|one| with_codes(one, codes)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), with_codes(value, codes))).collect())
        }
        other => other.clone(),
    }
}
