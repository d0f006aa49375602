//! What a start finds.

use super::*;

#[test]
fn the_tail_of_the_log_is_applied_again() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = Disk::default();
    let (_, embedded) = open(dir.path(), 1, &disk);
    for n in 0..10 {
        embedded.publish_fact(&fulfilled("m1", &n.to_string())).expect("taken");
    }
    embedded.stop().expect("ends");
    let at_ten = disk.clone_of();
    let (_, embedded) = open(dir.path(), 1, &disk);
    assert_eq!(*disk.1.lock().expect("whole"), 0, "the checkpoint was complete");
    embedded.publish_fact(&request("m1", "r")).expect("taken");
    for n in 10..30 {
        embedded.publish_fact(&fulfilled("m1", &n.to_string())).expect("taken");
    }
    embedded.stop().expect("ends");
    let whole = disk.known(0);
    for (old, replayed) in [(at_ten, 21), (Disk::default(), 31)] {
        let (_, embedded) = open(dir.path(), 1, &old);
        assert_eq!(*old.1.lock().expect("whole"), replayed);
        assert!(matches!(
            embedded.publish_fact(&fulfilled("m1", "29")).expect("taken").outcome,
            Outcome::Duplicate { first: Position(31), .. }
        ));
        embedded.stop().expect("ends");
        assert_eq!(old.known(0), whole);
    }
}

#[test]
fn a_recovery_can_be_left_and_taken_up() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = Disk::default();
    let (store, embedded) = open(dir.path(), 1, &disk);
    let facts: Vec<_> = (0..25_000).map(|n| fulfilled("m1", &n.to_string())).collect();
    embedded
        .publish_all(facts.iter().map(|value| Message { value: Some(value), key: Some(b"acme/m1"), ..Message::default() }))
        .expect("taken");
    embedded.stop().expect("ends");
    let whole = disk.known(0);
    let fresh = Disk::default();
    let (mut rounds, log) = (0, store.shard(0).expect("there"));
    while fresh.known(0) != whole {
        rounds += 1;
        assert!(rounds < 9, "each round gets on");
        let (handle, thread) = Writer::open(
            log.clone(),
            fresh.open(0),
            accrue_ingest::Origin::Embedded,
            WriterOptions::default(),
            Clock::fixed(NOW),
        )
        .expect("opens");
        assert!(matches!(handle.status().wait_recovered(Duration::ZERO), ShardState::Recovering { .. } | ShardState::Live));
        thread.stop(Stopping::AtOnce, Duration::from_secs(20)).ok().expect("in time").expect("ends well");
        assert_eq!(fresh.known(0).next, *fresh.1.lock().expect("whole") + 1, "nothing is applied twice");
    }
}

#[test]
fn a_view_ahead_of_its_log_is_made_again() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = Disk::default();
    let (_, embedded) = open(dir.path(), 1, &disk);
    embedded.publish_fact(&fulfilled("m1", "1")).expect("taken");
    embedded.stop().expect("ends");
    let ahead = disk.clone_of();
    ahead.0.lock().expect("whole").get_mut(&0).expect("there").next = 99;
    let (events, store) = (Arc::new(Mutex::new(Vec::new())), store(dir.path(), 1));
    let (seen, dropped) = (Arc::clone(&events), ahead.clone());
    let options = EmbeddedOptions {
        on_shard: Arc::new(move |shard, event| {
            let closed = matches!(event, ShardEvent::Closed);
            seen.lock().expect("whole").push((shard, closed));
            if closed {
                dropped.0.lock().expect("whole").remove(&shard);
            }
        }),
        ..EmbeddedOptions::default()
    };
    let embedded = Embedded::open(&store, maker(&ahead), options.clone()).expect("opens");
    assert_eq!(events.lock().expect("whole").as_slice(), [(0, true), (0, false)]);
    assert_eq!(*ahead.1.lock().expect("whole"), 1);
    embedded.stop().expect("ends");

    let stubborn = disk.clone_of();
    stubborn.0.lock().expect("whole").get_mut(&0).expect("there").next = 99;
    let error = Embedded::open(&store, maker(&stubborn), EmbeddedOptions::default()).err().expect("refused");
    assert!(matches!(error, IngestError::ViewAhead { shard: 0, view: Position(99), log: Position(2) }), "{error}");
}

#[test]
fn a_store_from_kafka_has_no_embedded_log() {
    let dir = tempfile::tempdir().expect("dir");
    let store = Store::open(dir.path(), StoreOptions::default()).expect("opens");
    let error = Embedded::open(&store, maker(&Disk::default()), EmbeddedOptions::default()).err().expect("refused");
    assert!(error.to_string().contains("filled from kafka"), "{error}");
}
