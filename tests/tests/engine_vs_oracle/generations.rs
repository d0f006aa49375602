//! A generation built beside the live one while facts go on coming: the same rows, and after a flip and back the same again.

use super::both::{BEGINNING, activate, bytes_of};
use super::{each_store, number_from, run, small};
use accrue_projections::story::Desk;
use accrue_projections::{Keeper, LedgerOptions, verify};
use accrue_tests::beside::{SMALL, WAIT, nothing_differs, same_rows, wait_for};
use accrue_tests::history::{Options, generate};
use anyhow::{Result, bail, ensure};

/// Delivers a history of its own program, with everything that `run` compares.
fn deliver(desk: &mut Desk, seed: u64) -> Result<()> {
    let history = generate(seed, &Options::all())?;
    let rules = history.timeline()?;
    match run(desk, &format!("h{seed}"), seed, &history, &rules, &history.facts())? {
        None => Ok(()),
        Some(differs) => bail!("seed {seed}: {differs}"),
    }
}

fn flip(desk: &mut Desk, work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    std::thread::scope(|scope| {
        let asking = scope.spawn(work);
        while !asking.is_finished() {
            desk.checkpoint()?;
            std::thread::sleep(WAIT);
        }
        asking.join().map_err(|_| anyhow::anyhow!("it panicked"))?
    })
}

#[test]
fn a_generation_is_the_live_one() {
    each_store(number_from("ACCRUE_HISTORIES", 2_000) / 8, |dir, seeds| {
        let mut desk = Desk::open(dir, small())?;
        let middle = (seeds.start + seeds.end) / 2;
        (seeds.start..middle).try_for_each(|seed| deliver(&mut desk, seed))?;
        let keeper = Keeper::open(desk.store(), desk.reader()?, small())?;
        let built = keeper.next_number()?;
        keeper.plan(built, SMALL, None)?;
        keeper.begin(built)?;
        // It is opened again now and then by `run`: the keeper's reader would be of a ledger that is gone.
        keeper.stop()?;
        drop(keeper);
        (middle..seeds.end).try_for_each(|seed| deliver(&mut desk, seed))?;
        let keeper = Keeper::open(desk.store(), desk.reader()?, small())?;
        let live = keeper.live()?;
        wait_for(&keeper, built, desk.next_position().0)?;
        nothing_differs(&desk, &keeper, built)?;
        keeper.stop()?;
        same_rows(&mut desk, live, built)?;
        let keeper = Keeper::open(desk.store(), desk.reader()?, small())?;
        wait_for(&keeper, built, desk.next_position().0)?;
        flip(&mut desk, || Ok(keeper.flip(built).map(drop)?))?;
        ensure!(keeper.live()? == built);
        let more = &format!("m{}", seeds.start);
        more_facts(&mut desk, more, seeds.start)?;
        wait_for(&keeper, live, desk.next_position().0)?;
        nothing_differs(&desk, &keeper, live)?;
        flip(&mut desk, || Ok(keeper.flip(keeper.before()?).map(drop)?))?;
        ensure!(keeper.live()? == live);
        wait_for(&keeper, built, desk.next_position().0)?;
        nothing_differs(&desk, &keeper, built)?;
        keeper.stop()?;
        same_rows(&mut desk, live, built)?;
        let keeper = Keeper::open(desk.store(), desk.reader()?, small())?;
        keeper.drop(built)?;
        ensure!(desk.store().generations(0)? == [live]);
        keeper.stop()?;
        let scratch = tempfile::tempdir()?;
        let report = verify(desk.store(), &desk.reader()?, LedgerOptions::default(), scratch.path(), |_| ())?;
        ensure!(report.is_whole(), "verification: {:?}", report.broken);
        Ok(())
    });
}

/// Facts of one more program, one by one.
fn more_facts(desk: &mut Desk, program: &str, seed: u64) -> Result<()> {
    let history = generate(seed, &Options::order_independent())?;
    activate(desk, program, &history.rules_toml, BEGINNING)?;
    for mut fact in history.facts() {
        fact["program"] = serde_json::json!(program);
        desk.deliver(&bytes_of(&fact, &history.timeline()?[0].1.currency)?)?;
    }
    Ok(())
}
