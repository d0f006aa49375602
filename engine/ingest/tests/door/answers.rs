//! What each message is answered, one by one and many at once.

use super::*;

#[test]
fn each_message_is_answered() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, embedded) = open(dir.path(), 1, &Disk::default());
    let publish = |bytes: &[u8]| embedded.publish_fact(bytes).expect("taken").outcome;
    let first = Outcome::Booked { position: Position(1), decision: None, late: false, parked: false };
    assert_eq!(publish(&fulfilled("m1", "1")), first);
    assert_eq!(publish(&fulfilled("m1", "1")), Outcome::Duplicate { first: Position(1), decision: None, parked: false });
    assert!(
        matches!(publish(&fulfilled("m2", "1")), Outcome::Conflict { first: Position(1), dead_letter: 1, detail } if detail.contains("is not"))
    );

    let accepted = publish(&request("m1", "r1"));
    let Outcome::Booked { position: Position(2), decision: Some(decision), late: true, parked: false } = accepted else {
        panic!("{accepted:?}")
    };
    assert_eq!(decision.outcome, Answer::Accepted(Promise { points: 1, ..Promise::default() }));
    assert_eq!(
        publish(&request("m1", "r1")),
        Outcome::Duplicate { first: Position(2), decision: Some(decision.clone()), parked: false }
    );
    let rejected = publish(&request("nobody", "r2"));
    assert!(
        matches!(&rejected, Outcome::Booked { decision: Some(no), .. } if no.outcome == Answer::Rejected(Rejection::MemberUnknown))
    );

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

    let requeue = |seq, rekey| requeue_embedded(&embedded, &log, &[seq], |_| rekey).map(|mut receipts| receipts.remove(0));
    let again = requeue(1, Rekey::No).expect("taken");
    assert!(matches!(again.outcome, Outcome::Refused { code: "wrong_key", dead_letter: 2, .. }), "{again:?}");
    let fixed = requeue(2, Rekey::FromBody).expect("taken");
    assert_eq!(booked(&fixed), Position(1));
    assert_eq!(fixed.shard, accrue_proto::murmur2_partition(b"acme/m1", 3));
    let statuses: Vec<_> = log.dead_letters(0, 9).expect("read").iter().map(|row| row.status).collect();
    assert_eq!(statuses, [DeadStatus::Requeued, DeadStatus::Requeued]);
    assert!(requeue(9, Rekey::No).is_err());
}

#[test]
fn many_dead_letters_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, embedded) = open(dir.path(), 1, &Disk::default());
    let wrong: Vec<Vec<u8>> = (0..1_500).map(|n| fulfilled("m1", &n.to_string())).collect();
    let message = |value: &'static [u8]| Message { value: Some(value), key: Some(b"acme/m2"), ..Message::default() };
    let facts = wrong.iter().map(|value| Message { value: Some(value), ..message(b"") });
    assert_eq!(embedded.publish_all(facts).expect("taken").refused, 1_500);
    let log = store.shard(0).expect("there");
    let (before, numbers) = (log.head().block_seq, (1..=1_500).collect::<Vec<u64>>());
    let receipts = requeue_embedded(&embedded, &log, &numbers, |_| Rekey::FromBody).expect("taken");
    assert_eq!(receipts.iter().map(booked).collect::<Vec<_>>(), numbers.iter().map(|n| Position(*n)).collect::<Vec<_>>());
    assert!(log.head().block_seq - before <= 20, "a sync for each: {}", log.head().block_seq - before);
    assert!(log.dead_letters(1, 2_000).expect("read").iter().all(|row| row.status == DeadStatus::Requeued));
    assert!(requeue_embedded(&embedded, &log, &[1, 1_501], |_| Rekey::FromBody).is_err(), "one of them is not there");
    assert_eq!(log.head().counters.duplicates, 0, "nothing was handed in then");
    embedded.stop().expect("ends");
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
        .publish_all(facts.iter().map(|(key, value)| Message {
            value: Some(value),
            key: Some(key.as_bytes()),
            ..Message::default()
        }))
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
