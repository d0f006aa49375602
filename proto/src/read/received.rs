//! `points_received`

use super::in_entry;
use super::points::lot;
use crate::check::{self, optional, required};
use crate::error::Fault;
use crate::wire::{Parts, each_field};
use accrue_ledger::PointsReceived;

/// As many lots as a member could have: nobody else made it.
pub(super) fn received<'a>(parts: &Parts<'a>) -> Result<PointsReceived<'a>, Fault> {
    let mut received = PointsReceived::default();
    each_field(parts, |reader, key| {
        match key.number() {
            1 => received.transfer_id = reader.text(key, "points_received.transfer_id")?,
            2 => received.from_member = reader.text(key, "points_received.from_member")?,
            3 => received.ledger = Some(reader.text(key, "points_received.ledger")?),
            4 => {
                let lot = lot(reader, key).map_err(|error| in_entry(error, received.lots.len()))?;
                received.lots.push(lot);
            }
            5 => received.returned = reader.bool(key, "points_received.returned")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(received.transfer_id, "points_received.transfer_id")?;
    required(received.from_member, "points_received.from_member")?;
    received.ledger = optional(received.ledger, "points_received.ledger")?;
    if received.lots.is_empty() {
        return Err(check::missing("points_received.lots"));
    }
    Ok(received)
}
