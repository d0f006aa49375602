//! Logs and metrics of the process. No personal data in either: no member, no id of an order, no query.

mod points;

pub use points::PointsCount;

use crate::failure::Failure;
use crate::readers::{Open, Readers};
use accrue_ingest::Status;
use accrue_ledger::Instant;
use accrue_projections::GenerationState;
use accrue_store::Store;
use anyhow::{Context as _, Result, anyhow};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use std::io::IsTerminal;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Requests answered, by route, method and status.
pub const HTTP_REQUESTS: &str = "accrue_http_requests_total";
/// How long an answer took, by route.
pub const HTTP_SECONDS: &str = "accrue_http_request_seconds";
/// The position that the next frame of a shard gets.
pub const NEXT_POSITION: &str = "accrue_shard_next_position";
/// Everything ever taken in by a shard, by outcome.
pub const LOG_CONSUMED: &str = "accrue_log_consumed";
/// What RocksDB says of a shard's log, by property.
pub const ROCKSDB: &str = "accrue_log_rocksdb";
/// What RocksDB says of a shard's live view, by property.
pub const VIEW_ROCKSDB: &str = "accrue_view_rocksdb";
/// Milestones of members of many facts: members that have some, bytes, answers that began at one.
pub const MILESTONES: &str = "accrue_milestones";
/// Points that members have, by program, ledger and status.
pub const POINTS: &str = "accrue_points_outstanding";
/// Members, by program.
pub const MEMBERS: &str = "accrue_members";
/// How old the two above are.
pub const POINTS_AGE: &str = "accrue_points_outstanding_age_seconds";
/// Memory of the store, by part.
pub const STORE_MEMORY: &str = "accrue_store_memory_bytes";
/// Resident memory of the process.
pub const RESIDENT: &str = "accrue_process_resident_bytes";
/// Generations of a shard's views, by state.
pub const GENERATIONS: &str = "accrue_generations";
/// Facts folded by builds that are running.
pub const REBUILD_FACTS: &str = "accrue_rebuild_facts";
/// Of so many.
pub const REBUILD_FACTS_OF: &str = "accrue_rebuild_facts_of";
/// 1; the version is a label.
pub const BUILD: &str = "accrue_build_info";

/// Seconds: from a look into memory to a slow disk.
const SECONDS: &[f64] = &[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Messages of a group.
const FACTS: &[f64] = &[1.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0];
/// What is asked of RocksDB.
const PROPERTIES: [&str; 10] = [
    "total-sst-files-size",
    "live-sst-files-size",
    "estimate-live-data-size",
    "estimate-num-keys",
    "estimate-table-readers-mem",
    "cur-size-all-mem-tables",
    "num-immutable-mem-table",
    "estimate-pending-compaction-bytes",
    "num-running-compactions",
    "background-errors",
];

/// Sends logs to standard error, as text on a terminal and else as JSON, unless it is chosen.
///
/// # Errors
/// The directives can't be read.
pub fn logs(format: &str, level: &str) -> Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("log.level {level:?} can't be read"))?;
    // A word alone would be taken for the name of a module, and silence all others.
    let names_level = |word: &str| word.contains(['=', '[']) || word.trim().parse::<LevelFilter>().is_ok();
    if let Some(word) = level.split(',').find(|word| !word.trim().is_empty() && !names_level(word)) {
        let told = format!("log.level {word:?} is no level: off, error, warn, info, debug, trace, or module=level");
        return Err(Failure::usage(told));
    }
    let json = match format {
        "json" => true,
        "human" => false,
        _ => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let colours = crate::print::Style::of_stderr().is_on();
    // A second call in one process (tests) changes nothing.
    let _ = match json {
        true => builder.json().flatten_event(true).with_timer(UtcTimer).try_init(),
        false => builder.with_ansi(colours).with_target(false).with_timer(UtcTimer).try_init(),
    };
    Ok(())
}

/// Instants in logs as everywhere: RFC 3339, UTC.
struct UtcTimer;

impl tracing_subscriber::fmt::time::FormatTime for UtcTimer {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{:.3}", accrue_ingest::Clock::system().now().timestamp())
    }
}

/// The recorder of the process; made once.
///
/// # Errors
/// Somebody else has one.
pub fn recorder() -> Result<PrometheusHandle> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut known = RECORDER.lock();
    if let Some(known) = &*known {
        return Ok(known.clone());
    }
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full(accrue_ingest::metrics::GROUP_FACTS.into()), FACTS)?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|error| anyhow!("the metrics of this process are recorded by somebody else: {error}"))?;
    describe();
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    *known = Some(handle.clone());
    Ok(handle)
}

fn describe() {
    accrue_ingest::metrics::describe();
    describe_counter!(HTTP_REQUESTS, Unit::Count, "Requests answered, by route, method and status");
    describe_histogram!(HTTP_SECONDS, Unit::Seconds, "How long an answer took, by route");
    describe_gauge!(NEXT_POSITION, Unit::Count, "The position that the next frame of a shard gets");
    describe_gauge!(LOG_CONSUMED, Unit::Count, "Everything ever taken in by a shard, by outcome");
    describe_gauge!(ROCKSDB, Unit::Count, "What RocksDB says of a shard's log, by property");
    describe_gauge!(VIEW_ROCKSDB, Unit::Count, "What RocksDB says of a shard's live view, by property");
    describe_gauge!(
        MILESTONES,
        Unit::Count,
        "Milestones of members of many facts: `members`, `bytes`, and `answers` that began at one"
    );
    describe_gauge!(POINTS, Unit::Count, "Points that members have, by program, ledger and status");
    describe_gauge!(MEMBERS, Unit::Count, "Members, by program");
    describe_gauge!(POINTS_AGE, Unit::Seconds, "How long ago points and members were counted");
    describe_gauge!(STORE_MEMORY, Unit::Bytes, "Memory of the store, by part");
    describe_gauge!(RESIDENT, Unit::Bytes, "Resident memory of the process");
    describe_gauge!(GENERATIONS, Unit::Count, "Generations of a shard's views, by state");
    describe_gauge!(REBUILD_FACTS, Unit::Count, "Facts folded by builds that are running");
    describe_gauge!(REBUILD_FACTS_OF, Unit::Count, "Facts that builds that are running will have folded");
    describe_gauge!(BUILD, Unit::Count, "1; the version is a label");
}

/// Gauges that are looked at when somebody asks.
pub fn look(points: &PointsCount, readers: &Readers, store: Option<&Store>, status: Option<&Status>) {
    for open in readers.all() {
        let shard = open.log.shard().to_string();
        let head = open.log.head();
        let counters = &head.counters;
        gauge!(NEXT_POSITION, "shard" => shard.clone()).set(head.next_position.0 as f64);
        let consumed = [
            ("facts", counters.facts),
            ("accepted", counters.requests_accepted),
            ("rejected", counters.requests_rejected),
            ("duplicate", counters.duplicates),
            ("conflict", counters.conflicts),
            ("dead_letter", counters.dead_letters),
        ];
        for (outcome, count) in consumed {
            gauge!(LOG_CONSUMED, "shard" => shard.clone(), "outcome" => outcome).set(count as f64);
        }
        for property in PROPERTIES {
            let name = format!("rocksdb.{property}");
            if let Some(value) = open.log.property(&name) {
                gauge!(ROCKSDB, "shard" => shard.clone(), "property" => property).set(value as f64);
            }
            if let Some(value) = open.reader.view_property(&name) {
                gauge!(VIEW_ROCKSDB, "shard" => shard.clone(), "property" => property).set(value as f64);
            }
        }
    }
    readers.all().iter().for_each(look_at_milestones);
    readers.all().iter().for_each(look_at_generations);
    points.look(readers);
    for report in status.map(Status::shards).unwrap_or_default() {
        if let Some(lag) = report.lag() {
            gauge!(accrue_ingest::metrics::LAG_EVENTS, "shard" => report.shard.to_string()).set(lag as f64);
        }
    }
    if let Some(store) = store {
        let (cache, buffers) = store.memory();
        gauge!(STORE_MEMORY, "part" => "block_cache").set(cache as f64);
        gauge!(STORE_MEMORY, "part" => "write_buffers").set(buffers as f64);
    }
    if let Some(bytes) = resident_bytes() {
        gauge!(RESIDENT).set(bytes as f64);
    }
}

fn look_at_milestones(open: &Open) {
    let (shard, status) = (open.log.shard().to_string(), open.reader.milestones());
    for (of, number) in [("members", status.members as u64), ("bytes", status.bytes as u64), ("answers", status.answers)] {
        gauge!(MILESTONES, "shard" => shard.clone(), "of" => of).set(number as f64);
    }
}

fn look_at_generations(open: &Open) {
    let Some(Ok(all)) = open.keeper.as_ref().map(|keeper| keeper.status(Instant(0))) else { return };
    let shard = open.log.shard().to_string();
    let count = |is: fn(GenerationState) -> bool| all.iter().filter(|one| is(one.state)).count() as f64;
    let building = |state| matches!(state, GenerationState::Building | GenerationState::CatchingUp);
    let beside = |state| matches!(state, GenerationState::InStep | GenerationState::Kept | GenerationState::WhatIf);
    for (state, number) in [
        ("live", count(|state| state == GenerationState::Live)),
        ("building", count(building)),
        ("beside", count(beside)),
        ("failed", count(|state| state == GenerationState::Failed)),
    ] {
        gauge!(GENERATIONS, "shard" => shard.clone(), "state" => state).set(number);
    }
    let builds = || all.iter().filter(|one| building(one.state));
    gauge!(REBUILD_FACTS, "shard" => shard.clone()).set(builds().map(|one| one.facts).sum::<u64>() as f64);
    gauge!(REBUILD_FACTS_OF, "shard" => shard).set(builds().map(|one| one.of).sum::<u64>() as f64);
}

/// Resident memory; `None` where the system does not say.
pub fn resident_bytes() -> Option<u64> {
    status_kib("VmRSS:")
}

/// The most it ever was.
pub fn resident_bytes_peak() -> Option<u64> {
    status_kib("VmHWM:")
}

fn status_kib(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Counts a request under its route: never under its path, which names members.
pub async fn observe(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => "other",
    };
    let watch = Stopwatch::start();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    histogram!(HTTP_SECONDS, "route" => route.clone()).record(watch.elapsed());
    counter!(HTTP_REQUESTS, "route" => route.clone(), "method" => method, "status" => status.to_string()).increment(1);
    tracing::debug!(route, method, status, seconds = watch.elapsed().as_secs_f64(), "answered");
    response
}

/// How long something took; no answer depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// From now.
    #[expect(clippy::disallowed_methods, reason = "durations only")]
    pub fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    /// Since then.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        let (now, peak) = (resident_bytes().expect("linux"), resident_bytes_peak().expect("linux"));
        assert!(now > 0 && peak >= now / 2, "{now} {peak}");
    }

    /// Names of metrics in a source file.
    fn names(source: &'static str) -> Vec<&'static str> {
        source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": &str = \"")?.1.strip_suffix("\";"))
            .collect()
    }

    #[test]
    fn every_metric_is_documented() {
        let page = include_str!("../../docs/metrics.md");
        let ours = names(include_str!("telemetry.rs"));
        let theirs = names(include_str!("../../engine/ingest/src/metrics.rs"));
        assert!(ours.len() >= 8 && theirs.len() >= 10, "the constants are found");
        for name in ours.iter().chain(&theirs) {
            assert!(page.contains(&format!("| `{name}` |")), "docs/metrics.md does not have {name}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `accrue_")).count();
        assert_eq!(rows, ours.len() + theirs.len(), "docs/metrics.md has a metric that there is not");
    }

    #[test]
    fn one_recorder_for_all() {
        let handle = recorder().expect("ours");
        recorder().expect("the same");
        look(&PointsCount::default(), &Readers::default(), None, None);
        assert!(handle.render().contains("accrue_process_resident_bytes"));
    }
}
