//! The ruleset: what the program's rules are from an instant on. Immutable, known by the hash of its content.

mod asked;
mod counted;
mod liability;
mod lines;
mod load;
mod load_rewards;
mod load_tiers;
mod referral;
mod text;
mod tiers;
mod timeline;
mod warnings;

pub use counted::{Achievement, Goal, Limit};
pub use liability::Liability;
pub use lines::LineFilter;
pub use load::{RulesetError, canonical, time_zone_data};
pub use referral::Referral;
pub use tiers::{Downgrade, Inactivity, Metric, TIERS_MAX, Tier, Tiers, Window};
pub use timeline::{Activation, Timeline};

use crate::Instant;
use crate::calendar::{self, Duration, To, YearDay};
use crate::expression::Expression;
use crate::ratio::{Ratio, Rounding};
use crate::zone::Zone;
use serde::Deserialize;
use smol_str::SmolStr;

/// The ledger that is always there.
pub const MAIN: &str = "main";
/// Earn rules a ruleset may have: what a line remembers of them fits one word.
pub const EARN_RULES_MAX: usize = 64;

/// A checked ruleset (ruleset.md).
#[derive(Debug)]
pub struct Ruleset {
    /// A fact of somebody unknown makes a guest (`[members] unknown`).
    pub unknown_is_guest: bool,
    /// blake3 over the canonical content and the version of the time-zone data.
    pub hash: [u8; 32],
    /// The text it was read from.
    pub source: String,
    /// The program it is for.
    pub program: SmolStr,
    /// ISO 4217.
    pub currency: SmolStr,
    /// Decimals of `currency`.
    pub exponent: u32,
    /// Name of the zone of all calendar arithmetic.
    pub time_zone: SmolStr,
    /// The zone itself.
    pub zone: Zone,
    /// What points are called.
    pub points_name: SmolStr,
    /// Other currencies: code, and what one minor unit of it counts in minor units of `currency`.
    pub currencies: Vec<(SmolStr, Ratio)>,
    /// What earns.
    pub eligible: Eligible,
    /// `[[earn]]`, in order.
    pub earn: Vec<EarnRule>,
    /// `[pending]`, for lots of achievements; adjustments start when they say.
    pub start: Start,
    /// Lots of no rule: `[expiry]`.
    pub life: Life,
    /// `[refund]`
    pub refund: Refund,
    /// `[spend] order`
    pub spend_order: SpendOrder,
    /// Subledgers besides `main`: id and name.
    pub ledgers: Vec<(SmolStr, SmolStr)>,
    /// `[[reward]]`
    pub rewards: Vec<Reward>,
    /// `[[achievement]]`, in order.
    pub achievements: Vec<Achievement>,
    /// `[tiers]` and `[[tier]]`; `None`: there are none.
    pub tiers: Option<Box<Tiers>>,
    /// `[expiry] inactivity`
    pub inactivity: Option<Inactivity>,
    /// `[liability]`
    pub liability: Option<Liability>,
    /// `[referral]`; `None`: there are none.
    pub referral: Option<Referral>,
}

/// Which part of an order earns.
#[derive(Clone, Debug)]
pub struct Eligible {
    /// Shipping earns.
    pub shipping: bool,
    /// Tax earns.
    pub tax: bool,
    /// What was paid with a gift card earns.
    pub gift_card_payment: bool,
    /// What was paid with points earns.
    pub points_payment: bool,
    /// Lines that never earn.
    pub exclude: LineFilter,
    /// Once per order and rule.
    pub round: Rounding,
}

/// When points become spendable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// When they are earned.
    Immediate,
    /// After a time.
    After(Duration, To),
    /// With the order's fulfilment; cancelled when it does not come in time.
    Fulfilled {
        /// Counted from the order; `None`: waits for ever.
        cancel_after: Option<Duration>,
    },
    /// On the next of these days.
    Dates(Vec<YearDay>),
}

/// How long points live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The end.
    pub end: End,
    /// Counted from when they are earned, not from when they become spendable.
    pub from_earn: bool,
}

/// The end of a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// None.
    Never,
    /// After a time.
    After(Duration, To),
    /// With the next of these days.
    Dates(Vec<YearDay>),
}

/// `[[earn]]`
#[derive(Clone, Debug)]
pub struct EarnRule {
    /// Unique in the ruleset.
    pub id: SmolStr,
    /// What it looks at.
    pub on: On,
    /// Points (> 0) for each `per`, or for each occurrence.
    pub points: i64,
    /// Minor units of the program's currency, > 0. `None`: a fixed number.
    pub per: Option<i64>,
    /// The ledger its lots are in.
    pub ledger: SmolStr,
    /// When its lots become spendable.
    pub start: Start,
    /// How long they live.
    pub life: Life,
    /// What must hold.
    pub when: When,
    /// At most so many points a member and period.
    pub limit: Option<Limit>,
    /// The member's tier multiplies its points.
    pub tier_multiplier: bool,
    /// Its points count where `[tiers] metric = "points"`.
    pub counts_toward_tier: bool,
}

/// What an earn rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Orders.
    Order,
    /// Activities.
    Activity,
    /// The activity `birthday`, once a calendar year.
    Birthday,
    /// The member's first registration, not as a guest.
    Registered,
    /// A friend joined by the member's code.
    ReferralJoined,
    /// A friend's first order is enough.
    ReferralCompleted,
}

/// `[earn.when]`: all that is there must hold.
#[derive(Clone, Debug)]
pub struct When {
    /// From this instant …
    pub from: Instant,
    /// … to before this one.
    pub until: Instant,
    /// Any of these.
    pub channels: Vec<SmolStr>,
    /// Only these lines count.
    pub lines: LineFilter,
    /// At least this much, minor units of the program's currency.
    pub min_eligible: Option<i64>,
    /// Bit 0 = Monday. 0: any day.
    pub weekdays: u8,
    /// Only the member's first order.
    pub first_order: bool,
    /// Only this activity.
    pub activity: Option<SmolStr>,
    /// Only where this holds.
    pub expression: Option<Expression>,
    /// Bit i: members of the tier at place i. 0: all.
    pub tiers: u64,
}

/// `[refund]`
#[derive(Clone, Copy, Debug)]
pub struct Refund {
    /// What happens to points that are gone.
    pub clawback: Clawback,
    /// Which lots pay first.
    pub order_of_lots: OrderOfLots,
    /// Bonuses with a minimum.
    pub threshold_bonus: ThresholdBonus,
    /// `restore.min_remaining`
    pub min_remaining: Option<Duration>,
}

/// `[refund] clawback`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clawback {
    /// The gap is owed.
    #[default]
    Debt,
    /// The gap is forgiven.
    WithinBalance,
    /// Only pending points are taken.
    PendingOnly,
}

/// `[refund] order_of_lots`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderOfLots {
    /// The order's own lots first.
    #[default]
    OriginatingFirst,
    /// Active lots as if spent.
    ConsumptionOrder,
}

/// `[refund] threshold_bonus`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdBonus {
    /// Lost when a refund goes below the minimum.
    #[default]
    Strict,
    /// Kept.
    Keep,
}

/// `[spend] order`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpendOrder {
    /// What ends first is spent first.
    #[default]
    SoonestExpiry,
    /// What was earned first is spent first.
    Oldest,
}

/// `[[reward]]`
#[derive(Clone, Debug)]
pub struct Reward {
    /// Unique in the ruleset.
    pub id: SmolStr,
    /// For people.
    pub name: SmolStr,
    /// Bought or given.
    pub kind: RewardKind,
    /// What it costs.
    pub price: Price,
    /// What it is worth, for people and tills: `amount 10.00 GBP`, `percent 10`, `product cake`, `free_shipping`.
    pub benefit: SmolStr,
    /// The coupon it hands out.
    pub coupon: Option<CouponRule>,
    /// Points go back when the coupon ends unused.
    pub restore_on_expiry: bool,
    /// At most so many a member and period.
    pub per_member: Option<Limit>,
    /// Bit i: for members of the tier at place i. 0: for all.
    pub tiers: u64,
}

/// `[[reward]] kind`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewardKind {
    /// Costs points.
    Redeemable,
    /// Free.
    Grantable,
}

/// What a reward costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Nothing.
    Free,
    /// Points > 0.
    Fixed(i64),
    /// As many points as the member wants.
    PayWithPoints {
        /// So many points …
        points: i64,
        /// … are worth so many minor units.
        worth: i64,
        /// At least.
        min: i64,
        /// In multiples of.
        step: i64,
    },
}

/// `[reward] coupon`
#[derive(Clone, Debug)]
pub struct CouponRule {
    /// `None`: never ends.
    pub valid_for: Option<Duration>,
    /// ≥ 1
    pub uses: u32,
    /// Before the code.
    pub prefix: SmolStr,
}

impl Ruleset {
    /// The first 8 bytes of the hash: what entries and lots remember.
    pub fn tag(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The whole hash, in hex.
    pub fn hash_hex(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What one minor unit of `currency` counts in minor units of the program's. `None`: not a currency of the program.
    pub fn factor(&self, currency: &str) -> Option<Ratio> {
        if currency == self.currency {
            return Some(Ratio::ONE);
        }
        self.currencies.iter().find(|(code, _)| code == currency).map(|(_, factor)| *factor)
    }

    /// Whether there is such a ledger.
    pub fn has_ledger(&self, ledger: &str) -> bool {
        ledger == MAIN || self.ledgers.iter().any(|(id, _)| id == ledger)
    }

    /// The reward of that id.
    pub fn reward(&self, id: &str) -> Option<&Reward> {
        self.rewards.iter().find(|reward| reward.id == id)
    }

    /// When points earned at `base` by a rule with this start become spendable; `MAX` while fulfilment is awaited.
    pub fn starts_at(&self, start: &Start, base: Instant) -> Instant {
        match start {
            Start::Immediate => base,
            Start::After(after, to) => calendar::add(base, *after, *to, &self.zone),
            Start::Fulfilled { .. } => Instant::MAX,
            Start::Dates(days) => calendar::next_start(base, days, &self.zone),
        }
    }

    /// When points earned at `earned` and spendable from `starts` end; `MAX`: never.
    pub fn expires_at(&self, life: &Life, earned: Instant, starts: Instant) -> Instant {
        let base = if life.from_earn { earned } else { starts };
        match &life.end {
            End::Never => Instant::MAX,
            End::After(after, to) => calendar::add(base, *after, *to, &self.zone),
            End::Dates(days) => calendar::next_end(base, days, &self.zone),
        }
    }
}
