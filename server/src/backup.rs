//! Backups of a store: in a directory, or in object storage.
//!
//! ```text
//! files/<blake3>          what shards and store are made of: a file that is there already is not sent again
//! keys/<blake3>           members' keys of a shard, wrapped
//! keys.json               which of keys/ hold: of the latest backup, for all of them
//! manifest-<id>.json      written last: all files of one backup
//! ```
//! Keys are not part of one backup. Each `create` writes them as they are now and removes those that were: a key destroyed
//! since is gone from every backup, the old ones too, and a restore of any of them gives an erased member nothing back.

mod create;
mod manifest;
mod place;
mod prune;
mod read;
mod restore;

pub use create::{Made, create};
pub use manifest::Manifest;
pub use place::Place;
pub use read::{Listed, list, verify};
pub use restore::{Restored, restore};

/// Where a backup or a restore can be cut off: the tests end the process there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A file was sent.
    FileSent,
    /// All files are there.
    FilesSent,
    /// The keys are there, nothing names them.
    KeysSent,
    /// The keys hold, for the older backups too.
    KeysNamed,
    /// The manifest is there.
    Named,
    /// The oldest manifests are removed, their files not.
    Unnamed,
    /// What nothing names is removed.
    Pruned,
    /// A file was fetched.
    FileFetched,
    /// All files were fetched.
    FilesFetched,
    /// The store beside is whole.
    Settled,
    /// It is in its place.
    InPlace,
}

impl Point {
    /// Those of a backup.
    pub const CREATING: [Point; 7] =
        [Point::FileSent, Point::FilesSent, Point::KeysSent, Point::KeysNamed, Point::Named, Point::Unnamed, Point::Pruned];
    /// Those of a restore.
    pub const RESTORING: [Point; 4] = [Point::FileFetched, Point::FilesFetched, Point::Settled, Point::InPlace];
}

/// Follows what is done.
pub trait Watch: Sync {
    /// So many bytes are to be read.
    fn total(&self, _bytes: u64) {}
    /// So many more were.
    fn bytes(&self, _bytes: u64) {}
    /// This is done.
    fn at(&self, _point: Point) {}
}

impl Watch for indicatif::ProgressBar {
    fn total(&self, bytes: u64) {
        self.set_length(bytes);
    }

    fn bytes(&self, bytes: u64) {
        self.inc(bytes);
    }

    fn at(&self, point: Point) {
        accrue_projections::point::reached(&point);
    }
}

/// Does the same with each, several at a time; the first error ends it.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> anyhow::Result<()> + Sync) -> anyhow::Result<()> {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = || -> anyhow::Result<()> {
        while !failed.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            work(item).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..place::TRANSFERS_MAX.min(items.len())).map(|_| scope.spawn(run)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        let results: Vec<_> = joined.map(|done| done.unwrap_or_else(|_| Err(anyhow::anyhow!("a transfer panicked")))).collect();
        results.into_iter().collect()
    })
}
