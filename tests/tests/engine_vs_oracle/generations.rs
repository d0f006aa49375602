//! A generation built beside the live one while facts go on coming: the same rows, and after a flip and back the same again.

use super::both::{BEGINNING, activate, bytes_of};
use super::{THREADS, each_store, number_from, run, small};
use accrue_ledger::Instant;
use accrue_projections::story::{Desk, told_rows};
use accrue_projections::{BuildOptions, GenerationState, Keeper, LedgerOptions, verify};
use accrue_tests::history::{Options, generate};
use anyhow::{Context as _, Result, bail, ensure};
use std::time::Duration;

/// Every round is one part, as if there were no memory.
const SMALL: BuildOptions = BuildOptions { threads: THREADS as usize, memory_bytes: 1, io_bytes_per_second: None };
const WAIT: Duration = Duration::from_millis(10);
const TRIES: u32 = 3_000;
const LATER: Instant = Instant(2_000_000_000_000_000);

fn same_rows(desk: &mut Desk, live: u32, other: u32) -> Result<()> {
    desk.checkpoint()?;
    let [one, two] = [live, other].map(|generation| Ok::<_, anyhow::Error>(told_rows(&desk.store().view(0, generation)?)?));
    let (one, two) = (one?, two?);
    let differ: Vec<_> = one.keys().chain(two.keys()).filter(|key| one.get(*key) != two.get(*key)).collect();
    let shown = |key: &&Vec<u8>| format!("{}: {:?}, {:?}", key.escape_ascii(), one.get(*key), two.get(*key));
    let shown: Vec<String> = differ.iter().take(5).map(shown).collect();
    ensure!(differ.is_empty(), "{} rows of {live} and {other} differ:\n{}", differ.len(), shown.join("\n"));
    Ok(())
}

fn wait_for(keeper: &Keeper, generation: u32, next: u64) -> Result<()> {
    for _ in 0..TRIES {
        let all = keeper.status(LATER)?;
        let of = all.iter().find(|status| status.generation == generation).context("it is not there")?;
        if let Some(detail) = &of.detail {
            bail!("generation {generation}: {detail}");
        }
        if of.state != GenerationState::Building && of.state != GenerationState::CatchingUp && of.next_position == next {
            return Ok(());
        }
        std::thread::sleep(WAIT);
    }
    bail!("generation {generation} is not in step: {:?}", keeper.status(LATER)?)
}

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

fn nothing_differs(desk: &Desk, keeper: &Keeper, other: u32) -> Result<()> {
    let (live, other) = (desk.reader()?, keeper.reader(other).context("it answers")?);
    for program in live.programs() {
        let found = live.difference(&other, &program, LATER, 3)?;
        ensure!(found.changed == 0 && found.unsettled == 0 && found.digests[0] == found.digests[1], "{program}: {found:?}");
        ensure!(found.members == 0 || found.slices > 0 && found.slices == found.slices_equal, "{program}: {found:?}");
        ensure!(live.digest(&program)? == other.digest(&program)?);
    }
    Ok(())
}

#[test]
fn a_generation_is_the_live_one() {
    each_store(number_from("ACCRUE_HISTORIES", 2_000) / 8, |dir, seeds| {
        let mut desk = Desk::open(dir, small())?;
        let middle = (seeds.start + seeds.end) / 2;
        (seeds.start..middle).try_for_each(|seed| deliver(&mut desk, seed))?;
        let keeper = Keeper::open(desk.store(), desk.reader()?, small())?;
        let built = keeper.start(2, SMALL, None)?;
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
        flip(&mut desk, || Ok(keeper.roll_back().map(drop)?))?;
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
