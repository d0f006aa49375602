//! Beside a running service: what it sends is what the store itself gives, whatever comes in meanwhile; what breaks off is not
//! taken for whole.

use super::{AS_OF, Shop, command, files, json, run, told};
use accrue_tests::service::WAIT_MAX;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Other rules for the demo's program.
pub const RULES: &str = "program = \"demo\"\ncurrency = \"GBP\"\ntime_zone = \"Europe/London\"\n\
    [[earn]]\nid = \"base\"\non = \"order\"\npoints = 3\nper = \"1.00\"\n";

/// `accrue serve` without Kafka. Killed when dropped.
struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    fn start(store: &Path) -> Result<Serving> {
        let words = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-level", "error"];
        let mut child = command(store, &words)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut left = WAIT_MAX;
        loop {
            let notice = fs::read(store.join("serve.json")).unwrap_or_default();
            let notice: Value = serde_json::from_slice(&notice).unwrap_or_default();
            if let (Some(url), true) = (notice["url"].as_str(), notice["pid"] == child.id()) {
                return Ok(Serving { url: url.to_owned(), child });
            }
            ensure!(!left.is_zero() && child.try_wait()?.is_none(), "it does not serve");
            std::thread::sleep(Duration::from_millis(20));
            left = left.saturating_sub(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that is taken away, in files of one folder.
fn take_away(shop: &Shop, name: &str, more: &[&str]) -> Result<PathBuf> {
    let to = shop.path(name);
    fs::create_dir(&to)?;
    let rules = shop.path("rules.toml");
    fs::write(&rules, RULES)?;
    let rules = rules.display().to_string();
    let out = |name: &str| to.join(name).display().to_string();
    let past = [&["--as-of", AS_OF], more].concat();
    for words in [
        &["export", "parquet", "--out", &out("parquet")][..],
        &["export", "csv", "--out", &out("csv"), "--dates", "millis", "--from", "2026-01-01"],
        &["export", "csv", "--out", &out("other"), "--tables", "balances,daily", "--rules", &rules],
        &["replay", "--out", &out("entries.jsonl")],
        &["replay", "--out", &out("entries.csv"), "--format", "csv", "--rules", &rules],
        &["replay", "--out", &out("entries.parquet"), "--format", "parquet"],
        &["replay", "--out", &out("facts.jsonl"), "--facts"],
        &["replay", "--out", &out("facts.parquet"), "--facts", "--format", "parquet", "--to", "2026-01-01"],
    ] {
        run(&shop.store(), &[words, &past].concat())?;
    }
    fs::write(to.join("owed.json"), json(&shop.store(), &[&["liability", "--vintages"][..], &past].concat())?.to_string())?;
    Ok(to)
}

fn same(one: &Path, other: &Path) -> Result<()> {
    let (one, other) = (files(one)?, files(other)?);
    let differ = one.iter().zip(&other).filter(|(one, other)| one != other).map(|(one, _)| &one.0);
    ensure!(one == other, "{} files, {} files; first: {:?}", one.len(), other.len(), differ.take(3).collect::<Vec<_>>());
    Ok(())
}

fn order(number: usize) -> Value {
    json!({
        "id": format!("during-{number}"), "source": "till", "program": "demo", "member": format!("m-{:05}", number % 250),
        "occurred_at": "2026-02-10T12:00:00Z",
        "order_placed": { "order_id": format!("during-{number}"), "currency": "GBP",
            "lines": [{ "line_id": "1", "sku": "x", "quantity": 1, "unit_price": "12.00" }] },
    })
}

/// Facts of the past come in all the time.
fn ingest(url: &str, stop: &AtomicBool) -> Result<usize> {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let receipt: Value = ureq::post(format!("{url}/v1/facts"))
            .content_type("application/json")
            .send(order(number).to_string())?
            .body_mut()
            .read_json()?;
        ensure!(receipt["outcome"] == "booked", "{receipt}");
        number += 1;
    }
    Ok(number)
}

#[test]
fn a_service_sends_what_the_store_has_while_facts_come_in() -> Result<()> {
    let shop = Shop::make()?;
    let stopped = take_away(&shop, "stopped", &[])?;
    let manifest: Value = serde_json::from_slice(&fs::read(stopped.join("parquet/manifest.json"))?)?;
    let shards = manifest["shards"].as_array().context("shards")?.iter();
    let positions: Vec<String> = shards.map(|shard| format!("{}:{}", shard["shard"], shard["next_position"])).collect();
    let positions = positions.join(",");
    let serving = Serving::start(&shop.store())?;
    let stop = AtomicBool::new(false);
    let (running, booked) = std::thread::scope(|scope| {
        let ingesting = scope.spawn(|| ingest(&serving.url, &stop));
        let running = take_away(&shop, "running", &["--url", &serving.url, "--as-known-before", &positions]);
        stop.store(true, Ordering::Relaxed);
        (running, ingesting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (running, booked) = (running?, booked?);
    ensure!(booked > 20, "only {booked} facts came in meanwhile");
    same(&stopped, &running)?;
    // By the directory that the service has; what came in is part of it now.
    let (out, store) = (shop.path("later").display().to_string(), shop.store());
    let later = json(&store, &["export", "parquet", "--out", &out, "--as-of", AS_OF])?;
    let rows = |of: &Value| of["rows"]["orders"].as_u64();
    ensure!(rows(&later) == rows(&manifest).map(|rows| rows + booked as u64), "{later}");
    // The body of the API is the answer of the command.
    let body = json!({ "past": { "as_of": AS_OF, "as_known_before": by_shard(&positions)? }, "vintages": true });
    let answered = ureq::post(format!("{}/v1/liability", serving.url)).content_type("application/json").send(body.to_string())?;
    let answered: Value = answered.into_body().read_json()?;
    ensure!(
        answered == serde_json::from_slice::<Value>(&fs::read(stopped.join("owed.json"))?)?,
        "POST /v1/liability says otherwise"
    );
    Ok(())
}

fn by_shard(positions: &str) -> Result<Value> {
    let pairs = positions.split(',').map(|pair| pair.split_once(':').context("a pair"));
    let pairs = pairs.map(|pair| pair.and_then(|(shard, position)| Ok((shard.to_owned(), json!(position.parse::<u64>()?)))));
    Ok(Value::Object(pairs.collect::<Result<_>>()?))
}

/// Between a command and a service: cuts what the service sends after so many bytes.
struct Cut {
    url: String,
}

impl Cut {
    fn after(url: &str, bytes: u64) -> Result<Cut> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (cut, to) = (Cut { url: format!("http://{}", listener.local_addr()?) }, url.replace("http://", ""));
        std::thread::spawn(move || -> Result<()> {
            for asked in listener.incoming() {
                let (mut asked, mut service) = (asked?, TcpStream::connect(&to)?);
                let (mut from, mut into) = (asked.try_clone()?, service.try_clone()?);
                std::thread::spawn(move || std::io::copy(&mut from, &mut into));
                std::io::copy(&mut Read::by_ref(&mut service).take(bytes), &mut asked)?;
                asked.flush()?;
                asked.shutdown(Shutdown::Both)?;
                service.shutdown(Shutdown::Both)?;
            }
            Ok(())
        });
        Ok(cut)
    }
}

#[test]
fn what_breaks_off_is_not_there_or_goes_on() -> Result<()> {
    let shop = Shop::make()?;
    let (store, whole) = (shop.store(), shop.path("whole.jsonl"));
    let out = |name: &str| shop.path(name).display().to_string();
    run(&store, &["replay", "--as-of", AS_OF, "--out", &out("whole.jsonl")])?;
    fs::write(shop.path("rules.toml"), RULES)?;
    let serving = Serving::start(&store)?;
    for bytes in [100, 200_000] {
        let cut = Cut::after(&serving.url, bytes)?;
        for words in [
            &["export", "parquet", "--out", &out("export")][..],
            &["replay", "--format", "parquet", "--out", &out("entries.parquet")],
            &["rules", "diff", "live", &out("rules.toml"), "--parquet", &out("diff")],
        ] {
            let done = command(&store, &[words, &["--url", &cut.url]].concat())?.output()?;
            ensure!(done.status.code() == Some(1), "{words:?} after {bytes}: {}", told(&done));
        }
    }
    let there = fs::read_dir(shop.path(""))?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut there = there.collect::<Result<Vec<_>>>()?;
    there.sort();
    ensure!(there == ["rules.toml", "store", "whole.jsonl"], "{there:?}");
    // A replay keeps what came, says so, and goes on from there.
    let cut = Cut::after(&serving.url, 300_001)?;
    let done = command(&store, &["replay", "--as-of", AS_OF, "--out", &out("torn.jsonl"), "--url", &cut.url])?.output()?;
    ensure!(done.status.code() == Some(1) && told(&done).contains("--resume"), "{}", told(&done));
    let came = fs::metadata(shop.path("torn.jsonl"))?.len();
    ensure!(came > 100_000 && came < fs::metadata(&whole)?.len(), "{came} bytes came");
    run(&store, &["replay", "--resume", "--out", &out("torn.jsonl"), "--url", &serving.url])?;
    ensure!(fs::read(&whole)? == fs::read(shop.path("torn.jsonl"))?, "the two halves are not the whole");
    Ok(())
}

/// What is asked wrongly is a problem before anything is made.
#[test]
fn a_wrong_question_is_a_problem() -> Result<()> {
    let shop = Shop::make()?;
    let serving = Serving::start(&shop.store())?;
    let out = shop.path("out").display().to_string();
    for (words, exit) in [
        (&["export", "csv", "--out", &out, "--program", "nowhere"][..], 4),
        (&["export", "csv", "--out", &out, "--tables", "nothing"], 2),
        (&["export", "parquet", "--out", &out, "--dates", "seconds"], 2),
        (&["replay", "--out", &out, "--after", "x"], 2),
    ] {
        let done = command(&shop.store(), &[words, &["--url", &serving.url]].concat())?.output()?;
        ensure!(done.status.code() == Some(exit) && !shop.path("out").exists(), "{words:?}: {}", told(&done));
    }
    Ok(())
}
