//! The door: facts come in from Kafka or straight, and are judged, made durable and answered.
//!
//! One writer thread a shard ([`Writer`]) collects messages into groups, decodes them, lets the projection judge them
//! ([`accrue_store::Inline`]), appends them with one sync and answers. [`Embedded`] feeds the shards of a store directly;
//! [`kafka::KafkaSource`] feeds one shard for each assigned partition and resumes at the offsets in the log. What can't be
//! booked is a dead letter, whole, in the same batch as the offset.
//!
//! It knows nothing of HTTP, and of projections only the trait.
//!
//! ```no_run
//! # fn make() -> accrue_ingest::MakeInline { unimplemented!() }
//! use accrue_ingest::{Embedded, EmbeddedOptions, Outcome};
//! use accrue_store::{Store, StoreOptions};
//!
//! let store = Store::open("/var/lib/accrue".as_ref(), StoreOptions { embedded_shards: Some(4), ..Default::default() })?;
//! let embedded = Embedded::open(&store, make(), EmbeddedOptions::default())?;
//! let receipt = embedded.publish_fact(b"protobuf of a fact")?;
//! if let Outcome::Booked { position, .. } = receipt.outcome {
//!     println!("shard {}, position {position}", receipt.shard);
//! }
//! embedded.stop()?;
//! # Ok::<(), accrue_ingest::IngestError>(())
//! ```
//!
//! # Reading order
//! `batch` is what comes in, `decode` and `group` what is done with it, `writer` the thread, `recovery` its start,
//! `shards` the opening; `embedded` and `kafka` are the sources; `letter` and `requeue` what became of the rest.

mod anchor;
mod batch;
mod clock;
mod decode;
mod embedded;
mod error;
pub mod facts_file;
mod forward;
mod group;
pub mod import;
pub mod kafka;
mod letter;
pub mod life;
pub mod metrics;
mod queue;
mod receipt;
mod recovery;
mod requeue;
mod route;
mod seal;
mod seldom;
mod shards;
mod small_file;
mod status;
pub mod workload;
mod writer;

pub use batch::{Batch, Message, Reply};
pub use clock::Clock;
pub use embedded::{Embedded, EmbeddedOptions, Publisher, RECEIPTS_PENDING_MAX, STOP_WAIT};
pub use error::IngestError;
pub use group::Currencies;
pub use letter::{Origin, Original, original};
pub use receipt::{Counts, Outcome, Receipt};
pub use requeue::{REQUEUE_LETTERS_MAX, Rekey, Requeued, requeue_embedded, requeued};
pub use shards::{MakeInline, OnShard, ShardEvent};
pub use status::{ShardReport, ShardState, ShardStatus, SourceReport, Status};
pub use writer::{
    GROUP_BYTES_MAX, GROUP_FACTS_MAX, GROUP_WAIT, NotTaken, QUEUE_BATCHES_MAX, Stopping, Writer, WriterHandle, WriterOptions,
    WriterThread,
};
