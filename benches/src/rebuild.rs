//! A generation beside the live one: built on one thread and on two, compared, flipped; what analysts take away; each in a process of its own.

use crate::stopwatch::{Lap, Stopwatch, memory_mib};
use crate::{floor, member, service};
use accrue_ingest::Embedded;
use accrue_ingest::workload::{PROGRAM, Workload, WorkloadOptions};
use accrue_ledger::Instant;
use accrue_projections::{BuildOptions, Compared, GenerationState, Keeper, Ledger, LedgerOptions, LedgerReader};
use accrue_store::{Position, Store, StoreOptions};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// By this name, the program makes a store and ends.
pub const FILLED: &str = "store-to-be-filled";
/// By this name, it builds one generation and ends.
pub const BUILT: &str = "generation-to-be-built";
/// By this name, it takes facts in, with a build beside it and without.
pub const BESIDE: &str = "ingest-beside-a-build";
/// How often a build is looked at.
const LOOK: Duration = Duration::from_millis(25);
/// Facts taken in beside a build, at most.
const BESIDE_FACTS: u64 = 1_000_000;
/// Between two flips that do not follow at once.
const PAUSE: Duration = Duration::from_millis(100);
/// Reads of a round.
const READS: usize = 1_000;
/// As of the end of 2025, when the workload has ended.
const NOW: Instant = Instant(1_767_139_200_000_000);

/// Everything of this file, in one run.
pub fn all(dir: &Path, facts: usize, members: u32, memory_mib: usize) -> Result<()> {
    let store = dir.join("store");
    if !store.exists() {
        again(&[&facts.to_string(), &members.to_string(), FILLED, &path(&store)])?;
    }
    let (scan, frames) = floor::scan(&store)?;
    println!("{:<34} {:>10.0} facts/s {:>7.2} µs CPU a fact", "raw scan of the log", scan.rate(frames), scan.cpu_us(frames));
    for threads in [1_usize, 2] {
        again(&[&frames.to_string(), &threads.to_string(), BUILT, &path(&store), &memory_mib.to_string()])?;
    }
    analysts(dir, &store)?;
    again(&[&facts.to_string(), &members.to_string(), BESIDE, &path(&store)])
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// This program again, in a process that nothing was held in before.
fn again(arguments: &[&str]) -> Result<()> {
    let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
    ensure!(status.success(), "{arguments:?}: {status}");
    Ok(())
}

/// What is filled in first, and behind it in time what comes beside a build.
fn workload(facts: u64, members: u32) -> Workload {
    let facts = facts + 3 * BESIDE_FACTS.min(facts);
    Workload::new(WorkloadOptions { facts, members, ..WorkloadOptions::default() })
}

/// Takes `facts` in and stops well.
pub fn fill(facts: u64, members: u32, dir: &Path) -> Result<()> {
    let mut workload = workload(facts, members);
    let (embedded, _) = service::open_kept(dir)?;
    embedded.publish_fact(&crate::input::activation()?)?;
    service::publish(&embedded, &mut workload, facts)?;
    embedded.stop()?;
    Ok(())
}

/// Builds the next generation, compares it with the live one, flips it and rolls back, and drops it.
pub fn build(frames: usize, threads: usize, dir: &Path, memory: usize) -> Result<()> {
    let store = Store::open(dir, StoreOptions::default())?;
    let mut ledger = Ledger::open(&store, 0, LedgerOptions::default())?;
    ledger.derive(|_| ())?;
    let live = ledger.reader();
    drop(ledger);
    let before = memory_mib("VmRSS");
    let keeper = Keeper::open(&store, live.clone(), LedgerOptions::default())?;
    let watch = Stopwatch::start();
    let options = BuildOptions { threads, memory_bytes: memory * 1024 * 1024, io_bytes_per_second: None };
    let number = keeper.next_number()?;
    keeper.plan(number, options, None)?;
    keeper.begin(number)?;
    wait(&keeper, number)?;
    let lap = watch.lap();
    println!(
        "{:<34} {:>10.0} facts/s {:>7.2} µs CPU a fact  peak {} MiB resident, {before} before; {memory} MiB given",
        format!("rebuild, {threads} threads"),
        lap.rate(frames),
        lap.cpu_us(frames),
        memory_mib("VmHWM")
    );
    let (other, now) = (keeper.reader(number).context("it is complete")?, last(&store)?);
    for (name, compared) in [("rebuild diff", Compared::All), ("rebuild diff --states", Compared::States)] {
        let watch = Stopwatch::start();
        let difference = live.difference((&other, compared), PROGRAM, now, 10)?;
        let lap = watch.lap();
        ensure!(difference.changed == 0, "{} members differ", difference.changed);
        let of = usize::try_from(difference.members)?;
        println!("{name:<34} {:>10.0} members/s {:>5.2} µs CPU a member", lap.rate(of), lap.cpu_us(of));
    }
    drop(other);
    keeper.drop(number)?;
    keeper.stop()?;
    Ok(())
}

/// When the last fact happened: what a comparison of that moment takes for now.
fn last(store: &Store) -> Result<Instant> {
    let (log, mut last) = (store.shard(0)?, Instant(0));
    let end = log.head().next_position;
    log.for_each(Position(end.0 - 1), end, |frame| -> Result<()> {
        last = frame.occurred_at;
        Ok(())
    })?;
    Ok(last)
}

fn wait(keeper: &Keeper, number: u32) -> Result<()> {
    loop {
        let all = keeper.status(NOW)?;
        let one = all.into_iter().find(|one| one.generation == number).context("it is there")?;
        match one.state {
            GenerationState::Building | GenerationState::CatchingUp => std::thread::sleep(LOOK),
            GenerationState::Failed => bail!("{}", one.detail.unwrap_or_default()),
            _ => return Ok(()),
        }
    }
}

/// The commands as a person gives them, by the clock of their process.
fn analysts(dir: &Path, store: &Path) -> Result<()> {
    let binary = std::env::current_exe()?.with_file_name("accrue");
    if !binary.exists() {
        println!("no accrue beside this program: exports are not measured");
        return Ok(());
    }
    let set = format!("data_dir={}", store.display());
    let run = |arguments: &[&str]| -> Result<(Lap, Vec<u8>)> {
        let watch = Stopwatch::start();
        let done = Command::new(&binary).args(["--set", &set, "--output", "json"]).args(arguments).output()?;
        ensure!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok((watch.lap(), done.stdout))
    };
    let place = path(&dir.join("export"));
    let (lap, told) = run(&["export", "parquet", "--tables", "entries", "--out", &place])?;
    let manifest: serde_json::Value = serde_json::from_slice(&told)?;
    let entries = usize::try_from(manifest["rows"]["entries"].as_u64().unwrap_or(0))?;
    println!(
        "{:<34} {:>10.0} entries/s, of {entries}; opening the store included",
        "export of entries, Parquet",
        lap.rate(entries)
    );
    let rules = path(&dir.join("rules.toml"));
    std::fs::write(&rules, accrue_ingest::workload::RULESET.replacen("points = 1", "points = 2", 1))?;
    let (lap, told) = run(&["rules", "diff", "live", &rules, "--from", "2024-01-01T00:00:00Z"])?;
    let answer: serde_json::Value = serde_json::from_slice(&told)?;
    let members = usize::try_from(answer["members"].as_u64().unwrap_or(0))?;
    println!(
        "{:<34} {:>10.0} members/s, {members} of them, {} changed; opening the store included",
        "rules diff, whole log",
        lap.rate(members),
        answer["changed"]
    );
    std::fs::remove_dir_all(&place)?;
    Ok(())
}

/// Takes facts in as fast as it goes, alone and while a generation is built on one thread; then flips and rolls back, under reads.
pub fn beside(facts: u64, members: u32, dir: &Path) -> Result<()> {
    let more = BESIDE_FACTS.min(facts);
    let (mut workload, mut there) = (workload(facts, members), Vec::new());
    for _ in 0..facts {
        workload.next_into(&mut there);
    }
    let (embedded, kept) = service::open_kept(dir)?;
    let (live, keeper) = kept.lock().clone().context("the shard is open")?;
    let alone = service::publish(&embedded, &mut workload, more)?;
    let options = BuildOptions { threads: 1, ..BuildOptions::default() };
    let number = keeper.next_number()?;
    keeper.plan(number, options, None)?;
    keeper.begin(number)?;
    let together = service::publish(&embedded, &mut workload, more)?;
    let state = keeper.status(NOW)?.into_iter().find(|one| one.generation == number).map(|one| one.state);
    println!(
        "{:<34} {:>10.0} facts/s, {:.2} × alone; after it the build is {state:?}",
        "ingest while a generation is built",
        together.rate(more as usize),
        together.rate(more as usize) / alone.rate(more as usize)
    );
    wait(&keeper, number)?;
    for (what, pause) in [("flip, roll back, now and then", PAUSE), ("flip, roll back, without end", Duration::ZERO)] {
        // One that fell behind meanwhile is in step before the first.
        wait(&keeper, number)?;
        flips((what, pause), (&live, &keeper, &embedded), (&mut workload, more / 2, members), number)?;
    }
    keeper.stop()?;
    embedded.stop()?;
    Ok(())
}

/// Flips and rolls back as facts come in and members are read.
fn flips(
    (what, pause): (&str, Duration),
    (live, keeper, embedded): (&LedgerReader, &Keeper, &Embedded),
    (workload, more, members): (&mut Workload, u64, u32),
    number: u32,
) -> Result<()> {
    let ended = AtomicBool::new(false);
    let (mut waits, reads) = std::thread::scope(|scope| -> Result<_> {
        let publisher = scope.spawn(|| service::publish(embedded, workload, more));
        let reader = scope.spawn(|| -> Result<_> {
            let (mut all, mut found) = (Vec::new(), 0);
            while !ended.load(Ordering::Relaxed) {
                let of = member::read(live, PROGRAM, members, READS, NOW)?;
                found += of.found;
                all.push(of.p99);
            }
            Ok((all, found))
        });
        let mut waits = Vec::new();
        while !publisher.is_finished() {
            for to in [number, keeper.live()?] {
                std::thread::sleep(pause);
                let watch = Stopwatch::start();
                let writer = keeper.flip(to)?;
                waits.push((watch.lap().wall, writer));
            }
        }
        ended.store(true, Ordering::Relaxed);
        publisher.join().map_err(|_| anyhow!("the publisher panicked"))??;
        Ok((waits, reader.join().map_err(|_| anyhow!("the reader panicked"))??))
    })?;
    waits.sort_unstable();
    let (asked, writer) = (waits.last().map_or(Duration::ZERO, |of| of.0), waits.iter().map(|of| of.1).max().unwrap_or_default());
    let of = |hundredths: usize| waits.get(waits.len() * hundredths / 100).map_or(Duration::ZERO, |of| of.0);
    println!(
        "{what:<34} {} at full ingest: p50 {:?}, p95 {:?}, longest {asked:?}, of which the writer waited at most {writer:?}",
        waits.len(),
        of(50),
        of(95)
    );
    let (p99, found) = reads;
    println!("{:<34} {found} found meanwhile, p99 {:?}", "reads", p99.into_iter().max().unwrap_or_default());
    Ok(())
}
