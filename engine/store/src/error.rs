//! What can go wrong, in one short line each: what, where, hint.

use crate::Position;
use std::io;
use std::path::{Path, PathBuf};

/// Errors of the store. Write errors are fatal for their shard; nothing is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system said no.
    #[error("can't {action} {}: {source}{}", path.display(), disk_full_hint(&source.to_string()))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// RocksDB said no.
    #[error("can't {action} {}: {source}{}", path.display(), disk_full_hint(source.as_ref()))]
    Database {
        /// What was tried, as a verb.
        action: &'static str,
        /// The directory of the database.
        path: PathBuf,
        /// Why not.
        source: rocksdb::Error,
    },
    /// Another process has the store.
    #[error("store {} is in use by process {pid}; stop it first", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// As written in the lock file; `unknown` where it can't be read.
        pid: String,
    },
    /// The directory was written by a later version.
    #[error("store {} has format {found}, this version knows up to {known}; use a newer accrue", path.display())]
    NewerFormat {
        /// The data directory.
        path: PathBuf,
        /// What the directory says.
        found: u64,
        /// What this version writes.
        known: u64,
    },
    /// A directory with something else in it.
    #[error("{} is not a store: {detail}", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// A small file of the store is missing, cut or changed.
    #[error("{} is damaged: {detail}; restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Options that contradict what the store is.
    #[error("store {}: {detail}", path.display())]
    Mismatch {
        /// The data directory.
        path: PathBuf,
        /// The contradiction.
        detail: String,
    },
    /// Stored bytes of the log are not what was written.
    #[error("shard {shard}: log {} is corrupt at position {position}, key {key}: {detail}; restore the shard from a backup", path.display())]
    Corrupt {
        /// The shard.
        shard: u32,
        /// Its log.
        path: PathBuf,
        /// The first position concerned.
        position: Position,
        /// The key, as drawn in `keys.rs`.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// The log came back shorter than it was and can't be consumed again.
    #[error(
        "shard {shard}: log {} ends before position {log}, but its witness {} saw it reach {witness}: \
         durable data is missing; restore the shard from a backup", path.display(), file.display()
    )]
    BehindWitness {
        /// The shard.
        shard: u32,
        /// Its log.
        path: PathBuf,
        /// The witness.
        file: PathBuf,
        /// Next position of the log.
        log: Position,
        /// Next position the witness saw.
        witness: Position,
    },
    /// The log is another one than the witness saw.
    #[error(
        "shard {shard}: log {} has another chain hash before position {position} than its witness {} saw: \
         it was changed or swapped; restore the shard from a backup", path.display(), file.display()
    )]
    OtherThanWitness {
        /// The shard.
        shard: u32,
        /// Its log.
        path: PathBuf,
        /// The witness.
        file: PathBuf,
        /// Where the two should agree.
        position: Position,
    },
    /// An earlier write failed; the shard takes no more.
    #[error("shard {shard} takes no more writes after an error: {cause}; fix the cause and start again")]
    Poisoned {
        /// The shard.
        shard: u32,
        /// The first error.
        cause: String,
    },
    /// A group that does not follow on the head.
    #[error("shard {shard}: the group starts at position {group}, the log is at {log}: one writer a shard")]
    StaleGroup {
        /// The shard.
        shard: u32,
        /// First position of the group.
        group: Position,
        /// Next position of the log.
        log: Position,
    },
    /// Offsets must go up.
    #[error("shard {shard}: offset {offset} of source {source_name:?} after {after}: offsets only go up")]
    OffsetsBackwards {
        /// The shard.
        shard: u32,
        /// The source; empty: the embedded one.
        source_name: String,
        /// The offset that came.
        offset: i64,
        /// What was expected at least.
        after: i64,
    },
    /// More than the format holds.
    #[error("shard {shard}: {detail}")]
    TooLarge {
        /// The shard.
        shard: u32,
        /// What is too large, and the bound.
        detail: String,
    },
    /// Right now it can't be done.
    #[error("shard {shard}: {detail}")]
    NotNow {
        /// The shard.
        shard: u32,
        /// Why, and when it can.
        detail: String,
    },
    /// A shard that was never made here.
    #[error("store {} has no shard {shard}", path.display())]
    NoShard {
        /// The data directory.
        path: PathBuf,
        /// The shard asked for.
        shard: u32,
    },
    /// A position without a frame.
    #[error("shard {shard}: no frame at position {position}")]
    NoFrame {
        /// The shard.
        shard: u32,
        /// The position asked for.
        position: Position,
    },
    /// A dead letter that isn't there.
    #[error("shard {shard}: no dead letter {seq}")]
    NoDeadLetter {
        /// The shard.
        shard: u32,
        /// Its number.
        seq: u64,
    },
    /// A view can't be opened or read. Nothing is lost: it is derived from the log.
    #[error("view {} can't be used ({detail}); it is disposable: drop it and it is built again from the log", path.display())]
    View {
        /// The view's directory.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// A view that is still open can't be dropped.
    #[error("view {} is in use", path.display())]
    ViewInUse {
        /// The view's directory.
        path: PathBuf,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_path_buf();
        move |source| StoreError::Io { action, path, source }
    }

    pub(crate) fn database(action: &'static str, path: &Path) -> impl FnOnce(rocksdb::Error) -> StoreError {
        let path = path.to_path_buf();
        move |source| StoreError::Database { action, path, source }
    }

    pub(crate) fn view(path: &Path) -> impl FnOnce(rocksdb::Error) -> StoreError {
        let path = path.to_path_buf();
        move |source| StoreError::View { path, detail: source.into_string() }
    }

    /// Whether the device had no room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            StoreError::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            StoreError::Database { source, .. } => names_full_disk(source.as_ref()),
            StoreError::Poisoned { cause, .. } => names_full_disk(cause),
            StoreError::View { detail, .. } => names_full_disk(detail),
            _ => false,
        }
    }
}

fn names_full_disk(text: &str) -> bool {
    text.contains("No space left") || text.contains("NoSpace") || text.contains("storage full")
}

fn disk_full_hint(text: &str) -> &'static str {
    if names_full_disk(text) { " (the disk is full: free some room, then start again)" } else { "" }
}

/// Errors of a projection that the writer decides on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InlineError {
    /// The store below it failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The projection itself failed.
    #[error("projection: {0}")]
    Projection(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl InlineError {
    /// Wraps an error of the projection.
    pub fn projection(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InlineError {
        InlineError::Projection(source.into())
    }
}
