//! Logs that came back short, and what the witness makes of them.

use crate::{TOPIC, append, facts, options, store};
use accrue_store::{Position, Source, Store, StoreError};
use std::fs;
use std::path::Path;

/// Leaves a store whose log has lost everything after its first group, but whose witness saw the second.
fn cut_short(dir: &Path, source: Source<'_>) {
    let opened = store(dir);
    let log = opened.shard(0).unwrap();
    append(&log, source, 3);
    drop(log);
    let kept = dir.join("kept");
    fs::rename(dir.join("shards/0000/log"), &kept).unwrap();
    copy(&kept, &dir.join("shards/0000/log"));
    append(&opened.shard(0).unwrap(), source, 4);
    drop(opened);
    fs::remove_dir_all(dir.join("shards/0000/log")).unwrap();
    fs::rename(&kept, dir.join("shards/0000/log")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_short_embedded_log_is_refused_and_stays_refused() {
    let dir = tempfile::tempdir().unwrap();
    cut_short(dir.path(), Source::Embedded);
    let opened = store(dir.path());
    for _ in 0..2 {
        let error = opened.shard(0).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::BehindWitness { .. }), "{text}");
        for part in ["shard 0", "witness", "position 4", "reach 8", "shards/0000/log"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn a_short_log_of_a_topic_is_healed_even_when_cut_differently() {
    let dir = tempfile::tempdir().unwrap();
    cut_short(dir.path(), TOPIC);
    let opened = store(dir.path());
    let log = opened.shard(0).unwrap();
    let short = log.shortfall().unwrap();
    assert_eq!((short.head.next_position, short.witness.next_position), (Position(4), Position(8)));
    assert_eq!(short.head.next_offset(TOPIC), Some(3));
    append(&log, TOPIC, 1);
    assert!(log.shortfall().is_some());
    drop((log, opened));

    // A restart in the middle must not forget.
    let opened = store(dir.path());
    let log = opened.shard(0).unwrap();
    assert!(log.shortfall().is_some());
    append(&log, TOPIC, 1);
    append(&log, TOPIC, 1);
    append(&log, TOPIC, 1);
    assert!(log.shortfall().is_none());
    assert_eq!(log.head().next_position, Position(8));
    drop((log, opened));

    // The same position on another chain, and yet right.
    let log = store(dir.path()).shard(0).unwrap();
    assert!(log.shortfall().is_none());
    assert_eq!(facts(&log).len(), 7);
    log.verify_chain(|_| {}).unwrap();
}

#[test]
fn a_log_that_is_gone_is_noticed() {
    for source in [Source::Embedded, TOPIC] {
        let dir = tempfile::tempdir().unwrap();
        append(&store(dir.path()).shard(0).unwrap(), source, 3);
        fs::remove_dir_all(dir.path().join("shards/0000/log")).unwrap();
        let opened = store(dir.path());
        match source {
            Source::Embedded => assert!(matches!(opened.shard(0), Err(StoreError::BehindWitness { .. }))),
            Source::Topic(_) => assert!(opened.shard(0).unwrap().shortfall().is_some()),
        }
    }
}

#[test]
fn a_log_of_another_history_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, groups) in [(&one, [3, 4]), (&two, [4, 3])] {
        let log = store(dir.path()).shard(0).unwrap();
        for frames in groups {
            append(&log, TOPIC, frames);
        }
    }
    let log = |dir: &tempfile::TempDir| dir.path().join("shards/0000/log");
    fs::remove_dir_all(log(&one)).unwrap();
    copy(&log(&two), &log(&one));
    let error = store(one.path()).shard(0).unwrap_err();
    assert!(matches!(error, StoreError::OtherThanWitness { position: Position(8), .. }), "{error}");

    // The same when it has gone on since.
    append(&store(two.path()).shard(0).unwrap(), TOPIC, 5);
    fs::remove_dir_all(log(&one)).unwrap();
    copy(&log(&two), &log(&one));
    let error = store(one.path()).shard(0).unwrap_err();
    assert!(matches!(error, StoreError::OtherThanWitness { position: Position(8), .. }), "{error}");
}

#[test]
fn an_older_witness_of_the_same_history_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    append(&store(dir.path()).shard(0).unwrap(), TOPIC, 3);
    let file = dir.path().join("shards/0000/witness");
    let old = fs::read(&file).unwrap();
    append(&store(dir.path()).shard(0).unwrap(), TOPIC, 3);
    fs::write(&file, old).unwrap();
    let log = store(dir.path()).shard(0).unwrap();
    assert!(log.shortfall().is_none());
    assert_eq!(log.head().next_position, Position(7));
}

#[test]
fn a_missing_witness_or_shard_is_named() {
    let dir = tempfile::tempdir().unwrap();
    append(&store(dir.path()).shard(0).unwrap(), TOPIC, 3);
    let file = dir.path().join("shards/0000/witness");
    fs::remove_file(&file).unwrap();
    let error = store(dir.path()).shard(0).unwrap_err().to_string();
    assert!(error.contains("shards/0000/witness") && error.contains("missing"), "{error}");
    fs::remove_dir_all(dir.path().join("shards/0000")).unwrap();
    let error = Store::open(dir.path(), options()).unwrap().shard(0).unwrap_err().to_string();
    assert!(error.contains("shards/0000") && error.contains("missing"), "{error}");
}
