//! What is set in the clients, and what can be chosen.

use crate::{Clock, IngestError, OnShard, WriterOptions};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Batches that wait for a writer: a thousand messages each.
const QUEUE_BATCHES_MAX: usize = 4;
/// How long a revoked partition may take for its group in progress and a complete checkpoint.
const REVOKE_WAIT: Duration = Duration::from_secs(30);
/// Messages on their way to the broker, at most; more wait.
const IN_FLIGHT_MAX: u32 = 100_000;
/// Kilobytes on their way to the broker, at most.
const IN_FLIGHT_KBYTES_MAX: u32 = 256 * 1024;

/// Set by the engine, each for a reason: offsets are the log's, and nothing uncommitted or damaged may come in.
const FIXED: [(&str, &str); 6] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("check.crcs", "true"),
    ("allow.auto.create.topics", "false"),
];
/// Said elsewhere in the options.
const NAMED: [&str; 5] = ["bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id", "enable.partition.eof"];

/// How to reach the brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// Any other setting of librdkafka (`kafka.properties.*` in the configuration, without the prefix): TLS, SASL, sizes.
    pub extra: BTreeMap<String, String>,
}

/// Who decides which partitions are read here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Assignment {
    /// The consumer group.
    #[default]
    Group,
    /// These, whoever else reads them.
    Manual(Vec<i32>),
}

/// How a topic is read.
#[derive(Clone)]
pub struct KafkaOptions {
    /// The brokers.
    pub connection: Connection,
    /// The topic of the facts.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// `group.instance.id`: static membership, so that a restart moves no partitions.
    pub instance: Option<String>,
    /// Who decides on the partitions.
    pub assignment: Assignment,
    /// Where dead letters are sent on to; `None`: [`dead_letter_topic`].
    pub dead_letter_topic: Option<String>,
    /// Each shard's writer.
    pub writer: WriterOptions,
    /// How long a revoked partition may take to close.
    pub revoke_wait: Duration,
    /// Is told what happens to shards.
    pub on_shard: OnShard,
    /// What time it is.
    pub clock: Clock,
}

/// The dead-letter topic of a topic.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}-dlt")
}

impl Connection {
    /// Brokers alone.
    pub fn new(brokers: &str) -> Connection {
        Connection { brokers: brokers.to_owned(), extra: BTreeMap::new() }
    }

    /// Of every client.
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "accrue");
        // A broker that comes back is found within a second, not within ten.
        config.set("reconnect.backoff.max.ms", "1000").set("log.connection.close", "false");
        for (key, value) in &self.extra {
            config.set(key, value);
        }
        config
    }

    /// Of a producer: as Java's partitions, nothing lost, nothing twice by a retry.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.config();
        config
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .set("allow.auto.create.topics", "false")
            .set("queue.buffering.max.messages", IN_FLIGHT_MAX.to_string())
            .set("queue.buffering.max.kbytes", IN_FLIGHT_KBYTES_MAX.to_string());
        for (key, value) in [("compression.type", "lz4"), ("linger.ms", "5")] {
            if !self.extra.contains_key(key) {
                config.set(key, value);
            }
        }
        config
    }
}

impl KafkaOptions {
    /// With the group's assignment and everything else as usual.
    pub fn new(brokers: &str, topic: &str, group: &str) -> KafkaOptions {
        KafkaOptions {
            connection: Connection::new(brokers),
            topic: topic.to_owned(),
            group: group.to_owned(),
            instance: None,
            assignment: Assignment::default(),
            dead_letter_topic: None,
            writer: WriterOptions { queue_batches_max: QUEUE_BATCHES_MAX, ..WriterOptions::default() },
            revoke_wait: REVOKE_WAIT,
            on_shard: Arc::new(|_, _| {}),
            clock: Clock::system(),
        }
    }

    pub(crate) fn dead_letters(&self) -> String {
        self.dead_letter_topic.clone().unwrap_or_else(|| dead_letter_topic(&self.topic))
    }

    /// Whether clients can be made of these, without asking a broker.
    ///
    /// # Errors
    /// A setting that is not for choosing, that there is none of, or with a value that it can't have.
    pub fn check(&self) -> Result<(), IngestError> {
        for client in [self.consumer()?, self.connection.producer()] {
            client.create_native_config().map_err(|error| match error {
                KafkaError::ClientConfig(_, why, key, value) => {
                    IngestError::Setting(format!("kafka.properties.{key} is {value:?}: {why}"))
                }
                error => IngestError::Setting(format!("kafka.properties: {error}")),
            })?;
        }
        Ok(())
    }

    /// # Errors
    /// A setting that is not for choosing.
    pub(crate) fn consumer(&self) -> Result<ClientConfig, IngestError> {
        for (what, value) in [("brokers", &self.connection.brokers), ("topic", &self.topic), ("group", &self.group)] {
            if value.is_empty() {
                return Err(IngestError::Setting(format!("kafka: no {what} named")));
            }
        }
        for key in self.connection.extra.keys() {
            if let Some((_, value)) = FIXED.iter().find(|(fixed, _)| fixed == key) {
                return Err(IngestError::Setting(format!("kafka.properties.{key} is always {value}: leave it out")));
            }
            if NAMED.contains(&key.as_str()) {
                return Err(IngestError::Setting(format!("kafka.properties.{key} is not set this way: leave it out")));
            }
        }
        let mut config = self.connection.config();
        // The only way to hear that a topic was made again; a few lines with each refresh of the metadata.
        let debug = self.connection.extra.get("debug").map_or(String::new(), |more| format!(",{more}"));
        config.set("debug", format!("metadata{debug}")).set_log_level(RDKafkaLogLevel::Debug);
        // The next fetch waits at most that long when many messages are here already; by default a second.
        for (key, value) in [
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("fetch.queue.backoff.ms", "10"),
            ("statistics.interval.ms", "1000"),
        ] {
            if !self.connection.extra.contains_key(key) {
                config.set(key, value);
            }
        }
        for (key, value) in FIXED {
            config.set(key, value);
        }
        config.set("group.id", &self.group);
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", instance);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fixed_stays_and_what_is_extra_passes_through() {
        let mut options = KafkaOptions::new("b:9092", "facts", "g");
        options.instance = Some("i1".into());
        options.connection.extra.insert("fetch.queue.backoff.ms".into(), "50".into());
        options.connection.extra.insert("security.protocol".into(), "ssl".into());
        let config = options.consumer().expect("fine");
        for (key, value) in FIXED.into_iter().chain([
            ("bootstrap.servers", "b:9092"),
            ("group.id", "g"),
            ("group.instance.id", "i1"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("fetch.queue.backoff.ms", "50"),
            ("security.protocol", "ssl"),
        ]) {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
        let producer = options.connection.producer();
        assert_eq!((producer.get("partitioner"), producer.get("security.protocol")), (Some("murmur2_random"), Some("ssl")));
        assert_eq!(options.dead_letters(), "facts-dlt");
    }

    #[test]
    fn what_is_not_for_choosing_is_refused() {
        for key in FIXED.iter().map(|(key, _)| *key).chain(NAMED) {
            let mut options = KafkaOptions::new("b:9092", "facts", "g");
            options.connection.extra.insert(key.into(), "x".into());
            assert!(options.consumer().is_err_and(|error| error.to_string().contains(key)), "{key}");
        }
        assert!(KafkaOptions::new("b:9092", "", "g").consumer().is_err());
    }
}
