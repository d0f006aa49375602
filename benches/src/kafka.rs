//! From a real Kafka to durable and derived: one partition that was filled before, read by one writer.

use crate::input::{Input, activation};
use crate::stopwatch::{Lap, Stopwatch};
use accrue_ingest::kafka::{Assignment, Connection, KafkaOptions, KafkaPublisher, KafkaSource};
use accrue_projections::{Ledger, LedgerOptions};
use accrue_store::{Inline, Store, StoreOptions};
use accrue_tests::broker::Broker;
use anyhow::{Result, ensure};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const TOPIC: &str = "bench";
/// Between two looks at what is durable.
const LOOK: Duration = Duration::from_millis(2);
/// The broker has everything by then.
const FLUSH: Duration = Duration::from_secs(300);

/// Fills a partition, then takes it in: from the first message read to everything durable, the broker not counted in CPU.
pub fn ingest(input: &Input, dir: &Path) -> Result<Lap> {
    let broker = Broker::start(1)?;
    broker.create_topic(TOPIC, 1, 1)?;
    let connection = Connection::new(broker.bootstrap());
    let publisher = KafkaPublisher::connect(&connection, TOPIC, None)?;
    let activation = activation()?;
    let mut sent: u64 = 0;
    for value in std::iter::once(activation.as_slice()).chain(input.iter()) {
        publisher.publish_fact(value, 0)?;
        sent += 1;
    }
    let delivered = publisher.flush(FLUSH)?;
    ensure!(delivered.acknowledged == sent, "the broker took {} of {sent}", delivered.acknowledged);
    let store = Store::open(dir, StoreOptions { embedded_shards: None, ..StoreOptions::default() })?;
    let make = Arc::new(move |store: &Store, shard: u32| {
        let ledger = Ledger::open(store, shard, LedgerOptions::default())?;
        Ok(Box::new(ledger) as Box<dyn Inline>)
    });
    let mut options = KafkaOptions::new(broker.bootstrap(), TOPIC, "bench");
    options.assignment = Assignment::Manual(vec![0]);
    let source = KafkaSource::start(&store, make, options)?;
    let done = || source.status().shards().first().map_or(0, |shard| shard.next_offset.max(0)).unsigned_abs();
    // Joining and the first answers of the broker are not what is measured.
    while done() == 0 {
        std::thread::sleep(LOOK);
    }
    let (begun, watch) = (done(), Stopwatch::start());
    while done() < sent {
        ensure!(source.status().source().ended.is_none(), "reading has ended: {:?}", source.status().source().ended);
        std::thread::sleep(LOOK);
    }
    let lap = watch.lap();
    source.stop()?;
    // As if the first were measured too.
    let whole = |time: Duration| time.mul_f64(sent as f64 / (sent - begun) as f64);
    Ok(Lap { wall: whole(lap.wall), cpu: whole(lap.cpu) })
}
