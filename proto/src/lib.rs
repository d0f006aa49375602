//! The wire: every fact, request and decision as protobuf, JSON and TOML, and the ways Kafka records carry them.
//!
//! Knows the shape of what is said and what can't be meant under any ruleset. Knows nothing of rulesets, balances,
//! stores, or whether an id was seen before.
//!
//! ```
//! use accrue_proto::{json, read_fact, write_fact};
//! let text = br#"{"id": "e1", "source": "shop", "program": "acme", "member": "m1", "occurred_at": "2024-03-01T10:00:00Z",
//!                 "order_placed": {"order_id": "A", "currency": "GBP",
//!                                  "lines": [{"line_id": "1", "quantity": 2, "unit_price": "12.50"}]}}"#;
//! let mut bytes = Vec::new();
//! write_fact(&json::fact_from_json(text, &json::Defaults::default())?, &mut bytes);
//! let fact = read_fact(&bytes)?;
//! assert_eq!((fact.member, fact.kind), ("m1", accrue_ledger::Kind::OrderPlaced));
//! # Ok::<(), accrue_proto::Malformed>(())
//! ```

pub mod bounds;
mod check;
mod content;
mod decision;
mod error;
pub mod json;
mod kafka;
pub mod money;
pub mod personal;
mod read;
mod time;
pub mod toml;
mod wire;

pub use content::{fingerprint, same_content, same_content_if};
pub use decision::{lot_to, read_decision, write_decision};
pub use error::Malformed;
pub use kafka::{CurrencyOf, Decoded, Headers, check_key, decode_message, decode_message_with, murmur2_partition, owner_of};
pub use read::read_fact;
pub use time::{from_timestamp, to_timestamp};

use prost::Message as _;

/// Owned types, generated from `proto/accrue/v1/*.proto`.
#[expect(missing_docs, reason = "generated")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/accrue.v1.rs"));
}

/// The `FileDescriptorSet` of everything in [`pb`].
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Appends the fact's bytes.
pub fn write_fact(fact: &pb::Fact, out: &mut Vec<u8>) {
    out.reserve(fact.encoded_len());
    fact.encode_raw(out);
}
