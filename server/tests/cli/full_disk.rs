//! A full disk, with the real binary: what was taken in stays, what could not be done is told, and is done when there is room.

use super::bad_paths::with_rules;
use super::desk::{Desk, Done};
use super::serve::Serve;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Facts that a small disk has no room for.
const FACTS: usize = 20_000;

fn facts(count: usize) -> String {
    let fact = |n: usize| {
        let member = n % 500;
        format!(
            r#"{{"id":"{n:06}","source":"test","program":"shop","member":"member-{member}","occurred_at":"2024-03-01T10:00:00Z","order_placed":{{"order_id":"order-{n}","currency":"GBP","lines":[{{"line_id":"1","sku":"article-{n}-of-the-catalogue","quantity":1,"unit_price":"1.00"}}]}}}}"#
        ) + "\n"
    };
    (0..count).map(fact).collect()
}

/// A disk of a few megabytes, where this process may have one; else files that may not grow.
struct SmallDisk {
    at: PathBuf,
    mounted: bool,
}

impl SmallDisk {
    fn new(dir: &Path, size: &str) -> SmallDisk {
        let at = dir.join("disk");
        std::fs::create_dir(&at).expect("made");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&at).output();
        SmallDisk { at, mounted: mount.is_ok_and(|done| done.status.success()) }
    }

    /// From now on it has room for so much more.
    fn leave(&self, bytes: u64) {
        let about = rustix::fs::statvfs(&self.at).expect("it tells");
        let used = (about.f_blocks - about.f_bfree) * about.f_frsize;
        self.grow(&(used + bytes).to_string());
    }

    fn grow(&self, size: &str) {
        if self.mounted {
            let done = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.at).output().expect("runs");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.at).output();
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_and_it_goes_on_with_more_room() {
    let desk = with_rules();
    let disk = SmallDisk::new(desk.dir.path(), "5m");
    desk.write("facts.jsonl", &facts(FACTS));
    // Little memory for what is not yet in files: the disk is written to early.
    let small = "--set shards=1 --set ledger.checkpoint_facts=5000";
    desk.json(&format!("rules activate rules.toml --dir disk/store --from 2024-01-01 {small}"));
    let publish = format!("publish --dir disk/store facts.jsonl {small}");
    let full = if disk.mounted { desk.run(&publish) } else { desk.limited(&publish, 1_500) };
    assert_eq!(full.code, 1, "{}", full.err);
    let reason = if disk.mounted { "the disk is full: free some room" } else { "File too large" };
    assert!(full.err.contains(reason), "{}", full.err);
    assert!(!full.err.contains("panicked"), "{}", full.err);

    disk.grow("200m");
    let kept = desk.json("verify --dir disk/store");
    let booked = kept["shards"][0]["frames"].as_u64().unwrap_or_else(|| panic!("{kept}"));
    assert!(booked > 0 && booked < FACTS as u64, "some had room: {kept}");
    let again = desk.json(&publish);
    let outcomes = &again["outcomes"];
    let count = |name: &str| outcomes[name].as_u64().unwrap_or(0);
    assert_eq!(count("applied") + count("duplicate"), FACTS as u64, "{again}");
    assert!(count("duplicate") > 0, "what was durable is known: {again}");
    let totals = desk.json("totals --dir disk/store");
    assert!(totals.to_string().contains(&format!("\"active\":{FACTS}")), "{totals}");
    desk.json("verify --dir disk/store");
}

/// A store with everything, on a disk with room for it.
fn filled(desk: &Desk) -> Option<SmallDisk> {
    let disk = SmallDisk::new(desk.dir.path(), "200m");
    if !disk.mounted {
        eprintln!("no disk of its own can be mounted here");
        return None;
    }
    desk.write("facts.jsonl", &facts(FACTS));
    desk.json("rules activate rules.toml --dir disk/store --from 2024-01-01 --set shards=1");
    desk.json("publish facts.jsonl --dir disk/store --set shards=1");
    Some(disk)
}

fn is_full(done: &Done) {
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    assert!(done.err.contains("the disk is full"), "{}", done.err);
    assert!(!done.err.contains("panicked"), "{}", done.err);
}

/// The service answers, and takes facts.
fn is_serving(desk: &Desk, number: usize) {
    let fact = facts(FACTS + number + 1).lines().last().map(str::to_owned).expect("one");
    desk.write("one.jsonl", &fact);
    assert_eq!(desk.json("publish one.jsonl --dir disk/store")["outcomes"], json!({ "applied": 1 }), "{number}");
    let totals = desk.json("totals --dir disk/store");
    assert_eq!(totals["ledgers"]["main"]["active"], json!(FACTS + number + 1), "{totals}");
}

#[test]
fn a_rebuild_without_room_leaves_the_live_store_serving() {
    let desk = with_rules();
    let Some(disk) = filled(&desk) else { return };
    let serve = Serve::start(&desk, "--dir disk/store --set shards=1", "disk/store");
    disk.leave(1 << 20);
    is_full(&desk.run("rebuild start --dir disk/store"));
    is_serving(&desk, 0);
    let states = |told: &Value| -> Vec<Value> {
        told["generations"].as_array().into_iter().flatten().map(|row| row["state"].clone()).collect()
    };
    assert_eq!(states(&desk.json("rebuild status --dir disk/store")), ["live", "failed"]);

    disk.grow("200m");
    let told = desk.json("rebuild start --dir disk/store");
    assert_eq!(states(&told), ["live", "failed", "in_step"], "{told}");
    assert_eq!(desk.json("rebuild diff 3 --dir disk/store")["changed"], 0);
    desk.json("rebuild drop 2 --dir disk/store");
    desk.json("rebuild flip 3 --dir disk/store");
    is_serving(&desk, 1);
    serve.signal();
    assert_eq!(serve.ended(), 0);
    desk.json("verify --dir disk/store");
}

#[test]
fn a_backup_or_an_export_without_room_is_made_when_there_is() {
    let desk = with_rules();
    let Some(_disk) = filled(&desk) else { return };
    let other = desk.dir.path().join("other");
    std::fs::create_dir(&other).expect("made");
    let small = SmallDisk::new(&other, "120k");
    let serve = Serve::start(&desk, "--dir disk/store --set shards=1", "disk/store");
    let create = "backup create other/disk/place --dir disk/store";
    is_full(&desk.run(create));
    is_serving(&desk, 0);
    small.grow("100m");
    desk.json(create);
    assert_eq!(desk.json("backup verify other/disk/place --deep")["backups"][0]["state"], "whole");
    serve.signal();
    assert_eq!(serve.ended(), 0);
    std::fs::remove_dir_all(small.at.join("place")).expect("removed");

    small.grow("120k");
    for form in ["csv", "parquet"] {
        let export = format!("export {form} --out other/disk/{form} --dir disk/store");
        is_full(&desk.run(&export));
        assert_eq!(std::fs::read_dir(&small.at).expect("reads").count(), 0, "{form}: what was begun is gone");
        small.grow("100m");
        desk.json(&export);
        std::fs::remove_dir_all(small.at.join(form)).expect("removed");
        small.grow("120k");
    }
    desk.json("verify --dir disk/store");
}
