//! Databases that are open: each at most once, and not again before the last one is closed.

use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// What is open, by key.
pub(crate) struct Registry<K, T> {
    open: Mutex<HashMap<K, Weak<T>>>,
    closed: Condvar,
}

/// Held by an open database as its last field: dropped after the database is closed.
pub(crate) struct Slot<K: Eq + Hash + Clone, T> {
    key: K,
    registry: Arc<Registry<K, T>>,
}

impl<K: Eq + Hash + Clone, T> Registry<K, T> {
    pub(crate) fn new() -> Arc<Registry<K, T>> {
        Arc::new(Registry { open: Mutex::new(HashMap::new()), closed: Condvar::new() })
    }

    /// The open one, or a new one. Waits for one that is being closed.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn get_or_open<E>(self: &Arc<Self>, key: &K, make: impl FnOnce(Slot<K, T>) -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut open = self.open.lock();
        loop {
            match open.get(key) {
                None => break,
                Some(held) => match held.upgrade() {
                    Some(found) => return Ok(found),
                    None => self.closed.wait(&mut open),
                },
            }
        }
        // Held as being opened, without the lock: `make` may take long, and drops its slot when it fails.
        open.insert(key.clone(), Weak::new());
        drop(open);
        let made = Arc::new(make(Slot { key: key.clone(), registry: Arc::clone(self) })?);
        self.open.lock().insert(key.clone(), Arc::downgrade(&made));
        self.closed.notify_all();
        Ok(made)
    }

    /// Runs `work` while nobody can open `key`. `None`: it is open.
    pub(crate) fn while_closed<R>(self: &Arc<Self>, key: &K, work: impl FnOnce() -> R) -> Option<R> {
        let mut open = self.open.lock();
        while let Some(held) = open.get(key) {
            if held.strong_count() > 0 {
                return None;
            }
            self.closed.wait(&mut open);
        }
        open.insert(key.clone(), Weak::new());
        drop(open);
        let slot = Slot { key: key.clone(), registry: Arc::clone(self) };
        let result = work();
        drop(slot);
        Some(result)
    }
}

impl<K: Eq + Hash + Clone, T> Drop for Slot<K, T> {
    fn drop(&mut self) {
        self.registry.open.lock().remove(&self.key);
        self.registry.closed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Slow {
        alive: Arc<Mutex<bool>>,
        _slot: Slot<u32, Slow>,
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(30));
            *self.alive.lock() = false;
        }
    }

    fn open(registry: &Arc<Registry<u32, Slow>>, alive: &Arc<Mutex<bool>>) -> Arc<Slow> {
        let made = registry.get_or_open(&1, |slot| {
            let mut now = alive.lock();
            assert!(!*now, "opened while the last one was not closed");
            *now = true;
            Ok::<_, ()>(Slow { alive: Arc::clone(alive), _slot: slot })
        });
        made.expect("opened")
    }

    #[test]
    fn one_at_a_time() {
        let (registry, alive) = (Registry::new(), Arc::new(Mutex::new(false)));
        let first = open(&registry, &alive);
        assert!(Arc::ptr_eq(&first, &open(&registry, &alive)));
        assert_eq!(registry.while_closed(&1, || ()), None);
        let closing = std::thread::spawn(move || drop(first));
        closing.join().expect("closed");
        assert_eq!(registry.while_closed(&1, || 5), Some(5));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        drop(open(&registry, &alive));
                    }
                });
            }
        });
        assert_eq!(registry.while_closed(&1, || ()), Some(()));
    }

    #[test]
    fn a_failed_open_leaves_the_place_free() {
        let registry: Arc<Registry<u32, Slow>> = Registry::new();
        assert_eq!(registry.get_or_open(&1, |_| Err::<Slow, _>("no")).err(), Some("no"));
        assert_eq!(registry.while_closed(&1, || ()), Some(()));
    }
}
