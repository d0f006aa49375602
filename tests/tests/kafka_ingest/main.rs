//! Facts from a real Kafka into a store: nothing lost, nothing twice, resumed at the log's own offsets.

mod brokers;
mod consumption;
#[path = "../../../engine/ingest/tests/door/ids.rs"]
mod ids;
mod letters;
mod topics;

use accrue_ingest::kafka::{
    Assignment, Connection, HEADER_CODE, HEADER_DETAIL, KafkaOptions, KafkaPublisher, KafkaSource, TopicAdmin, TopicOptions,
    TopicState, requeue_kafka,
};
use accrue_ingest::{MakeInline, Message as Incoming, Rekey, ShardState, Status};
use accrue_store::{
    Candidate, Counters, DeadStatus, Frame, Group, Inline, InlineError, Position, ShardLog, Source, Store, StoreOptions, Verdict,
};
use accrue_tests::broker::Broker;
use anyhow::{Context as _, Result, ensure};
use ids::Disk;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::future::Future as _;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 6;
const WAIT_MAX: Duration = Duration::from_secs(90);

/// One broker for all tests that leave it alone.
fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(1).expect("starts"))
}

fn make_topics(broker: &Broker, topic: &str) -> Result<()> {
    let options = TopicOptions {
        topic: topic.into(),
        dead_letter_topic: None,
        partitions: PARTITIONS as i32,
        replication: None,
        retention_ms: -1,
    };
    let admin = TopicAdmin::connect(&Connection::new(broker.bootstrap()))?;
    let plan = admin.plan(&options)?;
    ensure!(plan.changes(), "{plan:?}");
    let made = admin.apply(&options)?;
    ensure!(made.topics.iter().all(|topic| topic.state == TopicState::Made), "{made:?}");
    until("the topics are there", || Ok(admin.plan(&options)?.topics.iter().all(|topic| topic.state == TopicState::Right)))?;
    let more = TopicOptions { partitions: 9, ..options };
    let TopicState::Differs(differences) = &admin.plan(&more)?.topics[0].state else { anyhow::bail!("9 is not 6") };
    ensure!(differences.len() == 1 && differences[0].what == "partitions", "{differences:?}");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "bounds how long a test waits")]
fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds()? {
        ensure!(begun.elapsed() < WAIT_MAX, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn fact(member: &str, id: &str) -> String {
    format!(
        r#"{{"id": "{id}", "source": "shop", "program": "acme", "member": "{member}", "occurred_at": "2025-06-01T10:00:00Z", "order_fulfilled": {{"order_id": "A"}}}}"#
    )
}

/// `from..to`: of a hundred, five come twice (the second time an older one), one is rubbish.
fn publish(publisher: &KafkaPublisher, from: usize, to: usize) -> Result<()> {
    for n in from..to {
        let id = if n % 20 == 19 { n - 19 } else { n };
        let key = format!("acme/m{}", id % 500);
        let value = if n % 100 == 50 { "rubbish".to_owned() } else { fact(&format!("m{}", id % 500), &id.to_string()) };
        publisher.publish(&Incoming { value: Some(value.as_bytes()), key: Some(key.as_bytes()), ..Incoming::default() }, n)?;
    }
    let delivered = publisher.flush(WAIT_MAX)?;
    ensure!((delivered.acknowledged, delivered.failed) == ((to - from) as u64, 0), "{delivered:?}");
    Ok(())
}

fn connect(broker: &Broker, topic: &str) -> Result<KafkaPublisher> {
    Ok(KafkaPublisher::connect(&Connection::new(broker.bootstrap()), topic, None)?)
}

fn open(dir: &Path) -> Result<Store> {
    Ok(Store::open(dir, StoreOptions::default())?)
}

fn maker(disk: &Disk) -> MakeInline {
    let disk = disk.clone();
    Arc::new(move |_, shard| Ok(disk.open(shard)))
}

fn options(broker: &Broker, topic: &str) -> KafkaOptions {
    KafkaOptions::new(broker.bootstrap(), topic, &format!("{topic}-group"))
}

fn sums(store: &Store) -> Result<Counters> {
    let mut sums = Counters::default();
    for shard in store.shard_ids() {
        let counters = store.shard(shard)?.head().counters;
        sums.facts += counters.facts;
        sums.duplicates += counters.duplicates;
        sums.conflicts += counters.conflicts;
        sums.dead_letters += counters.dead_letters;
    }
    Ok(sums)
}

fn consumed(store: &Store, wanted: usize) -> Result<()> {
    until(&format!("{wanted} are durable"), || Ok(sums(store)?.consumed() >= wanted as u64))
}

/// What a log has and a projection of it knows are the same, also when it is made again from nothing.
fn views_are_true(store: &Store, disk: &Disk) -> Result<()> {
    for shard in store.shard_ids() {
        let log = store.shard(shard)?;
        let again = Disk::default();
        let mut inline = again.open(shard);
        log.for_each(Position::FIRST, Position::MAX, |frame| inline.replay(frame, &log))?;
        inline.checkpoint(true)?;
        ensure!(again.known(shard) == disk.known(shard), "shard {shard}");
    }
    Ok(())
}

fn stopped(status: &Status) -> Vec<(u32, String)> {
    let shards = status.shards().into_iter();
    shards
        .filter_map(|shard| if let ShardState::Stopped { reason } = shard.state { Some((shard.shard, reason)) } else { None })
        .collect()
}
