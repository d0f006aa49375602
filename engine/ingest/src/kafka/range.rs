//! Where a partition is resumed, and whether Kafka still has what comes next.

use crate::IngestError;
use crate::anchor::Anchor;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use std::time::Duration;

/// How long a broker may take to say what a partition has.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// A partition and how far the log has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resume<'a> {
    pub shard: u32,
    pub topic: &'a str,
    pub partition: i32,
    /// The first offset that is not in the log; `None`: nothing is.
    pub stored: Option<i64>,
    /// The last record that the log has word for word.
    pub anchor: Option<Anchor>,
}

/// Where consumption starts: at the stored offset, or at the record before it that shows whether the topic is the same; at
/// the beginning of a partition never seen.
///
/// # Errors
/// Kafka has neither the stored offset nor the end right before it.
pub(crate) fn start<C: ConsumerContext>(consumer: &BaseConsumer<C>, at: Resume<'_>) -> Result<Offset, IngestError> {
    match consumer.fetch_watermarks(at.topic, at.partition, ANSWER_WAIT) {
        Ok((low, end)) => resume(at, low, end),
        Err(error) => {
            // An offset out of range is an error of the fetch then, for there is no reset.
            tracing::warn!(shard = at.shard, %error, "kafka does not say which offsets it has");
            Ok(at.stored.map_or(Offset::Beginning, Offset::Offset))
        }
    }
}

fn resume(at: Resume<'_>, low: i64, end: i64) -> Result<Offset, IngestError> {
    let Some(stored) = at.stored else {
        return Ok(Offset::Beginning);
    };
    if stored < low || stored > end {
        let Resume { shard, topic, partition, .. } = at;
        return Err(IngestError::OffsetOutOfRange { shard, topic: topic.to_owned(), partition, stored, low, end });
    }
    let anchor = at.anchor.map(|anchor| anchor.offset).filter(|anchor| (low..stored).contains(anchor));
    Ok(Offset::Offset(anchor.unwrap_or(stored)))
}

/// Whether Kafka has what comes next; `Ok` also when it does not answer.
///
/// # Errors
/// It does not.
pub(crate) fn check<C: ConsumerContext>(consumer: &BaseConsumer<C>, at: Resume<'_>) -> Result<(), IngestError> {
    match consumer.fetch_watermarks(at.topic, at.partition, ANSWER_WAIT) {
        Ok((low, end)) => resume(at, low, end).map(drop),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_range_or_an_error() {
        let at = |stored| Resume { shard: 3, topic: "facts", partition: 3, stored, anchor: None };
        assert_eq!(resume(at(None), 5, 9).ok(), Some(Offset::Beginning));
        for stored in [5, 7, 9] {
            assert_eq!(resume(at(Some(stored)), 5, 9).ok(), Some(Offset::Offset(stored)));
        }
        for stored in [4, 10] {
            let error = resume(at(Some(stored)), 5, 9).expect_err("outside").to_string();
            assert!(error.contains(&format!("stored offset {stored} is outside facts [3], which has 5 to 9")), "{error}");
        }
    }
}
