//! Without Kafka: the log is the log of record, and facts come straight in.

mod publisher;
mod to_writers;

pub use publisher::{Publisher, RECEIPTS_PENDING_MAX};

use crate::batch::{Batch, Message, Reply};
use crate::forward::{Bell, Forward};
use crate::letter::Origin;
use crate::route::is_control;
use crate::shards::{MakeInline, OnShard, OpenShard, Shards};
use crate::status::{ShardState, Status};
use crate::writer::{Stopping, WriterHandle, WriterOptions, WriterThread};
use crate::{Clock, Counts, IngestError, Receipt};
use accrue_proto::{decode_message_with, murmur2_partition, owner_of, read_fact};
use accrue_store::Store;
use crossbeam_channel::bounded;
use std::sync::Arc;
use std::time::Duration;
use to_writers::ToWriters;

/// A writer that has not ended by then after it was asked is an error: a complete checkpoint can take a while.
pub const STOP_WAIT: Duration = Duration::from_secs(120);
/// How long what follows for other members is sent on at the end; the rest is, at the next start.
const SETTLE_WAIT: Duration = Duration::from_secs(10);
/// How long one look at a shard's recovery takes.
const LOOK: Duration = Duration::from_secs(1);

/// How an embedded log works.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// Each shard's writer.
    pub writer: WriterOptions,
    /// Is told what happens to shards.
    pub on_shard: OnShard,
    /// What time it is.
    pub clock: Clock,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        EmbeddedOptions { writer: WriterOptions::default(), on_shard: Arc::new(|_, _| {}), clock: Clock::system() }
    }
}

/// The open embedded log: one writer for each of the store's shards.
pub struct Embedded {
    shards: Shards,
    writers: Vec<(WriterHandle, WriterThread)>,
    forward: Option<Forward>,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    One(u32),
    /// A control fact.
    All,
}

impl Embedded {
    /// Opens all shards and applies the tails of their logs, side by side; returns when every shard takes facts.
    ///
    /// # Errors
    /// The store has no embedded shards, or one of them can't be opened or recovered.
    pub fn open(store: &Store, make_inline: MakeInline, options: EmbeddedOptions) -> Result<Embedded, IngestError> {
        Embedded::open_with_progress(store, make_inline, options, |_| {})
    }

    /// As [`Self::open`]; `progress` is shown the state of all shards every second until they have recovered.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_progress(
        store: &Store,
        make_inline: MakeInline,
        options: EmbeddedOptions,
        mut progress: impl FnMut(&Status),
    ) -> Result<Embedded, IngestError> {
        let count = store.embedded_shards().ok_or_else(|| {
            let path = store.path().display();
            IngestError::Setting(format!("the store {path} was filled from kafka: it has no embedded log"))
        })?;
        let EmbeddedOptions { writer, on_shard, clock } = options;
        let status = Arc::new(Status::default());
        let (bell, rung) = Bell::new();
        let shards = Shards { store: store.clone(), make_inline, on_shard, options: writer, clock, bell, status };
        let mut embedded = Embedded { shards, writers: Vec::new(), forward: None };
        for shard in 0..count {
            let OpenShard { handle, thread, .. } = embedded.shards.open(shard, Origin::Embedded)?;
            embedded.writers.push((handle, thread));
        }
        for (handle, _) in &embedded.writers {
            loop {
                match handle.status().wait_recovered(LOOK) {
                    ShardState::Live => break,
                    ShardState::Recovering { .. } => progress(&embedded.shards.status),
                    ShardState::Stopped { reason } => {
                        return Err(IngestError::Stopped { shard: handle.shard(), reason });
                    }
                }
            }
        }
        let handles: Vec<WriterHandle> = embedded.writers.iter().map(|(handle, _)| handle.clone()).collect();
        let forward = Forward::start(rung, Box::new(ToWriters::new(handles.clone())))?;
        handles.iter().for_each(|handle| forward.add(handle));
        embedded.forward = Some(forward);
        Ok(embedded)
    }

    /// Waits until what follows from the log for other members is durable with them, and what follows from that.
    /// Whether it is: trouble, or more facts all the time, can take longer than `at_most`.
    pub fn settle(&self, at_most: Duration) -> bool {
        self.forward.as_ref().is_none_or(|forward| forward.settle(at_most))
    }

    /// How many shards there are.
    pub fn shards(&self) -> u32 {
        u32::try_from(self.writers.len()).unwrap_or(u32::MAX)
    }

    /// How they are doing.
    pub fn status(&self) -> &Arc<Status> {
        &self.shards.status
    }

    /// The way to one shard's writer.
    ///
    /// # Errors
    /// No such shard.
    pub fn writer(&self, shard: u32) -> Result<&WriterHandle, IngestError> {
        let writer = usize::try_from(shard).ok().and_then(|index| self.writers.get(index));
        writer.map(|(handle, _)| handle).ok_or(IngestError::NoShard { shard })
    }

    /// Hands one message in, in any encoding, and waits until it is durable. A control fact goes to every shard; the
    /// receipt is that of the shard with the most to say.
    ///
    /// # Errors
    /// A shard has stopped: nothing is known of the message there.
    pub fn publish(&self, message: &Message<'_>) -> Result<Receipt, IngestError> {
        let targets = match self.route(message) {
            Route::One(shard) => shard..shard + 1,
            Route::All => 0..self.shards(),
        };
        let (sender, receipts) = bounded(self.writers.len());
        for shard in targets.clone() {
            let writer = self.writer(shard)?;
            let mut batch = writer.batch();
            batch.push(message);
            let sender = sender.clone();
            batch.reply_to(Reply::Receipts(Box::new(move |result| {
                // Nobody waits any more when another shard has failed.
                let _ = sender.send(result);
            })));
            writer.submit(batch)?;
        }
        drop(sender);
        let mut most: Option<Receipt> = None;
        for result in receipts {
            let receipt = result?.pop();
            most = most.into_iter().chain(receipt).max_by_key(|receipt| receipt.outcome.weight());
        }
        most.ok_or(IngestError::NoShard { shard: targets.start })
    }

    /// As [`Self::publish`], of protobuf without headers.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn publish_fact(&self, fact: &[u8]) -> Result<Receipt, IngestError> {
        self.publish(&Message { value: Some(fact), ..Message::default() })
    }

    /// For many messages: handed in in batches, without waiting for each.
    pub fn publisher(&self) -> Publisher<'_> {
        Publisher::new(self)
    }

    /// Hands all of them in, waits until they are durable, and says how many went which way.
    ///
    /// # Errors
    /// A shard has stopped: nothing is known of what was on its way.
    pub fn publish_all<'m>(&self, messages: impl IntoIterator<Item = Message<'m>>) -> Result<Counts, IngestError> {
        let mut publisher = self.publisher();
        for message in messages {
            publisher.push(&message)?;
        }
        publisher.finish()
    }

    /// By the key if there is one, else by what the message says. What says nothing goes to the first shard, to become a
    /// dead letter there.
    pub(crate) fn route(&self, message: &Message<'_>) -> Route {
        if self.shards() == 1 {
            return Route::One(0);
        }
        if let Some(key) = message.key {
            return self.route_key(key);
        }
        if message.headers.is_empty()
            && let Some((program, member)) = message.value.and_then(owner_of)
        {
            return self.route_member(program, member);
        }
        let mut batch = Batch::default();
        batch.push(message);
        let currency_of = |program: &str| self.shards.options.currencies.as_ref().and_then(|of| of(program));
        let route = batch.records().next().and_then(|record| {
            let value = record.value().unwrap_or_default();
            let decoded = decode_message_with(&record, value, record.timestamp_ms(), &currency_of).ok()?;
            let fact = read_fact(&decoded.fact).ok()?;
            Some(self.route_member(fact.program, fact.member))
        });
        route.unwrap_or(Route::One(0))
    }

    /// The key of a control fact is its program's, without a member.
    fn route_member(&self, program: &str, member: &str) -> Route {
        self.route_key(format!("{program}/{member}").as_bytes())
    }

    fn route_key(&self, key: &[u8]) -> Route {
        if is_control(key) { Route::All } else { Route::One(murmur2_partition(key, self.shards())) }
    }

    /// Ends all writers when everything handed in is durable: complete checkpoints, witnesses written.
    ///
    /// # Errors
    /// The first that went wrong; the others are ended too.
    pub fn stop(mut self) -> Result<(), IngestError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), IngestError> {
        if let Some(mut forward) = self.forward.take() {
            forward.settle(SETTLE_WAIT);
            forward.stop();
        }
        let writers = std::mem::take(&mut self.writers);
        writers.iter().for_each(|(_, thread)| thread.ask(Stopping::Drained));
        let mut result = Ok(());
        for (handle, thread) in writers {
            let shard = handle.shard();
            let ended = thread.join(STOP_WAIT).unwrap_or_else(|_| {
                let what = format!("ending the writer of shard {shard}");
                Err(IngestError::TooSlow { what, seconds: STOP_WAIT.as_secs() })
            });
            self.shards.closed(shard);
            result = result.and(ended);
        }
        result
    }
}

/// What is not stopped is ended all the same, so that the store can be opened again.
impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the embedded log did not end well");
        }
    }
}
