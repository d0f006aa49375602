//! Small files beside the databases: JSON, then a line with its checksum; replaced whole or not at all.

use crate::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Replaces a file: written beside it, synced, renamed, the directory synced.
///
/// # Errors
/// Any of it fails.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    replace_with(path, mode, |file| file.write_all(bytes))
}

/// The same with what `write` writes.
///
/// # Errors
/// As [`replace`].
pub(crate) fn replace_with(path: &Path, mode: u32, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
    let beside = path.with_extension("tmp");
    let replace = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    if let Err(error) = replace() {
        // What is half written is of no use to anybody, and takes room that may be what is missing.
        let _ = fs::remove_file(&beside);
        return Err(StoreError::io("write", path)(error));
    }
    sync_dir(path.parent().unwrap_or(path))
}

/// Makes renames and new names in a directory durable.
///
/// # Errors
/// The directory can't be opened or synced.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("sync", dir))
}

/// Writes a value with its checksum.
///
/// # Errors
/// The file can't be written.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let json = serde_json::to_string(value).map_err(|error| StoreError::io("write", path)(io::Error::other(error)))?;
    let text = format!("{json}\n{:016x}\n", xxh3_64(json.as_bytes()));
    replace(path, text.as_bytes(), 0o644)
}

/// Reads a value back. `None`: there is no such file.
///
/// # Errors
/// The file can't be read, or is not what was written.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    let damaged = |detail: &str| StoreError::Damaged { path: path.to_path_buf(), detail: detail.to_owned() };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged("not text"))?;
    let (json, checksum) = text.split_once('\n').ok_or_else(|| damaged("cut"))?;
    if checksum != format!("{:016x}\n", xxh3_64(json.as_bytes())) {
        return Err(damaged("its checksum differs"));
    }
    serde_json::from_str(json).map(Some).map_err(|error| damaged(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("small");
        assert_eq!(read::<Vec<u32>>(&path).expect("absent"), None);
        write(&path, &vec![1, 2, 3]).expect("written");
        assert_eq!(read(&path).expect("whole"), Some(vec![1, 2, 3]));
        let whole = fs::read(&path).expect("bytes");
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).expect("written");
            assert!(read::<Vec<u32>>(&path).is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).expect("written");
            let error = read::<Vec<u32>>(&path).expect_err("cut");
            assert!(error.to_string().contains("small"), "{error}");
        }
    }

    #[test]
    fn what_is_half_written_does_not_stay() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("small");
        write(&path, &7).expect("written");
        let full = |file: &mut File| file.write_all(b"half").and_then(|()| Err(io::ErrorKind::StorageFull.into()));
        assert!(replace_with(&path, 0o644, full).is_err());
        assert_eq!(read::<u32>(&path).expect("as before"), Some(7));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
