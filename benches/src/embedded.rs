//! Embedded durable ingest: the whole way from bytes to durable and derived, through the real writer.

use crate::input::{Input, activation};
use crate::stopwatch::{Lap, Stopwatch};
use accrue_ingest::{Counts, Embedded, EmbeddedOptions, Message};
use accrue_projections::{Ledger, LedgerOptions, LedgerReader, ProjectionError};
use accrue_store::{Inline, Position, Store, StoreOptions};
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;

/// What an ingest did.
pub struct Taken {
    /// From the first fact to everything durable; checkpoints while it ran included.
    pub lap: Lap,
    /// The last checkpoint, forced at the end.
    pub stop: Lap,
    /// What became of the facts.
    pub counts: Counts,
}

/// Opens a store of so many shards for writing; `opened` sees each shard's ledger before its writer has it.
pub fn open(
    dir: &Path,
    shards: u32,
    options: LedgerOptions,
    opened: impl Fn(&Store, &Ledger) -> Result<(), ProjectionError> + Send + Sync + 'static,
) -> Result<Embedded> {
    let store = Store::open(dir, StoreOptions { embedded_shards: Some(shards), ..StoreOptions::default() })?;
    let make = Arc::new(move |store: &Store, shard: u32| {
        let ledger = Ledger::open(store, shard, options)?;
        opened(store, &ledger)?;
        Ok(Box::new(ledger) as Box<dyn Inline>)
    });
    Ok(Embedded::open(&store, make, EmbeddedOptions::default())?)
}

/// Takes everything in, synced, through so many shards.
pub fn ingest(input: &Input, dir: &Path, shards: u32) -> Result<Taken> {
    let embedded = open(dir, shards, LedgerOptions::default(), |_, _| Ok(()))?;
    embedded.publish_fact(&activation()?)?;
    let watch = Stopwatch::start();
    let counts = embedded.publish_all(input.iter().map(|value| Message { value: Some(value), ..Message::default() }))?;
    let lap = watch.lap();
    let watch = Stopwatch::start();
    embedded.stop()?;
    Ok(Taken { lap, stop: watch.lap(), counts })
}

/// Opens all shards of a store as a service does, each on a thread of its own.
pub fn ready(dir: &Path, options: LedgerOptions) -> Result<(Lap, u64)> {
    let watch = Stopwatch::start();
    let store = Store::open(dir, StoreOptions::default())?;
    let shard = |shard: u32| -> Result<u64> {
        let mut ledger = Ledger::open(&store, shard, options)?;
        let from = ledger.next_position();
        ledger.derive(|_| ())?;
        Ok(ledger.next_position().0 - from.0)
    };
    let folded = std::thread::scope(|scope| {
        let open: Vec<_> = store.shard_ids().into_iter().map(|id| scope.spawn(move || shard(id))).collect();
        open.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).sum::<Result<u64>>()
    })?;
    Ok((watch.lap(), folded))
}

/// Opens a store as it is: the last checkpoint, and the tail of the log folded again.
pub fn reopen(dir: &Path, options: LedgerOptions) -> Result<(Lap, u64, LedgerReader)> {
    let watch = Stopwatch::start();
    let store = Store::open(dir, StoreOptions { embedded_shards: Some(1), ..StoreOptions::default() })?;
    let mut ledger = Ledger::open(&store, 0, options)?;
    let from = ledger.next_position();
    ledger.derive(|_| ())?;
    let folded = ledger.next_position().0 - from.0;
    let lap = watch.lap();
    // The reader answers on without its writer: everything it holds is durable.
    Ok((lap, folded, ledger.reader()))
}

/// The end of a store's log.
pub fn end(dir: &Path) -> Result<Position> {
    let store = Store::open(dir, StoreOptions { embedded_shards: Some(1), ..StoreOptions::default() })?;
    Ok(store.shard(0)?.head().next_position)
}
