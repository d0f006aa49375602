//! A view: everything derived from a shard's log up to the position it names. Disposable.

use crate::options::{self, Shared};
use crate::registry::Slot;
use crate::store::Open;
use crate::{Position, StoreError, keys, sealed};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBPinnableSlice, DBRawIteratorWithThreadMode, ReadOptions, SnapshotWithThreadMode,
};
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CF: &str = "default";
/// Files on their way into the view; what is found there at opening is left over from a crash.
const INGEST_DIR: &str = "ingest";

/// The rows of one generation of a shard. A cheap handle: clones share one database. Reads see whole checkpoints.
#[derive(Clone)]
pub struct View(Arc<ViewInner>);

pub(crate) struct ViewInner {
    path: PathBuf,
    db: DB,
    store: Arc<Open>,
    /// Last: frees the place when the database is closed.
    _slot: Slot<(u32, u32), ViewInner>,
}

impl ViewInner {
    /// # Errors
    /// The database can't be opened: it is disposable.
    pub(crate) fn open(store: Arc<Open>, path: PathBuf, slot: Slot<(u32, u32), ViewInner>) -> Result<ViewInner, StoreError> {
        let ingest = path.join(INGEST_DIR);
        match fs::remove_dir_all(&ingest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io("remove", &ingest)(error)),
            _ => fs::create_dir_all(&ingest).map_err(StoreError::io("create", &ingest))?,
        }
        if let Some(views) = path.parent() {
            sealed::sync_dir(views)?;
        }
        let options = store.shared.view();
        let family = ColumnFamilyDescriptor::new(CF, store.shared.view());
        let db = DB::open_cf_descriptors(&options, &path, [family]).map_err(StoreError::view(&path))?;
        let view = ViewInner { path, db, store, _slot: slot };
        view.next_position(None)?;
        Ok(view)
    }

    fn cf(&self) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(CF).ok_or_else(|| self.broken("its column family is missing"))
    }

    fn broken(&self, detail: &str) -> StoreError {
        StoreError::View { path: self.path.clone(), detail: detail.to_owned() }
    }

    fn next_position(&self, snapshot: Option<&Snapshot<'_>>) -> Result<Position, StoreError> {
        let Some(value) = self.get(keys::VIEW_NEXT_POSITION, snapshot)? else {
            return Ok(Position::FIRST);
        };
        let raw = <[u8; 8]>::try_from(&*value).map_err(|_| self.broken("the row with its position is damaged"))?;
        Ok(Position(u64::from_be_bytes(raw)))
    }

    fn get(&self, key: &[u8], snapshot: Option<&Snapshot<'_>>) -> Result<Option<Pinned<'_>>, StoreError> {
        let found = self.db.get_pinned_cf_opt(self.cf()?, key, &read_options(snapshot));
        Ok(found.map_err(StoreError::view(&self.path))?.map(Pinned))
    }

    fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K], snapshot: Option<&Snapshot<'_>>) -> Result<Found<'_>, StoreError> {
        let sorted = keys.is_sorted_by(|a, b| a.as_ref() <= b.as_ref());
        let found = self.db.batched_multi_get_cf_opt(self.cf()?, keys.iter(), sorted, &read_options(snapshot));
        let each = found.into_iter().map(|value| Ok(value?.map(Pinned)));
        each.collect::<Result<_, _>>().map_err(StoreError::view(&self.path))
    }

    fn rows(&self, from: &[u8], until: Option<Vec<u8>>, mut options: ReadOptions) -> Result<Rows<'_>, StoreError> {
        if let Some(until) = until {
            options.set_iterate_upper_bound(until);
        }
        let mut at = self.db.raw_iterator_cf_opt(self.cf()?, options);
        at.seek(from);
        Ok(Rows { view: self, at, started: false })
    }

    fn last_in_prefix(&self, prefix: &[u8], snapshot: Option<&Snapshot<'_>>) -> Result<Option<Row>, StoreError> {
        let mut options = read_options(snapshot);
        options.set_iterate_lower_bound(prefix);
        if let Some(until) = after_prefix(prefix) {
            options.set_iterate_upper_bound(until);
        }
        let mut at = self.db.raw_iterator_cf_opt(self.cf()?, options);
        at.seek_to_last();
        at.status().map_err(StoreError::view(&self.path))?;
        Ok(at.item().map(|(key, value)| (key.to_vec(), value.to_vec())))
    }
}

/// A key and its value, borrowed until the next row.
pub type RowRef<'a> = (&'a [u8], &'a [u8]);
/// What many keys led to, in their order.
pub type Found<'a> = Vec<Option<Pinned<'a>>>;
/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);
type Snapshot<'a> = SnapshotWithThreadMode<'a, DB>;

fn read_options(snapshot: Option<&Snapshot<'_>>) -> ReadOptions {
    let mut options = ReadOptions::default();
    if let Some(snapshot) = snapshot {
        options.set_snapshot(snapshot);
    }
    options
}

/// The first key behind all that start with `prefix`; `None`: there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|byte| *byte < 0xFF)?;
    let mut after = prefix[..=end].to_vec();
    after[end] += 1;
    Some(after)
}

/// Bytes of a value, not copied out of the cache.
pub struct Pinned<'a>(DBPinnableSlice<'a>);

impl Deref for Pinned<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Pinned<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Pinned<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Rows in order of their keys.
pub struct Rows<'a> {
    view: &'a ViewInner,
    at: DBRawIteratorWithThreadMode<'a, DB>,
    started: bool,
}

impl Rows<'_> {
    /// The next row; borrows until the one after. `None`: the end.
    ///
    /// # Errors
    /// The view can't be read: it is disposable.
    pub fn next_row(&mut self) -> Result<Option<RowRef<'_>>, StoreError> {
        if self.started {
            self.step();
        }
        self.row()
    }

    /// Goes past the row that [`Rows::row`] gave.
    pub fn step(&mut self) {
        if self.at.valid() {
            self.at.next();
        }
    }

    /// The row it is at; the first, to begin with. `None`: the end.
    ///
    /// # Errors
    /// The view can't be read: it is disposable.
    pub fn row(&mut self) -> Result<Option<RowRef<'_>>, StoreError> {
        self.started = true;
        if !self.at.valid() {
            // An iterator that meets a damaged file just ends: only its status tells.
            self.at.status().map_err(StoreError::view(&self.view.path))?;
        }
        Ok(self.at.item())
    }
}

/// A view as it was at one moment: one position, whatever is ingested meanwhile. Keep it for one answer, not longer.
pub struct ViewSnapshot<'a> {
    view: &'a ViewInner,
    snapshot: Snapshot<'a>,
}

macro_rules! reads {
    ($self:ident, $view:expr, $snapshot:expr) => {
        /// The first position that is not part of it yet; 1 when it is empty.
        ///
        /// # Errors
        /// The view can't be read: it is disposable.
        pub fn next_position(&$self) -> Result<Position, StoreError> {
            $view.next_position($snapshot)
        }

        /// One row.
        ///
        /// # Errors
        /// The view can't be read: it is disposable.
        pub fn get(&$self, key: &[u8]) -> Result<Option<Pinned<'_>>, StoreError> {
            $view.get(key, $snapshot)
        }

        /// Many rows in one pass over the files, in the order of the keys given; cheapest when they are sorted.
        ///
        /// # Errors
        /// The view can't be read: it is disposable.
        pub fn multi_get<K: AsRef<[u8]>>(&$self, keys: &[K]) -> Result<Found<'_>, StoreError> {
            $view.multi_get(keys, $snapshot)
        }

        /// All rows whose keys start with `prefix`.
        ///
        /// # Errors
        /// The view can't be read: it is disposable.
        pub fn scan_prefix(&$self, prefix: &[u8]) -> Result<Rows<'_>, StoreError> {
            $view.rows(prefix, after_prefix(prefix), read_options($snapshot))
        }

        /// The rows with the prefix from a key on: for paging through all of them, so it leaves the cache to others.
        ///
        /// # Errors
        /// The view can't be read: it is disposable.
        pub fn scan_prefix_from(&$self, prefix: &[u8], from: &[u8]) -> Result<Rows<'_>, StoreError> {
            let mut options = read_options($snapshot);
            options.fill_cache(false);
            $view.rows(from.max(prefix), after_prefix(prefix), options)
        }

        /// The last row whose key starts with `prefix` (the open page of a member).
        ///
        /// # Errors
        /// The view can't be read: it is disposable.
        pub fn last_in_prefix(&$self, prefix: &[u8]) -> Result<Option<Row>, StoreError> {
            $view.last_in_prefix(prefix, $snapshot)
        }
    };
}

impl ViewSnapshot<'_> {
    reads!(self, self.view, Some(&self.snapshot));
}

impl View {
    reads!(self, self.0, None);

    pub(crate) fn new(inner: Arc<ViewInner>) -> View {
        View(inner)
    }

    pub(crate) fn db(&self) -> &DB {
        &self.0.db
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.store.shared
    }

    pub(crate) fn ingest_dir(&self) -> PathBuf {
        self.0.path.join(INGEST_DIR)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What it is now, for reads that must agree with each other.
    pub fn snapshot(&self) -> ViewSnapshot<'_> {
        ViewSnapshot { view: &self.0, snapshot: self.0.db.snapshot() }
    }

    /// All rows of it but its own, for digests and comparisons; leaves the cache to others.
    ///
    /// # Errors
    /// The view can't be read: it is disposable.
    pub fn scan_all(&self) -> Result<Rows<'_>, StoreError> {
        let mut at = self.0.db.raw_iterator_cf_opt(self.0.cf()?, options::scan());
        at.seek([keys::SPACE_META + 1]);
        Ok(Rows { view: &self.0, at, started: false })
    }

    /// A property of the database by RocksDB's name; for metrics.
    pub fn property(&self, name: &str) -> Option<u64> {
        self.0.db.property_int_value(name).ok()?
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("path", &self.0.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_prefix() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xFF\xFF"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xFF"), None);
        assert_eq!(after_prefix(b""), None);
    }
}
