//! One data directory: opens it, hands out its shards and their views.

use crate::directory::{Directory, StoreFile};
use crate::log::{self, LogInner, ShardLog};
use crate::options::{Shared, StoreOptions};
use crate::registry::Registry;
use crate::view::{View, ViewInner};
use crate::witness::WitnessThread;
use crate::{StoreError, sealed};
use parking_lot::{Mutex, MutexGuard};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Numbers of shards are below this: the Kafka partition, or the number of an embedded shard.
const SHARDS_MAX: u32 = 100_000;

/// What every open log and view keeps alive: the lock, the caches, the witness thread.
pub(crate) struct Open {
    pub shared: Shared,
    pub witness: WitnessThread,
    directory: Mutex<Directory>,
    snapshotting: Mutex<()>,
}

impl Open {
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.lock().root.clone()
    }

    pub(crate) fn secret(&self) -> [u8; 32] {
        self.directory.lock().secret
    }
}

/// An open data directory. A cheap handle; the directory is free again when the last handle of the store, of its
/// logs and of its views is gone.
#[derive(Clone)]
pub struct Store {
    open: Arc<Open>,
    root: PathBuf,
    logs: Arc<Registry<u32, LogInner>>,
    views: Arc<Registry<(u32, u32), ViewInner>>,
}

impl Store {
    /// Opens a data directory, or makes one where there is none.
    ///
    /// # Errors
    /// Another process has it, its format is newer, a file of it is damaged or missing, it was made with another
    /// number of embedded shards, it is not a store, or the file system says no.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        if options.embedded_shards.is_some_and(|shards| shards == 0 || shards > SHARDS_MAX) {
            let detail = format!("the number of embedded shards must be 1 to {SHARDS_MAX}");
            return Err(StoreError::Mismatch { path: dir.to_path_buf(), detail });
        }
        let directory = Directory::open(dir, options.embedded_shards)?;
        let embedded = directory.file.embedded_shards.unwrap_or(0);
        let shards = dir.join("shards");
        fs::create_dir_all(&shards).map_err(StoreError::io("create", &shards))?;
        sealed::sync_dir(dir)?;
        let witness = WitnessThread::start().map_err(StoreError::io("start the witness thread of", dir))?;
        let open =
            Open { shared: Shared::new(options), witness, directory: Mutex::new(directory), snapshotting: Mutex::default() };
        let store = Store { open: Arc::new(open), root: dir.to_path_buf(), logs: Registry::new(), views: Registry::new() };
        for shard in 0..embedded {
            store.create_shard(shard)?;
        }
        Ok(store)
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The secret that coupon codes are derived from; made once, with the store.
    pub fn coupon_secret(&self) -> [u8; 32] {
        self.open.directory.lock().secret
    }

    /// The number of embedded shards, chosen at creation; `None`: shards are made on assignment.
    pub fn embedded_shards(&self) -> Option<u32> {
        self.open.directory.lock().file.embedded_shards
    }

    /// The shards made here, in order.
    pub fn shard_ids(&self) -> Vec<u32> {
        self.open.directory.lock().file.shards.iter().copied().collect()
    }

    /// Makes a shard where there is none yet (on assignment of its partition).
    ///
    /// # Errors
    /// The number is too large, or the file system says no.
    pub fn create_shard(&self, shard: u32) -> Result<(), StoreError> {
        if shard >= SHARDS_MAX {
            return Err(StoreError::TooLarge { shard, detail: format!("numbers of shards are below {SHARDS_MAX}") });
        }
        let mut directory = self.open.directory.lock();
        if directory.file.shards.contains(&shard) {
            return Ok(());
        }
        log::create_shard(&mut directory, shard)
    }

    /// The log of a shard: the open one, or opened now. Waits for one that is being closed.
    ///
    /// # Errors
    /// No such shard, it can't be opened, it is damaged, or it is not what its witness saw. A log that came back
    /// short and can be consumed again opens; see [`ShardLog::shortfall`].
    pub fn shard(&self, shard: u32) -> Result<ShardLog, StoreError> {
        let dir = self.shard_dir(shard)?;
        let open = Arc::clone(&self.open);
        let log = self.logs.get_or_open(&shard, |slot| LogInner::open(open, &dir, shard, slot))?;
        Ok(ShardLog::new(log))
    }

    /// A view of a shard: the open one, or opened now, made where there is none.
    ///
    /// # Errors
    /// No such shard, or the view can't be used: then it can be dropped and built again.
    pub fn view(&self, shard: u32, generation: u32) -> Result<View, StoreError> {
        let dir = self.view_dir(shard, generation)?;
        let open = Arc::clone(&self.open);
        let view = self.views.get_or_open(&(shard, generation), |slot| ViewInner::open(open, dir, slot))?;
        Ok(View::new(view))
    }

    /// The generations of a shard that have a directory, in order.
    ///
    /// # Errors
    /// No such shard, or the file system says no.
    pub fn generations(&self, shard: u32) -> Result<Vec<u32>, StoreError> {
        let dir = self.shard_dir(shard)?.join("views");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &dir)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(StoreError::io("read", &dir))?.file_name();
            found.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Removes a view; nothing happens where there is none.
    ///
    /// # Errors
    /// It is in use, or the file system says no.
    pub fn drop_view(&self, shard: u32, generation: u32) -> Result<(), StoreError> {
        let dir = self.view_dir(shard, generation)?;
        let removed = self.views.while_closed(&(shard, generation), || match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", &dir)(error)),
            _ => Ok(()),
        });
        removed.unwrap_or_else(|| Err(StoreError::ViewInUse { path: dir.clone() }))
    }

    /// Removes all views of a shard.
    ///
    /// # Errors
    /// One is in use, or the file system says no.
    pub fn drop_all_views(&self, shard: u32) -> Result<(), StoreError> {
        self.generations(shard)?.into_iter().try_for_each(|generation| self.drop_view(shard, generation))
    }

    /// Bytes of the block cache in use, and of rows of logs not yet in files; for metrics.
    pub fn memory(&self) -> (usize, usize) {
        self.open.shared.memory()
    }

    /// What was chosen when it was opened.
    pub fn options(&self) -> &StoreOptions {
        &self.open.shared.options
    }

    pub(crate) fn snapshotting(&self) -> MutexGuard<'_, ()> {
        self.open.snapshotting.lock()
    }

    pub(crate) fn store_file(&self) -> StoreFile {
        self.open.directory.lock().file.clone()
    }

    fn shard_dir(&self, shard: u32) -> Result<PathBuf, StoreError> {
        let directory = self.open.directory.lock();
        if !directory.file.shards.contains(&shard) {
            return Err(StoreError::NoShard { path: self.root.clone(), shard });
        }
        let dir = directory.shard_dir(shard);
        if dir.is_dir() {
            Ok(dir)
        } else {
            Err(StoreError::Damaged { path: dir, detail: "the directory of the shard is missing".into() })
        }
    }

    fn view_dir(&self, shard: u32, generation: u32) -> Result<PathBuf, StoreError> {
        Ok(self.shard_dir(shard)?.join("views").join(format!("{generation:04}")))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.root).finish_non_exhaustive()
    }
}
