//! The JSON shape of facts and decisions.
//!
//! ```json
//! {"id": "e1", "source": "shop", "program": "acme", "member": "m1", "occurred_at": "2024-03-01T10:00:00Z",
//!  "refund_recorded": {"refund_id": "F1", "order_id": "A", "amount": "5.00", "currency": "GBP"}}
//! ```
//! Names are those of `fact.proto`; the body is a key named after it. Money is a decimal string of the body's currency,
//! or, where that is not known, `{"minor": 500}`. Points are whole numbers, instants RFC 3339 text, enums their names in
//! lower case. `null` is absent. Unknown keys and keys given twice are errors.
//!
//! One walk over the descriptors of `fact.proto` serves every body.

mod near;
mod parse;
mod read;
mod schema;
mod write;

pub(crate) use parse::parse;
pub(crate) use read::{body_bytes, fact_bytes};

pub use write::{decision_to_json, fact_to_json};

use crate::{Malformed, pb};
use prost::Message as _;
use serde_json::Value;

/// What a message may leave out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defaults<'a> {
    /// The program's currency: that of money in bodies that name none. An order, or a refund whose money was read with
    /// it, is given it, so that it is never taken for another.
    pub currency: Option<&'a str>,
}

/// Reads an envelope. Only the shape is checked here; [`read_fact`](crate::read_fact) checks what it says.
///
/// # Errors
/// [`Malformed`] naming the key.
pub fn fact_from_json(bytes: &[u8], defaults: &Defaults<'_>) -> Result<pb::Fact, Malformed> {
    fact_from_value(&parse(bytes)?, defaults)
}

/// As [`fact_from_json`], from a value already parsed.
///
/// # Errors
/// [`Malformed`] naming the key.
pub fn fact_from_value(value: &Value, defaults: &Defaults<'_>) -> Result<pb::Fact, Malformed> {
    let bytes = fact_bytes(value, defaults)?;
    pb::Fact::decode(bytes.as_slice()).map_err(|error| Malformed::new("undecodable", error.to_string()))
}
