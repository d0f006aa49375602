//! The small parts, each beside its floor: decode, fold, decide, read. `cargo bench -p accrue-benches`.

use accrue_benches::input::{Input, rules};
use accrue_benches::{embedded, fold};
use accrue_ledger::Instant;
use accrue_projections::{AsOf, LedgerOptions};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const FACTS: usize = 100_000;
const MEMBERS: u32 = 10_000;

fn decode_and_fold(c: &mut Criterion) {
    let input = Input::generate(FACTS, MEMBERS, 7);
    let rules = rules().expect("the workload's ruleset is valid");
    let mut group = c.benchmark_group("facts");
    group.throughput(Throughput::Elements(input.len() as u64)).sample_size(10);
    group.bench_function("floor: touch every byte", |b| {
        b.iter(|| input.iter().map(|bytes| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>()).sum::<u64>());
    });
    group.bench_function("decode", |b| b.iter(|| input.facts().filter(|fact| black_box(fact).is_ok()).count()));
    group.bench_function("decode and fold", |b| b.iter(|| fold::from_bytes(&input, &rules).expect("folds").entries));
    group.finish();
}

fn read(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let input = Input::generate(FACTS, MEMBERS, 7);
    embedded::ingest(&input, dir.path(), 1).expect("taken in");
    let (_, _, reader) = embedded::reopen(dir.path(), LedgerOptions::default()).expect("opens");
    let now = Instant::parse("2025-12-31T00:00:00Z").expect("an instant");
    let mut group = c.benchmark_group("member");
    let mut number = 0;
    group.bench_function("show, from disk and cache", |b| {
        b.iter(|| {
            number = (number + 7919) % MEMBERS;
            let member = format!("m-{number:08}");
            reader.member("bench", &member, AsOf::default(), now).expect("reads")
        });
    });
    group.finish();
}

criterion_group!(benches, decode_and_fold, read);
criterion_main!(benches);
