//! The engine against the oracle: generated histories through a real log and ledger, compared number by number.
//!
//! `ACCRUE_HISTORIES` sets how many histories there are (2,000 by default), `ACCRUE_SEED` which one comes first. What differs is
//! shown as small as it can be made, as a scenario.

mod both;
mod compare;
mod generations;
mod milestones;
mod otherwise;
mod past;
mod shrink;

use accrue_ledger::Instant;
use accrue_projections::liability::differing_flows;
use accrue_projections::story::Desk;
use accrue_projections::{LedgerOptions, MilestoneOptions, verify};
use accrue_tests::history::random::Random;
use accrue_tests::history::{History, Options, generate};
use accrue_tests::oracle::Timeline;
use anyhow::{Result, bail, ensure};
use both::{BEGINNING, Both, activate};
use serde_json::Value;
use std::path::Path;

/// Histories in one store: a program each.
const OF_STORE: u64 = 25;
/// Facts delivered as one group, at most.
const GROUP_FACTS_MAX: usize = 6;
/// Histories are shared out among so many threads.
const THREADS: u64 = 2;
/// No history goes on for so long.
const LATER: Instant = Instant(4_000_000_000_000_000);

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Small bounds, so that checkpoints come at all sorts of moments, while facts go on being booked; milestones of everybody.
fn small() -> LedgerOptions {
    let milestones = MilestoneOptions { facts_min: 1, every: 3, ..MilestoneOptions::default() };
    LedgerOptions { checkpoint_facts: 61, milestones, ..LedgerOptions::default() }
}

/// Two stores with one secret: codes of coupons are derived from it, and part of the state.
fn twins(dir: &Path) -> Result<[Desk; 2]> {
    let paths = [dir.join("one"), dir.join("other")];
    drop(Desk::open(&paths[0], small())?);
    copy(&paths[0], &paths[1])?;
    Ok([Desk::open(&paths[0], small())?, Desk::open(&paths[1], small())?])
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() { copy(&entry.path(), &target)? } else { std::fs::copy(entry.path(), target).map(drop)? }
    }
    Ok(())
}

/// Gives seeds to threads, each with stores of its own. All of them, whatever fails.
fn each_store(count: u64, work: impl Fn(&Path, std::ops::Range<u64>) -> Result<()> + Sync) {
    let first = number_from("ACCRUE_SEED", 0);
    let stores: Vec<std::ops::Range<u64>> =
        (first..first + count).step_by(OF_STORE as usize).map(|from| from..(from + OF_STORE).min(first + count)).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (stores, work) = (&stores, &work);
                scope.spawn(move || {
                    let of_thread = stores.iter().skip(thread as usize).step_by(THREADS as usize);
                    let each = of_thread.filter_map(|seeds| {
                        let dir = tempfile::tempdir().expect("a directory");
                        work(dir.path(), seeds.clone()).err().map(|error| format!("{error:#}"))
                    });
                    each.collect::<Vec<String>>()
                })
            })
            .collect();
        let failures: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        assert!(failures.is_empty(), "{}\n\n{} stores of {} differ", failures.join("\n\n"), failures.len(), stores.len());
    });
}

/// Delivers a history in groups, with checkpoints and starts in between, and compares as it goes and at the end.
/// Inside: the first thing that differs.
fn run(
    desk: &mut Desk,
    program: &str,
    seed: u64,
    history: &History,
    rules: &Timeline,
    facts: &[Value],
) -> Result<Option<String>> {
    let mut random = Random::new(seed ^ 0xACC2_0E00);
    activate(desk, program, &history.rules_toml, BEGINNING)?;
    for (from, toml) in &history.later_rules {
        activate(desk, program, toml, from)?;
    }
    let mut both = Both::new(desk, program, rules);
    let mut rest = facts;
    while !rest.is_empty() {
        let most = 1 + random.below(GROUP_FACTS_MAX);
        // A code that is handed out in a group can't be named in it.
        let named = rest.iter().skip(1).position(|fact| fact.to_string().contains("code-of-")).map_or(rest.len(), |at| at + 1);
        let (group, after) = rest.split_at(most.min(named).min(rest.len()));
        rest = after;
        if let Some(differs) = both.deliver(group)? {
            return Ok(Some(differs));
        }
        match random.below(60) {
            0 => both.desk.checkpoint()?,
            1 => both.desk.reopen()?,
            _ => {}
        }
    }
    Ok(match compare_at_instants(&both, history, &mut random)? {
        None => compare_as_known(&both, facts.len(), history, &mut random)?,
        differs => differs,
    })
}

fn compare_at_instants(both: &Both<'_>, history: &History, random: &mut Random) -> Result<Option<String>> {
    let instants = history.instants()?;
    let last = instants.last().copied().unwrap_or(0);
    let some: Vec<i64> = (0..6).filter_map(|_| random.any(&instants)).chain([last]).collect();
    for member in both.members() {
        for &at in &some {
            let differences = both.compare(member, at, None)?;
            if !differences.is_empty() {
                return Ok(Some(told(member, at, "", &differences)));
            }
            let broken = both.broken(member, at)?;
            if !broken.is_empty() {
                return Ok(Some(told(member, at, ", invariants", &broken)));
            }
            let unexplained = both.unexplained(member, at)?;
            if !unexplained.is_empty() {
                return Ok(Some(told(member, at, ", explanations", &unexplained)));
            }
        }
    }
    Ok(None)
}

/// As known after some delivery: as if the rest had never come. What was decided then stays decided.
fn compare_as_known(both: &Both<'_>, deliveries: usize, history: &History, random: &mut Random) -> Result<Option<String>> {
    let instants = history.instants()?;
    for _ in 0..if deliveries == 0 { 0 } else { 2 } {
        let count = 1 + random.below(deliveries);
        for member in both.members() {
            let at = random.any(&instants).unwrap_or(0);
            let differences = both.compare(member, at, Some(count))?;
            if !differences.is_empty() {
                return Ok(Some(told(member, at, &format!(", as known after {count} deliveries"), &differences)));
            }
        }
    }
    Ok(None)
}

fn told(member: &str, at: i64, how: &str, differences: &[String]) -> String {
    format!("{member} at {}{how}:\n{}", accrue_tests::oracle::calendar::show(at), differences.join("\n"))
}

/// Makes a difference small, and fails with it.
fn fail(seed: u64, history: &History, rules: &Timeline, first: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut desk = Desk::open(dir.path(), LedgerOptions::default())?;
    let (mut tries, mut last) = (0, first.to_owned());
    let facts = shrink::smallest(&history.facts(), |facts| {
        tries += 1;
        let differs = run(&mut desk, &format!("s{tries}"), seed, history, rules, facts)?;
        Ok(differs.map(|differs| last = differs).is_some())
    })?;
    bail!("seed {seed} differs:\n{first}\n\nAs small as it gets:\n{last}\n\n{}", shrink::scenario(seed, history, &facts)?)
}

fn digests(desk: &Desk, seeds: std::ops::Range<u64>) -> Result<Vec<(u64, String)>> {
    let reader = desk.reader()?;
    seeds.map(|seed| Ok((seed, reader.digest(&format!("h{seed}"))?.to_string()))).collect()
}

/// The same digest in memory, after a checkpoint, after a start, and from the log alone; and everything that `verify` checks.
fn check_digests(desk: &mut Desk, seeds: std::ops::Range<u64>) -> Result<()> {
    let live = digests(desk, seeds.clone())?;
    desk.checkpoint()?;
    ensure!(digests(desk, seeds.clone())? == live, "{seeds:?}: another digest after a checkpoint");
    desk.reopen()?;
    ensure!(digests(desk, seeds.clone())? == live, "{seeds:?}: another digest after a checkpoint and a start");
    desk.rebuild()?;
    let again = digests(desk, seeds)?;
    let other: Vec<_> = live.iter().zip(&again).filter(|(live, again)| live != again).collect();
    ensure!(other.is_empty(), "other digests from the log alone: {other:?}");
    let scratch = tempfile::tempdir()?;
    for program in desk.reader()?.programs() {
        let differing = differing_flows(&desk.store().shard(0)?, &desk.reader()?, &program, LATER)?;
        ensure!(differing.is_empty(), "{program}, what is owed: {}", differing.join("\n"));
    }
    let report = verify(desk.store(), &desk.reader()?, LedgerOptions::default(), scratch.path(), |_| ())?;
    ensure!(report.is_whole(), "verification: {:?}", report.broken);
    Ok(())
}

#[test]
fn the_engine_is_the_oracle() {
    each_store(number_from("ACCRUE_HISTORIES", 2_000), |dir, seeds| {
        let mut desk = Desk::open(dir, small())?;
        for seed in seeds.clone() {
            let history = generate(seed, &Options::all())?;
            let rules = history.timeline()?;
            if let Some(differs) = run(&mut desk, &format!("h{seed}"), seed, &history, &rules, &history.facts())? {
                fail(seed, &history, &rules, &differs)?;
            }
        }
        check_digests(&mut desk, seeds)
    });
}

/// Facts alone: every order of arrival gives the same bytes.
#[test]
fn facts_in_any_order_have_one_digest() {
    each_store(number_from("ACCRUE_HISTORIES", 2_000) / 4, |dir, seeds| {
        let [mut desk, mut shuffled] = twins(dir)?;
        for seed in seeds.clone() {
            let history = generate(seed, &Options::order_independent())?;
            let (rules, program) = (history.timeline()?, format!("h{seed}"));
            let mut facts = history.facts();
            if let Some(differs) = run(&mut desk, &program, seed, &history, &rules, &facts)? {
                fail(seed, &history, &rules, &differs)?;
            }
            Random::new(seed).shuffle(&mut facts);
            if let Some(differs) = run(&mut shuffled, &program, seed, &history, &rules, &facts)? {
                bail!("seed {seed}, shuffled, differs: {differs}");
            }
        }
        let (in_order, other) = (digests(&desk, seeds.clone())?, digests(&shuffled, seeds.clone())?);
        let differ: Vec<u64> = in_order.iter().zip(&other).filter(|(a, b)| a != b).map(|((seed, _), _)| *seed).collect();
        ensure!(differ.is_empty(), "another digest when shuffled: seeds {differ:?}");
        check_digests(&mut shuffled, seeds)
    });
}

/// A ruleset that comes late and reaches into the past gives what it would have given in time.
#[test]
fn a_ruleset_may_come_late() {
    let with_second = (0..).filter_map(|seed| {
        let history = generate(seed, &Options::order_independent()).expect("generated");
        (!history.later_rules.is_empty()).then_some((seed, history))
    });
    for (seed, history) in with_second.take(12) {
        let dir = tempfile::tempdir().expect("a directory");
        let digest = |mut desk: Desk, late: bool| -> Result<String> {
            let currency = history.timeline()?[0].1.currency.clone();
            activate(&mut desk, "test", &history.rules_toml, BEGINNING)?;
            let (from, toml) = &history.later_rules[0];
            if !late {
                activate(&mut desk, "test", toml, from)?;
            }
            for fact in history.facts() {
                desk.deliver(&both::bytes_of(&fact, &currency)?)?;
            }
            if late {
                activate(&mut desk, "test", toml, from)?;
            }
            let live = desk.reader()?.digest("test")?.to_string();
            desk.rebuild()?;
            ensure!(desk.reader()?.digest("test")?.to_string() == live, "seed {seed}: another digest from the log alone");
            Ok(live)
        };
        let [one, other] = twins(dir.path()).expect("two stores");
        let (in_time, late) = (digest(one, false).expect("in time"), digest(other, true).expect("late"));
        assert_eq!(in_time, late, "seed {seed}");
    }
}
