//! What a backup needs of a store: a copy of it at one moment, and a copy made a store again.
//!
//! ```text
//! snapshot/                    hard links and small copies, gone when the backup is made
//!   FORMAT  store.json  secret  [master-key]
//!   shards/0000/log/           a checkpoint of the database
//!   shards/0000/witness        the head before the checkpoint: the log in it is that long, or longer
//!   shards/0000/keys.rows      members' keys, wrapped, read after the checkpoint: none that the log needs is missing
//! ```
//! Keys are rows, not files: an old file would keep a key that was destroyed since.

use crate::dead::hex;
use crate::head::SourceOffset;
use crate::witness::Witness;
use crate::{Position, ShardLog, Store, StoreError, StoreOptions, directory, sealed};
use rocksdb::checkpoint::Checkpoint;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const SNAPSHOT: &str = "snapshot";
pub(crate) const KEY_ROWS: &str = "keys.rows";

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The format of the store.
    pub format: u64,
    /// Tells one store from another: the check of its secret.
    pub store: String,
    /// Chosen at creation; `None`: shards are made on assignment.
    pub embedded_shards: Option<u32>,
    /// Its shards, in order.
    pub shards: Vec<ShardSnapshot>,
}

/// How far a shard had come.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardSnapshot {
    /// The shard.
    pub shard: u32,
    /// The position that the next frame was to get.
    pub next_position: Position,
    /// Blocks.
    pub block_seq: u64,
    /// Hash of the last block, in hex.
    pub chain: String,
    /// Where each source is resumed.
    pub sources: Vec<SourceOffset>,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Below the snapshot, and below a data directory.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// It holds the keys of this shard's members.
    pub keys_of: Option<u32>,
}

impl Snapshot {
    /// Where the snapshot of a data directory is.
    pub fn dir(root: &Path) -> PathBuf {
        root.join(SNAPSHOT)
    }

    /// Where the keys of a shard are, below a snapshot.
    pub fn key_rows(shard: u32) -> String {
        format!("shards/{shard:04}/{KEY_ROWS}")
    }

    /// Removes it; nothing happens where there is none.
    ///
    /// # Errors
    /// The file system says no.
    pub fn remove(root: &Path) -> Result<(), StoreError> {
        let dir = Snapshot::dir(root);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", &dir)(error)),
            _ => Ok(()),
        }
    }

    /// Its files, in order.
    ///
    /// # Errors
    /// The file system says no.
    pub fn files(&self, root: &Path) -> Result<Vec<SnapshotFile>, StoreError> {
        let dir = Snapshot::dir(root);
        let keys: Vec<(String, u32)> = self.shards.iter().map(|of| (Snapshot::key_rows(of.shard), of.shard)).collect();
        let (mut open, mut files) = (vec![dir.clone()], Vec::new());
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(&at).map_err(StoreError::io("read", &at))? {
                let entry = entry.map_err(StoreError::io("read", &at))?;
                let (path, about) = (entry.path(), entry.metadata().map_err(StoreError::io("read", &entry.path()))?);
                if about.is_dir() {
                    open.push(path);
                    continue;
                }
                let below = path.strip_prefix(&dir).unwrap_or(&path).to_string_lossy().into_owned();
                let keys_of = keys.iter().find(|(name, _)| *name == below).map(|(_, shard)| *shard);
                files.push(SnapshotFile { path: below, bytes: about.len(), keys_of });
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }
}

impl Store {
    /// Copies the store as it is now into its `snapshot` directory, while it is written to: one position a shard, each
    /// with its offsets. Takes the place of the one before.
    ///
    /// # Errors
    /// A shard is being healed, or the file system says no.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let _one_at_a_time = self.snapshotting();
        Snapshot::remove(self.path())?;
        let to = Snapshot::dir(self.path());
        let make = |dir: &Path| DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(StoreError::io("create", dir));
        make(&to)?;
        let file = self.store_file();
        let mut shards = Vec::new();
        for shard in &file.shards {
            let below = to.join("shards").join(format!("{shard:04}"));
            make(&below)?;
            shards.push(self.shard(*shard)?.snapshot(&below)?);
        }
        for (name, needed) in [("FORMAT", true), ("secret", true), ("master-key", false)] {
            let from = self.path().join(name);
            match fs::copy(&from, to.join(name)) {
                Err(error) if needed || error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("copy", &from)(error));
                }
                _ => {}
            }
        }
        sealed::write(&to.join("store.json"), &file)?;
        let (format, store) = (directory::FORMAT_KNOWN, file.identity().to_owned());
        Ok(Snapshot { format, store, embedded_shards: file.embedded_shards, shards })
    }

    /// Makes a store of the files of a snapshot: opens each log, which its witness judges, and gives it its keys. A member
    /// whose key was destroyed after the snapshot, by the rows given here, stays erased.
    ///
    /// # Errors
    /// A file is missing or damaged, or the file system says no.
    pub fn restored(dir: &Path, options: StoreOptions) -> Result<(), StoreError> {
        let store = Store::open(dir, StoreOptions { embedded_shards: None, ..options })?;
        for shard in store.shard_ids() {
            let log = store.shard(shard)?;
            if log.shortfall().is_some() {
                return Err(log.corrupt(log.head().next_position, "meta/head".into(), "the log is shorter than its witness"));
            }
            let rows = dir.join(Snapshot::key_rows(shard));
            if rows.exists() {
                log.restore_keys(&rows)?;
                fs::remove_file(&rows).map_err(StoreError::io("remove", &rows))?;
            }
        }
        Ok(())
    }
}

impl ShardLog {
    fn snapshot(&self, to: &Path) -> Result<ShardSnapshot, StoreError> {
        if self.shortfall().is_some() {
            let detail = "it came back short and is being read again from its topic; back it up when that is done".to_owned();
            return Err(StoreError::NotNow { shard: self.shard(), detail });
        }
        let head = self.head();
        let log = to.join("log");
        let copied = Checkpoint::new(self.db()).and_then(|checkpoint| checkpoint.create_checkpoint(&log));
        copied.map_err(StoreError::database("copy", self.path()))?;
        if let Some(vault) = self.vault_if_any()? {
            vault.write_rows(&to.join(KEY_ROWS))?;
        }
        let witness = Witness::of(self.shard(), &head);
        sealed::write(&to.join("witness"), &witness)?;
        let Witness { shard, next_position, block_seq, chain, sources, .. } = witness;
        Ok(ShardSnapshot { shard, next_position, block_seq, chain: hex(&chain), sources })
    }
}

/// Makes all files and names below a directory durable.
///
/// # Errors
/// The file system says no.
pub fn sync_all(dir: &Path) -> Result<(), StoreError> {
    let (mut open, mut dirs) = (vec![dir.to_path_buf()], BTreeSet::new());
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).map_err(StoreError::io("read", &at))? {
            let path = entry.map_err(StoreError::io("read", &at))?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                fs::File::open(&path).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", &path))?;
            }
        }
        dirs.insert(at);
    }
    dirs.iter().rev().try_for_each(|dir| sealed::sync_dir(dir))
}
