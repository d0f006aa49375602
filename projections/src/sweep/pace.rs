//! Slows a sweep down to so many bytes a second, of the log read and of rows written, so that others get at the disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes that may go between two looks at the time.
const BYTES_PER_LOOK: u64 = 1024 * 1024;
/// The longest sleep at once.
const SLEEP_MAX: Duration = Duration::from_millis(200);

/// The bound and what was taken of it, by all threads together.
#[derive(Debug)]
pub struct Pace {
    /// Bytes a second; `None`: no bound.
    per_second: Option<u64>,
    taken: AtomicU64,
    begun: Instant,
}

impl Pace {
    /// `per_second`: `None`, or 0: as fast as it goes.
    #[expect(clippy::disallowed_methods, reason = "how long something takes; no answer depends on it")]
    pub fn new(per_second: Option<u64>) -> Pace {
        Pace { per_second: per_second.filter(|bytes| *bytes > 0), taken: AtomicU64::new(0), begun: Instant::now() }
    }

    /// Takes bytes, and waits until they may be.
    pub fn take(&self, bytes: usize) {
        let Some(per_second) = self.per_second else { return };
        let bytes = bytes as u64;
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        if before / BYTES_PER_LOOK == (before + bytes) / BYTES_PER_LOOK {
            return;
        }
        let due = Duration::from_secs_f64((before + bytes) as f64 / per_second as f64);
        while let Some(early) = due.checked_sub(self.begun.elapsed()).filter(|early| !early.is_zero()) {
            std::thread::sleep(early.min(SLEEP_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_not_taken_sooner() {
        let pace = Pace::new(Some(32 * BYTES_PER_LOOK));
        (0..4).for_each(|_| pace.take(BYTES_PER_LOOK as usize));
        assert!(pace.begun.elapsed() >= Duration::from_millis(125));
        let free = Pace::new(Some(0));
        free.take(usize::MAX / 2);
        assert_eq!(free.taken.load(Ordering::Relaxed), 0);
    }
}
