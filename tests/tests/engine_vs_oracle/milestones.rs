//! A past told from milestones is the past folded from the beginning, whatever came in between: late facts, exclusions and rules that
//! reach back, merges, erasures.

use crate::both::{BEGINNING, Both, activate, bytes_of};
use crate::{GROUP_FACTS_MAX, small};
use accrue_ledger::Instant;
use accrue_projections::story::Desk;
use accrue_projections::{AsKnown, AsOf};
use accrue_store::Position;
use accrue_tests::history::random::Random;
use accrue_tests::history::{Options, generate};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// Histories that are looked at.
const HISTORIES: u64 = 150;
/// Pairs of instants that are asked about between two groups, and at the end.
const PAIRS: usize = 4;
const PAIRS_AT_END: usize = 40;

/// What was known at some moment: of all, up to a position, or up to when one was recorded.
fn some_known(desk: &Desk, random: &mut Random) -> Result<AsKnown> {
    let position = Position(1 + random.below(desk.next_position().0 as usize - 1) as u64);
    Ok(match random.below(3) {
        0 => AsKnown::Now,
        1 => AsKnown::Position(position),
        _ => AsKnown::At(desk.store().shard(0)?.read(position, |frame| frame.recorded_at)?),
    })
}

fn check_some(both: &Both<'_>, instants: &[i64], pairs: usize, random: &mut Random) -> Result<()> {
    let reader = both.desk.reader()?;
    for _ in 0..pairs {
        let known = some_known(both.desk, random)?;
        let Some(at) = random.any(instants).map(Instant) else { continue };
        for member in both.members() {
            let asked = AsOf { as_of: Some(at), known };
            ensure!(reader.milestones_hold(&both.program, member, asked, at)?, "{member} as of {at}, known {known:?}");
        }
    }
    Ok(())
}

/// How many answers began at a milestone.
fn check(seed: u64) -> Result<u64> {
    let dir = tempfile::tempdir()?;
    let mut desk = Desk::open(dir.path(), small())?;
    let history = generate(seed, &Options::all())?;
    let (rules, facts, instants) = (history.timeline()?, history.facts(), history.instants()?);
    let mut random = Random::new(seed ^ 0x0011_1E57);
    activate(&mut desk, "test", &history.rules_toml, BEGINNING)?;
    let late = random.below(facts.len() + 1);
    let mut both = Both::new(&mut desk, "test", &rules);
    let mut rest = &facts[..];
    while !rest.is_empty() {
        let came = facts.len() - rest.len();
        let (group, after) = rest.split_at((1 + random.below(GROUP_FACTS_MAX)).min(rest.len()));
        if (came..came + group.len()).contains(&late) {
            for (from, toml) in &history.later_rules {
                activate(both.desk, "test", toml, from)?;
            }
        }
        both.deliver(group)?;
        rest = after;
        check_some(&both, &instants, PAIRS, &mut random)?;
    }
    if !facts.is_empty() {
        check_some(&both, &instants, PAIRS_AT_END, &mut random)?;
    }
    Ok(both.desk.reader()?.milestones().answers)
}

const RULES: &str = "program = \"test\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";

fn of_ann(day: usize, kind: &str, body: Value) -> Result<Vec<u8>> {
    let at = format!("2024-03-{day:02}T10:00:00Z");
    let mut fact = json!({"id": format!("{kind}-{day}"), "source": "s", "program": "test", "member": "ann", "occurred_at": at});
    fact[kind] = body;
    bytes_of(&fact, "GBP")
}

#[test]
fn milestones_keep_nothing_that_an_erasure_destroys() {
    let told = || -> Result<()> {
        let dir = tempfile::tempdir()?;
        let mut desk = Desk::open(dir.path(), small())?;
        activate(&mut desk, "test", RULES, BEGINNING)?;
        desk.deliver(&of_ann(1, "member_profile_changed", json!({"name": "Ann of the mill"}))?)?;
        for day in 2..20 {
            let lines = json!([{"line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00"}]);
            let order = json!({"order_id": format!("o{day}"), "currency": "GBP", "lines": lines});
            desk.deliver(&of_ann(day, "order_placed", order)?)?;
        }
        let at = Instant::parse("2024-03-10T12:00:00Z").unwrap_or_default();
        let asked = AsOf { as_of: Some(at), known: AsKnown::Now };
        let mut last = None;
        for (erased, milestones) in [(false, 0), (false, 1), (true, 2), (true, 3)] {
            if erased {
                desk.deliver(&of_ann(20, "member_erased", json!({}))?)?;
            }
            let reader = desk.reader()?;
            let mut answer = reader.member("test", "ann", asked, at)?.expect("known");
            ensure!(reader.milestones().answers == milestones, "{:?} instead of {milestones}", reader.milestones());
            let name = answer.profile.take().and_then(|profile| profile.name);
            ensure!(name.is_some() != erased, "erased {erased}, and yet {name:?}");
            let numbers = last.get_or_insert(answer.balance.clone());
            ensure!(*numbers == answer.balance && numbers["main"].active == 45, "{numbers:?}");
        }
        Ok(())
    };
    told().unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn a_past_told_from_milestones_is_the_past() {
    let mut answers = 0;
    for seed in 0..HISTORIES {
        answers += check(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    }
    assert!(answers > HISTORIES * 100, "{answers} answers began at a milestone");
}
