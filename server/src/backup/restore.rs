//! Makes a data directory of a backup: beside its place, then renamed.

use super::manifest::{Kept, Keys};
use super::read::{Fetched, fetch};
use super::{Manifest, Place, Point, Watch, each};
use crate::failure::Failure;
use accrue_store::{Snapshot, Store, StoreOptions, sync_all};
use anyhow::{Context as _, Result, bail};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Of which backup.
    pub manifest: Manifest,
}

/// Restores a backup, the newest if none is named, into a directory that is empty or not there.
///
/// # Errors
/// There is no such backup, it is damaged, the directory is not empty, or the file system says no: then nothing is there.
pub fn restore(place: &Place, id: Option<&str>, to: &Path, options: StoreOptions, watch: &dyn Watch) -> Result<Restored> {
    must_be_empty(to)?;
    let manifest = chosen(place, id)?;
    let beside = beside(to)?;
    clear(&beside)?;
    match settle(place, &manifest, &beside, options, watch) {
        Ok(()) => {}
        Err(error) => {
            clear(&beside)?;
            return Err(error);
        }
    }
    rename(&beside, to)?;
    watch.at(Point::InPlace);
    Ok(Restored { manifest })
}

fn clear(beside: &Path) -> Result<()> {
    match fs::remove_dir_all(beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", beside.display()))
        }
        _ => Ok(()),
    }
}

/// A whole store, durable.
fn settle(place: &Place, manifest: &Manifest, beside: &Path, options: StoreOptions, watch: &dyn Watch) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(beside).with_context(|| can_make(beside))?;
    let files = files(place, manifest)?;
    watch.total(files.iter().map(|(_, kept)| kept.bytes).sum());
    each(&files, |(object, kept)| {
        write(place, object, kept, beside, watch)?;
        watch.at(Point::FileFetched);
        Ok(())
    })?;
    watch.at(Point::FilesFetched);
    Store::restored(beside, options).context("the restored store can't be opened")?;
    sync_all(beside)?;
    watch.at(Point::Settled);
    Ok(())
}

fn rename(beside: &Path, to: &Path) -> Result<()> {
    fs::rename(beside, to).with_context(|| {
        let (from, to) = (beside.display(), to.display());
        format!("can't rename {from} to {to}; a mount point can't be replaced: restore into a directory below it")
    })?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(parent).and_then(|dir| dir.sync_all()).with_context(|| format!("can't sync {}", parent.display()))
}

fn can_make(dir: &Path) -> String {
    format!("can't make {}; may this user write there?", dir.display())
}

fn must_be_empty(to: &Path) -> Result<()> {
    match fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let told = format!("{} is not empty: name a new directory with --dir, or move this one away", to.display());
            Err(Failure::usage(told))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("can't look into {}", to.display())),
    }
}

/// The same file system as its place, and a name that says what it is.
fn beside(to: &Path) -> Result<PathBuf> {
    let name = to.file_name().with_context(|| format!("{} has no name", to.display()))?;
    Ok(to.with_file_name(format!(".{}.restoring", name.to_string_lossy())))
}

fn chosen(place: &Place, id: Option<&str>) -> Result<Manifest> {
    if let Some(id) = id {
        return Manifest::read(place, id)?.with_context(|| format!("backup {id} is damaged"));
    }
    for id in Manifest::ids(place)?.into_iter().rev() {
        match Manifest::read(place, &id)? {
            Ok(manifest) => return Ok(manifest),
            Err(error) => eprintln!("backup {id} is damaged ({error}): the one before is taken"),
        }
    }
    Err(Failure::not_found(format!("there is no backup in {}", place.name())))
}

/// Objects, and where each goes. Keys are those that hold now, of whatever age the backup is.
fn files(place: &Place, manifest: &Manifest) -> Result<Vec<(String, Kept)>> {
    let mut files: Vec<(String, Kept)> = manifest.files.iter().map(|kept| (kept.object(), kept.clone())).collect();
    if manifest.keys_of.is_empty() {
        return Ok(files);
    }
    let keys = Keys::read(place)?;
    for shard in &manifest.store.shards {
        match keys.of.get(&shard.shard) {
            Some(kept) => files.push((kept.keys_object(), Kept { path: Snapshot::key_rows(shard.shard), ..kept.clone() })),
            None if manifest.keys_of.contains(&shard.shard) => bail!("the keys of shard {} are missing", shard.shard),
            None => {}
        }
    }
    Ok(files)
}

fn write(place: &Place, object: &str, kept: &Kept, root: &Path, watch: &dyn Watch) -> Result<()> {
    let to = root.join(&kept.path);
    let failed = || format!("can't write {}", to.display());
    let parent = to.parent().unwrap_or(root);
    DirBuilder::new().recursive(true).mode(0o750).create(parent).with_context(|| can_make(parent))?;
    let is_secret = !kept.path.starts_with("shards/") || kept.path.ends_with(".rows");
    let mode = if is_secret { 0o600 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&to).with_context(failed)?;
    let fetched = fetch(place, object, kept, watch, |bytes| file.write_all(bytes).with_context(failed))?;
    match fetched {
        Fetched::Whole => Ok(()),
        Fetched::Damaged => bail!("{} is damaged in {}: {object}; restore another backup", kept.path, place.name()),
    }
}
