//! Facts into the topic: keyed as the engine wants them, partitioned as Java does, nothing lost or twice by a retry.

use super::range::ANSWER_WAIT;
use super::settings::Connection;
use crate::requeue::{REQUEUE_LETTERS_MAX, Rekey, letters, requeued};
use crate::route::is_control;
use crate::seldom::Seldom;
use crate::{IngestError, Message};
use accrue_proto::read_fact;
use accrue_store::{DeadLetter, DeadStatus, ShardLog};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Failures kept for [`KafkaPublisher::flush`]; the others are only counted.
const FAILURES_KEPT_MAX: usize = 1_000;
/// Between two lines of the log about brokers that can't be reached.
const TROUBLE_EVERY: Duration = Duration::from_secs(10);
/// Between two tries while too much is on its way.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// Is told what became of each message: the tag it was published with, and its partition and offset or what went wrong.
pub type OnDelivery = Arc<dyn Fn(usize, Result<(i32, i64), &KafkaError>) + Send + Sync>;

/// A message that no broker took.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What it was published with.
    pub tag: usize,
    /// Why not.
    pub error: KafkaError,
}

/// What became of everything published since the last flush.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// Acknowledged by all replicas in sync.
    pub acknowledged: u64,
    /// Not taken.
    pub failed: u64,
    /// The first thousand of them.
    pub failures: Vec<Failure>,
}

/// Produces to one topic. Can be shared by threads.
pub struct KafkaPublisher {
    producer: ThreadedProducer<Deliveries>,
    topic: String,
    partitions: i32,
}

struct Deliveries {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    failures: Mutex<Vec<Failure>>,
    on_delivery: Option<OnDelivery>,
    troubles: Seldom,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(kept_back) = self.troubles.due() {
            tracing::warn!(%error, reason, kept_back, "publishing to kafka");
        }
    }

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let told = match result {
            Ok(message) => {
                self.acknowledged.fetch_add(1, Ordering::AcqRel);
                Ok((message.partition(), message.offset()))
            }
            Err((error, _)) => {
                self.failed.fetch_add(1, Ordering::AcqRel);
                let mut failures = self.failures.lock();
                if failures.len() < FAILURES_KEPT_MAX {
                    failures.push(Failure { tag, error: error.clone() });
                }
                Err(error)
            }
        };
        if let Some(on_delivery) = &self.on_delivery {
            on_delivery(tag, told);
        }
    }
}

impl KafkaPublisher {
    /// Connects, and asks how many partitions the topic has.
    ///
    /// # Errors
    /// No broker answers within five seconds, there is no such topic, or a setting is wrong.
    pub fn connect(connection: &Connection, topic: &str, on_delivery: Option<OnDelivery>) -> Result<KafkaPublisher, IngestError> {
        let context = Deliveries {
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            failures: Mutex::default(),
            on_delivery,
            troubles: Seldom::new(TROUBLE_EVERY),
        };
        let producer: ThreadedProducer<_> =
            connection.producer().create_with_context(context).map_err(IngestError::kafka("make a producer"))?;
        // Asking for all topics creates none.
        let all = producer.client().fetch_metadata(None, ANSWER_WAIT).map_err(IngestError::kafka("list topics"))?;
        let known = all.topics().iter().find(|known| known.name() == topic);
        let partitions = known.map_or(0, |known| known.partitions().len());
        if partitions == 0 {
            return Err(IngestError::NoTopic { topic: topic.to_owned() });
        }
        Ok(KafkaPublisher { producer, topic: topic.to_owned(), partitions: i32::try_from(partitions).unwrap_or(i32::MAX) })
    }

    /// Partitions of the topic.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// The offset behind the last record of each partition.
    ///
    /// # Errors
    /// No broker answers within five seconds.
    pub fn ends(&self) -> Result<Vec<i64>, IngestError> {
        let end = |partition| Ok(self.producer.client().fetch_watermarks(&self.topic, partition, ANSWER_WAIT)?.1);
        (0..self.partitions)
            .map(end)
            .collect::<Result<_, KafkaError>>()
            .map_err(IngestError::kafka("ask for the ends of partitions"))
    }

    /// Publishes a message as it is; waits while too much is on its way. `tag` is told with its delivery. A key that names
    /// no member (`<program>/`) is that of a control fact: it goes to every partition.
    ///
    /// # Errors
    /// It can't be handed over: too large, or the producer is broken. What no broker takes is told at delivery.
    pub fn publish(&self, message: &Message<'_>, tag: usize) -> Result<(), IngestError> {
        if !message.key.is_some_and(is_control) {
            return self.produce(message, None, tag);
        }
        (0..self.partitions).try_for_each(|partition| self.produce(message, Some(partition), tag))
    }

    /// Publishes protobuf under the key that its body asks for.
    ///
    /// # Errors
    /// As [`Self::publish`], and a fact that the engine would refuse.
    pub fn publish_fact(&self, fact: &[u8], tag: usize) -> Result<(), IngestError> {
        let read = read_fact(fact).map_err(|malformed| IngestError::Setting(format!("the fact can't be booked: {malformed}")))?;
        let key = format!("{}/{}", read.program, read.member);
        self.publish(&Message { value: Some(fact), key: Some(key.as_bytes()), ..Message::default() }, tag)
    }

    fn produce(&self, message: &Message<'_>, partition: Option<i32>, tag: usize) -> Result<(), IngestError> {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&self.topic, tag);
        record.partition = partition;
        record.key = message.key;
        record.payload = message.value;
        record.timestamp = message.timestamp_ms;
        if !message.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(message.headers.len());
            let headers = message
                .headers
                .iter()
                .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: value.as_ref().copied() }));
            record.headers = Some(headers);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(FULL_PAUSE);
                }
                Err((error, _)) => return Err(IngestError::kafka("publish")(error)),
            }
        }
    }

    /// Waits until everything published is delivered or has failed, and says so.
    ///
    /// # Errors
    /// Not everything in that time; it is still on its way.
    pub fn flush(&self, at_most: Duration) -> Result<Delivered, IngestError> {
        self.producer.flush(at_most).map_err(IngestError::kafka("publish in time"))?;
        // Delivered is told by the producer's own thread: it may be a moment behind.
        while self.producer.in_flight_count() > 0 {
            std::thread::sleep(FULL_PAUSE);
        }
        let context = self.producer.context();
        Ok(Delivered {
            acknowledged: context.acknowledged.swap(0, Ordering::AcqRel),
            failed: context.failed.swap(0, Ordering::AcqRel),
            failures: std::mem::take(&mut *context.failures.lock()),
        })
    }
}

/// Publishes dead letters of a shard again, each with its own key, value and headers, waits for every thousand of them until
/// they are delivered, and notes it.
///
/// # Errors
/// No such letter, or no broker takes one in that time: those that were taken are noted.
pub fn requeue_kafka(
    publisher: &KafkaPublisher,
    log: &ShardLog,
    numbers: &[u64],
    rekey: impl Fn(&DeadLetter) -> Rekey,
    at_most: Duration,
) -> Result<(), IngestError> {
    for some in numbers.chunks(REQUEUE_LETTERS_MAX) {
        for (index, letter) in letters(log, some)?.iter().enumerate() {
            let again = requeued(letter, rekey(letter));
            let mut message = again.original.message();
            message.key = again.key();
            publisher.publish(&message, index)?;
        }
        let delivered = publisher.flush(at_most)?;
        let failed = |index: usize| delivered.failures.iter().any(|failure| failure.tag == index);
        let taken: Vec<u64> = (0..).zip(some).filter(|(index, _)| !failed(*index)).map(|(_, seq)| *seq).collect();
        log.set_dead_statuses(&taken, DeadStatus::Requeued)?;
        if let Some(failure) = delivered.failures.into_iter().next() {
            return Err(IngestError::kafka("publish a dead letter again")(failure.error));
        }
    }
    Ok(())
}
