//! A member's answer from its state: balances by ledger, lots, coupons.

use super::counted;
use super::referral::referrals_answer;
use super::{
    BalanceAnswer, CardAnswer, CouponAnswer, CouponsAnswer, ExceptionAnswer, ExclusionAnswer, LotAnswer, MemberAnswer,
    PartAnswer, PurchasesAnswer, tier_answer,
};
use crate::reader::Found;
use accrue_ledger::currency::format_amount;
use accrue_ledger::{CouponStatus, Instant, Member, Timeline};

/// What ends within so many days is "soon".
const SOON_DAYS: i64 = 30;
const DAY: i64 = 86_400_000_000;

/// What ends at or before this ends soon.
pub(crate) fn soon(at: Instant) -> Instant {
    Instant(at.0.saturating_add(SOON_DAYS * DAY))
}

pub(super) fn spend(state: &Member, rules: &Timeline) -> (String, String) {
    let (exponent, currency) = currency_of(state, rules);
    (format_amount(state.eligible_spend, exponent), currency)
}

fn currency_of(state: &Member, rules: &Timeline) -> (u32, String) {
    let known = rules.at(state.last.at).or_else(|| rules.activations().last().map(|known| &known.ruleset));
    known.map_or((2, String::new()), |rules| (rules.exponent, rules.currency.to_string()))
}

pub(crate) fn member_answer(shard: u32, program: &str, found: &Found) -> MemberAnswer {
    let member = found.member.as_str();
    let (state, rules) = (&found.state, &found.rules);
    let (eligible_spend, currency) = spend(state, rules);
    let open: Vec<CouponAnswer> =
        state.open.iter().filter_map(|redemption| CouponAnswer::of(redemption, member, found.at)).collect();
    let count = |status: CouponStatus| open.iter().filter(|coupon| coupon.status == status.name()).count() as u32;
    let coupons = CouponsAnswer {
        issued: count(CouponStatus::Issued),
        reserved: count(CouponStatus::Reserved),
        used: state.closed.used,
        revoked: state.closed.revoked,
        expired: state.closed.expired,
        open,
    };
    let exclusions = state.exclusions.iter().map(|excluded| ExclusionAnswer {
        from: excluded.from.to_string(),
        until: excluded.until.to_string(),
        earn: excluded.earn,
        redeem: excluded.redeem,
    });
    let standing = state.standing.as_deref();
    let cards = standing.into_iter().flat_map(|standing| &standing.cards).map(|card| CardAnswer {
        code: card.code.to_string(),
        status: card.status.name(),
        issued_at: card.issued_at.to_string(),
        replaced_by: Some(card.replaced_by.to_string()).filter(|code| !code.is_empty()),
    });
    let (in_force, counters) = (rules.at(found.at), state.counters.as_deref());
    let troubles = counters.into_iter().flat_map(|counters| &counters.troubles);
    MemberAnswer {
        standing: state.status().name(),
        erased_at: standing.and_then(|standing| standing.erased_at).map(|at| at.to_string()),
        merged: state.links().into_iter().flat_map(|links| &links.merged).map(ToString::to_string).collect(),
        cards: cards.collect(),
        number: None,
        profile: None,
        program: program.to_string(),
        member: member.to_string(),
        as_of: found.at.to_string(),
        shard,
        next_position: found.position.0,
        balance: state.accounts.iter().map(|account| (account.ledger.to_string(), balance(account, found.at, rules))).collect(),
        tier: rules.at(found.at).and_then(|rules| tier_answer(state, rules, found.at)),
        coupons,
        parked: state.parked,
        exceptions: state.exceptions,
        orders: state.orders,
        eligible_spend,
        purchases: PurchasesAnswer::of(&state.purchases, currency_of(state, rules).0),
        currency,
        facts: state.facts,
        last_activity: state.last_activity().to_string(),
        exclusions: exclusions.collect(),
        budgets: in_force.map_or_else(Vec::new, |rules| counted::budgets(counters, rules, found.at)),
        achievements: in_force.map_or_else(Vec::new, |rules| counted::achievements(counters, rules, found.at)),
        referrals: referrals_answer(member, state, found.at),
        open_exceptions: troubles.map(|trouble| ExceptionAnswer::of(member, trouble)).collect(),
    }
}

pub(crate) fn balance(account: &accrue_ledger::Account, at: Instant, rules: &Timeline) -> BalanceAnswer {
    let sums = &account.sums;
    let part = |(at, points): (Instant, i64)| PartAnswer { points, at: at.to_string() };
    let expiring = account.expiring(rules.at(at).map(|rules| &**rules));
    let soon = expiring.iter().filter(|(end, _)| *end <= soon(at));
    let mut starting: Vec<(Instant, i64)> = Vec::new();
    for lot in &account.pending {
        match starting.last_mut() {
            Some((at, points)) if *at == lot.starts_at() => *points += lot.left,
            _ => starting.push((lot.starts_at(), lot.left)),
        }
    }
    let active = account.active.iter().map(|lot| LotAnswer::of(lot, "active", rules));
    let pending = account.pending.iter().map(|lot| LotAnswer::of(lot, "pending", rules));
    BalanceAnswer {
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
        adjusted: sums.added - sums.deducted,
        imported: sums.imported,
        expiring_soon: soon.map(|(_, points)| points).sum(),
        expiring: expiring.iter().copied().map(part).collect(),
        starting: starting.into_iter().map(part).collect(),
        lots: active.chain(pending).collect(),
    }
}
