//! How a writer ends: asked to, or by what breaks.

use super::*;

#[test]
fn what_breaks_stops_the_shard_and_nobody_waits() {
    for program in ["broken", "panics"] {
        let dir = tempfile::tempdir().expect("dir");
        let disk = Disk::default();
        let (store, embedded) = open(dir.path(), 2, &disk);
        let shard = accrue_proto::murmur2_partition(format!("{program}/m").as_bytes(), 2);
        let mut publisher = embedded.publisher();
        publisher
            .push(&Message {
                value: Some(&fact_of(program, "m", "1", AT, r#""order_fulfilled": {"order_id": "A"}"#)),
                ..Message::default()
            })
            .expect("on its way");
        let error = publisher.finish().expect_err("not acknowledged");
        assert!(matches!(&error, IngestError::Stopped { shard: at, .. } if *at == shard), "{error}");
        assert_eq!(store.shard(shard).expect("there").head().next_position, Position::FIRST, "nothing of the group is in");
        // The other shard goes on, this one says why it doesn't.
        let mut answers = (0..20).map(|n| {
            let member = format!("m{n}");
            (
                accrue_proto::murmur2_partition(format!("acme/{member}").as_bytes(), 2),
                embedded.publish_fact(&fulfilled(&member, &n.to_string())),
            )
        });
        let ours = answers.find(|(at, _)| *at == shard).expect("both shards have members").1.expect_err("stopped").to_string();
        assert!(ours.contains(if program == "broken" { "the view can't be read" } else { "panicked" }), "{ours}");
        assert!(answers.find(|(at, _)| *at != shard).expect("both shards have members").1.is_ok());
        assert!(
            matches!(embedded.status().shard(shard).expect("there").state(), ShardState::Stopped { reason } if !reason.is_empty())
        );
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
        let (handle, thread) =
            Writer::open(log.clone(), disk.open(0), accrue_ingest::Origin::Embedded, options, Clock::fixed(NOW)).expect("opens");
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
