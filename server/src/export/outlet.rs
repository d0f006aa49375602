//! Where the bytes of files go: into a folder, or to whoever takes them in pieces.

use anyhow::{Context as _, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

/// Takes the next bytes of the file at a path.
type Take = dyn Fn(&str, &[u8]) -> io::Result<()> + Send + Sync;

/// One of both. Cheap to clone.
#[derive(Clone)]
pub enum Outlet {
    /// Files in a folder that is there.
    Folder(PathBuf),
    /// Pieces of files, each file's in order.
    Pieces(Arc<Take>),
}

impl Outlet {
    /// Makes an empty file, and the folders above it.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn create(&self, path: &str) -> Result<()> {
        let Outlet::Folder(folder) = self else { return Ok(()) };
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("can't make {}", parent.display()))?;
        }
        File::create_new(&path).with_context(|| format!("can't write {}", path.display()))?;
        Ok(())
    }

    /// Appends to a file that was made.
    pub(super) fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = match self {
            Outlet::Folder(folder) => folder,
            Outlet::Pieces(take) => return take(path, bytes),
        };
        let path = folder.join(path);
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("can't write {}: {error}", path.display()));
        let mut file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        file.write_all(bytes).map_err(failed)
    }

    /// Makes a file durable.
    pub(super) fn sync(&self, path: &str) -> Result<()> {
        let Outlet::Folder(folder) = self else { return Ok(()) };
        let path = folder.join(path);
        File::open(&path).and_then(|file| file.sync_all()).with_context(|| format!("can't sync {}", path.display()))
    }
}
