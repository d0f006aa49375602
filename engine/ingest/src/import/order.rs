//! From gathered rows to a fact: `order_placed` or `refund_recorded`, with the same ids on every run.

use super::cells::Head;
use super::group::Group;
use super::mapping::{LineId, Mapping};
use super::row::RowLine;
use accrue_proto::pb;
use std::collections::BTreeMap;

pub(super) fn fact(group: Group, mapping: &Mapping) -> Result<pb::Fact, String> {
    let family = if group.whole.refund { "refund" } else { "order" };
    let head = Head {
        id: format!("{family}:{}", group.whole.id),
        source: &mapping.source,
        program: &mapping.program,
        member: group.common.member.clone(),
        at: group.at,
    };
    head.fact(if group.whole.refund { refund(group)? } else { order(group, mapping) })
}

fn order(group: Group, mapping: &Mapping) -> pb::fact::Body {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let lines = (1..).zip(group.content).map(|(number, line)| {
        let line_id = match (&line.id, &mapping.lines.id) {
            (Some(id), _) => id.clone(),
            (None, LineId::SkuNumber) => {
                let count = seen.entry(line.sku.clone()).or_default();
                *count += 1;
                format!("{}#{count}", line.sku)
            }
            (None, LineId::Number | LineId::Column(_)) => u32::to_string(&number),
        };
        let RowLine { sku, quantity, money, collections, tags, .. } = line;
        pb::Line { line_id, sku, quantity, unit_price: money.unit_price, discount: money.discount, collections, tags }
    });
    let common = group.common;
    pb::fact::Body::OrderPlaced(pb::OrderPlaced {
        order_id: group.whole.id,
        version: 1,
        currency: common.currency,
        lines: lines.collect(),
        discount: common.discount.unwrap_or(0),
        shipping: common.shipping.unwrap_or(0),
        tax: common.tax.unwrap_or(0),
        paid_with_gift_card: common.paid_with_gift_card.unwrap_or(0),
        paid_with_points: common.paid_with_points.unwrap_or(0),
        coupons: common.coupons,
        channel: common.channel,
        referral_code: String::new(),
    })
}

/// With its order's id, lines are named by id; without, by sku.
fn refund(group: Group) -> Result<pb::fact::Body, String> {
    let unreferenced = group.common.order.is_empty();
    let lines = group.content.into_iter().map(|line| {
        let line_id = if unreferenced { Some(line.sku).filter(|sku| !sku.is_empty()) } else { line.id };
        let line_id = line_id.ok_or("a refund that names no order has a row without a sku")?;
        Ok(pb::RefundLine { line_id, quantity: line.quantity, amount: Some(line.money.total) })
    });
    Ok(pb::fact::Body::RefundRecorded(pb::RefundRecorded {
        refund_id: group.whole.id,
        order_id: group.common.order,
        lines: lines.collect::<Result<_, &str>>()?,
        amount: None,
        currency: group.common.currency,
    }))
}
