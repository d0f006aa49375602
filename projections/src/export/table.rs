//! The tables that analysts take away. The documentation of each column is in docs/guides/analysts.md.

use super::row::{Json, LocalDay, rows};
use accrue_ledger::{Instant, Text};

rows! {
    /// A fact or request as it stands in the log.
    FactRow "facts" {
        /// Its shard.
        shard: i64,
        /// Its place there.
        position: i64,
        /// When it was appended, by the engine's clock.
        recorded_at: Instant,
        /// Its place in the member's history: when it happened, or was decided.
        occurred_at: Instant,
        /// The program.
        program: Text,
        /// The member.
        member: Text,
        /// What happened.
        kind: &'static str,
        /// The producer …
        source: Text,
        /// … and its id of the fact.
        id: Text,
        /// It came behind the member's latest fact.
        late: bool,
        /// The fact; nothing: what is personal stays sealed.
        fact: Option<Json>,
        /// The answer to a request.
        decision: Option<Json>,
    }

    /// One change of one number of a member.
    EntryRow "entries" on day {
        /// The member.
        member: Text,
        /// Number of the entry within the member, from 0.
        entry: i64,
        /// When.
        occurred_at: Instant,
        /// The local day of that.
        day: LocalDay,
        /// What happened.
        kind: &'static str,
        /// The ledger.
        ledger: Text,
        /// Signed points.
        points: i64,
        /// Spendable points of the ledger afterwards.
        active_after: i64,
        /// What kind of fact caused it.
        source_kind: &'static str,
        /// That fact's natural id.
        source: Text,
        /// The earn rule.
        rule: Option<Text>,
        /// First 8 bytes of the hash of the ruleset, in hex.
        ruleset: Text,
        /// Of an order: its eligible amount, minor units.
        eligible: Option<i64>,
        /// Of a redemption: the reward.
        reward: Option<Text>,
        /// A code, where there is one: of a coupon, of an exception.
        code: Option<Text>,
        /// Why, as a word.
        why: &'static str,
    }

    /// What an entry did to a lot.
    MoveRow "moves" on day {
        /// The member.
        member: Text,
        /// The entry.
        entry: i64,
        /// The lot.
        lot: i64,
        /// When.
        occurred_at: Instant,
        /// The local day of that.
        day: LocalDay,
        /// Kind of the entry.
        kind: &'static str,
        /// The ledger.
        ledger: Text,
        /// Signed points.
        points: i64,
        /// It opened the lot.
        opens: bool,
    }

    /// A lot, also one that is used up.
    LotRow "lots" {
        /// The member.
        member: Text,
        /// Its number within the member.
        lot: i64,
        /// The ledger.
        ledger: Text,
        /// Kind of the entry that opened it.
        kind: &'static str,
        /// What kind of fact it comes from.
        source_kind: &'static str,
        /// That fact's natural id.
        source: Text,
        /// The earn rule.
        rule: Option<Text>,
        /// When it was opened.
        opened_at: Instant,
        /// The local day of that.
        opened_day: LocalDay,
        /// When it became spendable, where that came later.
        activated_at: Option<Instant>,
        /// Its own end.
        expires_at: Option<Instant>,
        /// When what is left ends: its own end, or an earlier one for want of activity.
        ends_at: Option<Instant>,
        /// The last local day on which what is left can be used.
        last_day: Option<LocalDay>,
        /// `active`, `pending`, or `closed`: nothing is left.
        status: &'static str,
        /// Points at the beginning.
        amount: i64,
        /// Points left.
        left: i64,
        /// Spent, net of what came back.
        spent: i64,
        /// Ended.
        expired: i64,
        /// Taken back, pending and active.
        clawed_back: i64,
        /// Used to repay debt.
        repaid: i64,
        /// Taken by hand or gone elsewhere.
        taken: i64,
    }

    /// A member.
    MemberRow "members" {
        /// The member.
        member: Text,
        /// `member`, `guest`, `registered`, `left` or `erased`.
        standing: &'static str,
        /// The tier in force.
        tier: Option<Text>,
        /// The tier by its own metric.
        tier_qualified: Option<Text>,
        /// What counts toward tiers: minor units, points or orders.
        tier_metric: Option<i64>,
        /// How long the tier is held.
        tier_held_until: Option<Instant>,
        /// The first entry.
        first_entry_at: Option<Instant>,
        /// The latest fact.
        last_activity: Instant,
        /// Orders placed.
        orders: i64,
        /// Eligible amount of all orders, minor units of the program's currency.
        eligible_spend: i64,
        /// Lines, tax and shipping of orders that were not cancelled, minus refunds, minor units.
        lifetime_value: i64,
        /// Facts that wait for their order.
        parked: i64,
        /// Exceptions that nobody has resolved.
        open_exceptions: i64,
        /// Members that are aliases of this one.
        aliases: i64,
    }

    /// A ledger of a member.
    BalanceRow "balances" {
        /// The member.
        member: Text,
        /// The ledger.
        ledger: Text,
        /// Spendable.
        active: i64,
        /// Not yet spendable.
        pending: i64,
        /// Owed.
        debt: i64,
        /// Ever credited.
        earned: i64,
        /// Spent, net of what was restored.
        spent: i64,
        /// Ended.
        expired: i64,
        /// Taken back while pending.
        cancelled: i64,
        /// Taken back while active.
        clawed_back: i64,
        /// Used to repay debt.
        repaid: i64,
        /// Taken by hand.
        deducted: i64,
        /// Came from another ledger or member.
        moved_in: i64,
        /// Went there.
        moved_out: i64,
    }

    /// A move from one tier to another.
    TierRow "tiers" on day {
        /// The member.
        member: Text,
        /// The entry.
        entry: i64,
        /// When.
        occurred_at: Instant,
        /// The local day of that.
        day: LocalDay,
        /// In force before.
        from_tier: Text,
        /// In force since.
        to_tier: Text,
        /// Qualified for since.
        qualified: Text,
        /// What led to it.
        cause: &'static str,
        /// What counted in the window: minor units, points or orders.
        metric: i64,
        /// What it was compared with.
        needed: i64,
        /// How long it is held.
        held_until: Option<Instant>,
    }

    /// A coupon.
    CouponRow "coupons" {
        /// The member.
        member: Text,
        /// What the member shows.
        code: Text,
        /// The reward.
        reward: Text,
        /// What it is worth.
        value: Text,
        /// `issued`, `reserved`, `used`, `revoked` or `expired`.
        status: &'static str,
        /// What issued it: `redemption_id` or `grant_id`.
        issued_by: Text,
        /// When.
        issued_at: Instant,
        /// The end of its life.
        expires_at: Option<Instant>,
        /// How often it can be used.
        uses: i64,
        /// How often it was.
        used: i64,
        /// The order it was last used on.
        used_on: Option<Text>,
    }

    /// A redemption or a grant.
    RedemptionRow "redemptions" {
        /// The member.
        member: Text,
        /// `redemption_id` or `grant_id`.
        redemption: Text,
        /// `redemption` or `grant`.
        kind: &'static str,
        /// When.
        redeemed_at: Instant,
        /// The ledger that paid.
        ledger: Text,
        /// The reward; nothing: plain points.
        reward: Option<Text>,
        /// What it cost.
        points: i64,
        /// What was given back.
        reversed: i64,
        /// The order it is tied to.
        order_id: Option<Text>,
        /// Its coupon.
        coupon: Option<Text>,
    }

    /// An order as it is then.
    OrderRow "orders" {
        /// The member.
        member: Text,
        /// The shop's id.
        order_id: Text,
        /// When it was placed.
        placed_at: Instant,
        /// The highest version.
        version: i64,
        /// ISO 4217.
        currency: Text,
        /// Where it was bought.
        channel: Option<Text>,
        /// Lines, tax and shipping, minus refunds, minor units of its currency.
        left_amount: i64,
        /// Its eligible amount now, minor units of the program's currency.
        eligible: i64,
        /// What it counts toward tiers.
        toward_tier: i64,
        /// Points it gives, net of what was taken back.
        points: i64,
        /// The member's first.
        first_order: bool,
        /// The member was excluded.
        excluded: bool,
        /// Taken back as a whole.
        cancelled: bool,
        /// When goods left.
        fulfilled_at: Option<Instant>,
    }

    /// Sums of a ledger on a local day: one column a kind of entry, and what members have in the evening.
    DailyRow "daily" {
        /// The ledger.
        ledger: Text,
        /// The local day.
        day: LocalDay,
        /// Active and pending in the morning.
        opening: i64,
        /// Entries of this kind, and so on: signed.
        earned: i64,
        /// Brought along from another system.
        imported: i64,
        /// Spent points that came back.
        restored: i64,
        /// From another ledger or member.
        transferred_in: i64,
        /// By hand, either way.
        adjusted: i64,
        /// Spent.
        spent: i64,
        /// Ended.
        expired: i64,
        /// Taken back while pending.
        cancelled: i64,
        /// Taken back while active.
        clawed_back: i64,
        /// Used to repay debt.
        debt_repaid: i64,
        /// To another ledger or member.
        transferred_out: i64,
        /// Active and pending in the evening.
        closing: i64,
        /// Debt that was opened, minus what was lifted.
        debt_opened: i64,
        /// Owed in the evening.
        debt_closing: i64,
        /// Pending points that became spendable; changes nothing of the sums.
        activated: i64,
        /// Entries that changed points.
        entries: i64,
    }

    /// A ledger of a member under two timelines of rules.
    ShiftRow "shifts" {
        /// The member.
        member: Text,
        /// The ledger.
        ledger: Text,
        /// Spendable under the rules there are …
        active_old: i64,
        /// … and under the others; and so on.
        active_new: i64,
        /// Not yet spendable.
        pending_old: i64,
        /// The same.
        pending_new: i64,
        /// Owed.
        debt_old: i64,
        /// The same.
        debt_new: i64,
        /// Of the active ones: those that end within 30 days.
        expiring_old: i64,
        /// The same.
        expiring_new: i64,
        /// By how much active + pending − debt changes.
        delta: i64,
        /// The tier in force under the rules there are; empty: the program has none.
        tier_old: Text,
        /// Under the others.
        tier_new: Text,
        /// Any of these differs.
        changed: bool,
    }
}
