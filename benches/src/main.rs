//! `figures [FACTS] [MEMBERS] [fold|arrival|ingest|shards|kafka|service|rebuild [MIB [DIR]]]`: every figure of `benches/README.md` in one run, each beside its floor; or one part, to profile it.

use accrue_benches::stopwatch::{Lap, load, memory_mib};
use accrue_benches::{embedded, floor, fold, input, kafka, member, postgres, rebuild, service, size};
use accrue_ledger::{Instant, Member, Record};
use accrue_projections::LedgerOptions;
use anyhow::Result;
use std::path::{Path, PathBuf};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Facts of a group with one sync.
const GROUP_FACTS: usize = 1_000;
/// Facts folded again by a restart.
const TAIL_FACTS: usize = 500_000;
/// Facts that PostgreSQL gets: its rate does not depend on more.
const POSTGRES_FACTS: usize = 500_000;
/// Rows of one of its transactions.
const POSTGRES_BATCH: usize = 5_000;
/// Memory of a rebuild, where nobody says, MiB.
const MEMORY_MIB: usize = 256;
/// Single reads of a member.
const READS: usize = 20_000;

fn say(what: &str, lap: Lap, facts: usize, more: &str) {
    println!("{what:<34} {:>10.0} facts/s {:>7.2} µs CPU a fact  {more}", lap.rate(facts), lap.cpu_us(facts));
}

fn main() -> Result<()> {
    let number = |place: usize, default: usize| std::env::args().nth(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (facts, members) = (number(1, 5_000_000), number(2, 200_000));
    let only = std::env::args().nth(3);
    if let Some(done) = of_one_process(only.as_deref(), (facts, members), number(5, MEMORY_MIB)) {
        return done;
    }
    println!("load at the start {}", load());
    if only.as_deref() == Some("rebuild") {
        let scratch = tempfile::tempdir()?;
        let dir = std::env::args().nth(5).map_or_else(|| scratch.path().to_owned(), PathBuf::from);
        return rebuild::all(&dir, facts, u32::try_from(members)?, number(4, MEMORY_MIB));
    }
    if only.as_deref() == Some("service") {
        return restart(tempfile::tempdir()?.path(), facts, u32::try_from(members)?);
    }
    let input = input::Input::generate(facts, u32::try_from(members)?, 7);
    println!("{} facts of {} members, {} bytes each", input.len(), members, input.bytes() / input.len());
    match only.as_deref() {
        Some("ingest" | "shards" | "kafka") => {}
        Some("arrival") => return arrival(&input),
        _ => {
            rules_alone(&input)?;
            arrival(&input)?;
        }
    }
    if only.as_deref() == Some("fold") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let floor = floor::append(&input, &dir.path().join("floor"), GROUP_FACTS, true)?;
    say("append-only floor, synced", floor, facts, "");
    let (scan, frames) = floor::scan(&dir.path().join("floor"))?;
    say("raw scan of that log", scan, frames, "");
    let taken = embedded::ingest(&input, &dir.path().join("ingest"), 1)?;
    let ratio = taken.lap.cpu_us(facts) / floor.cpu_us(facts);
    let more =
        format!("{ratio:.1} × floor, last checkpoint {:.1} s, peak {} MiB", taken.stop.wall.as_secs_f64(), memory_mib("VmHWM"));
    say("embedded ingest, synced, derived", taken.lap, facts, &more);
    if only.as_deref() == Some("ingest") {
        return Ok(());
    }
    let of_two = embedded::ingest(&input, &dir.path().join("two"), 2)?;
    say(
        "… by two shards, as by default",
        of_two.lap,
        facts,
        &format!("{:.2} × one", of_two.lap.rate(facts) / taken.lap.rate(facts)),
    );
    if only.as_deref() == Some("shards") {
        return Ok(());
    }
    let from_kafka = kafka::ingest(&input, &dir.path().join("kafka"))?;
    let more = format!("{:.2} × embedded", from_kafka.rate(facts) / taken.lap.rate(facts));
    say("Kafka to durable, derived", from_kafka, facts, &more);
    if only.is_some() {
        return Ok(());
    }
    reads(&dir.path().join("ingest"), u32::try_from(members)?)?;
    restart(dir.path(), facts, u32::try_from(members)?)?;
    beside_postgres(dir.path(), &input, of_two.lap.rate(facts))?;
    println!("load at the end {}", load());
    Ok(())
}

/// What this program does when it is started by itself, as a process that holds nothing else.
fn of_one_process(only: Option<&str>, (facts, members): (usize, usize), memory: usize) -> Option<Result<()>> {
    let dir = PathBuf::from(std::env::args().nth(4).unwrap_or_default());
    let of_members = u32::try_from(members).unwrap_or(u32::MAX);
    Some(match only? {
        service::KILLED => service::run(facts as u64, of_members, TAIL_FACTS as u64, &dir),
        service::OPENED => service::ready(&dir).map(say_ready),
        rebuild::FILLED => rebuild::fill(facts as u64, of_members, &dir),
        rebuild::BUILT => rebuild::build(facts, members, &dir, memory),
        rebuild::BESIDE => rebuild::beside(facts as u64, of_members, &dir),
        _ => return None,
    })
}

fn rules_alone(input: &input::Input) -> Result<()> {
    let rules = input::rules()?;
    // The first pass makes the allocator's memory resident; the others are the rules.
    fold::by_member(input, &rules)?;
    for _ in 0..3 {
        let folded = fold::by_member(input, &rules)?;
        let entries = folded.entries as f64 / folded.facts as f64;
        say("fold alone, member by member", folded.lap, folded.facts, &format!("{entries:.2} entries a fact"));
    }
    let folded = fold::by_member(input, &input::rules_with_tiers()?)?;
    let entries = folded.entries as f64 / folded.facts as f64;
    say("… with tiers and a limit", folded.lap, folded.facts, &format!("{entries:.2} entries a fact"));
    let folded = fold::from_bytes(input, &rules)?;
    say("decode and fold, member by member", folded.lap, folded.facts, "");
    Ok(())
}

/// Every member and record in memory, and then as bytes.
fn arrival(input: &input::Input) -> Result<()> {
    let before = memory_mib("VmRSS");
    let (folded, members) = fold::as_they_come(input, &input::rules()?)?;
    let memory = memory_mib("VmRSS") - before;
    say("fold alone, in order of arrival", folded.lap, folded.facts, &format!("all members in memory, {memory} MiB"));
    let states = members.values().map(|(member, _)| member);
    say_size("member states", size::of::<Member>(states)?);
    let records = members.values().flat_map(|(_, records)| records.iter().map(|(_, record)| record));
    say_size("records", size::of::<Record>(records)?);
    Ok(())
}

fn say_size(what: &str, size: size::Size) {
    let each = |lap: Lap| lap.cpu_us(size.values) * 1_000.0;
    let (count, bytes) = (size.values, size.bytes / size.values);
    println!(
        "{what:<34} {count:>10} of {bytes} bytes, {:.0} ns to encode, {:.0} ns to decode",
        each(size.encode),
        each(size.decode)
    );
}

fn reads(dir: &Path, members: u32) -> Result<()> {
    let (lap, folded, reader) = embedded::reopen(dir, LedgerOptions::default())?;
    println!("{:<34} {:.2} s, {folded} facts folded", "open after a clean stop", lap.wall.as_secs_f64());
    let now = Instant::parse("2025-12-31T00:00:00Z").unwrap_or_default();
    let reads = member::read(&reader, accrue_ingest::workload::PROGRAM, members, READS, now)?;
    println!("{:<34} p50 {:?}, p99 {:?}, {} of {READS} found", "member show, in process", reads.p50, reads.p99, reads.found);
    Ok(())
}

/// The service alone; killed half a million facts after its last checkpoint, and opened again.
fn restart(dir: &Path, facts: usize, members: u32) -> Result<()> {
    say_ready(service::killed_and_ready(facts, members, &dir.join("service"))?);
    Ok(())
}

fn say_ready((lap, folded): (Lap, u64)) {
    println!(
        "{:<34} {:.2} s, {:.2} s CPU, {folded} facts folded",
        "ready after a kill −9",
        lap.wall.as_secs_f64(),
        lap.cpu.as_secs_f64()
    );
}

fn beside_postgres(dir: &Path, input: &input::Input, ours: f64) -> Result<()> {
    let Some(server) = postgres::Server::start(dir)? else {
        println!("PostgreSQL: not on this machine");
        return Ok(());
    };
    let done = server.book(input, POSTGRES_FACTS.min(input.len()), POSTGRES_BATCH)?;
    let rate = done.facts as f64 / done.wall.as_secs_f64();
    println!(
        "{:<34} {rate:>10.0} facts/s  embedded is {:.1} × it",
        format!("PostgreSQL {}, row and balance", done.version),
        ours / rate
    );
    Ok(())
}
