//! The same facts are the same digests: of everything derived, of an export, of what is owed; on any number of threads, in any
//! process and any build. The maps of the engine have fixed hashers or an order (clippy.toml forbids a random one), so there is no
//! seed to vary but that of each process: every command here is a process of its own.
//!
//! The digests below are those of debug and of release builds: `cargo test` and `cargo test --release` have to meet them.

use super::{json, run};
use accrue_tests::history::{Features, Options, generate};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

/// After all facts; and between them.
const INSTANTS: [&str; 2] = ["2029-01-01T00:00:00Z", "2024-07-01T00:00:00Z"];
const SEED: u64 = 11;
const STATE: &str = "1bc26244541c7a15eb4dcb714571856d527b9243310b03f1ed8c189d5b44792e";
const EXPORTS: [&str; 2] = [
    "d7bb36c25d23c20abd33df50e0d831d4820a1aa4b9f9e9f6c5ac2dea7279a951",
    "f6ec1495c20a451b3293d68c8afcd8f3245e714c2f0a9d9645ac29554c912e6f",
];
const OWED: [u64; 2] = [5006603375066235810, 7342655727044274716];

/// A store of a made-up history, without requests: those are decided at an instant of the clock.
fn store(dir: &TempDir) -> Result<PathBuf> {
    let features = Features { erased: false, ..Features::ALL };
    let options = Options { members: 60, steps: 30, second_ruleset: false, features, ..Options::order_independent() };
    let history = generate(SEED, &options)?;
    let (store, rules, facts) = (dir.path().join("store"), dir.path().join("rules.toml"), dir.path().join("facts.jsonl"));
    fs::write(&rules, &history.rules_toml)?;
    fs::write(&facts, history.facts().iter().map(|fact| format!("{fact}\n")).collect::<String>())?;
    let [rules, facts] = [&rules, &facts].map(|path| path.display().to_string());
    run(&store, &["--set", "shards=3", "rules", "activate", &rules, "--from", "0001-01-01"])?;
    run(&store, &["publish", &facts])?;
    Ok(store)
}

fn text(of: &Value, name: &str) -> Result<String> {
    of[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {of}"))
}

/// The digest of a generation that is built on so many threads.
fn rebuilt(store: &Path, threads: &str) -> Result<String> {
    let built = json(store, &["rebuild", "start", "--threads", threads])?;
    let rows = built["generations"].as_array().context("generations")?;
    let number = rows.iter().filter_map(|row| row["generation"].as_u64()).max().context("a generation")?;
    run(store, &["rebuild", "flip", &number.to_string()])?;
    text(&json(store, &["digest"])?, "digest")
}

#[test]
fn the_same_facts_are_the_same_digests() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("accrue-determined-").tempdir()?;
    let store = store(&dir)?;
    let live = text(&json(&store, &["digest"])?, "digest")?;
    ensure!(live == STATE, "the state is {live}");
    for threads in ["1", "2", "4"] {
        ensure!(rebuilt(&store, threads)? == live, "the state is another on {threads} threads");
    }
    for (at, number) in INSTANTS.iter().zip(0..) {
        let mut digests = Vec::new();
        for threads in ["1", "2", "4"] {
            let out = dir.path().join(format!("{number}-{threads}")).display().to_string();
            let past = ["--as-of", *at, "--threads", threads, "--memory-mib", threads];
            let made = json(&store, &[&["export", "csv", "--out", &out][..], &past].concat())?;
            let owed = json(&store, &[&["liability", "--vintages"][..], &past].concat())?;
            ensure!(made["rows"]["entries"].as_u64() > Some(100), "{made}");
            digests.push((text(&made, "digest")?, xxh3_64(owed["programs"].to_string().as_bytes())));
        }
        ensure!(digests.iter().all(|digest| *digest == digests[0]), "at {at}, on 1, 2 and 4 threads: {digests:?}");
        let (export, owed) = &digests[0];
        ensure!(export == EXPORTS[number] && *owed == OWED[number], "at {at}: {export}, {owed}");
    }
    let other = tempfile::tempdir()?;
    let again = text(&json(&self::store(&other)?, &["digest"])?, "digest")?;
    ensure!(again == live, "another store of the same facts has another digest");
    Ok(())
}
