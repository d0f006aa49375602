//! What can go wrong at the door, in one short line each: what, where, hint.

use accrue_store::{InlineError, Position, StoreError};
use rdkafka::error::KafkaError;

/// Errors of ingest. What is wrong with one message is none of them: that is a dead letter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The projection that the writer decides on failed.
    #[error("shard {shard}: {source}")]
    Inline {
        /// The shard.
        shard: u32,
        /// Why.
        source: InlineError,
    },
    /// The shard takes nothing any more.
    #[error("shard {shard} takes nothing: {reason}")]
    Stopped {
        /// The shard.
        shard: u32,
        /// Since when and why.
        reason: String,
    },
    /// No such shard here.
    #[error("shard {shard} is not open here")]
    NoShard {
        /// The shard.
        shard: u32,
    },
    /// A view that knows more than the log, also after it was dropped.
    #[error(
        "shard {shard}: the view is at position {view}, the log ends before {log}: drop the view, it is built again from the log"
    )]
    ViewAhead {
        /// The shard.
        shard: u32,
        /// Next position of the view.
        view: Position,
        /// Next position of the log.
        log: Position,
    },
    /// A setting that can't be.
    #[error("{0}")]
    Setting(String),
    /// Kafka can't give what comes next.
    #[error(
        "shard {shard}: the stored offset {stored} is outside {topic} [{partition}], which has {low} to {end}: the topic was recreated, \
         or its retention has passed the store; bring the records back, or start with an empty store"
    )]
    OffsetOutOfRange {
        /// The shard.
        shard: u32,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where the store would go on.
        stored: i64,
        /// First offset there is.
        low: i64,
        /// The one after the last.
        end: i64,
    },
    /// The topic has another record than the one that was booked.
    #[error(
        "shard {shard}: {topic} [{partition}] has another record at offset {offset} than the one in the log: the topic was recreated; \
         bring the old one back, or start with an empty store"
    )]
    OtherTopic {
        /// The shard.
        shard: u32,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset compared.
        offset: i64,
    },
    /// Kafka said no.
    #[error("kafka: can't {action}: {source}")]
    Kafka {
        /// What was tried, as a verb.
        action: &'static str,
        /// Why not.
        source: KafkaError,
    },
    /// The topic isn't there.
    #[error("kafka: there is no topic {topic}: create it with `accrue topics apply`")]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// A thread can't be started, or has panicked.
    #[error("thread {name}: {detail}")]
    Thread {
        /// Which.
        name: String,
        /// What happened.
        detail: String,
    },
    /// Something took longer than it may.
    #[error("{what} took longer than {seconds} s")]
    TooSlow {
        /// What.
        what: String,
        /// The bound.
        seconds: u64,
    },
    /// A file beside the log can't be written.
    #[error("can't write {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
}

impl IngestError {
    pub(crate) fn kafka(action: &'static str) -> impl FnOnce(KafkaError) -> IngestError {
        move |source| IngestError::Kafka { action, source }
    }

    pub(crate) fn inline(shard: u32) -> impl FnOnce(InlineError) -> IngestError {
        move |source| IngestError::Inline { shard, source }
    }
}
