//! Append, read, scan, reopen.

use crate::{TOPIC, append, facts, meta, options, store};
use accrue_ledger::{Instant, Kind};
use accrue_store::{Counters, DeadLetter, DeadStatus, FrameMeta, Position, Source, Store, StoreError, StoreOptions};
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn what_is_appended_comes_back_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    let log = opened.shard(0).unwrap();
    for frames in [1, 300, 2] {
        append(&log, TOPIC, frames);
    }
    let (head, all) = (log.head(), facts(&log));
    assert_eq!((head.next_position, head.block_seq), (Position(304), 4));
    assert_eq!(head.next_offset(TOPIC), Some(303));
    assert_eq!(all.len(), 303);
    drop((log, opened));

    let opened = store(dir.path());
    let log = opened.shard(0).unwrap();
    assert_eq!(log.head(), head);
    assert_eq!(facts(&log), all);
    assert_eq!(log.shortfall(), None);
    let verified = log.verify_chain(|_| {}).unwrap();
    assert_eq!(
        (verified.blocks, verified.next_position, verified.chain, verified.counters),
        (4, Position(304), head.chain, head.counters)
    );
    append(&log, TOPIC, 1);
    assert_eq!(facts(&log).len(), 304);
}

#[test]
fn what_is_not_flushed_survives_without_a_clean_close() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    let log = opened.shard(0).unwrap();
    append(&log, TOPIC, 5);
    // A copy taken while the store is open is what a kill would leave.
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let again = Store::open(copy.path(), options()).unwrap();
    assert_eq!(facts(&again.shard(0).unwrap()), facts(&log));
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn single_reads() {
    let dir = tempfile::tempdir().unwrap();
    let log = store(dir.path()).shard(0).unwrap();
    assert!(log.block_at(Position(1)).unwrap().is_none());
    append(&log, TOPIC, 600);
    for position in [1, 2, 256, 257, 600] {
        let text = log.read(Position(position), |frame| String::from_utf8(frame.fact.to_vec()).unwrap()).unwrap();
        assert!(text.starts_with(&format!("fact at offset {},", position - 1)), "{position}: {text}");
    }
    for position in [0, 601, u64::MAX] {
        assert!(matches!(log.read(Position(position), |_| ()), Err(StoreError::NoFrame { .. })), "{position}");
    }
    let wanted = [1, 3, 255, 256, 257, 258, 600].map(Position);
    let mut got = Vec::new();
    log.read_many(wanted, |frame| {
        got.push(frame.position);
        Ok::<_, StoreError>(())
    })
    .unwrap();
    assert_eq!(got, wanted);
    assert!(log.read_many([Position(1), Position(601)], |_| Ok::<_, StoreError>(())).is_err());
    assert!(log.read_many([Position(0)], |_| Ok::<_, StoreError>(())).is_err());
}

#[test]
fn ranges() {
    let dir = tempfile::tempdir().unwrap();
    let log = store(dir.path()).shard(0).unwrap();
    for _ in 0..5 {
        append(&log, TOPIC, 100);
    }
    for (from, until) in [(1, 2), (1, 501), (100, 102), (101, 201), (250, 251), (500, 9999), (501, 9999), (7, 7)] {
        let mut got = Vec::new();
        log.for_each(Position(from), Position(until), |frame| {
            got.push(frame.position.0);
            Ok::<_, StoreError>(())
        })
        .unwrap();
        assert_eq!(got, (from..until.min(501)).collect::<Vec<_>>());
    }
    let mut scan = log.scan_range(Position(150), Position(201));
    let mut firsts = Vec::new();
    while let Some(block) = scan.next_block().unwrap() {
        firsts.push(block.first_position().0);
    }
    assert_eq!(firsts, [101]);
    assert!(scan.next_block().unwrap().is_none(), "stays at the end");
}

#[test]
fn a_group_without_frames_still_moves_the_offset() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    let log = opened.shard(0).unwrap();
    append(&log, TOPIC, 2);
    let mut group = log.begin_group(TOPIC, Instant(5)).unwrap();
    group.seen(2, Position(1));
    group.dead(DeadLetter { topic: "orders".into(), offset: 3, code: "undecodable".into(), ..DeadLetter::default() });
    log.append(&mut group).unwrap();
    let mut group = log.begin_group(TOPIC, Instant(6)).unwrap();
    group.advance(9);
    log.append(&mut group).unwrap();
    let mut nothing = log.begin_group(TOPIC, Instant(7)).unwrap();
    assert!(nothing.is_empty());
    let head = log.append(&mut nothing).unwrap();
    assert_eq!((head.next_position, head.block_seq, head.next_offset(TOPIC)), (Position(3), 3, Some(9)));
    append(&log, TOPIC, 1);
    assert_eq!(log.read(Position(3), |frame| frame.offset).unwrap(), 9);
    assert_eq!(log.read(Position(2), |frame| frame.offset).unwrap(), 1);
    assert_eq!(facts(&log).len(), 3);
    let verified = log.verify_chain(|_| {}).unwrap();
    assert_eq!(verified.counters, Counters { facts: 3, duplicates: 1, dead_letters: 1, ..Counters::default() });
    let mut scan = log.scan(Position::FIRST);
    let mut seen = Vec::new();
    while let Some(block) = scan.next_block().unwrap() {
        seen.extend(block.seen());
    }
    assert_eq!(seen, [(2, Position(1))]);
}

#[test]
fn a_log_may_start_with_blocks_without_frames() {
    let dir = tempfile::tempdir().unwrap();
    let log = store(dir.path()).shard(0).unwrap();
    for offset in 0..2 {
        let mut group = log.begin_group(TOPIC, Instant(5)).unwrap();
        group.dead(DeadLetter { offset, code: "undecodable".into(), ..DeadLetter::default() });
        log.append(&mut group).unwrap();
    }
    append(&log, TOPIC, 3);
    for from in [Position::NONE, Position::FIRST] {
        let mut scan = log.scan(from);
        let mut seqs = Vec::new();
        while let Some(block) = scan.next_block().unwrap() {
            seqs.push(block.seq());
        }
        assert_eq!(seqs, [1, 2, 3]);
    }
    log.verify_chain(|_| {}).unwrap();
}

#[test]
fn buffers_are_used_again_and_a_group_is_appended_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = store(dir.path()).shard(0).unwrap();
    let mut group = log.begin_group(TOPIC, Instant(1)).unwrap();
    let mut other = log.begin_group(TOPIC, Instant(1)).unwrap();
    group.push(meta(0), b"one", None);
    other.push(meta(0), b"other", None);
    log.append(&mut group).unwrap();
    assert!(matches!(log.append(&mut group), Err(StoreError::StaleGroup { .. })), "twice");
    assert!(matches!(log.append(&mut other), Err(StoreError::StaleGroup { .. })), "does not follow");
    log.begin_again(&mut group, TOPIC, Instant(2)).unwrap();
    assert_eq!((group.len(), group.bytes(), group.next_offset()), (0, 0, 1));
    group.push(meta(1), b"two", None);
    log.append(&mut group).unwrap();
    assert_eq!(facts(&log), [(1, "one".to_owned()), (2, "two".to_owned())]);
}

#[test]
fn a_faulty_group_is_refused_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = store(dir.path()).shard(0).unwrap();
    append(&log, TOPIC, 3);
    let mut group = log.begin_group(TOPIC, Instant(1)).unwrap();
    group.push(meta(1), b"again", None);
    let error = log.append(&mut group).unwrap_err();
    assert!(error.to_string().contains("offset 1 of source \"orders\" after 3"), "{error}");
    let mut group = log.begin_group(TOPIC, Instant(1)).unwrap();
    group.push(meta(3), &vec![0; 17 << 20], None);
    assert!(matches!(log.append(&mut group), Err(StoreError::TooLarge { .. })));
    append(&log, TOPIC, 1);
    assert_eq!(facts(&log).len(), 4);
}

#[test]
fn sources_keep_their_own_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    let log = opened.shard(0).unwrap();
    append(&log, Source::Embedded, 2);
    append(&log, TOPIC, 5);
    let head = append(&log, Source::Embedded, 1);
    assert_eq!((head.next_offset(Source::Embedded), head.next_offset(TOPIC)), (Some(3), Some(5)));
    assert_eq!(head.last_source().unwrap().topic, None);
    assert_eq!(
        log.read(Position(3), |frame| head.sources[usize::from(frame.source)].topic.clone()).unwrap().as_deref(),
        Some("orders")
    );
    log.verify_chain(|_| {}).unwrap();
}

#[test]
fn dead_letters_are_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    let log = opened.shard(0).unwrap();
    append(&log, TOPIC, 1);
    let mut group = log.begin_group(TOPIC, Instant(44)).unwrap();
    let letter = |offset: i64, code: &str| DeadLetter {
        topic: "orders".into(),
        partition: 0,
        offset,
        code: code.into(),
        detail: "why".into(),
        key: Some(b"k".to_vec()),
        value: Some(vec![0xFF; 9]),
        headers: vec![("h".into(), None)],
        timestamp_ms: Some(offset),
        first_position: (code == "conflict").then_some(Position(1)),
    };
    for (offset, code) in [(1, "undecodable"), (2, "conflict"), (3, "overflow")] {
        group.dead(letter(offset, code));
    }
    log.append(&mut group).unwrap();
    log.set_dead_status(2, DeadStatus::Requeued).unwrap();
    drop((log, opened));

    let log = store(dir.path()).shard(0).unwrap();
    let all = log.dead_letters(1, 10).unwrap();
    assert_eq!(
        all.iter().map(|row| (row.seq, row.status, row.recorded_at)).collect::<Vec<_>>(),
        [(1, DeadStatus::Open, Instant(44)), (2, DeadStatus::Requeued, Instant(44)), (3, DeadStatus::Open, Instant(44)),]
    );
    assert_eq!(all[1].letter, letter(2, "conflict"));
    assert_eq!(log.dead_letters(2, 1).unwrap().len(), 1);
    assert_eq!(log.dead_letter(3).unwrap().unwrap().letter.code, "overflow");
    assert!(log.dead_letter(4).unwrap().is_none());
    assert!(matches!(log.set_dead_status(4, DeadStatus::Dropped), Err(StoreError::NoDeadLetter { seq: 4, .. })));
    let numbers_at = |offset| log.dead_letter_at(offset).unwrap().map(|row| row.seq);
    assert_eq!([0, 1, 3, 4].map(numbers_at), [None, Some(1), Some(3), None]);
    assert!(log.set_dead_statuses(&[1, 9], DeadStatus::Dropped).is_err(), "all or none");
    assert_eq!(log.dead_letter(1).unwrap().unwrap().status, DeadStatus::Open);
    log.set_dead_statuses(&[1, 3], DeadStatus::Dropped).unwrap();
    assert!(log.dead_letters(1, 10).unwrap().iter().all(|row| row.status != DeadStatus::Open));
    let head = log.head();
    assert_eq!((head.counters.conflicts, head.counters.dead_letters), (1, 2));
    log.verify_chain(|_| {}).unwrap();
}

#[test]
fn shards_generations_and_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = StoreOptions { embedded_shards: Some(3), ..options() };
    let opened = Store::open(dir.path(), embedded.clone()).unwrap();
    assert_eq!((opened.shard_ids(), opened.embedded_shards()), (vec![0, 1, 2], Some(3)));
    assert!(matches!(opened.shard(3), Err(StoreError::NoShard { shard: 3, .. })));
    let log = opened.shard(1).unwrap();
    assert_eq!(log.live_generation(), 1);
    log.set_live_generation(2).unwrap();
    let secret = opened.coupon_secret();
    let refused = Store::open(dir.path(), embedded.clone()).unwrap_err();
    assert!(matches!(&refused, StoreError::Locked { pid, .. } if *pid == std::process::id().to_string()), "{refused}");
    drop(opened);
    assert!(Store::open(dir.path(), embedded.clone()).is_err(), "a log is still open");
    drop(log);
    let opened = Store::open(dir.path(), embedded).unwrap();
    assert_eq!(opened.shard(1).unwrap().live_generation(), 2);
    assert_eq!(opened.shard(0).unwrap().live_generation(), 1);
    assert_eq!(opened.coupon_secret(), secret);
    assert!(Store::open(dir.path(), StoreOptions { embedded_shards: Some(0), ..options() }).is_err());
}

#[test]
fn readers_see_only_what_is_appended_while_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = store(dir.path()).shard(0).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let end = log.head().next_position;
                    let all = facts(&log);
                    assert!(all.len() as u64 + 1 >= end.0);
                    assert!(all.iter().zip(1..).all(|((position, _), expected)| *position == expected));
                    if end > Position::FIRST {
                        log.read(Position(end.0 - 1), |_| ()).unwrap();
                    }
                }
            });
        }
        for _ in 0..60 {
            append(&log, TOPIC, 30);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(facts(&log).len(), 1800);
}

#[test]
fn the_witness_follows_within_a_second_or_so() {
    let dir = tempfile::tempdir().unwrap();
    let log = store(dir.path()).shard(0).unwrap();
    append(&log, TOPIC, 3);
    let file = dir.path().join("shards/0000/witness");
    let witnessed = || std::fs::read_to_string(&file).unwrap().contains("\"next_position\":4");
    // Long patience for a loaded machine; what matters is that it comes without a close.
    assert!((0..100).any(|_| witnessed() || {
        std::thread::sleep(Duration::from_millis(100));
        false
    }));
}

#[derive(Clone, Debug)]
enum Step {
    Frame { late: bool, parked: bool, rejected: bool, fact: Vec<u8>, decision: Option<Vec<u8>> },
    Seen,
    Dead { conflict: bool },
    Skip,
    Append,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..2000);
    let step = prop_oneof![
        12 => (any::<bool>(), any::<bool>(), any::<bool>(), bytes(), proptest::option::of(bytes()))
            .prop_map(|(late, parked, rejected, fact, decision)| Step::Frame { late, parked, rejected, fact, decision }),
        2 => Just(Step::Seen),
        1 => any::<bool>().prop_map(|conflict| Step::Dead { conflict }),
        1 => Just(Step::Skip),
        2 => Just(Step::Append),
    ];
    proptest::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_history_comes_back(history in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let opened = store(dir.path());
        let log = opened.shard(0).unwrap();
        let (mut expected, mut offset, mut consumed) = (Vec::new(), 0, 0);
        let mut group = log.begin_group(TOPIC, Instant(0)).unwrap();
        let mut groups = 0;
        for step in history.iter().chain([&Step::Append]) {
            match step {
                Step::Frame { late, parked, rejected, fact, decision } => {
                    let meta = FrameMeta { kind: Kind::PointsAdjusted, late: *late, parked: *parked, rejected: *rejected, ..meta(offset) };
                    let position = group.push(meta, fact, decision.as_deref());
                    prop_assert_eq!(group.read(position).map(|frame| frame.fact), Some(fact.as_slice()));
                    expected.push((position, Instant(groups), offset, *late, *parked, *rejected && decision.is_some(), fact.clone(), decision.clone()));
                }
                Step::Seen => group.seen(offset, Position(0)),
                Step::Dead { conflict } => {
                    group.dead(DeadLetter { offset, code: if *conflict { "conflict" } else { "bad" }.into(), ..DeadLetter::default() });
                }
                Step::Skip => {}
                Step::Append => {
                    log.append(&mut group).unwrap();
                    groups += 1;
                    log.begin_again(&mut group, TOPIC, Instant(groups)).unwrap();
                    continue;
                }
            }
            consumed += u64::from(!matches!(step, Step::Skip));
            offset += 1;
        }
        drop((log, opened));
        let opened = store(dir.path());
        let log = opened.shard(0).unwrap();
        let mut got = Vec::new();
        log.for_each(Position::FIRST, Position::MAX, |frame| {
            got.push((frame.position, frame.recorded_at, frame.offset, frame.late, frame.parked, frame.rejected, frame.fact.to_vec(), frame.decision.map(<[u8]>::to_vec)));
            Ok::<_, StoreError>(())
        }).unwrap();
        prop_assert_eq!(&got, &expected);
        for (position, _, at, ..) in &expected {
            prop_assert_eq!(log.read(*position, |frame| frame.offset).unwrap(), *at);
        }
        let head = log.head();
        prop_assert_eq!(head.counters.consumed(), consumed);
        prop_assert_eq!(head.counters.frames(), expected.len() as u64);
        prop_assert_eq!(log.verify_chain(|_| {}).unwrap().counters, head.counters);
    }
}
