//! The entry: every change of a number, and why (§13).

mod tier;

pub use tier::{TierCause, TierChange};

use crate::{Fact, Instant, Kind, Text};
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

macro_rules! entry_kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)+) => {
        /// What happened to a number. Numbers are stored: never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum EntryKind { $($(#[$doc])* $variant = $number,)+ }
        impl EntryKind {
            /// All of them.
            pub const ALL: &'static [EntryKind] = &[$(EntryKind::$variant,)+];
            /// The stable name.
            pub fn name(self) -> &'static str { match self { $(EntryKind::$variant => $name,)+ } }
            /// By number; `None` for numbers this version does not know.
            pub fn from_number(number: u8) -> Option<EntryKind> { match number { $($number => Some(EntryKind::$variant),)+ _ => None } }
        }
    };
}

entry_kinds! {
    /// A rule gave points: > 0.
    Earned = 0, "earned";
    /// Pending points became spendable: > 0.
    Activated = 1, "activated";
    /// Pending points were taken back: < 0.
    Cancelled = 2, "cancelled";
    /// Active points were taken back: < 0.
    ClawedBack = 3, "clawed_back";
    /// Points are owed: > 0; < 0 when a reversal lifts what is open.
    DebtOpened = 4, "debt_opened";
    /// Points paid what was owed: < 0.
    DebtRepaid = 5, "debt_repaid";
    /// Points were spent: < 0.
    Spent = 6, "spent";
    /// Spent points came back: > 0.
    Restored = 7, "restored";
    /// Points ended: < 0.
    Expired = 8, "expired";
    /// A manual change: signed.
    Adjusted = 9, "adjusted";
    /// Points came along from another system: > 0.
    Imported = 10, "imported";
    /// A coupon was handed out; points 0.
    CouponIssued = 11, "coupon_issued";
    /// A coupon is held for an order; points 0.
    CouponReserved = 12, "coupon_reserved";
    /// A coupon was used; points 0.
    CouponUsed = 13, "coupon_used";
    /// A coupon is free again; points 0.
    CouponReleased = 14, "coupon_released";
    /// A coupon was taken back; points 0.
    CouponRevoked = 15, "coupon_revoked";
    /// A coupon ended unused; points 0.
    CouponExpired = 16, "coupon_expired";
    /// A fact waits for its order; points 0.
    Parked = 17, "parked";
    /// A fact that could not be booked as it says: people must look. Points: what it cost.
    Exception = 18, "exception";
    /// Points went to another ledger or member: < 0.
    TransferredOut = 30, "transferred_out";
    /// Points came from another ledger or member: > 0.
    TransferredIn = 31, "transferred_in";
    /// An achievement came nearer, or went back; points 0.
    AchievementProgressed = 32, "achievement_progressed";
    /// An achievement was completed; points 0.
    AchievementCompleted = 33, "achievement_completed";
    /// A person resolved an exception; points 0.
    ExceptionResolved = 34, "exception_resolved";
    /// The tier in force, or the one qualified for, is another; points 0.
    TierChanged = 40, "tier_changed";
    /// Lots live longer by an activity; points: how many, none of them move.
    Extended = 41, "extended";
}

impl EntryKind {
    /// How many kinds change points.
    pub const SUMS: usize = 13;

    /// The place of a kind that changes points among sums by kind; coupons, waiting and exceptions change none.
    pub fn sum_index(self) -> Option<usize> {
        match self {
            EntryKind::TransferredOut => Some(11),
            EntryKind::TransferredIn => Some(12),
            kind => Some(kind as usize).filter(|_| (kind as u8) < EntryKind::CouponIssued as u8),
        }
    }

    /// Whether it changes points at all; coupons, waiting and exceptions don't.
    pub fn moves_points(self) -> bool {
        self.sum_index().is_some()
    }
}

impl Encode for EntryKind {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (*self as u8).encode(encoder)
    }
}

impl<Context> Decode<Context> for EntryKind {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        EntryKind::from_number(u8::decode(decoder)?).ok_or(DecodeError::Other("kind of entry"))
    }
}

bincode::impl_borrow_decode!(EntryKind);

/// One change of a number of a member.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Entry {
    /// What happened.
    pub kind: EntryKind,
    /// When: the fact's instant, or the boundary itself.
    pub at: Instant,
    /// The ledger; `main` for coupons.
    pub ledger: Text,
    /// Signed points: see the kinds.
    pub points: i64,
    /// Spendable points of the ledger afterwards.
    pub active_after: i64,
    /// The fact, by the number of its kind …
    pub source_kind: u8,
    /// … and its natural id, or the producer's id where the kind has none.
    pub source: Text,
    /// First 8 bytes of the hash of the ruleset that was applied.
    pub ruleset: u64,
    /// Index of the earn rule in that ruleset.
    pub rule: Option<u16>,
    /// What each lot gave or got, signed.
    pub lots: Vec<LotPart>,
    /// The inputs.
    pub why: Why,
}

impl Entry {
    /// The kind of the source fact.
    pub fn source_kind(&self) -> Option<Kind> {
        Kind::from_number(u32::from(self.source_kind))
    }
}

/// An entry as the fold makes it: borrowed, so that making one costs no memory. Its bytes are those of [`Entry`].
#[derive(Clone, Debug, PartialEq, Encode)]
pub struct EntryRef<'a> {
    /// As [`Entry::kind`], and so on.
    pub kind: EntryKind,
    /// When.
    pub at: Instant,
    /// The ledger.
    pub ledger: &'a str,
    /// Signed points.
    pub points: i64,
    /// Spendable points afterwards.
    pub active_after: i64,
    /// The fact, by the number of its kind …
    pub source_kind: u8,
    /// … and its natural id.
    pub source: &'a str,
    /// The ruleset.
    pub ruleset: u64,
    /// The rule.
    pub rule: Option<u16>,
    /// What each lot gave or got.
    pub lots: &'a [LotPart],
    /// The inputs.
    pub why: Why,
}

impl EntryRef<'_> {
    /// With memory of its own.
    pub fn to_entry(&self) -> Entry {
        Entry {
            kind: self.kind,
            at: self.at,
            ledger: Text::new(self.ledger),
            points: self.points,
            active_after: self.active_after,
            source_kind: self.source_kind,
            source: Text::new(self.source),
            ruleset: self.ruleset,
            rule: self.rule,
            lots: self.lots.to_vec(),
            why: self.why.clone(),
        }
    }
}

/// What an entry did to a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LotPart {
    /// The lot's number within the member.
    pub lot: u32,
    /// Signed points.
    pub points: i64,
    /// When the lot ends; `MAX`: never.
    pub expires_at: Instant,
}

/// Machine-readable reasons.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Why {
    /// An order is worth more or less than before: `after` × rate, rounded, against `before`.
    Entitlement {
        /// Eligible amount now, minor units of the order's currency.
        eligible: i64,
        /// Points of the rule before.
        before: i64,
        /// Points of the rule now.
        after: i64,
        /// The tier whose multiplier they have: a place in the list of the ruleset.
        tier: u8,
        /// When the points start.
        starts_at: Instant,
        /// When they end.
        expires_at: Instant,
    },
    /// A fixed number for an occurrence.
    Fixed {
        /// As of [`Why::Entitlement`].
        tier: u8,
        /// When the points start.
        starts_at: Instant,
        /// When they end.
        expires_at: Instant,
    },
    /// The lot's own boundary.
    Boundary,
    /// Goods never left: points that waited for it are given up.
    NeverFulfilled,
    /// The order was fulfilled.
    Fulfilled,
    /// What a refund could not take from lots.
    Uncovered {
        /// What was due.
        due: i64,
    },
    /// What the ruleset's `clawback` forgives.
    Debt,
    /// A redemption, by its reward (empty: plain points).
    Redemption {
        /// The reward's id.
        reward: Text,
    },
    /// Points of a redemption go back.
    Reversal {
        /// Guaranteed to live on (`min_remaining`).
        guaranteed: bool,
    },
    /// The end of the lot had passed when the points came back.
    EndedAlready,
    /// A manual change.
    Manual {
        /// Why.
        reason: Text,
    },
    /// Opening balance.
    Import,
    /// A tier was entered.
    TierEntered {
        /// Its id.
        tier: Text,
    },
    /// Another tier.
    Tier(Box<TierChange>),
    /// Nothing was done for too long.
    Inactive,
    /// An activity.
    Extended {
        /// When the lots would have ended.
        before: Instant,
        /// When they end now, unless their own end comes first.
        until: Instant,
    },
    /// A coupon.
    Coupon {
        /// Its code.
        code: Text,
        /// The order concerned; empty: none.
        order: Text,
    },
    /// An award that a limit trimmed (§12).
    Trimmed {
        /// Eligible amount of the order, minor units of its currency; 0 of what is no order.
        eligible: i64,
        /// Points of the rule before.
        before: i64,
        /// Points of the rule without the limit.
        desired: i64,
        /// Points of the rule now.
        awarded: i64,
        /// As of [`Why::Entitlement`].
        tier: u8,
        /// The limit: `500 each P1M`.
        limited_by: Text,
        /// When the points start.
        starts_at: Instant,
        /// When they end.
        expires_at: Instant,
    },
    /// An achievement.
    Achievement {
        /// Its id.
        id: Text,
        /// How far it is: occurrences, or minor units.
        progress: i64,
        /// How far it goes.
        target: i64,
    },
    /// Points went to, or came from, another ledger or member.
    Transfer {
        /// Its id.
        other: Text,
    },
    /// A person resolved an exception.
    Resolved {
        /// `<code>/<id of the source>`.
        exception: Text,
        /// The order that takes the refund; empty: written off.
        order: Text,
        /// Why.
        reason: Text,
    },
    /// Something people must look at.
    Trouble {
        /// A stable code: `refund_unmatched`, `coupon_unknown`, …
        code: Text,
        /// What it is about.
        about: Text,
    },
    /// The member was erased: its balance is forfeited.
    Erased,
    /// A friend, who is the source.
    Referral {
        /// Its first order; empty: it joined.
        order: Text,
        /// The member's tier then.
        tier: u8,
        /// When the points start.
        starts_at: Instant,
        /// When they end.
        expires_at: Instant,
    },
}

/// The natural id of a fact's source, or the producer's id where its kind has none: what entries and lots name.
pub(crate) fn source_of<'a>(fact: &Fact<'a>) -> &'a str {
    fact.natural_key().map_or(fact.id, |key| key.id)
}

/// Takes entries as the fold makes them.
pub trait Sink {
    /// One more; `number` counts from 0 within the member.
    fn entry(&mut self, number: u32, entry: &EntryRef<'_>);
}

/// Nobody looks.
impl Sink for () {
    fn entry(&mut self, _: u32, _: &EntryRef<'_>) {}
}

/// Kept as they are.
impl Sink for Vec<Entry> {
    fn entry(&mut self, _: u32, entry: &EntryRef<'_>) {
        self.push(entry.to_entry());
    }
}
