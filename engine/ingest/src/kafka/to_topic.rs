//! Facts that follow for other members, into the topic of facts under the key of their member.

use super::publish::KafkaPublisher;
use super::settings::{Connection, KafkaOptions};
use crate::IngestError;
use crate::forward::Carry;
use std::time::Duration;

/// How long brokers may take to acknowledge what was carried at once; then it is carried again.
const DELIVERY_WAIT: Duration = Duration::from_secs(30);

pub(super) struct ToTopic {
    connection: Connection,
    topic: String,
    /// Made with the first fact: most programs never have one.
    publisher: Option<KafkaPublisher>,
}

impl ToTopic {
    pub(super) fn new(options: &KafkaOptions) -> ToTopic {
        ToTopic { connection: options.connection.clone(), topic: options.topic.clone(), publisher: None }
    }

    fn deliver(&mut self, facts: &[Vec<u8>]) -> Result<(), IngestError> {
        let publisher = match self.publisher.take() {
            Some(publisher) => publisher,
            None => KafkaPublisher::connect(&self.connection, &self.topic, None)?,
        };
        facts.iter().enumerate().try_for_each(|(tag, fact)| publisher.publish_fact(fact, tag))?;
        let delivered = publisher.flush(DELIVERY_WAIT)?;
        if let Some(failure) = delivered.failures.into_iter().next() {
            return Err(IngestError::kafka("send on what follows for other members")(failure.error));
        }
        self.publisher = Some(publisher);
        Ok(())
    }
}

impl Carry for ToTopic {
    /// After an error with another connection, so that nothing of before is on its way.
    fn carry(&mut self, facts: &[Vec<u8>]) -> Result<(), IngestError> {
        self.deliver(facts)
    }
}
