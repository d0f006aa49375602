//! Looks at backups: which there are, and whether every byte of them is what was sent.

use super::manifest::{Kept, Keys};
use super::{Manifest, Place, Watch, each};
use anyhow::Result;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};

/// A backup, as far as a listing tells.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// `None`: its manifest can't be read.
    pub manifest: Option<Manifest>,
    /// What is wrong; empty: nothing.
    pub wrong: Vec<String>,
}

/// All backups of a place, oldest first: whether everything they name is there, in its size.
///
/// # Errors
/// The place can't be read.
pub fn list(place: &Place) -> Result<Vec<Listed>> {
    let (files, there) = (place.list("files")?, place.list("keys")?);
    let keys = Keys::read(place);
    let listed = Manifest::ids(place)?.into_iter().map(|id| {
        let manifest = match Manifest::read(place, &id)? {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Listed { id, manifest: None, wrong: vec![format!("its manifest is damaged: {error}")] }),
        };
        let mut wrong = missing(manifest.files.iter(), &files);
        match &keys {
            Ok(keys) => wrong.extend(manifest.keys_of.iter().filter_map(|shard| match keys.of.get(shard) {
                None => Some(format!("the keys of shard {shard} are missing")),
                Some(kept) => missing([kept].into_iter(), &there).pop(),
            })),
            Err(error) if !manifest.keys_of.is_empty() => wrong.push(error.to_string()),
            Err(_) => {}
        }
        Ok(Listed { id, manifest: Some(manifest), wrong })
    });
    listed.collect()
}

fn missing<'a>(files: impl Iterator<Item = &'a Kept>, there: &BTreeMap<String, u64>) -> Vec<String> {
    let told = files.filter_map(|file| match there.get(&file.blake3) {
        None => Some(format!("{} is missing", file.path)),
        Some(bytes) if *bytes != file.bytes => Some(format!("{} has {bytes} bytes, not {}", file.path, file.bytes)),
        Some(_) => None,
    });
    told.collect()
}

/// Reads back all that these backups name, each object once, and adds what is not as it was sent.
///
/// # Errors
/// The place can't be read.
pub fn verify(place: &Place, backups: &mut [Listed], watch: &dyn Watch) -> Result<u64> {
    let mut objects: BTreeSet<(String, Kept)> = BTreeSet::new();
    let manifests = || backups.iter().filter_map(|listed| listed.manifest.as_ref());
    for manifest in manifests() {
        objects.extend(manifest.files.iter().map(|file| (file.object(), Kept { path: String::new(), ..file.clone() })));
    }
    if manifests().any(|manifest| !manifest.keys_of.is_empty()) {
        let keys = Keys::read(place).map(|keys| keys.of).unwrap_or_default();
        objects.extend(keys.into_values().map(|kept| (kept.keys_object(), kept)));
    }
    let objects: Vec<(String, Kept)> = objects.into_iter().collect();
    watch.total(objects.iter().map(|(_, kept)| kept.bytes).sum());
    let damaged = Mutex::new(BTreeSet::new());
    each(&objects, |(object, kept)| {
        if fetch(place, object, kept, watch, |_| Ok(()))? != Fetched::Whole {
            damaged.lock().insert(kept.blake3.clone());
        }
        Ok(())
    })?;
    let damaged = damaged.into_inner();
    let keys: BTreeMap<u32, Kept> = Keys::read(place).map(|keys| keys.of).unwrap_or_default();
    for listed in backups.iter_mut() {
        let Some(manifest) = &listed.manifest else { continue };
        let of_keys = manifest.keys_of.iter().filter_map(|shard| keys.get(shard));
        let bad = manifest.files.iter().chain(of_keys).filter(|kept| damaged.contains(&kept.blake3));
        let told = bad.map(|kept| format!("{} is damaged: {}", kept.path, kept.blake3));
        let known: Vec<&str> = listed.wrong.iter().filter_map(|wrong| wrong.split_once(' ').map(|(path, _)| path)).collect();
        let told: Vec<String> = told.filter(|told| !known.iter().any(|path| told.starts_with(path))).collect();
        listed.wrong.extend(told);
    }
    Ok(objects.len() as u64)
}

/// What came of reading an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// It is what was sent.
    Whole,
    /// It is missing, or something else.
    Damaged,
}

/// Reads an object, handing on its parts before their checksum is known.
pub(super) fn fetch(
    place: &Place,
    object: &str,
    kept: &Kept,
    watch: &dyn Watch,
    mut part: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Fetched> {
    let mut hasher = blake3::Hasher::new();
    let is_there = place.read(object, kept.bytes, |bytes| {
        hasher.update(bytes);
        watch.bytes(bytes.len() as u64);
        part(bytes)
    })?;
    let whole = is_there && hasher.finalize().to_hex().as_str() == kept.blake3;
    Ok(if whole { Fetched::Whole } else { Fetched::Damaged })
}
