//! A vault as one file, and back: `name length u32 | name | row length u32 | row`, keys wrapped as they are in the vault.

use super::{CHECK_ROW, FAMILY, Row, Vault};
use crate::backup::KEY_ROWS;
use crate::{Position, ShardLog, Snapshot, StoreError, sealed};
use rocksdb::{ColumnFamilyDescriptor, DB, WriteBatch};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Rows written at a time.
const BATCH_ROWS_MAX: usize = 10_000;

impl Vault {
    /// Writes all rows into a file.
    ///
    /// # Errors
    /// The keys can't be read, or the file can't be written.
    pub(crate) fn write_rows(&self, file: &Path) -> Result<(), StoreError> {
        let _no_key_is_destroyed_meanwhile = self.writing.lock();
        let mut bytes = Vec::new();
        let mut at = self.db.raw_iterator();
        at.seek_to_first();
        while let Some((name, row)) = at.item() {
            for part in [name, row] {
                let length = u32::try_from(part.len()).map_err(|_| self.broken("a row is too long"))?;
                bytes.extend(length.to_be_bytes());
                bytes.extend(part);
            }
            at.next();
        }
        at.status().map_err(StoreError::database("read", &self.path))?;
        sealed::replace(file, &bytes, 0o600)
    }

    /// What a backup that is being made, or was not made to its end, has of these keys.
    pub(super) fn forget_snapshot(&self) -> Result<(), StoreError> {
        let shard = self.path.parent();
        let name = shard.and_then(Path::file_name).unwrap_or_default();
        let rows = Snapshot::dir(&self.store.root()).join("shards").join(name).join(KEY_ROWS);
        match fs::remove_file(&rows) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", &rows)(error)),
            _ => Ok(()),
        }
    }
}

impl ShardLog {
    /// Makes the keys of a shard that has none of the rows in a file. They may be of a later moment than the log: a row that names an
    /// erasure behind the end of the log keeps it, as one carried out at that end, so that the next one is not taken for done.
    ///
    /// # Errors
    /// The file is damaged, or the keys can't be written.
    pub(crate) fn restore_keys(&self, file: &Path) -> Result<(), StoreError> {
        let damaged = || StoreError::Damaged { path: file.to_path_buf(), detail: "a row of it can't be read".into() };
        let bytes = fs::read(file).map_err(StoreError::io("read", file))?;
        let last = Position(self.head().next_position.0.saturating_sub(1));
        let path = self.path().with_file_name("keys");
        let options = self.inner().store.shared.keys();
        let family = ColumnFamilyDescriptor::new(FAMILY, self.inner().store.shared.keys());
        let db = DB::open_cf_descriptors(&options, &path, [family]).map_err(StoreError::database("make the keys", &path))?;
        let (mut rest, mut batch) = (bytes.as_slice(), WriteBatch::default());
        let write = |batch: &mut WriteBatch| db.write(std::mem::take(batch)).map_err(StoreError::database("write", &path));
        while !rest.is_empty() {
            let (name, after) = part(rest).ok_or_else(damaged)?;
            let (row, after) = part(after).ok_or_else(damaged)?;
            rest = after;
            if name == CHECK_ROW {
                batch.put(name, row);
            } else {
                let row = Row::read(row).ok_or_else(damaged)?;
                batch.put(name, Row { erased: row.erased.min(last), ..row }.bytes());
            }
            if batch.len() >= BATCH_ROWS_MAX {
                write(&mut batch)?;
            }
        }
        write(&mut batch)?;
        db.flush().map_err(StoreError::database("write", &path))
    }
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
