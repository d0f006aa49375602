//! A store that is filled from Kafka is lost, restored, and catches up; one that is backed up to a bucket comes back from there.

use accrue_tests::broker::Broker;
use accrue_tests::bucket::Bucket;
use accrue_tests::service::{Service, Setup};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;

const RULES: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
const MEMBERS: usize = 20;
const ORDERS: usize = 120;

fn publish(setup: &Setup<'_>, dir: &Path, orders: std::ops::Range<usize>) -> Result<()> {
    let mut lines = String::new();
    for number in orders {
        let fact = json!({
            "id": format!("e-{number}"), "source": "test", "program": "shop", "member": format!("m{}", number % MEMBERS),
            "occurred_at": format!("2024-03-01T10:{:02}:{:02}Z", number / 60 % 60, number % 60),
            "order_placed": { "order_id": format!("o-{number}"), "lines": [{ "line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00" }] },
        });
        lines += &format!("{fact}\n");
    }
    let file = dir.join("facts.jsonl");
    std::fs::write(&file, lines)?;
    setup.run(&["publish", "--kafka", file.to_str().context("a path")?])?;
    Ok(())
}

/// Waits until so many are durable, ends it with grace, and tells what it has.
fn ended(service: Service, setup: &Setup<'_>, consumed: u64) -> Result<(Value, Value)> {
    service.until("all is durable", |service| Ok(service.durable()? >= consumed))?;
    service.terminate()?;
    let verified = setup.run_on_store(&["verify"])?;
    ensure!(verified["holds"] == true, "{verified}");
    Ok((setup.run_on_store(&["digest"])?, verified))
}

#[test]
fn lost_restored_and_caught_up() -> Result<()> {
    let (broker, dir) = (Broker::start(1)?, tempfile::tempdir()?);
    let (data, undisturbed, place) = (dir.path().join("data"), dir.path().join("undisturbed"), dir.path().join("place"));
    let setup =
        |dir, group| Setup { dir, brokers: broker.bootstrap(), topic: "facts", group, sets: &["kafka.topic_partitions=2"] };
    let (lost, other) = (setup(&data, "g"), setup(&undisturbed, "other"));
    let rules = dir.path().join("rules.toml");
    std::fs::write(&rules, RULES)?;
    lost.run(&["topics", "apply"])?;
    lost.run(&["rules", "activate", rules.to_str().context("a path")?, "--from", "2024-01-01", "--kafka"])?;
    publish(&lost, dir.path(), 0..ORDERS)?;

    let place = place.to_str().context("a path")?;
    let before = u64::try_from(ORDERS)? + 2;
    let service = Service::start(&lost)?;
    service.until("the first are durable", |service| Ok(service.durable()? >= before))?;
    let made = lost.run(&["backup", "create", place])?;
    ensure!(made["state"] == "whole" && !data.join("snapshot").exists(), "{made}");
    publish(&lost, dir.path(), ORDERS..2 * ORDERS)?;
    let all = before + u64::try_from(ORDERS)?;
    service.until("more are durable", |service| Ok(service.durable()? >= all))?;
    service.kill()?;
    std::fs::remove_dir_all(&data)?;

    lost.run(&["backup", "restore", place])?;
    let (digest, verified) = ended(Service::start(&lost)?, &lost, all)?;
    let (expected, undisturbed) = ended(Service::start(&other)?, &other, all)?;
    ensure!(digest == expected, "{digest} {expected}");
    let consumed = |report: &Value| -> Vec<u64> {
        report["shards"].as_array().into_iter().flatten().filter_map(|shard| shard["consumed"].as_u64()).collect()
    };
    ensure!(consumed(&verified) == consumed(&undisturbed), "{verified} {undisturbed}");
    ensure!(consumed(&verified).iter().sum::<u64>() == all, "none lost, none twice: {verified}");
    Ok(())
}

/// Facts that no compression makes small: a file of the log is sent in several parts.
fn large(dir: &Path, numbers: std::ops::Range<u64>) -> Result<String> {
    let (mut lines, mut state) = (String::new(), 7_u64);
    for number in numbers {
        let mut reason = String::new();
        while reason.len() < 60_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number | 1);
            reason += &format!("{:08x}", state >> 32);
        }
        let fact = json!({
            "id": format!("a-{number}"), "source": "test", "program": "shop", "member": format!("m{}", number % 7),
            "occurred_at": "2024-03-01T10:00:00Z",
            "points_adjusted": { "adjustment_id": format!("a-{number}"), "points": 5, "reason": reason },
        });
        lines += &format!("{fact}\n");
    }
    let file = dir.join("large.jsonl");
    std::fs::write(&file, lines)?;
    Ok(file.to_str().context("a path")?.to_owned())
}

#[test]
fn to_a_bucket_and_back() -> Result<()> {
    let (bucket, dir) = (Bucket::serve("safe")?, tempfile::tempdir()?);
    let (data, restored, rules) = (dir.path().join("data"), dir.path().join("restored"), dir.path().join("rules.toml"));
    let (setup, again) = (Setup::embedded(&data), Setup::embedded(&restored));
    std::fs::write(&rules, RULES)?;
    setup.run(&["rules", "activate", rules.to_str().context("a path")?, "--from", "2024-01-01"])?;
    let environment = bucket.environment();
    let place = "s3://safe/of/the shop";
    for (numbers, id) in [(0..300, 1), (300..310, 2)] {
        setup.run(&["publish", &large(dir.path(), numbers)?])?;
        let made = setup.run_in(&environment, &["backup", "create", place])?;
        ensure!(made["state"] == "whole", "{made}");
        let listed = setup.run_in(&environment, &["backup", "list", place])?;
        ensure!(listed["backups"].as_array().map(Vec::len) == Some(id), "{listed}");
    }
    setup.run_in(&environment, &["backup", "verify", place, "--deep"])?;
    let largest = std::fs::read_dir(bucket.dir().join("of/the shop/files"))?.map(|file| Ok(file?.metadata()?.len()));
    let largest = largest.collect::<Result<Vec<u64>>>()?.into_iter().max().unwrap_or_default();
    ensure!(largest > 8 << 20, "{largest}: sent in one part");

    again.run_in(&environment, &["backup", "restore", place])?;
    ensure!(again.run_on_store(&["verify"])?["holds"] == true);
    ensure!(again.run_on_store(&["digest"])? == setup.run_on_store(&["digest"])?);

    let told = |environment: &[(&'static str, String)], place: &str| match setup.run_in(environment, &["backup", "list", place]) {
        Err(error) => error.to_string(),
        Ok(answer) => answer.to_string(),
    };
    let mut stranger = environment.clone();
    stranger[2].1 = "guessed".to_owned();
    let refused = told(&stranger, place);
    ensure!(refused.contains("look at AWS_ACCESS_KEY_ID"), "{refused}");
    let nowhere = told(&environment, "s3://elsewhere/of");
    ensure!(nowhere.contains("is there such a bucket?"), "{nowhere}");
    Ok(())
}
