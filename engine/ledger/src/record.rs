//! What is kept of an order or a redemption beside the member's state, and loaded only when a fact needs it.

use crate::account::Allocation;
use crate::purchases::Bought;
use crate::referral::Friend;
use crate::{Instant, Kind, Text};
use bincode::{Decode, Encode};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

/// Names a record of a member: the family of natural ids, and the id's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RecordKey {
    /// Number of the [`Kind`] that the family is named after.
    pub family: u8,
    /// xxh3 of the id.
    pub id: u64,
}

impl RecordKey {
    /// The key of an id in a family.
    pub fn new(family: Kind, id: &str) -> RecordKey {
        RecordKey { family: family as u8, id: xxh3_64(id.as_bytes()) }
    }

    /// The key of an order.
    pub fn order(order_id: &str) -> RecordKey {
        RecordKey::new(Kind::OrderPlaced, order_id)
    }

    /// The key of a coupon code.
    pub fn code(code: &str) -> RecordKey {
        RecordKey::new(Kind::CouponUsed, code)
    }

    /// Whether it names an order.
    pub fn is_order(self) -> bool {
        self.family == Kind::OrderPlaced as u8
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An order, or what is known of one that has not come.
    Order(Box<Order>),
    /// A redemption or grant without an open coupon.
    Redemption(Box<Redemption>),
    /// Which redemption or grant a code belongs to.
    Code(RecordKey),
    /// A friend who came by the member's code.
    Friend(Box<Friend>),
}

/// An order: the highest version, and what was taken off it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// The shop's id.
    pub order_id: Text,
    /// `None`: only facts about it are known yet.
    pub placed: Option<Placed>,
    /// Refunds of lines, in order.
    pub refunds: Vec<LineRefund>,
    /// Sum of amount-only refunds, minor units.
    pub refunded_amount: i64,
    /// Taken back as a whole.
    pub cancelled: bool,
    /// When goods left.
    pub fulfilled_at: Option<Instant>,
    /// Coupons used on it and redemptions tied to it.
    pub tied: Vec<RecordKey>,
    /// Facts that wait for it.
    pub waiting: u32,
    /// Refunds that wait for it: whether they fit is known when its currency is.
    pub waiting_refunds: Vec<WaitingRefund>,
}

/// A refund that waits for its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WaitingRefund {
    /// ISO 4217; empty: the order's.
    pub currency: Text,
    /// By line.
    pub lines: Vec<LineRefund>,
    /// Amount-only, minor units.
    pub amount: i64,
}

/// The order itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placed {
    /// Highest version folded.
    pub version: u32,
    /// Instant of the first version: what all rules look at.
    pub at: Instant,
    /// The ruleset in force then.
    pub ruleset: u64,
    /// The member's first order.
    pub first_order: bool,
    /// The member was excluded.
    pub excluded: bool,
    /// ISO 4217.
    pub currency: Text,
    /// Where it was bought; empty: not said.
    pub channel: Text,
    /// What was bought.
    pub lines: Vec<OrderLine>,
    /// Minor units.
    pub shipping: i64,
    /// Minor units.
    pub tax: i64,
    /// Minor units.
    pub paid_with_gift_card: i64,
    /// Minor units.
    pub paid_with_points: i64,
    /// What the expressions of rules said of this version; `None`: there are none.
    pub asked: Option<Box<Asked>>,
    /// What each rule has given, net.
    pub awards: SmallVec<[Award; 2]>,
    /// Eligible amount as counted in `Member::eligible_spend`.
    pub counted: i64,
    /// The tier the member then had: a place in the list of the captured ruleset.
    pub tier: u8,
    /// What it counts toward tiers.
    pub toward_tier: i64,
    /// Its discounts, and what is counted in `Member::purchases`.
    pub bought: Bought,
}

/// Answers of expressions: bit i is rule i.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    /// They hold.
    pub holds: u64,
    /// They failed, or would take too many steps.
    pub failed: u64,
}

/// A line of an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderLine {
    /// Unique in the order.
    pub line_id: Text,
    /// The article.
    pub sku: Text,
    /// Pieces.
    pub quantity: i64,
    /// Quantity × price − discount − share of the order's discount, minor units.
    pub value: i64,
    /// Never earns.
    pub excluded: bool,
    /// Bit i: rule i asks for such lines.
    pub rules: u64,
}

/// What was refunded on a line, by refunds of one kind that came one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineRefund {
    /// The line.
    pub line_id: Text,
    /// Pieces.
    pub pieces: i64,
    /// They came without an amount: they are worth their share of the line.
    pub by_share: bool,
    /// Amounts that were given, minor units.
    pub amount: i64,
}

/// What a rule has given for an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Award {
    /// Index of the rule in the order's ruleset.
    pub rule: u16,
    /// Points, net of what was taken back.
    pub points: i64,
    /// Numbers of the lots.
    pub lots: SmallVec<[u32; 4]>,
    /// Points in lots that never started: waiting for fulfilment, or given up without it.
    pub waiting: i64,
    /// Of a rule with a limit.
    pub limited: Option<Box<Limited>>,
}

/// What a limit made of an award.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limited {
    /// Points of the rule without the limit.
    pub desired: i64,
    /// The first instant of the period in which it last got points …
    pub period: Instant,
    /// … and how many of its points are of that period.
    pub in_period: i64,
}

/// A redemption, or a grant: what was promised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redemption {
    /// `redemption_id` or `grant_id`.
    pub id: Text,
    /// Number of the family: `redemption_requested` or `reward_granted`.
    pub family: u8,
    /// The reward; empty: plain points.
    pub reward: Text,
    /// The ledger that pays.
    pub ledger: Text,
    /// When.
    pub at: Instant,
    /// What it cost.
    pub points: i64,
    /// What was given back.
    pub reversed: i64,
    /// Which lots gave what has not been given back.
    pub allocation: Vec<Allocation>,
    /// What was handed out.
    pub coupon: Option<Coupon>,
    /// The order it is tied to; empty: none.
    pub order_id: Text,
}

/// A coupon (§10).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coupon {
    /// What the member shows.
    pub code: Text,
    /// What it is worth.
    pub value: Text,
    /// `MAX`: never.
    pub expires_at: Instant,
    /// How often.
    pub uses: u32,
    /// The orders.
    pub used_by: Vec<Text>,
    /// Held for an order until an instant.
    pub reserved: Option<(Text, Instant)>,
    /// Taken back.
    pub revoked: bool,
    /// Ended unused.
    pub expired: bool,
    /// Points go back when it ends.
    pub restore_on_expiry: bool,
}

/// The life of a coupon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CouponStatus {
    /// Can be used.
    Issued,
    /// Can be used on one order.
    Reserved,
    /// Used as often as it may.
    Used,
    /// Taken back.
    Revoked,
    /// Ended.
    Expired,
}

impl CouponStatus {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            CouponStatus::Issued => "issued",
            CouponStatus::Reserved => "reserved",
            CouponStatus::Used => "used",
            CouponStatus::Revoked => "revoked",
            CouponStatus::Expired => "expired",
        }
    }
}

impl Coupon {
    /// What it is now.
    pub fn status(&self) -> CouponStatus {
        match self {
            _ if self.revoked => CouponStatus::Revoked,
            _ if self.used_by.len() >= self.uses as usize => CouponStatus::Used,
            _ if self.expired => CouponStatus::Expired,
            _ if self.reserved.is_some() => CouponStatus::Reserved,
            _ => CouponStatus::Issued,
        }
    }
}

impl Redemption {
    /// Its key.
    pub fn key(&self) -> RecordKey {
        RecordKey { family: self.family, id: xxh3_64(self.id.as_bytes()) }
    }

    /// Whether its coupon is issued or reserved.
    pub fn is_open(&self) -> bool {
        self.coupon.as_ref().is_some_and(|coupon| matches!(coupon.status(), CouponStatus::Issued | CouponStatus::Reserved))
    }

    /// When something happens to an open coupon by itself.
    pub fn next_boundary(&self) -> Instant {
        self.coupon.as_ref().map_or(Instant::MAX, |coupon| {
            let hold = coupon.reserved.as_ref().map_or(Instant::MAX, |(_, until)| *until);
            coupon.expires_at.min(hold)
        })
    }
}
