//! How far a shard's dead letters were sent on: a small file beside its log.
//!
//! Written after the broker has acknowledged, so that a crash sends some twice and none not at all. Missing or damaged means
//! from the start.

use crate::IngestError;
use accrue_store::ShardLog;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64;

const NAME: &str = "dead-letters-relayed";

fn file(log: &ShardLog) -> PathBuf {
    log.path().with_file_name(NAME)
}

fn line(seq: u64) -> String {
    format!("{seq} {:016x}\n", xxh3_64(&seq.to_be_bytes()))
}

/// The last letter that was sent on; 0: none.
pub(crate) fn read(log: &ShardLog) -> u64 {
    let head = log.head();
    // A log that came back short gives the same numbers once more.
    let letters = head.counters.dead_letters + head.counters.conflicts;
    let Ok(text) = fs::read_to_string(file(log)) else { return 0 };
    let seq = text.split(' ').next().and_then(|seq| seq.parse::<u64>().ok()).filter(|seq| line(*seq) == text);
    if seq.is_none() {
        tracing::warn!(shard = log.shard(), file = %file(log).display(), "damaged: all dead letters are sent on again");
    }
    seq.unwrap_or(0).min(letters)
}

/// # Errors
/// The file can't be written.
pub(crate) fn write(log: &ShardLog, seq: u64) -> Result<(), IngestError> {
    let path = file(log);
    let failed = |source| IngestError::File { path: path.display().to_string(), source };
    let part = path.with_extension("part");
    let mut new = File::create(&part).map_err(failed)?;
    new.write_all(line(seq).as_bytes()).and_then(|()| new.sync_data()).map_err(failed)?;
    fs::rename(&part, &path).map_err(failed)
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
        let damaged = fs::read_to_string(file(&log)).expect("there").replacen('3', "5", 1);
        fs::write(file(&log), damaged).expect("written");
        assert_eq!(read(&log), 0);
    }
}
