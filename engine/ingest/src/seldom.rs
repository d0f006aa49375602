//! What may be said at most every so often: a client that reaches no broker has something to say twenty times a second.

use crate::clock::Stopwatch;
use parking_lot::Mutex;
use std::time::Duration;

/// Says when it is time to say it again, and how often it was kept back since.
#[derive(Debug)]
pub(crate) struct Seldom {
    every: Duration,
    state: Mutex<(Option<Stopwatch>, u64)>,
}

impl Seldom {
    /// The first time at once, then at most once in `every`.
    pub(crate) fn new(every: Duration) -> Seldom {
        Seldom { every, state: Mutex::new((None, 0)) }
    }

    /// `Some`: say it; so often it was kept back since the last time. `None`: it was counted.
    pub(crate) fn due(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let (last, kept_back) = &mut *state;
        if last.is_some_and(|last| last.elapsed() < self.every) {
            *kept_back += 1;
            return None;
        }
        *last = Some(Stopwatch::start());
        Some(std::mem::take(kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_counted() {
        let rare = Seldom::new(Duration::from_secs(3600));
        assert_eq!((0..20).filter_map(|_| rare.due()).collect::<Vec<_>>(), [0]);
        let often = Seldom::new(Duration::from_millis(20));
        assert_eq!((often.due(), often.due(), often.due()), (Some(0), None, None));
        std::thread::sleep(Duration::from_millis(25));
        assert_eq!(often.due(), Some(2));
    }
}
