//! One generation that is not live, and its thread.

use super::drop_view;
use crate::error::ProjectionError;
use crate::generation::manifest::{Manifest, Supposed};
use crate::generation::{Build, Gauge};
use crate::ledger::{Ledger, LedgerOptions};
use crate::reader::LedgerReader;
use accrue_store::{ShardLog, Store};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks at the log.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// Memory since its last checkpoint: nobody decides on it.
const DELTA_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One generation.
pub(super) struct Beside {
    number: AtomicU32,
    pub gauge: Gauge,
    pub held: Mutex<Held>,
    thread: Mutex<Option<JoinHandle<Result<(), ProjectionError>>>>,
}

/// What there is of it.
#[derive(Default)]
pub(super) struct Held {
    /// Complete: it follows the log.
    pub ledger: Option<(Arc<Mutex<Ledger>>, LedgerReader)>,
    /// Why it does not go on.
    pub failed: Option<String>,
    pub what_if: Option<Supposed>,
}

impl Beside {
    pub fn start(store: &Store, shard: u32, number: u32, options: LedgerOptions) -> Result<Arc<Beside>, ProjectionError> {
        let what_if = Manifest::read(&store.view(shard, number)?)?.and_then(|manifest| manifest.what_if);
        let held = Mutex::new(Held { what_if, ..Held::default() });
        let beside = Arc::new(Beside { number: AtomicU32::new(number), gauge: Gauge::new(), held, thread: Mutex::default() });
        let options = LedgerOptions { delta_bytes_max: options.delta_bytes_max.min(DELTA_BYTES_MAX), ..options };
        let (of_thread, store) = (Arc::clone(&beside), store.clone());
        let work = move || {
            let result = of_thread.work(&store, shard, options);
            if let Err(error) = &result
                && !of_thread.gauge.is_stopped()
            {
                tracing::error!(shard, generation = of_thread.number(), %error, "a generation does not go on; the live one does");
                of_thread.held.lock().failed = Some(error.to_string());
            }
            result
        };
        let spawned = std::thread::Builder::new().name(format!("generation-{shard}-{number}")).spawn(work);
        let thread = spawned.map_err(|error| ProjectionError::Generation { detail: format!("no thread for it: {error}") })?;
        *beside.thread.lock() = Some(thread);
        Ok(beside)
    }

    pub fn number(&self) -> u32 {
        self.number.load(Ordering::Acquire)
    }

    /// Its rows are those of another one now.
    pub fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Release);
    }

    pub fn is_what_if(&self) -> bool {
        self.held.lock().what_if.is_some()
    }

    pub fn ledger(&self) -> Option<Arc<Mutex<Ledger>>> {
        self.held.lock().ledger.as_ref().map(|(ledger, _)| Arc::clone(ledger))
    }

    pub fn reader(&self) -> Option<LedgerReader> {
        self.held.lock().ledger.as_ref().map(|(_, reader)| reader.clone())
    }

    pub fn ask_to_end(&self) {
        self.gauge.stop();
    }

    /// Ends its thread and lets go of its rows.
    pub fn end(&self) -> Result<(), ProjectionError> {
        self.ask_to_end();
        let thread = self.thread.lock().take();
        let ended = thread.map_or(Ok(()), |thread| {
            thread.join().unwrap_or_else(|_| Err(ProjectionError::Generation { detail: "its thread panicked".to_owned() }))
        });
        let held = std::mem::take(&mut *self.held.lock());
        // Of one that failed, everybody was told.
        if held.ledger.is_some() && held.failed.is_none() { ended } else { Ok(()) }
    }

    fn work(&self, store: &Store, shard: u32, options: LedgerOptions) -> Result<(), ProjectionError> {
        let log = store.shard(shard)?;
        while !self.gauge.is_stopped() {
            self.build(store, &log, options)?;
            let ledger = Ledger::open_beside(store, shard, self.number(), options)?;
            let reader = ledger.reader();
            let ledger = Arc::new(Mutex::new(ledger));
            // In step before anybody asks.
            let mut whole = ledger.lock().follow(log.head().next_position)?;
            self.held.lock().ledger = Some((Arc::clone(&ledger), reader));
            while whole && !self.gauge.is_stopped() {
                std::thread::sleep(LOOK);
                whole = ledger.lock().follow(log.head().next_position)?;
            }
            if whole {
                return ledger.lock().settle();
            }
            self.begin_again(store, &log, ledger)?;
        }
        Ok(())
    }

    fn build(&self, store: &Store, log: &ShardLog, options: LedgerOptions) -> Result<(), ProjectionError> {
        let view = store.view(log.shard(), self.number())?;
        let left_half_written = {
            let manifest = Manifest::read(&view)?;
            let next = view.next_position()?.0;
            manifest.is_some_and(|manifest| next > 1 && next < manifest.until)
        };
        let view = if left_half_written { self.emptied(store, log, view)? } else { view };
        Build { store, log, view, ledger: options, gauge: &self.gauge }.run()
    }

    /// A ruleset reached into the past: everything in it is worth nothing.
    fn begin_again(&self, store: &Store, log: &ShardLog, ledger: Arc<Mutex<Ledger>>) -> Result<(), ProjectionError> {
        tracing::info!(shard = log.shard(), generation = self.number(), "a ruleset reaches into the past: building it again");
        let view = ledger.lock().view();
        self.held.lock().ledger = None;
        drop(ledger);
        self.emptied(store, log, view)?;
        Ok(())
    }

    /// The same generation without rows, to be built up to where the log is now.
    fn emptied(&self, store: &Store, log: &ShardLog, view: accrue_store::View) -> Result<accrue_store::View, ProjectionError> {
        let until = log.head().next_position.0;
        let old = Manifest::read(&view)?.unwrap_or_else(|| Manifest::of_old(until));
        drop(view);
        drop_view(store, log.shard(), self.number())?;
        let view = store.view(log.shard(), self.number())?;
        let new = Manifest::new(until, old.options, old.what_if);
        Manifest { kept: old.kept, came_from: old.came_from, ..new }.write(&view)?;
        Ok(view)
    }
}
