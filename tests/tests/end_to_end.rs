//! The whole service against a real Kafka: the binary is started, killed, stopped and shared, and every message is accounted for.
//!
//! `cargo build --workspace --bins` first: these run what was built beside them.

use accrue_ingest::Message as Outgoing;
use accrue_ingest::kafka::{Connection, HEADER_CODE, KafkaPublisher};
use accrue_ingest::workload::{PROGRAM, RULESET};
use accrue_store::{Counters, Store, StoreOptions};
use accrue_tests::broker::Broker;
use accrue_tests::history::random::Random;
use accrue_tests::service::{Service, Setup, WAIT_MAX};
use accrue_tests::traffic::{Expected, Traffic};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

const PARTITIONS: u32 = 6;
const TOPIC: &str = "facts";
/// Before the first fact.
const IN_FORCE_FROM: &str = "2022-12-01T00:00:00Z";
/// Small, so that kills also hit checkpoints; and members of a group that vanish are missed soon.
const SETS: [&str; 4] = [
    "kafka.topic_partitions=6",
    "ledger.checkpoint_facts=2000",
    "kafka.properties.session.timeout.ms=6000",
    "kafka.properties.heartbeat.interval.ms=500",
];
/// The same member of the group after each restart: no rebalance has to wait for the one that was killed.
const RESTARTED: [&str; 5] = [SETS[0], SETS[1], SETS[2], SETS[3], "kafka.group_instance_id=one"];

/// Dead letters are sent on behind the facts, but not as much as this.
const LETTER_WAIT: Duration = Duration::from_secs(20);

/// A broker with the topics and the ruleset, and folders. One test at a time: each is as much as two cores can do.
struct Site {
    broker: Broker,
    dir: TempDir,
    traffic: Traffic,
    begun: std::time::Instant,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// `messages` of traffic will be for it.
    #[expect(clippy::disallowed_methods, reason = "how long it took, for the reader; no result depends on it")]
    fn make(seed: u64, messages: u64) -> Result<Site> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (broker, dir) = (Broker::start(1)?, tempfile::Builder::new().prefix("accrue-e2e-").tempdir()?);
        let mut site = Site {
            broker,
            dir,
            traffic: Traffic::new(seed, messages, 3_000, PARTITIONS),
            begun: std::time::Instant::now(),
            _turn: turn,
        };
        // Of one secret all: then coupons have the same codes, and digests can be compared.
        let first = site.data("a");
        drop(Store::open(&first, StoreOptions::default())?);
        for other in ["b", "c"].map(|name| site.data(name)) {
            fs::create_dir(&other)?;
            for file in fs::read_dir(&first)? {
                let file = file?;
                if file.file_type()?.is_file() {
                    fs::copy(file.path(), other.join(file.file_name()))?;
                }
            }
        }
        let made = site.setup(&site.data("a"), "none", &SETS).run(&["topics", "apply"])?;
        let states: Vec<&str> =
            made["topics"].as_array().context("topics")?.iter().filter_map(|topic| topic["state"].as_str()).collect();
        ensure!(states == ["made", "made"], "{made}");
        let rules = site.dir.path().join("rules.toml");
        fs::write(&rules, RULESET)?;
        let rules = rules.display().to_string();
        let activated = ["rules", "activate", &rules, "--from", IN_FORCE_FROM, "--kafka"];
        site.setup(&site.data("a"), "none", &SETS).run(&activated)?;
        site.tell("a broker, its topics and a ruleset");
        site.traffic.add_control();
        Ok(site)
    }

    fn tell(&self, what: &str) {
        eprintln!("{:6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn setup<'a>(&'a self, dir: &'a Path, group: &'a str, sets: &'a [&'a str]) -> Setup<'a> {
        Setup { dir, brokers: self.broker.bootstrap(), topic: TOPIC, group, sets }
    }

    /// Messages that are in the topic, by partition, as the broker says.
    fn ends(&self) -> Result<BTreeMap<u32, u64>> {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", self.broker.bootstrap()).create()?;
        let end = |partition: u32| {
            let (low, high) = client.fetch_watermarks(TOPIC, partition as i32, WAIT_MAX)?;
            ensure!(low == 0, "nothing is deleted");
            Ok((partition, high.unsigned_abs()))
        };
        (0..PARTITIONS).map(end).collect()
    }

    fn publisher(&self) -> Result<KafkaPublisher> {
        Ok(KafkaPublisher::connect(&Connection::new(self.broker.bootstrap()), TOPIC, None)?)
    }

    fn produce(&mut self, messages: u64) -> Result<()> {
        let publisher = self.publisher()?;
        produce(&publisher, &mut self.traffic, messages)
    }
}

fn produce(publisher: &KafkaPublisher, traffic: &mut Traffic, messages: u64) -> Result<()> {
    for _ in 0..messages {
        let message = traffic.make()?.context("the traffic is over")?;
        publisher.publish(
            &Outgoing { value: message.value.as_deref(), key: Some(message.key.as_bytes()), ..Outgoing::default() },
            0,
        )?;
    }
    let delivered = publisher.flush(WAIT_MAX)?;
    ensure!((delivered.acknowledged, delivered.failed) == (messages, 0), "{delivered:?}");
    Ok(())
}

/// Everything in the topic is durable in this service, whose shards are all there are.
fn caught_up(service: &Service, ends: &BTreeMap<u32, u64>) -> Result<()> {
    let what = format!("{} are durable and there is no lag", ends.values().sum::<u64>());
    service.until(&what, |service| {
        let shards = service.shards()?;
        let there = shards.len() == ends.len()
            && shards.iter().all(|(shard, at)| ends.get(shard) == Some(&at.next_offset) && at.lag == Some(0));
        Ok(there && service.get("readyz")?.0 == 200)
    })
}

/// Reads the counters out of the store, with nobody else in it.
fn counters(dir: &Path) -> Result<BTreeMap<u32, Counters>> {
    let store = Store::open(dir, StoreOptions::default())?;
    store.shard_ids().into_iter().map(|shard| Ok((shard, store.shard(shard)?.head().counters))).collect()
}

/// Applied + duplicate + rejected + dead-lettered = consumed = produced, in each partition.
fn accounted_for(setup: &Setup<'_>, expected: &[Expected], ends: &BTreeMap<u32, u64>) -> Result<Counters> {
    let (found, mut sums) = (counters(setup.dir)?, Counters::default());
    ensure!(found.keys().eq(ends.keys()), "shards {:?}", found.keys());
    for ((shard, counters), wanted) in found.iter().zip(expected) {
        let differences = wanted.differences(counters);
        ensure!(differences.is_empty(), "shard {shard}: {}", differences.join("; "));
        ensure!(Some(&counters.consumed()) == ends.get(shard), "shard {shard}: {counters:?}, the topic has {ends:?}");
        sums.facts += counters.facts;
        sums.requests_accepted += counters.requests_accepted;
        sums.requests_rejected += counters.requests_rejected;
        sums.duplicates += counters.duplicates;
        sums.conflicts += counters.conflicts;
        sums.dead_letters += counters.dead_letters;
    }
    verified(setup, sums.consumed())?;
    Ok(sums)
}

/// `accrue verify` finds everything whole.
fn verified(setup: &Setup<'_>, consumed: u64) -> Result<()> {
    let report = setup.run_on_store(&["verify"])?;
    let shards = report["shards"].as_array().context("shards")?;
    let counted: u64 = shards.iter().filter_map(|shard| shard["consumed"].as_u64()).sum();
    ensure!(report["holds"] == true && counted == consumed, "{consumed} consumed: {report}");
    Ok(())
}

fn digest(setup: &Setup<'_>) -> Result<String> {
    let answer = setup.run_on_store(&["digest", PROGRAM])?;
    Ok(answer["digest"].as_str().context("no digest")?.to_owned())
}

fn remove_views(dir: &Path) -> Result<()> {
    let mut removed = 0;
    for shard in fs::read_dir(dir.join("shards"))? {
        fs::remove_dir_all(shard?.path().join("views"))?;
        removed += 1;
    }
    ensure!(removed == PARTITIONS, "{removed} shards");
    Ok(())
}

#[test]
fn ten_kills_lose_nothing_and_book_nothing_twice() -> Result<()> {
    const MESSAGES: u64 = 200_000;
    const KILLS: u64 = 10;
    const CHUNK: u64 = MESSAGES / (KILLS + 1);
    let mut site = Site::make(2_026, MESSAGES)?;
    let (dir, undisturbed) = (site.data("a"), site.data("b"));
    let publisher = site.publisher()?;
    let mut traffic = std::mem::replace(&mut site.traffic, Traffic::new(0, 0, 1, 1));
    let setup = site.setup(&dir, "killed", &RESTARTED);
    // The producer is always a chunk ahead of the kill, so that each comes in the midst of work.
    let (permit, permits) = sync_channel::<u64>(KILLS as usize + 2);
    let behind = std::thread::scope(|scope| -> Result<Vec<u64>> {
        let producer = scope.spawn(|| permits.into_iter().try_for_each(|messages| produce(&publisher, &mut traffic, messages)));
        let (mut random, mut behind) = (Random::new(10), Vec::new());
        permit.send(CHUNK)?;
        for kill in 0..KILLS {
            permit.send(if kill + 1 < KILLS { CHUNK } else { MESSAGES - KILLS * CHUNK })?;
            let goal = kill * CHUNK + CHUNK * random.between(30, 95).unsigned_abs() / 100;
            let service = Service::start(&setup)?;
            let mut durable = 0;
            service.until(&format!("{goal} are durable"), |service| {
                durable = service.durable()?;
                Ok(durable >= goal)
            })?;
            service.kill()?;
            behind.push(site.ends()?.values().sum::<u64>().saturating_sub(durable));
            site.tell(&format!("killed at {durable}"));
        }
        drop(permit);
        producer.join().map_err(|_| anyhow!("the producer panicked"))??;
        Ok(behind)
    })?;
    ensure!(behind.iter().all(|behind| *behind > 0), "a kill came when there was nothing left to do: {behind:?}");
    let ends = site.ends()?;
    ensure!(ends.values().sum::<u64>() == MESSAGES + u64::from(PARTITIONS), "{ends:?}");
    let service = Service::start(&setup)?;
    caught_up(&service, &ends)?;
    service.terminate()?;
    dead_letters_are_on_their_topic(&site, &setup, traffic.expected())?;
    let sums = accounted_for(&setup, traffic.expected(), &ends)?;
    let live = digest(&setup)?;
    site.tell(&format!("{KILLS} kills, behind by {behind:?}; {sums:?}; digest {live}"));

    let calm = site.setup(&undisturbed, "undisturbed", &SETS);
    let service = Service::start(&calm)?;
    caught_up(&service, &ends)?;
    service.terminate()?;
    ensure!(accounted_for(&calm, traffic.expected(), &ends)? == sums, "counted the same");
    ensure!(digest(&calm)? == live, "the run without kills has digest {}, the other {live}", digest(&calm)?);

    site.tell("the run without kills gives the same");
    remove_views(&dir)?;
    let service = Service::start(&setup)?;
    caught_up(&service, &ends)?;
    let (status, answer) = service.api(&format!("v1/programs/{PROGRAM}/digest"))?;
    ensure!(status == 200 && answer.contains(&live), "made again from the log: {answer}, before: {live}");
    service.terminate()?;
    site.tell("so does the log without its views");
    Ok(())
}

/// The right ones in the store; each on the topic, some perhaps more than once after a kill.
fn dead_letters_are_on_their_topic(site: &Site, setup: &Setup<'_>, expected: &[Expected]) -> Result<()> {
    let mut wanted = BTreeMap::<String, u64>::new();
    for (code, count) in expected.iter().flat_map(|of| &of.dead) {
        *wanted.entry((*code).to_owned()).or_default() += count;
    }
    let listed = setup.run_on_store(&["dlq", "list", "--all", "--limit", "100000"])?;
    let mut kept = BTreeMap::<String, u64>::new();
    for row in listed["dead_letters"].as_array().context("dead_letters")? {
        *kept.entry(row["code"].as_str().context("a code")?.to_owned()).or_default() += 1;
    }
    ensure!(kept == wanted, "the store has {kept:?}, {wanted:?} were produced");

    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", site.broker.bootstrap())
        .set("group.id", "letters")
        .set("auto.offset.reset", "earliest")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        list.add_partition_offset(&format!("{TOPIC}-dlt"), partition, Offset::Beginning)?;
    }
    reader.assign(&list)?;
    let (mut seen, mut sent, mut total) = (BTreeSet::new(), BTreeMap::<String, u64>::new(), 0);
    while (seen.len() as u64) < wanted.values().sum() {
        let Some(letter) = reader.poll(LETTER_WAIT) else {
            bail!("no more letters come; the topic has {sent:?}, {wanted:?} were produced");
        };
        let letter = letter?;
        total += 1;
        let headers: BTreeMap<&str, &[u8]> =
            letter.headers().context("headers")?.iter().filter_map(|one| Some((one.key, one.value?))).collect();
        let get = |name: &str| headers.get(name).copied().with_context(|| format!("no header {name}: {headers:?}"));
        ensure!(get("kafka_dlt-original-topic")? == TOPIC.as_bytes(), "{headers:?}");
        let partition = i32::from_be_bytes(get("kafka_dlt-original-partition")?.try_into()?);
        ensure!(partition == letter.partition(), "the same partition");
        if seen.insert((partition, get("kafka_dlt-original-offset")?.to_vec())) {
            *sent.entry(String::from_utf8(get(HEADER_CODE)?.to_vec())?).or_default() += 1;
        }
    }
    ensure!(sent == wanted, "the topic has {sent:?}, {wanted:?} were produced");
    let again = total - seen.len();
    site.tell(&format!("{} dead letters, {again} sent more than once: {wanted:?}", seen.len()));
    Ok(())
}

#[test]
fn two_instances_share_a_group_and_take_over() -> Result<()> {
    let mut site = Site::make(2, 30_000)?;
    let (dir_a, dir_b) = (site.data("a"), site.data("b"));
    let each_has_three =
        |a: &Service, b: &Service| a.until("each has three", |a| Ok(a.shards()?.len() == 3 && b.shards()?.len() == 3));
    // Both together have everything, each what is its own now.
    let both = |a: &Service, b: &Service, ends: &BTreeMap<u32, u64>| {
        a.until("what is shared is durable", |a| {
            let mut all = a.shards()?;
            all.extend(b.shards()?);
            Ok(all.len() == ends.len() && all.iter().all(|(shard, at)| ends.get(shard) == Some(&at.next_offset)))
        })
    };
    site.produce(10_000)?;
    let a = Service::start(&site.setup(&dir_a, "pair", &SETS))?;
    caught_up(&a, &site.ends()?)?;
    let b = Service::start(&site.setup(&dir_b, "pair", &SETS))?;
    each_has_three(&a, &b)?;
    site.tell("each has three");
    site.produce(10_000)?;
    both(&a, &b, &site.ends()?)?;
    b.terminate()?;
    site.tell("one left");
    site.produce(5_000)?;
    caught_up(&a, &site.ends()?)?;
    site.tell("the other has all");
    // It comes back, behind in all its shards, and then is left alone.
    let b = Service::start(&site.setup(&dir_b, "pair", &SETS))?;
    each_has_three(&a, &b)?;
    site.produce(5_000)?;
    both(&a, &b, &site.ends()?)?;
    a.terminate()?;
    let ends = site.ends()?;
    caught_up(&b, &ends)?;
    b.terminate()?;
    site.tell("it came back and took over");
    let setup = site.setup(&dir_b, "pair", &SETS);
    accounted_for(&setup, site.traffic.expected(), &ends)?;
    // The first one is where it was when it had them last, whole, and goes on from there.
    let behind: u64 = counters(&dir_a)?.values().map(Counters::consumed).sum();
    ensure!(behind < ends.values().sum(), "three shards were not its own at last: {behind}");
    let setup_a = site.setup(&dir_a, "pair", &SETS);
    verified(&setup_a, behind)?;
    let a = Service::start(&setup_a)?;
    caught_up(&a, &ends)?;
    a.terminate()?;
    accounted_for(&setup_a, site.traffic.expected(), &ends)?;
    ensure!(digest(&setup)? == digest(&setup_a)?, "both know the same");
    Ok(())
}

#[test]
fn a_broker_that_stops_is_waited_for() -> Result<()> {
    let mut site = Site::make(3, 40_000)?;
    let dir = site.data("a");
    site.produce(20_000)?;
    let publisher = site.publisher()?;
    let service = Service::start(&site.setup(&dir, "waiting", &SETS))?;
    service.until("5,000 are durable", |service| Ok(service.durable()? >= 5_000))?;
    // What is on its way when the broker stops is delivered when it is back.
    let mut traffic = std::mem::replace(&mut site.traffic, Traffic::new(0, 0, 1, 1));
    std::thread::scope(|scope| -> Result<()> {
        let producer = scope.spawn(|| produce(&publisher, &mut traffic, 20_000));
        site.broker.stop_node(0)?;
        service.until("it says that nobody answers", |service| {
            let (status, told) = service.get("readyz")?;
            Ok(status == 503 && told.contains("no broker of 127.0.0.1"))
        })?;
        ensure!(service.get("livez")?.0 == 200, "it lives");
        ensure!(service.api("v1/programs")?.1.contains(PROGRAM), "and answers");
        site.tell("not ready without a broker");
        site.broker.start_node(0)?;
        producer.join().map_err(|_| anyhow!("the producer panicked"))?
    })?;
    let ends = site.ends()?;
    caught_up(&service, &ends)?;
    service.terminate()?;
    site.tell("caught up");
    accounted_for(&site.setup(&dir, "waiting", &SETS), traffic.expected(), &ends)?;
    Ok(())
}

#[test]
fn offsets_of_the_group_do_not_matter() -> Result<()> {
    let mut site = Site::make(4, 9_000)?;
    let (dir, mut before) = (site.data("a"), String::new());
    for moved in [None, Some(Offset::Offset(0)), Some(Offset::Offset(1_000_000))] {
        site.produce(3_000)?;
        let ends = site.ends()?;
        if let Some(offset) = moved {
            let client: BaseConsumer =
                ClientConfig::new().set("bootstrap.servers", site.broker.bootstrap()).set("group.id", "lying").create()?;
            let mut list = TopicPartitionList::new();
            list.add_partition_range(TOPIC, 0, PARTITIONS as i32 - 1);
            list.set_all_offsets(offset)?;
            client.commit(&list, CommitMode::Sync)?;
            let told = client.committed_offsets(list, Duration::from_secs(10))?;
            ensure!(told.elements().iter().all(|element| element.offset() == offset), "moved: {told:?}");
        }
        let service = Service::start(&site.setup(&dir, "lying", &SETS))?;
        caught_up(&service, &ends)?;
        service.terminate()?;
        site.tell(&format!("moved to {moved:?}"));
        accounted_for(&site.setup(&dir, "lying", &SETS), site.traffic.expected(), &ends)?;
        // The digest is one that tells.
        let now = digest(&site.setup(&dir, "lying", &SETS))?;
        ensure!(now != before, "3,000 messages more, and the digest is still {now}");
        before = now;
    }
    Ok(())
}
