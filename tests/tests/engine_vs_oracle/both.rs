//! The same deliveries to the engine and to the oracle, and what they make of each.

use accrue_ledger::{Decision, ImportedLot, Instant, Outcome};
use accrue_projections::story::{Delivered, Desk};
use accrue_projections::{AsKnown, AsOf};
use accrue_proto::json::{Defaults, fact_from_value};
use accrue_proto::write_fact;
use accrue_store::Position;
use accrue_tests::oracle::door::{self, Door};
use accrue_tests::oracle::family::Families;
use accrue_tests::oracle::transfer::OPart;
use accrue_tests::oracle::{Known, OAnswer, ODecision, OMember, Timeline, replay};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The oracle's codes; the engine's are unguessable.
const CODE: &str = "code-of-";

/// Both, about one program.
pub struct Both<'a> {
    pub desk: &'a mut Desk,
    pub door: Door<'a>,
    pub program: String,
    /// Last position of the log after each delivery, and how many facts of each member the oracle knew.
    known_after: Vec<(Position, BTreeMap<String, usize>)>,
    rules: &'a Timeline,
    /// The oracle's codes, and the engine's.
    codes: BTreeMap<String, String>,
}

/// When the first ruleset comes into force: before everything.
pub const BEGINNING: &str = "0001-01-01T00:00:00Z";

/// A ruleset for this program.
pub fn rules_for(program: &str, toml: &str) -> String {
    toml.replacen("program = \"test\"", &format!("program = \"{program}\""), 1)
}

/// Puts a ruleset into force.
pub fn activate(desk: &mut Desk, program: &str, toml: &str, from: &str) -> Result<()> {
    let from = Instant::parse(from).unwrap_or_default();
    let became = desk.activate(program, &rules_for(program, toml), from)?;
    ensure!(matches!(became, Delivered::Booked { .. }), "activation: {became:?}\n{toml}");
    Ok(())
}

/// Protobuf of a fact in the JSON of `facts.md`.
pub fn bytes_of(fact: &Value, currency: &str) -> Result<Vec<u8>> {
    let message =
        fact_from_value(fact, &Defaults { currency: Some(currency) }).map_err(|error| anyhow::anyhow!("{error} in {fact}"))?;
    let mut bytes = Vec::new();
    write_fact(&message, &mut bytes);
    Ok(bytes)
}

/// The fact with every code replaced: by what `codes` says, or by one that is nobody's.
fn with_codes(fact: &Value, codes: &BTreeMap<String, String>, of_oracle: bool) -> Value {
    match fact {
        Value::String(text) if text.starts_with(CODE) => match codes.get(text) {
            Some(_) if of_oracle => fact.clone(),
            Some(code) => json!(code),
            None => json!(format!("nobodys-{text}")),
        },
        Value::Array(list) => list.iter().map(|one| with_codes(one, codes, of_oracle)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), with_codes(value, codes, of_oracle))).collect(),
        other => other.clone(),
    }
}

impl<'a> Both<'a> {
    /// A program whose rulesets are in force already.
    pub fn new(desk: &'a mut Desk, program: &str, rules: &'a Timeline) -> Both<'a> {
        Both { desk, door: Door::new(rules), program: program.to_owned(), known_after: Vec::new(), rules, codes: BTreeMap::new() }
    }

    /// Delivers facts as one group, and compares what became of each. Inside: how they differ.
    pub fn deliver(&mut self, facts: &[Value]) -> Result<Option<String>> {
        let mut told = Vec::with_capacity(facts.len());
        for fact in facts {
            let mut fact = with_codes(fact, &self.codes, false);
            fact["program"] = json!(self.program);
            told.push(bytes_of(&fact, &self.rules[0].1.currency)?);
        }
        let before = self.desk.next_position().0;
        let by_engine = self.desk.deliver_group(&told)?;
        let mut next = before;
        let mut differs = None;
        for (fact, by_engine) in facts.iter().zip(by_engine) {
            if let Delivered::Booked { position, .. } = &by_engine {
                next = position.0 + 1;
            }
            let mut told = with_codes(fact, &self.codes, true);
            told["program"] = json!(self.program);
            let by_oracle = self.door.deliver(&told)?;
            let counts = self.door.known.iter().map(|(member, known)| (member.clone(), known.len())).collect();
            self.known_after.push((Position(next - 1), counts));
            if let Some(what) = delivered_differently(fact, &by_engine, &by_oracle) {
                differs.get_or_insert(format!("{what}\n  delivered: {fact}"));
            }
            self.learn_code(fact, &by_engine);
        }
        self.door.carry()?;
        Ok(differs)
    }

    fn learn_code(&mut self, fact: &Value, became: &Delivered) {
        let Delivered::Booked { decision: Some(Decision { outcome: Outcome::Accepted(promise), .. }), .. } = became else {
            return;
        };
        let ids = [("redemption_requested", "redemption_id"), ("reward_granted", "grant_id")];
        let id = ids.iter().find_map(|(kind, key)| fact.get(kind)?.get(key)?.as_str());
        if let (Some(id), Some(coupon)) = (id, &promise.coupon) {
            self.codes.insert(format!("{CODE}{id}"), coupon.code.to_string());
        }
    }

    /// How the member differs as of an instant; `known`: as known after so many deliveries, at least one.
    pub fn compare(&self, member: &str, at: i64, known: Option<usize>) -> Result<Vec<String>> {
        let (asked, by_oracle): (AsOf, OMember) = match known {
            None => (AsOf { as_of: Some(Instant(at)), known: AsKnown::Now }, self.door.member(member, at)?),
            Some(count) => {
                let (position, counts) = &self.known_after[count - 1];
                let then = |(member, known): (&String, &Vec<Known>)| {
                    let count = counts.get(member).copied().unwrap_or(0);
                    (member.clone(), known[..count].to_vec())
                };
                let known: BTreeMap<String, Vec<Known>> = self.door.known.iter().map(then).collect();
                let known = Families::of(&known, at).union(&known, member);
                (AsOf { as_of: Some(Instant(at)), known: AsKnown::Position(*position) }, replay(self.rules, &known, at)?)
            }
        };
        let reader = self.desk.reader()?;
        let by_engine = reader.member(&self.program, member, asked, Instant(at))?;
        let entries = reader.entries(&self.program, member, asked, Instant(at))?.unwrap_or_default();
        let moves = reader.tier_moves(&self.program, member, asked, Instant(at))?.unwrap_or_default();
        Ok(super::compare::differences(by_engine.as_ref(), &entries, &moves, &by_oracle))
    }

    /// Everybody of whom something is known.
    pub fn members(&self) -> impl Iterator<Item = &String> {
        self.door.known.keys()
    }

    /// Numbers whose explanation does not add up.
    pub fn unexplained(&self, member: &str, at: i64) -> Result<Vec<String>> {
        let asked = AsOf { as_of: Some(Instant(at)), known: AsKnown::Now };
        Ok(self.desk.reader()?.unexplained(&self.program, member, asked, Instant(at))?)
    }

    /// The last position after so many deliveries, at least one.
    pub fn position_after(&self, count: usize) -> Position {
        self.known_after[count - 1].0
    }

    /// Invariants of the engine that do not hold.
    pub fn broken(&self, member: &str, at: i64) -> Result<Vec<String>> {
        Ok(self.desk.reader()?.broken_invariants(&self.program, member, Instant(at))?)
    }
}

fn delivered_differently(fact: &Value, by_engine: &Delivered, by_oracle: &door::Delivered) -> Option<String> {
    use door::Delivered as O;
    // What an exception is resolved to may have to wait for its order.
    let may_park = fact.get("exception_resolved").is_some();
    let same = match (by_engine, by_oracle) {
        (Delivered::Booked { decision: None, parked, .. }, O::Booked) => !parked || may_park,
        (Delivered::Booked { decision: None, parked, .. }, O::Parked) => *parked,
        (Delivered::Booked { decision: Some(decision), .. }, O::Decided(by_oracle)) => same_decision(decision, by_oracle),
        (Delivered::Duplicate { decision: None, .. }, O::Duplicate(None)) | (Delivered::Conflict { .. }, O::Conflict) => true,
        (Delivered::Duplicate { decision: Some(decision), .. }, O::Duplicate(Some(answer))) => same_answer(decision, answer),
        _ => false,
    };
    (!same).then(|| format!("engine: {by_engine:?}\n  oracle: {by_oracle:?}"))
}

fn same_decision(by_engine: &Decision, by_oracle: &ODecision) -> bool {
    by_engine.at.0 == by_oracle.at
        && by_engine.balance_before == by_oracle.balance_before
        && same_answer(by_engine, &by_oracle.answer)
}

fn same_answer(by_engine: &Decision, by_oracle: &OAnswer) -> bool {
    match (&by_engine.outcome, by_oracle) {
        (Outcome::Rejected(reason), OAnswer::Rejected(name)) => reason.name() == name,
        (Outcome::Accepted(engine), OAnswer::Accepted(oracle)) => {
            let micros = |at: Option<Instant>| at.map(|at| at.0);
            let coupons = match (&engine.coupon, &oracle.coupon) {
                (Some(engine), Some(oracle)) => micros(engine.expires_at) == oracle.expires && engine.uses == oracle.uses,
                (None, None) => true,
                _ => false,
            };
            let part = |lot: &ImportedLot| {
                let (source_at, starts) = (micros(lot.earned_at).unwrap_or_default(), micros(lot.starts_at));
                OPart { points: lot.points, source_at, starts, expires: micros(lot.expires_at) }
            };
            coupons
                && engine.lots.iter().map(part).collect::<Vec<_>>() == oracle.parts
                && engine.points == oracle.points
                && micros(engine.starts_at) == oracle.starts
                && micros(engine.expires_at) == oracle.expires
        }
        _ => false,
    }
}
