//! Removes old manifests, then what no manifest names.

use super::manifest::Keys;
use super::{Manifest, Place, Point, Watch, each};
use anyhow::Result;
use std::collections::BTreeSet;

/// What went.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// Backups.
    pub backups: Vec<String>,
    /// Files and keys that nothing named.
    pub objects: u64,
    /// A manifest can't be read: what it names is not known, so nothing was removed but old manifests and keys.
    pub unreadable: Option<String>,
}

/// Keeps the newest `keep` whole backups and whatever they name.
pub(super) fn prune(place: &Place, keep: Option<usize>, watch: &dyn Watch) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let (mut named, mut kept) = (BTreeSet::new(), 0);
    for id in Manifest::ids(place)?.into_iter().rev() {
        if keep.is_some_and(|keep| kept >= keep) {
            place.delete(&Manifest::object(&id))?;
            pruned.backups.push(id);
            continue;
        }
        match Manifest::read(place, &id)? {
            Ok(manifest) => {
                kept += 1;
                named.extend(manifest.files.into_iter().map(|file| file.blake3));
            }
            Err(_) => pruned.unreadable = Some(id),
        }
    }
    watch.at(Point::Unnamed);
    let keys: BTreeSet<String> = Keys::read(place)?.of.into_values().map(|kept| kept.blake3).collect();
    let unnamed = |folder: &str, named: &BTreeSet<String>| -> Result<Vec<String>> {
        let there = place.list(folder)?.into_keys().filter(|name| !named.contains(name));
        Ok(there.map(|name| format!("{folder}/{name}")).collect())
    };
    let mut objects = unnamed("keys", &keys)?;
    if pruned.unreadable.is_none() {
        objects.extend(unnamed("files", &named)?);
    }
    each(&objects, |object| place.delete(object))?;
    pruned.objects = objects.len() as u64;
    watch.at(Point::Pruned);
    Ok(pruned)
}
