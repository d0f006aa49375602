//! `order_placed`, and the facts that name only an order.

use super::in_entry;
use crate::bounds::AMOUNT_MAX;
use crate::bounds::LINES_MAX;
use crate::check::{self, amount, label, quantity, required};
use crate::error::{Fault, fault};
use crate::wire::{Key, Parts, Reader, each_field, mistyped};
use accrue_ledger::{Line, OrderPlaced};
use smallvec::SmallVec;

/// Up to here every line is compared with every other; beyond, they are sorted.
const COMPARED_LINES_MAX: usize = 16;

pub(super) fn placed<'a>(parts: &Parts<'a>) -> Result<OrderPlaced<'a>, Fault> {
    let mut order = OrderPlaced::default();
    each_field(parts, |reader, key| {
        match key.number() {
            1 => order.order_id = reader.text(key, "order_placed.order_id")?,
            2 => order.version = version(reader, key)?,
            3 => order.currency = reader.text(key, "order_placed.currency")?,
            4 => {
                check::room(order.lines.len(), LINES_MAX, "order_placed.lines")?;
                let line = order.lines.push_mut(Line::default());
                if let Err(fault) = read_line(reader, key, line) {
                    return Err(in_entry(fault, order.lines.len()));
                }
            }
            5 => order.discount = reader.int(key, "order_placed.discount")?,
            6 => order.shipping = reader.int(key, "order_placed.shipping")?,
            7 => order.tax = reader.int(key, "order_placed.tax")?,
            8 => order.paid_with_gift_card = reader.int(key, "order_placed.paid_with_gift_card")?,
            9 => order.paid_with_points = reader.int(key, "order_placed.paid_with_points")?,
            10 => {
                let code = reader.text(key, "order_placed.coupons")?;
                order.coupons.push(label(code, order.coupons.len(), "order_placed.coupons")?);
            }
            11 => order.channel = Some(reader.text(key, "order_placed.channel")?),
            12 => order.referral_code = Some(reader.text(key, "order_placed.referral_code")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(order.order_id, "order_placed.order_id")?;
    order.version = order.version.max(1);
    check::currency(order.currency, "order_placed.currency")?;
    amount(order.discount, "order_placed.discount")?;
    amount(order.shipping, "order_placed.shipping")?;
    amount(order.tax, "order_placed.tax")?;
    amount(order.paid_with_gift_card, "order_placed.paid_with_gift_card")?;
    amount(order.paid_with_points, "order_placed.paid_with_points")?;
    order.channel = check::optional(order.channel, "order_placed.channel")?;
    order.referral_code = check::optional(order.referral_code, "order_placed.referral_code")?;
    distinct(&order.lines)?;
    Ok(order)
}

fn version(reader: &mut Reader<'_>, key: Key) -> Result<u32, Fault> {
    u32::try_from(reader.varint(key, "order_placed.version")?).map_err(|_| mistyped("order_placed.version"))
}

/// Filled where it stays: a line is too large to be handed around.
fn read_line<'a>(reader: &mut Reader<'a>, key: Key, line: &mut Line<'a>) -> Result<(), Fault> {
    each_field(&[reader.bytes(key, "order_placed.lines")?], |reader, key| {
        match key.number() {
            1 => line.line_id = reader.text(key, "line_id")?,
            2 => line.sku = reader.text(key, "sku")?,
            3 => line.quantity = reader.int(key, "quantity")?,
            4 => line.unit_price = reader.int(key, "unit_price")?,
            5 => line.discount = reader.int(key, "discount")?,
            6 => line.collections.push(label(reader.text(key, "collections")?, line.collections.len(), "collections")?),
            7 => line.tags.push(label(reader.text(key, "tags")?, line.tags.len(), "tags")?),
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(line.line_id, "line_id")?;
    check::id(line.sku, "sku")?;
    quantity(line.quantity, "quantity")?;
    amount(line.unit_price, "unit_price")?;
    let value = line.quantity.checked_mul(line.unit_price).filter(|value| *value <= AMOUNT_MAX);
    let Some(value) = value else {
        return Err(check::overflow("quantity × unit_price", &format!("{} × {}", line.quantity, line.unit_price)));
    };
    if amount(line.discount, "discount")? > value {
        let detail = format!("discount is {}: more than the line's value of {value}", line.discount);
        return Err(fault("discount_too_large", detail));
    }
    Ok(())
}

fn distinct(lines: &[Line<'_>]) -> Result<(), Fault> {
    let repeated = if lines.len() <= COMPARED_LINES_MAX {
        let before = |(index, line): (usize, &Line<'_>)| lines[..index].iter().any(|other| other.line_id == line.line_id);
        lines.iter().enumerate().find(|(index, line)| before((*index, line))).map(|(_, line)| line.line_id)
    } else {
        let mut ids: SmallVec<[&str; 64]> = lines.iter().map(|line| line.line_id).collect();
        ids.sort_unstable();
        ids.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    };
    match repeated {
        None => Ok(()),
        Some(id) => {
            let detail = format!("order_placed.lines has line_id {} more than once", check::shown(id));
            Err(fault("duplicate_line", detail))
        }
    }
}

/// The only field of `order_fulfilled` and `order_cancelled`.
pub(super) fn id<'a>(parts: &Parts<'a>, field: &str) -> Result<&'a str, Fault> {
    let mut order_id = "";
    each_field(parts, |reader, key| {
        match key.number() {
            1 => order_id = reader.text(key, field)?,
            _ => reader.skip(key)?,
        }
        Ok(())
    })?;
    required(order_id, field)
}
