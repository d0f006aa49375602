//! The Kafka that the other tests rely on does what they rely on: it keeps what it acknowledged, through stops and kills.

use accrue_tests::broker::Broker;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::Duration;

const MESSAGES: usize = 1_000;
const DELIVERY_MAX: Duration = Duration::from_secs(40);
const FETCH_MAX: Duration = Duration::from_secs(20);

/// Produces `from..to` with acks from all in-sync replicas, and waits for every acknowledgement.
fn produce(broker: &Broker, topic: &str, from: usize, to: usize) -> anyhow::Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", DELIVERY_MAX.as_millis().to_string())
        .set("reconnect.backoff.max.ms", "200")
        .create()?;
    for number in from..to {
        let (key, payload) = (format!("acme/m{}", number % 50), format!("{number:05}"));
        producer.send(BaseRecord::to(topic).key(&key).payload(&payload)).map_err(|(error, _)| error)?;
    }
    producer.flush(DELIVERY_MAX)?;
    Ok(())
}

/// Reads `partitions` from their beginnings until `wanted` messages came or none comes any more; in numeric order.
fn consume(broker: &Broker, topic: &str, partitions: i32, wanted: usize) -> anyhow::Result<BTreeSet<String>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .set("reconnect.backoff.max.ms", "200")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut seen = BTreeSet::new();
    while seen.len() < wanted {
        match consumer.poll(FETCH_MAX) {
            None => break,
            Some(Ok(message)) => drop(seen.insert(String::from_utf8(message.payload().unwrap_or_default().to_vec())?)),
            // librdkafka tells of a lost connection in passing and goes on by itself.
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure))) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(seen)
}

fn numbers(to: usize) -> BTreeSet<String> {
    (0..to).map(|number| format!("{number:05}")).collect()
}

#[test]
fn one_node_keeps_what_it_acknowledged() -> anyhow::Result<()> {
    let mut broker = Broker::start(1)?;
    broker.create_topic("facts", 6, 1)?;
    produce(&broker, "facts", 0, MESSAGES)?;
    assert_eq!(consume(&broker, "facts", 6, MESSAGES)?, numbers(MESSAGES));

    broker.stop_node(0)?;
    assert!(broker.stop_node(0).is_err(), "a stopped node can't be stopped");
    broker.start_node(0)?;
    assert!(broker.start_node(0).is_err(), "a running node can't be started");
    assert_eq!(consume(&broker, "facts", 6, MESSAGES)?, numbers(MESSAGES));

    broker.kill_node(0)?;
    broker.start_node(0)?;
    assert_eq!(consume(&broker, "facts", 6, MESSAGES)?, numbers(MESSAGES));
    Ok(())
}

#[test]
fn a_paused_node_goes_on_where_it_was() -> anyhow::Result<()> {
    let mut broker = Broker::start(1)?;
    broker.create_topic("facts", 1, 1)?;
    broker.pause_node(0)?;
    let watermarks = |wait| -> anyhow::Result<(i64, i64)> {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create()?;
        Ok(client.fetch_watermarks("facts", 0, wait)?)
    };
    assert!(watermarks(Duration::from_secs(1)).is_err(), "a paused node answers nobody");
    broker.resume_node(0)?;
    produce(&broker, "facts", 0, 10)?;
    assert_eq!(consume(&broker, "facts", 1, 10)?, numbers(10));

    broker.delete_topic("facts")?;
    assert!(broker.delete_topic("facts").is_err(), "what is gone can't be deleted");
    broker.create_topic("facts", 1, 1)?;
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create()?;
    assert_eq!(client.fetch_watermarks("facts", 0, FETCH_MAX)?, (0, 0), "a topic recreated begins at 0");
    Ok(())
}

#[test]
fn three_nodes_go_on_without_one() -> anyhow::Result<()> {
    let mut broker = Broker::start(3)?;
    broker.create_topic("facts", 6, 3)?;
    produce(&broker, "facts", 0, MESSAGES)?;
    broker.kill_node(1)?;
    produce(&broker, "facts", MESSAGES, 2 * MESSAGES)?;
    assert_eq!(consume(&broker, "facts", 6, 2 * MESSAGES)?, numbers(2 * MESSAGES));
    broker.start_node(1)?;
    broker.stop_node(0)?;
    assert_eq!(consume(&broker, "facts", 6, 2 * MESSAGES)?, numbers(2 * MESSAGES));
    Ok(())
}

#[test]
fn other_sizes_are_refused() {
    assert!(Broker::start(2).is_err_and(|error| error.to_string().contains("1 or 3 nodes")));
}
