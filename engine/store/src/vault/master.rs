//! The master key's file: 64 hex digits.

use super::{KEY_BYTES, random};
use crate::{StoreError, dead::hex, sealed};
use parking_lot::Mutex;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Reads the master key; `may_make`: makes one where there is none.
///
/// # Errors
/// There is none though keys were wrapped with one, or it can't be read or made.
pub(super) fn read_or_make(file: &Path, may_make: bool) -> Result<[u8; KEY_BYTES], StoreError> {
    // Shards begin at the same time, and there is one key for all.
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && may_make => {
            let key = random::<KEY_BYTES>()?;
            sealed::replace(file, format!("{}\n", hex(&key)).as_bytes(), 0o600)?;
            tracing::warn!(
                file = %file.display(),
                "made a master key for members' personal data: keep a copy apart from the data, without it nobody can read them"
            );
            return Ok(key);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let detail = "the master key is missing, members' personal data can't be read without it".to_owned();
            return Err(StoreError::Damaged { path: file.to_path_buf(), detail });
        }
        Err(error) => return Err(StoreError::io("read", file)(error)),
    };
    let text = text.trim();
    let digits = (text.len() == 2 * KEY_BYTES && text.is_ascii()).then(|| text.as_bytes().chunks(2));
    let bytes: Option<Vec<u8>> =
        digits.and_then(|pairs| pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| StoreError::Damaged {
        path: file.to_path_buf(),
        detail: format!("a master key is {} hex digits", 2 * KEY_BYTES),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    #[test]
    fn shards_that_begin_at_the_same_time_have_one_key() {
        for _ in 0..20 {
            let (dir, begin) = (tempfile::tempdir().expect("a directory"), Barrier::new(4));
            let (file, begin) = (dir.path().join("master-key"), &begin);
            let make = || {
                begin.wait();
                read_or_make(&file, true).map_err(|error| error.to_string())
            };
            let made: BTreeSet<_> = std::thread::scope(|scope| {
                let shards: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                shards.into_iter().map(|shard| shard.join().expect("ends")).collect()
            });
            assert!(made.len() == 1 && made.first().is_some_and(Result::is_ok), "{made:?}");
        }
    }
}
