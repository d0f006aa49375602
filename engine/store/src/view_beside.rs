//! Files beside the rows of a view: for what is dear to make again. They go with the view.

use crate::view::View;
use crate::{StoreError, sealed};
use std::fs;
use std::io;

impl View {
    /// Replaces the file of this name, whole or not at all.
    ///
    /// # Errors
    /// It can't be written.
    pub fn put_beside(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        sealed::replace(&self.path().join(name), bytes, 0o644)
    }

    /// What the file of this name holds. `None`: there is none.
    ///
    /// # Errors
    /// It can't be read.
    pub fn beside(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path().join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }
}
