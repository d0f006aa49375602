//! How facts come in: through the door of a running service, or from a command.

mod hand;
mod produce;
mod summary;
mod through;

pub use hand::{Hand, Handed, REQUEUE_FEW, Straight, options, writer};
pub use summary::Summary;
pub use through::{InTheTopic, Taken, Through};

use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ingest::kafka::{Connection, KafkaPublisher, requeue_kafka};
use accrue_ingest::{Embedded, Message, Outcome, Receipt, Rekey, requeue_embedded};
use accrue_proto::json::decision_to_json;
use accrue_store::{DeadLetter, ShardLog};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Where a service takes facts in.
#[derive(Clone)]
pub enum Door {
    /// Straight in.
    Embedded(Arc<Embedded>),
    /// Through a topic.
    Kafka(Arc<Topic>),
}

/// A topic, and the way into it.
pub struct Topic {
    /// Its name.
    pub name: String,
    /// The way there.
    pub connection: Connection,
    /// The producer of facts that come over HTTP; made when the first does.
    pub through: Mutex<Option<Arc<Through>>>,
}

/// Facts straight into an embedded log; answered when all are durable.
///
/// # Errors
/// A shard has stopped.
pub fn straight_in(embedded: &Embedded, facts: &[&[u8]]) -> Result<Taken, Problem> {
    let mut publisher = embedded.publisher().with_receipts();
    for fact in facts {
        publisher.push(&Message { value: Some(fact), ..Message::default() })?;
    }
    publisher.flush()?;
    let receipts = std::iter::from_fn(|| publisher.receipt()).map(|(_, receipt)| receipt_json(&receipt));
    Ok(Taken { receipts: receipts.collect(), all_known: true })
}

impl Door {
    /// Takes facts in, as JSON.
    ///
    /// # Errors
    /// A shard has stopped, or no broker takes any of them.
    pub fn take(&self, readers: &Readers, facts: &[&[u8]]) -> Result<Taken, Problem> {
        match self {
            Door::Embedded(embedded) => straight_in(embedded, facts),
            Door::Kafka(topic) => Through::facts(topic, readers, facts),
        }
    }

    /// Waits until what was taken in before is known here.
    ///
    /// # Errors
    /// No broker answers, or a shard has a long way to go.
    pub fn catch_up(&self, readers: &Readers) -> Result<(), Problem> {
        match self {
            Door::Embedded(_) => Ok(()),
            Door::Kafka(topic) => Through::catch_up(topic, readers),
        }
    }

    /// Hands dead letters of a shard in again; what became of each.
    ///
    /// # Errors
    /// There is none of that number, the shard has stopped, or no broker takes it.
    pub fn requeue(&self, log: &ShardLog, numbers: &[u64]) -> Result<Vec<Value>, Problem> {
        let again = match self {
            Door::Embedded(embedded) => {
                requeue_embedded(embedded, log, numbers, rekey).map(|receipts| receipts.iter().map(receipt_json).collect())
            }
            // Rare enough for a producer of its own.
            Door::Kafka(topic) => KafkaPublisher::connect(&topic.connection, &topic.name, None)
                .and_then(|publisher| requeue_kafka(&publisher, log, numbers, rekey, REQUEUE_WAIT))
                .map(|()| vec![sent_json(log.shard(), &topic.name); numbers.len()]),
        };
        again.map_err(Problem::from)
    }
}

/// How long brokers may take for a thousand dead letters.
pub const REQUEUE_WAIT: Duration = Duration::from_secs(10);

/// Of what went to the topic: what becomes of it, only its reader knows.
pub fn sent_json(shard: u32, topic: &str) -> Value {
    json!({ "shard": shard, "outcome": "sent", "topic": topic })
}

/// A letter that was under the wrong key gets the right one.
pub fn rekey(letter: &DeadLetter) -> Rekey {
    if letter.code == "wrong_key" { Rekey::FromBody } else { Rekey::No }
}

/// What became of a message.
pub fn receipt_json(receipt: &Receipt) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    let (shard, letter) = (receipt.shard, |number: u64| json!(format!("{}/{number}", receipt.shard)));
    put("shard", json!(shard));
    match &receipt.outcome {
        Outcome::Booked { position, decision, late, parked } => {
            put("outcome", json!(if *parked { "parked" } else { "booked" }));
            put("position", json!(position.0));
            put("late", json!(late));
            decision.iter().for_each(|decision| put("decision", decision_to_json(decision)));
        }
        Outcome::Duplicate { first, decision, parked } => {
            put("outcome", json!("duplicate"));
            put("position", json!(first.0));
            put("parked", json!(parked));
            decision.iter().for_each(|decision| put("decision", decision_to_json(decision)));
        }
        Outcome::Conflict { first, detail, dead_letter } => {
            put("outcome", json!("conflict"));
            put("code", json!("conflict"));
            put("detail", json!(detail));
            put("first_position", json!(first.0));
            put("dead_letter", letter(*dead_letter));
        }
        Outcome::Refused { code, detail, dead_letter } => {
            put("outcome", json!("refused"));
            put("code", json!(code));
            put("detail", json!(detail));
            put("dead_letter", letter(*dead_letter));
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_store::Position;

    #[test]
    fn receipts() {
        let told = |outcome| receipt_json(&Receipt { shard: 2, outcome });
        let booked = told(Outcome::Booked { position: Position(7), decision: None, late: true, parked: false });
        assert_eq!(booked, json!({"shard": 2, "outcome": "booked", "position": 7, "late": true}));
        let refused = told(Outcome::Refused { code: "wrong_key", detail: "x".into(), dead_letter: 5 });
        assert_eq!(refused, json!({"shard": 2, "outcome": "refused", "code": "wrong_key", "detail": "x", "dead_letter": "2/5"}));
    }

    #[test]
    fn only_a_wrong_key_is_made_right() {
        let letter = |code: &str| DeadLetter { code: code.to_owned(), ..DeadLetter::default() };
        assert_eq!((rekey(&letter("wrong_key")), rekey(&letter("conflict"))), (Rekey::FromBody, Rekey::No));
    }
}
