//! Topics that are not what they were.

use super::*;

#[test]
fn a_topic_made_again_stops_the_shard() -> Result<()> {
    let (broker, dir) = (broker(), tempfile::tempdir()?);
    // Shorter than before; and longer, so that the stored offset is in its range.
    for (topic, facts, hint) in
        [("shorter", 10, "is outside shorter [0], which has 0 to 10"), ("longer", 200, "has another record at offset 98")]
    {
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
        until("it has stopped", || Ok(!stopped(source.status()).is_empty()))
            .with_context(|| format!("{topic}: {:?}", source.status()))?;
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
fn a_topic_with_more_partitions_is_not_read() -> Result<()> {
    let (broker, topic, dir, disk) = (broker(), "grown", tempfile::tempdir()?, Disk::default());
    broker.create_topic(topic, 2, 1)?;
    publish(&connect(broker, topic)?, 0, 100)?;
    let store = open(dir.path())?;
    let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
    consumed(&store, 100)?;
    source.stop()?;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create()?;
    let (three, how) = (NewPartitions::new(topic, 3), AdminOptions::new());
    let mut more = pin!(admin.create_partitions([&three], &how));
    let mut context = Context::from_waker(Waker::noop());
    until("there are three", || Ok(more.as_mut().poll(&mut context).is_ready()))?;
    until("all know that there are three", || Ok(connect(broker, topic)?.partitions() == 3))?;
    publish(&connect(broker, topic)?, 100, 200)?;
    let source = KafkaSource::start(&store, maker(&disk), options(broker, topic))?;
    until("it refuses", || Ok(stopped(source.status()).len() == 3))?;
    ensure!(stopped(source.status())[0].1.contains("filled from grown with 2 partitions, it has 3 now"), "{:?}", source.status());
    std::thread::sleep(Duration::from_millis(300));
    ensure!(sums(&store)?.consumed() == 100, "nothing is read");
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
