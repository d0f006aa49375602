//! Members' keys: what they seal comes back, until they are destroyed; then they are in no file.

use super::{options, store};
use accrue_ledger::Instant;
use accrue_proto::{pb, personal::Personal, read_fact, same_content, to_timestamp, write_fact};
use accrue_store::{Position, Store, StoreError, StoreOptions};
use std::fs;
use std::path::Path;

fn note(id: &str, member: &str, at: i64, text: &str) -> Vec<u8> {
    let fact = pb::Fact {
        id: id.into(),
        source: "s".into(),
        program: "acme".into(),
        member: member.into(),
        occurred_at: Some(to_timestamp(Instant(at))),
        body: Some(pb::fact::Body::NoteAdded(pb::NoteAdded { text: text.into(), ..Default::default() })),
        ..Default::default()
    };
    let mut bytes = Vec::new();
    write_fact(&fact, &mut bytes);
    bytes
}

fn seal(store: &Store, fact: &[u8]) -> Vec<u8> {
    store.shard(0).unwrap().vault().unwrap().seal(&[fact]).unwrap().pop().unwrap().unwrap()
}

fn text_of(store: &Store, sealed: &[u8]) -> Option<String> {
    let log = store.shard(0).unwrap();
    match log.vault().unwrap().open_fact(sealed).unwrap()?.body? {
        pb::fact::Body::NoteAdded(note) => Some(note.text),
        _ => None,
    }
}

fn files(dir: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// Files that hold these bytes.
fn holders(dir: &Path, wanted: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    files(dir, &mut all);
    let hold = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    all.into_iter().filter(|(_, bytes)| hold(bytes)).map(|(path, _)| path).collect()
}

#[test]
fn sealed_opened_the_same_again_and_never_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let plain = note("1", "m", 5, "hello");
    let sealed = seal(&store, &plain);
    assert!(!sealed.windows(5).any(|window| window == b"hello"));
    assert_eq!(read_fact(&sealed).unwrap().kind, accrue_ledger::Kind::NoteAdded);
    assert_eq!(text_of(&store, &sealed).as_deref(), Some("hello"));
    assert_eq!(seal(&store, &plain), sealed, "the same again");
    assert!(!same_content(&sealed, &seal(&store, &note("1", "m", 5, "hullo"))));
    assert_eq!(store.shard(0).unwrap().vault().unwrap().seal(&[&sealed]).unwrap(), [None], "sealed already");
    // Under another name or id it does not open.
    let read = Personal::read(&sealed).unwrap().unwrap();
    for change in [|fact: &mut pb::Fact| fact.member = "n".into(), |fact: &mut pb::Fact| fact.id = "2".into()] {
        seal(&store, &note("9", "n", 5, "other"));
        let mut moved = read.fact.clone();
        change(&mut moved);
        let mut bytes = Vec::new();
        write_fact(&moved, &mut bytes);
        assert_eq!(text_of(&store, &bytes), None);
    }
}

#[test]
fn a_destroyed_key_is_in_no_file_and_a_new_start_has_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let (sealed, others) = (seal(&store, &note("1", "m", 5, "hello")), seal(&store, &note("2", "n", 5, "stays")));
    let log = store.shard(0).unwrap();
    let wrapped = log.vault().unwrap().wrapped_key("acme", "m").unwrap().unwrap();
    assert_ne!(holders(dir.path(), &wrapped), Vec::<String>::new(), "the search finds what is there");
    assert!(log.vault().unwrap().erase("acme", &["m"], (Position(7), Instant(10))).unwrap());
    assert_eq!(holders(dir.path(), &wrapped), Vec::<String>::new());
    assert_eq!((text_of(&store, &sealed), text_of(&store, &others).as_deref()), (None, Some("stays")));
    assert!(log.vault().unwrap().is_erased("acme", &["m"], Position(7)).unwrap());
    assert!(!log.vault().unwrap().erase("acme", &["m"], (Position(7), Instant(10))).unwrap(), "once");
    // What comes now is blank; told again, it can't be told from what was.
    let blank = seal(&store, &note("3", "m", 20, "late"));
    assert!(text_of(&store, &blank).is_none() && !blank.windows(4).any(|window| window == b"late"));
    assert!(same_content(&sealed, &seal(&store, &note("1", "m", 5, "hello"))));
    // A new start lets in what is said after the erasure, nothing from before.
    log.vault().unwrap().begin_again("acme", &["m"], Instant(9)).unwrap();
    assert_eq!(text_of(&store, &seal(&store, &note("4", "m", 20, "too early"))), None);
    log.vault().unwrap().begin_again("acme", &["m"], Instant(11)).unwrap();
    assert_eq!(text_of(&store, &seal(&store, &note("5", "m", 10, "before"))), None);
    let anew = seal(&store, &note("6", "m", 20, "anew"));
    assert_eq!((text_of(&store, &anew).as_deref(), text_of(&store, &sealed)), (Some("anew"), None));
    assert_eq!(text_of(&store, &seal(&store, &note("7", "m", 10, "before"))), None);
}

#[test]
fn the_master_key_is_kept_where_it_is_told_and_has_to_be_the_right_one() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = elsewhere.path().join("key");
    let open = || Store::open(dir.path(), StoreOptions { master_key: Some(file.clone()), ..options() }).unwrap();
    let made = open();
    made.create_shard(0).unwrap();
    let sealed = seal(&made, &note("1", "m", 5, "hello"));
    drop(made);
    assert!(!dir.path().join("master-key").exists());
    assert_eq!(text_of(&open(), &sealed).as_deref(), Some("hello"));
    let whole = fs::read_to_string(&file).unwrap();
    let wrong = |text: Option<&str>| {
        fs::remove_file(&file).unwrap();
        text.into_iter().for_each(|text| fs::write(&file, text).unwrap());
        let log = open().shard(0).unwrap();
        let error = log.vault().err().expect("refused");
        assert!(matches!(&error, StoreError::Damaged { .. }), "{error}");
        fs::write(&file, "").unwrap();
        error.to_string()
    };
    assert!(wrong(None).contains("missing"));
    assert!(wrong(Some("12")).contains("hex digits"));
    assert!(wrong(Some(&"00".repeat(32))).contains("not the master key"));
    fs::write(&file, whole).unwrap();
    assert_eq!(text_of(&open(), &sealed).as_deref(), Some("hello"));
}
