//! `exception_resolved`

use crate::bounds::TEXT_BYTES_MAX;
use crate::check::{self, optional, required};
use crate::error::{Fault, fault};
use crate::wire::{Parts, each_field};
use accrue_ledger::Body;

pub(super) fn resolved<'a>(parts: &Parts<'a>) -> Result<Body<'a>, Fault> {
    let (mut exception, mut order_id, mut line_id, mut reason) = ("", None, None, "");
    each_field(parts, |reader, key| {
        match key.number() {
            1 => exception = reader.text(key, "exception_resolved.exception")?,
            2 => order_id = Some(reader.text(key, "exception_resolved.order_id")?),
            3 => line_id = Some(reader.text(key, "exception_resolved.line_id")?),
            4 => reason = reader.text(key, "exception_resolved.reason")?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    let order_id = optional(order_id, "exception_resolved.order_id")?;
    let line_id = optional(line_id, "exception_resolved.line_id")?;
    if line_id.is_some() && order_id.is_none() {
        return Err(fault("missing_field", "exception_resolved has a line_id: the order_id it is a line of is needed"));
    }
    Ok(Body::ExceptionResolved {
        exception: required(exception, "exception_resolved.exception")?,
        order_id,
        line_id,
        reason: check::text(reason, TEXT_BYTES_MAX, "exception_resolved.reason")?,
    })
}
