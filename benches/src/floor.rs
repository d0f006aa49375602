//! The floor: the same frames in the same groups with the same sync, and nothing derived.

use crate::input::Input;
use crate::stopwatch::{Lap, Stopwatch};
use accrue_ledger::Instant;
use accrue_proto::read_fact;
use accrue_store::{FrameMeta, Source, Store, StoreOptions, member_hash};
use anyhow::{Result, anyhow};
use std::path::Path;

/// Appends everything in groups of `group`; the header of each frame is known before.
pub fn append(input: &Input, dir: &Path, group_facts: usize, sync: bool) -> Result<Lap> {
    let store = Store::open(dir, StoreOptions { embedded_shards: Some(1), sync, ..StoreOptions::default() })?;
    let log = store.shard(0)?;
    let mut metas = Vec::with_capacity(input.len());
    for (offset, bytes) in input.iter().enumerate() {
        let fact = read_fact(bytes).map_err(|error| anyhow!("{}: {}", error.code, error.detail))?;
        metas.push(FrameMeta {
            kind: fact.kind,
            schema: 1,
            late: false,
            parked: false,
            rejected: false,
            member_hash: member_hash(fact.program, fact.member),
            occurred_at: fact.occurred_at,
            offset: i64::try_from(offset)?,
        });
    }
    let mut group = log.begin_group(Source::Embedded, Instant(0))?;
    let watch = Stopwatch::start();
    for (meta, bytes) in metas.into_iter().zip(input.iter()) {
        group.push(meta, bytes, None);
        if group.len() == group_facts {
            log.append(&mut group)?;
            log.begin_again(&mut group, Source::Embedded, Instant(0))?;
        }
    }
    log.append(&mut group)?;
    Ok(watch.lap())
}

/// Scans and checks everything that is in the log of a store.
pub fn scan(dir: &Path) -> Result<(Lap, usize)> {
    let store = Store::open(dir, StoreOptions { embedded_shards: Some(1), ..StoreOptions::default() })?;
    let log = store.shard(0)?;
    let watch = Stopwatch::start();
    let mut frames = 0;
    let mut scan = log.scan(accrue_store::Position::FIRST);
    while let Some(block) = scan.next_block()? {
        frames += block.frames().count();
    }
    Ok((watch.lap(), frames))
}
