//! Dead letters, kept and sent on.

use super::*;

#[test]
fn dead_letters_are_kept_and_sent_on() -> Result<()> {
    let (broker, topic, dir, disk) = (broker(), "letters", tempfile::tempdir()?, Disk::default());
    make_topics(broker, topic)?;
    let publisher = connect(broker, topic)?;
    let value = fact("m1", "1");
    let headers: &[(&str, Option<&[u8]>)] = &[("traceparent", Some(b"00-aa-bb-01")), ("nothing", None)];
    let message = Incoming {
        value: Some(value.as_bytes()),
        key: Some(b"acme/m2"),
        headers,
        timestamp_ms: Some(1_750_000_000_123),
        offset: 0,
    };
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
    let all: BTreeMap<&str, Option<&[u8]>> =
        letter.headers().context("has some")?.iter().map(|header| (header.key, header.value)).collect();
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
    requeue_kafka(&publisher, &log, &[1], |_| Rekey::FromBody, WAIT_MAX)?;
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
