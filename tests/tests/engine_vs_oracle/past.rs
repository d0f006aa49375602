//! Everybody of a past: as in a store that got no more than what was known then, and as each member by itself.

use crate::both::{BEGINNING, Both, activate};
use crate::twins;
use accrue_ledger::Instant;
use accrue_projections::{AsKnown, AsOf, LedgerReader, SweepOptions, Sweeping};
use accrue_tests::history::random::Random;
use accrue_tests::history::{Options, generate};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;

/// Histories that are looked at.
const HISTORIES: u64 = 40;
/// Small, so that there are several parts.
const SMALL: SweepOptions = SweepOptions { threads: 2, memory_bytes: 1 };

/// Everything that is asked of everybody, as text.
fn everybody(reader: &LedgerReader, asked: AsOf, at: Instant) -> Result<Vec<String>> {
    let how = Sweeping { program: "test", asked, now: at, options: SMALL, progress: &|_| {} };
    let (mut members, mut exceptions, mut expiring) = (Vec::new(), Vec::new(), Vec::new());
    reader.members_then(&how, |row| members.push(format!("{row:?}")))?;
    reader.exceptions_then(&how, |row| exceptions.push(format!("{row:?}")))?;
    reader.expiring_then(&how, Instant(i64::MAX - 1), |row| expiring.push(format!("{row:?}")))?;
    for rows in [&mut members, &mut exceptions, &mut expiring] {
        rows.sort();
    }
    let (sums, totals, moves) = (reader.outstanding_then(&how)?, reader.totals_then(&how)?, reader.tier_moves_then(&how)?);
    let lists = [members, exceptions, expiring].map(|rows| rows.join("\n"));
    Ok(lists.into_iter().chain([format!("{sums:?}"), format!("{totals:?}"), format!("{moves:?}")]).collect())
}

/// The sums of everybody are those of the answers about each.
fn check_each(reader: &LedgerReader, names: &[String], asked: AsOf, at: Instant) -> Result<()> {
    let how = Sweeping { program: "test", asked, now: at, options: SMALL, progress: &|_| {} };
    let mut rows = BTreeMap::new();
    reader.members_then(&how, |row| drop(rows.insert(row.member.clone(), row)))?;
    let (mut entries, mut members) = (0, 0);
    for name in names {
        let Some(answer) = reader.member("test", name, asked, at)?.filter(|answer| answer.member == *name) else { continue };
        let main = answer.balance.get("main").cloned().unwrap_or_default();
        let row = rows.remove(name);
        let by_list = row.as_ref().map(|row| [row.active, row.pending, row.debt, row.earned, row.spent, row.expired]);
        let by_itself = [main.active, main.pending, main.debt, main.earned, main.spent, main.expired];
        ensure!(by_list == Some(by_itself), "{name}: {by_list:?} in the list, by itself {by_itself:?}");
        let told = reader.entries("test", name, asked, at)?.unwrap_or_default();
        let moves =
            |kind: &str| !kind.starts_with("coupon") && !kind.starts_with("achievement") && !kind.starts_with("exception");
        let others = ["parked", "tier_changed", "extended"];
        entries += told.iter().filter(|entry| moves(entry.kind) && !others.contains(&entry.kind)).count();
        members += 1;
    }
    ensure!(rows.is_empty(), "only in the list: {rows:?}");
    ensure!(reader.outstanding_then(&how)?.members == members, "{members} by themselves");
    let in_totals: u64 = reader.totals_then(&how)?.iter().map(|row| row.entries).sum();
    ensure!(in_totals == entries as u64, "{in_totals} entries in totals, {entries} of members");
    Ok(())
}

fn check(seed: u64) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let history = generate(seed, &Options::all())?;
    let (rules, facts, mut random) = (history.timeline()?, history.facts(), Random::new(seed ^ 0x0A5_0F0));
    if facts.is_empty() {
        return Ok(());
    }
    let [mut whole, mut part] = twins(dir.path())?;
    for desk in [&mut whole, &mut part] {
        activate(desk, "test", &history.rules_toml, BEGINNING)?;
        for (from, toml) in &history.later_rules {
            activate(desk, "test", toml, from)?;
        }
    }
    let count = 1 + random.below(facts.len());
    let (mut all, mut some) = (Both::new(&mut whole, "test", &rules), Both::new(&mut part, "test", &rules));
    for (number, fact) in facts.iter().enumerate() {
        all.deliver(std::slice::from_ref(fact))?;
        if number < count {
            some.deliver(std::slice::from_ref(fact))?;
        }
    }
    let (position, names) = (all.position_after(count), all.members().cloned().collect::<Vec<_>>());
    let instants = history.instants()?;
    for at in (0..3).filter_map(|_| random.any(&instants)).chain(instants.last().copied()).map(Instant) {
        let then = AsOf { as_of: Some(at), known: AsKnown::Position(position) };
        let alone = AsOf { as_of: Some(at), known: AsKnown::Now };
        let (reader, other) = (all.desk.reader()?, some.desk.reader()?);
        for (known_then, got_no_more) in everybody(&reader, then, at)?.into_iter().zip(everybody(&other, alone, at)?) {
            ensure!(known_then == got_no_more, "seed {seed}, {count} deliveries, {at}:\n{known_then}\n\n{got_no_more}");
        }
        check_each(&reader, &names, then, at)?;
        check_each(&other, &names, alone, at)?;
    }
    Ok(())
}

#[test]
fn everybody_of_a_past_is_everybody_of_a_store_that_got_no_more() {
    for seed in 0..HISTORIES {
        check(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    }
}
