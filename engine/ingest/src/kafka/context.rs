//! What the Kafka client calls: rebalances, statistics, errors. All on the consumer's own thread.

use super::layout;
use super::partitions::Partitions;
use super::range::ANSWER_WAIT;
use super::settings::KafkaOptions;
use crate::status::Status;
use crate::{IngestError, metrics};
use accrue_store::Store;
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The consumer's.
pub(crate) struct SourceContext {
    pub store: Store,
    pub options: KafkaOptions,
    pub status: Arc<Status>,
    pub partitions: Mutex<Partitions>,
    /// The topic's id, as far as the client has told.
    pub topic_id: Mutex<Option<String>>,
    /// The topic has another id than before: what is read has to be compared with the log again.
    pub made_again: AtomicBool,
}

impl SourceContext {
    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        let failed = self.open(consumer, list);
        let assigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(list),
        };
        self.assigned(consumer, assigned, &failed);
    }

    /// Opens the shards of a list and writes into it where each starts. Says which failed.
    pub(crate) fn open(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> Vec<i32> {
        let layout = self.check_layout(consumer);
        let mut partitions = self.partitions.lock();
        let wanted: Vec<i32> = list.elements_for_topic(&self.options.topic).iter().map(|element| element.partition()).collect();
        let mut failed = Vec::new();
        for partition in wanted {
            let start = match &layout {
                Ok(()) => partitions.open(consumer, partition),
                Err(error) => {
                    partitions.refuse(partition, error);
                    None
                }
            };
            // One that failed is paused at once, and what comes of it is dropped.
            let start = start.unwrap_or_else(|| {
                failed.push(partition);
                Offset::End
            });
            if let Err(error) = list.set_partition_offset(&self.options.topic, partition, start) {
                tracing::error!(partition, %error, "can't say where to start");
            }
        }
        failed
    }

    fn check_layout(&self, consumer: &BaseConsumer<Self>) -> Result<(), IngestError> {
        match consumer.fetch_metadata(Some(&self.options.topic), ANSWER_WAIT) {
            Ok(all) => {
                let known = all.topics().iter().find(|known| known.name() == self.options.topic);
                match known.map_or(0, |known| known.partitions().len()) {
                    0 => Ok(()),
                    count => layout::check(&self.store, &self.options.topic, count),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "kafka does not say how many partitions there are");
                Ok(())
            }
        }
    }

    /// After an assignment.
    pub(crate) fn assigned(&self, consumer: &BaseConsumer<Self>, result: KafkaResult<()>, failed: &[i32]) {
        if !failed.is_empty()
            && let Err(error) = consumer.pause(&self.list(failed.iter().map(|partition| (*partition, None))))
        {
            tracing::error!(%error, "can't pause partitions that failed");
        }
        self.status.update_source(|source| match &result {
            Ok(()) => {
                source.assigned = true;
                source.last_error = None;
            }
            Err(error) => source.last_error = Some(format!("kafka: can't assign partitions: {error}")),
        });
        if let Err(error) = result {
            tracing::error!(%error, "can't assign partitions");
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let revoked: Vec<i32> = list.elements_for_topic(&self.options.topic).iter().map(|element| element.partition()).collect();
        tracing::info!(?revoked, lost, "partitions are taken away");
        let durable = self.partitions.lock().close(&revoked);
        // Of a lost partition another one is the owner already.
        if !lost {
            self.commit(consumer, durable);
        }
        let unassigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        };
        if let Err(error) = unassigned {
            tracing::error!(%error, "can't give partitions back");
        }
    }

    /// Tells the group what is durable: for tools that show a lag, nothing else reads it.
    pub(crate) fn commit(&self, consumer: &BaseConsumer<Self>, offsets: Vec<(i32, i64)>) {
        let offsets = offsets.into_iter().filter(|(_, offset)| *offset >= 0);
        let list = self.list(offsets.map(|(partition, offset)| (partition, Some(offset))));
        if list.count() == 0 {
            return;
        }
        if let Err(error) = consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(%error, "can't tell the group what is durable");
        }
    }

    pub(crate) fn list(&self, partitions: impl Iterator<Item = (i32, Option<i64>)>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in partitions {
            let mut element = list.add_partition(&self.options.topic, partition);
            if let Some(offset) = offset
                && let Err(error) = element.set_offset(Offset::Offset(offset))
            {
                tracing::error!(partition, offset, %error, "no offset");
            }
        }
        list
    }

    fn connected(&self, connected: bool, reason: &str) {
        metrics::connected(connected);
        let brokers = &self.options.connection.brokers;
        self.status.update_source(|source| {
            if connected {
                if source.broker_answers() {
                    tracing::info!(brokers, "kafka answers");
                }
            } else if source.broker_silent(format!("kafka: no broker of {brokers} answers: {reason}")) {
                tracing::error!(brokers, reason, "no kafka broker answers; trying on");
            }
        });
    }
}

impl SourceContext {
    /// A topic that is deleted and made again under a running consumer: the client goes on at the same offsets and says so
    /// only in its debug log (librdkafka 2.12, `rdkafka_topic.c`).
    fn watch_topic_id(&self, message: &str) {
        let Some((topic, ids)) = message.split_once(" changed id from ") else {
            return;
        };
        if !topic.ends_with(&format!("Topic {}", self.options.topic)) {
            return;
        }
        let Some((_, id)) = ids.split_once(" to ") else { return };
        let before = self.topic_id.lock().replace(id.to_owned());
        if before.is_some_and(|before| before != id) {
            self.made_again.store(true, Ordering::Release);
        }
    }
}

impl ClientContext for SourceContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "METADATA" {
            self.watch_topic_id(message);
        }
        match level {
            // Said once and in our words by `error`; here it comes with each try.
            _ if matches!(facility, "FAIL" | "ERROR") => tracing::debug!(target: "librdkafka", facility, message),
            RDKafkaLogLevel::Debug => tracing::trace!(target: "librdkafka", facility, message),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => tracing::debug!(target: "librdkafka", facility, message),
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, message),
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Emerg => {
                tracing::error!(target: "librdkafka", facility, message);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.connected(false, reason);
        } else {
            tracing::debug!(%error, reason, "kafka");
        }
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.connected(true, "");
        }
        let Some(topic) = statistics.topics.get(&self.options.topic) else {
            return;
        };
        let partitions = self.partitions.lock();
        for (partition, known) in &topic.partitions {
            // The end for those who read only what is committed.
            let end = if known.ls_offset >= 0 { known.ls_offset } else { known.hi_offset };
            if end >= 0 {
                partitions.set_end(*partition, end);
            }
        }
    }
}

impl ConsumerContext for SourceContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        metrics::rebalance();
        self.status.update_source(|source| source.rebalances += 1);
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            _ => self.revoke(consumer, list),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "the group was not told what is durable");
        }
    }
}
