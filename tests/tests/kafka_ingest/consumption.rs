//! Everything once, whoever reads and however slowly.

use super::*;

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

    fn offer(
        &mut self,
        candidate: &Candidate<'_>,
        position: Position,
        pending: &Group,
        log: &ShardLog,
    ) -> Result<Verdict, InlineError> {
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
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).set("group.id", format!("{topic}-group")).create()?;
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
