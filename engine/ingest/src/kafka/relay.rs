//! Dead letters on their way from the store to the dead-letter topic: after they are durable, at least once.

use super::dead_headers;
use super::relay_mark;
use super::settings::KafkaOptions;
use crate::letter::original;
use crate::{IngestError, metrics};
use accrue_store::{DeadRow, ShardLog};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);
/// Letters of a shard on their way at once.
const ROWS_MAX: usize = 200;
/// A letter that no broker took by then is tried again.
const DELIVERY_MAX: &str = "30000";
/// How long a broker may take to say which topics there are.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Looks to skip after one that failed: a missing topic is asked for every half minute.
const SKIPPED_LOOKS: u32 = 120;
/// How long the last look at the end may take.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The thread that sends dead letters on.
pub(crate) struct Relay {
    lanes: Arc<Mutex<BTreeMap<u32, Lane>>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Lane {
    log: ShardLog,
    relayed: u64,
}

impl Relay {
    /// # Errors
    /// The thread can't be started.
    pub(crate) fn start(options: &KafkaOptions) -> Result<Relay, IngestError> {
        let lanes: Arc<Mutex<BTreeMap<u32, Lane>>> = Arc::default();
        let (stop, stopped) = bounded(0);
        let work = Work {
            lanes: Arc::clone(&lanes),
            options: options.clone(),
            topic: options.dead_letters(),
            producer: None,
            topic_found: false,
            said: None,
            skip: 0,
        };
        let name = "dead-letters".to_owned();
        let spawned = std::thread::Builder::new().name(name.clone()).spawn(move || work.run(&stopped));
        let thread = spawned.map_err(|error| IngestError::Thread { name, detail: error.to_string() })?;
        Ok(Relay { lanes, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn add(&self, log: &ShardLog) {
        let lane = Lane { log: log.clone(), relayed: relay_mark::read(log) };
        self.lanes.lock().insert(log.shard(), lane);
    }

    pub(crate) fn remove(&self, shard: u32) {
        self.lanes.lock().remove(&shard);
    }

    /// Takes a last look and ends.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that sends dead letters on ended by a panic");
        }
        self.lanes.lock().clear();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What became of each letter that was handed to the producer.
#[derive(Default)]
struct Deliveries(Mutex<Vec<(usize, Result<(), KafkaError>)>>);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "dead letters");
    }

    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let result = result.as_ref().map(drop).map_err(|(error, _)| error.clone());
        self.0.lock().push((index, result));
    }
}

struct Work {
    lanes: Arc<Mutex<BTreeMap<u32, Lane>>>,
    options: KafkaOptions,
    topic: String,
    /// Made with the first letter: most shards never have one.
    producer: Option<BaseProducer<Deliveries>>,
    topic_found: bool,
    /// What was complained about last: each trouble is told once.
    said: Option<String>,
    skip: u32,
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.look(|| matches!(stopped.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected)));
        }
        let watch = crate::clock::Stopwatch::start();
        self.look(|| watch.elapsed() > LAST_WAIT);
    }

    /// Sends on what is new.
    fn look(&mut self, enough: impl Fn() -> bool) {
        let lanes: Vec<Lane> = self.lanes.lock().values().cloned().collect();
        for mut lane in lanes {
            let shard = lane.log.shard();
            match self.send_on(&mut lane, &enough) {
                Ok(0) => {}
                Ok(count) => {
                    metrics::dead_letters_relayed(count);
                    self.said = None;
                    if let Some(known) = self.lanes.lock().get_mut(&shard) {
                        known.relayed = lane.relayed;
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if self.said.as_ref() != Some(&text) {
                        tracing::error!(
                            shard,
                            topic = self.topic,
                            error = text,
                            "dead letters stay in the store until they can be sent on"
                        );
                        self.said = Some(text);
                    }
                    self.topic_found = false;
                    self.skip = SKIPPED_LOOKS;
                    return;
                }
            }
        }
    }

    /// # Errors
    /// The topic is missing, a letter was not taken, or the log can't be read.
    fn send_on(&mut self, lane: &mut Lane, enough: &impl Fn() -> bool) -> Result<u64, IngestError> {
        let mut sent = 0;
        loop {
            let head = lane.log.head();
            if enough() || head.counters.dead_letters + head.counters.conflicts <= lane.relayed {
                return Ok(sent);
            }
            let rows = lane.log.dead_letters(lane.relayed + 1, ROWS_MAX)?;
            let Some(last) = rows.last().map(|row| row.seq) else {
                return Ok(sent);
            };
            let ours: Vec<_> = rows.into_iter().filter(|row| row.letter.topic == self.options.topic).collect();
            let (taken, result) = self.produce(&ours, enough);
            // Without gaps: what comes behind one that was not taken is sent again with it.
            let until = if taken == ours.len() { last } else { ours[taken].seq - 1 };
            if until > lane.relayed {
                relay_mark::write(&lane.log, until)?;
                lane.relayed = until;
                sent += taken as u64;
            }
            result?;
        }
    }

    /// How many from the first on were acknowledged, and what went wrong with the next.
    fn produce(&mut self, rows: &[DeadRow], enough: &impl Fn() -> bool) -> (usize, Result<(), IngestError>) {
        if rows.is_empty() {
            return (0, Ok(()));
        }
        let group = self.options.group.clone();
        let topic = self.topic.clone();
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(error) => return (0, Err(error)),
        };
        let mut failure = None;
        let mut handed = 0;
        for (index, row) in rows.iter().enumerate() {
            if let Err(error) = hand_over(producer, &topic, row, index, &group) {
                failure = Some(error);
                break;
            }
            handed += 1;
        }
        let mut acknowledged = vec![false; handed];
        let mut reports = 0;
        while reports < handed && !(enough() && failure.is_some()) {
            producer.poll(Duration::from_millis(50));
            for (index, result) in producer.context().0.lock().drain(..) {
                reports += 1;
                match result {
                    Ok(()) => acknowledged.get_mut(index).map_or((), |acknowledged| *acknowledged = true),
                    Err(error) => drop(failure.get_or_insert(error)),
                }
            }
            if enough() && reports < handed {
                failure.get_or_insert(KafkaError::Canceled);
            }
        }
        if failure.is_some() {
            // What is still on its way is not ours to wait for: the next producer begins with the same letters.
            self.producer = None;
        }
        let taken = acknowledged.iter().take_while(|acknowledged| **acknowledged).count();
        (taken, failure.map_or(Ok(()), |error| Err(IngestError::kafka("send dead letters on")(error))))
    }

    /// # Errors
    /// The topic is missing, or no broker answers.
    fn producer(&mut self) -> Result<&BaseProducer<Deliveries>, IngestError> {
        if self.producer.is_none() {
            let mut config = self.options.connection.producer();
            config.set("message.timeout.ms", DELIVERY_MAX);
            let producer = config.create_with_context(Deliveries::default());
            self.producer = Some(producer.map_err(IngestError::kafka("make a producer"))?);
        }
        let Some(producer) = &self.producer else {
            return Err(IngestError::Setting("no producer".to_owned()));
        };
        if !self.topic_found {
            // Asking for all topics creates none.
            let all = producer.client().fetch_metadata(None, ANSWER_WAIT).map_err(IngestError::kafka("list topics"))?;
            if !all.topics().iter().any(|topic| topic.name() == self.topic) {
                return Err(IngestError::NoTopic { topic: self.topic.clone() });
            }
            self.topic_found = true;
        }
        Ok(producer)
    }
}

fn hand_over(
    producer: &BaseProducer<Deliveries>,
    topic: &str,
    row: &DeadRow,
    index: usize,
    group: &str,
) -> Result<(), KafkaError> {
    let came = original(&row.letter);
    let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, index);
    record.partition = Some(row.letter.partition);
    record.headers = Some(dead_headers::headers(row, group));
    record.key = came.key;
    record.payload = came.value;
    producer.send(record).map_err(|(error, _)| error)
}
