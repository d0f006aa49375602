//! The thread that reads a topic.

use super::context::SourceContext;
use super::partitions::{FILL_WAIT, Flow, Partitions, shard_of};
use super::range::{self, Resume};
use super::relay::Relay;
use super::settings::{Assignment, KafkaOptions};
use super::to_topic::ToTopic;
use crate::clock::Stopwatch;
use crate::forward::{Bell, Forward};
use crate::shards::{MakeInline, Shards};
use crate::status::Status;
use crate::{IngestError, STOP_WAIT};
use accrue_store::Store;
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Messages between two looks at the time.
const MESSAGES_A_LOOK: u32 = 128;
/// How often the group is told what is durable.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How often partitions given by hand are tried until they can be assigned.
const ASSIGN_EVERY: Duration = Duration::from_secs(1);

/// A topic that is being read.
pub struct KafkaSource {
    status: Arc<Status>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

type SourceConsumer = BaseConsumer<SourceContext>;

impl KafkaSource {
    /// Starts reading. Brokers that don't answer and a topic that isn't there are not errors here: it keeps trying and
    /// [`Status::not_ready`] says so.
    ///
    /// # Errors
    /// A setting is wrong, the store is an embedded one, or a thread can't be started.
    pub fn start(store: &Store, make_inline: MakeInline, options: KafkaOptions) -> Result<KafkaSource, IngestError> {
        let config = options.consumer()?;
        if store.embedded_shards().is_some() {
            let path = store.path().display();
            return Err(IngestError::Setting(format!(
                "the store {path} is the log of record itself: it can't be filled from kafka"
            )));
        }
        let status = Arc::new(Status::default());
        status.update_source(|source| source.is_topic = true);
        let (bell, rung) = Bell::new();
        let shards = Shards {
            store: store.clone(),
            make_inline,
            on_shard: Arc::clone(&options.on_shard),
            options: options.writer.clone(),
            clock: options.clock.clone(),
            bell,
            status: Arc::clone(&status),
        };
        let relay = Relay::start(&options)?;
        let forward = Forward::start(rung, Box::new(ToTopic::new(&options)))?;
        let partitions = Mutex::new(Partitions::new(shards, options.clone(), relay, forward));
        let context = SourceContext {
            store: store.clone(),
            options,
            status: Arc::clone(&status),
            partitions,
            topic_id: Mutex::default(),
            made_again: AtomicBool::new(false),
        };
        let consumer: SourceConsumer = config.create_with_context(context).map_err(IngestError::kafka("make a consumer"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let reader = Reader { consumer, stop: Arc::clone(&stop), committed: Stopwatch::start(), troubled: false };
        let name = "kafka".to_owned();
        let spawned = std::thread::Builder::new().name(name.clone()).spawn(move || reader.run());
        let thread = spawned.map_err(|error| IngestError::Thread { name, detail: error.to_string() })?;
        Ok(KafkaSource { status, stop, thread: Some(thread) })
    }

    /// How the source and its shards are doing.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Ends it: the group in progress of each shard becomes durable, checkpoints are complete, witnesses written, what is
    /// durable is told to the group, and the group is left.
    ///
    /// # Errors
    /// The thread had panicked.
    pub fn stop(mut self) -> Result<(), IngestError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), IngestError> {
        self.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_| IngestError::Thread { name: "kafka".to_owned(), detail: "it panicked".to_owned() })
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "reading from kafka did not end well");
        }
    }
}

struct Reader {
    consumer: SourceConsumer,
    stop: Arc<AtomicBool>,
    committed: Stopwatch,
    /// There was trouble since the last message.
    troubled: bool,
}

impl Reader {
    fn run(mut self) {
        let ended = match self.begin() {
            Ok(()) => self.read(),
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::error!(%error, "reading from kafka has ended");
            self.context().status.update_source(|source| source.ended = Some(error.to_string()));
        }
        let watch = Stopwatch::start();
        let durable = self.context().partitions.lock().close_all();
        self.context().commit(&self.consumer, durable);
        if watch.elapsed() > STOP_WAIT {
            tracing::warn!(seconds = watch.elapsed().as_secs(), "ending took long");
        }
        // Dropping the consumer leaves the group; its last callback finds no partition open.
    }

    fn context(&self) -> Arc<SourceContext> {
        Arc::clone(self.consumer.context())
    }

    fn begin(&mut self) -> Result<(), IngestError> {
        let context = self.context();
        let options = &context.options;
        match &options.assignment {
            Assignment::Group => self.consumer.subscribe(&[&options.topic]).map_err(IngestError::kafka("subscribe")),
            Assignment::Manual(partitions) => self.assign_by_hand(partitions),
        }
    }

    /// Waits until the topic is there: opening shards for partitions that may never be helps nobody.
    fn assign_by_hand(&mut self, partitions: &[i32]) -> Result<(), IngestError> {
        let context = self.context();
        let topic = &context.options.topic;
        while !self.stop.load(Ordering::Acquire) {
            drop(self.consumer.poll(Duration::ZERO));
            let found = self.consumer.fetch_metadata(Some(topic), ASSIGN_EVERY).ok().and_then(|all| {
                let known = all.topics().iter().find(|known| known.name() == topic && known.error().is_none())?;
                Some(known.partitions().len())
            });
            let Some(count) = found.filter(|count| *count > 0) else {
                self.trouble(&IngestError::NoTopic { topic: topic.clone() }.to_string());
                std::thread::sleep(ASSIGN_EVERY);
                continue;
            };
            if let Some(partition) =
                partitions.iter().find(|partition| usize::try_from(**partition).map_or(true, |at| at >= count))
            {
                return Err(IngestError::Setting(format!("{topic} has no partition {partition}, it has {count}")));
            }
            let mut list = context.list(partitions.iter().map(|partition| (*partition, None)));
            let failed = context.open(&self.consumer, &mut list);
            context.assigned(&self.consumer, self.consumer.assign(&list), &failed);
            context.status.update_source(|source| source.last_error = None);
            return Ok(());
        }
        Ok(())
    }

    /// Each trouble is told once.
    fn trouble(&mut self, text: &str) {
        self.troubled = true;
        self.context().status.update_source(|source| {
            if source.last_error.as_deref() != Some(text) {
                tracing::warn!("{text}");
                source.last_error = Some(text.to_owned());
            }
        });
    }

    fn read(&mut self) -> Result<(), IngestError> {
        let context = self.context();
        let (mut since_look, mut wait) = (0, Duration::ZERO);
        while !self.stop.load(Ordering::Acquire) {
            let (mut flow, mut nothing_came) = (None, false);
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    flow = context.partitions.lock().take(&message);
                    if std::mem::take(&mut self.troubled) {
                        context.status.update_source(|source| source.last_error = None);
                    }
                }
                Some(Err(error)) => self.error(&error)?,
                None => nothing_came = true,
            }
            if context.made_again.swap(false, Ordering::AcqRel) {
                self.compare_again();
            }
            since_look += 1;
            if flow.is_none() && !nothing_came && since_look < MESSAGES_A_LOOK {
                // It is in a batch now, which must not wait for long.
                wait = FILL_WAIT;
                continue;
            }
            since_look = 0;
            let mut partitions = context.partitions.lock();
            let flows = partitions.tend(nothing_came);
            wait = partitions.wait();
            drop(partitions);
            flow.into_iter().chain(flows).for_each(|flow| self.apply(flow));
            self.tell_the_group();
        }
        Ok(())
    }

    /// Everything that is read is opened once more, so that its start is compared with the log.
    fn compare_again(&self) {
        let context = self.context();
        tracing::warn!(topic = context.options.topic, "the topic was made again: comparing it with the log");
        let mut partitions = context.partitions.lock();
        let read: Vec<i32> = partitions.read().into_iter().map(|(partition, _)| partition).collect();
        partitions.close(&read);
        drop(partitions);
        let mut list = context.list(read.iter().map(|partition| (*partition, None)));
        let cooperative = matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        if cooperative && let Err(error) = self.consumer.incremental_unassign(&list) {
            tracing::error!(%error, "can't give partitions back");
        }
        let failed = context.open(&self.consumer, &mut list);
        let assigned = if cooperative { self.consumer.incremental_assign(&list) } else { self.consumer.assign(&list) };
        context.assigned(&self.consumer, assigned, &failed);
    }

    fn apply(&self, flow: Flow) {
        let context = self.context();
        let (partition, result) = match flow {
            Flow::Pause(partition) => (partition, self.consumer.pause(&context.list([(partition, None)].into_iter()))),
            Flow::Resume(partition) => (partition, self.consumer.resume(&context.list([(partition, None)].into_iter()))),
        };
        tracing::debug!(?flow, "pressure");
        if let Err(error) = result {
            tracing::error!(partition, %error, "can't pause or resume");
        }
    }

    fn tell_the_group(&mut self) {
        if self.committed.elapsed() >= COMMIT_EVERY {
            self.committed = Stopwatch::start();
            let offsets = self.context().partitions.lock().newly_durable();
            self.context().commit(&self.consumer, offsets);
        }
    }

    /// # Errors
    /// The client is done for.
    fn error(&mut self, error: &KafkaError) -> Result<(), IngestError> {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            return Err(IngestError::kafka("go on reading")(error.clone()));
        }
        let topic = self.context().options.topic.clone();
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => self.out_of_range(),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.trouble(&IngestError::NoTopic { topic }.to_string());
            }
            // Told by the callback, with the brokers' names.
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {}
            _ => self.trouble(&format!("kafka: reading {topic}: {error}")),
        }
        Ok(())
    }

    /// The client has stopped fetching a partition and does not say which.
    fn out_of_range(&mut self) {
        let context = self.context();
        let topic = &context.options.topic;
        let read = context.partitions.lock().read();
        let mut found = false;
        for (partition, stored) in read {
            let at = Resume { shard: shard_of(partition), topic, partition, stored, anchor: None };
            if let Err(error) = range::check(&self.consumer, at) {
                found = true;
                let flow = context.partitions.lock().fail(partition, Some(error));
                flow.into_iter().for_each(|flow| self.apply(flow));
            }
        }
        if !found {
            self.trouble(&format!(
                "kafka: {topic} had no such offset, but every partition is in range: restart if the lag stays"
            ));
        }
    }
}
