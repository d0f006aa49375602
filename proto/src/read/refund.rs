//! `refund_recorded`

use super::in_entry;
use crate::bounds::LINES_MAX;
use crate::check::{self, amount, positive, quantity, required};
use crate::error::{Fault, fault};
use crate::wire::{Key, Parts, Reader, each_field};
use accrue_ledger::{RefundLine, RefundRecorded};

pub(super) fn recorded<'a>(parts: &Parts<'a>) -> Result<RefundRecorded<'a>, Fault> {
    let mut refund = RefundRecorded::default();
    each_field(parts, |reader, key| {
        match key.number() {
            1 => refund.refund_id = reader.text(key, "refund_recorded.refund_id")?,
            2 => refund.order_id = Some(reader.text(key, "refund_recorded.order_id")?),
            3 => {
                check::room(refund.lines.len(), LINES_MAX, "refund_recorded.lines")?;
                let line = line(reader, key).map_err(|error| in_entry(error, refund.lines.len()))?;
                refund.lines.push(line);
            }
            4 => refund.amount = Some(reader.int(key, "refund_recorded.amount")?),
            5 => refund.currency = Some(reader.text(key, "refund_recorded.currency")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(refund.refund_id, "refund_recorded.refund_id")?;
    refund.order_id = check::optional(refund.order_id, "refund_recorded.order_id")?;
    refund.currency = match refund.currency {
        None | Some("") => None,
        Some(currency) => Some(check::currency(currency, "refund_recorded.currency")?),
    };
    match (refund.lines.is_empty(), refund.amount) {
        (true, None) => return Err(check::missing("refund_recorded: one of lines and amount")),
        (false, Some(_)) => {
            return Err(fault("unexpected_field", "refund_recorded has lines and an amount: give one of the two"));
        }
        (true, Some(amount)) => {
            positive(amount, "refund_recorded.amount")?;
        }
        (false, None) => {}
    }
    Ok(refund)
}

fn line<'a>(reader: &mut Reader<'a>, key: Key) -> Result<RefundLine<'a>, Fault> {
    let mut line = RefundLine::default();
    each_field(&[reader.bytes(key, "refund_recorded.lines")?], |reader, key| {
        match key.number() {
            1 => line.line_id = reader.text(key, "line_id")?,
            2 => line.quantity = reader.int(key, "quantity")?,
            3 => line.amount = Some(reader.int(key, "amount")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(line.line_id, "line_id")?;
    quantity(line.quantity, "quantity")?;
    line.amount.map(|value| amount(value, "amount")).transpose()?;
    Ok(line)
}
