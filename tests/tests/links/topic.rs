//! Through a real Kafka.

use super::{IN_FORCE_FROM, MEMBERS, POINTS, PROGRAM, RULESET, beginnings, member, order, redemption, transfer};
use accrue_ingest::Message;
use accrue_ingest::kafka::{Connection, KafkaPublisher};
use accrue_tests::broker::Broker;
use accrue_tests::service::{Service, Setup, WAIT_MAX};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

const TOPIC: &str = "facts";
const TRANSFERS: u64 = 2_000;
const KILLS: u64 = 4;
const SETS: [&str; 4] = [
    "kafka.topic_partitions=6",
    "ledger.checkpoint_facts=300",
    "kafka.properties.session.timeout.ms=6000",
    "kafka.group_instance_id=one",
];

pub(super) fn produce(publisher: &KafkaPublisher, facts: impl Iterator<Item = (String, Vec<u8>)>) -> Result<()> {
    for (who, bytes) in facts {
        let key = format!("{PROGRAM}/{who}");
        publisher.publish(&Message { value: Some(&bytes), key: Some(key.as_bytes()), ..Message::default() }, 0)?;
    }
    let delivered = publisher.flush(WAIT_MAX)?;
    ensure!(delivered.failed == 0, "{delivered:?}");
    Ok(())
}

/// Moved in, moved out, active and debt of all members.
fn sums(service: &Service) -> Result<[i64; 4]> {
    let mut sums = [0; 4];
    for number in 0..MEMBERS {
        let (status, text) = service.api(&format!("v1/programs/{PROGRAM}/members/{}", member(number)))?;
        if status != 200 {
            continue;
        }
        let answer: Value = serde_json::from_str(&text)?;
        for (sum, name) in sums.iter_mut().zip(["moved_in", "moved_out", "active", "debt"]) {
            *sum += answer["balance"]["main"][name].as_i64().unwrap_or(0);
        }
    }
    Ok(sums)
}

/// Nothing is behind, and nothing came for a while.
pub(super) fn at_rest(service: &Service) -> Result<()> {
    let mut before = None;
    let mut calm = 0;
    service.until("nothing is on its way", |service| {
        std::thread::sleep(Duration::from_millis(250));
        let (shards, sums) = (service.shards()?, sums(service)?);
        let whole = shards.len() == 6 && shards.values().all(|shard| shard.lag == Some(0));
        let now = Some((service.durable()?, sums));
        calm = if whole && now == before && sums[0] == sums[1] { calm + 1 } else { 0 };
        before = now;
        Ok(calm >= 4)
    })
}

/// A topic with rules in force, and a service's place.
pub(super) struct Topic {
    broker: Broker,
    _dir: TempDir,
    data: PathBuf,
    group: &'static str,
    pub publisher: KafkaPublisher,
}

impl Topic {
    pub fn begin(group: &'static str) -> Result<Topic> {
        let (broker, dir) = (Broker::start(1)?, tempfile::Builder::new().prefix(&format!("accrue-{group}-")).tempdir()?);
        let (data, rules) = (dir.path().join("a"), dir.path().join("rules.toml"));
        let setup = Setup { dir: &data, brokers: broker.bootstrap(), topic: TOPIC, group, sets: &SETS };
        setup.run(&["topics", "apply"])?;
        std::fs::write(&rules, RULESET)?;
        setup.run(&["rules", "activate", &rules.display().to_string(), "--from", IN_FORCE_FROM, "--kafka"])?;
        let publisher = KafkaPublisher::connect(&Connection::new(broker.bootstrap()), TOPIC, None)?;
        Ok(Topic { broker, _dir: dir, data, group, publisher })
    }

    pub fn setup(&self) -> Setup<'_> {
        Setup { dir: &self.data, brokers: self.broker.bootstrap(), topic: TOPIC, group: self.group, sets: &SETS }
    }

    /// A service that got all of these, and was killed so many times meanwhile.
    pub fn through_kills(&self, kills: u64, facts: u64, fact: impl Fn(u64) -> (String, Vec<u8>)) -> Result<Service> {
        let each = facts / (kills + 1);
        for part in 0..kills {
            let service = Service::start(&self.setup())?;
            produce(&self.publisher, (part * each..(part + 1) * each).map(&fact))?;
            let before = service.durable()?;
            service.until("some more are durable", |service| Ok(service.durable()? > before + each / 2))?;
            service.kill()?;
        }
        let service = Service::start(&self.setup())?;
        produce(&self.publisher, (kills * each..facts).map(fact))?;
        Ok(service)
    }

    /// Stops the service: what it leaves holds.
    pub fn end(&self, service: Service) -> Result<()> {
        service.terminate()?;
        let report = self.setup().run_on_store(&["verify"])?;
        ensure!(report["holds"] == true, "{report}");
        Ok(())
    }
}

#[test]
fn transfers_and_a_thousand_redemptions_through_kafka() -> Result<()> {
    let topic = Topic::begin("links")?;
    produce(&topic.publisher, beginnings().into_iter())?;
    let service = topic.through_kills(KILLS, TRANSFERS, transfer)?;
    at_rest(&service)?;
    let [moved_in, moved_out, active, debt] = sums(&service)?;
    ensure!(moved_in == moved_out && moved_in > 0, "{moved_out} went, {moved_in} came");
    ensure!(active - debt == MEMBERS as i64 * POINTS, "{active} active, {debt} owed");

    // Of somebody who gives and gets nothing.
    let wants = "lonely";
    produce(
        &topic.publisher,
        [order(wants)].into_iter().chain((0..1_000).map(|number| (wants.to_owned(), redemption(wants, number)))),
    )?;
    at_rest(&service)?;
    let (_, text) = service.api(&format!("v1/programs/{PROGRAM}/members/{wants}"))?;
    let answer: Value = serde_json::from_str(&text)?;
    let main = &answer["balance"]["main"];
    ensure!(main["spent"] == POINTS && main["active"] == 0 && main["debt"] == 0, "{main}");
    topic.end(service)?;
    let entries = topic.setup().run_on_store(&["entries", wants, "--program", PROGRAM])?;
    let entries = entries["entries"].as_array().or(entries.as_array()).context("entries")?;
    let spent = entries.iter().filter(|entry| entry["kind"] == "spent").count();
    ensure!(spent == 1, "{spent} redemptions were accepted");
    Ok(())
}
