//! A shop's store, and what is asked of it.

use accrue_tests::service::{Service, Setup};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub const RULES: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
pub const MEMBERS: usize = 97;
/// Merged into another, of the other shard.
pub const ALIAS: &str = "m2";
pub const POINTS_OF_AN_ORDER: i64 = 5;
const FACTS_OF_A_POST: usize = 10;

pub fn order(number: usize) -> Value {
    json!({
        "id": format!("e-{number}"), "source": "test", "program": "shop", "member": member(number),
        "occurred_at": format!("2024-03-{:02}T10:{:02}:{:02}Z", 1 + number / 3600, number / 60 % 60, number % 60),
        "order_placed": { "order_id": format!("o-{number}"), "lines": [{ "line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00" }] },
    })
}

pub fn member(number: usize) -> String {
    format!("m{}", number % MEMBERS)
}

/// A store of two shards, with rules, orders and a merge; copies have the same secrets, so digests can be compared.
pub struct Shop {
    pub dir: TempDir,
}

impl Shop {
    pub fn open(orders: Range<usize>) -> Result<Shop> {
        let shop = Shop { dir: tempfile::Builder::new().prefix("accrue-faults-").tempdir()? };
        let data = shop.path("base");
        let setup = Setup::embedded(&data);
        let rules = shop.write("rules.toml", RULES)?;
        setup.run(&["rules", "activate", &rules, "--from", "2024-01-01"])?;
        shop.publish(&setup, orders)?;
        Ok(shop)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.path(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    pub fn copy(&self, name: &str) -> Result<PathBuf> {
        let to = self.path(name);
        copy_all(&self.path("base"), &to)?;
        Ok(to)
    }

    /// Hands orders and the merge in, and everything is known then.
    pub fn publish(&self, setup: &Setup<'_>, orders: Range<usize>) -> Result<()> {
        let merge = json!({
            "id": "merge", "source": "test", "program": "shop", "member": "m1", "occurred_at": "2024-03-20T00:00:00Z",
            "members_merged": { "loser": ALIAS },
        });
        let lines: String = orders.map(order).chain([merge]).map(|fact| format!("{fact}\n")).collect();
        let told = setup.run(&["publish", &self.write("facts.jsonl", &lines)?])?;
        let count = |name: &str| told["outcomes"][name].as_u64().unwrap_or(0);
        ensure!(count("applied") + count("duplicate") == lines.lines().count() as u64, "{told}");
        Ok(())
    }

    /// The digest of a store that takes in the same and is never disturbed.
    pub fn undisturbed(&self, orders: Range<usize>) -> Result<Value> {
        let data = self.copy("undisturbed")?;
        self.publish(&Setup::embedded(&data), orders)?;
        digest(&Setup::embedded(&data))
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

pub fn digest(setup: &Setup<'_>) -> Result<Value> {
    setup.run_on_store(&["digest"])
}

/// `accrue verify` finds everything whole.
pub fn is_whole(setup: &Setup<'_>) -> Result<()> {
    let verified = setup.run_on_store(&["verify"])?;
    ensure!(verified["holds"] == true, "{verified}");
    Ok(())
}

/// Hands orders in one after the other, until all are in or nobody answers.
pub fn post(url: &str, orders: Range<usize>) -> Result<()> {
    let agent = ureq::Agent::new_with_defaults();
    for first in orders.clone().step_by(FACTS_OF_A_POST) {
        let few: Vec<Value> = (first..orders.end.min(first + FACTS_OF_A_POST)).map(order).collect();
        let sent = agent.post(format!("{url}/v1/facts")).content_type("application/json").send(Value::from(few).to_string());
        ensure!(sent.with_context(|| format!("order {first}"))?.status() == 200, "order {first} was not taken");
    }
    Ok(())
}

/// A row for each shard and generation: shard, generation, state.
pub fn generations(service: &Service) -> Result<Vec<(u64, u64, String)>> {
    let (status, told) = service.api("v1/generations")?;
    ensure!(status == 200, "{told}");
    let told: Value = serde_json::from_str(&told)?;
    let row = |row: &Value| {
        let state = row["state"].as_str()?.to_owned();
        Some((row["shard"].as_u64()?, row["generation"].as_u64()?, state))
    };
    told["generations"].as_array().context("generations")?.iter().map(|one| row(one).with_context(|| one.to_string())).collect()
}

/// Waits until nothing is being built, and tells what there is.
pub fn settled(service: &Service) -> Result<Vec<(u64, u64, String)>> {
    let mut rows = Vec::new();
    service.until("all generations are in step", |service| {
        rows = generations(service)?;
        ensure!(rows.iter().all(|(.., state)| state != "failed"), "{rows:?}");
        Ok(rows.iter().all(|(.., state)| !["building", "catching_up"].contains(&state.as_str())))
    })?;
    Ok(rows)
}

/// What is live, by shard.
pub fn live(service: &Service) -> Result<Vec<u64>> {
    Ok(generations(service)?.into_iter().filter(|(.., state)| state == "live").map(|(_, generation, _)| generation).collect())
}

/// Builds a generation and waits until it is in step; its number.
pub fn build(service: &Service) -> Result<u64> {
    let (status, told) = service.post("v1/generations", r#"{"threads": 2, "memory_mib": 1}"#)?;
    ensure!(status == 200, "{told}");
    settled(service)?;
    told["generation"].as_u64().with_context(|| told.to_string())
}

pub fn flip(service: &Service, generation: u64) -> Result<Value> {
    let (status, told) = service.post(&format!("v1/generations/{generation}/flip"), "")?;
    ensure!(status == 200, "{told}");
    Ok(told)
}

/// A generation has the numbers of the live one.
pub fn is_the_same(service: &Service, generation: u64) -> Result<()> {
    let (status, told) = service.api(&format!("v1/generations/{generation}/diff"))?;
    let found: Value = serde_json::from_str(&told)?;
    ensure!(status == 200 && found["changed"] == 0 && found["programs"]["shop"]["members"].as_u64() > Some(0), "{told}");
    Ok(())
}
