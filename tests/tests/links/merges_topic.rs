//! Members of several partitions that become one, through a real Kafka.

use super::merges::{FACTS, STEPS, earned, many, step};
use super::topic::{Topic, produce};
use super::{MEMBERS, PROGRAM, beginnings, member};
use accrue_tests::service::Service;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::time::Duration;

const KILLS: u64 = 3;

fn get(service: &Service, path: &str) -> Result<Value> {
    let (status, text) = service.api(&format!("v1/programs/{PROGRAM}/{path}"))?;
    ensure!(status == 200, "{path}: {status} {text}");
    Ok(serde_json::from_str(&text)?)
}

/// Every member of the program, in all shards: name, active, spent, debt.
fn rows(service: &Service) -> Result<Vec<(String, i64, i64, i64)>> {
    let answer = get(service, "members?page_size=100")?;
    let row = |row: &Value| {
        let number = |name: &str| row[name].as_i64().unwrap_or(-1);
        (row["member"].as_str().unwrap_or_default().to_owned(), number("active"), number("spent"), number("debt"))
    };
    Ok(answer["members"].as_array().context("members")?.iter().map(row).collect())
}

fn at_rest(service: &Service) -> Result<()> {
    let (mut before, mut calm) = (None, 0);
    service.until("nothing is on its way", |service| {
        std::thread::sleep(Duration::from_millis(250));
        let shards = service.shards()?;
        let whole = shards.len() == 6 && shards.values().all(|shard| shard.lag == Some(0));
        let now = Some(service.durable()?);
        calm = if whole && now == before { calm + 1 } else { 0 };
        before = now;
        Ok(calm >= 6)
    })
}

#[test]
fn merges_through_kafka_survive_kills() -> Result<()> {
    let topic = Topic::begin("merges")?;
    produce(&topic.publisher, beginnings().into_iter().chain((0..FACTS).map(many)))?;
    let service = topic.through_kills(KILLS, STEPS, step)?;
    at_rest(&service)?;
    let rows = rows(&service)?;
    let names: Vec<&str> = rows.iter().map(|(member, ..)| member.as_str()).collect();
    ensure!(names == ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"], "each once: {names:?}");
    let sum: i64 = rows.iter().map(|(_, active, spent, _)| active + spent).sum();
    ensure!(sum == earned() && rows.iter().all(|(.., debt)| *debt == 0), "{sum} of {}: {rows:?}", earned());
    for number in 0..MEMBERS {
        let answer = get(&service, &format!("members/{}", member(number)))?;
        ensure!(answer["member"] == member(number % 8).as_str(), "{}: {answer}", member(number));
    }
    topic.end(service)
}
