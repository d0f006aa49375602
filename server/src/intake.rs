//! How facts come in: through the door of a running service, or from a command.

mod hand;
mod produce;
mod summary;

pub use hand::{Hand, Handed, Straight, options, writer};
pub use summary::Summary;

use crate::problem::Problem;
use accrue_ingest::kafka::{Connection, KafkaPublisher, requeue_kafka};
use accrue_ingest::{Embedded, Outcome, Receipt, Rekey, requeue_embedded};
use accrue_proto::json::decision_to_json;
use accrue_store::{DeadLetter, ShardLog};
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
    /// For dead letters that are handed in again.
    pub connection: Connection,
}

impl Door {
    /// The embedded log.
    ///
    /// # Errors
    /// Facts come from Kafka.
    pub fn embedded(&self) -> Result<&Embedded, Problem> {
        match self {
            Door::Embedded(embedded) => Ok(embedded),
            Door::Kafka(topic) => Err(Problem::new(
                "facts_come_from_kafka",
                format!(
                    "this service takes facts from the topic {}: publish them there, with the key program/member (`accrue publish --kafka`)",
                    topic.name
                ),
            )),
        }
    }

    /// Hands a dead letter in again; `None`: there is none of that number.
    ///
    /// # Errors
    /// The shard has stopped, or no broker takes it.
    pub fn requeue(&self, log: &ShardLog, seq: u64) -> Result<Option<Value>, Problem> {
        let Some(row) = log.dead_letter(seq)? else { return Ok(None) };
        let again = match self {
            Door::Embedded(embedded) => {
                requeue_embedded(embedded, log, seq, rekey(&row.letter)).map(|receipt| receipt_json(&receipt))
            }
            // Rare enough for a producer of its own.
            Door::Kafka(topic) => KafkaPublisher::connect(&topic.connection, &topic.name, None)
                .and_then(|publisher| requeue_kafka(&publisher, log, seq, rekey(&row.letter), REQUEUE_WAIT))
                .map(|()| sent_json(log.shard(), &topic.name)),
        };
        again.map(Some).map_err(|error| Problem::new("shard_stopped", error.to_string()))
    }
}

/// How long a broker may take for a dead letter.
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
