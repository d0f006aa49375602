//! A folder that is there whole or not at all: made beside its place under another name, renamed when it is complete.

use super::Outlet;
use crate::failure::Failure;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder on its way. Dropped before [`Folder::complete`]: gone.
pub struct Folder {
    place: PathBuf,
    part: PathBuf,
    complete: bool,
}

impl Folder {
    /// Begins one for a place that is empty or not there.
    ///
    /// # Errors
    /// There is something, or it can't be written there.
    pub fn begin(place: &Path) -> Result<Folder> {
        let name = place.file_name().with_context(|| format!("{} is no name of a folder", place.display()))?;
        let taken = || Failure::usage(format!("{} is there and not empty: choose another --out", place.display()));
        if place.exists() && !fs::read_dir(place).is_ok_and(|entries| entries.count() == 0) {
            return Err(taken());
        }
        let part = place.with_file_name(format!(".{}.part", name.to_string_lossy()));
        let failed = |path: &Path| format!("can't write {}", path.display());
        // What a killed one left.
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| failed(&part))?;
        }
        fs::create_dir_all(&part).with_context(|| failed(&part))?;
        Ok(Folder { place: place.to_owned(), part, complete: false })
    }

    /// Its files, until it is complete.
    pub fn outlet(&self) -> Outlet {
        Outlet::Folder(self.part.clone())
    }

    /// Writes the manifest, which says that all others are there, and puts the folder in its place.
    ///
    /// # Errors
    /// It can't be written.
    pub fn complete(mut self, manifest: &Value) -> Result<()> {
        let manifest = format!("{}\n", serde_json::to_string_pretty(manifest)?);
        let failed = || format!("can't write {}", self.place.display());
        let path = self.part.join("manifest.json");
        fs::write(&path, manifest).with_context(failed)?;
        fs::File::open(&path).and_then(|file| file.sync_all()).with_context(failed)?;
        sync_folders(&self.part).with_context(failed)?;
        fs::rename(&self.part, &self.place).with_context(failed)?;
        self.complete = true;
        let above = self.place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(above).and_then(|folder| folder.sync_all()).with_context(failed)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.complete
            && let Err(error) = fs::remove_dir_all(&self.part)
        {
            tracing::warn!(%error, folder = %self.part.display(), "what was begun could not be removed");
        }
    }
}

fn sync_folders(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("out");
        let names = || {
            let entries = fs::read_dir(dir.path()).expect("reads");
            entries.map(|entry| entry.expect("one").file_name().into_string().expect("text")).collect::<Vec<_>>()
        };
        let given_up = Folder::begin(&place).expect("begins");
        fs::write(given_up.part.join("a"), "a").expect("writes");
        assert_eq!(names(), [".out.part"]);
        drop(given_up);
        assert!(names().is_empty());
        // One that was killed leaves its part.
        fs::create_dir(dir.path().join(".out.part")).expect("made");
        fs::write(dir.path().join(".out.part/old"), "old").expect("written");
        let folder = Folder::begin(&place).expect("begins again");
        folder.complete(&Value::Null).expect("completes");
        assert_eq!(names(), ["out"]);
        assert_eq!(fs::read_dir(&place).expect("reads").count(), 1, "only the manifest");
        assert!(Folder::begin(&place).is_err(), "it is not empty");
        assert!(Folder::begin(&place.join("manifest.json")).is_err(), "a file is no folder");
    }
}
