//! What a backup is made of, and what the keys are, each with the checksum of itself.

use super::Place;
use accrue_store::{Snapshot, SnapshotFile};
use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of both.
const VERSION: u32 = 1;
const KEYS: &str = "keys.json";

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    version: u32,
    /// Its name: when it was begun.
    pub id: String,
    /// The same.
    pub at: String,
    /// Version of the engine.
    pub engine: String,
    /// The store, and how far its shards had come.
    pub store: Snapshot,
    /// Bytes that were not there yet.
    pub new_bytes: u64,
    /// Its files.
    pub files: Vec<Kept>,
    /// Shards whose members have keys.
    pub keys_of: Vec<u32>,
}

/// A file, and under what checksum it is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Below the data directory.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its checksum.
    pub blake3: String,
}

/// The keys of all backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    version: u32,
    /// By shard.
    pub of: BTreeMap<u32, Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<T> {
    /// Of the rest, written without spaces.
    blake3: String,
    sealed: T,
}

impl Kept {
    /// As an object.
    pub fn object(&self) -> String {
        format!("files/{}", self.blake3)
    }

    pub(super) fn keys_object(&self) -> String {
        format!("keys/{}", self.blake3)
    }

    pub(super) fn of(file: &SnapshotFile, blake3: String) -> Kept {
        Kept { path: file.path.clone(), bytes: file.bytes, blake3 }
    }
}

impl Manifest {
    pub(super) fn new(
        id: String,
        at: String,
        store: Snapshot,
        (mut files, new_bytes): (Vec<Kept>, u64),
        keys_of: Vec<u32>,
    ) -> Manifest {
        files.sort();
        Manifest { version: VERSION, id, at, engine: env!("CARGO_PKG_VERSION").to_owned(), store, new_bytes, files, keys_of }
    }

    /// Its name.
    pub fn object(id: &str) -> String {
        format!("manifest-{id}.json")
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) fn write(&self, place: &Place) -> Result<()> {
        place.put(&Manifest::object(&self.id), seal(self)?)
    }

    /// Reads one; the inner error: it is damaged.
    pub(super) fn read(place: &Place, id: &str) -> Result<Result<Manifest>> {
        let name = Manifest::object(id);
        let bytes = place.get(&name)?;
        let bytes =
            bytes.ok_or_else(|| crate::failure::Failure::not_found(format!("there is no backup {id} in {}", place.name())))?;
        Ok(open(&bytes).and_then(|manifest: Manifest| {
            ensure!(manifest.id == id, "it is the manifest of {}", manifest.id);
            manifest.check_paths()?;
            Ok(manifest)
        }))
    }

    /// A manifest says where files are written.
    fn check_paths(&self) -> Result<()> {
        for file in &self.files {
            let inside = file.path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
            ensure!(inside, "it names {:?}, which is not in a data directory", file.path);
        }
        Ok(())
    }

    /// The names of all backups, oldest first.
    pub(super) fn ids(place: &Place) -> Result<Vec<String>> {
        let id = |name: &String| Some(name.strip_prefix("manifest-")?.strip_suffix(".json")?.to_owned());
        Ok(place.list("")?.keys().filter_map(id).collect())
    }
}

impl Keys {
    pub(super) fn new(of: BTreeMap<u32, Kept>) -> Keys {
        Keys { version: VERSION, of }
    }

    pub(super) fn write(&self, place: &Place) -> Result<()> {
        place.put(KEYS, seal(self)?)
    }

    /// Reads them; none where there never were any.
    pub(super) fn read(place: &Place) -> Result<Keys> {
        match place.get(KEYS)? {
            None => Ok(Keys::new(BTreeMap::new())),
            Some(bytes) => open(&bytes).with_context(|| format!("{}/{KEYS} is damaged", place.name())),
        }
    }
}

fn seal<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let blake3 = blake3::hash(&serde_json::to_vec(value)?).to_hex().to_string();
    let mut bytes = serde_json::to_vec_pretty(&Sealed { blake3, sealed: value })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn open<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let version = serde_json::from_slice::<serde_json::Value>(bytes).ok().and_then(|value| value["sealed"]["version"].as_u64());
    ensure!(version.is_none_or(|version| version <= u64::from(VERSION)), "it was written by a newer accrue: use that one");
    let Sealed { blake3, sealed } = serde_json::from_slice::<Sealed<T>>(bytes)?;
    ensure!(blake3 == blake3::hash(&serde_json::to_vec(&sealed)?).to_hex().as_str(), "its checksum differs");
    Ok(sealed)
}
