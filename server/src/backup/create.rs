//! Sends a snapshot: files, then keys, then the manifest that makes it a backup.

use super::manifest::{Kept, Keys};
use super::prune::{self, Pruned};
use super::{Manifest, Place, Point, Watch, each};
use accrue_ledger::Instant;
use accrue_store::{Snapshot, SnapshotFile};
use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::Path;

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// It.
    pub manifest: Manifest,
    /// What went for it.
    pub pruned: Pruned,
}

/// Sends the snapshot of a data directory; keeps the newest `keep` backups, this one among them.
///
/// # Errors
/// The place says no, or holds backups of another store. Then there is no new backup, and every old one is whole.
pub fn create(
    place: &Place,
    (root, snapshot): (&Path, Snapshot),
    at: Instant,
    keep: Option<usize>,
    watch: &dyn Watch,
) -> Result<Made> {
    same_store(place, &snapshot)?;
    place.remove_unfinished()?;
    let files = snapshot.files(root)?;
    watch.total(files.iter().map(|file| file.bytes).sum());
    let (of_keys, of_store): (Vec<SnapshotFile>, Vec<SnapshotFile>) = files.into_iter().partition(|file| file.keys_of.is_some());
    let sent = send(place, root, &of_store, watch)?;
    watch.at(Point::FilesSent);
    let mut keys = Keys::read(place)?;
    for file in &of_keys {
        let from = Snapshot::dir(root).join(&file.path);
        let kept = Kept::of(file, checksum(&from).context("a member was erased meanwhile? run it again")?);
        place.put_file(&kept.keys_object(), &from, file.bytes)?;
        watch.bytes(file.bytes);
        keys.of.extend(file.keys_of.map(|shard| (shard, kept)));
    }
    watch.at(Point::KeysSent);
    keys.write(place)?;
    watch.at(Point::KeysNamed);
    let keys_of = of_keys.iter().filter_map(|file| file.keys_of).collect();
    let manifest = Manifest::new(name(at), at.to_string(), snapshot, sent, keys_of);
    manifest.write(place)?;
    watch.at(Point::Named);
    let pruned = prune::prune(place, keep, watch)?;
    Ok(Made { manifest, pruned })
}

/// Sorted as time is.
fn name(at: Instant) -> String {
    let digits = |from: usize, text: &str| text.chars().skip(from).filter(char::is_ascii_digit).collect::<String>();
    let (second, micros) = (at.0.div_euclid(1_000_000), at.0.rem_euclid(1_000_000));
    let text = Instant(second * 1_000_000).to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{}T{}.{micros:06}Z", digits(0, day), digits(0, time))
}

/// The keys of two stores would take each other's place.
fn same_store(place: &Place, snapshot: &Snapshot) -> Result<()> {
    for id in Manifest::ids(place)? {
        if let Ok(known) = Manifest::read(place, &id)?
            && known.store.store != snapshot.store
        {
            let name = place.name();
            return Err(crate::failure::Failure::usage(format!(
                "{name} holds backups of another store: give each store its own"
            )));
        }
    }
    Ok(())
}

fn send(place: &Place, root: &Path, files: &[SnapshotFile], watch: &dyn Watch) -> Result<(Vec<Kept>, u64)> {
    let there = place.list("files")?;
    let (kept, sent) = (Mutex::new(Vec::with_capacity(files.len())), Mutex::new((BTreeSet::new(), 0)));
    each(files, |file| {
        let from = Snapshot::dir(root).join(&file.path);
        let of = Kept::of(file, checksum(&from)?);
        let is_there = there.get(&of.blake3) == Some(&of.bytes);
        let is_first = || {
            let (names, bytes) = &mut *sent.lock();
            let first = names.insert(of.blake3.clone());
            *bytes += if first { of.bytes } else { 0 };
            first
        };
        if !is_there && is_first() {
            place.put_file(&of.object(), &from, of.bytes)?;
            watch.at(Point::FileSent);
        }
        watch.bytes(file.bytes);
        kept.lock().push(of);
        Ok(())
    })?;
    Ok((kept.into_inner(), sent.into_inner().1))
}

fn checksum(file: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let read = std::fs::File::open(file).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
    read.with_context(|| format!("can't read {}", file.display()))?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_time_does() {
        let names =
            [1_700_000_000_000_000, 1_700_000_000_000_001, 1_700_000_000_500_000, 1_700_000_001_000_000].map(Instant).map(name);
        assert_eq!(names[0], "20231114T221320.000000Z");
        assert!(names.is_sorted(), "{names:?}");
    }
}
