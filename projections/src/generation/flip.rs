//! Another generation becomes the live one: one row in the log, and the two ledgers change places in memory.

use super::Point;
use super::manifest::{Manifest, Stage};
use crate::error::ProjectionError;
use crate::ledger::Ledger;
use accrue_store::{ShardLog, View};
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What one may be behind when the writer takes it over: it waits while the rest is applied.
const BEHIND_MAX: u64 = 20_000;

/// Somebody wants another generation live.
pub(crate) struct Flip {
    pub number: u32,
    pub beside: Arc<Mutex<Ledger>>,
    /// How long the writer waited, or why nothing came of it.
    pub done: Sender<Result<Duration, String>>,
}

/// What the writer is asked, if anything.
#[derive(Default)]
pub(crate) struct Flips {
    asked: AtomicBool,
    waiting: Mutex<Option<Flip>>,
}

impl Flips {
    /// Asks. Whoever asked before gets no answer.
    pub fn ask(&self, flip: Flip) {
        *self.waiting.lock() = Some(flip);
        self.asked.store(true, Ordering::Release);
    }

    /// What is asked; nobody else gets it.
    pub fn take(&self) -> Option<Flip> {
        if !self.asked.load(Ordering::Acquire) {
            return None;
        }
        self.asked.store(false, Ordering::Release);
        self.waiting.lock().take()
    }
}

/// Writes down what becomes of the generation that is live and from which the next one comes, as far as nothing says so yet.
/// Before the writer waits: files take longer than the one row.
pub(super) fn note(log: &ShardLog, (live, next): (&View, &View)) -> Result<(), ProjectionError> {
    let read = |view: &View| -> Result<Manifest, ProjectionError> {
        Ok(Manifest::read(view)?.unwrap_or_else(|| Manifest::of_old(log.head().next_position.0)))
    };
    let (before, after) = (read(live)?, read(next)?);
    if after.what_if.is_some() || after.stage != Stage::Complete {
        let detail = if after.what_if.is_some() { "it supposes other rules: it can never be live" } else { "it is not complete" };
        return Err(ProjectionError::Generation { detail: detail.to_owned() });
    }
    let came_from = Some(log.live_generation());
    if after.came_from != came_from {
        Manifest { came_from, ..after }.write(next)?;
    }
    if !before.kept {
        Manifest { kept: true, ..before }.write(live)?;
    }
    Point::FlipNoted.reached();
    Ok(())
}

/// Writes the one row.
pub(super) fn make_live(log: &ShardLog, number: u32) -> Result<(), ProjectionError> {
    log.set_live_generation(number)?;
    Point::Flipped.reached();
    Ok(())
}

impl Ledger {
    /// The writer's part, between two groups. What is not ready now is asked again after the next one.
    #[expect(clippy::disallowed_methods, reason = "how long something takes; no answer depends on it")]
    pub(crate) fn flip_if_asked(&mut self) -> Result<(), ProjectionError> {
        let Some(flip) = self.flips().take() else { return Ok(()) };
        let beside = Arc::clone(&flip.beside);
        let Some(mut beside) = beside.try_lock() else {
            self.flips().ask(flip);
            return Ok(());
        };
        let begun = Instant::now();
        let next = self.next();
        if self.is_writing()? || beside.next().0 + BEHIND_MAX < next.0 {
            self.flips().ask(flip);
            return Ok(());
        }
        // What is wrong with the one beside is no harm to this one.
        let ready = match beside.is_writing() {
            Ok(true) => {
                self.flips().ask(flip);
                return Ok(());
            }
            Ok(false) => beside.follow(next),
            Err(error) => Err(error),
        };
        let made = match ready {
            Ok(true) => make_live(self.log(), flip.number).and_then(|()| self.change_places(&mut beside)),
            Ok(false) => {
                Err(ProjectionError::Generation { detail: "a ruleset reached into the past: it is built again".to_owned() })
            }
            Err(error) => Err(error),
        };
        // Whoever asked may have gone.
        let _ = flip.done.send(made.map(|()| begun.elapsed()).map_err(|error| error.to_string()));
        Ok(())
    }
}
