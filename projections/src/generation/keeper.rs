//! The generations of an open shard: a thread for each that is not live builds it, follows the log, and waits to be asked.

mod besides;
mod status;

use super::flip::{Flip, make_live, note};
use super::manifest::{Manifest, Stage, Supposed};
use super::{BuildOptions, Point, next_number};
use crate::error::ProjectionError;
use crate::ledger::{Ledger, LedgerOptions};
use crate::reader::LedgerReader;
use accrue_store::{ShardLog, Store, StoreError};
use besides::Beside;
use crossbeam_channel::{RecvTimeoutError, bounded};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use status::{GenerationState, GenerationStatus};

/// How long a writer may take until it is between two groups and the other generation is in step.
const FLIP_WAIT: Duration = Duration::from_secs(60);
/// A generation that is so little behind is ready for the writer.
const NEAR: u64 = 2_000;
/// Between two looks at the log as the writer is waited for.
const FOLLOW: Duration = Duration::from_millis(1);
/// How long answers may hold a view that is to be dropped.
const IN_USE_TRIES: u32 = 100;
const IN_USE_WAIT: Duration = Duration::from_millis(100);

/// A shard's generations. Cheap to clone; [`Keeper::stop`] before the store is closed.
#[derive(Clone)]
pub struct Keeper {
    store: Store,
    options: LedgerOptions,
    live: LedgerReader,
    besides: Arc<Mutex<Vec<Arc<Beside>>>>,
    /// Changes come one after the other.
    changing: Arc<Mutex<()>>,
}

#[expect(clippy::disallowed_methods, reason = "how long something takes; no answer depends on it")]
fn now() -> Instant {
    Instant::now()
}

fn wrong(detail: impl Into<String>) -> ProjectionError {
    ProjectionError::Generation { detail: detail.into() }
}

impl Keeper {
    /// Goes on with everything that was begun and is not live.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn open(store: &Store, live: LedgerReader, options: LedgerOptions) -> Result<Keeper, ProjectionError> {
        let (besides, changing) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(())));
        let keeper = Keeper { store: store.clone(), options, live, besides, changing };
        let shard = keeper.live.shard();
        let live = store.shard(shard)?.live_generation();
        for number in store.generations(shard)?.into_iter().filter(|number| *number != live) {
            let manifest = Manifest::read(&store.view(shard, number)?)?;
            if manifest.is_some_and(|manifest| {
                manifest.stage != Stage::Dropping && !(manifest.by_writer && manifest.stage == Stage::Building)
            }) {
                keeper.keep(number)?;
            }
        }
        Ok(keeper)
    }

    fn keep(&self, number: u32) -> Result<(), ProjectionError> {
        let beside = Beside::start(&self.store, &self.live, number, self.options)?;
        self.besides.lock().push(beside);
        Ok(())
    }

    /// The shard.
    pub fn shard(&self) -> u32 {
        self.live.shard()
    }

    /// The generation that answers.
    ///
    /// # Errors
    /// The shard is not there any more.
    pub fn live(&self) -> Result<u32, ProjectionError> {
        Ok(self.store.shard(self.shard())?.live_generation())
    }

    /// The number of the generation that would be built next.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn next_number(&self) -> Result<u32, ProjectionError> {
        let last = self.store.generations(self.shard())?.last().copied().unwrap_or(0);
        Ok(last.max(self.live()?) + 1)
    }

    /// Writes down that a generation of this number is to be built; [`Keeper::begin`] builds it.
    ///
    /// # Errors
    /// The ruleset is none, the number is not free, or the directory can't be made.
    pub fn plan(&self, number: u32, options: BuildOptions, what_if: Option<Supposed>) -> Result<(), ProjectionError> {
        let _one = self.changing.lock();
        if let Some(what_if) = &what_if {
            what_if.read().map_err(wrong)?;
        }
        let options = BuildOptions { threads: options.threads.max(1), ..options };
        let until = self.store.shard(self.shard())?.head().next_position;
        let manifest = Manifest::new(until.0, options, what_if);
        next_number(&self.store, self.shard(), Some(number), &manifest)?;
        Ok(())
    }

    /// Begins with what was planned. One that was planned and never begun is gone on with when the store is opened again.
    ///
    /// # Errors
    /// Nothing says what it is to be.
    pub fn begin(&self, number: u32) -> Result<(), ProjectionError> {
        let _one = self.changing.lock();
        Point::Planned.reached();
        self.keep(number)
    }

    /// Makes a generation the live one. How long the writer waited.
    ///
    /// # Errors
    /// There is none of that number, it is not in step, it supposes other rules, or the writer does not get to it.
    pub fn flip(&self, number: u32) -> Result<Duration, ProjectionError> {
        let _one = self.changing.lock();
        let before = self.live()?;
        if number == before {
            return Ok(Duration::ZERO);
        }
        let (beside, ledger) = self.complete(number)?;
        let log = self.store.shard(self.shard())?;
        note(&log, (&self.store.view(self.shard(), before)?, &self.store.view(self.shard(), number)?))?;
        if self.live.shared().is_writer_gone() {
            make_live(&log, number)?;
            // What was live has no ledger here: the next opening goes on with it.
            beside.end()?;
            self.besides.lock().retain(|one| one.number() != number);
            return Ok(Duration::ZERO);
        }
        let still = beside.hold_still();
        let waited = self.taken_over(&log, &beside, &ledger);
        self.live.shared().flips.hurry(false);
        let waited = waited?;
        // The two ledgers have changed places.
        beside.set_number(before);
        drop(still);
        Ok(waited)
    }

    /// Brings a generation near the end of the log, asks the writer, and keeps it near until the writer is there: little is left to
    /// apply as the writer waits.
    fn taken_over(&self, log: &ShardLog, beside: &Beside, ledger: &Arc<Mutex<Ledger>>) -> Result<Duration, ProjectionError> {
        let flips = &self.live.shared().flips;
        let near = self.come_near(log, beside, ledger);
        flips.hurry(false);
        near?;
        let (done, told) = bounded(1);
        flips.ask(Flip { number: beside.number(), beside: Arc::clone(ledger), done });
        let begun = now();
        loop {
            match told.recv_timeout(FOLLOW) {
                Ok(told) => return told.map_err(wrong),
                Err(RecvTimeoutError::Disconnected) => return Err(wrong("the shard was closed meanwhile")),
                Err(RecvTimeoutError::Timeout) if begun.elapsed() > FLIP_WAIT && flips.take().is_some() => {
                    return Err(wrong(format!("the writer did not get to it within {} s: try again", FLIP_WAIT.as_secs())));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(mut ledger) = ledger.try_lock() {
                        // What is wrong with it the writer finds too, and tells.
                        let _ = ledger.follow_at_once(log.head().next_position);
                    }
                }
            }
        }
    }

    /// … although the writer may be as fast as whoever follows it: it rests meanwhile. One that is near is not waited for.
    fn come_near(&self, log: &ShardLog, beside: &Beside, ledger: &Mutex<Ledger>) -> Result<(), ProjectionError> {
        let (begun, mut hurried) = (now(), false);
        // A ledger may be held as long as it takes to follow a group: its reader is asked.
        while let Some(reader) = beside.reader() {
            let until = log.head().next_position;
            let behind = until.0.saturating_sub(reader.next_position().0);
            if behind <= NEAR {
                break;
            }
            if begun.elapsed() > FLIP_WAIT {
                return Err(wrong(format!("it is {behind} facts behind after {} s: try again", FLIP_WAIT.as_secs())));
            }
            if std::mem::replace(&mut hurried, true) {
                self.live.shared().flips.hurry(true);
            }
            if !ledger.lock().follow(until)? {
                return Err(wrong("a ruleset reached into the past: it is built again"));
            }
        }
        Ok(())
    }

    /// Whether a generation can be made live, or is.
    ///
    /// # Errors
    /// Why not.
    pub fn can_be_live(&self, number: u32) -> Result<(), ProjectionError> {
        if self.live()? == number { Ok(()) } else { self.complete(number).map(drop) }
    }

    /// The generation that was live before, and still is there.
    ///
    /// # Errors
    /// There was none, or it was dropped.
    pub fn before(&self) -> Result<u32, ProjectionError> {
        let live = self.live()?;
        let manifest = Manifest::read(&self.store.view(self.shard(), live)?)?;
        let before = manifest.and_then(|manifest| manifest.came_from).filter(|before| self.beside(*before).is_ok());
        before.ok_or_else(|| wrong(format!("nothing was live before generation {live}, or it was dropped")))
    }

    /// Ends a generation that is not live, and removes it.
    ///
    /// # Errors
    /// There is none of that number, it is live, or its files can't be removed.
    pub fn drop(&self, number: u32) -> Result<(), ProjectionError> {
        let _one = self.changing.lock();
        if number == self.live()? {
            return Err(wrong(format!("generation {number} is live")));
        }
        let beside = self.beside(number)?;
        let view = self.store.view(self.shard(), number)?;
        if let Some(manifest) = Manifest::read(&view)? {
            Manifest { stage: Stage::Dropping, ..manifest }.write(&view)?;
        }
        std::mem::drop(view);
        Point::DropNoted.reached();
        beside.end()?;
        self.besides.lock().retain(|one| one.number() != number);
        drop_view(&self.store, self.shard(), number)
    }

    /// Whether there is a generation of that number.
    pub fn has(&self, number: u32) -> bool {
        self.live().is_ok_and(|live| live == number) || self.beside(number).is_ok()
    }

    /// Answers from a generation. `None`: there is none of that number that is complete.
    pub fn reader(&self, number: u32) -> Option<LedgerReader> {
        if self.live().is_ok_and(|live| live == number) {
            return Some(self.live.clone());
        }
        self.beside(number).ok()?.reader()
    }

    /// Ends all threads; what they were at goes on with the next opening.
    ///
    /// # Errors
    /// A generation could not be written.
    pub fn stop(&self) -> Result<(), ProjectionError> {
        let _one = self.changing.lock();
        let besides = std::mem::take(&mut *self.besides.lock());
        besides.iter().for_each(|beside| beside.ask_to_end());
        besides.iter().try_for_each(|beside| beside.end())
    }

    fn complete(&self, number: u32) -> Result<(Arc<Beside>, Arc<Mutex<Ledger>>), ProjectionError> {
        let beside = self.beside(number)?;
        if beside.is_what_if() {
            return Err(wrong(format!("generation {number} supposes other rules: it can never be live")));
        }
        let incomplete = || wrong(format!("generation {number} is not complete: `accrue rebuild status` says how far it is"));
        let ledger = beside.ledger().ok_or_else(incomplete)?;
        Ok((beside, ledger))
    }

    fn beside(&self, number: u32) -> Result<Arc<Beside>, ProjectionError> {
        let besides = self.besides.lock();
        let found = besides.iter().find(|beside| beside.number() == number);
        found.cloned().ok_or_else(|| wrong(format!("shard {} has no generation {number} beside the live one", self.shard())))
    }
}

/// Removes a view as soon as no answer holds it.
fn drop_view(store: &Store, shard: u32, number: u32) -> Result<(), ProjectionError> {
    for _ in 0..IN_USE_TRIES {
        match store.drop_view(shard, number) {
            Err(StoreError::ViewInUse { .. }) => std::thread::sleep(IN_USE_WAIT),
            other => return Ok(other?),
        }
    }
    Ok(store.drop_view(shard, number)?)
}
