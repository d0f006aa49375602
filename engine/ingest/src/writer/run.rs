//! What a writer's thread does.

use super::WriterOptions;
use crate::IngestError;
use crate::batch::Batch;
use crate::clock::Stopwatch;
use crate::group::Desk;
use crate::queue::{Job, Out};
use crate::recovery::{self, Recovered};
use crate::status::{ShardState, ShardStatus};
use crossbeam_channel::{RecvTimeoutError, Sender};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a writer without work lets the view see to itself.
const IDLE: Duration = Duration::from_secs(1);

pub(super) struct Run {
    pub desk: Desk,
    pub options: WriterOptions,
    pub queue: Arc<Out>,
    pub to_spare: Sender<Batch>,
    /// Came for the last group and did not fit.
    pub held: Option<Batch>,
    pub at_once: Arc<AtomicBool>,
    pub drained: Arc<AtomicBool>,
}

/// Whether there is a group to take in.
enum Gathered {
    Group,
    Nothing,
    End,
}

impl Run {
    pub(super) fn run(mut self) -> Result<(), IngestError> {
        // A panic of the projection unwinds through here: nobody may wait for ever.
        let status = Arc::clone(&self.desk.status);
        let shard = status.shard();
        let mut batches = Vec::new();
        let guard = Ending { queue: Arc::clone(&self.queue), status };
        let result = self.work(&mut batches);
        let reason = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        if result.is_err() {
            tracing::error!(shard, %reason, "the shard takes no more facts");
        }
        guard.status.set_state(ShardState::Stopped { reason: reason.clone() });
        let told = if reason.is_empty() { "it was stopped" } else { &reason };
        for mut batch in batches.drain(..).chain(self.held.take()) {
            batch.refuse(told);
        }
        result
    }

    fn work(&mut self, batches: &mut Vec<Batch>) -> Result<(), IngestError> {
        let Desk { log, inline, status, .. } = &mut self.desk;
        let recovered = recovery::recover(log, inline.as_mut(), status, &self.at_once)?;
        if recovered == Recovered::Whole {
            self.desk.status.set_state(ShardState::Live);
            loop {
                match self.gather(batches) {
                    Gathered::Group => self.desk.take(batches)?,
                    Gathered::Nothing => {
                        self.desk.inline.checkpoint(false).map_err(IngestError::inline(self.desk.log.shard()))?
                    }
                    Gathered::End => break,
                }
                for mut batch in batches.drain(..) {
                    batch.clear();
                    // Enough are spare already.
                    let _ = self.to_spare.try_send(batch);
                }
            }
        }
        self.desk.inline.checkpoint(true).map_err(IngestError::inline(self.desk.log.shard()))?;
        Ok(self.desk.log.write_witness()?)
    }

    /// Whole batches, up to the bounds of a group.
    fn gather(&mut self, batches: &mut Vec<Batch>) -> Gathered {
        // Everything handed in before it was asked to end has been taken when nothing is left.
        let drained = self.held.is_none() && self.queue.is_empty() && self.drained.load(Ordering::Acquire);
        if drained || self.at_once.load(Ordering::Acquire) {
            return Gathered::End;
        }
        let first = match self.held.take() {
            Some(batch) => batch,
            None => match self.queue.take(IDLE) {
                Ok(Job::Batch(batch)) => batch,
                // Whoever woke it has set a flag: the next gathering looks at it.
                Ok(Job::Wake) | Err(RecvTimeoutError::Timeout) => return Gathered::Nothing,
                Err(RecvTimeoutError::Disconnected) => return Gathered::End,
            },
        };
        let watch = Stopwatch::start();
        let (mut messages, mut bytes) = (first.len(), first.bytes());
        batches.push(first);
        while messages < self.options.group_facts_max && bytes < self.options.group_bytes_max {
            match self.queue.take(watch.left(self.options.group_wait)) {
                Ok(Job::Batch(batch)) => {
                    messages += batch.len();
                    bytes += batch.bytes();
                    if messages > self.options.group_facts_max || bytes > self.options.group_bytes_max {
                        self.held = Some(batch);
                        break;
                    }
                    batches.push(batch);
                }
                Ok(Job::Wake) | Err(_) => break,
            }
        }
        Gathered::Group
    }
}

/// Refuses what waits when the thread ends, also by a panic.
struct Ending {
    queue: Arc<Out>,
    status: Arc<ShardStatus>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.status.set_state(ShardState::Stopped { reason: "its writer panicked".to_owned() });
        }
        self.queue.end(&self.status.stopped().unwrap_or_default());
    }
}
