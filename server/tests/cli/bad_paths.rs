//! What goes wrong around a store, with the real binary: a full disk, another process, a later version.

use super::desk::Desk;
use std::path::{Path, PathBuf};
use std::process::Command;

const RULES: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
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

fn with_rules() -> Desk {
    let desk = Desk::new();
    desk.write("rules.toml", RULES);
    desk
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

#[test]
fn a_store_that_another_process_has() {
    let desk = with_rules();
    desk.json("rules activate rules.toml --dir store --from 2024-01-01");
    let held =
        accrue_store::Store::open(&desk.dir.path().join("store"), accrue_store::StoreOptions::default()).expect("ours now");
    for line in ["member list --dir store", "verify --dir store", "rules activate rules.toml --dir store --from 2024-01-01"] {
        let done = desk.run(line);
        let pid = std::process::id();
        assert!(
            done.code == 5 && done.err.contains(&format!("is in use by process {pid}")),
            "{line}: {} {}",
            done.code,
            done.err
        );
        assert!(done.out.is_empty() && done.err.lines().count() == 1, "{line}: {}{}", done.out, done.err);
    }
    drop(held);
    assert_eq!(desk.run("member list --dir store").code, 0);
}

#[test]
fn a_store_of_a_later_version() {
    let desk = with_rules();
    desk.json("rules activate rules.toml --dir store --from 2024-01-01");
    let format = desk.dir.path().join("store/FORMAT");
    let ours = std::fs::read_to_string(&format).expect("a format");
    std::fs::write(&format, "accrue-store 999\n").expect("written");
    for line in ["member list --dir store", "publish --dir store rules.toml", "serve --dir store --listen 127.0.0.1:0"] {
        let done = desk.run(line);
        assert_eq!(done.code, 1, "{line}: {}", done.err);
        assert!(done.err.contains("has format 999, this version knows up to 1; use a newer accrue"), "{line}: {}", done.err);
    }
    assert_eq!(std::fs::read_to_string(&format).expect("still there"), "accrue-store 999\n");
    std::fs::write(&format, ours).expect("written");
    desk.json("verify --dir store");
}
