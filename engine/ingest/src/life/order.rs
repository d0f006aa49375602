//! Baskets, and what comes back of them.

use super::catalogue::{Article, CATALOGUE};
use super::chance::Chance;
use accrue_proto::pb;

/// Orders below this pay for shipping, minor units.
const FREE_SHIPPING_FROM: i64 = 4_000;
const SHIPPING: i64 = 395;

/// An order of 1 to 4 lines.
pub(super) fn basket(chance: &mut Chance, order_id: String, channel: &str) -> pb::OrderPlaced {
    let count = [1, 1, 2, 2, 2, 3, 3, 4][chance.below(8) as usize];
    let lines: Vec<pb::Line> = (1..=count).map(|number| line(chance, number)).collect();
    let value: i64 = lines.iter().map(net_of_line).sum();
    let ship = channel == "web" && value < FREE_SHIPPING_FROM;
    let own_code = chance.in_1000(40);
    pb::OrderPlaced {
        order_id,
        version: 1,
        currency: "GBP".to_owned(),
        discount: if own_code { value / 10 } else { 0 },
        coupons: if own_code { vec!["WELCOME10".to_owned()] } else { Vec::new() },
        shipping: if ship { SHIPPING } else { 0 },
        paid_with_gift_card: if chance.in_1000(30) { value.min(2_500) / 2 } else { 0 },
        channel: channel.to_owned(),
        lines,
        ..pb::OrderPlaced::default()
    }
}

fn line(chance: &mut Chance, number: u64) -> pb::Line {
    // The lower of two draws: what stands further up sells better.
    let articles = CATALOGUE.len() as u64;
    let article: &Article = &CATALOGUE[chance.below(articles).min(chance.below(articles)) as usize];
    let quantity = if article.price < 1_000 { chance.between(1, 3) } else { 1 };
    let on_sale = article.tags.contains(&"sale") && chance.in_1000(500);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    pb::Line {
        line_id: number.to_string(),
        sku: article.sku.to_owned(),
        quantity,
        unit_price: article.price,
        discount: if on_sale { quantity * article.price / 5 } else { 0 },
        collections: names(article.collections),
        tags: names(article.tags),
    }
}

fn net_of_line(line: &pb::Line) -> i64 {
    line.quantity * line.unit_price - line.discount
}

/// What the lines cost, less the order's discount.
pub(super) fn net(order: &pb::OrderPlaced) -> i64 {
    order.lines.iter().map(net_of_line).sum::<i64>() - order.discount
}

/// The order again with a line more, or with one piece less.
pub(super) fn edited(chance: &mut Chance, order: &pb::OrderPlaced) -> pb::OrderPlaced {
    let mut edited = pb::OrderPlaced { version: order.version + 1, ..order.clone() };
    match edited.lines.iter_mut().find(|line| line.quantity > 1 && line.discount == 0) {
        Some(line) if order.discount == 0 => line.quantity -= 1,
        _ => edited.lines.push(line(chance, order.lines.len() as u64 + 1)),
    }
    edited
}

/// What comes back of an order: one line of it, with or without saying how much money, or just money.
pub(super) fn refund(chance: &mut Chance, order: &pb::OrderPlaced, number: u32) -> pb::RefundRecorded {
    let referenced = !chance.in_1000(200);
    let line = chance.one_of(&order.lines);
    let pieces = chance.between(1, line.quantity);
    let share = net_of_line(line) * pieces / line.quantity;
    let just_money = chance.in_1000(if referenced { 150 } else { 400 });
    let stated = !referenced || chance.in_1000(500);
    pb::RefundRecorded {
        refund_id: format!("r-{}-{number}", order.order_id),
        order_id: if referenced { order.order_id.clone() } else { String::new() },
        amount: just_money.then(|| (share / 2).max(1)),
        lines: if just_money {
            Vec::new()
        } else {
            let line_id = if referenced { line.line_id.clone() } else { line.sku.clone() };
            vec![pb::RefundLine { line_id, quantity: pieces, amount: stated.then_some(share) }]
        },
        currency: "GBP".to_owned(),
    }
}
