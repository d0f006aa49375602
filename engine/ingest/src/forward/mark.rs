//! How far what follows from a shard's log was sent on: a small file beside the log.
//!
//! Missing or damaged means from the start: what was sent before is a duplicate where it arrives.

use crate::{IngestError, small_file};
use accrue_store::{Position, ShardLog};
use std::path::PathBuf;

const NAME: &str = "forwarded";

fn file(log: &ShardLog) -> PathBuf {
    log.path().with_file_name(NAME)
}

/// The first position that may not have been sent on.
pub(super) fn read(log: &ShardLog) -> Position {
    let path = file(log);
    let next = match small_file::read(&path) {
        Ok(text) => text.and_then(|text| text.parse().ok()).map_or(Position::FIRST, Position),
        Err(_) => {
            let (shard, file) = (log.shard(), path.display());
            tracing::warn!(shard, %file, "damaged: all that follows for other members is sent on again");
            Position::FIRST
        }
    };
    // A log that came back short gives the same positions once more.
    next.clamp(Position::FIRST, log.head().next_position.max(Position::FIRST))
}

/// # Errors
/// The file can't be written.
pub(super) fn write(log: &ShardLog, next: Position) -> Result<(), IngestError> {
    small_file::write(&file(log), &next.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_store::{Store, StoreOptions};

    #[test]
    fn a_mark_is_never_beyond_the_log_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().expect("dir");
        let store = Store::open(dir.path(), StoreOptions { embedded_shards: Some(1), ..StoreOptions::default() }).expect("opens");
        let log = store.shard(0).expect("there");
        assert_eq!(read(&log), Position::FIRST);
        write(&log, Position(7)).expect("written");
        assert_eq!(read(&log), Position::FIRST, "the log has nothing");
        std::fs::write(file(&log), "7").expect("written");
        assert_eq!(read(&log), Position::FIRST);
    }
}
