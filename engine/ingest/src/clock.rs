//! The only place that asks what time it is.

use accrue_ledger::Instant;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Says when something was recorded, and what is "the future". Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A clock that stands still until it is set; its clones follow.
    pub fn fixed(at: Instant) -> Clock {
        Clock(Some(Arc::new(AtomicI64::new(at.0))))
    }

    /// Moves a fixed clock; the machine's is not ours to set.
    pub fn set(&self, at: Instant) {
        if let Some(fixed) = &self.0 {
            fixed.store(at.0, Ordering::Release);
        }
    }

    /// Now, in microseconds.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Some(fixed) => Instant(fixed.load(Ordering::Acquire)),
            None => system_now(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock of ingest")]
fn system_now() -> Instant {
    let micros = |since: Duration| i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Instant(micros(since)),
        Err(before) => Instant(-micros(before.duration())),
    }
}

/// Measures how long something takes; no answer depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "durations only")]
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// What is left of a wait that began with it.
    pub(crate) fn left(&self, of: Duration) -> Duration {
        of.saturating_sub(self.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_still_until_it_is_set() {
        let clock = Clock::fixed(Instant(5));
        let same = clock.clone();
        assert_eq!(same.now(), Instant(5));
        clock.set(Instant(9));
        assert_eq!(same.now(), Instant(9));
    }

    #[test]
    fn the_machine_lives_after_2020() {
        let clock = Clock::system();
        clock.set(Instant(0));
        assert!(Some(clock.now()) > Instant::parse("2020-01-01T00:00:00Z"));
    }
}
