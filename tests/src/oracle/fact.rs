//! Facts, requests and decisions as the oracle reads them: from the JSON of `facts.md`, into plain structs.

use super::calendar;
use super::number::decimal;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A fact or a request.
#[derive(Clone, Debug, PartialEq)]
pub struct OFact {
    /// The producer's id.
    pub id: String,
    /// Who publishes.
    pub source: String,
    /// Whose it is.
    pub member: String,
    /// When it happened, microseconds.
    pub at: i64,
    /// Which body, by its name.
    pub kind: String,
    /// What it says.
    pub body: OBody,
    /// The body as it came, to tell a duplicate from a conflict.
    pub raw: Value,
}

/// An amount in millionths of the currency's major unit, so that it can be read before the currency is known.
pub type Millionths = i128;

/// What facts say. Facts that change no number are `Noted`.
#[derive(Clone, Debug, PartialEq)]
pub enum OBody {
    /// `order_placed`
    Order(OOrder),
    /// `order_fulfilled`: the order
    Fulfilled(String),
    /// `order_cancelled`: the order
    Cancelled(String),
    /// `refund_recorded`
    Refund(ORefund),
    /// `redemption_recorded`, `redemption_requested`
    Redemption(ORedemption),
    /// `activity_recorded`: id and name
    Activity(String, String),
    /// `points_imported`: id, ledger, lots (points, starts, expires)
    Import(String, String, Vec<(i64, Option<i64>, Option<i64>)>),
    /// `member_excluded`: from, until, earn, redeem
    Excluded(Option<i64>, Option<i64>, bool, bool),
    /// `member_left`
    Left,
    /// `member_included`, `member_registered`
    Included,
    /// `coupon_used`: on the order
    CouponUsed(CouponName, String),
    /// `coupon_released`: from the order
    CouponReleased(CouponName, String),
    /// `redemption_reversed`: id, points, by staff
    Reversed(String, Option<i64>, bool),
    /// `reward_granted`: id, reward
    Granted(String, String),
    /// `coupon_reserved`: order, until
    Reserved(CouponName, String, i64),
    /// `coupon_revoked`: restore points, by staff
    Revoked(CouponName, bool, bool),
    /// `points_adjusted`
    Adjusted(OAdjustment),
    /// Every other body.
    Noted,
}

/// `order_placed`; amounts in millionths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OOrder {
    /// The order.
    pub order_id: String,
    /// From 1.
    pub version: i64,
    /// ISO 4217.
    pub currency: String,
    /// Its lines.
    pub lines: Vec<OLine>,
    /// Off the whole.
    pub discount: Millionths,
    /// For the way.
    pub shipping: Millionths,
    /// Tax.
    pub tax: Millionths,
    /// By gift card.
    pub paid_with_gift_card: Millionths,
    /// By points.
    pub paid_with_points: Millionths,
    /// Codes used on it.
    pub coupons: Vec<String>,
    /// Where.
    pub channel: Option<String>,
}

/// A line of an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OLine {
    /// Its id in the order.
    pub line_id: String,
    /// The article.
    pub sku: String,
    /// Pieces.
    pub quantity: i128,
    /// Of one.
    pub unit_price: Millionths,
    /// Off the line.
    pub discount: Millionths,
    /// What rules ask for.
    pub collections: Vec<String>,
    /// What rules ask for.
    pub tags: Vec<String>,
}

/// `refund_recorded`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ORefund {
    /// The order; absent: to be found.
    pub order_id: Option<String>,
    /// Line or article, pieces, amount.
    pub lines: Vec<(String, i128, Option<Millionths>)>,
    /// Instead of lines.
    pub amount: Option<Millionths>,
    /// Absent: the order's.
    pub currency: Option<String>,
}

/// `redemption_recorded`, `redemption_requested`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ORedemption {
    /// Its id.
    pub redemption_id: String,
    /// What for.
    pub reward: Option<String>,
    /// How many.
    pub points: Option<i64>,
    /// From where.
    pub ledger: String,
    /// The till's coupon.
    pub coupon_code: Option<String>,
    /// The order it belongs to.
    pub order_id: Option<String>,
}

/// `points_adjusted`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OAdjustment {
    /// Its id.
    pub adjustment_id: String,
    /// Where.
    pub ledger: String,
    /// Signed.
    pub points: i64,
    /// Absent: at once.
    pub starts: Option<When>,
    /// Absent: as the program's lots.
    pub expires: Option<When>,
    /// May go below what is there.
    pub allow_debt: bool,
}

/// A start or an end as stated.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// `"immediate"`
    Immediate,
    /// `"never"`
    Never,
    /// `{ at = … }`
    At(i64),
    /// `{ after = …, to = … }`
    After(String, Option<String>),
}

/// A coupon by its code or what issued it.
#[derive(Clone, Debug, PartialEq)]
pub enum CouponName {
    /// By code.
    Code(String),
    /// By redemption.
    Redemption(String),
    /// By grant.
    Grant(String),
}

impl OFact {
    /// Reads one fact: the envelope and one body.
    pub fn from_json(fact: &Value) -> Result<OFact> {
        let envelope = ["id", "source", "program", "member", "occurred_at", "actor"];
        let bodies = fact.as_object().context("not an object")?.iter();
        let bodies: Vec<_> = bodies.filter(|(key, _)| !envelope.contains(&key.as_str())).collect();
        ensure!(bodies.len() == 1, "a fact has one body: {fact}");
        let (kind, raw) = bodies[0];
        Ok(OFact {
            id: text(fact, "id"),
            source: text(fact, "source"),
            member: text(fact, "member"),
            at: calendar::instant(&text(fact, "occurred_at"))?,
            kind: kind.clone(),
            body: OBody::read(kind, raw).with_context(|| format!("in {fact}"))?,
            raw: raw.clone(),
        })
    }

    /// Whether it asks, and is answered.
    pub fn is_request(&self) -> bool {
        let asks = [
            "redemption_requested",
            "redemption_reversed",
            "reward_granted",
            "coupon_reserved",
            "coupon_revoked",
            "points_adjusted",
        ];
        asks.contains(&self.kind.as_str())
    }

    /// What makes it the same as another with a different id, within the member.
    pub fn natural_key(&self) -> Option<String> {
        Some(match &self.body {
            OBody::Order(order) => format!("order {} {}", order.order_id, order.version),
            OBody::Refund(_) => format!("refund {}", text(&self.raw, "refund_id")),
            OBody::Redemption(redemption) => format!("redemption {}", redemption.redemption_id),
            OBody::Granted(grant, _) => format!("grant {grant}"),
            OBody::Adjusted(adjusted) => format!("adjustment {}", adjusted.adjustment_id),
            OBody::Import(import, ..) => format!("import {import}"),
            OBody::Activity(activity, _) => format!("activity {activity}"),
            OBody::Fulfilled(_) | OBody::Cancelled(_) | OBody::Excluded(..) | OBody::Left | OBody::Included => return None,
            OBody::CouponUsed(..) | OBody::CouponReleased(..) | OBody::Reserved(..) | OBody::Revoked(..) => return None,
            OBody::Reversed(..) | OBody::Noted => return None,
        })
    }
}

impl OBody {
    fn read(kind: &str, raw: &Value) -> Result<OBody> {
        let ledger = || may(raw, "ledger").unwrap_or_else(|| "main".to_owned());
        let staff = || text(raw, "cause") == "staff";
        let instant_of = |value: &Value, key: &str| may(value, key).map(|at| calendar::instant(&at)).transpose();
        let flag = |key: &str, default: bool| raw.get(key).and_then(Value::as_bool).unwrap_or(default);
        Ok(match kind {
            "order_placed" => OBody::Order(order(raw)?),
            "order_fulfilled" => OBody::Fulfilled(text(raw, "order_id")),
            "order_cancelled" => OBody::Cancelled(text(raw, "order_id")),
            "refund_recorded" => {
                let line = |line: &Value| {
                    Ok((text(line, "line_id"), number(line, "quantity").unwrap_or(0).into(), money(line, "amount")?))
                };
                OBody::Refund(ORefund {
                    order_id: may(raw, "order_id"),
                    lines: list(raw, "lines").iter().map(line).collect::<Result<_>>()?,
                    amount: money(raw, "amount")?,
                    currency: may(raw, "currency"),
                })
            }
            "redemption_recorded" | "redemption_requested" => OBody::Redemption(ORedemption {
                redemption_id: text(raw, "redemption_id"),
                reward: may(raw, "reward"),
                points: number(raw, "points"),
                ledger: ledger(),
                coupon_code: may(raw, "coupon_code"),
                order_id: may(raw, "order_id"),
            }),
            "activity_recorded" => OBody::Activity(text(raw, "activity_id"), text(raw, "activity")),
            "points_imported" => {
                let lot = |lot: &Value| {
                    Ok((number(lot, "points").unwrap_or(0), instant_of(lot, "starts_at")?, instant_of(lot, "expires_at")?))
                };
                let lots = list(raw, "lots").iter().map(lot).collect::<Result<_>>()?;
                OBody::Import(text(raw, "import_id"), ledger(), lots)
            }
            "member_excluded" => {
                OBody::Excluded(instant_of(raw, "from")?, instant_of(raw, "until")?, flag("earn", false), flag("redeem", false))
            }
            "member_left" => OBody::Left,
            "member_included" | "member_registered" => OBody::Included,
            "coupon_used" => OBody::CouponUsed(coupon(raw), text(raw, "order_id")),
            "coupon_released" => OBody::CouponReleased(coupon(raw), text(raw, "order_id")),
            "redemption_reversed" => OBody::Reversed(text(raw, "redemption_id"), number(raw, "points"), staff()),
            "reward_granted" => OBody::Granted(text(raw, "grant_id"), text(raw, "reward")),
            "coupon_reserved" => OBody::Reserved(coupon(raw), text(raw, "order_id"), calendar::instant(&text(raw, "until"))?),
            "coupon_revoked" => OBody::Revoked(coupon(raw), flag("restore_points", false), staff()),
            "points_adjusted" => OBody::Adjusted(OAdjustment {
                adjustment_id: text(raw, "adjustment_id"),
                ledger: ledger(),
                points: number(raw, "points").unwrap_or(0),
                starts: when(raw, "starts")?,
                expires: when(raw, "expires")?,
                allow_debt: flag("allow_debt", false),
            }),
            _ => OBody::Noted,
        })
    }
}

fn order(raw: &Value) -> Result<OOrder> {
    let line = |line: &Value| {
        Ok(OLine {
            line_id: text(line, "line_id"),
            sku: text(line, "sku"),
            quantity: number(line, "quantity").unwrap_or(0).into(),
            unit_price: money(line, "unit_price")?.unwrap_or(0),
            discount: money(line, "discount")?.unwrap_or(0),
            collections: texts(line, "collections"),
            tags: texts(line, "tags"),
        })
    };
    let amount = |key: &str| money(raw, key).map(|amount| amount.unwrap_or(0));
    Ok(OOrder {
        order_id: text(raw, "order_id"),
        version: number(raw, "version").unwrap_or(1),
        currency: text(raw, "currency"),
        lines: list(raw, "lines").iter().map(line).collect::<Result<_>>()?,
        discount: amount("discount")?,
        shipping: amount("shipping")?,
        tax: amount("tax")?,
        paid_with_gift_card: amount("paid_with_gift_card")?,
        paid_with_points: amount("paid_with_points")?,
        coupons: texts(raw, "coupons"),
        channel: may(raw, "channel"),
    })
}

fn coupon(raw: &Value) -> CouponName {
    if let Some(redemption) = may(raw, "redemption_id") {
        CouponName::Redemption(redemption)
    } else if let Some(grant) = may(raw, "grant_id") {
        CouponName::Grant(grant)
    } else {
        CouponName::Code(text(raw, "code"))
    }
}

fn when(raw: &Value, key: &str) -> Result<Option<When>> {
    let Some(value) = raw.get(key) else { return Ok(None) };
    Ok(Some(match value.as_str() {
        Some("immediate") => When::Immediate,
        Some(_) => When::Never,
        None if value.get("at").is_some() => When::At(calendar::instant(&text(value, "at"))?),
        None => When::After(text(value, "after"), may(value, "to")),
    }))
}

fn may(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}
fn text(value: &Value, key: &str) -> String {
    may(value, key).unwrap_or_default()
}
fn number(value: &Value, key: &str) -> Option<i64> {
    value.get(key).and_then(Value::as_i64)
}
fn money(value: &Value, key: &str) -> Result<Option<Millionths>> {
    let Some(amount) = may(value, key) else { return Ok(None) };
    let amount = decimal(&amount)?;
    Ok(Some(amount.n * 1_000_000 / amount.d))
}
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
fn texts(value: &Value, key: &str) -> Vec<String> {
    list(value, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_the_json_of_the_design() {
        let fact = json!({
            "id": "1", "source": "shop", "program": "test", "member": "m", "occurred_at": "2024-01-01T00:00:00Z",
            "order_placed": { "order_id": "A", "currency": "GBP", "tax": "1.5",
                "lines": [{ "line_id": "1", "sku": "s", "quantity": 2, "unit_price": "12.50" }] },
        });
        let fact = OFact::from_json(&fact).unwrap();
        let OBody::Order(order) = &fact.body else { panic!("an order") };
        assert_eq!((order.version, order.tax, order.lines[0].unit_price), (1, 1_500_000, 12_500_000));
        assert_eq!(fact.natural_key().as_deref(), Some("order A 1"));
        assert!(OFact::from_json(&json!({ "id": "1", "occurred_at": "2024-01-01T00:00:00Z" })).is_err());
    }
}
