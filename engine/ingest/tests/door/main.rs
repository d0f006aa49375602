//! The door as it is used: an embedded log over a real store.

mod ids;

use accrue_ingest::{
    Clock, Counts, Embedded, EmbeddedOptions, IngestError, MakeInline, Message, Outcome, Receipt, Rekey, ShardEvent, ShardState, Stopping,
    Writer, WriterOptions, original, requeue_embedded,
};
use accrue_ledger::{Instant, Kind, Outcome as Answer, Promise, Rejection};
use accrue_proto::{json, write_fact};
use accrue_store::{DeadStatus, Position, Source, Store, StoreOptions};
use ids::Disk;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOW: Instant = Instant(1_767_225_600_000_000);
const AT: &str = "2025-06-01T10:00:00Z";

fn fact_of(program: &str, member: &str, id: &str, at: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"{{"id": "{id}", "source": "shop", "program": "{program}", "member": "{member}", "occurred_at": "{at}", {body}}}"#
    );
    let fact = json::fact_from_json(text.as_bytes(), &json::Defaults::default()).expect("valid");
    let mut bytes = Vec::new();
    write_fact(&fact, &mut bytes);
    bytes
}

fn fulfilled(member: &str, id: &str) -> Vec<u8> {
    fact_of("acme", member, id, AT, r#""order_fulfilled": {"order_id": "A"}"#)
}

fn request(member: &str, id: &str) -> Vec<u8> {
    fact_of("acme", member, id, "2025-05-01T10:00:00Z", &format!(r#""redemption_requested": {{"redemption_id": "{id}", "points": 5}}"#))
}

fn store(dir: &Path, shards: u32) -> Store {
    Store::open(dir, StoreOptions { embedded_shards: Some(shards), ..StoreOptions::default() }).expect("opens")
}

fn maker(disk: &Disk) -> MakeInline {
    let disk = disk.clone();
    Arc::new(move |_, shard| Ok(disk.open(shard)))
}

fn open(dir: &Path, shards: u32, disk: &Disk) -> (Store, Embedded) {
    let store = store(dir, shards);
    let options = EmbeddedOptions { clock: Clock::fixed(NOW), ..EmbeddedOptions::default() };
    let embedded = Embedded::open(&store, maker(disk), options).expect("opens");
    (store, embedded)
}

fn booked(receipt: &Receipt) -> Position {
    match &receipt.outcome {
        Outcome::Booked { position, .. } => *position,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_message_is_answered() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, embedded) = open(dir.path(), 1, &Disk::default());
    let publish = |bytes: &[u8]| embedded.publish_fact(bytes).expect("taken").outcome;
    let first = Outcome::Booked { position: Position(1), decision: None, late: false, parked: false };
    assert_eq!(publish(&fulfilled("m1", "1")), first);
    assert_eq!(publish(&fulfilled("m1", "1")), Outcome::Duplicate { first: Position(1), decision: None, parked: false });
    assert!(matches!(publish(&fulfilled("m2", "1")), Outcome::Conflict { first: Position(1), dead_letter: 1, detail } if detail.contains("is not")));

    let accepted = publish(&request("m1", "r1"));
    let Outcome::Booked { position: Position(2), decision: Some(decision), late: true, parked: false } = accepted else { panic!("{accepted:?}") };
    assert_eq!(decision.outcome, Answer::Accepted(Promise { points: 1, ..Promise::default() }));
    assert_eq!(publish(&request("m1", "r1")), Outcome::Duplicate { first: Position(2), decision: Some(decision.clone()), parked: false });
    let rejected = publish(&request("nobody", "r2"));
    assert!(matches!(&rejected, Outcome::Booked { decision: Some(no), .. } if no.outcome == Answer::Rejected(Rejection::MemberUnknown)));

    assert!(matches!(publish(b"rubbish"), Outcome::Refused { code: "undecodable", dead_letter: 2, .. }));
    let other = fact_of("other", "m1", "1", AT, r#""order_fulfilled": {"order_id": "A"}"#);
    assert!(matches!(publish(&other), Outcome::Refused { code: "unknown_program", dead_letter: 3, .. }));
    let ahead = fact_of("acme", "m1", "2", "2026-01-01T00:05:01Z", r#""order_fulfilled": {"order_id": "A"}"#);
    assert!(matches!(publish(&ahead), Outcome::Refused { code: "from_the_future", .. }));

    let log = store.shard(0).expect("there");
    let counters = log.head().counters;
    assert_eq!((counters.facts, counters.requests_accepted, counters.requests_rejected), (1, 1, 1));
    assert_eq!((counters.duplicates, counters.conflicts, counters.dead_letters, counters.late), (2, 1, 3, 1));
    assert_eq!(log.head().next_offset(Source::Embedded), Some(9), "the log counts everything it was given");
    log.read(Position(2), |frame| {
        assert_eq!((frame.kind, frame.occurred_at, frame.rejected), (Kind::RedemptionRequested, decision.at, false));
        assert_eq!(accrue_proto::read_decision(frame.decision.expect("one")), Ok(decision.clone()));
    })
    .expect("read");
    assert!(log.read(Position(3), |frame| frame.rejected).expect("read"));
    assert_eq!(embedded.status().shards()[0].consumed, 9);
    embedded.stop().expect("ends");
}

#[test]
fn a_dead_letter_is_whole_and_can_be_sent_again() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, embedded) = open(dir.path(), 3, &Disk::default());
    let value = fulfilled("m1", "1");
    let message = Message {
        value: Some(&value),
        key: Some(b"acme/somebody"),
        headers: &[("traceparent", Some(b"00-1"))],
        timestamp_ms: Some(77),
        offset: 4,
    };
    let receipt = embedded.publish(&message).expect("taken");
    assert!(matches!(receipt.outcome, Outcome::Refused { code: "wrong_key", dead_letter: 1, .. }), "{receipt:?}");
    let log = store.shard(receipt.shard).expect("there");
    let row = log.dead_letter(1).expect("read").expect("there");
    assert_eq!((row.status, row.recorded_at, row.letter.offset), (DeadStatus::Open, NOW, 0));
    let kept = original(&row.letter);
    assert_eq!((kept.value, kept.key, kept.timestamp_ms), (Some(&value[..]), Some(&b"acme/somebody"[..]), Some(77)));
    assert_eq!(kept.headers, [("traceparent", Some(&b"00-1"[..]))]);

    let again = requeue_embedded(&embedded, &log, 1, Rekey::No).expect("taken");
    assert!(matches!(again.outcome, Outcome::Refused { code: "wrong_key", dead_letter: 2, .. }), "{again:?}");
    let fixed = requeue_embedded(&embedded, &log, 2, Rekey::FromBody).expect("taken");
    assert_eq!(booked(&fixed), Position(1));
    assert_eq!(fixed.shard, accrue_proto::murmur2_partition(b"acme/m1", 3));
    let statuses: Vec<_> = log.dead_letters(0, 9).expect("read").iter().map(|row| row.status).collect();
    assert_eq!(statuses, [DeadStatus::Requeued, DeadStatus::Requeued]);
    assert!(requeue_embedded(&embedded, &log, 9, Rekey::No).is_err());
}

#[test]
fn many_at_once_are_counted_and_answered_in_order() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = Disk::default();
    let (store, embedded) = open(dir.path(), 3, &disk);
    let facts: Vec<(String, Vec<u8>)> = (0..5_000)
        .map(|n| {
            let member = format!("m{}", n % 97);
            // Each tenth comes twice, mostly within one group.
            (format!("acme/{member}"), fulfilled(&member, &format!("{}", if n % 10 == 9 { n - 97 * 9 } else { n })))
        })
        .collect();
    let mut publisher = embedded.publisher().with_receipts();
    for (key, value) in &facts {
        publisher.push(&Message { value: Some(value), key: Some(key.as_bytes()), ..Message::default() }).expect("taken");
    }
    publisher.push(&Message { value: Some(b"{"), ..Message::default() }).expect("taken");
    publisher.flush().expect("durable");
    let receipts: Vec<_> = std::iter::from_fn(|| publisher.receipt()).collect();
    assert_eq!(receipts.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..=5_000).collect::<Vec<_>>());
    for ((_, receipt), (key, _)) in receipts.iter().zip(&facts) {
        assert_eq!(receipt.shard, accrue_proto::murmur2_partition(key.as_bytes(), 3));
    }
    let counts = publisher.finish().expect("nothing left");
    assert_eq!((counts.consumed(), counts.refused, counts.conflicts), (5_001, 1, 0));
    assert!(counts.duplicates > 0 && counts.facts + counts.duplicates == 5_000, "{counts:?}");
    let again = embedded
        .publish_all(facts.iter().map(|(key, value)| Message { value: Some(value), key: Some(key.as_bytes()), ..Message::default() }))
        .expect("taken");
    assert_eq!(again, Counts { duplicates: 5_000, ..Counts::default() });
    embedded.stop().expect("ends");
    let logs: Vec<_> = (0..3).map(|shard| store.shard(shard).expect("there").head()).collect();
    assert_eq!(logs.iter().map(|head| head.counters.consumed()).sum::<u64>(), 10_001);
    for (shard, head) in logs.iter().enumerate() {
        assert_eq!(disk.known(shard as u32).next, head.next_position.0, "the last checkpoint is complete");
    }
}

#[test]
fn a_control_fact_goes_to_every_shard() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, embedded) = open(dir.path(), 4, &Disk::default());
    let body = r#""ruleset_activated": {"ruleset": "x", "hash": "00ff", "effective_from": "2025-01-01T00:00:00Z"}"#;
    let text = format!(r#"{{"id": "1", "source": "console", "program": "acme", "occurred_at": "{AT}", {body}}}"#);
    let receipt = embedded.publish(&Message { value: Some(text.as_bytes()), ..Message::default() }).expect("taken");
    assert_eq!(booked(&receipt), Position(1));
    for shard in 0..4 {
        let kind = store.shard(shard).expect("there").read(Position(1), |frame| frame.kind);
        assert_eq!(kind.expect("read"), Kind::RulesetActivated);
    }
    let mut publisher = embedded.publisher().with_receipts();
    publisher.push(&Message { value: Some(text.as_bytes()), key: Some(b"acme/"), ..Message::default() }).expect("taken");
    publisher.flush().expect("durable");
    let (number, receipt) = publisher.receipt().expect("answered");
    assert_eq!((number, &receipt.outcome), (0, &Outcome::Duplicate { first: Position(1), decision: None, parked: false }));
    assert_eq!(publisher.counts().duplicates, 4);
}

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
        assert!(matches!(embedded.publish_fact(&fulfilled("m1", "29")).expect("taken").outcome, Outcome::Duplicate { first: Position(31), .. }));
        embedded.stop().expect("ends");
        assert_eq!(old.known(0), whole);
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
fn what_breaks_stops_the_shard_and_nobody_waits() {
    for program in ["broken", "panics"] {
        let dir = tempfile::tempdir().expect("dir");
        let disk = Disk::default();
        let (store, embedded) = open(dir.path(), 2, &disk);
        let shard = accrue_proto::murmur2_partition(format!("{program}/m").as_bytes(), 2);
        let mut publisher = embedded.publisher();
        publisher.push(&Message { value: Some(&fact_of(program, "m", "1", AT, r#""order_fulfilled": {"order_id": "A"}"#)), ..Message::default() }).expect("on its way");
        let error = publisher.finish().expect_err("not acknowledged");
        assert!(matches!(&error, IngestError::Stopped { shard: at, .. } if *at == shard), "{error}");
        assert_eq!(store.shard(shard).expect("there").head().next_position, Position::FIRST, "nothing of the group is in");
        // The other shard goes on, this one says why it doesn't.
        let mut answers = (0..20).map(|n| {
            let member = format!("m{n}");
            (accrue_proto::murmur2_partition(format!("acme/{member}").as_bytes(), 2), embedded.publish_fact(&fulfilled(&member, &n.to_string())))
        });
        let ours = answers.find(|(at, _)| *at == shard).expect("both shards have members").1.expect_err("stopped").to_string();
        assert!(ours.contains(if program == "broken" { "the view can't be read" } else { "panicked" }), "{ours}");
        assert!(answers.find(|(at, _)| *at != shard).expect("both shards have members").1.is_ok());
        assert!(matches!(embedded.status().shard(shard).expect("there").state(), ShardState::Stopped { reason } if !reason.is_empty()));
        assert_eq!(embedded.status().not_ready().len(), 1);
        assert!(embedded.stop().is_err(), "what went wrong is told once more at the end");
    }
}

#[test]
fn a_poisoned_log_acknowledges_nothing_more() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, embedded) = open(dir.path(), 1, &Disk::default());
    embedded.publish_fact(&fulfilled("m1", "1")).expect("taken");
    let log = store.shard(0).expect("there");
    let witness = log.path().parent().expect("shard").join("witness");
    std::fs::remove_file(&witness).expect("was there");
    std::fs::create_dir_all(witness.join("in the way")).expect("made");
    log.write_witness().expect_err("a directory is in its place");
    let error = embedded.publish_fact(&fulfilled("m1", "2")).expect_err("poisoned").to_string();
    assert!(error.contains("takes no more writes"), "{error}");
    assert_eq!(embedded.publish_fact(&fulfilled("m1", "3")).expect_err("stopped").to_string(), error, "the first reason stays");
    assert_eq!(log.head().next_position, Position(2));
    assert!(embedded.stop().is_err());
}

#[test]
fn a_writer_ends_drained_or_at_once() {
    for how in [Stopping::Drained, Stopping::AtOnce] {
        let dir = tempfile::tempdir().expect("dir");
        let store = store(dir.path(), 1);
        let disk = Disk::default();
        let log = store.shard(0).expect("there");
        let options = WriterOptions { group_facts_max: 10, ..WriterOptions::default() };
        let (handle, thread) = Writer::open(log.clone(), disk.open(0), accrue_ingest::Origin::Embedded, options, Clock::fixed(NOW)).expect("opens");
        let (sender, answers) = std::sync::mpsc::sync_channel(40);
        for batch_number in 0..40 {
            let mut batch = handle.batch();
            for n in 0..7 {
                batch.push(&Message { value: Some(&fulfilled("m1", &format!("{batch_number}/{n}"))), ..Message::default() });
            }
            let sender = sender.clone();
            batch.reply_to(accrue_ingest::Reply::Counts(Box::new(move |result| sender.send(result).expect("room"))));
            handle.submit(batch).expect("taken");
        }
        thread.stop(how, Duration::from_secs(20)).ok().expect("in time").expect("ends well");
        drop(sender);
        let answers: Vec<_> = answers.iter().collect();
        let acknowledged: u64 = answers.iter().flatten().map(|counts| counts.facts).sum();
        assert_eq!(answers.len(), 40, "each batch is answered");
        assert_eq!(log.head().counters.facts, acknowledged, "{how:?}");
        assert_eq!(disk.known(0).next, acknowledged + 1);
        if how == Stopping::Drained {
            assert_eq!(acknowledged, 280);
            assert!(log.head().block_seq >= 40, "two batches of seven are more than a group of ten");
        }
        let refused = handle.submit(handle.batch()).expect_err("ended").to_string();
        assert_eq!(refused, "shard 0 takes nothing: it was stopped");
    }
}

#[test]
fn a_store_from_kafka_has_no_embedded_log() {
    let dir = tempfile::tempdir().expect("dir");
    let store = Store::open(dir.path(), StoreOptions::default()).expect("opens");
    let error = Embedded::open(&store, maker(&Disk::default()), EmbeddedOptions::default()).err().expect("refused");
    assert!(error.to_string().contains("filled from kafka"), "{error}");
}

impl Disk {
    /// As it is now, by itself.
    fn clone_of(&self) -> Disk {
        let known = self.0.lock().expect("whole").clone();
        Disk(Arc::new(Mutex::new(known)), Arc::default())
    }
}
