//! The partitions that this process reads: each with its shard's writer and the batch that is being filled.

use super::range::{self, Resume};
use super::relay::Relay;
use super::settings::KafkaOptions;
use crate::batch::{Batch, Message};
use crate::clock::Stopwatch;
use crate::forward::Forward;
use crate::letter::Origin;
use crate::shards::{OpenShard, Shards};
use crate::status::ShardState;
use crate::writer::{NotTaken, Stopping, WriterThread};
use crate::{IngestError, metrics};
use accrue_store::Source;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Messages of a batch, at most.
const BATCH_MESSAGES_MAX: usize = 1_000;
/// Bytes of a batch, at most, unless one message has more.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How long a batch is filled while messages come.
const BATCH_WAIT: Duration = Duration::from_millis(2);
/// How long a full queue is waited for before its partition is paused: pausing throws away what is fetched already.
const PRESSURE_WAIT: Duration = Duration::from_millis(250);

/// How long a message is waited for when none is being collected.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// How long another one is waited for to fill a batch.
pub(crate) const FILL_WAIT: Duration = Duration::from_millis(1);
/// How often a full queue is tried again.
const PAUSED_WAIT: Duration = Duration::from_millis(10);

/// All of them. Used by the consumer's thread alone, inside and outside of its callbacks.
pub(crate) struct Partitions {
    shards: Shards,
    options: KafkaOptions,
    relay: Relay,
    /// What follows for other members, on its way to the topic.
    forward: Forward,
    slots: BTreeMap<i32, Slot>,
    /// Revoked, and not done in time.
    closing: Vec<(i32, WriterThread)>,
}

struct Slot {
    /// `None`: it failed; what comes is dropped, and comes again after a restart.
    open: Option<OpenShard>,
    batch: Batch,
    filling: Stopwatch,
    paused: bool,
    /// What was told to the group.
    committed: i64,
}

/// What has to be done with a partition at the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Pause(i32),
    Resume(i32),
}

impl Partitions {
    pub(crate) fn new(shards: Shards, options: KafkaOptions, relay: Relay, forward: Forward) -> Partitions {
        Partitions { shards, options, relay, forward, slots: BTreeMap::new(), closing: Vec::new() }
    }

    /// Opens a partition's shard and says where to start; `None`: it failed, and is not to be read.
    pub(crate) fn open<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>, partition: i32) -> Option<Offset> {
        let opened = self.try_open(consumer, partition);
        match opened {
            Ok((open, start)) => {
                self.insert(partition, Some(open));
                Some(start)
            }
            Err(error) => {
                self.refuse(partition, &error);
                None
            }
        }
    }

    /// The partition is not to be read.
    pub(crate) fn refuse(&mut self, partition: i32, error: &IngestError) {
        tracing::error!(partition, %error, "the partition can't be read");
        self.shards.status.failed(shard_of(partition), error.to_string());
        self.insert(partition, None);
    }

    fn insert(&mut self, partition: i32, open: Option<OpenShard>) {
        let committed = open.as_ref().map_or(-1, |open| open.handle.status().next_offset());
        self.slots
            .insert(partition, Slot { open, batch: Batch::default(), filling: Stopwatch::start(), paused: false, committed });
    }

    fn try_open<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        partition: i32,
    ) -> Result<(OpenShard, Offset), IngestError> {
        let shard = shard_of(partition);
        if let Some(at) = self.closing.iter().position(|(closing, _)| *closing == partition) {
            let (_, thread) = self.closing.swap_remove(at);
            match thread.join(self.options.revoke_wait) {
                Ok(_) => self.shards.closed(shard),
                Err(thread) => {
                    self.closing.push((partition, thread));
                    let what = format!("closing shard {shard} after its partition was revoked");
                    return Err(IngestError::TooSlow { what, seconds: self.options.revoke_wait.as_secs() });
                }
            }
        }
        self.shards.store.create_shard(shard)?;
        let topic = &self.options.topic;
        let open = self.shards.open(shard, Origin::Topic { name: topic.clone(), partition })?;
        let stored = open.handle.log().head().next_offset(Source::Topic(topic));
        match range::start(consumer, Resume { shard, topic, partition, stored, anchor: open.anchor }) {
            Ok(start) => {
                tracing::info!(shard, topic, partition, ?start, stored, "reading the partition");
                self.relay.add(open.handle.log());
                self.forward.add(&open.handle);
                Ok((open, start))
            }
            Err(error) => {
                open.handle.status().set_state(ShardState::Stopped { reason: error.to_string() });
                let _ = self.end(partition, open.thread, Stopping::AtOnce, self.options.revoke_wait);
                self.let_go(partition);
                Err(error)
            }
        }
    }

    /// Takes a message over.
    pub(crate) fn take(&mut self, message: &BorrowedMessage<'_>) -> Option<Flow> {
        let slot = self.slots.get_mut(&message.partition())?;
        let open = slot.open.as_ref()?;
        if slot.batch.is_empty() {
            slot.filling = Stopwatch::start();
        }
        push(&mut slot.batch, message);
        if slot.batch.len() < BATCH_MESSAGES_MAX && slot.batch.bytes() < BATCH_BYTES_MAX {
            return None;
        }
        let full = std::mem::replace(&mut slot.batch, open.handle.batch());
        match open.handle.submit_within(full, if slot.paused { Duration::ZERO } else { PRESSURE_WAIT }) {
            Ok(()) => None,
            Err(NotTaken::Full(batch)) => {
                slot.batch = batch;
                let pause = !std::mem::replace(&mut slot.paused, true);
                pause.then(|| {
                    metrics::pause();
                    self.shards.status.update_source(|source| source.pauses += 1);
                    Flow::Pause(message.partition())
                })
            }
            Err(NotTaken::Stopped(_)) => self.fail(message.partition(), None),
        }
    }

    /// How long the next message may be waited for.
    pub(crate) fn wait(&self) -> Duration {
        let mut wait = IDLE_WAIT;
        for slot in self.slots.values().filter(|slot| !slot.batch.is_empty()) {
            wait = wait.min(if slot.paused { PAUSED_WAIT } else { FILL_WAIT });
        }
        wait
    }

    /// Hands in what has waited long enough (or, when nothing comes, everything), and looks after writers that have ended.
    pub(crate) fn tend(&mut self, nothing_comes: bool) -> Vec<Flow> {
        let mut flows = Vec::new();
        let mut ended = Vec::new();
        for (partition, slot) in &mut self.slots {
            let Some(open) = &slot.open else { continue };
            if open.thread.has_ended() {
                ended.push(*partition);
                continue;
            }
            let due = slot.paused || nothing_comes || slot.filling.elapsed() >= BATCH_WAIT;
            if !due || (slot.batch.is_empty() && !slot.paused) {
                continue;
            }
            let batch = std::mem::replace(&mut slot.batch, open.handle.batch());
            match open.handle.submit_within(batch, Duration::ZERO) {
                Ok(()) => {
                    if std::mem::take(&mut slot.paused) {
                        flows.push(Flow::Resume(*partition));
                    }
                }
                Err(NotTaken::Full(batch)) => slot.batch = batch,
                Err(NotTaken::Stopped(_)) => ended.push(*partition),
            }
        }
        flows.extend(ended.into_iter().filter_map(|partition| self.fail(partition, None)));
        flows
    }

    /// The partition is not read any more, because its writer ended or for that reason.
    pub(crate) fn fail(&mut self, partition: i32, reason: Option<IngestError>) -> Option<Flow> {
        let slot = self.slots.get_mut(&partition)?;
        let open = slot.open.take()?;
        slot.batch.clear();
        slot.paused = true;
        if let Some(error) = reason {
            open.handle.status().set_state(ShardState::Stopped { reason: error.to_string() });
        }
        let ended = self.end(partition, open.thread, Stopping::AtOnce, self.options.revoke_wait);
        self.let_go(partition);
        let reason = open.handle.status().stopped().or(ended.err().map(|error| error.to_string()));
        tracing::error!(partition, reason, "the partition is not read any more");
        Some(Flow::Pause(partition))
    }

    /// Ends a writer and waits for it.
    fn end(&mut self, partition: i32, thread: WriterThread, how: Stopping, at_most: Duration) -> Result<(), IngestError> {
        let shard = shard_of(partition);
        match thread.stop(how, at_most) {
            Ok(ended) => {
                self.shards.closed(shard);
                ended
            }
            Err(thread) => {
                self.closing.push((partition, thread));
                Err(IngestError::TooSlow { what: format!("closing shard {shard}"), seconds: at_most.as_secs() })
            }
        }
    }

    /// Ends the writers of these partitions side by side, each after its group in progress and with a complete checkpoint;
    /// says what is durable of each.
    pub(crate) fn close(&mut self, partitions: &[i32]) -> Vec<(i32, i64)> {
        let durable = self.end_all(partitions);
        partitions.iter().for_each(|partition| self.let_go(*partition));
        durable
    }

    /// Nothing of the shard is sent on from here any more.
    fn let_go(&self, partition: i32) {
        self.relay.remove(shard_of(partition));
        self.forward.remove(shard_of(partition));
    }

    fn end_all(&mut self, partitions: &[i32]) -> Vec<(i32, i64)> {
        let mut closing = Vec::new();
        for partition in partitions {
            let Some(slot) = self.slots.remove(partition) else { continue };
            if let Some(open) = slot.open {
                open.thread.ask(Stopping::AtOnce);
                closing.push((*partition, open));
            } else {
                self.shards.status.remove(shard_of(*partition));
            }
        }
        let watch = Stopwatch::start();
        let mut durable = Vec::new();
        for (partition, OpenShard { handle, thread, .. }) in closing {
            let shard = shard_of(partition);
            let ended = self.end(partition, thread, Stopping::AtOnce, watch.left(self.options.revoke_wait));
            durable.push((partition, handle.status().next_offset()));
            match ended {
                Ok(()) => tracing::info!(shard, partition, next_offset = handle.status().next_offset(), "closed the shard"),
                Err(error) => tracing::error!(shard, partition, %error, "the shard did not close well"),
            }
            self.shards.status.remove(shard);
        }
        durable
    }

    /// Closes all, and waits for those that were slow.
    pub(crate) fn close_all(&mut self) -> Vec<(i32, i64)> {
        let all: Vec<i32> = self.slots.keys().copied().collect();
        // The relay keeps its lanes until its last look: what the last groups set aside still goes out.
        let durable = self.end_all(&all);
        for (partition, thread) in std::mem::take(&mut self.closing) {
            if thread.join(self.options.revoke_wait).is_ok() {
                self.shards.closed(shard_of(partition));
            }
        }
        self.relay.stop();
        self.forward.stop();
        durable
    }

    /// What became durable since the last time, for the group.
    pub(crate) fn newly_durable(&mut self) -> Vec<(i32, i64)> {
        let mut offsets = Vec::new();
        for (partition, slot) in &mut self.slots {
            let Some(open) = &slot.open else { continue };
            let durable = open.handle.status().next_offset();
            if durable > slot.committed {
                slot.committed = durable;
                offsets.push((*partition, durable));
            }
        }
        offsets
    }

    /// Every partition that is read, with what comes next.
    pub(crate) fn read(&self) -> Vec<(i32, Option<i64>)> {
        let open = self.slots.iter().filter_map(|(partition, slot)| Some((*partition, slot.open.as_ref()?)));
        open.map(|(partition, open)| (partition, Some(open.handle.status().next_offset()).filter(|next| *next >= 0))).collect()
    }

    /// The end of a partition, as Kafka tells.
    pub(crate) fn set_end(&self, partition: i32, end: i64) {
        if let Some(open) = self.slots.get(&partition).and_then(|slot| slot.open.as_ref()) {
            open.handle.status().set_end_offset(end, self.shards.clock.now().0 / 1_000);
        }
    }
}

pub(crate) fn shard_of(partition: i32) -> u32 {
    // Kafka has no negative ones.
    partition.unsigned_abs()
}

fn push(batch: &mut Batch, message: &BorrowedMessage<'_>) {
    batch.push(&Message {
        value: message.payload(),
        key: message.key(),
        headers: &[],
        timestamp_ms: message.timestamp().to_millis(),
        offset: message.offset(),
    });
    let Some(headers) = message.headers() else { return };
    // The client panics on a header whose name is not UTF-8. One such message must not stop a partition.
    let read = catch_unwind(AssertUnwindSafe(|| {
        for header in headers.iter() {
            batch.push_header(header.key, header.value);
        }
    }));
    if read.is_err() {
        batch.headers_unreadable();
    }
}
