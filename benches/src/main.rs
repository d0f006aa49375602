//! `figures`: every figure of the issue in one run, each beside its floor.
use accrue_benches::{embedded, floor, fold, input};
use accrue_projections::LedgerOptions;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() -> anyhow::Result<()> {
    let facts: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1_000_000);
    let members: u32 = std::env::args().nth(2).and_then(|a| a.parse().ok()).unwrap_or(200_000);
    let what = std::env::args().nth(3).unwrap_or("all".into());
    let input = input::Input::generate(facts, members, 7);
    println!("{} facts, {} bytes each", input.len(), input.bytes() / input.len());
    let rules = input::rules()?;
    if what == "all" || what == "fold" {
        let f = fold::decoded(&input, &rules)?;
        println!("fold      {:>10.0}/s  {:.2} us cpu, {} entries", f.lap.rate(f.facts), f.lap.cpu_us(f.facts), f.entries);
        let f = fold::from_bytes(&input, &rules)?;
        println!("dec+fold  {:>10.0}/s  {:.2} us cpu", f.lap.rate(f.facts), f.lap.cpu_us(f.facts));
    }
    let dir = tempfile::tempdir_in("/work")?;
    if what == "all" || what == "floor" {
        let l = floor::append(&input, &dir.path().join("floor"), 1000, true)?;
        println!("floor     {:>10.0}/s  {:.2} us cpu", l.rate(facts), l.cpu_us(facts));
    }
    if what == "all" || what == "ingest" {
        let t = embedded::ingest(&input, &dir.path().join("ingest"), true, LedgerOptions::default())?;
        println!(
            "ingest    {:>10.0}/s  {:.2} us cpu; stop {:?}; {:?}; rss {} MiB",
            t.lap.rate(facts),
            t.lap.cpu_us(facts),
            t.stop.wall,
            t.counts,
            accrue_benches::stopwatch::memory_mib("VmHWM")
        );
    }
    Ok(())
}
