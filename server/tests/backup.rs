//! Backups that are cut off at every point, damaged, or older than an erasure.

use accrue_ledger::Instant;
use accrue_server::backup::{Listed, Place, Point, Watch, create, list, restore, verify};
use accrue_store::{FrameMeta, Position, Snapshot, Source, Store, StoreOptions, member_hash};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DIR: &str = "ACCRUE_TEST_DIR";
const POINT: &str = "ACCRUE_TEST_POINT";

struct Silent;
impl Watch for Silent {}

/// Ends the process there, as a kill does: nothing is cleaned up.
struct Die(String);
impl Watch for Die {
    fn at(&self, point: Point) {
        if format!("{point:?}") == self.0 {
            std::process::abort();
        }
    }
}

fn options() -> StoreOptions {
    StoreOptions { block_cache_bytes: 1 << 20, write_buffer_bytes: 1 << 20, ..StoreOptions::default() }
}

fn open(root: &Path) -> Result<Store> {
    let embedded_shards = if root.join("FORMAT").exists() { None } else { Some(2) };
    Ok(Store::open(root, StoreOptions { embedded_shards, ..options() })?)
}

fn append(store: &Store, count: i64) -> Result<()> {
    for shard in store.shard_ids() {
        let log = store.shard(shard)?;
        let first = log.head().next_offset(Source::Embedded).unwrap_or(0);
        let mut group = log.begin_group(Source::Embedded, Instant(1))?;
        for offset in first..first + count {
            let member_hash = member_hash("shop", "m");
            let (kind, occurred_at) = (accrue_ledger::Kind::OrderPlaced, Instant(offset));
            let meta =
                FrameMeta { kind, schema: 1, late: false, parked: false, rejected: false, member_hash, occurred_at, offset };
            group.push(meta, format!("fact {offset} of {shard}").as_bytes(), None);
        }
        log.append(&mut group)?;
    }
    Ok(())
}

/// A fact that makes the member a key.
fn seal(store: &Store, member: &str, at: i64) -> Result<()> {
    let fact = personal(member, at)?;
    store.shard(0)?.vault()?.seal(&[fact.as_slice()])?;
    Ok(())
}

fn personal(member: &str, at: i64) -> Result<Vec<u8>> {
    let occurred_at = Instant(at);
    let json = serde_json::json!({
        "id": format!("r-{member}-{at}"), "source": "test", "program": "shop", "member": member, "occurred_at": occurred_at.to_string(),
        "member_profile_changed": { "email": "a@example.com" },
    });
    let fact = accrue_proto::json::fact_from_json(json.to_string().as_bytes(), &accrue_proto::json::Defaults::default());
    let mut bytes = Vec::new();
    accrue_proto::write_fact(&fact.map_err(|error| anyhow::anyhow!("{error:?}"))?, &mut bytes);
    Ok(bytes)
}

/// A store with facts, and keys of members; where it may be restored, and where backups go.
fn begun(dir: &Path, members: &[&str]) -> Result<(PathBuf, PathBuf, Place)> {
    let root = dir.join("data");
    let store = open(&root)?;
    append(&store, 40)?;
    members.iter().try_for_each(|member| seal(&store, member, 1))?;
    Ok((root, dir.join("restored"), Place::open(dir.join("place").to_str().context("a path")?, true)?))
}

fn back_up(root: &Path, place: &Place, at: i64, keep: Option<usize>, watch: &dyn Watch) -> Result<String> {
    let snapshot = open(root)?.snapshot()?;
    let made = create(place, (root, snapshot), Instant(at * 1_000_000), keep, watch)?;
    Snapshot::remove(root)?;
    Ok(made.manifest.id)
}

fn whole(place: &Place) -> Result<Vec<Listed>> {
    let mut listed = list(place)?;
    verify(place, &mut listed, &Silent)?;
    ensure!(listed.iter().all(|listed| listed.wrong.is_empty()), "{listed:?}");
    Ok(listed)
}

/// How far the log of a restored store goes, walked from its beginning.
fn walked(root: &Path) -> Result<Vec<Position>> {
    let store = open(root)?;
    let walked = store.shard_ids().into_iter().map(|shard| Ok(store.shard(shard)?.verify_chain(|_| ())?.next_position));
    walked.collect()
}

/// Runs [`child`] in a process of its own that dies at a point.
fn cut_off(dir: &Path, point: Point) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "child", "--nocapture"]).env(DIR, dir).env(POINT, format!("{point:?}"));
    let done = command.output()?;
    ensure!(done.status.code().is_none(), "{point:?} was not reached: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

#[test]
fn child() -> Result<()> {
    let (Some(dir), Ok(point)) = (std::env::var_os(DIR), std::env::var(POINT)) else { return Ok(()) };
    let dir = Path::new(&dir);
    let place = Place::open(dir.join("place").to_str().context("a path")?, true)?;
    if Point::RESTORING.iter().any(|restoring| format!("{restoring:?}") == point) {
        restore(&place, None, &dir.join("restored"), options(), &Die(point))?;
        return Ok(());
    }
    back_up(&dir.join("data"), &place, 3, Some(2), &Die(point)).map(drop)
}

#[test]
fn a_backup_that_is_cut_off_leaves_whole_ones() -> Result<()> {
    for point in Point::CREATING {
        let dir = tempfile::tempdir()?;
        let (root, place) = (dir.path().join("data"), dir.path().join("place"));
        let place = Place::open(place.to_str().context("a path")?, true)?;
        let store = open(&root)?;
        for at in [1, 2] {
            append(&store, 40)?;
            seal(&store, &format!("m{at}"), at)?;
            let snapshot = store.snapshot()?;
            create(&place, (&root, snapshot), Instant(at * 1_000_000), None, &Silent)?;
        }
        append(&store, 40)?;
        seal(&store, "m3", 3)?;
        drop(store);
        cut_off(dir.path(), point)?;
        let ids: Vec<String> = whole(&place)?.into_iter().map(|listed| listed.id[13..15].to_owned()).collect();
        let expected: &[&str] = match point {
            Point::Named => &["01", "02", "03"],
            Point::Unnamed | Point::Pruned => &["02", "03"],
            _ => &["01", "02"],
        };
        ensure!(ids == expected, "{point:?}: {ids:?}");
        back_up(&root, &place, 4, Some(1), &Silent)?;
        let listed = whole(&place)?;
        let named: BTreeSet<String> = listed
            .iter()
            .flat_map(|listed| &listed.manifest)
            .flat_map(|of| of.files.iter().map(|file| file.blake3.clone()))
            .collect();
        let there: BTreeSet<String> = fs::read_dir(dir.path().join("place/files"))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        ensure!(listed.len() == 1 && there == named, "{point:?}: what nobody names is left: {there:?} {named:?}");
        ensure!(fs::read_dir(dir.path().join("place/keys"))?.count() == 1, "{point:?}: old keys are left");
    }
    Ok(())
}

#[test]
fn a_restore_that_is_cut_off_leaves_nothing_or_all() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (root, restored, place) = begun(dir.path(), &["m"])?;
    back_up(&root, &place, 1, None, &Silent)?;
    for point in Point::RESTORING {
        cut_off(dir.path(), point)?;
        ensure!(restored.exists() == (point == Point::InPlace), "{point:?}");
        if !restored.exists() {
            restore(&place, None, &restored, options(), &Silent)?;
        }
        ensure!(walked(&restored)? == [Position(41); 2], "{point:?}");
        let refused = restore(&place, None, &restored, options(), &Silent).err().context("not empty")?;
        ensure!(refused.to_string().contains("is not empty"), "{refused}");
        fs::remove_dir_all(&restored)?;
    }
    Ok(())
}

#[test]
fn a_key_that_is_destroyed_does_not_come_back() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (root, restored, place) = begun(dir.path(), &["gone", "stays"])?;
    let first = back_up(&root, &place, 1, None, &Silent)?;
    let store = open(&root)?;
    let key = store.shard(0)?.vault()?.wrapped_key("shop", "gone")?.context("a key")?;
    ensure!(holds(&dir.path().join("place"), &key)?, "the search would find it");
    append(&store, 40)?;
    store.shard(0)?.vault()?.erase("shop", &["gone"], (Position(60), Instant(60)))?;
    drop(store);
    back_up(&root, &place, 2, None, &Silent)?;
    ensure!(!holds(dir.path(), &key)?, "the destroyed key is somewhere");
    restore(&place, Some(&first), &restored, StoreOptions { master_key: None, ..options() }, &Silent)?;
    ensure!(walked(&restored)? == [Position(41); 2], "the older backup");
    let store = open(&restored)?;
    let log = store.shard(0)?;
    let vault = log.vault()?;
    ensure!(vault.wrapped_key("shop", "gone")?.is_none() && vault.wrapped_key("shop", "stays")?.is_some());
    // What was told before the erasure gets no key; an erasure that comes now is not taken for the one behind the end of this log.
    seal(&store, "gone", 50)?;
    ensure!(vault.wrapped_key("shop", "gone")?.is_none(), "a key from before the erasure");
    ensure!(vault.is_erased("shop", &["gone"], Position(40))? && !vault.is_erased("shop", &["gone"], Position(41))?);
    Ok(())
}

fn holds(dir: &Path, bytes: &[u8]) -> Result<bool> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let found =
            if path.is_dir() { holds(&path, bytes)? } else { fs::read(&path)?.windows(bytes.len()).any(|at| at == bytes) };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn every_damaged_object_is_found() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (root, restored, place) = begun(dir.path(), &["m"])?;
    back_up(&root, &place, 1, None, &Silent)?;
    whole(&place)?;
    for folder in ["", "files", "keys"] {
        for entry in fs::read_dir(dir.path().join("place").join(folder))? {
            let path = entry?.path();
            if path.is_dir() {
                continue;
            }
            let good = fs::read(&path)?;
            let mut flipped = good.clone();
            if let Some(byte) = flipped.get_mut(good.len() / 2) {
                *byte ^= 1;
            }
            for bad in [flipped.as_slice(), good.get(1..).unwrap_or_default()] {
                if bad == good {
                    continue;
                }
                fs::write(&path, bad)?;
                ensure!(whole(&place).is_err(), "{} is damaged and nobody tells", path.display());
                ensure!(
                    restore(&place, None, &restored, options(), &Silent).is_err() && !restored.exists(),
                    "{}",
                    path.display()
                );
            }
            fs::write(&path, good)?;
        }
    }
    whole(&place).map(drop)
}
