//! The shapes of answers: the same for JSON and for tables. Points are whole numbers, money decimal strings, instants RFC 3339.

mod counted;
mod member;
mod purchases;
pub(crate) mod referral;
mod tier;
mod totals;

pub use counted::{AchievementAnswer, BudgetAnswer, ExceptionAnswer};
pub(crate) use member::{balance, member_answer, soon};
pub use purchases::PurchasesAnswer;
pub use referral::{FriendAnswer, FriendsAnswer, ReferralsAnswer};
pub use tier::{ExpiringRow, OverrideAnswer, TierAnswer, TierMove, decimal};
pub(crate) use tier::{money_or_count, tier_answer};
pub use totals::TotalsRow;

use crate::explain::sentence;
use accrue_ledger::{CouponStatus, Entry, Instant, Kind, Lot, Member, RedemptionRecord, Timeline};
use serde::Serialize;
use std::collections::BTreeMap;

/// A member, as of an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberAnswer {
    /// The program.
    pub program: String,
    /// The member.
    pub member: String,
    /// The instant it is true at.
    pub as_of: String,
    /// The shard it is in.
    pub shard: u32,
    /// Everything durable before this position of the shard is part of it.
    pub next_position: u64,
    /// Points by ledger.
    pub balance: BTreeMap<String, BalanceAnswer>,
    /// The tier; `None`: the program has none.
    pub tier: Option<TierAnswer>,
    /// Coupons that can be used, and by status how many there are.
    pub coupons: CouponsAnswer,
    /// Facts that wait for their order.
    pub parked: u32,
    /// Facts that people must look at.
    pub exceptions: u32,
    /// Orders placed.
    pub orders: u32,
    /// Eligible amount of all orders as they are now, in the program's currency.
    pub eligible_spend: String,
    /// The program's currency.
    pub currency: String,
    /// What the orders come to.
    pub purchases: PurchasesAnswer,
    /// Facts and decisions known.
    pub facts: u32,
    /// The instant of the latest.
    pub last_activity: String,
    /// When orders earn nothing or points can't be spent.
    pub exclusions: Vec<ExclusionAnswer>,
    /// `member`, `guest`, `registered`, `left` or `erased`.
    pub standing: &'static str,
    /// When its personal data was destroyed and its balance forfeited.
    pub erased_at: Option<String>,
    /// Its 16 digits, for cards and QR codes.
    pub number: Option<String>,
    /// Personal data, readable as long as the member was not erased.
    pub profile: Option<crate::profile::Profile>,
    /// Members that are aliases of this one: their facts are part of it.
    pub merged: Vec<String>,
    /// Cards in the order in which they were handed out.
    pub cards: Vec<CardAnswer>,
    /// Limits of the ruleset in force, and what is used of them.
    pub budgets: Vec<BudgetAnswer>,
    /// Achievements of the ruleset in force.
    pub achievements: Vec<AchievementAnswer>,
    /// Exceptions that nobody has resolved yet.
    pub open_exceptions: Vec<ExceptionAnswer>,
    /// Referrals; `None`: nothing ever had to do with them.
    pub referrals: Option<ReferralsAnswer>,
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CardAnswer {
    /// What is printed on it.
    pub code: String,
    /// `active`, `inactive` or `blocked`.
    pub status: &'static str,
    /// When it was handed out.
    pub issued_at: String,
    /// The card that took its place.
    pub replaced_by: Option<String>,
}

/// One ledger of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BalanceAnswer {
    /// Spendable.
    pub active: i64,
    /// Not yet spendable.
    pub pending: i64,
    /// Owed.
    pub debt: i64,
    /// Ever credited.
    pub earned: i64,
    /// Spent, net of what was restored.
    pub spent: i64,
    /// Ended.
    pub expired: i64,
    /// Taken back while pending.
    pub cancelled: i64,
    /// Taken back while active.
    pub clawed_back: i64,
    /// Used to repay debt.
    pub repaid: i64,
    /// Taken by hand.
    pub deducted: i64,
    /// Came from another ledger or member.
    pub moved_in: i64,
    /// Went to another ledger or member.
    pub moved_out: i64,
    /// Given by hand, minus what was taken.
    pub adjusted: i64,
    /// Of `earned`: brought along from another system.
    pub imported: i64,
    /// Of `active`: what ends within 30 days.
    pub expiring_soon: i64,
    /// What ends and when, soonest first.
    pub expiring: Vec<PartAnswer>,
    /// What starts and when, soonest first.
    pub starting: Vec<PartAnswer>,
    /// Lots with points left.
    pub lots: Vec<LotAnswer>,
}

/// Points at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartAnswer {
    /// How many.
    pub points: i64,
    /// When.
    pub at: String,
}

/// A lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LotAnswer {
    /// Its number within the member.
    pub lot: u32,
    /// `active` or `pending`.
    pub status: &'static str,
    /// Points left.
    pub left: i64,
    /// Points at the beginning.
    pub amount: i64,
    /// The rule that gave it; empty: no rule.
    pub rule: String,
    /// What kind of fact it comes from.
    pub source_kind: &'static str,
    /// That fact's natural id.
    pub source: String,
    /// When that happened.
    pub occurred_at: String,
    /// Spendable from.
    pub starts_at: String,
    /// Spendable to before this.
    pub expires_at: String,
}

/// Coupons of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CouponsAnswer {
    /// How many can be used.
    pub issued: u32,
    /// How many are held for an order.
    pub reserved: u32,
    /// How many were used up.
    pub used: u32,
    /// How many were taken back.
    pub revoked: u32,
    /// How many ended unused.
    pub expired: u32,
    /// Those that are issued or reserved.
    pub open: Vec<CouponAnswer>,
}

/// A coupon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CouponAnswer {
    /// What the member shows.
    pub code: String,
    /// Its member.
    pub member: String,
    /// The reward's id.
    pub reward: String,
    /// What it is worth.
    pub value: String,
    /// `issued`, `reserved`, `used`, `revoked` or `expired`.
    pub status: &'static str,
    /// `redemption_id` or `grant_id` of what issued it.
    pub issued_by: String,
    /// When.
    pub issued_at: String,
    /// The end of its life.
    pub expires_at: String,
    /// How often it can be used.
    pub uses: u32,
    /// The orders it was used on.
    pub used_on: Vec<String>,
    /// The order it is held for.
    pub reserved_for: Option<String>,
    /// What it cost.
    pub points: i64,
}

/// `[from, until)`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExclusionAnswer {
    /// From.
    pub from: String,
    /// To before.
    pub until: String,
    /// Orders earn nothing.
    pub earn: bool,
    /// No spending.
    pub redeem: bool,
}

/// A line of a list of members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberRow {
    /// The member.
    pub member: String,
    /// Its shard.
    pub shard: u32,
    /// Spendable, ledger `main`.
    pub active: i64,
    /// Not yet spendable.
    pub pending: i64,
    /// Owed.
    pub debt: i64,
    /// Ever credited.
    pub earned: i64,
    /// Spent.
    pub spent: i64,
    /// Ended.
    pub expired: i64,
    /// Orders placed.
    pub orders: u32,
    /// Eligible amount of all orders as they are now.
    pub eligible_spend: String,
    /// Facts that wait for their order.
    pub parked: u32,
    /// Facts that people must look at.
    pub exceptions: u32,
    /// The instant of the latest fact.
    pub last_activity: String,
}

/// An entry, told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryAnswer {
    /// Its number within the member.
    pub entry: u32,
    /// When.
    pub at: String,
    /// What happened.
    pub kind: &'static str,
    /// The ledger.
    pub ledger: String,
    /// Signed points.
    pub points: i64,
    /// Spendable points afterwards.
    pub active_after: i64,
    /// What kind of fact caused it.
    pub source_kind: &'static str,
    /// That fact's natural id.
    pub source: String,
    /// The rule; empty: none.
    pub rule: String,
    /// The ruleset, first 8 bytes of its hash.
    pub ruleset: String,
    /// What each lot gave or got.
    pub lots: Vec<LotPartAnswer>,
    /// Why, in a sentence.
    pub why: String,
    /// Stable code of an exception or of what waits; empty: neither.
    pub code: String,
}

/// What an entry did to a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LotPartAnswer {
    /// The lot.
    pub lot: u32,
    /// Signed points.
    pub points: i64,
    /// The lot's end.
    pub expires_at: String,
}

/// Name of a rule that a lot or an entry remembers; empty: none, or its ruleset is not known.
pub(crate) fn rule_name(rules: &Timeline, ruleset: u64, rule: Option<u16>) -> String {
    let found = rule.and_then(|rule| rules.by_tag(ruleset)?.earn.get(usize::from(rule)).map(|rule| rule.id.to_string()));
    found.unwrap_or_default()
}

pub(crate) fn kind_name(kind: u8) -> &'static str {
    Kind::from_number(u32::from(kind)).map_or("unknown", Kind::name)
}

impl LotAnswer {
    fn of(lot: &Lot, status: &'static str, rules: &Timeline) -> LotAnswer {
        LotAnswer {
            lot: lot.number,
            status,
            left: lot.left,
            amount: lot.amount,
            rule: rule_name(rules, lot.ruleset, lot.rule.get()),
            source_kind: kind_name(lot.source_kind),
            source: lot.source.to_string(),
            occurred_at: lot.occurred_at.to_string(),
            starts_at: lot.starts_at().to_string(),
            expires_at: lot.expires_at.to_string(),
        }
    }
}

impl CouponAnswer {
    /// `None`: there is no coupon to it. `at`: a coupon whose time is over by then is expired.
    pub(crate) fn of(redemption: &RedemptionRecord, member: &str, at: Instant) -> Option<CouponAnswer> {
        let coupon = redemption.coupon.as_ref()?;
        let status = match coupon.status() {
            CouponStatus::Issued | CouponStatus::Reserved if coupon.expires_at <= at => CouponStatus::Expired,
            status => status,
        };
        Some(CouponAnswer {
            code: coupon.code.to_string(),
            member: member.to_string(),
            reward: redemption.reward.to_string(),
            value: coupon.value.to_string(),
            status: status.name(),
            issued_by: redemption.id.to_string(),
            issued_at: redemption.at.to_string(),
            expires_at: coupon.expires_at.to_string(),
            uses: coupon.uses,
            used_on: coupon.used_by.iter().map(ToString::to_string).collect(),
            reserved_for: coupon.reserved.as_ref().filter(|(_, until)| *until > at).map(|(order, _)| order.to_string()),
            points: redemption.points - redemption.reversed,
        })
    }
}

impl EntryAnswer {
    pub(crate) fn of(number: u32, entry: &Entry, rules: &Timeline) -> EntryAnswer {
        let code = match &entry.why {
            accrue_ledger::Why::Trouble { code, .. } => code.to_string(),
            _ => String::new(),
        };
        let lots = entry.lots.iter();
        EntryAnswer {
            entry: number,
            at: entry.at.to_string(),
            kind: entry.kind.name(),
            ledger: entry.ledger.to_string(),
            points: entry.points,
            active_after: entry.active_after,
            source_kind: kind_name(entry.source_kind),
            source: entry.source.to_string(),
            rule: rule_name(rules, entry.ruleset, entry.rule),
            ruleset: format!("{:016x}", entry.ruleset),
            lots: lots
                .map(|part| LotPartAnswer { lot: part.lot, points: part.points, expires_at: part.expires_at.to_string() })
                .collect(),
            why: sentence(entry, rules),
            code,
        }
    }
}

impl MemberRow {
    pub(crate) fn of(shard: u32, member: &str, state: &Member, rules: &Timeline) -> MemberRow {
        let sums = state.account(accrue_ledger::MAIN).map(|account| account.sums).unwrap_or_default();
        MemberRow {
            member: member.to_string(),
            shard,
            active: sums.active,
            pending: sums.pending,
            debt: sums.debt,
            earned: sums.earned,
            spent: sums.spent,
            expired: sums.expired,
            orders: state.orders,
            eligible_spend: member::spend(state, rules).0,
            parked: state.parked,
            exceptions: state.exceptions,
            last_activity: state.last_activity().to_string(),
        }
    }
}
