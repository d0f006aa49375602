//! One line in a file, with a checksum: it is whole, or it is noticed.

use crate::IngestError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// It is there and was not written by [`write`].
#[derive(Debug)]
pub(crate) struct Damaged;

fn line(text: &str) -> String {
    format!("{text} {:016x}\n", xxh3_64(text.as_bytes()))
}

/// `Ok(None)`: there is none.
///
/// # Errors
/// It is damaged or can't be read.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Damaged> {
    let whole = match fs::read_to_string(path) {
        Ok(whole) => whole,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) => return Err(Damaged),
    };
    let text = whole.rsplit_once(' ').map(|(text, _)| text.to_owned());
    text.filter(|text| line(text) == whole).map(Some).ok_or(Damaged)
}

/// Replaces it, durably.
///
/// # Errors
/// It can't be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), IngestError> {
    let failed = |source| IngestError::File { path: path.display().to_string(), source };
    let part = path.with_extension("part");
    let mut new = File::create(&part).map_err(failed)?;
    new.write_all(line(text).as_bytes()).and_then(|()| new.sync_data()).map_err(failed)?;
    fs::rename(&part, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_noticed() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("mark");
        assert_eq!(read(&path).expect("none"), None);
        for text in ["12", "two words", ""] {
            write(&path, text).expect("written");
            assert_eq!(read(&path).expect("whole").as_deref(), Some(text));
        }
        write(&path, "12").expect("written");
        let good = fs::read(&path).expect("there");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).expect("written");
            assert!(read(&path).is_err(), "{at}");
            fs::write(&path, &good[..at]).expect("written");
            assert!(read(&path).is_err(), "{at}");
        }
    }
}
