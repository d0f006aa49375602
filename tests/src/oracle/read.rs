//! Bodies of facts, read from JSON.

use super::calendar;
use super::fact::{CouponName, Millionths, OAdjustment, OBody, OImport, OLine, OOrder, ORedemption, ORefund, When};
use super::number::decimal;
use anyhow::Result;
use serde_json::Value;

impl OBody {
    /// Reads a body by its name.
    ///
    /// # Errors
    /// An instant or an amount that is none.
    pub fn read(kind: &str, raw: &Value) -> Result<OBody> {
        let ledger = || may(raw, "ledger").unwrap_or_else(|| "main".to_owned());
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
                    refund_id: text(raw, "refund_id"),
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
                OBody::Import(OImport {
                    import_id: text(raw, "import_id"),
                    ledger: ledger(),
                    lots: list(raw, "lots").iter().map(lot).collect::<Result<_>>()?,
                    tier_credit: money(raw, "tier_credit")?.unwrap_or(0),
                })
            }
            "member_excluded" => {
                OBody::Excluded(instant_of(raw, "from")?, instant_of(raw, "until")?, flag("earn", false), flag("redeem", false))
            }
            "member_left" => OBody::Left,
            "member_included" => OBody::Included,
            "member_registered" => OBody::Registered(flag("guest", false)),
            "members_merged" => OBody::Merged(text(raw, "loser")),
            "members_unmerged" => OBody::Unmerged(text(raw, "loser")),
            "member_erased" => OBody::Erased,
            "tier_credit_adjusted" => OBody::Credit(money(raw, "amount")?.unwrap_or(0)),
            "tier_credit_recalculated" => OBody::NoCredit,
            "exception_resolved" => OBody::Resolved(text(raw, "exception"), may(raw, "order_id"), may(raw, "line_id")),
            _ => return OBody::read_more(kind, raw),
        })
    }

    /// Coupons and requests.
    fn read_more(kind: &str, raw: &Value) -> Result<OBody> {
        let ledger = || may(raw, "ledger").unwrap_or_else(|| "main".to_owned());
        let staff = || text(raw, "cause") == "staff";
        let instant_of = |value: &Value, key: &str| may(value, key).map(|at| calendar::instant(&at)).transpose();
        let flag = |key: &str, default: bool| raw.get(key).and_then(Value::as_bool).unwrap_or(default);
        Ok(match kind {
            "coupon_used" => OBody::CouponUsed(coupon(raw), text(raw, "order_id")),
            "coupon_released" => OBody::CouponReleased(coupon(raw), text(raw, "order_id")),
            "redemption_reversed" => OBody::Reversed(text(raw, "redemption_id"), number(raw, "points"), staff()),
            "reward_granted" => {
                OBody::Granted(text(raw, "grant_id"), text(raw, "reward"), raw.get("deduct").and_then(Value::as_bool))
            }
            "coupon_reserved" => OBody::Reserved(coupon(raw), text(raw, "order_id"), calendar::instant(&text(raw, "until"))?),
            "coupon_revoked" => OBody::Revoked(coupon(raw), flag("restore_points", false), staff()),
            "points_adjusted" => OBody::Adjusted(OAdjustment {
                adjustment_id: text(raw, "adjustment_id"),
                ledger: ledger(),
                points: number(raw, "points").unwrap_or(0),
                starts: when(raw, "starts")?,
                expires: when(raw, "expires")?,
                allow_debt: flag("allow_debt", false),
                tier_credit: money(raw, "tier_credit")?.unwrap_or(0),
                takes_back: may(raw, "takes_back"),
            }),
            "points_transferred" => {
                let (id, points) = (text(raw, "transfer_id"), number(raw, "points").unwrap_or(0));
                match may(raw, "to_member") {
                    Some(member) => OBody::Sent(id, ledger(), member, points),
                    None => OBody::Transferred(id, ledger(), text(raw, "to_ledger"), points),
                }
            }
            "card_issued" => OBody::CardIssued(text(raw, "code")),
            "card_status_changed" => OBody::CardStatus(text(raw, "code"), text(raw, "status")),
            "card_replaced" => OBody::CardReplaced(text(raw, "old"), text(raw, "new")),
            "tier_overridden" => OBody::Overridden(text(raw, "tier"), text(raw, "mode") == "exact", instant_of(raw, "until")?),
            "tier_override_ended" => OBody::OverrideEnded,
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
/// The text of that name; empty where there is none.
pub fn text(value: &Value, key: &str) -> String {
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
