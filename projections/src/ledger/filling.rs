//! After an opening, the filter in front of the view is filled beside the writer: until then, everything is looked up.

use crate::filter::{Filter, of_view};
use crate::shared::{Shared, Tiers};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The thread that reads what is in the view, if there is one.
#[derive(Default)]
pub struct Filling {
    thread: Option<JoinHandle<Option<Filter>>>,
    stop: Arc<AtomicBool>,
}

impl Filling {
    /// Starts it, if the view holds anything. What is booked from now on the writer adds itself.
    pub fn start(tiers: &Tiers, shard: u32) -> Filling {
        let stop = Arc::new(AtomicBool::new(false));
        if tiers.known.is_complete() {
            return Filling { thread: None, stop };
        }
        let (view, asked) = (tiers.view.clone(), Arc::clone(&stop));
        let spawned = std::thread::Builder::new().name(format!("filter-{shard}")).spawn(move || of_view(&view, &asked));
        if let Err(error) = &spawned {
            tracing::warn!(shard, %error, "no thread for the filter: every new fact is looked up");
        }
        Filling { thread: spawned.ok(), stop }
    }

    /// Takes over what it read, when it is done.
    pub fn take(&mut self, shared: &Shared) {
        let Some(done) = self.thread.take_if(|thread| thread.is_finished()) else { return };
        if let Ok(Some(older)) = done.join() {
            shared.tiers.write().known.complete_with(&older);
        }
    }

    /// Ends it, done or not: the view must not be open any longer.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it read is not wanted any more.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerOptions;
    use crate::story::{Delivered, Desk};
    use accrue_ledger::Instant;
    use accrue_proto::{pb, to_timestamp, write_fact};

    const RULES: &str = include_str!("../../../deploy/rulesets/bench.toml");

    /// An adjustment `number`, under an id of the publisher's.
    fn fact(id: &str, number: u64) -> Vec<u8> {
        let body = pb::PointsAdjusted {
            adjustment_id: format!("a{number}"),
            points: 5,
            reason: "test".to_string(),
            ..pb::PointsAdjusted::default()
        };
        let fact = pb::Fact {
            id: format!("{id}{number}"),
            source: "s".to_string(),
            program: "bench".to_string(),
            member: format!("m{}", number % 7),
            occurred_at: Some(to_timestamp(Instant(1_700_000_000_000_000 + number as i64))),
            body: Some(pb::fact::Body::PointsAdjusted(body)),
            ..pb::Fact::default()
        };
        let mut bytes = Vec::new();
        write_fact(&fact, &mut bytes);
        bytes
    }

    fn deliver(desk: &mut Desk, id: &str, numbers: std::ops::Range<u64>) -> (usize, usize) {
        let facts: Vec<Vec<u8>> = numbers.map(|number| fact(id, number)).collect();
        let all = desk.deliver_group(&facts).expect("taken");
        let booked = all.iter().filter(|one| matches!(one, Delivered::Booked { .. })).count();
        let known = all.iter().filter(|one| matches!(one, Delivered::Duplicate { .. } | Delivered::Conflict { .. })).count();
        assert_eq!(booked + known, facts.len(), "{:?}", all.last());
        (booked, known)
    }

    #[test]
    fn what_is_on_disk_frozen_or_live_is_known_before_and_after_the_filling() {
        let dir = tempfile::tempdir().expect("dir");
        let mut desk = Desk::open(dir.path(), LedgerOptions::default()).expect("opens");
        desk.activate("bench", RULES, Instant(0)).expect("in force");
        for (from, to) in [(0, 200), (200, 300), (300, 400)] {
            assert_eq!(deliver(&mut desk, "x", from..to).1, 0);
            if to < 400 {
                desk.checkpoint().expect("written");
            }
        }
        assert_eq!(deliver(&mut desk, "x", 0..400), (0, 400));
        let file = desk.ledger().expect("open").shared.tiers.read().view.path().join("filter");
        let first_kept = std::fs::read(&file).expect("kept");
        desk.checkpoint().expect("written");
        desk.reopen().expect("opens");
        assert!(desk.ledger().expect("open").shared.tiers.read().known.is_complete());
        assert_eq!(deliver(&mut desk, "y", 0..500), (100, 400), "what was kept is whole");
        desk.checkpoint().expect("written");
        for filled in [false, true] {
            // Of an older checkpoint: it is not used.
            std::fs::write(&file, &first_kept).expect("written");
            desk.reopen().expect("opens");
            if filled {
                let ledger = desk.ledger().expect("open");
                while ledger.filling.thread.is_some() {
                    std::thread::yield_now();
                    let shared = Arc::clone(&ledger.shared);
                    ledger.filling.take(&shared);
                }
                assert!(ledger.shared.tiers.read().known.is_complete());
            }
            assert_eq!(deliver(&mut desk, "x", 0..400), (0, 400), "by the publisher's id");
            assert_eq!(deliver(&mut desk, "y", 0..500), (0, 500), "by the business's id");
            let from = if filled { 600 } else { 500 };
            assert_eq!(deliver(&mut desk, "x", from..from + 100), (100, 0), "new");
        }
    }
}
