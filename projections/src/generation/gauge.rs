//! How far a build is.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Told by the build, read by whoever asks.
#[derive(Debug)]
pub(crate) struct Gauge {
    /// Facts folded, and of so many.
    folded: AtomicU64,
    of: AtomicU64,
    /// Facts that were folded before it went on.
    before: AtomicU64,
    rounds: AtomicU64,
    rounds_of: AtomicU64,
    begun: Mutex<Instant>,
    stop: AtomicBool,
}

/// A moment of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gauged {
    pub facts: u64,
    pub of: u64,
    pub rounds: u64,
    pub rounds_of: u64,
    pub facts_per_second: u64,
    pub seconds_left: Option<u64>,
}

impl Gauge {
    #[expect(clippy::disallowed_methods, reason = "how long something takes; no answer depends on it")]
    pub fn new() -> Gauge {
        let zero = || AtomicU64::new(0);
        let (folded, of, before, rounds, rounds_of) = (zero(), zero(), zero(), zero(), zero());
        Gauge { folded, of, before, rounds, rounds_of, begun: Mutex::new(Instant::now()), stop: AtomicBool::new(false) }
    }

    /// Folding begins, or goes on.
    #[expect(clippy::disallowed_methods, reason = "how long something takes; no answer depends on it")]
    pub fn begin(&self, facts: u64, rounds: usize) {
        self.folded.store(facts, Ordering::Relaxed);
        self.before.store(facts, Ordering::Relaxed);
        self.rounds.store(rounds as u64, Ordering::Relaxed);
        *self.begun.lock() = Instant::now();
    }

    pub fn set_of(&self, facts: u64) {
        self.of.store(facts, Ordering::Relaxed);
    }

    pub fn folded(&self, facts: usize) {
        self.folded.fetch_add(facts as u64, Ordering::Relaxed);
    }

    pub fn round(&self, done: usize, of: usize) {
        self.rounds.store(done as u64, Ordering::Relaxed);
        self.rounds_of.store(of as u64, Ordering::Relaxed);
    }

    pub fn look(&self) -> Gauged {
        let [facts, of, before] = [&self.folded, &self.of, &self.before].map(|number| number.load(Ordering::Relaxed));
        let passed = self.begun.lock().elapsed().max(Duration::from_millis(1));
        let done = facts.saturating_sub(before);
        let facts_per_second = (done as f64 / passed.as_secs_f64()) as u64;
        Gauged {
            facts,
            of,
            rounds: self.rounds.load(Ordering::Relaxed),
            rounds_of: self.rounds_of.load(Ordering::Relaxed),
            facts_per_second,
            seconds_left: of.saturating_sub(facts).checked_div(facts_per_second),
        }
    }

    /// Asks it to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
