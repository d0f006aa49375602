//! What would have been is what is in a store to which it was told like that.

use crate::both::{BEGINNING, activate, bytes_of};
use crate::twins;
use accrue_ledger::Instant;
use accrue_ledger::calendar::Duration;
use accrue_projections::story::Desk;
use accrue_projections::{AsOf, MemberAnswer, Shift, WhatIf};
use accrue_proto::read_fact;
use accrue_tests::history::random::Random;
use accrue_tests::history::{History, Options, generate};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Histories that are looked at.
const HISTORIES: u64 = 60;
/// What leads to facts of other members: those stay, whatever one member would have done.
const ACROSS: [&str; 3] = ["referral", "members_", "points_transferred"];

fn fill(desk: &mut Desk, history: &History, facts: &[Value], currency: &str) -> Result<()> {
    activate(desk, "test", &history.rules_toml, BEGINNING)?;
    for (from, toml) in &history.later_rules {
        activate(desk, "test", toml, from)?;
    }
    for fact in facts {
        desk.deliver(&bytes_of(fact, currency)?)?;
    }
    Ok(())
}

/// Where it stands in the log is another matter.
fn placeless(answer: Option<MemberAnswer>) -> Option<MemberAnswer> {
    answer.map(|answer| MemberAnswer { next_position: 0, number: None, profile: None, ..answer })
}

fn check(seed: u64) -> Result<bool> {
    let history = generate(seed, &Options::order_independent())?;
    let currency = history.timeline()?[0].1.currency.clone();
    let (facts, mut random) = (history.facts(), Random::new(seed ^ 0x00_7E12));
    let told = serde_json::to_string(&facts)?;
    let Some(chosen) = (!facts.is_empty()).then(|| random.below(facts.len())) else { return Ok(false) };
    let fact = &facts[chosen];
    let id = fact["id"].as_str().context("an id")?.to_owned();
    let twice = facts.iter().filter(|other| other["id"] == fact["id"]).count() > 1;
    if twice || ACROSS.iter().any(|kind| told.contains(&format!("\"{kind}"))) {
        return Ok(false);
    }
    let (member, now) = (fact["member"].as_str().context("a member")?, Instant(history.instants()?.last().copied().unwrap_or(0)));
    let at = Instant::parse(fact["occurred_at"].as_str().unwrap_or_default()).context("an instant")?;
    let mut later = fact.clone();
    later["occurred_at"] = Value::String(Instant(at.0 + 3_600_000_000).to_string());
    let bytes = bytes_of(&with_program(fact), &currency)?;
    let without: Vec<Value> =
        facts.iter().enumerate().filter(|(number, _)| *number != chosen).map(|(_, fact)| fact.clone()).collect();
    let shifted: Vec<Value> = without.iter().cloned().chain([later]).collect();
    let shift = Shift { fact: id.clone(), earlier: false, by: Duration { micros: 3_600_000_000, ..Duration::default() } };
    let cases = [
        (&facts, WhatIf { without: vec![id], ..WhatIf::default() }, &without),
        (&facts, WhatIf { shifts: vec![shift], ..WhatIf::default() }, &shifted),
        (&without, WhatIf { with: vec![read_fact(&bytes)?], ..WhatIf::default() }, &facts),
    ];
    for (is, what_if, would) in cases {
        let dir = tempfile::tempdir()?;
        let [mut one, mut other] = twins(dir.path())?;
        fill(&mut one, &history, &named(is), &currency)?;
        fill(&mut other, &history, &named(would), &currency)?;
        let (reader, asked) = (one.reader()?, AsOf::default());
        let Some(outlook) = reader.what_if("test", member, &what_if, asked, now)? else { continue };
        let outlook = outlook.map_err(anyhow::Error::msg)?;
        let (is, would) = (reader.member("test", member, asked, now)?, other.reader()?.member("test", member, asked, now)?);
        ensure!(placeless(Some(outlook.before)) == placeless(is), "seed {seed}: {what_if:?}: before");
        let after = placeless(Some(outlook.after)).filter(|after| after.facts > 0);
        ensure!(after == placeless(would.clone()), "seed {seed}: {what_if:?}: {after:#?}\n{would:#?}");
    }
    Ok(true)
}

fn with_program(fact: &Value) -> Value {
    let mut fact = fact.clone();
    fact["program"] = Value::String("test".to_owned());
    fact
}

fn named(facts: &[Value]) -> Vec<Value> {
    facts.iter().map(with_program).collect()
}

#[test]
fn what_would_be_is_what_a_store_has_that_was_told_so() {
    let checked = (0..HISTORIES).filter(|seed| check(*seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"))).count();
    assert!(checked > 10, "only {checked} histories could be checked");
}
