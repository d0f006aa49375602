//! Brokers that are not there.

use super::*;

#[test]
fn brokers_come_and_go() -> Result<()> {
    let (topic, dir, disk) = ("coming", tempfile::tempdir()?, Disk::default());
    let mut broker = Broker::start(1)?;
    let store = open(dir.path())?;
    broker.stop_node(0)?;
    let source = KafkaSource::start(&store, maker(&disk), options(&broker, topic))?;
    until("it says that nobody answers", || {
        Ok(source.status().not_ready().iter().any(|why| why.contains("no broker of 127.0.0.1")))
    })?;
    broker.start_node(0)?;
    until("it says that the topic is missing", || {
        Ok(source.status().not_ready().iter().any(|why| why.contains("there is no topic coming")))
    })?;
    make_topics(&broker, topic)?;
    publish(&connect(&broker, topic)?, 0, 500)?;
    consumed(&store, 500)?;
    until("all is well", || Ok(source.status().not_ready().is_empty()))?;
    broker.kill_node(0)?;
    until("it says that nobody answers", || {
        Ok(source.status().not_ready().iter().any(|why| why.contains("no broker of 127.0.0.1")))
    })?;
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
