//! Another generation becomes the live one: one row in the log, and the two ledgers change places in memory.

use super::Point;
use super::manifest::{Manifest, Stage};
use crate::error::ProjectionError;
use crate::ledger::Ledger;
use accrue_store::{ShardLog, View};
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A writer's rest after a group, at most: about as long as the group took.
const REST: Duration = Duration::from_millis(20);

/// Somebody wants another generation live.
pub(crate) struct Flip {
    pub number: u32,
    pub beside: Arc<Mutex<Ledger>>,
    /// How long the writer waited, or why nothing came of it.
    pub done: Sender<Result<Duration, String>>,
}

/// What the writer is asked, if anything.
pub(crate) struct Flips {
    asked: AtomicBool,
    waiting: Mutex<Option<Flip>>,
    /// Rung when something is asked: a writer that has nothing to take in waits for it.
    bell: (Sender<()>, Receiver<()>),
    /// The other generation is behind, and to come up.
    hurried: AtomicBool,
    come_up: Condvar,
}

impl Default for Flips {
    fn default() -> Flips {
        let (asked, waiting, hurried, come_up) = Default::default();
        Flips { asked, waiting, bell: bounded(1), hurried, come_up }
    }
}

impl Flips {
    /// Asks. Whoever asked before gets no answer.
    pub fn ask(&self, flip: Flip) {
        *self.waiting.lock() = Some(flip);
        self.asked.store(true, Ordering::Release);
        // One that was rung already is not heard twice.
        let _ = self.bell.0.try_send(());
    }

    /// Rings when something is asked.
    pub fn bell(&self) -> Receiver<()> {
        self.bell.1.clone()
    }

    /// A writer that is as fast as whoever follows it would never be reached: from now on it rests after each group, or no longer.
    pub fn hurry(&self, hurried: bool) {
        if self.hurried.swap(hurried, Ordering::AcqRel) && !hurried {
            // Whoever is about to wait has seen it, or hears this.
            drop(self.waiting.lock());
            self.come_up.notify_all();
        }
    }

    fn rest_if_hurried(&self) {
        if !self.hurried.load(Ordering::Acquire) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if self.hurried.load(Ordering::Acquire) {
            let _ = self.come_up.wait_for(&mut waiting, REST);
        }
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
    /// The writer's part, between two groups. Whoever asked goes on following meanwhile, so that little is left to apply here.
    #[expect(clippy::disallowed_methods, reason = "how long something takes; no answer depends on it")]
    pub(crate) fn flip_if_asked(&mut self) {
        let Some(flip) = self.flips().take() else { return self.flips().rest_if_hurried() };
        let begun = Instant::now();
        let mut beside = flip.beside.lock();
        // What is wrong with the one beside is no harm to this one.
        let made = match beside.follow_at_once(self.next()) {
            Ok(true) => make_live(self.log(), flip.number).map(|()| self.change_places(&mut beside)),
            Ok(false) => {
                Err(ProjectionError::Generation { detail: "a ruleset reached into the past: it is built again".to_owned() })
            }
            Err(error) => Err(error),
        };
        drop(beside);
        // Whoever asked may have gone.
        let _ = flip.done.send(made.map(|()| begun.elapsed()).map_err(|error| error.to_string()));
    }
}
