//! How each shard and its source are doing: for `/readyz`, metrics, progress bars.

use crate::clock::Stopwatch;
use crate::metrics;
use accrue_store::Position;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// What a shard is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// The tail of the log is applied to the view again.
    Recovering {
        /// Whole percent.
        percent: u8,
    },
    /// It takes facts.
    Live,
    /// It takes none any more.
    Stopped {
        /// Why; empty: it was asked to.
        reason: String,
    },
}

/// One shard, at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardReport {
    /// Which.
    pub shard: u32,
    /// What it is doing.
    pub state: ShardState,
    /// The position that the next frame gets.
    pub next_position: Position,
    /// The first offset of its source that is not durable here; −1: nothing is.
    pub next_offset: i64,
    /// The end of its source, where known.
    pub end_offset: Option<i64>,
    /// Messages taken in since it was opened.
    pub consumed: u64,
}

impl ShardReport {
    /// Records of the source that are not durable here yet, where known.
    pub fn lag(&self) -> Option<i64> {
        self.end_offset.map(|end| (end - self.next_offset.max(0)).max(0))
    }
}

/// The live state of one shard.
#[derive(Debug)]
pub struct ShardStatus {
    shard: u32,
    state: Mutex<ShardState>,
    changed: Condvar,
    next_position: AtomicU64,
    next_offset: AtomicI64,
    end_offset: AtomicI64,
    last_timestamp_ms: AtomicI64,
    consumed: AtomicU64,
    /// The last position that leads to facts of other members and may be in the log.
    leads_on: AtomicU64,
}

const UNKNOWN: i64 = -1;

impl ShardStatus {
    pub(crate) fn new(shard: u32) -> Arc<ShardStatus> {
        Arc::new(ShardStatus {
            shard,
            state: Mutex::new(ShardState::Recovering { percent: 0 }),
            changed: Condvar::new(),
            next_position: AtomicU64::new(0),
            next_offset: AtomicI64::new(UNKNOWN),
            end_offset: AtomicI64::new(UNKNOWN),
            last_timestamp_ms: AtomicI64::new(UNKNOWN),
            consumed: AtomicU64::new(0),
            leads_on: AtomicU64::new(0),
        })
    }

    /// Which shard.
    pub fn shard(&self) -> u32 {
        self.shard
    }

    /// What it is doing.
    pub fn state(&self) -> ShardState {
        self.state.lock().clone()
    }

    /// Everything at once.
    pub fn report(&self) -> ShardReport {
        let end = self.end_offset.load(Ordering::Acquire);
        ShardReport {
            shard: self.shard,
            state: self.state(),
            next_position: Position(self.next_position.load(Ordering::Acquire)),
            next_offset: self.next_offset.load(Ordering::Acquire),
            end_offset: (end != UNKNOWN).then_some(end),
            consumed: self.consumed.load(Ordering::Acquire),
        }
    }

    /// Waits until it is live or stopped; whichever it is then, or still recovering when the time is over.
    pub fn wait_recovered(&self, at_most: Duration) -> ShardState {
        let waited = Stopwatch::start();
        let mut state = self.state.lock();
        while matches!(*state, ShardState::Recovering { .. }) {
            if self.changed.wait_for(&mut state, waited.left(at_most)).timed_out() {
                break;
            }
        }
        state.clone()
    }

    pub(crate) fn set_state(&self, next: ShardState) {
        let mut state = self.state.lock();
        // The first reason is the one that helps.
        if matches!(&*state, ShardState::Stopped { reason } if !reason.is_empty()) {
            return;
        }
        metrics::shard_live(self.shard, next == ShardState::Live);
        *state = next;
        self.changed.notify_all();
    }

    /// Why it takes nothing; `None`: it does.
    pub(crate) fn stopped(&self) -> Option<String> {
        match &*self.state.lock() {
            ShardState::Stopped { reason } if reason.is_empty() => Some("it was stopped".to_owned()),
            ShardState::Stopped { reason } => Some(reason.clone()),
            ShardState::Live | ShardState::Recovering { .. } => None,
        }
    }

    pub(crate) fn durable(&self, next_position: Position, next_offset: i64, consumed: u64, last_timestamp_ms: Option<i64>) {
        self.next_position.store(next_position.0, Ordering::Release);
        self.next_offset.store(next_offset, Ordering::Release);
        self.consumed.fetch_add(consumed, Ordering::AcqRel);
        if let Some(at) = last_timestamp_ms {
            self.last_timestamp_ms.store(at, Ordering::Release);
        }
    }

    /// Told before the append: whoever then sees the position in the log has been told.
    pub(crate) fn note_leading(&self, position: Position) {
        self.leads_on.store(position.0, Ordering::Release);
    }

    /// The last position since it was opened that leads to facts of other members; [`Position::NONE`]: none.
    pub(crate) fn leads_on(&self) -> Position {
        Position(self.leads_on.load(Ordering::Acquire))
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset.load(Ordering::Acquire)
    }

    pub(crate) fn set_end_offset(&self, end: i64, now_ms: i64) {
        self.end_offset.store(end, Ordering::Release);
        let lag = (end - self.next_offset().max(0)).max(0);
        let last = self.last_timestamp_ms.load(Ordering::Acquire);
        let age = if lag == 0 || last == UNKNOWN { 0 } else { now_ms.saturating_sub(last).max(0) };
        metrics::lag(self.shard, lag, Duration::from_millis(age.unsigned_abs()));
    }
}

/// How the source is doing. Of an embedded log there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceReport {
    /// There is one: a topic.
    pub is_topic: bool,
    /// A broker answers.
    pub connected: bool,
    /// Partitions were assigned at least once.
    pub assigned: bool,
    /// No broker answers: which, and why.
    pub no_broker: Option<String>,
    /// The last thing beside that which went wrong and has not been seen to be right again.
    pub last_error: Option<String>,
    /// Assignments and revocations so far.
    pub rebalances: u64,
    /// How often a partition was paused because its writer was behind.
    pub pauses: u64,
    /// Why the source ended by itself.
    pub ended: Option<String>,
}

impl SourceReport {
    /// A broker answers. What else is wrong, a missing topic say, still is. Whether that is news.
    pub(crate) fn broker_answers(&mut self) -> bool {
        self.no_broker = None;
        !std::mem::replace(&mut self.connected, true)
    }

    /// None does. Whether that is news.
    pub(crate) fn broker_silent(&mut self, what: String) -> bool {
        let known = self.no_broker.replace(what).is_some();
        std::mem::replace(&mut self.connected, false) || !known
    }
}

/// All shards and their source. Cheap to share.
#[derive(Debug, Default)]
pub struct Status {
    shards: Mutex<BTreeMap<u32, Arc<ShardStatus>>>,
    source: Mutex<SourceReport>,
}

impl Status {
    /// All shards here, in order.
    pub fn shards(&self) -> Vec<ShardReport> {
        self.shards.lock().values().map(|shard| shard.report()).collect()
    }

    /// The state of one shard.
    pub fn shard(&self, shard: u32) -> Option<Arc<ShardStatus>> {
        self.shards.lock().get(&shard).cloned()
    }

    /// The source.
    pub fn source(&self) -> SourceReport {
        self.source.lock().clone()
    }

    /// Records of all sources that are not durable here yet, where known.
    pub fn lag(&self) -> i64 {
        self.shards().iter().filter_map(ShardReport::lag).sum()
    }

    /// Why it is not ready, one line each; empty: it is.
    pub fn not_ready(&self) -> Vec<String> {
        let source = self.source();
        let unassigned = source.is_topic && !source.assigned && source.ended.is_none();
        let mut reasons: Vec<String> = source.ended.into_iter().chain(source.no_broker).chain(source.last_error).collect();
        reasons.extend(unassigned.then(|| "kafka: no partitions are assigned yet".to_owned()));
        for shard in self.shards() {
            match shard.state {
                ShardState::Live => {}
                ShardState::Recovering { percent } => reasons.push(format!("shard {} is recovering: {percent} %", shard.shard)),
                ShardState::Stopped { reason } => reasons.push(format!("shard {} is stopped: {reason}", shard.shard)),
            }
        }
        reasons
    }

    pub(crate) fn add(&self, shard: &Arc<ShardStatus>) {
        self.shards.lock().insert(shard.shard, Arc::clone(shard));
    }

    /// A shard that may have failed before there was a writer.
    pub(crate) fn failed(&self, shard: u32, reason: String) {
        let status = self.shard(shard).unwrap_or_else(|| ShardStatus::new(shard));
        status.set_state(ShardState::Stopped { reason });
        self.add(&status);
    }

    pub(crate) fn remove(&self, shard: u32) {
        self.shards.lock().remove(&shard);
        metrics::shard_live(shard, false);
    }

    pub(crate) fn update_source(&self, change: impl FnOnce(&mut SourceReport)) {
        change(&mut self.source.lock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let status = Status::default();
        let shard = ShardStatus::new(3);
        status.add(&shard);
        assert_eq!(status.not_ready(), ["shard 3 is recovering: 0 %"]);
        shard.set_state(ShardState::Live);
        assert!(status.not_ready().is_empty());
        shard.set_state(ShardState::Stopped { reason: "disk full".into() });
        shard.set_state(ShardState::Stopped { reason: String::new() });
        assert_eq!(
            (shard.stopped(), shard.wait_recovered(Duration::ZERO)),
            (Some("disk full".into()), ShardState::Stopped { reason: "disk full".into() })
        );
        status.update_source(|source| source.is_topic = true);
        assert_eq!(status.not_ready(), ["kafka: no partitions are assigned yet", "shard 3 is stopped: disk full"]);
    }

    #[test]
    fn a_broker_that_answers_does_not_hide_a_missing_topic() {
        let status = Status::default();
        status.update_source(|source| {
            (source.is_topic, source.assigned) = (true, true);
            assert!(source.broker_silent("no broker of a:1 answers".into()) && !source.broker_silent("again".into()));
            source.last_error = Some("there is no topic facts: create it".into());
        });
        assert_eq!(status.not_ready(), ["again", "there is no topic facts: create it"]);
        status.update_source(|source| assert!(source.broker_answers() && !source.broker_answers()));
        assert_eq!(status.not_ready(), ["there is no topic facts: create it"]);
        status.update_source(|source| assert!(source.broker_silent("gone".into())));
    }

    #[test]
    fn a_lag_is_what_is_not_durable() {
        let shard = ShardStatus::new(0);
        assert_eq!(shard.report().lag(), None);
        shard.set_end_offset(10, 0);
        assert_eq!(shard.report().lag(), Some(10), "nothing is in");
        shard.durable(Position(5), 7, 4, Some(1));
        assert_eq!((shard.report().lag(), shard.report().consumed), (Some(3), 4));
    }
}
