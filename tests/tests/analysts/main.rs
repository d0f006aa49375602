//! What analysts take away, by the binary itself: exports, replays and closings are whole, come out the same again, and say what
//! the engine says; DuckDB reads them.
//!
//! `cargo build --workspace --bins` first: these run what was built beside them. The first run fetches DuckDB.

mod determined;
mod duckdb;
mod scenarios;
mod service;

use accrue_tests::service::binary;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// As of when: later than all of the demo's facts but the last months'.
const AS_OF: &str = "2026-06-01T00:00:00Z";
const MEMBERS: &str = "250";

/// A store with the life of a shop.
struct Shop {
    dir: TempDir,
}

impl Shop {
    fn make() -> Result<Shop> {
        let dir = tempfile::Builder::new().prefix("accrue-analysts-").tempdir()?;
        run(&dir.path().join("store"), &["demo", "--members", MEMBERS, "--years", "2"])?;
        Ok(Shop { dir })
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn command(store: &Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(words).arg("--dir").arg(store).current_dir(store.parent().unwrap_or(store)).stdin(Stdio::null());
    Ok(command)
}

/// A command that has to work: what it says on standard output.
fn run(store: &Path, words: &[&str]) -> Result<String> {
    let done = command(store, words)?.output()?;
    ensure!(done.status.success(), "accrue {}: {}", words.join(" "), told(&done));
    Ok(String::from_utf8(done.stdout)?)
}

fn json(store: &Path, words: &[&str]) -> Result<Value> {
    let words: Vec<&str> = words.iter().copied().chain(["--output", "json"]).collect();
    serde_json::from_str(&run(store, &words)?).context("json")
}

fn told(done: &Output) -> String {
    format!("{}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim())
}

/// All files below a folder, by path within it.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.strip_prefix(folder)?.display().to_string(), fs::read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn an_export_is_the_same_again_and_names_its_files() -> Result<()> {
    let shop = Shop::make()?;
    for form in ["csv", "parquet"] {
        let (one, other) = (shop.path(&format!("{form}-1")), shop.path(&format!("{form}-2")));
        let [first, second] = [one.display().to_string(), other.display().to_string()];
        let manifest = json(&shop.store(), &["export", form, "--out", &first, "--as-of", AS_OF, "--threads", "2"])?;
        run(&shop.store(), &["export", form, "--out", &second, "--as-of", AS_OF, "--threads", "1", "--memory-mib", "1"])?;
        let (of_one, of_other) = (files(&one)?, files(&other)?);
        ensure!(of_one == of_other, "{form}: other bytes on one thread with little memory");
        let named = manifest["files"].as_array().context("files")?;
        ensure!(named.len() + 1 == of_one.len(), "{form}: {} files are named, {} are there", named.len(), of_one.len());
        for file in named {
            let path = file["path"].as_str().context("path")?;
            let done = Command::new("sha256sum").arg(one.join(path)).output()?;
            let sum = String::from_utf8(done.stdout)?;
            ensure!(file["sha256"].as_str().is_some_and(|named| sum.starts_with(named)), "{path}: {sum}");
        }
        ensure!(manifest["rows"]["entries"].as_u64().is_some_and(|rows| rows > 1_000), "{manifest}");
        // A folder with something in it is left alone.
        let again = command(&shop.store(), &["export", form, "--out", &first])?.output()?;
        ensure!(again.status.code() == Some(2) && files(&one)? == of_one, "{form}: {}", told(&again));
    }
    let parts = fs::read_dir(shop.dir.path())?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    ensure!(parts.into_iter().all(|name| !name.contains(".part")), "something half done is left");
    Ok(())
}

/// Reads some bytes of a stream, then kills whoever writes it: the rest is taken up where the whole lines end.
fn killed_and_resumed(shop: &Shop, flags: &[&str], bytes: u64) -> Result<()> {
    let (whole, torn) = (shop.path("whole"), shop.path("torn"));
    let [whole_name, torn_name] = [whole.display().to_string(), torn.display().to_string()];
    let words: Vec<&str> = ["replay", "--as-of", AS_OF].into_iter().chain(flags.iter().copied()).collect();
    run(&shop.store(), &[&words[..], &["--out", &whole_name]].concat())?;
    let mut child = command(&shop.store(), &words)?.stdout(Stdio::piped()).spawn()?;
    let mut begun = Vec::new();
    child.stdout.take().context("piped")?.take(bytes).read_to_end(&mut begun)?;
    child.kill()?;
    child.wait()?;
    let all = fs::read(&whole)?;
    ensure!(begun.len() as u64 == bytes && all.len() > begun.len(), "killed in the middle: {} of {}", begun.len(), all.len());
    fs::write(&torn, &begun)?;
    // Without --as-of: the token knows.
    let again: Vec<&str> = ["replay", "--resume", "--out", &torn_name].into_iter().chain(flags.iter().copied()).collect();
    run(&shop.store(), &again)?;
    ensure!(fs::read(&torn)? == all, "{flags:?}: the two halves are not the whole");
    fs::remove_file(whole)?;
    fs::remove_file(torn)?;
    Ok(())
}

#[test]
fn a_replay_that_was_killed_goes_on() -> Result<()> {
    let shop = Shop::make()?;
    for flags in [&[][..], &["--format", "csv"], &["--facts"], &["--facts", "--format", "csv", "--from", "2025-01-01"]] {
        killed_and_resumed(&shop, flags, 300_001)?;
    }
    // The token of another question is refused.
    let (file, name) = (shop.path("facts"), shop.path("facts").display().to_string());
    run(&shop.store(), &["replay", "--facts", "--as-of", AS_OF, "--out", &name])?;
    let other = command(&shop.store(), &["replay", "--resume", "--out", &name])?.output()?;
    ensure!(other.status.code() == Some(2), "{}", told(&other));
    fs::remove_file(&file)?;
    // So is that of another log, though both have as many facts.
    let another = Shop::make()?;
    for (shop, id) in [(&shop, "one"), (&another, "other")] {
        let fact = format!(
            r#"{{"id":"{id}","source":"books","program":"demo","member":"m-00007","occurred_at":"2026-02-10T12:00:00Z","points_adjusted":{{"adjustment_id":"{id}","points":1,"reason":"x"}}}}"#
        );
        fs::write(shop.path("late.jsonl"), fact)?;
        run(&shop.store(), &["publish", &shop.path("late.jsonl").display().to_string()])?;
    }
    run(&shop.store(), &["replay", "--facts", "--as-of", AS_OF, "--out", &name])?;
    let other = command(&another.store(), &["replay", "--resume", "--facts", "--out", &name])?.output()?;
    ensure!(other.status.code() == Some(2) && told(&other).contains("of another log"), "{}", told(&other));
    run(&shop.store(), &["replay", "--resume", "--facts", "--out", &name])?;
    Ok(())
}

/// Another month, another fact: a closing stays what it was, as known then.
#[test]
fn a_closing_comes_out_the_same_again() -> Result<()> {
    let shop = Shop::make()?;
    let close = |more: &[&str]| json(&shop.store(), &[&["liability", "--close", "2026-03"], more].concat());
    let first = close(&[])?;
    let main = &first["programs"][0]["ledgers"][0];
    ensure!(main["rows"].as_array().and_then(|rows| rows.last()).is_some_and(|row| row["period"] == "2026-03"), "{main}");
    let late = r#"{"id":"late","source":"books","program":"demo","member":"m-00007","occurred_at":"2026-02-10T12:00:00Z","order_placed":{"order_id":"late","currency":"GBP","lines":[{"line_id":"1","sku":"x","quantity":1,"unit_price":"120.00"}]}}"#;
    let file = shop.path("late.jsonl");
    fs::write(&file, late)?;
    run(&shop.store(), &["publish", &file.display().to_string()])?;
    let after = close(&[])?;
    ensure!(after["digest"] != first["digest"], "the late fact is in it");
    let shards = first["shards"].as_array().context("shards")?.iter();
    let positions: Vec<String> = shards.map(|shard| format!("{}:{}", shard["shard"], shard["next_position"])).collect();
    let again = close(&["--as-known-before", &positions.join(",")])?;
    ensure!(again["digest"] == first["digest"] && again["programs"] == first["programs"], "as known then, it is what it was");
    let open = command(&shop.store(), &["liability", "--close", "2999-01"])?.output()?;
    ensure!(!open.status.success() && told(&open).contains("not over"), "{}", told(&open));
    Ok(())
}
