//! One generation that is not live, and its thread.

use super::drop_view;
use crate::error::ProjectionError;
use crate::generation::manifest::{Manifest, Supposed};
use crate::generation::{Build, Gauge};
use crate::ledger::{Ledger, LedgerOptions};
use crate::reader::LedgerReader;
use crate::watched::GroupTimes;
use accrue_store::{ShardLog, Store};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks at the log.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// One generation.
pub(super) struct Beside {
    number: AtomicU32,
    pub gauge: Gauge,
    pub held: Mutex<Held>,
    thread: Mutex<Option<JoinHandle<Result<(), ProjectionError>>>>,
    /// Somebody else has it follow the log.
    still: AtomicBool,
}

/// As long as this is there, its thread leaves the ledger alone.
pub(super) struct Still<'a>(&'a Beside);

impl Drop for Still<'_> {
    fn drop(&mut self) {
        self.0.still.store(false, Ordering::Release);
    }
}

/// What there is of it.
#[derive(Default)]
pub(super) struct Held {
    /// Complete: it follows the log.
    pub ledger: Option<(Arc<Mutex<Ledger>>, LedgerReader)>,
    /// How long the writer's groups took without a build when this one was begun, and while it was built; of a build here.
    pub groups: [Option<GroupTimes>; 2],
    /// Why it does not go on.
    pub failed: Option<String>,
    pub what_if: Option<Supposed>,
}

impl Beside {
    pub fn start(
        store: &Store,
        live: &LedgerReader,
        number: u32,
        options: LedgerOptions,
    ) -> Result<Arc<Beside>, ProjectionError> {
        let shard = live.shard();
        let what_if = Manifest::read(&store.view(shard, number)?)?.and_then(|manifest| manifest.what_if);
        let held = Mutex::new(Held { what_if, ..Held::default() });
        let (number, gauge, thread, still) = (AtomicU32::new(number), Gauge::new(), Mutex::default(), AtomicBool::new(false));
        let beside = Arc::new(Beside { number, gauge, held, thread, still });
        let (of_thread, store, live) = (Arc::clone(&beside), store.clone(), live.clone());
        let work = move || {
            let result = of_thread.work(&store, &live, options);
            if let Err(error) = &result
                && !of_thread.gauge.is_stopped()
            {
                tracing::error!(shard, generation = of_thread.number(), %error, "a generation does not go on; the live one does");
                of_thread.held.lock().failed = Some(error.to_string());
            }
            result
        };
        let spawned = std::thread::Builder::new().name(format!("generation-{shard}-{}", beside.number())).spawn(work);
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
        self.held.lock().groups = [None, None];
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

    /// From now on, its thread leaves the ledger alone.
    pub fn hold_still(&self) -> Still<'_> {
        self.still.store(true, Ordering::Release);
        Still(self)
    }

    fn work(&self, store: &Store, live: &LedgerReader, options: LedgerOptions) -> Result<(), ProjectionError> {
        let shard = live.shard();
        let log = store.shard(shard)?;
        while !self.gauge.is_stopped() {
            self.held.lock().groups = [live.shared().watched.lock().build_begins(self.number()), None];
            let built = self.build(store, &log, options);
            self.held.lock().groups[1] = live.shared().watched.lock().build_ends(self.number());
            built?;
            let ledger = Ledger::open_beside(store, shard, self.number(), options)?;
            let reader = ledger.reader();
            let ledger = Arc::new(Mutex::new(ledger));
            let mut whole = self.come_up(&mut ledger.lock(), &log)?;
            self.held.lock().ledger = Some((Arc::clone(&ledger), reader));
            while whole && !self.gauge.is_stopped() {
                let next = ledger.lock().next();
                live.shared().wait_for_more(next, LOOK);
                let mut ledger = ledger.lock();
                if !self.still.load(Ordering::Acquire) {
                    whole = ledger.follow(log.head().next_position)?;
                }
            }
            if whole {
                return ledger.lock().settle();
            }
            self.begin_again(store, &log, ledger)?;
        }
        Ok(())
    }

    /// In step before anybody asks, or as near as it gets to a writer that is as fast.
    fn come_up(&self, ledger: &mut Ledger, log: &ShardLog) -> Result<bool, ProjectionError> {
        let mut behind = u64::MAX;
        loop {
            let (from, until) = (ledger.next().0, log.head().next_position);
            let now = until.0.saturating_sub(from);
            if now == 0 || now > behind / 2 || self.gauge.is_stopped() {
                return Ok(true);
            }
            behind = now;
            if !ledger.follow(until)? {
                return Ok(false);
            }
        }
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
