//! `accrue backup create | list | verify | restore`

use super::{Ctx, verify};
use crate::answers::{Found, find, must_exist};
use crate::backup::{self, Listed, Manifest, Place};
use crate::cli::{Backup, Output};
use crate::client::{Client, Notice};
use crate::config::Config;
use crate::failure::Failure;
use crate::print::{Column, right, text};
use crate::progress;
use accrue_ingest::Clock;
use accrue_store::{Snapshot, Store, StoreOptions};
use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;

const LISTED: [Column; 7] = [
    text("backup", "/id"),
    text("at", "/at").instant(),
    text("next positions", "/next_positions"),
    right("files", "/files"),
    right("MiB", "/mib"),
    right("new MiB", "/new_mib"),
    text("state", "/state"),
];

pub(super) fn run(ctx: &Ctx, backup: Backup) -> Result<()> {
    match backup {
        Backup::Create { place, keep } => create(ctx, &place, keep),
        Backup::List { place } => show(ctx, &backup::list(&Place::open(&place, false)?)?, json!({})),
        Backup::Verify { place, id, deep } => check(ctx, &place, id.as_deref(), deep),
        Backup::Restore { place, id } => restore(ctx, &place, id.as_deref()),
    }
}

fn create(ctx: &Ctx, place: &str, keep: Option<u32>) -> Result<()> {
    if ctx.url.is_some() {
        return Err(Failure::usage("a backup is made where the data directory is: name that with --dir, without --url"));
    }
    must_exist(&ctx.config)?;
    let root = &ctx.config.data_dir;
    not_within(root, place)?;
    let _one_at_a_time = lock(&ctx.config)?;
    let place = Place::open(place, true)?;
    let at = Clock::system().now();
    let bar = progress::bytes("backing up", 0);
    let made = snapshot(&ctx.config).and_then(|snapshot| {
        let keep = keep.and_then(|keep| usize::try_from(keep).ok());
        backup::create(&place, (root, snapshot), at, keep, &bar)
    });
    bar.finish_and_clear();
    // What is left of it would hold old files on the disk, and keys.
    let removed = Snapshot::remove(root);
    let made = made?;
    removed?;
    let row = row(&made.manifest, &[]);
    let mut whole = row.clone();
    whole["removed"] = json!({ "backups": made.pruned.backups, "objects": made.pruned.objects });
    ctx.printer.rows(&whole, &[row], &LISTED)?;
    if let Some(id) = made.pruned.unreadable {
        eprintln!("backup {id} is damaged: what it names is not known, so no files were removed; --keep lets it go in its time");
    }
    Ok(())
}

/// A backup that is lost with what it is of is none.
fn not_within(root: &Path, place: &str) -> Result<()> {
    let place = Path::new(place.strip_prefix("file://").unwrap_or(place));
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    // It may not be there yet: as far as it is.
    let there = place.ancestors().find_map(|part| if part == Path::new("") { Path::new(".") } else { part }.canonicalize().ok());
    match there.filter(|there| there.starts_with(&root)) {
        None => Ok(()),
        Some(_) => {
            let told = format!("{} is in the data directory {}: name another place", place.display(), root.display());
            Err(Failure::usage(told))
        }
    }
}

/// Two would make each other's snapshot.
fn lock(config: &Config) -> Result<File> {
    let path = config.data_dir.join("backup.lock");
    let file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(anyhow::anyhow!("another backup of {} is being made: wait for it", config.data_dir.display())),
    }
}

/// By the service that has the store, or by this process; then the store is free again.
fn snapshot(config: &Config) -> Result<Snapshot> {
    match find(config)? {
        Found::Store(store) => Ok(store.snapshot()?),
        Found::Service(_) => {
            let notice =
                Notice::read(&config.data_dir).context("the service that has the store was just stopped: run it again")?;
            let snapshot = Client::new(&notice.admin_url).snapshot()?;
            serde_json::from_value(snapshot).context("the service that has the store is of another version")
        }
    }
}

fn check(ctx: &Ctx, place: &str, id: Option<&str>, deep: bool) -> Result<()> {
    let place = Place::open(place, false)?;
    let mut listed = backup::list(&place)?;
    if let Some(id) = id {
        listed.retain(|listed| listed.id == id);
    }
    if listed.is_empty() {
        let which = id.map_or("no backup".to_owned(), |id| format!("no backup {id}"));
        return Err(Failure::not_found(format!("there is {which} in {}", place.name())));
    }
    let bar = progress::bytes("reading back", 0);
    let objects = backup::verify(&place, &mut listed, &bar);
    bar.finish_and_clear();
    show(ctx, &listed, json!({ "objects_read": objects? }))?;
    if !deep {
        return Ok(());
    }
    let scratch = tempfile::Builder::new().prefix("accrue-restored-").tempdir().context("can't make a temporary directory")?;
    let mut config = ctx.config.clone();
    config.data_dir = scratch.path().join("data");
    restored(&place, id, &config)?;
    let store = Store::open(&config.data_dir, StoreOptions { embedded_shards: None, ..config.store.clone() })?;
    let reports = verify::reports(&config, store)?;
    // Standard output has one answer: the listing above.
    verify::holds(&reports, ctx.printer.output() == Output::Table)
}

fn restore(ctx: &Ctx, place: &str, id: Option<&str>) -> Result<()> {
    let place = Place::open(place, false)?;
    let manifest = restored(&place, id, &ctx.config)?;
    let row = row(&manifest, &[]);
    let mut whole = row.clone();
    whole["dir"] = json!(ctx.config.data_dir);
    ctx.printer.rows(&whole, &[row], &LISTED)?;
    let dir = ctx.config.data_dir.display();
    eprintln!("{dir} is restored; `accrue serve --dir {dir}` derives its views, and reads on from the offsets in its log");
    Ok(())
}

fn restored(place: &Place, id: Option<&str>, config: &Config) -> Result<Manifest> {
    let bar = progress::bytes("restoring", 0);
    let restored = backup::restore(place, id, &config.data_dir, config.store.clone(), &bar);
    bar.finish_and_clear();
    Ok(restored?.manifest)
}

fn show(ctx: &Ctx, listed: &[Listed], more: Value) -> Result<()> {
    let rows: Vec<Value> = listed.iter().map(listed_row).collect();
    let mut whole = more;
    whole["backups"] = json!(rows);
    ctx.printer.rows(&whole, &rows, &LISTED)?;
    let damaged: Vec<&Listed> = listed.iter().filter(|listed| !listed.wrong.is_empty()).collect();
    for listed in &damaged {
        listed.wrong.iter().for_each(|wrong| eprintln!("{}: {wrong}", listed.id));
    }
    let count = damaged.len();
    if count > 0 {
        eprintln!(
            "remove what is damaged, if it is there: the next `accrue backup create` sends it again as far as the store has it"
        );
    }
    if count == 0 { Ok(()) } else { Err(Failure::broken(format!("{count} of {} backups are damaged", listed.len()))) }
}

fn listed_row(listed: &Listed) -> Value {
    match &listed.manifest {
        Some(manifest) => row(manifest, &listed.wrong),
        None => json!({ "id": listed.id, "state": "damaged", "wrong": listed.wrong }),
    }
}

fn row(manifest: &Manifest, wrong: &[String]) -> Value {
    let mib = |bytes: u64| format!("{}.{}", bytes >> 20, ((bytes & 0xF_FFFF) * 10) >> 20);
    let next = |of: &accrue_store::ShardSnapshot| format!("{}:{}", of.shard, of.next_position.0);
    json!({
        "id": manifest.id,
        "at": manifest.at,
        "engine": manifest.engine,
        "shards": manifest.store.shards,
        "next_positions": manifest.store.shards.iter().map(next).collect::<Vec<_>>().join(" "),
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
        "new_bytes": manifest.new_bytes,
        "mib": mib(manifest.bytes()),
        "new_mib": mib(manifest.new_bytes),
        "state": if wrong.is_empty() { "whole" } else { "damaged" },
        "wrong": wrong,
    })
}
