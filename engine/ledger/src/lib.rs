//! The rules of the ledger: pure functions over facts.
//!
//! Knows nothing about files, Kafka, RocksDB, HTTP or clocks, and cannot fail: it returns decisions.
//! Read in this order: [`Fact`] (what happened), [`Ruleset`] (what it is worth), [`Member`] (what is known),
//! [`decide`] (what a request is answered), [`Fold`] (how a fact changes a member), [`Entry`] (what it changed, and why).

mod account;
pub mod calendar;
mod check;
mod counters;
pub mod currency;
mod decide;
mod decision;
mod entry;
mod expression;
mod fact;
mod family;
mod fold;
mod gathering;
mod instant;
mod invariants;
mod link;
mod member;
mod names;
mod pack;
mod period;
mod purchases;
mod ratio;
mod record;
mod records;
mod referral;
mod replay;
mod ruleset;
mod standing;
mod text;
mod tier;
pub mod worth;
mod zone;

pub use account::{Account, Allocation, Debt, Lot, RuleIndex, Sums};
pub use check::{Refusal, check};
pub use counters::{Counted, Counters, Progress, Trouble, Used};
pub use decide::{Deciding, decide, decision_at};
pub use decision::{Decision, IssuedCoupon, Outcome, Promise, Rejection};
pub use entry::{Entry, EntryKind, EntryRef, LotPart, Sink, TierCause, TierChange, Why};
pub use expression::Expression;
pub use fact::{
    Body, Cause, CouponRef, Exclusion, Fact, ImportedLot, Kind, Line, NaturalKey, OrderPlaced, PointsAdjusted, PointsImported,
    Redemption, RefundLine, RefundRecorded, TransferTo, When,
};
pub use family::Family;
pub use fold::{Applied, Fold, exclusions_of, needs};
pub use gathering::Gathering;
pub use instant::Instant;
pub use invariants::{Broken, broken_invariants};
pub use link::{Derived, ENGINE, Onward, PointsReceived, derive};
pub use member::{ClosedCoupons, Excluded, Member, Place};
pub use names::Names;
pub use pack::{Damaged, Pack, Packed};
pub use period::Period;
pub use purchases::{Bought, Purchases};
pub use ratio::{Ratio, Rounding, spread};
pub use record::{
    Asked, Award, Coupon, CouponStatus, Limited, LineRefund, Order, OrderLine, Placed, Record, RecordKey,
    Redemption as RedemptionRecord,
};
pub use records::{Needs, RecordBytes, Records};
pub use referral::{
    Code, CodeState, FirstOrder, Friend, Given, Home, OrderWorth, ReferralFact, ReferralOnward, Referrals, Referred, Stage, Ties,
    TiesOf, Told, code_home, derive_referrals, is_reserved_member, normal_code,
};
pub use replay::{Booked, in_order, must_fold_again, reaches_back, replay, replay_on, waits};
pub use ruleset::{
    Achievement, Activation, Clawback, CouponRule, Downgrade, EARN_RULES_MAX, EarnRule, Eligible, End, Goal, Inactivity,
    Liability, Life, Limit, LineFilter, MAIN, Metric, On, OrderOfLots, Price, Refund, Reward, RewardKind, Ruleset, RulesetError,
    SpendOrder, Start, TIERS_MAX, ThresholdBonus, Tier, Tiers, Timeline, When as EarnWhen, Window, canonical, time_zone_data,
};
pub use standing::{Card, CardStatus, Custody, Links, Standing, Status};
pub use text::Text;
pub use tier::{Day, Override, Progress as TierProgress, TierState};
pub use zone::Zone;
