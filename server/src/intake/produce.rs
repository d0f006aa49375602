//! Into the topic, with the key that the engine wants.

use super::{Handed, REQUEUE_WAIT, Summary, rekey, sent_json};
use crate::config::Config;
use crate::failure::Failure;
use crate::problem::Problem;
use accrue_ingest::Message;
use accrue_ingest::facts_file::Form;
use accrue_ingest::kafka::{KafkaPublisher, requeue_kafka};
use accrue_proto::read_fact;
use accrue_store::Store;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::time::Duration;

/// How long what is on its way may take.
const FLUSH_WAIT: Duration = Duration::from_secs(120);

/// A producer, and for dead letters the store they are in.
pub struct Produce {
    publisher: KafkaPublisher,
    topic: String,
    store: Option<Store>,
}

impl Produce {
    /// Connects.
    ///
    /// # Errors
    /// No broker is named or answers, or there is no such topic.
    pub fn connect(config: &Config) -> Result<Produce> {
        let kafka = config.kafka()?;
        let publisher = KafkaPublisher::connect(&kafka.connection(), &kafka.topic, None)
            .with_context(|| format!("brokers {}", kafka.brokers))?;
        Ok(Produce { publisher, topic: kafka.topic.clone(), store: None })
    }

    /// With the store whose dead letters are to be sent again.
    pub fn with(mut self, store: Store) -> Produce {
        self.store = Some(store);
        self
    }

    /// Sends a fact; waits while too much is on its way.
    pub(super) fn push(&self, fact: &Handed<'_>, key: Option<&[u8]>, summary: &mut Summary) -> Result<()> {
        let headers: &[(&str, Option<&[u8]>)] = &[("content-type", Some(fact.form.content_type().as_bytes()))];
        let message = Message { value: Some(fact.bytes), key, headers, ..Message::default() };
        // The tag is the number of the fact, for the failure that is told first.
        self.publisher.publish(&message, usize::try_from(summary.total()).unwrap_or(usize::MAX))?;
        summary.sent();
        Ok(())
    }

    /// Waits until brokers have everything.
    pub(super) fn flush(&self, summary: &mut Summary) -> Result<()> {
        let delivered = self.publisher.flush(FLUSH_WAIT)?;
        summary.not_sent(delivered.failed, || {
            let first = delivered.failures.first().map(|failure| format!("fact {}: {}", failure.tag + 1, failure.error));
            first.unwrap_or_else(|| "kafka took not all of it".to_owned())
        });
        Ok(())
    }

    /// Sends dead letters of a shard again.
    pub(super) fn requeue(&self, shard: u32, numbers: &[u64]) -> Result<Vec<Value>> {
        let log = self.store.as_ref().and_then(|store| store.shard(shard).ok());
        let missing = || Failure::not_found(format!("there is no dead letter {shard}/{}", numbers.first().unwrap_or(&0)));
        let sent = requeue_kafka(&self.publisher, &log.ok_or_else(missing)?, numbers, rekey, REQUEUE_WAIT);
        sent.map_err(Problem::from)?;
        Ok(vec![sent_json(shard, &self.topic); numbers.len()])
    }
}

/// `program/member`, or `program/` of a control fact; `None`: it does not say, and will be a dead letter.
pub(super) fn key_of(fact: &Handed<'_>) -> Option<Vec<u8>> {
    let key = match fact.form {
        Form::Protobuf => {
            let fact = read_fact(fact.bytes).ok()?;
            format!("{}/{}", fact.program, fact.member)
        }
        Form::Json => {
            // Only the envelope: money may need a ruleset to be read.
            let fact: Value = serde_json::from_slice(fact.bytes).ok()?;
            let program = fact.get("program")?.as_str()?;
            match fact.get("member").and_then(Value::as_str) {
                Some(member) => format!("{program}/{member}"),
                None if ["ruleset_activated", "rules_applied"].iter().any(|body| fact.get(body).is_some()) => {
                    format!("{program}/")
                }
                None => return None,
            }
        }
    };
    Some(key.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let key = |json: &str| {
            let key = key_of(&Handed { bytes: json.as_bytes(), form: Form::Json, key: None });
            key.map(|key| String::from_utf8(key).expect("text"))
        };
        assert_eq!(key(r#"{"program": "a", "member": "m/1", "order_placed": {}}"#).as_deref(), Some("a/m/1"));
        assert_eq!(key(r#"{"program": "a", "ruleset_activated": {}}"#).as_deref(), Some("a/"));
        assert_eq!((key(r#"{"program": "a"}"#), key("rubbish"), key(r#"{"member": "m"}"#)), (None, None, None));
    }
}
