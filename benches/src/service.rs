//! The service alone, in a process of its own: what it holds in memory, and how soon it is ready after it was killed.

use crate::embedded;
use crate::input::activation;
use crate::stopwatch::{Lap, Stopwatch, memory_mib};
use accrue_ingest::workload::{Workload, WorkloadOptions};
use accrue_ingest::{Embedded, Message};
use accrue_projections::{Keeper, LedgerOptions, LedgerReader};
use anyhow::{Result, ensure};
use parking_lot::Mutex;
use rustix::process::{Signal, getpid, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// By its name, the program is the service that gets killed.
pub const KILLED: &str = "service-to-be-killed";
/// By this name, it opens what was left of that one.
pub const OPENED: &str = "service-to-be-ready";
/// As a store has them where nobody chose.
const SHARDS: u32 = 2;
/// No checkpoint comes by itself.
fn never() -> LedgerOptions {
    LedgerOptions { delta_bytes_max: usize::MAX / 4, checkpoint_facts: usize::MAX, ..LedgerOptions::default() }
}

/// Takes `facts` in from a generator that keeps 20 bytes a member, stops well; takes `tail` in behind that checkpoint, and is killed.
pub fn run(facts: u64, members: u32, tail: u64, dir: &Path) -> Result<()> {
    let mut workload = Workload::new(WorkloadOptions { facts: facts + tail, members, ..WorkloadOptions::default() });
    let embedded = embedded::open(dir, SHARDS, LedgerOptions::default(), |_, _| Ok(()))?;
    embedded.publish_fact(&activation()?)?;
    let lap = publish(&embedded, &mut workload, facts)?;
    println!(
        "{:<34} {:>10.0} facts/s {:>7.2} µs CPU a fact  its making included; peak {} MiB resident",
        "the service alone",
        lap.rate(facts as usize),
        lap.cpu_us(facts as usize),
        memory_mib("VmHWM")
    );
    embedded.stop()?;
    let embedded = embedded::open(dir, SHARDS, never(), |_, _| Ok(()))?;
    publish(&embedded, &mut workload, tail)?;
    kill_process(getpid(), Signal::KILL)?;
    // Nothing is tidied up before the signal is there.
    loop {
        std::thread::park();
    }
}

/// Starts that process, sees it die, and opens what it left.
pub fn killed_and_ready(facts: usize, members: u32, dir: &Path) -> Result<(Lap, u64)> {
    let mut service = Command::new(std::env::current_exe()?);
    service.args([facts.to_string(), members.to_string(), KILLED.to_string()]).arg(dir);
    let status = service.status()?;
    ensure!(status.signal() == Some(Signal::KILL.as_raw()), "the service ended by itself: {status}");
    ready(dir)
}

/// Opens what was left.
pub fn ready(dir: &Path) -> Result<(Lap, u64)> {
    embedded::ready(dir, never())
}

/// A shard's answers and its generations, as soon as it is open.
pub type Kept = Arc<Mutex<Option<(LedgerReader, Keeper)>>>;

/// One shard as the service opens it, with its generations.
pub fn open_kept(dir: &Path) -> Result<(Embedded, Kept)> {
    let kept = Kept::default();
    let of_shard = Arc::clone(&kept);
    let embedded = embedded::open(dir, 1, LedgerOptions::default(), move |store, ledger| {
        let keeper = Keeper::open(store, ledger.reader(), LedgerOptions::default())?;
        *of_shard.lock() = Some((ledger.reader(), keeper));
        Ok(())
    })?;
    Ok((embedded, kept))
}

/// Takes in that many facts of a generator; its making counts.
pub fn publish(embedded: &Embedded, workload: &mut Workload, facts: u64) -> Result<Lap> {
    let watch = Stopwatch::start();
    let mut publisher = embedded.publisher();
    let mut fact = Vec::new();
    for _ in 0..facts {
        ensure!(workload.next_into(&mut fact).is_some(), "the workload is too short");
        publisher.push(&Message { value: Some(&fact), ..Message::default() })?;
    }
    publisher.finish()?;
    Ok(watch.lap())
}
