//! Files beside the rows of a view: for what is dear to make again. They go with the view.

use crate::view::View;
use crate::{StoreError, sealed};
use std::fs::File;
use std::io::{self, Read as _, Write as _};

impl View {
    /// Replaces the file of this name, whole or not at all.
    ///
    /// # Errors
    /// It can't be written.
    pub fn put_beside(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.put_beside_with(name, |file| file.write_all(bytes))
    }

    /// The same with what `write` writes, piece by piece.
    ///
    /// # Errors
    /// As [`View::put_beside`].
    pub fn put_beside_with(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
        sealed::replace_with(&self.path().join(name), 0o644, write)
    }

    /// The file of this name, to be read piece by piece. `None`: there is none.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn open_beside(&self, name: &str) -> Result<Option<File>, StoreError> {
        let path = self.path().join(name);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("open", &path)(error)),
        }
    }

    /// What the file of this name holds. `None`: there is none.
    ///
    /// # Errors
    /// It can't be read.
    pub fn beside(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut file) = self.open_beside(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(StoreError::io("read", &self.path().join(name)))?;
        Ok(Some(bytes))
    }
}
