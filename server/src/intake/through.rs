//! Facts of the API through the topic: produced with the key that the engine wants, then awaited until they are booked here.

use super::produce::key_of;
use super::{Handed, Topic, receipt_json};
use crate::problem::Problem;
use crate::readers::{Open, Readers};
use crate::telemetry::Stopwatch;
use accrue_ingest::facts_file::Form;
use accrue_ingest::kafka::{KafkaPublisher, OnDelivery};
use accrue_ingest::{Message, Outcome, Receipt, ShardState};
use accrue_proto::json::{Defaults, fact_from_json};
use accrue_proto::{Malformed, read_decision, read_fact, write_fact};
use accrue_store::Position;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long brokers may take for the facts of a request.
const DELIVERED_WAIT: Duration = Duration::from_secs(10);
/// How long their shards may take after that.
const BOOKED_WAIT: Duration = Duration::from_secs(5);
/// A shard that books nothing for so long has been given everything.
const QUIET: Duration = Duration::from_secs(2);
/// Between two looks at a shard.
const LOOK: Duration = Duration::from_millis(2);

type Told = (usize, Result<(i32, i64), String>);

/// A producer that lives as long as the service.
pub struct Through {
    publisher: KafkaPublisher,
    /// Who waits for what was published under a tag.
    waiting: Arc<Mutex<BTreeMap<usize, Sender<Told>>>>,
    next_tag: AtomicUsize,
}

/// A named moment: facts are in the topic, and perhaps not booked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTheTopic;

/// What became of the facts of a request.
pub struct Taken {
    /// One for each fact.
    pub receipts: Vec<Value>,
    /// All are booked, or known not to be.
    pub all_known: bool,
}

/// A fact on its way.
enum Way {
    /// With brokers: partitions and offsets, several of a control fact.
    Delivered(Vec<(u32, i64)>),
    /// No broker took it.
    Failed(String),
    /// Nobody knows yet.
    Unknown,
}

impl Through {
    fn connect(topic: &Topic) -> Result<Through, Problem> {
        let waiting: Arc<Mutex<BTreeMap<usize, Sender<Told>>>> = Arc::default();
        let told = Arc::clone(&waiting);
        let on_delivery: OnDelivery = Arc::new(move |tag, result| {
            if let Some(waits) = told.lock().get(&tag) {
                // There is room for everything that was published; nobody listens any more: it took too long.
                let _ = waits.try_send((tag, result.map_err(ToString::to_string)));
            }
        });
        let publisher = KafkaPublisher::connect(&topic.connection, &topic.name, Some(on_delivery))
            .map_err(|error| Problem::new("kafka_unavailable", format!("{error}; nothing was taken in")))?;
        Ok(Through { publisher, waiting, next_tag: AtomicUsize::new(0) })
    }

    fn of(topic: &Topic) -> Result<Arc<Through>, Problem> {
        let mut known = topic.through.lock();
        match &*known {
            Some(through) => Ok(Arc::clone(through)),
            None => Ok(Arc::clone(known.insert(Arc::new(Through::connect(topic)?)))),
        }
    }

    /// Waits for a bounded time until everything is booked that is in the topic now.
    ///
    /// # Errors
    /// No broker answers, or a shard has a long way to go.
    pub fn catch_up(topic: &Topic, readers: &Readers) -> Result<(), Problem> {
        let ends = Through::of(topic)?.publisher.ends()?;
        let (watch, mut still, mut before) = (Stopwatch::start(), Stopwatch::start(), Vec::new());
        loop {
            let all = readers.ready()?;
            let statuses = all.iter().filter_map(|open| open.status.as_ref());
            let next: Vec<(u32, i64)> = statuses.map(|status| (status.shard(), status.report().next_offset)).collect();
            let is_behind = |(shard, next): &&(u32, i64)| ends.get(*shard as usize).is_some_and(|end| next.max(&0) < end);
            let Some((shard, at)) = next.iter().find(is_behind).copied() else { return Ok(()) };
            if next != before {
                (still, before) = (Stopwatch::start(), next);
            } else if still.elapsed() >= QUIET {
                // Nobody is given the rest: ends of transactions.
                return Ok(());
            }
            if watch.elapsed() >= BOOKED_WAIT {
                let why = format!(
                    "shard {shard} has come to offset {at} of its partition and goes on: ask again when it is at the end"
                );
                return Err(Problem::new("shard_recovering", why));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Publishes facts, and waits for a bounded time until their shards have booked them.
    ///
    /// # Errors
    /// No broker takes any of them.
    pub fn facts(topic: &Topic, readers: &Readers, facts: &[&[u8]]) -> Result<Taken, Problem> {
        let through = Through::of(topic)?;
        let ways = through.deliver(facts);
        accrue_projections::point::reached(&InTheTopic);
        if let (false, Some(Way::Failed(why))) = (ways.iter().any(|way| !matches!(way, Way::Failed(_))), ways.first()) {
            return Err(Problem::new("kafka_unavailable", format!("{why}; nothing was taken in")));
        }
        let watch = Stopwatch::start();
        let receipts: Vec<Value> = facts.iter().zip(ways).map(|(fact, way)| booked(topic, readers, fact, way, watch)).collect();
        let unknown = |receipt: &Value| matches!(receipt["outcome"].as_str(), Some("sent" | "unknown"));
        Ok(Taken { all_known: !receipts.iter().any(unknown), receipts })
    }

    fn deliver(&self, facts: &[&[u8]]) -> Vec<Way> {
        let partitions = usize::try_from(self.publisher.partitions()).unwrap_or(1);
        let (sender, told) = bounded(facts.len().saturating_mul(partitions));
        let first = self.next_tag.fetch_add(facts.len(), Ordering::Relaxed);
        let tags = first..first + facts.len();
        self.waiting.lock().extend(tags.clone().map(|tag| (tag, sender.clone())));
        drop(sender);
        let mut ways: Vec<Way> = Vec::with_capacity(facts.len());
        let mut expected: usize = 0;
        for (tag, bytes) in tags.clone().zip(facts) {
            let key = key_of(&Handed { bytes, form: Form::Json, key: None });
            let control = key.as_ref().is_some_and(|key| key.ends_with(b"/"));
            let headers: &[(&str, Option<&[u8]>)] = &[("content-type", Some(Form::Json.content_type().as_bytes()))];
            let message = Message { value: Some(bytes), key: key.as_deref(), headers, ..Message::default() };
            ways.push(match self.publisher.publish(&message, tag) {
                Ok(()) => {
                    expected += if control { partitions } else { 1 };
                    Way::Unknown
                }
                Err(error) => Way::Failed(error.to_string()),
            });
        }
        take(&told, expected, first, &mut ways);
        let mut waiting = self.waiting.lock();
        tags.for_each(|tag| drop(waiting.remove(&tag)));
        ways
    }
}

/// Takes what brokers say, until all has been said or it took too long.
fn take(told: &Receiver<Told>, expected: usize, first: usize, ways: &mut [Way]) {
    let watch = Stopwatch::start();
    for _ in 0..expected {
        let Ok((tag, result)) = told.recv_timeout(DELIVERED_WAIT.saturating_sub(watch.elapsed())) else { return };
        let Some(way) = ways.get_mut(tag - first) else { continue };
        match (result, way) {
            (Ok((partition, offset)), Way::Delivered(places)) => places.extend(u32::try_from(partition).map(|at| (at, offset))),
            (Ok((partition, offset)), way @ Way::Unknown) => {
                *way = Way::Delivered(u32::try_from(partition).map(|at| (at, offset)).into_iter().collect());
            }
            (Err(error), way) => *way = Way::Failed(format!("kafka: {error}")),
            (Ok(_), Way::Failed(_)) => {}
        }
    }
}

/// The receipt of a fact; of a control fact that of the shard with the most to say.
fn booked(topic: &Topic, readers: &Readers, bytes: &[u8], way: Way, watch: Stopwatch) -> Value {
    let places = match way {
        Way::Delivered(places) => places,
        Way::Failed(why) => return json!({ "outcome": "failed", "code": "kafka_unavailable", "detail": why }),
        Way::Unknown => {
            let detail = format!("no broker has answered within {} s: send it again with the same id", DELIVERED_WAIT.as_secs());
            return json!({ "outcome": "unknown", "topic": topic.name, "detail": detail });
        }
    };
    let of_place = |(shard, offset): (u32, i64)| {
        let found = readers.shard(shard).map_err(|problem| problem.detail);
        let receipt = found.and_then(|open| of_shard(readers, &open, offset, bytes, watch));
        receipt.unwrap_or_else(|why| {
            let topic = &topic.name;
            json!({ "shard": shard, "outcome": "sent", "topic": topic, "offset": offset, "position": null, "detail": why })
        })
    };
    let weight = |receipt: &Value| match receipt["outcome"].as_str() {
        Some("refused") => 5,
        Some("conflict") => 4,
        Some("booked" | "parked") => 3,
        Some("duplicate") => 2,
        _ => 1,
    };
    places.into_iter().map(of_place).max_by_key(weight).unwrap_or(Value::Null)
}

/// What a shard made of the record at an offset of its partition; an error says why that is not known yet.
fn of_shard(readers: &Readers, open: &Open, offset: i64, bytes: &[u8], watch: Stopwatch) -> Result<Value, String> {
    let shard = open.log.shard();
    let status = open.status.as_ref().ok_or("nobody writes here")?;
    while status.report().next_offset <= offset {
        if let ShardState::Stopped { reason } = status.state() {
            return Err(format!("shard {shard} takes nothing: {reason}"));
        }
        if watch.elapsed() >= BOOKED_WAIT {
            return Err(format!("it is in the topic, and shard {shard} has not come to it within {} s", BOOKED_WAIT.as_secs()));
        }
        std::thread::sleep(LOOK);
    }
    let broken = |error: &dyn std::fmt::Display| format!("it is taken in; what became of it can't be read: {error}");
    if let Some(row) = open.log.dead_letter_at(offset).map_err(|error| broken(&error))? {
        let (letter, number) = (row.letter, format!("{shard}/{}", row.seq));
        let outcome = if letter.is_conflict() { "conflict" } else { "refused" };
        let mut receipt =
            json!({ "shard": shard, "outcome": outcome, "code": letter.code, "detail": letter.detail, "dead_letter": number });
        if let Some(first) = letter.first_position {
            receipt["first_position"] = json!(first.0);
        }
        return Ok(receipt);
    }
    let position = position_of(readers, open, bytes).map_err(|error| broken(&error))?;
    let position = position.ok_or("it is taken in, and not found again")?;
    let outcome = open.log.read(position, |frame| {
        let decision = accrue_projections::decision_of(frame).map(read_decision).transpose()?;
        let (late, parked) = (frame.late, frame.parked);
        Ok::<_, Malformed>(match frame.offset == offset {
            true => Outcome::Booked { position, decision, late, parked },
            false => Outcome::Duplicate { first: position, decision, parked },
        })
    });
    let outcome = outcome.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
    Ok(receipt_json(&Receipt { shard, outcome }))
}

fn position_of(readers: &Readers, open: &Open, bytes: &[u8]) -> Result<Option<Position>, String> {
    let program = serde_json::from_slice::<Value>(bytes).ok().and_then(|fact| fact["program"].as_str().map(str::to_owned));
    let currency = program.and_then(|program| readers.currency(&program));
    let fact = fact_from_json(bytes, &Defaults { currency: currency.as_deref() }).map_err(|error| error.to_string())?;
    let mut wire = Vec::new();
    write_fact(&fact, &mut wire);
    let fact = read_fact(&wire).map_err(|error| error.to_string())?;
    open.reader.position_of(&fact).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brokers_say_comes_to_its_fact() {
        let (sender, told) = bounded(5);
        let mut ways = vec![Way::Unknown, Way::Unknown, Way::Unknown];
        for said in [(11, Ok((1, 5))), (10, Err("gone".to_owned())), (11, Ok((0, 7))), (10, Ok((2, 2)))] {
            sender.send(said).expect("room");
        }
        drop(sender);
        take(&told, 5, 10, &mut ways);
        assert!(matches!(&ways[0], Way::Failed(why) if why.contains("gone")), "one partition is not all");
        assert!(matches!(&ways[1], Way::Delivered(places) if *places == [(1, 5), (0, 7)]));
        assert!(matches!(ways[2], Way::Unknown));
    }
}
