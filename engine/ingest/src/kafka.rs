//! Facts from a topic: one shard for each partition that this process is assigned.
//!
//! Offsets are resumed from the log, never from the consumer group; they are handed over in the assignment. What is durable
//! is committed to the group afterwards, for tools that show a lag.
//!
//! ```no_run
//! # fn make() -> accrue_ingest::MakeInline { unimplemented!() }
//! use accrue_ingest::kafka::{KafkaOptions, KafkaSource};
//! use accrue_store::{Store, StoreOptions};
//!
//! let store = Store::open("/var/lib/accrue".as_ref(), StoreOptions::default())?;
//! let source = KafkaSource::start(&store, make(), KafkaOptions::new("localhost:9092", "accrue.facts", "accrue"))?;
//! println!("{:?}", source.status().not_ready());
//! source.stop()?;
//! # Ok::<(), accrue_ingest::IngestError>(())
//! ```

mod context;
mod dead_headers;
mod layout;
mod partitions;
mod publish;
mod range;
mod relay;
mod relay_mark;
mod settings;
mod source;
mod to_topic;
mod topics;

pub use dead_headers::{HEADER_CODE, HEADER_DETAIL};
pub use publish::{Delivered, Failure, KafkaPublisher, OnDelivery, requeue_kafka};
pub use settings::{Assignment, Connection, KafkaOptions, dead_letter_topic};
pub use source::KafkaSource;
pub use topics::{Difference, Plan, PlannedTopic, TopicAdmin, TopicOptions, TopicState};
