//! Facts, requests and decisions as the oracle reads them: from the JSON of `facts.md`, into plain structs.

use super::calendar;
use super::read::text;
use super::transfer::OReceived;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A fact or a request.
#[derive(Clone, Debug, PartialEq)]
pub struct OFact {
    /// The producer's id.
    pub id: String,
    /// Who publishes.
    pub source: String,
    /// Of what.
    pub program: String,
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
    /// `points_imported`
    Import(OImport),
    /// `member_excluded`: from, until, earn, redeem
    Excluded(Option<i64>, Option<i64>, bool, bool),
    /// `member_left`
    Left,
    /// `member_included`
    Included,
    /// `member_registered`: as a guest
    Registered(bool),
    /// `member_erased`
    Erased,
    /// `tier_credit_adjusted`
    Credit(Millionths),
    /// `tier_credit_recalculated`
    NoCredit,
    /// `members_merged`: the loser
    Merged(String),
    /// `members_unmerged`: the loser
    Unmerged(String),
    /// A merge of members who are one already.
    Cycle,
    /// `card_issued`
    CardIssued(String),
    /// `card_status_changed`: which, to what
    CardStatus(String, String),
    /// `card_replaced`: old, new
    CardReplaced(String, String),
    /// `exception_resolved`: which, the order that it is booked on, the line
    Resolved(String, Option<String>, Option<String>),
    /// `coupon_used`: on the order
    CouponUsed(CouponName, String),
    /// `coupon_released`: from the order
    CouponReleased(CouponName, String),
    /// `redemption_reversed`: id, points, by staff
    Reversed(String, Option<i64>, bool),
    /// `reward_granted`: id, reward, deduct
    Granted(String, String, Option<bool>),
    /// `coupon_reserved`: order, until
    Reserved(CouponName, String, i64),
    /// `coupon_revoked`: restore points, by staff
    Revoked(CouponName, bool, bool),
    /// `points_adjusted`
    Adjusted(OAdjustment),
    /// `points_transferred`: id, from ledger, to ledger, points
    Transferred(String, String, String, i64),
    /// `points_transferred`: id, ledger, to member, points
    Sent(String, String, String, i64),
    /// `points_received`
    Received(OReceived),
    /// `tier_overridden`: tier, exact, until
    Overridden(String, bool, Option<i64>),
    /// `tier_override_ended`
    OverrideEnded,
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
    /// Its id.
    pub refund_id: String,
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

/// `points_imported`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OImport {
    /// Its id.
    pub import_id: String,
    /// Where.
    pub ledger: String,
    /// Points, starts, expires.
    pub lots: Vec<(i64, Option<i64>, Option<i64>)>,
    /// Tier credit.
    pub tier_credit: Millionths,
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
    /// Tier credit.
    pub tier_credit: Millionths,
    /// The adjustment whose lots give first.
    pub takes_back: Option<String>,
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
            program: text(fact, "program"),
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
            "points_transferred",
            "points_received",
            "tier_overridden",
            "tier_override_ended",
        ];
        asks.contains(&self.kind.as_str())
    }

    /// What makes it the same as another with a different id, within the member.
    pub fn natural_key(&self) -> Option<String> {
        Some(match &self.body {
            OBody::Order(order) => format!("order {} {}", order.order_id, order.version),
            OBody::Refund(refund) => format!("refund {}", refund.refund_id),
            OBody::Redemption(redemption) => format!("redemption {}", redemption.redemption_id),
            OBody::Granted(grant, ..) => format!("grant {grant}"),
            OBody::Adjusted(adjusted) => format!("adjustment {}", adjusted.adjustment_id),
            OBody::Transferred(transfer, ..) | OBody::Sent(transfer, ..) => format!("transfer {transfer}"),
            OBody::Import(import) => format!("import {}", import.import_id),
            OBody::Activity(activity, _) => format!("activity {activity}"),
            OBody::Fulfilled(_) | OBody::Cancelled(_) | OBody::Excluded(..) | OBody::Left | OBody::Included => return None,
            OBody::CouponUsed(..) | OBody::CouponReleased(..) | OBody::Reserved(..) | OBody::Revoked(..) => return None,
            OBody::Reversed(..) | OBody::Registered(_) | OBody::Erased | OBody::Credit(_) | OBody::NoCredit => return None,
            OBody::Overridden(..) | OBody::OverrideEnded | OBody::Resolved(..) | OBody::Noted => return None,
            OBody::Merged(_) | OBody::Unmerged(_) | OBody::Cycle | OBody::Received(_) => return None,
            OBody::CardIssued(_) | OBody::CardStatus(..) | OBody::CardReplaced(..) => return None,
        })
    }
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
