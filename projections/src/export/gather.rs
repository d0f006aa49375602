//! A member's rows of every table that is asked for.

use super::row::{LocalDay, end, some};
use super::table::{BalanceRow, CouponRow, EntryRow, LotRow, MemberRow, MoveRow, OrderRow, RedemptionRow, TierRow};
use super::{Rows, Selection};
use crate::answer::kind_name;
use crate::folded::Folded;
use crate::liability::{local_day, lots_of};
use accrue_ledger::calendar::day_number;
use accrue_ledger::worth::amount_left;
use accrue_ledger::{CouponStatus, Entry, EntryKind, Instant, Kind, Order, Record, RedemptionRecord, Text, Timeline, Why};
use std::collections::BTreeMap;

impl Rows {
    /// Adds a member.
    pub fn member(&mut self, folded: &Folded<'_>, of: &Selection) {
        let member = Text::new(folded.member);
        let days: Vec<LocalDay> = folded.entries.iter().map(|entry| LocalDay(local_day(folded.rules, entry))).collect();
        let range = of.range(folded.entries);
        if of.tables.entries {
            self.entries.extend(range.clone().map(|number| entry_row(&member, number, days[number], folded)));
        }
        if of.tables.tiers {
            let of_entry = |number: usize| tier_row(&member, number, days[number], &folded.entries[number]);
            self.tiers.extend(range.clone().filter_map(of_entry));
        }
        if of.tables.lots || of.tables.moves {
            self.lots_and_moves(&member, folded, &days, range, of);
        }
        if of.tables.members {
            self.members.push(member_row(&member, folded));
        }
        if of.tables.balances {
            self.balances.extend(folded.state.accounts.iter().map(|account| balance_row(&member, account)));
        }
        if of.tables.orders || of.tables.coupons || of.tables.redemptions {
            self.of_records(&member, folded, of);
        }
        if of.tables.daily {
            self.flows.member(folded, false);
        }
    }

    fn lots_and_moves(
        &mut self,
        member: &Text,
        folded: &Folded<'_>,
        days: &[LocalDay],
        range: std::ops::Range<usize>,
        of: &Selection,
    ) {
        let (lots, moves) = lots_of(folded.entries);
        if of.tables.moves {
            self.moves.extend(moves.iter().filter(|one| range.contains(&one.entry)).map(|one| {
                let entry = &folded.entries[one.entry];
                MoveRow {
                    member: member.clone(),
                    entry: one.entry as i64,
                    lot: i64::from(one.lot),
                    occurred_at: entry.at,
                    day: days[one.entry],
                    kind: entry.kind.name(),
                    ledger: entry.ledger.clone(),
                    points: one.points,
                    opens: one.opens,
                }
            }));
        }
        if !of.tables.lots {
            return;
        }
        let in_force = folded.rules.at(folded.at).map(|rules| &**rules);
        let mut open: BTreeMap<u32, (&'static str, Instant)> = BTreeMap::new();
        for account in &folded.state.accounts {
            let idle = account.idle_end(in_force).unwrap_or(Instant::MAX);
            open.extend(account.active.iter().map(|lot| (lot.number, ("active", lot.expires_at.min(idle)))));
            open.extend(account.pending.iter().map(|lot| (lot.number, ("pending", lot.expires_at))));
        }
        self.lots.extend(lots.iter().map(|lot| {
            let entry = &folded.entries[lot.opened_by];
            let moved = |kinds: &[EntryKind]| -> i64 { kinds.iter().filter_map(|kind| lot.moved.get(kind.sum_index()?)).sum() };
            let (status, ends) = open.get(&lot.number).copied().unwrap_or(("closed", Instant::MAX));
            LotRow {
                member: member.clone(),
                lot: i64::from(lot.number),
                ledger: lot.ledger.clone(),
                kind: entry.kind.name(),
                source_kind: kind_name(entry.source_kind),
                source: entry.source.clone(),
                rule: rule_name(folded.rules, entry),
                opened_at: lot.opened_at,
                opened_day: days[lot.opened_by],
                activated_at: lot.activated_at,
                expires_at: end(lot.expires_at),
                ends_at: end(ends),
                last_day: end(ends).and_then(|ends| last_day(folded.rules, ends)),
                status,
                amount: lot.amount,
                left: lot.left,
                spent: moved(&[EntryKind::Spent, EntryKind::Restored]),
                expired: moved(&[EntryKind::Expired]),
                clawed_back: moved(&[EntryKind::Cancelled, EntryKind::ClawedBack]),
                repaid: moved(&[EntryKind::DebtRepaid]),
                taken: moved(&[EntryKind::Adjusted, EntryKind::TransferredOut]),
            }
        }));
    }

    fn of_records(&mut self, member: &Text, folded: &Folded<'_>, of: &Selection) {
        let mut redemption = |redemption: &RedemptionRecord| {
            if of.tables.redemptions && of.holds(redemption.at) {
                self.redemptions.push(redemption_row(member, redemption));
            }
            if of.tables.coupons && of.holds(redemption.at) {
                self.coupons.extend(coupon_row(member, redemption, folded.at));
            }
        };
        folded.state.open.iter().for_each(&mut redemption);
        for (_, record) in folded.records.iter() {
            match &*record {
                Record::Redemption(record) => redemption(record),
                Record::Order(order) if of.tables.orders => {
                    let placed = order.placed.as_ref().filter(|placed| of.holds(placed.at));
                    self.orders.extend(placed.map(|placed| order_row(member, order, placed)));
                }
                Record::Order(_) | Record::Code(_) | Record::Friend(_) => {}
            }
        }
    }
}

fn rule_name(rules: &Timeline, entry: &Entry) -> Option<Text> {
    some(&crate::answer::rule_name(rules, entry.ruleset, entry.rule))
}

pub(super) fn entry_row(member: &Text, number: usize, day: LocalDay, folded: &Folded<'_>) -> EntryRow {
    let entry = &folded.entries[number];
    let (mut eligible, mut reward, mut code) = (None, None, None);
    match &entry.why {
        Why::Entitlement { eligible: amount, .. } | Why::Trimmed { eligible: amount, .. } => eligible = Some(*amount),
        Why::Redemption { reward: of } => reward = some(of),
        Why::Coupon { code: of, .. } | Why::Trouble { code: of, .. } => code = some(of),
        Why::Resolved { exception, .. } => code = some(exception),
        _ => {}
    }
    EntryRow {
        member: member.clone(),
        entry: number as i64,
        occurred_at: entry.at,
        day,
        kind: entry.kind.name(),
        ledger: entry.ledger.clone(),
        points: entry.points,
        active_after: entry.active_after,
        source_kind: kind_name(entry.source_kind),
        source: entry.source.clone(),
        rule: rule_name(folded.rules, entry),
        ruleset: Text::new(&format!("{:016x}", entry.ruleset)),
        eligible,
        reward,
        code,
        why: why_name(&entry.why),
    }
}

/// A reason, as a word.
fn why_name(why: &Why) -> &'static str {
    match why {
        Why::Entitlement { .. } => "entitlement",
        Why::Fixed { .. } => "fixed",
        Why::Boundary => "boundary",
        Why::NeverFulfilled => "never_fulfilled",
        Why::Fulfilled => "fulfilled",
        Why::Uncovered { .. } => "uncovered",
        Why::Debt => "debt",
        Why::Redemption { .. } => "redemption",
        Why::Reversal { .. } => "reversal",
        Why::EndedAlready => "ended_already",
        Why::Manual { .. } => "manual",
        Why::Import => "import",
        Why::TierEntered { .. } => "tier_entered",
        Why::Tier(_) => "tier",
        Why::Inactive => "inactive",
        Why::Extended { .. } => "extended",
        Why::Coupon { .. } => "coupon",
        Why::Trimmed { .. } => "trimmed",
        Why::Achievement { .. } => "achievement",
        Why::Transfer { .. } => "transfer",
        Why::Resolved { .. } => "resolved",
        Why::Trouble { .. } => "trouble",
        Why::Erased => "erased",
        Why::Referral { .. } => "referral",
    }
}

fn tier_row(member: &Text, number: usize, day: LocalDay, entry: &Entry) -> Option<TierRow> {
    let Why::Tier(change) = &entry.why else { return None };
    Some(TierRow {
        member: member.clone(),
        entry: number as i64,
        occurred_at: entry.at,
        day,
        from_tier: change.from.clone(),
        to_tier: change.to.clone(),
        qualified: change.qualified.clone(),
        cause: change.cause.name(),
        metric: change.metric,
        needed: change.needed,
        held_until: end(change.held_until),
    })
}

fn member_row(member: &Text, folded: &Folded<'_>) -> MemberRow {
    let state = &folded.state;
    let rules = folded.rules.at(folded.at);
    let progress = rules.and_then(|rules| Some((rules.tiers.as_ref()?, state.tier_progress(rules, folded.at)?)));
    let tier = |of: u8| progress.as_ref().map(|(tiers, _)| Text::new(&tiers.get(of).id));
    let troubles = state.counters.as_deref().map_or(0, |counters| counters.troubles.len());
    MemberRow {
        member: member.clone(),
        standing: state.status().name(),
        tier: progress.as_ref().and_then(|(_, progress)| tier(progress.effective)),
        tier_qualified: progress.as_ref().and_then(|(_, progress)| tier(progress.qualified)),
        tier_metric: progress.as_ref().map(|(_, progress)| progress.metric),
        tier_held_until: progress.as_ref().and_then(|(_, progress)| progress.held_until).and_then(end),
        first_entry_at: folded.entries.first().map(|entry| entry.at),
        last_activity: state.last.at,
        orders: i64::from(state.orders),
        eligible_spend: state.eligible_spend,
        lifetime_value: state.purchases.lifetime_value,
        parked: i64::from(state.parked),
        open_exceptions: troubles as i64,
        aliases: state.links().map_or(0, |links| links.merged.len()) as i64,
    }
}

fn balance_row(member: &Text, account: &accrue_ledger::Account) -> BalanceRow {
    let sums = &account.sums;
    BalanceRow {
        member: member.clone(),
        ledger: account.ledger.clone(),
        active: sums.active,
        pending: sums.pending,
        debt: sums.debt,
        earned: sums.earned,
        spent: sums.spent,
        expired: sums.expired,
        cancelled: sums.cancelled,
        clawed_back: sums.clawed_back,
        repaid: sums.repaid,
        deducted: sums.deducted,
        moved_in: sums.moved_in,
        moved_out: sums.moved_out,
    }
}

fn redemption_row(member: &Text, redemption: &RedemptionRecord) -> RedemptionRow {
    RedemptionRow {
        member: member.clone(),
        redemption: redemption.id.clone(),
        kind: if redemption.family == Kind::RewardGranted as u8 { "grant" } else { "redemption" },
        redeemed_at: redemption.at,
        ledger: redemption.ledger.clone(),
        reward: some(&redemption.reward),
        points: redemption.points,
        reversed: redemption.reversed,
        order_id: some(&redemption.order_id),
        coupon: redemption.coupon.as_ref().map(|coupon| coupon.code.clone()),
    }
}

fn coupon_row(member: &Text, redemption: &RedemptionRecord, at: Instant) -> Option<CouponRow> {
    let coupon = redemption.coupon.as_ref()?;
    let status = match coupon.status() {
        CouponStatus::Issued | CouponStatus::Reserved if coupon.expires_at <= at => CouponStatus::Expired,
        status => status,
    };
    Some(CouponRow {
        member: member.clone(),
        code: coupon.code.clone(),
        reward: redemption.reward.clone(),
        value: coupon.value.clone(),
        status: status.name(),
        issued_by: redemption.id.clone(),
        issued_at: redemption.at,
        expires_at: end(coupon.expires_at),
        uses: i64::from(coupon.uses),
        used: coupon.used_by.len() as i64,
        used_on: coupon.used_by.last().and_then(|order| some(order)),
    })
}

fn order_row(member: &Text, order: &Order, placed: &accrue_ledger::Placed) -> OrderRow {
    OrderRow {
        member: member.clone(),
        order_id: order.order_id.clone(),
        placed_at: placed.at,
        version: i64::from(placed.version),
        currency: placed.currency.clone(),
        channel: some(&placed.channel),
        left_amount: if order.cancelled { 0 } else { amount_left(order, placed) },
        eligible: placed.counted,
        toward_tier: placed.toward_tier,
        points: placed.awards.iter().map(|award| award.points).sum(),
        first_order: placed.first_order,
        excluded: placed.excluded,
        cancelled: order.cancelled,
        fulfilled_at: order.fulfilled_at,
    }
}

impl Selection {
    /// Entries within the range of instants.
    pub(super) fn range(&self, entries: &[Entry]) -> std::ops::Range<usize> {
        // In order of folding, which is that of instants.
        entries.partition_point(|entry| entry.at < self.from)..entries.partition_point(|entry| entry.at < self.until)
    }

    fn holds(&self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }

    /// The rows of a day, in the zone of the rules in force then.
    pub(super) fn day_of(rules: &Timeline, at: Instant) -> Option<i32> {
        rules.at(at).map(|rules| day_number(at, &rules.zone))
    }
}

/// Ends are exclusive: a lot that ends at midnight can be used on the day before.
fn last_day(rules: &Timeline, ends: Instant) -> Option<LocalDay> {
    let last = Instant(ends.0 - 1);
    rules.at(last).map(|rules| LocalDay(day_number(last, &rules.zone)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::Ruleset;

    #[test]
    fn the_day_before_an_end_is_the_last_one_where_the_members_are() {
        for (zone, end, day) in [
            ("America/New_York", "2024-02-01T05:00:00Z", 31),
            ("Europe/Berlin", "2024-01-31T23:00:00Z", 31),
            ("UTC", "2024-01-31T00:00:00Z", 30),
            ("UTC", "2024-01-31T00:00:00.000001Z", 31),
        ] {
            let rules = Ruleset::parse(&format!("program = \"p\"\ncurrency = \"USD\"\ntime_zone = \"{zone}\"\n")).expect("right");
            let end = Instant::parse(end).expect("an instant");
            // 19,723 days after 1970 is 2024-01-01.
            assert_eq!(last_day(&Timeline::always(rules), end), Some(LocalDay(19_722 + day)), "{zone} {end}");
        }
    }
}
