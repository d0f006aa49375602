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
        let options = self.shared().view();
        let mut files = Files { dir: self.ingest_dir(), options: &options, done: Vec::new() };
        let result = files.write(next_position, rows).and_then(|()| self.take_in(&files.done));
        if result.is_err() {
            // Left over from a failure; a crash leaves them for the next opening.
            for path in &files.done {
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

/// The files of one checkpoint.
struct Files<'o> {
    dir: PathBuf,
    options: &'o Options,
    done: Vec<PathBuf>,
}

impl<'o> Files<'o> {
    fn write<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        next_position: Position,
        rows: impl IntoIterator<Item = (K, Option<V>)>,
    ) -> Result<(), StoreError> {
        let mut file = self.begin()?;
        let dir = self.dir.clone();
        let failed = |source| StoreError::database("write a file for the view in", &dir)(source);
        file.put(keys::VIEW_NEXT_POSITION, next_position.0.to_be_bytes()).map_err(failed)?;
        let mut since_look = 0;
        for (key, value) in rows {
            let key = key.as_ref();
            since_look += 1;
            if since_look >= ROWS_PER_LOOK {
                since_look = 0;
                if file.file_size() >= VIEW_FILE_BYTES_MAX {
                    file.finish().map_err(failed)?;
                    file = self.begin()?;
                }
            }
            let put = match value {
                Some(value) => file.put(key, value),
                None => file.delete(key),
            };
            put.map_err(failed)?;
        }
        file.finish().map_err(failed)
    }

    fn begin(&mut self) -> Result<SstFileWriter<'o>, StoreError> {
        let path = self.dir.join(format!("{:06}.sst", self.done.len() + 1));
        let writer = SstFileWriter::create(self.options);
        writer.open(&path).map_err(StoreError::database("create", &path))?;
        self.done.push(path);
        Ok(writer)
    }
}
