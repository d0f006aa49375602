//! Facts from a real Kafka into a store: nothing lost, nothing twice, resumed at the log's own offsets.

#[path = "../../engine/ingest/tests/door/ids.rs"]
mod ids;

use accrue_ingest::kafka::{
    Assignment, Connection, HEADER_CODE, HEADER_DETAIL, KafkaOptions, KafkaPublisher, KafkaSource, TopicAdmin, TopicOptions, TopicState, requeue_kafka,
};
use accrue_ingest::{MakeInline, Message as Incoming, Rekey, ShardState, Status};
use accrue_store::{Candidate, Counters, DeadStatus, Frame, Group, Inline, InlineError, Position, ShardLog, Source, Store, StoreOptions, Verdict};
use accrue_tests::broker::Broker;
use anyhow::{Context as _, Result, ensure};
use ids::Disk;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 6;
const WAIT_MAX: Duration = Duration::from_secs(90);

/// One broker for all tests that leave it alone.
fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(1).expect("starts"))
}

fn make_topics(broker: &Broker, topic: &str) -> Result<()> {
    let options = TopicOptions { topic: topic.into(), dead_letter_topic: None, partitions: PARTITIONS as i32, replication: None, retention_ms: -1 };
    let admin = TopicAdmin::connect(&Connection::new(broker.bootstrap()))?;
    let plan = admin.plan(&options)?;
    ensure!(plan.changes(), "{plan:?}");
    let made = admin.apply(&options)?;
    ensure!(made.topics.iter().all(|topic| topic.state == TopicState::Made), "{made:?}");
    until("the topics are there", || {
        Ok(admin.plan(&options)?.topics.iter().all(|topic| topic.state == TopicState::Right))
    })?;
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

#[test]
fn twenty_thousand_facts_and_on_from_there() -> Result<()> {
    let (broker, topic, dir, disk) = (broker(), "twenty", tempfile::tempdir()?, Disk::default());
    make_topics(broker, topic)?;
    let publisher = connect(broker, topic)?;
    publish(&publisher, 0, 20_000)?;
    let store = open(dir.path())?;
    let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
    consumed(&store, 20_000)?;
    until("there is no lag", || Ok(source.status().shards().iter().all(|shard| shard.lag() == Some(0))))?;
    ensure!(source.status().not_ready().is_empty(), "{:?}", source.status().not_ready());
    source.stop()?;
    let first = sums(&store)?;
    ensure!((first.facts, first.duplicates, first.conflicts, first.dead_letters) == (18_800, 1_000, 0, 200), "{first:?}");
    views_are_true(&store, &disk)?;

    // The group's offsets don't matter, wherever somebody moves them.
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", format!("{topic}-group"))
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, PARTITIONS as i32 - 1);
    let told = client.committed_offsets(list.clone(), WAIT_MAX)?;
    for element in told.elements() {
        let next = store.shard(element.partition() as u32)?.head().next_offset(Source::Topic(topic));
        ensure!(element.offset() == Offset::Offset(next.context("some")?), "the group is told what is durable");
    }
    list.set_all_offsets(Offset::Offset(3))?;
    client.commit(&list, CommitMode::Sync)?;
    publish(&publisher, 20_000, 21_000)?;
    drop(store);
    let store = open(dir.path())?;
    let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
    consumed(&store, 21_000)?;
    source.stop()?;
    let second = sums(&store)?;
    ensure!((second.facts, second.duplicates, second.dead_letters) == (19_740, 1_050, 210), "{second:?}");
    views_are_true(&store, &disk)?;
    for shard in store.shard_ids() {
        let log = store.shard(shard)?;
        let mut before = -1;
        log.for_each(Position::FIRST, Position::MAX, |frame| -> Result<()> {
            ensure!(frame.offset > before, "in the order of the topic, each once");
            before = frame.offset;
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn dead_letters_are_kept_and_sent_on() -> Result<()> {
    let (broker, topic, dir, disk) = (broker(), "letters", tempfile::tempdir()?, Disk::default());
    make_topics(broker, topic)?;
    let publisher = connect(broker, topic)?;
    let value = fact("m1", "1");
    let headers: &[(&str, Option<&[u8]>)] = &[("traceparent", Some(b"00-aa-bb-01")), ("nothing", None)];
    let message = Incoming { value: Some(value.as_bytes()), key: Some(b"acme/m2"), headers, timestamp_ms: Some(1_750_000_000_123), offset: 0 };
    publisher.publish(&message, 1)?;
    publisher.flush(WAIT_MAX)?;
    let store = open(dir.path())?;
    let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
    consumed(&store, 1)?;

    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "letters-reader")
        .set("auto.offset.reset", "earliest")
        .create()?;
    reader.subscribe(&["letters-dlt"])?;
    let mut letter = None;
    until("the letter is on the topic", || {
        letter = reader.poll(Duration::from_millis(100)).transpose()?;
        Ok(letter.is_some())
    })?;
    let letter = letter.context("there")?;
    let shard = accrue_proto::murmur2_partition(b"acme/m2", PARTITIONS);
    ensure!(letter.partition() as u32 == shard, "the same partition");
    ensure!(letter.key() == message.key && letter.payload() == message.value, "as it came");
    let all: BTreeMap<&str, Option<&[u8]>> = letter.headers().context("has some")?.iter().map(|header| (header.key, header.value)).collect();
    let get = |name: &str| all.get(name).copied().flatten();
    ensure!(get("traceparent") == Some(b"00-aa-bb-01") && all.contains_key("nothing") && get("nothing").is_none(), "{all:?}");
    ensure!(get("kafka_dlt-original-topic") == Some(topic.as_bytes()), "{all:?}");
    ensure!(get("kafka_dlt-original-partition") == Some(&letter.partition().to_be_bytes()), "{all:?}");
    ensure!(get("kafka_dlt-original-offset") == Some(&0_i64.to_be_bytes()), "{all:?}");
    ensure!(get("kafka_dlt-original-timestamp") == Some(&1_750_000_000_123_i64.to_be_bytes()), "{all:?}");
    ensure!(get(HEADER_CODE) == Some(b"wrong_key"), "{all:?}");
    ensure!(get(HEADER_DETAIL).is_some_and(|detail| String::from_utf8_lossy(detail).contains("acme/m1")), "{all:?}");
    ensure!(!all.contains_key("accrue-record-timestamp"), "{all:?}");

    // With the key its body asks for, it is booked; and it is not sent on again after a restart.
    let log = store.shard(shard)?;
    let row = log.dead_letter(1)?.context("in the store")?;
    ensure!((row.letter.topic.as_str(), row.letter.offset, row.letter.code.as_str()) == (topic, 0, "wrong_key"), "{row:?}");
    requeue_kafka(&publisher, &log, 1, Rekey::FromBody, WAIT_MAX)?;
    ensure!(log.dead_letter(1)?.context("in the store")?.status == DeadStatus::Requeued, "noted");
    consumed(&store, 2)?;
    ensure!(sums(&store)?.facts == 1, "booked");
    until("the mark is written", || Ok(log.path().with_file_name("dead-letters-relayed").exists()))?;
    source.stop()?;
    let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
    publish(&publisher, 50, 51)?;
    consumed(&store, 3)?;
    let next = loop {
        if let Some(next) = reader.poll(WAIT_MAX) {
            break next?;
        }
    };
    ensure!(next.payload() == Some(b"rubbish"), "the next letter, not the first once more");
    source.stop()?;
    Ok(())
}

fn stopped(status: &Status) -> Vec<(u32, String)> {
    let shards = status.shards().into_iter();
    shards.filter_map(|shard| if let ShardState::Stopped { reason } = shard.state { Some((shard.shard, reason)) } else { None }).collect()
}

#[test]
fn a_topic_made_again_stops_the_shard() -> Result<()> {
    let (broker, dir) = (broker(), tempfile::tempdir()?);
    // Shorter than before; and longer, so that the stored offset is in its range.
    for (topic, facts, hint) in [("shorter", 10, "is outside shorter [0], which has 0 to 10"), ("longer", 200, "has another record at offset 98")] {
        let (dir, disk) = (dir.path().join(topic), Disk::default());
        broker.create_topic(topic, 1, 1)?;
        publish(&connect(broker, topic)?, 0, 100)?;
        let store = open(&dir)?;
        let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
        consumed(&store, 100)?;
        source.stop()?;
        broker.delete_topic(topic)?;
        broker.create_topic(topic, 1, 1)?;
        publish(&connect(broker, topic)?, 1_000, 1_000 + facts)?;
        let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
        until("it has stopped", || Ok(!stopped(source.status()).is_empty())).with_context(|| format!("{topic}: {:?}", source.status()))?;
        let reasons = stopped(source.status());
        ensure!(reasons.len() == 1 && reasons[0].1.contains(hint), "{reasons:?}");
        ensure!(!source.status().not_ready().is_empty(), "not ready");
        std::thread::sleep(Duration::from_millis(300));
        ensure!(sums(&store)?.consumed() == 100, "nothing of the other topic is in");
        source.stop()?;
    }
    Ok(())
}

#[test]
fn a_topic_made_again_while_it_is_read_stops_the_shard() -> Result<()> {
    let (broker, topic, dir, disk) = (broker(), "swapped", tempfile::tempdir()?, Disk::default());
    broker.create_topic(topic, 1, 1)?;
    publish(&connect(broker, topic)?, 0, 100)?;
    let store = open(dir.path())?;
    let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
    consumed(&store, 100)?;
    broker.delete_topic(topic)?;
    broker.create_topic(topic, 1, 1)?;
    publish(&connect(broker, topic)?, 1_000, 1_200)?;
    until("it has stopped", || Ok(!stopped(source.status()).is_empty())).with_context(|| format!("{:?}", source.status()))?;
    ensure!(sums(&store)?.consumed() == 100, "nothing of the other topic is in: {:?}", sums(&store)?);
    source.stop()?;
    Ok(())
}

#[test]
fn the_same_topic_goes_on_whatever_its_last_records_were() -> Result<()> {
    let (broker, topic, dir, disk) = (broker(), "anchor", tempfile::tempdir()?, Disk::default());
    broker.create_topic(topic, 1, 1)?;
    let publisher = connect(broker, topic)?;
    let store = open(dir.path())?;
    let by_hand = KafkaOptions { assignment: Assignment::Manual(vec![0]), ..options(broker, topic) };
    // The last one is a fact, a duplicate, rubbish, a fact.
    for (round, value) in [fact("m1", "1"), fact("m1", "1"), "rubbish".to_owned(), fact("m1", "2")].iter().enumerate() {
        publisher.publish(&Incoming { value: Some(value.as_bytes()), key: Some(b"acme/m1"), ..Incoming::default() }, round)?;
        publisher.flush(WAIT_MAX)?;
        let source = KafkaSource::start(&store, maker(&disk), by_hand.clone())?;
        consumed(&store, round + 1)?;
        ensure!(stopped(source.status()).is_empty(), "{:?}", stopped(source.status()));
        source.stop()?;
    }
    let sums = sums(&store)?;
    ensure!((sums.facts, sums.duplicates, sums.dead_letters) == (2, 1, 1), "{sums:?}");
    Ok(())
}

/// Takes its time, so that its queue fills.
struct Slow(Box<dyn Inline>);

impl Inline for Slow {
    fn next_position(&self) -> Position {
        self.0.next_position()
    }

    fn prepare(&mut self, candidates: &[Candidate<'_>]) -> Result<(), InlineError> {
        std::thread::sleep(Duration::from_millis(400));
        self.0.prepare(candidates)
    }

    fn offer(&mut self, candidate: &Candidate<'_>, position: Position, pending: &Group, log: &ShardLog) -> Result<Verdict, InlineError> {
        self.0.offer(candidate, position, pending, log)
    }

    fn replay(&mut self, frame: &Frame<'_>, log: &ShardLog) -> Result<(), InlineError> {
        self.0.replay(frame, log)
    }

    fn durable(&mut self, next: Position) {
        self.0.durable(next);
    }

    fn checkpoint(&mut self, force: bool) -> Result<(), InlineError> {
        self.0.checkpoint(force)
    }
}

#[test]
fn a_writer_that_is_behind_pauses_its_partition() -> Result<()> {
    let (broker, topic, dir, disk) = (broker(), "slow", tempfile::tempdir()?, Disk::default());
    broker.create_topic(topic, 2, 1)?;
    publish(&connect(broker, topic)?, 0, 20_000)?;
    let store = open(dir.path())?;
    let mut options = options(broker, topic);
    options.writer.queue_batches_max = 1;
    let slow: MakeInline = {
        let disk = disk.clone();
        Arc::new(move |_, shard| Ok(if shard == 0 { Box::new(Slow(disk.open(shard))) } else { disk.open(shard) }))
    };
    let source = KafkaSource::start(&store, slow, options)?;
    consumed(&store, 20_000)?;
    ensure!(source.status().source().pauses > 0, "{:?}", source.status().source());
    source.stop()?;
    let sums = sums(&store)?;
    ensure!((sums.facts, sums.duplicates, sums.dead_letters) == (18_800, 1_000, 200), "{sums:?}");
    views_are_true(&store, &disk)
}

#[test]
fn two_share_a_group_and_one_leaves() -> Result<()> {
    let (broker, topic) = (broker(), "shared");
    let (dir_a, dir_b, disk_a, disk_b) = (tempfile::tempdir()?, tempfile::tempdir()?, Disk::default(), Disk::default());
    make_topics(broker, topic)?;
    let publisher = connect(broker, topic)?;
    publish(&publisher, 0, 2_000)?;
    let (store_a, store_b) = (open(dir_a.path())?, open(dir_b.path())?);
    let a = KafkaSource::start(&store_a, maker(&disk_a), options(broker, topic))?;
    consumed(&store_a, 2_000)?;
    let b = KafkaSource::start(&store_b, maker(&disk_b), options(broker, topic))?;
    until("they share", || Ok(a.status().shards().len() == 3 && b.status().shards().len() == 3))?;
    publish(&publisher, 2_000, 4_000)?;
    let owned = |status: &Status| -> Vec<u32> { status.shards().iter().map(|shard| shard.shard).collect() };
    let of = |store: &Store, shards: &[u32]| -> Result<u64> {
        shards.iter().map(|shard| Ok(store.shard(*shard)?.head().counters.consumed())).sum()
    };
    let (owned_a, owned_b) = (owned(a.status()), owned(b.status()));
    until("both have theirs", || Ok(of(&store_a, &owned_a)? + of(&store_b, &owned_b)? == 4_000))?;
    b.stop()?;
    until("one has all again", || Ok(a.status().shards().len() == 6))?;
    consumed(&store_a, 4_000)?;
    ensure!(a.status().not_ready().is_empty(), "{:?}", a.status().not_ready());
    a.stop()?;
    let sums = sums(&store_a)?;
    ensure!((sums.facts, sums.duplicates, sums.dead_letters) == (3_760, 200, 40), "{sums:?}");
    views_are_true(&store_a, &disk_a)?;
    views_are_true(&store_b, &disk_b)
}

#[test]
fn brokers_come_and_go() -> Result<()> {
    let (topic, dir, disk) = ("coming", tempfile::tempdir()?, Disk::default());
    let mut broker = Broker::start(1)?;
    let store = open(dir.path())?;
    broker.stop_node(0)?;
    let source = KafkaSource::start(&store, maker(&disk), options(&broker, topic))?;
    until("it says that nobody answers", || Ok(source.status().not_ready().iter().any(|why| why.contains("no broker of 127.0.0.1"))))?;
    broker.start_node(0)?;
    until("it says that the topic is missing", || Ok(source.status().not_ready().iter().any(|why| why.contains("there is no topic coming"))))?;
    make_topics(&broker, topic)?;
    publish(&connect(&broker, topic)?, 0, 500)?;
    consumed(&store, 500)?;
    until("all is well", || Ok(source.status().not_ready().is_empty()))?;
    broker.kill_node(0)?;
    until("it says that nobody answers", || Ok(source.status().not_ready().iter().any(|why| why.contains("no broker of 127.0.0.1"))))?;
    broker.start_node(0)?;
    publish(&connect(&broker, topic)?, 500, 1_000)?;
    consumed(&store, 1_000)?;
    source.stop()?;
    ensure!(sums(&store)?.consumed() == 1_000, "each once");
    Ok(())
}

#[test]
fn an_embedded_store_is_not_filled_from_kafka() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), StoreOptions { embedded_shards: Some(1), ..StoreOptions::default() })?;
    let refused = KafkaSource::start(&store, maker(&Disk::default()), KafkaOptions::new("127.0.0.1:1", "t", "g"));
    ensure!(refused.is_err_and(|error| error.to_string().contains("log of record")));
    Ok(())
}
