//! The durable log and the storage of what is derived from it.
//!
//! A [`Store`] is one data directory. It holds shards; a shard has a [`ShardLog`] (RocksDB, durable, the truth:
//! packed blocks of frames, resume offsets, a hash chain, dead letters) and [`View`]s (RocksDB, one directory a
//! generation, disposable: everything derived from the log up to the position each names). It knows nothing of
//! Kafka, HTTP or what a point is.
//!
//! # Writing
//! One writer a shard. A [`Group`] collects frames, duplicates and dead letters in reusable buffers;
//! [`ShardLog::append`] packs it into blocks and writes it together with the resume offset in one synced batch.
//! A write error is fatal for the shard: the log is poisoned, every later write returns the same cause, nothing is
//! tried again. Reads go on.
//!
//! ```no_run
//! # fn main() -> Result<(), accrue_store::StoreError> {
//! use accrue_ledger::{Instant, Kind};
//! use accrue_store::{FrameMeta, Position, Source, Store, StoreOptions, member_hash};
//!
//! let store = Store::open("/var/lib/accrue".as_ref(), StoreOptions { embedded_shards: Some(1), ..Default::default() })?;
//! let log = store.shard(0)?;
//! let mut group = log.begin_group(Source::Embedded, Instant(1_700_000_000_000_000))?;
//! let meta = FrameMeta {
//!     kind: Kind::OrderPlaced, schema: 1, late: false, parked: false, rejected: false,
//!     member_hash: member_hash("shop", "m1"), occurred_at: Instant(1_699_999_999_000_000), offset: 0,
//! };
//! let position = group.push(meta, b"protobuf of the fact", None);
//! let head = log.append(&mut group)?;
//! assert_eq!(head.next_position, position.next());
//!
//! let mut scan = log.scan(Position::FIRST);
//! while let Some(block) = scan.next_block()? {
//!     for frame in block.frames() {
//!         println!("{} {}", frame.position, frame.kind.name());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Reading order
//! [`keys`] draws every key; `frame`, `block`, `group` are the bytes of the log; `log`, `read`, `chain` its work;
//! `witness` what notices a log that came back short; `view` the derived side; `backup` a copy of all that is not; `inline` the trait by which a
//! writer decides.

mod backup;
mod block;
mod chain;
mod dead;
mod directory;
mod error;
mod frame;
mod group;
mod head;
mod inline;
pub mod keys;
mod log;
mod options;
mod position;
mod read;
mod registry;
mod rows;
mod sealed;
mod store;
mod vault;
mod view;
mod view_beside;
mod view_ingest;
mod witness;

pub use backup::{ShardSnapshot, Snapshot, SnapshotFile, sync_all};
pub use block::{BLOCK_BYTES_MAX, BLOCK_FRAMES_MAX, Block};
pub use chain::Verified;
pub use dead::{DeadLetter, DeadRow, DeadStatus};
pub use error::{InlineError, StoreError};
pub use frame::{Derived, Frame, FrameMeta, push_derived};
pub use group::Group;
pub use head::{Counters, Head, Source, SourceOffset};
pub use inline::{Candidate, Inline, Verdict};
pub use keys::{Identity, identity_of as identity, member_hash};
pub use log::ShardLog;
pub use options::StoreOptions;
pub use position::Position;
pub use read::Scan;
pub use store::Store;
pub use vault::Vault;
pub use view::{Found, Pinned, Row, RowRef, Rows, View, ViewSnapshot};
pub use view_ingest::RowWriter;
pub use witness::{Shortfall, Witness};
