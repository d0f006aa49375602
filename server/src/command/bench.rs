//! `accrue bench`: the same facts through the fold alone, through a log that derives nothing, and through everything, in one
//! run on one machine, so that each figure stands beside its floor. The figures of record are in `benches/README.md`.

mod gauge;
mod phases;

use super::Ctx;
use crate::cli::Bench;
use crate::print::{Column, right, text};
use accrue_ingest::workload::{Workload, WorkloadOptions};
use anyhow::{Context as _, Result};
use gauge::{Gauge, Reading};
use serde_json::{Value, json};

/// Facts made at a time, before the clock runs.
const CHUNK_FACTS: usize = 100_000;

const ROWS: [Column; 7] = [
    text("what", "/what"),
    right("facts", "/facts"),
    right("seconds", "/seconds"),
    right("facts/s", "/facts_per_second"),
    right("CPU µs/fact", "/cpu_micros_per_fact"),
    right("CPU × floor", "/cpu_to_floor"),
    right("peak MiB", "/peak_mib"),
];

/// Facts, one behind the other.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    members: String,
    member_ends: Vec<usize>,
}

impl Chunk {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.members.clear();
        self.member_ends.clear();
    }

    /// Each fact and its member.
    fn facts(&self) -> impl Iterator<Item = (&[u8], &str)> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let member_starts = [0].into_iter().chain(self.member_ends.iter().copied());
        let facts = starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end]);
        facts.zip(member_starts.zip(&self.member_ends).map(|(start, end)| &self.members[start..*end]))
    }
}

/// One way of taking facts in.
pub(super) trait Phase {
    /// What it is.
    fn name(&self) -> String;
    /// Takes a chunk in, to the end.
    fn take(&mut self, chunk: &Chunk) -> Result<()>;
    /// Ends; the clock still runs.
    fn end(self: Box<Self>) -> Result<()>;
}

pub(super) fn run(ctx: &Ctx, bench: &Bench) -> Result<()> {
    std::fs::create_dir_all(&ctx.config.data_dir)?;
    let scratch = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&ctx.config.data_dir)
        .context("can't make a folder to measure in")?;
    let options = WorkloadOptions { facts: bench.facts, members: bench.members, seed: bench.seed, ..WorkloadOptions::default() };
    let mut readings = Vec::new();
    let mut measure = |phase: Box<dyn Phase>| -> Result<()> {
        let name = phase.name();
        eprintln!("{name} …");
        readings.push(one(phase, options).with_context(|| name)?);
        Ok(())
    };
    measure(Box::new(phases::Nothing))?;
    measure(Box::new(phases::DecodeAlone))?;
    measure(Box::new(phases::FoldAlone::new(bench.members)?))?;
    measure(Box::new(phases::AppendOnly::open(&ctx.config, &scratch.path().join("floor"))?))?;
    measure(Box::new(phases::Ingest::open(&ctx.config, &scratch.path().join("store"))?))?;
    show(ctx, bench, &readings)
}

fn one(mut phase: Box<dyn Phase>, options: WorkloadOptions) -> Result<Reading> {
    let mut workload = Workload::new(options);
    let mut gauge = Gauge::start(phase.name());
    let (mut chunk, mut fact) = (Chunk::default(), Vec::new());
    loop {
        gauge.pause();
        chunk.clear();
        while chunk.ends.len() < CHUNK_FACTS
            && let Some(member) = workload.next_into(&mut fact)
        {
            chunk.bytes.extend_from_slice(&fact);
            chunk.ends.push(chunk.bytes.len());
            chunk.members.push_str(member.text());
            chunk.member_ends.push(chunk.members.len());
        }
        gauge.go_on();
        if chunk.ends.is_empty() {
            break;
        }
        phase.take(&chunk)?;
    }
    phase.end()?;
    Ok(gauge.end(options.facts))
}

fn show(ctx: &Ctx, bench: &Bench, readings: &[Reading]) -> Result<()> {
    let floor = readings.iter().find(|reading| reading.name == phases::FLOOR).map(Reading::cpu_micros);
    let rows = readings.iter().filter(|reading| reading.name != phases::NOTHING).map(|reading| {
        json!({
            "what": reading.name,
            "facts": reading.facts,
            "seconds": format!("{:.2}", reading.seconds),
            "facts_per_second": reading.rate(),
            "cpu_micros_per_fact": format!("{:.2}", reading.cpu_micros()),
        "cpu_to_floor": to_floor(reading, floor),
            "peak_mib": reading.peak_bytes / (1024 * 1024),
        })
    });
    let rows: Vec<Value> = rows.collect();
    let whole = json!({
        "facts": bench.facts,
        "members": bench.members,
        "seed": bench.seed,
        "shards": ctx.config.shards.unwrap_or(ctx.config.shards_new),
        "group_facts_max": ctx.config.group_facts_max,
        "sync": ctx.config.store.sync,
        "results": rows,
    });
    ctx.printer.rows(&whole, &rows, &ROWS)
}

/// Only what keeps its facts can be compared with what keeps them and does nothing else.
fn to_floor(reading: &Reading, floor: Option<f64>) -> Option<String> {
    let keeps = ![phases::FOLD, phases::DECODE].contains(&reading.name.as_str());
    floor.filter(|_| keeps).map(|floor| format!("{:.2}", reading.cpu_micros() / floor.max(0.001)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};

    #[test]
    fn every_phase_takes_the_same_facts() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = Config::of(Layers::default()).expect("defaults");
        let options = WorkloadOptions { facts: 2_500, members: 40, seed: 3, ..WorkloadOptions::default() };
        let phases: [Box<dyn Phase>; 5] = [
            Box::new(phases::Nothing),
            Box::new(phases::DecodeAlone),
            Box::new(phases::FoldAlone::new(40).expect("rules")),
            Box::new(phases::AppendOnly::open(&config, &dir.path().join("a")).expect("opens")),
            Box::new(phases::Ingest::open(&config, &dir.path().join("b")).expect("opens")),
        ];
        for phase in phases {
            let reading = one(phase, options).expect("measures");
            assert_eq!(reading.facts, 2_500);
            assert!(reading.seconds > 0.0 && reading.peak_bytes > 0, "{}", reading.name);
        }
    }
}
