//! A past told from milestones is the past folded from the beginning, whatever came in between: late facts, exclusions and rules that
//! reach back, merges, erasures.

use crate::both::{BEGINNING, Both, activate};
use crate::{GROUP_FACTS_MAX, small};
use accrue_ledger::Instant;
use accrue_projections::story::Desk;
use accrue_projections::{AsKnown, AsOf};
use accrue_store::Position;
use accrue_tests::history::random::Random;
use accrue_tests::history::{Options, generate};
use anyhow::{Result, ensure};

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

#[test]
fn a_past_told_from_milestones_is_the_past() {
    let mut answers = 0;
    for seed in 0..HISTORIES {
        answers += check(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    }
    assert!(answers > HISTORIES * 100, "{answers} answers began at a milestone");
}
