//! Facts and requests as the rules read them: borrowed, already checked, nothing of the wire left.
//!
//! `proto` makes these from protobuf, JSON or TOML. Money is `i64` minor units of the fact's currency,
//! points are whole `i64`, text borrows from the message it came in.

use crate::link::PointsReceived;
use crate::referral::ReferralFact;
use crate::{Instant, Names};

/// One fact or request, whole (facts.md, "Envelope").
#[derive(Clone, Debug, PartialEq)]
pub struct Fact<'a> {
    /// The producer's id; unique within `(program, source)`.
    pub id: &'a str,
    /// Who publishes.
    pub source: &'a str,
    /// The loyalty program.
    pub program: &'a str,
    /// The member, in the publisher's world. Empty only in control facts.
    pub member: &'a str,
    /// When it happened, by the publisher's clock.
    pub occurred_at: Instant,
    /// Who or what caused it.
    pub actor: Option<&'a str>,
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub body: Body<'a>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)+) => {
        /// Every body the log can hold. The number is the field number in `fact.proto` and in stored frames: never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $variant = $number,)+ }
        impl Kind {
            /// All of them, by number.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)+];
            /// The name used in JSON, TOML and CloudEvents types.
            pub fn name(self) -> &'static str { match self { $(Kind::$variant => $name,)+ } }
            /// By number; `None` for numbers this version does not know.
            pub fn from_number(number: u32) -> Option<Kind> { match number { $($number => Some(Kind::$variant),)+ _ => None } }
            /// By name; `None` for names this version does not know.
            pub fn from_name(name: &str) -> Option<Kind> { match name { $($name => Some(Kind::$variant),)+ _ => None } }
        }
    };
}

kinds! {
    /// An order, or a higher version of it.
    OrderPlaced = 16, "order_placed";
    /// Goods are on their way; starts points that wait for it.
    OrderFulfilled = 17, "order_fulfilled";
    /// The whole order is taken back.
    OrderCancelled = 18, "order_cancelled";
    /// Part of an order is given back.
    RefundRecorded = 19, "refund_recorded";
    /// A redemption already honoured elsewhere.
    RedemptionRecorded = 20, "redemption_recorded";
    /// Something a member did that is not an order.
    ActivityRecorded = 21, "activity_recorded";
    /// Opening balances from another system.
    PointsImported = 22, "points_imported";
    /// A member, or a guest, becomes known.
    MemberRegistered = 23, "member_registered";
    /// Personal data.
    MemberProfileChanged = 24, "member_profile_changed";
    /// The member left the program.
    MemberLeft = 25, "member_left";
    /// The member neither earns nor spends for a time.
    MemberExcluded = 26, "member_excluded";
    /// The end of an exclusion.
    MemberIncluded = 27, "member_included";
    /// Personal data is destroyed.
    MemberErased = 28, "member_erased";
    /// Two members are one.
    MembersMerged = 29, "members_merged";
    /// They are two again.
    MembersUnmerged = 30, "members_unmerged";
    /// A note by staff.
    NoteAdded = 31, "note_added";
    /// Tags of the member.
    TagsChanged = 32, "tags_changed";
    /// A card was handed out.
    CardIssued = 33, "card_issued";
    /// A card was blocked or freed.
    CardStatusChanged = 34, "card_status_changed";
    /// A card took the place of another.
    CardReplaced = 35, "card_replaced";
    /// Somebody followed a referral link.
    ReferralVisited = 36, "referral_visited";
    /// A friend joined by a referral.
    ReferralJoined = 37, "referral_joined";
    /// A manual offset to tier progress.
    TierCreditAdjusted = 38, "tier_credit_adjusted";
    /// Manual offsets are cleared.
    TierCreditRecalculated = 39, "tier_credit_recalculated";
    /// The shop saw a coupon used.
    CouponUsed = 40, "coupon_used";
    /// The shop gave a coupon free again.
    CouponReleased = 41, "coupon_released";
    /// A ruleset comes into force; in every shard.
    RulesetActivated = 42, "ruleset_activated";
    /// A person resolved an exception.
    ExceptionResolved = 43, "exception_resolved";
    /// How rules were applied to what was there already; in every shard.
    RulesApplied = 44, "rules_applied";
    /// A member wants another referral code.
    ReferralCodeChanged = 48, "referral_code_changed";
    /// What became of a member's wish for a code; made by the engine.
    ReferralCodeSettled = 56, "referral_code_settled";
    /// Who owns the code that a friend came by; made by the engine.
    ReferralAnswered = 57, "referral_answered";
    /// What a friend did; made by the engine.
    ReferralTold = 58, "referral_told";
    /// A member wants a reward.
    RedemptionRequested = 64, "redemption_requested";
    /// A redemption is to be undone.
    RedemptionReversed = 65, "redemption_reversed";
    /// Staff or a system gives a reward.
    RewardGranted = 66, "reward_granted";
    /// A coupon is held for an order.
    CouponReserved = 67, "coupon_reserved";
    /// A coupon is taken back.
    CouponRevoked = 68, "coupon_revoked";
    /// A manual change of points.
    PointsAdjusted = 69, "points_adjusted";
    /// Points move to another member or ledger.
    PointsTransferred = 70, "points_transferred";
    /// A tier by hand.
    TierOverridden = 71, "tier_overridden";
    /// The end of a tier by hand.
    TierOverrideEnded = 72, "tier_override_ended";
    /// Points came from another member, or came back; made by the engine.
    PointsReceived = 96, "points_received";
    /// A member wants a referral code; made by the engine.
    ReferralCodeClaimed = 100, "referral_code_claimed";
    /// A friend came by a referral code; made by the engine.
    ReferralAsked = 101, "referral_asked";
    /// What another shard is to know of a member; made by the engine.
    FactForwarded = 112, "fact_forwarded";
    /// The next part of what is handed over; made by the engine, for itself.
    HandOverContinued = 113, "hand_over_continued";
    /// Everything known of some members is there; made by the engine.
    MembersHandedOver = 114, "members_handed_over";
}

impl Kind {
    /// Requests may be refused; each is stored together with its decision (§7).
    pub fn is_request(self) -> bool {
        self as u8 >= Kind::RedemptionRequested as u8 && !self.is_of_hand_over()
    }

    /// Whether its body is personal data: sealed in the log under a key of the member's own (§11).
    pub fn is_personal(self) -> bool {
        matches!(self, Kind::MemberProfileChanged | Kind::NoteAdded | Kind::TagsChanged)
    }

    /// Whether it ties members together or parts them.
    pub fn links_members(self) -> bool {
        matches!(self, Kind::MembersMerged | Kind::MembersUnmerged)
    }

    /// Made by the engine alone: what follows from one member's fact for another.
    pub fn is_derived(self) -> bool {
        let of_referrals = matches!(
            self,
            Kind::ReferralCodeSettled
                | Kind::ReferralAnswered
                | Kind::ReferralTold
                | Kind::ReferralCodeClaimed
                | Kind::ReferralAsked
        );
        of_referrals || matches!(self, Kind::PointsReceived) || self.is_of_hand_over()
    }

    /// Of the whole program: without a member, in every shard.
    pub fn is_control(self) -> bool {
        matches!(self, Kind::RulesetActivated | Kind::RulesApplied)
    }

    /// Between shards alone: it is no fact of the member that it is sent to.
    pub fn is_of_hand_over(self) -> bool {
        matches!(self, Kind::FactForwarded | Kind::HandOverContinued | Kind::MembersHandedOver)
    }
}

/// What a fact says. Facts that change no number of the ledger are `Noted`: their text stays in the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    /// `order_placed`
    OrderPlaced(OrderPlaced<'a>),
    /// `order_fulfilled`
    OrderFulfilled {
        /// The order.
        order_id: &'a str,
    },
    /// `order_cancelled`
    OrderCancelled {
        /// The order.
        order_id: &'a str,
    },
    /// `refund_recorded`
    RefundRecorded(RefundRecorded<'a>),
    /// `redemption_recorded` and `redemption_requested`
    Redemption(Redemption<'a>),
    /// `activity_recorded`
    ActivityRecorded {
        /// Natural key.
        activity_id: &'a str,
        /// What was done: `signup`, `birthday`, `review`, any name.
        activity: &'a str,
    },
    /// `points_imported`
    PointsImported(PointsImported<'a>),
    /// `member_excluded`
    MemberExcluded(Exclusion),
    /// `member_included`
    MemberIncluded,
    /// `member_registered`
    MemberRegistered {
        /// Collects and can't spend.
        guest: bool,
    },
    /// `members_merged`
    MembersMerged {
        /// Becomes an alias.
        loser: &'a str,
    },
    /// `members_unmerged`
    MembersUnmerged {
        /// Was an alias.
        loser: &'a str,
    },
    /// `card_issued`
    CardIssued {
        /// What is printed on it.
        code: &'a str,
    },
    /// `card_status_changed`
    CardStatusChanged {
        /// The card.
        code: &'a str,
        /// What it is good for now.
        status: crate::standing::CardStatus,
    },
    /// `card_replaced`
    CardReplaced {
        /// The card that was.
        old: &'a str,
        /// The card that is.
        new: &'a str,
    },
    /// `coupon_used`
    CouponUsed {
        /// The coupon.
        coupon: CouponRef<'a>,
        /// The order it was used on.
        order_id: &'a str,
    },
    /// `coupon_released`
    CouponReleased {
        /// The coupon.
        coupon: CouponRef<'a>,
        /// The order it had been used on.
        order_id: &'a str,
    },
    /// `redemption_reversed`
    RedemptionReversed {
        /// The redemption.
        redemption_id: &'a str,
        /// A part of its points (> 0); absent: all that is left.
        points: Option<i64>,
        /// Who wants it.
        cause: Cause,
    },
    /// `reward_granted`
    RewardGranted {
        /// Natural key.
        grant_id: &'a str,
        /// The reward's id in the ruleset.
        reward: &'a str,
        /// Why.
        reason: &'a str,
        /// Whether its cost is taken; absent: it has none.
        deduct: Option<bool>,
    },
    /// `coupon_reserved`
    CouponReserved {
        /// The coupon.
        coupon: CouponRef<'a>,
        /// The order it is held for.
        order_id: &'a str,
        /// The end of the hold.
        until: Instant,
    },
    /// `coupon_revoked`
    CouponRevoked {
        /// The coupon.
        coupon: CouponRef<'a>,
        /// Whether the points go back (§6).
        restore_points: bool,
        /// Who wants it.
        cause: Cause,
    },
    /// `points_adjusted`
    PointsAdjusted(PointsAdjusted<'a>),
    /// `points_transferred`
    PointsTransferred {
        /// Natural key.
        transfer_id: &'a str,
        /// Where to.
        to: TransferTo<'a>,
        /// The ledger that gives; absent: `main`.
        ledger: Option<&'a str>,
        /// Points > 0.
        points: i64,
    },
    /// `points_received`
    PointsReceived(PointsReceived<'a>),
    /// What has to do with referrals.
    Referral(ReferralFact<'a>),
    /// `fact_forwarded`
    FactForwarded {
        /// Whose fact it is.
        about: &'a str,
        /// The fact or request, as it came: protobuf.
        fact: &'a [u8],
        /// Its decision, protobuf; `None`: a fact, or nobody has decided yet.
        decision: Option<&'a [u8]>,
    },
    /// `hand_over_continued`
    HandOverContinued {
        /// To whose shard.
        to: &'a str,
        /// The position at which the hand-over began.
        started: u64,
        /// The last position that was sent.
        after: u64,
    },
    /// `members_handed_over`
    MembersHandedOver {
        /// Whose facts are all there.
        members: Names<'a>,
    },
    /// `exception_resolved`
    ExceptionResolved {
        /// `<code>/<id of the source>`.
        exception: &'a str,
        /// The order that takes what found no place; absent: written off.
        order_id: Option<&'a str>,
        /// The line there; absent: those that the refund named.
        line_id: Option<&'a str>,
        /// Why.
        reason: &'a str,
    },
    /// `rules_applied`
    RulesApplied {
        /// Which application.
        application: &'a str,
        /// JSON: what is to be done, or what came of it.
        record: &'a str,
    },
    /// `ruleset_activated`
    RulesetActivated {
        /// The ruleset, TOML.
        ruleset: &'a str,
        /// Its hash, hex.
        hash: &'a str,
        /// From when it judges.
        effective_from: Instant,
    },
    /// `tier_credit_adjusted`
    TierCreditAdjusted {
        /// Minor units of the program's currency, signed, not 0.
        amount: i64,
    },
    /// `tier_credit_recalculated`
    TierCreditRecalculated,
    /// `tier_overridden`
    TierOverridden {
        /// The tier's id in the ruleset.
        tier: &'a str,
        /// The higher of it and the qualified tier; else it alone.
        floor: bool,
        /// It ends with the local day of this instant. `None`: until it is ended.
        until: Option<Instant>,
    },
    /// `tier_override_ended`
    TierOverrideEnded,
    /// Every other body.
    Noted,
}

/// `order_placed`: the whole order as of one version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderPlaced<'a> {
    /// The shop's id of the order.
    pub order_id: &'a str,
    /// From 1; a higher version replaces the order.
    pub version: u32,
    /// ISO 4217, upper case.
    pub currency: &'a str,
    /// What was bought.
    pub lines: Vec<Line<'a>>,
    /// Off the whole order, minor units ≥ 0.
    pub discount: i64,
    /// Minor units ≥ 0.
    pub shipping: i64,
    /// Minor units ≥ 0.
    pub tax: i64,
    /// Minor units ≥ 0.
    pub paid_with_gift_card: i64,
    /// What the points used as payment were worth, minor units ≥ 0.
    pub paid_with_points: i64,
    /// Codes used on the order.
    pub coupons: Names<'a>,
    /// Where it was bought.
    pub channel: Option<&'a str>,
    /// Who sent the buyer.
    pub referral_code: Option<&'a str>,
}

/// A line of an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line<'a> {
    /// Unique within the order.
    pub line_id: &'a str,
    /// The article.
    pub sku: &'a str,
    /// Pieces ≥ 0.
    pub quantity: i64,
    /// Price of one, minor units ≥ 0. `quantity × unit_price` is known not to overflow.
    pub unit_price: i64,
    /// Off the line, minor units, from 0 to the line's value.
    pub discount: i64,
    /// What rules ask for.
    pub collections: Names<'a>,
    /// What rules ask for.
    pub tags: Names<'a>,
}

impl Line<'_> {
    /// What was paid for it: quantity × price − discount, minor units.
    pub fn net(&self) -> i64 {
        self.quantity * self.unit_price - self.discount
    }
}

/// `refund_recorded`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RefundRecorded<'a> {
    /// Natural key.
    pub refund_id: &'a str,
    /// Absent: an unreferenced refund (§4).
    pub order_id: Option<&'a str>,
    /// Either lines …
    pub lines: Vec<RefundLine<'a>>,
    /// … or an amount, minor units > 0.
    pub amount: Option<i64>,
    /// ISO 4217; absent: the order's.
    pub currency: Option<&'a str>,
}

/// A line of a refund.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RefundLine<'a> {
    /// The order's line; in an unreferenced refund a `line_id` or else a `sku`.
    pub line_id: &'a str,
    /// Pieces ≥ 0.
    pub quantity: i64,
    /// Minor units ≥ 0; absent: the pieces' share of the line.
    pub amount: Option<i64>,
}

/// `redemption_recorded` and `redemption_requested`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redemption<'a> {
    /// Natural key.
    pub redemption_id: &'a str,
    /// The reward's id; absent in a plain spend of `points`.
    pub reward: Option<&'a str>,
    /// Points > 0; absent: the reward's cost.
    pub points: Option<i64>,
    /// Absent: `main`.
    pub ledger: Option<&'a str>,
    /// `redemption_recorded` only: the coupon the till gave.
    pub coupon_code: Option<&'a str>,
    /// The order it belongs to: reversed when that is cancelled.
    pub order_id: Option<&'a str>,
}

/// `points_imported`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointsImported<'a> {
    /// Natural key.
    pub import_id: &'a str,
    /// Absent: `main`.
    pub ledger: Option<&'a str>,
    /// At least one.
    pub lots: Vec<ImportedLot>,
    /// Minor units, toward tiers.
    pub tier_credit: i64,
}

/// A lot brought along from another system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportedLot {
    /// Points > 0.
    pub points: i64,
    /// When they were earned there.
    pub earned_at: Option<Instant>,
    /// Absent: at once.
    pub starts_at: Option<Instant>,
    /// Absent: never.
    pub expires_at: Option<Instant>,
}

/// `member_excluded`: `[from, until)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// Absent: the fact's `occurred_at`.
    pub from: Option<Instant>,
    /// Absent: until included again.
    pub until: Option<Instant>,
    /// Orders inside earn nothing.
    pub earn: bool,
    /// No spending inside.
    pub redeem: bool,
}

/// A coupon, named by its code or by what issued it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CouponRef<'a> {
    /// By `code`.
    Code(&'a str),
    /// By `redemption_id`.
    Redemption(&'a str),
    /// By `grant_id`.
    Grant(&'a str),
}

/// Where points go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferTo<'a> {
    /// The same ledger of another member.
    Member(&'a str),
    /// Another ledger of this one.
    Ledger(&'a str),
}

/// Who wants points back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Cause {
    /// A person: guarantees `restore.min_remaining` (§6).
    Staff,
    /// A program.
    #[default]
    System,
}

/// `points_adjusted`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointsAdjusted<'a> {
    /// Natural key.
    pub adjustment_id: &'a str,
    /// Absent: `main`.
    pub ledger: Option<&'a str>,
    /// Signed, not 0.
    pub points: i64,
    /// Minor units, toward tiers.
    pub tier_credit: i64,
    /// Why.
    pub reason: &'a str,
    /// Text for the member.
    pub message: Option<&'a str>,
    /// When they become spendable; absent: at once.
    pub starts: Option<When<'a>>,
    /// When they end; absent: as the program's lots.
    pub expires: Option<When<'a>>,
    /// A deduction may go below what is there.
    pub allow_debt: bool,
    /// Of a deduction: the `adjustment_id` whose lots give first.
    pub takes_back: Option<&'a str>,
}

/// A start or an end as a fact may state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When<'a> {
    /// `{ at = instant }`
    At(Instant),
    /// `"never"`
    Never,
    /// `"immediate"`
    Immediate,
    /// `{ after = "P14D", to = "day_end" }`: a start is counted from the decision, an end from the start.
    After {
        /// ISO 8601 duration.
        after: &'a str,
        /// Rounding; empty: none.
        to: &'a str,
    },
}

impl<'a> Fact<'a> {
    /// The key that makes two facts the same one beside `(program, source, id)`: facts.md, "Idempotency".
    /// Scoped to the program and the member. `None`: the id alone.
    pub fn natural_key(&self) -> Option<NaturalKey<'a>> {
        let key = |kind, id, version| Some(NaturalKey { kind, id, version });
        match &self.body {
            Body::OrderPlaced(order) => key(Kind::OrderPlaced, order.order_id, order.version),
            Body::RefundRecorded(refund) => key(Kind::RefundRecorded, refund.refund_id, 0),
            // One redemption is one redemption, whether honoured elsewhere or asked for here.
            Body::Redemption(redemption) => key(Kind::RedemptionRequested, redemption.redemption_id, 0),
            Body::RewardGranted { grant_id, .. } => key(Kind::RewardGranted, grant_id, 0),
            Body::PointsAdjusted(adjusted) => key(Kind::PointsAdjusted, adjusted.adjustment_id, 0),
            Body::PointsImported(imported) => key(Kind::PointsImported, imported.import_id, 0),
            Body::ActivityRecorded { activity_id, .. } => key(Kind::ActivityRecorded, activity_id, 0),
            Body::PointsTransferred { transfer_id, .. } => key(Kind::PointsTransferred, transfer_id, 0),
            Body::OrderFulfilled { .. } | Body::OrderCancelled { .. } | Body::MemberExcluded(_) | Body::MemberIncluded => None,
            Body::CouponUsed { .. } | Body::CouponReleased { .. } | Body::CouponReserved { .. } | Body::CouponRevoked { .. } => {
                None
            }
            Body::MemberRegistered { .. } | Body::MembersMerged { .. } | Body::MembersUnmerged { .. } => None,
            Body::CardIssued { .. } | Body::CardStatusChanged { .. } | Body::CardReplaced { .. } => None,
            Body::RedemptionReversed { .. } | Body::RulesetActivated { .. } | Body::Noted => None,
            Body::RulesApplied { .. } => None,
            Body::ExceptionResolved { .. } | Body::PointsReceived(_) | Body::Referral(_) => None,
            Body::FactForwarded { .. } | Body::HandOverContinued { .. } | Body::MembersHandedOver { .. } => None,
            Body::TierCreditAdjusted { .. } | Body::TierCreditRecalculated => None,
            Body::TierOverridden { .. } | Body::TierOverrideEnded => None,
        }
    }
}

/// See [`Fact::natural_key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NaturalKey<'a> {
    /// The family of ids.
    pub kind: Kind,
    /// The id.
    pub id: &'a str,
    /// The order's version, else 0.
    pub version: u32,
}
