//! What a request was answered (§7). Stored with the request, never computed again.

use crate::{ImportedLot, Instant};
use smol_str::SmolStr;

/// The answer to a request, and what it saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The later of the request's `occurred_at` and the member's latest known fact: the decision's place in the member's history.
    pub at: Instant,
    /// The answer.
    pub outcome: Outcome,
    /// The first 8 bytes of the hash of the ruleset that judged.
    pub ruleset: u64,
    /// Spendable points of the ledger concerned, before.
    pub balance_before: i64,
    /// The position of the shard's latest fact when it was decided; 0 = none.
    pub saw_position: u64,
}

/// Yes or no.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Promised.
    Accepted(Promise),
    /// Refused.
    Rejected(Rejection),
}

/// What was promised; enough to keep the promise under any later ruleset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Promise {
    /// Points moved: cost of a redemption, points given back, points adjusted (signed); 0 where none move.
    pub points: i64,
    /// The coupon handed out.
    pub coupon: Option<IssuedCoupon>,
    /// When adjusted points become spendable. `None`: at once.
    pub starts_at: Option<Instant>,
    /// When adjusted points end. `None`: never.
    pub expires_at: Option<Instant>,
    /// Points that leave for another member: what each lot gives, with its start and end.
    pub lots: Vec<ImportedLot>,
}

/// A coupon as promised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IssuedCoupon {
    /// What the member shows.
    pub code: SmolStr,
    /// What it is worth, as the ruleset's `benefit` reads: `amount 10.00 GBP`, `percent 10`, `product cake`, `free_shipping`.
    pub value: SmolStr,
    /// The end of its life. `None`: never.
    pub expires_at: Option<Instant>,
    /// How often it can be used, ≥ 1.
    pub uses: u32,
}

macro_rules! rejections {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)+) => {
        /// Why not. The order is the order of checking; numbers are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Rejection { $($(#[$doc])* $variant = $number,)+ }
        impl Rejection {
            /// All of them, in order of checking.
            pub const ALL: &'static [Rejection] = &[$(Rejection::$variant,)+];
            /// The stable name.
            pub fn name(self) -> &'static str { match self { $(Rejection::$variant => $name,)+ } }
            /// By number.
            pub fn from_number(number: u32) -> Option<Rejection> { match number { $($number => Some(Rejection::$variant),)+ _ => None } }
        }
    };
}

rejections! {
    /// Personal data was erased and the balance forfeited (§11).
    MemberErased = 18, "member_erased";
    /// Excluded from spending at that instant (§11).
    MemberExcluded = 1, "member_excluded";
    /// No fact of this member is known.
    MemberUnknown = 2, "member_unknown";
    /// A guest collects and can't spend until registered (§11).
    MemberGuest = 17, "member_guest";
    /// The ruleset has no such ledger.
    LedgerUnknown = 3, "ledger_unknown";
    /// The ruleset has no such reward.
    RewardUnknown = 4, "reward_unknown";
    /// The ruleset has no such tier.
    TierUnknown = 40, "tier_unknown";
    /// No tier by hand is in force.
    TierNotOverridden = 41, "tier_not_overridden";
    /// Somebody else has the referral code.
    ReferralCodeTaken = 43, "referral_code_taken";
    /// A reward that is granted can't be bought, and the other way round.
    RewardKindMismatch = 5, "reward_kind_mismatch";
    /// The reward is for members of other tiers.
    TierNotEligible = 42, "tier_not_eligible";
    /// Neither a reward nor points, or points below `min` or off `step`.
    PointsInvalid = 6, "points_invalid";
    /// The member had as many of these as allowed.
    LimitReached = 7, "limit_reached";
    /// Not enough spendable points.
    InsufficientPoints = 8, "insufficient_points";
    /// No such redemption.
    RedemptionUnknown = 9, "redemption_unknown";
    /// Nothing of it is left to give back.
    RedemptionAlreadyReversed = 10, "redemption_already_reversed";
    /// No such coupon of this member.
    CouponUnknown = 11, "coupon_unknown";
    /// Used as often as it may be.
    CouponAlreadyUsed = 12, "coupon_already_used";
    /// Taken back.
    CouponRevoked = 13, "coupon_revoked";
    /// Its time is over.
    CouponExpired = 14, "coupon_expired";
    /// Held for another order.
    CouponReserved = 15, "coupon_reserved";
    /// A start after the end, or an end in the past.
    ValidityInvalid = 16, "validity_invalid";
}
