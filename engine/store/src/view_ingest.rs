//! Taking a checkpoint into a view: sorted files, then all of them in one atomic step together with the position.

use crate::options::VIEW_FILE_BYTES_MAX;
use crate::view::View;
use crate::{Position, StoreError, keys};
use rocksdb::{IngestExternalFileOptions, Options, SstFileWriter};
use std::fs;
use std::path::PathBuf;

/// Rows between two looks at the size of the file being written.
const ROWS_PER_LOOK: u32 = 256;

impl View {
    /// Writes rows and the position they make the view true at. `rows` come in ascending order of their keys, each
    /// key once, none in key space 01; `None` deletes. Either all of it is there afterwards, or nothing.
    ///
    /// # Errors
    /// The rows are out of order, or the files can't be written or taken in. The view is as before.
    pub fn ingest<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        next_position: Position,
        rows: impl IntoIterator<Item = (K, Option<V>)>,
    ) -> Result<(), StoreError> {
        self.ingest_with(next_position, |to| {
            rows.into_iter().try_for_each(|(key, value)| match value {
                Some(value) => to.put(key.as_ref(), value.as_ref()),
                None => to.delete(key.as_ref()),
            })
        })
    }

    /// The same for rows that `write` puts, which nobody has to own.
    ///
    /// # Errors
    /// As [`View::ingest`], or what `write` says. The view is as before.
    pub fn ingest_with<E: From<StoreError>>(
        &self,
        next_position: Position,
        write: impl FnOnce(&mut RowWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ingest_beside(0, next_position, write)
    }

    /// The same while others do: each has a `lane` of its own.
    ///
    /// # Errors
    /// As [`View::ingest_with`].
    pub fn ingest_beside<E: From<StoreError>>(
        &self,
        lane: usize,
        next_position: Position,
        write: impl FnOnce(&mut RowWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let options = self.shared().view_file();
        let dir = self.ingest_dir();
        let mut to = RowWriter { dir, lane, options: &options, done: Vec::new(), file: None, since_look: 0 };
        let result = to
            .put(keys::VIEW_NEXT_POSITION, &next_position.0.to_be_bytes())
            .map_err(E::from)
            .and_then(|()| write(&mut to))
            .and_then(|()| Ok(to.finish()?))
            .and_then(|()| Ok(self.take_in(&to.done)?));
        if result.is_err() {
            // Left over from a failure; a crash leaves them for the next opening.
            for path in &to.done {
                let _ = fs::remove_file(path);
            }
        }
        result
    }

    fn take_in(&self, files: &[PathBuf]) -> Result<(), StoreError> {
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        options.set_allow_global_seqno(true);
        options.set_snapshot_consistency(true);
        options.set_allow_blocking_flush(false);
        let taken = self.db().ingest_external_file_opts(&options, files.to_vec());
        taken.map_err(StoreError::database("ingest into the view", self.path()))
    }
}

/// Takes the rows of one checkpoint, in ascending order of their keys.
pub struct RowWriter<'o> {
    dir: PathBuf,
    lane: usize,
    options: &'o Options,
    done: Vec<PathBuf>,
    file: Option<SstFileWriter<'o>>,
    since_look: u32,
}

impl<'o> RowWriter<'o> {
    /// Writes a row.
    ///
    /// # Errors
    /// Its key is not behind the last one's, or the file can't be written.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let put = self.file()?.put(key, value);
        put.map_err(|source| self.failed(source))
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// As [`RowWriter::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<(), StoreError> {
        let deleted = self.file()?.delete(key);
        deleted.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rocksdb::Error) -> StoreError {
        StoreError::database("write a file for the view in", &self.dir)(source)
    }

    /// The file that the next row goes to.
    fn file(&mut self) -> Result<&mut SstFileWriter<'o>, StoreError> {
        self.since_look += 1;
        if self.since_look >= ROWS_PER_LOOK {
            self.since_look = 0;
            if self.file.as_ref().is_some_and(|file| file.file_size() >= VIEW_FILE_BYTES_MAX) {
                self.finish()?;
            }
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => self.begin()?,
        };
        Ok(self.file.insert(file))
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.finish().map_err(|source| self.failed(source))
    }

    fn begin(&mut self) -> Result<SstFileWriter<'o>, StoreError> {
        let path = self.dir.join(format!("{:03}-{:06}.sst", self.lane, self.done.len() + 1));
        let writer = SstFileWriter::create(self.options);
        writer.open(&path).map_err(StoreError::database("create", &path))?;
        self.done.push(path);
        Ok(writer)
    }
}
