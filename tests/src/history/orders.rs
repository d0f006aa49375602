//! Orders, their versions, refunds of every form, cancellations, redemptions at the till.

use super::DAY;
use super::life::{Bought, Life};
use super::rulesets::{CHANNELS, COLLECTIONS, SKUS, TAGS};
use crate::oracle::number::decimals;
use anyhow::Result;
use serde_json::{Map, Value, json};

/// Minor units as a decimal of the currency.
pub fn money(minor: i64, currency: &str) -> String {
    decimal(minor, decimals(currency))
}

/// Minor units as a decimal with so many digits.
pub fn decimal(minor: i64, digits: u32) -> String {
    if digits == 0 {
        return minor.to_string();
    }
    if minor < 0 {
        return format!("-{}", decimal(-minor, digits));
    }
    let digits = digits as usize;
    let text = format!("{minor:0>width$}", width = digits + 1);
    let (whole, cents) = text.split_at(text.len() - digits);
    format!("{whole}.{cents}")
}

/// A typical small amount, in minor units.
fn price(life: &mut Life<'_>, currency: &str) -> i64 {
    let cents = *life.random.pick(&[&100, &250, &333, &500, &999, &1000, &1250, &1999]);
    match decimals(currency) {
        0 => cents,
        3 => cents * 10,
        _ => cents,
    }
}

impl Life<'_> {
    /// An order, new or awaited.
    pub fn order(&mut self) -> Result<()> {
        let id = if self.random.chance(60) { self.awaited.pop() } else { None };
        let order_id = id.unwrap_or_else(|| format!("O{}", self.id()));
        let currency = self.random.any(&self.made.currencies).unwrap_or_default();
        let lines: Vec<Value> = (0..self.random.between(1, 4)).map(|number| self.line(&number.to_string(), &currency)).collect();
        let mut body = json!({ "order_id": order_id, "currency": currency, "lines": lines });
        if self.random.chance(70) {
            body["channel"] = json!(self.random.pick(CHANNELS));
        }
        self.coupons_on(&mut body);
        self.amounts(&mut body, &currency);
        let at = self.now_or_before();
        if self.random.chance(8) {
            body["version"] = json!(2);
        }
        if let Value::Object(body) = &body {
            self.orders.push(Bought { at, body: body.clone() });
        }
        self.say("order_placed", at, body);
        self.note_edges(at)
    }

    fn line(&mut self, id: &str, currency: &str) -> Value {
        let quantity = if self.random.chance(3) { 0 } else { self.random.between(1, 4) };
        let price = price(self, currency);
        let sku = self.random.pick(SKUS);
        let mut line = json!({ "line_id": id, "sku": sku, "quantity": quantity, "unit_price": money(price, currency) });
        if self.random.chance(20) {
            line["discount"] = json!(money(self.random.between(0, quantity * price), currency));
        }
        if self.random.chance(45) {
            line["collections"] = json!([self.random.pick(COLLECTIONS)]);
        }
        if self.random.chance(25) {
            line["tags"] = json!([self.random.pick(TAGS)]);
        }
        line
    }

    fn coupons_on(&mut self, body: &mut Value) {
        if self.random.chance(20) {
            let known = self.random.any(&self.coupons).and_then(|name| {
                let id = name.get("redemption_id").or(name.get("grant_id"))?.as_str()?;
                Some(format!("code-of-{id}"))
            });
            let till = self.coupons.iter().rev().find_map(|name| name.get("code")?.as_str().map(str::to_owned));
            let mut codes: Vec<String> = known.into_iter().chain(till).collect();
            if codes.is_empty() || self.random.chance(30) {
                codes.push("SUMMER".to_owned());
            }
            body["coupons"] = json!(codes);
        }
    }

    /// Discount, tax, shipping and payments of an order, never more than there is to take from.
    fn amounts(&mut self, body: &mut Value, currency: &str) {
        let major = 10_i64.pow(decimals(currency));
        let minor = |text: &Value| text.as_str().and_then(|text| text.replace('.', "").parse::<i64>().ok()).unwrap_or(0);
        let lines = body["lines"].as_array().cloned().unwrap_or_default();
        let net: i64 = lines
            .iter()
            .map(|line| line["quantity"].as_i64().unwrap_or(0) * minor(&line["unit_price"]) - minor(&line["discount"]))
            .sum();
        let mut total = net;
        for (key, percent, most) in [
            ("discount", 25, net),
            ("tax", 30, 3 * major),
            ("shipping", 30, 5 * major),
            ("paid_with_gift_card", 15, net),
            ("paid_with_points", 15, net),
        ] {
            if self.random.chance(percent) {
                let amount = self.random.between(0, most.min(total.max(0)));
                body[key] = json!(money(amount, currency));
                if key == "discount" {
                    total -= amount;
                }
            } else if let Some(body) = body.as_object_mut() {
                body.remove(key);
            }
        }
    }

    /// A higher version of an order with something changed; now and then a lower one comes after it.
    pub fn another_version(&mut self) -> Result<()> {
        if self.orders.is_empty() {
            return self.order();
        }
        let which = self.random.below(self.orders.len());
        let mut bought = self.orders[which].clone();
        let version = bought.body.get("version").and_then(Value::as_i64).unwrap_or(1);
        let currency = bought.body["currency"].as_str().unwrap_or_default().to_owned();
        let mut body = Value::Object(bought.body.clone());
        let lines = body["lines"].as_array().map_or(0, Vec::len);
        match self.random.below(5) {
            0 => {
                let line = self.line(&lines.to_string(), &currency);
                body["lines"].as_array_mut().into_iter().for_each(|lines| lines.push(line.clone()));
            }
            1 if lines > 1 => {
                body["lines"].as_array_mut().into_iter().for_each(|lines| drop(lines.pop()));
            }
            _ => {
                let at = self.random.below(lines);
                let id = body["lines"][at]["line_id"].as_str().unwrap_or_default().to_owned();
                body["lines"][at] = self.line(&id, &currency);
            }
        }
        self.amounts(&mut body, &currency);
        self.coupons_on(&mut body);
        let step = self.random.between(1, 2);
        body["version"] = json!(version + step);
        let mut at = self.clock;
        if self.random.chance(10) {
            // By another clock: perhaps before the order itself.
            at = bought.at - self.random.between(-1, 1) * DAY;
        }
        self.say("order_placed", at, body.clone());
        if step == 2 && self.random.chance(60) {
            let mut between = body.clone();
            between["version"] = json!(version + 1);
            between["shipping"] = json!("1");
            let at = self.clock;
            self.say("order_placed", at, between);
        }
        if let Value::Object(body) = body {
            bought.body = body;
            self.orders[which] = bought;
        }
        self.note_edges(at)
    }

    /// A refund of an order: an amount, pieces, pieces with an amount, everything, more than there is.
    pub fn refund(&mut self) -> Result<()> {
        let order_id = self.some_order();
        let bought = self.orders.iter().find(|bought| bought.body["order_id"] == json!(order_id)).cloned();
        let currency = match &bought {
            Some(bought) => bought.body["currency"].as_str().unwrap_or_default().to_owned(),
            None => self.made.currencies[0].clone(),
        };
        let mut body = json!({ "refund_id": self.id(), "order_id": order_id });
        if self.random.chance(70) {
            body["currency"] = json!(currency);
        }
        self.what_is_refunded(&mut body, bought.as_ref().map(|bought| &bought.body), &currency);
        let wrong = self.made.currencies.iter().find(|other| **other != currency).cloned();
        if let Some(wrong) = wrong
            && body.get("lines").is_none()
            && decimals(&wrong) == decimals(&currency)
            && self.random.chance(15)
        {
            body["currency"] = json!(wrong);
        }
        let is_amount = body.to_string().contains("amount");
        if is_amount {
            // Amounts can be read only in a known currency.
            body.as_object_mut().map(|body| body.entry("currency").or_insert(json!(currency)));
        }
        let mut at = self.now_or_before();
        if let Some(bought) = bought
            && self.random.chance(10)
        {
            at = bought.at - *self.random.pick(&[&0, &0, &1, &DAY]);
        }
        self.say("refund_recorded", at, body);
        Ok(())
    }

    fn what_is_refunded(&mut self, refund: &mut Value, order: Option<&Map<String, Value>>, currency: &str) {
        let lines = order.and_then(|order| order["lines"].as_array()).cloned().unwrap_or_default();
        let Some(line) = self.random.any(&lines).filter(|_| self.random.chance(65)) else {
            let amount = price(self, currency) * self.random.between(1, 3);
            refund["amount"] = json!(money(amount, currency));
            return;
        };
        if self.random.chance(25) {
            let whole = |line: &Value| json!({ "line_id": line["line_id"], "quantity": line["quantity"] });
            refund["lines"] = lines.iter().map(whole).collect();
            return;
        }
        let quantity = if self.random.chance(85) { self.random.between(1, 2) } else { self.random.between(0, 6) };
        let mut piece = json!({ "line_id": line["line_id"], "quantity": quantity });
        if self.random.chance(8) {
            piece["line_id"] = json!("no-such-line");
        }
        if self.random.chance(40) || quantity == 0 {
            let amount = price(self, currency);
            piece["amount"] = json!(money(amount, currency));
        }
        refund["lines"] = json!([piece]);
    }

    /// A refund that does not say of which order.
    pub fn unreferenced_refund(&mut self) -> Result<()> {
        let currency = self.random.any(&self.made.currencies).unwrap_or_default();
        let id = self.id();
        let mut body = json!({ "refund_id": id, "currency": currency });
        self.unmatched.push(id);
        if self.random.chance(25) {
            let amount = price(self, &currency) * self.random.between(1, 4);
            body["amount"] = json!(money(amount, &currency));
        } else {
            let lines: Vec<Value> = (0..self.random.between(1, 2))
                .map(|_| {
                    let name = self.random.pick(&["T-1", "T-2", "POT", "CARD", "0", "1", "no-such"]);
                    let quantity = self.random.between(0, 4);
                    let mut line = json!({ "line_id": name, "quantity": quantity });
                    if self.random.chance(50) || quantity == 0 {
                        let amount = price(self, &currency);
                        line["amount"] = json!(money(amount, &currency));
                    }
                    line
                })
                .collect();
            body["lines"] = json!(lines);
        }
        let at = self.now_or_before();
        self.say("refund_recorded", at, body);
        Ok(())
    }

    /// `order_cancelled`, `order_fulfilled`.
    pub fn about_order(&mut self, kind: &str) -> Result<()> {
        let order_id = self.some_order();
        let at = self.now_or_before();
        self.say(kind, at, json!({ "order_id": order_id }));
        self.note_edges(at)
    }

    /// A redemption honoured at a till, whether there were points or not.
    pub fn recorded_redemption(&mut self) -> Result<()> {
        let id = self.id();
        let mut body = json!({ "redemption_id": id });
        if self.random.chance(50) {
            body["reward"] = json!(self.random.pick(&["small", "big", "plain"]));
        } else {
            body["points"] = json!(self.random.between(1, 30));
        }
        self.maybe_ledger(&mut body);
        if self.random.chance(40) {
            let code = format!("TILL-{id}");
            body["coupon_code"] = json!(code);
            let mut name = Map::new();
            name.insert("code".to_owned(), json!(code));
            self.coupons.push(name);
        }
        if self.random.chance(40) {
            body["order_id"] = json!(self.some_order());
        }
        self.redemptions.push(id);
        let at = self.now_or_before();
        self.say("redemption_recorded", at, body);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        let shown = [money(5, "GBP"), money(1250, "GBP"), money(7, "JPY"), money(12, "KWD"), money(0, "GBP")];
        assert_eq!(shown, ["0.05", "12.50", "7", "0.012", "0.00"]);
    }
}
