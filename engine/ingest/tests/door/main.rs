//! The door as it is used: an embedded log over a real store.

mod answers;
mod ending;
mod ids;
mod recovery;

use accrue_ingest::{
    Clock, Counts, Embedded, EmbeddedOptions, IngestError, MakeInline, Message, Outcome, Receipt, Rekey, ShardEvent, ShardState,
    Stopping, Writer, WriterOptions, original, requeue_embedded,
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
    fact_of(
        "acme",
        member,
        id,
        "2025-05-01T10:00:00Z",
        &format!(r#""redemption_requested": {{"redemption_id": "{id}", "points": 5}}"#),
    )
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

impl Disk {
    /// As it is now, by itself.
    fn clone_of(&self) -> Disk {
        let known = self.0.lock().expect("whole").clone();
        Disk(Arc::new(Mutex::new(known)), Arc::default())
    }
}
