//! How far a shard's dead letters were sent on: a small file beside its log.
//!
//! Written after the broker has acknowledged, so that a crash sends some twice and none not at all. Missing or damaged means
//! from the start.

use crate::IngestError;
use crate::small_file;
use accrue_store::ShardLog;
use std::path::PathBuf;

const NAME: &str = "dead-letters-relayed";

fn file(log: &ShardLog) -> PathBuf {
    log.path().with_file_name(NAME)
}

/// The last letter that was sent on; 0: none.
pub(crate) fn read(log: &ShardLog) -> u64 {
    let head = log.head();
    // A log that came back short gives the same numbers once more.
    let letters = head.counters.dead_letters + head.counters.conflicts;
    let path = file(log);
    let seq = match small_file::read(&path) {
        Ok(None) => 0,
        Ok(Some(text)) => text.parse().unwrap_or(0),
        Err(_) => {
            tracing::warn!(shard = log.shard(), file = %path.display(), "damaged: all dead letters are sent on again");
            0
        }
    };
    letters.min(seq)
}

/// # Errors
/// The file can't be written.
pub(crate) fn write(log: &ShardLog, seq: u64) -> Result<(), IngestError> {
    small_file::write(&file(log), &seq.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::Instant;
    use accrue_store::{DeadLetter, Source, Store, StoreOptions};

    #[test]
    fn a_mark_is_kept_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().expect("dir");
        let store = Store::open(dir.path(), StoreOptions { embedded_shards: Some(1), ..StoreOptions::default() }).expect("opens");
        let log = store.shard(0).expect("there");
        assert_eq!(read(&log), 0);
        write(&log, 3).expect("written");
        assert_eq!(read(&log), 0, "the log has none");
        let mut group = log.begin_group(Source::Embedded, Instant(0)).expect("begun");
        for offset in 0..5 {
            group.dead(DeadLetter { offset, code: "conflict".into(), ..DeadLetter::default() });
        }
        log.append(&mut group).expect("appended");
        assert_eq!(read(&log), 3);
        std::fs::write(file(&log), "5").expect("written");
        assert_eq!(read(&log), 0);
    }
}
