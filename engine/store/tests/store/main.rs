//! The store over real files: what is appended comes back, what is damaged is named.

#![expect(clippy::unwrap_used, reason = "tests")]

mod damage;
mod log;
mod short;
mod vault;
mod view;

use accrue_ledger::{Instant, Kind};
use accrue_store::{FrameMeta, Head, Position, ShardLog, Source, Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;

/// A source that can be read again.
pub const TOPIC: Source<'static> = Source::Topic("orders");

/// Small caches: many stores are open at once in tests.
pub fn options() -> StoreOptions {
    StoreOptions { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20, ..StoreOptions::default() }
}

/// A store with shard 0.
pub fn store(dir: &Path) -> Store {
    let store = Store::open(dir, options()).unwrap();
    store.create_shard(0).unwrap();
    store
}

/// A plain fact.
pub fn meta(offset: i64) -> FrameMeta {
    FrameMeta {
        kind: Kind::OrderPlaced,
        schema: 1,
        late: false,
        parked: false,
        rejected: false,
        member_hash: 7,
        occurred_at: Instant(offset),
        offset,
    }
}

/// One group of frames with consecutive offsets.
pub fn append(log: &ShardLog, source: Source<'_>, frames: u64) -> Arc<Head> {
    let mut group = log.begin_group(source, Instant(1_000)).unwrap();
    for _ in 0..frames {
        let offset = group.next_offset().max(0);
        group.push(meta(offset), format!("fact at offset {offset}, with some text that packs well").as_bytes(), None);
    }
    log.append(&mut group).unwrap()
}

/// All facts, as text, by position.
pub fn facts(log: &ShardLog) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    log.for_each(Position::FIRST, Position::MAX, |frame| {
        all.push((frame.position.0, String::from_utf8(frame.fact.to_vec()).unwrap()));
        Ok::<_, accrue_store::StoreError>(())
    })
    .unwrap();
    all
}
