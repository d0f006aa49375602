//! Views: whole checkpoints or nothing, true at the position they name.

use crate::store;
use accrue_store::{Position, StoreError, View, keys};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;

fn key(number: u32) -> Vec<u8> {
    let mut key = Vec::new();
    keys::member(&mut key, "shop", &format!("m{number:06}"));
    key
}

fn all(view: &View) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut rows = view.scan_all().unwrap();
    while let Some((key, value)) = rows.next_row().unwrap() {
        found.insert(key.to_vec(), value.to_vec());
    }
    found
}

#[test]
fn an_empty_view_is_true_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let view = store(dir.path()).view(0, 1).unwrap();
    assert_eq!(view.next_position().unwrap(), Position::FIRST);
    assert!(view.get(b"\x20x").unwrap().is_none());
    assert!(all(&view).is_empty());
    assert_eq!(view.last_in_prefix(b"\x20").unwrap(), None);
}

#[test]
fn rows_come_back_are_overwritten_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    let view = opened.view(0, 1).unwrap();
    view.ingest(Position(10), (0..5000).map(|n| (key(n), Some(format!("value {n}"))))).unwrap();
    view.ingest(Position(20), (0..5000).step_by(2).map(|n| (key(n), (n % 4 == 0).then_some("new")))).unwrap();
    view.ingest(Position(30), std::iter::empty::<(&[u8], Option<&[u8]>)>()).unwrap();
    for view in [view, opened.view(0, 1).unwrap()] {
        assert_eq!(view.next_position().unwrap(), Position(30));
        assert_eq!(view.get(&key(0)).unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(view.get(&key(1)).unwrap().as_deref(), Some(&b"value 1"[..]));
        assert!(view.get(&key(2)).unwrap().is_none());
        assert_eq!(all(&view).len(), 3750);
    }
    drop(opened);
    let opened = store(dir.path());
    let view = opened.view(0, 1).unwrap();
    assert_eq!((view.next_position().unwrap(), all(&view).len()), (Position(30), 3750));
}

#[test]
fn many_at_once_in_the_order_asked() {
    let dir = tempfile::tempdir().unwrap();
    let view = store(dir.path()).view(0, 1).unwrap();
    view.ingest(Position(2), (0..100).map(|n| (key(n * 2), Some(n.to_string())))).unwrap();
    let sorted: Vec<_> = (0..50).map(key).collect();
    let mixed: Vec<_> = [7, 4, 2, 4, 198, 200].map(key).to_vec();
    let got = |keys: &[Vec<u8>]| -> Vec<Option<String>> {
        let values = view.multi_get(keys).unwrap();
        values.into_iter().map(|value| value.map(|value| String::from_utf8(value.to_vec()).unwrap())).collect()
    };
    assert_eq!(got(&sorted), (0..50).map(|n| (n % 2 == 0).then(|| (n / 2).to_string())).collect::<Vec<_>>());
    assert_eq!(got(&mixed), [None, Some("2"), Some("1"), Some("2"), Some("99"), None].map(|value| value.map(str::to_owned)));
    assert!(got(&[]).is_empty());
}

#[test]
fn prefixes_pages_and_the_last_row() {
    let dir = tempfile::tempdir().unwrap();
    let view = store(dir.path()).view(0, 1).unwrap();
    let mut rows = BTreeMap::new();
    for member in ["a", "ab", "b"] {
        for page in [0, 100, 200] {
            let mut key = Vec::new();
            keys::entries(&mut key, "p", member, page);
            rows.insert(key, Some(format!("{member}{page}")));
        }
    }
    view.ingest(Position(2), rows).unwrap();
    let mut prefix = Vec::new();
    keys::entries_of(&mut prefix, "p", "a");
    let values = |mut rows: accrue_store::Rows<'_>| {
        let mut found = Vec::new();
        while let Some((_, value)) = rows.next_row().unwrap() {
            found.push(String::from_utf8(value.to_vec()).unwrap());
        }
        found
    };
    assert_eq!(values(view.scan_prefix(&prefix).unwrap()), ["a0", "a100", "a200"]);
    let mut from = Vec::new();
    keys::entries(&mut from, "p", "a", 100);
    assert_eq!(values(view.scan_prefix_from(&prefix, &from).unwrap()), ["a100", "a200"]);
    assert_eq!(values(view.scan_prefix_from(&prefix, b"").unwrap()), ["a0", "a100", "a200"]);
    assert_eq!(view.last_in_prefix(&prefix).unwrap().unwrap().1, b"a200");
    keys::entries_of(&mut prefix, "p", "zz");
    assert_eq!(view.last_in_prefix(&prefix).unwrap(), None);
}

#[test]
fn a_snapshot_stays_at_its_position() {
    let dir = tempfile::tempdir().unwrap();
    let view = store(dir.path()).view(0, 1).unwrap();
    view.ingest(Position(2), [(key(1), Some("old"))]).unwrap();
    let before = view.snapshot();
    view.ingest(Position(3), [(key(1), Some("new")), (key(2), Some("more"))]).unwrap();
    assert_eq!(before.next_position().unwrap(), Position(2));
    assert_eq!(before.get(&key(1)).unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(before.multi_get(&[key(1), key(2)]).unwrap()[1].as_deref(), None);
    assert_eq!(before.last_in_prefix(b"\x20").unwrap().unwrap().1, b"old");
    assert_eq!(view.get(&key(1)).unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_failed_checkpoint_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let view = store(dir.path()).view(0, 1).unwrap();
    view.ingest(Position(2), [(key(1), Some("old"))]).unwrap();
    for rows in [[key(5), key(4)], [key(5), key(5)]] {
        view.ingest(Position(3), rows.map(|key| (key, Some("new")))).unwrap_err();
    }
    assert!(view.ingest(Position(3), [(b"\x01a", Some("x"))]).is_err(), "key space 01 is the store's");
    assert_eq!((view.next_position().unwrap(), all(&view).len()), (Position(2), 1));
    assert_eq!(fs::read_dir(view.path().join("ingest")).unwrap().count(), 0, "nothing is left over");
}

#[test]
fn large_checkpoints_are_cut_into_files() {
    let dir = tempfile::tempdir().unwrap();
    let view = store(dir.path()).view(0, 1).unwrap();
    // Two files' worth.
    let row = vec![7; 16_000];
    view.ingest(Position(2), (0..35_000).map(|n| (key(n), Some(&row)))).unwrap();
    assert!(view.get(&key(34_999)).unwrap().is_some() && view.get(&key(35_000)).unwrap().is_none());
    assert_eq!(all(&view).len(), 35_000);
    let ends = fs::read_dir(view.path()).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(ends.filter(|path| path.extension().is_some_and(|end| end == "sst")).count(), 2);
}

#[test]
fn generations_are_made_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    assert!(opened.generations(0).unwrap().is_empty());
    let (one, two) = (opened.view(0, 1).unwrap(), opened.view(0, 12).unwrap());
    one.ingest(Position(9), [(key(1), Some("x"))]).unwrap();
    assert_eq!(opened.generations(0).unwrap(), [1, 12]);
    assert!(matches!(opened.drop_view(0, 1), Err(StoreError::ViewInUse { .. })));
    drop((one, two));
    opened.drop_view(0, 12).unwrap();
    opened.drop_view(0, 12).unwrap();
    assert_eq!(opened.generations(0).unwrap(), [1]);
    opened.drop_all_views(0).unwrap();
    assert_eq!(opened.view(0, 1).unwrap().next_position().unwrap(), Position::FIRST);
}

#[test]
fn leftovers_of_a_crash_are_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    drop(opened.view(0, 1).unwrap());
    let leftover = dir.path().join("shards/0000/views/0001/ingest/000001.sst");
    fs::write(&leftover, "half").unwrap();
    let view = opened.view(0, 1).unwrap();
    assert!(!leftover.exists());
    view.ingest(Position(2), [(key(1), Some("x"))]).unwrap();
}

#[test]
fn a_damaged_view_says_that_it_is_disposable() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path());
    opened.view(0, 1).unwrap().ingest(Position(9), (0..2000).map(|n| (key(n), Some("some value")))).unwrap();
    let path = dir.path().join("shards/0000/views/0001");
    fs::remove_file(path.join("CURRENT")).unwrap();
    fs::write(path.join("CURRENT"), "MANIFEST-999999\n").unwrap();
    let error = opened.view(0, 1).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::View { .. }) && text.contains("disposable") && text.contains("views/0001"), "{text}");
    opened.drop_view(0, 1).unwrap();
    assert_eq!(opened.view(0, 1).unwrap().next_position().unwrap(), Position::FIRST);
}

#[test]
fn a_flipped_byte_in_a_file_of_a_view_never_ends_a_scan_early() {
    let dir = tempfile::tempdir().unwrap();
    let noise = |n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes();
    let rows = (0..20_000).map(|n| (key(n), Some(noise(n))));
    store(dir.path()).view(0, 1).unwrap().ingest(Position(9), rows).unwrap();
    let path = dir.path().join("shards/0000/views/0001");
    let file = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|file| file.extension().is_some_and(|end| end == "sst"));
    let file = file.unwrap();
    let whole = fs::read(&file).unwrap();
    for at in [100, whole.len() / 3, whole.len() / 2] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&file, &flipped).unwrap();
        // Opened anew: a block in the cache would be read from there.
        let failed = store(dir.path()).view(0, 1).and_then(|view| {
            let mut rows = view.scan_all()?;
            while rows.next_row()?.is_some() {}
            Ok(())
        });
        let text = failed.expect_err(&format!("byte {at} of {}", whole.len())).to_string();
        assert!(text.contains("views/0001") && text.contains("disposable"), "byte {at}: {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_checkpoints_are_a_map(
        checkpoints in proptest::collection::vec(proptest::collection::btree_map(0u32..300, proptest::option::of("[a-z]{0,40}"), 0..120), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let opened = store(dir.path());
        let mut expected = BTreeMap::new();
        for (number, checkpoint) in checkpoints.iter().enumerate() {
            let view = opened.view(0, 1).unwrap();
            view.ingest(Position(number as u64 + 2), checkpoint.iter().map(|(n, value)| (key(*n), value.as_ref()))).unwrap();
            for (n, value) in checkpoint {
                match value {
                    Some(value) => expected.insert(key(*n), value.clone().into_bytes()),
                    None => expected.remove(&key(*n)),
                };
            }
            prop_assert_eq!(view.next_position().unwrap(), Position(number as u64 + 2));
            prop_assert_eq!(all(&view), expected.clone());
        }
        let view = opened.view(0, 1).unwrap();
        for n in 0..300 {
            let found = view.get(&key(n)).unwrap();
            prop_assert_eq!(found.as_deref(), expected.get(&key(n)).map(Vec::as_slice));
        }
    }
}
