//! Reading a member inside the process.

use accrue_ledger::Instant;
use accrue_projections::{AsOf, LedgerReader};
use anyhow::Result;
use std::time::Duration;

/// Percentiles of single reads.
pub struct Reads {
    /// Half are faster.
    pub p50: Duration,
    /// 99 of 100 are faster.
    pub p99: Duration,
    /// Members found.
    pub found: usize,
}

/// Reads `count` members at random (seeded), one at a time.
pub fn read(reader: &LedgerReader, program: &str, members: u32, count: usize, now: Instant) -> Result<Reads> {
    let mut times = Vec::with_capacity(count);
    let (mut random, mut found) = (0x9E37_79B9_7F4A_7C15_u64, 0);
    for _ in 0..count {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let member = format!("m-{:08}", (random >> 33) as u32 % members);
        let watch = crate::stopwatch::Stopwatch::start();
        let answer = reader.member(program, &member, AsOf::default(), now)?;
        times.push(watch.lap().wall);
        found += usize::from(answer.is_some());
    }
    times.sort_unstable();
    Ok(Reads { p50: times[count / 2], p99: times[count * 99 / 100], found })
}
