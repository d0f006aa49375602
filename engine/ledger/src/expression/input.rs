//! What an expression sees of an order or activity: names as in docs/semantics.md, every number whole.

use super::Sizes;
use crate::zone::Zone;
use crate::{Instant, OrderPlaced};
use serde::Serialize;

/// `order`
#[derive(Serialize)]
pub(crate) struct OrderInput<'a> {
    id: &'a str,
    version: i64,
    channel: &'a str,
    currency: &'a str,
    first: bool,
    total: i64,
    discount: i64,
    shipping: i64,
    tax: i64,
    paid_with_gift_card: i64,
    paid_with_points: i64,
    coupons: Vec<&'a str>,
    lines: Vec<LineInput<'a>>,
    #[serde(flatten)]
    when: WhenInput,
}

/// An element of `order.lines`.
#[derive(Serialize)]
struct LineInput<'a> {
    id: &'a str,
    sku: &'a str,
    quantity: i64,
    unit_price: i64,
    discount: i64,
    value: i64,
    collections: Vec<&'a str>,
    tags: Vec<&'a str>,
}

/// `activity`
#[derive(Serialize)]
pub(crate) struct ActivityInput<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(flatten)]
    when: WhenInput,
}

/// The local calendar.
#[derive(Serialize)]
struct WhenInput {
    year: i64,
    month: i64,
    day: i64,
    weekday: i64,
    hour: i64,
}

impl<'a> OrderInput<'a> {
    /// `values`: of the lines, net of their shares of the order's discount.
    pub fn new(order: &'a OrderPlaced<'_>, values: &[i64], first: bool, at: Instant, zone: &Zone) -> OrderInput<'a> {
        let lines = order.lines.iter().zip(values).map(|(line, &value)| LineInput {
            id: line.line_id,
            sku: line.sku,
            quantity: line.quantity,
            unit_price: line.unit_price,
            discount: line.discount,
            value,
            collections: line.collections.iter().collect(),
            tags: line.tags.iter().collect(),
        });
        OrderInput {
            id: order.order_id,
            version: i64::from(order.version),
            channel: order.channel.unwrap_or_default(),
            currency: order.currency,
            first,
            total: values.iter().sum::<i64>() + order.tax + order.shipping,
            discount: order.discount,
            shipping: order.shipping,
            tax: order.tax,
            paid_with_gift_card: order.paid_with_gift_card,
            paid_with_points: order.paid_with_points,
            coupons: order.coupons.iter().collect(),
            lines: lines.collect(),
            when: WhenInput::new(at, zone),
        }
    }

    pub(super) fn sizes(&self) -> Sizes {
        let names = self.lines.iter().map(|line| line.collections.len().max(line.tags.len())).max().unwrap_or(0);
        Sizes { lines: self.lines.len() as u64, names: names as u64, coupons: self.coupons.len() as u64 }
    }
}

impl<'a> ActivityInput<'a> {
    pub fn new(id: &'a str, name: &'a str, at: Instant, zone: &Zone) -> ActivityInput<'a> {
        ActivityInput { id, name, when: WhenInput::new(at, zone) }
    }
}

impl WhenInput {
    fn new(at: Instant, zone: &Zone) -> WhenInput {
        let local = at.timestamp().to_zoned(zone.tz.clone());
        WhenInput {
            year: i64::from(local.year()),
            month: i64::from(local.month()),
            day: i64::from(local.day()),
            weekday: i64::from(local.weekday().to_monday_one_offset()),
            hour: i64::from(local.hour()),
        }
    }
}
