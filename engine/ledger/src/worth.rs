//! What an order is worth now, rule by rule: a pure function of the effective order and its ruleset (§3).
//!
//! An order of 60.00 with 20.00 refunded, under "1 point per 1.00": eligible 40.00, 40 points.

use crate::calendar;
use crate::ratio::{Ratio, spread};
use crate::record::{LineRefund, Order, OrderLine, Placed};
use crate::ruleset::{EarnRule, On, Ruleset, ThresholdBonus};

/// What one rule makes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worth {
    /// Minor units of the order's currency that count for the rule.
    pub eligible: i64,
    /// Points ≥ 0.
    pub points: i64,
    /// Points before the limit of the rule, ≥ `points`.
    pub desired: i64,
    /// The tier whose multiplier they have: a place in the list of the captured ruleset.
    pub tier: u8,
    /// What kept it from earning.
    pub why_not: Option<WhyNot>,
}

/// Why a rule gives nothing for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// The rule looks at activities.
    NotOnOrders,
    /// The order was cancelled.
    Cancelled,
    /// All its pieces were refunded.
    RefundedInFull,
    /// The member was excluded when it was placed.
    MemberExcluded,
    /// Placed before `from`, or at or after `until`.
    OutsideCampaign,
    /// Another channel.
    OtherChannel,
    /// Another day of the week.
    OtherWeekday,
    /// The member had another tier.
    OtherTier,
    /// Not the member's first order.
    NotFirstOrder,
    /// The ruleset does not know its currency.
    UnknownCurrency,
    /// The rule's expression does not hold.
    ExpressionFalse,
    /// The rule's expression failed, or would take too many steps.
    ExpressionFailed,
    /// No line is what the rule asks for.
    NoMatchingLine,
    /// Nothing of it earns: excluded lines, payments that don't earn, refunds.
    NothingEligible,
    /// Below `min_eligible`.
    BelowMinimum {
        /// What was compared with it, minor units of the order's currency.
        eligible: i64,
    },
    /// Less than one point after rounding.
    RoundsToZero,
}

impl WhyNot {
    /// For a person.
    pub fn sentence(self) -> &'static str {
        match self {
            WhyNot::NotOnOrders => "the rule looks at activities, not at orders",
            WhyNot::Cancelled => "the order was cancelled",
            WhyNot::RefundedInFull => "all its pieces were refunded",
            WhyNot::MemberExcluded => "the member was excluded from earning when it was placed",
            WhyNot::OutsideCampaign => "it was placed outside the rule's time",
            WhyNot::OtherChannel => "it was placed in another channel",
            WhyNot::OtherWeekday => "it was placed on another day of the week",
            WhyNot::OtherTier => "the member had a tier that the rule is not for",
            WhyNot::NotFirstOrder => "it is not the member's first order",
            WhyNot::UnknownCurrency => "the ruleset does not know its currency",
            WhyNot::ExpressionFalse => "the rule's expression does not hold",
            WhyNot::ExpressionFailed => {
                "the rule's expression failed (division by zero, overflow, no such index) or would take too many steps"
            }
            WhyNot::NoMatchingLine => "no line of it is what the rule asks for",
            WhyNot::NothingEligible => "nothing of it is eligible",
            WhyNot::BelowMinimum { .. } => "its eligible amount is below the rule's minimum",
            WhyNot::RoundsToZero => "it gives less than one point after rounding",
        }
    }
}

/// The parts of an order's amount that all rules share.
struct Amounts {
    /// Eligible amount of the whole order, refunds taken off.
    whole: i64,
    /// The same before refunds.
    whole_before: i64,
    /// Payments that don't earn.
    payments: i64,
    /// Refunds that name no line of the order.
    off_lines: i64,
    refunded_in_full: bool,
}

/// The eligible amount of the whole order as it is now, minor units of its currency; 0 when cancelled or excluded.
pub fn eligible(order: &Order, placed: &Placed, rules: &Ruleset) -> i64 {
    let amounts = amounts(order, placed, rules);
    if order.cancelled || amounts.refunded_in_full || placed.excluded { 0 } else { amounts.whole }
}

/// Eligible amount of the whole order, whoever the member is; minor units of its currency. 0: cancelled, or refunded in full.
pub(crate) fn whole(order: &Order, placed: &Placed, rules: &Ruleset) -> i64 {
    let amounts = amounts(order, placed, rules);
    if order.cancelled || amounts.refunded_in_full { 0 } else { amounts.whole }
}

/// The eligible amount of the whole order before refunds, and whether nothing is left of it.
pub(crate) fn before_refunds(order: &Order, placed: &Placed, rules: &Ruleset) -> (i64, bool) {
    let amounts = amounts(order, placed, rules);
    let refunded = order.refunded_amount > 0 || !order.refunds.is_empty();
    let gone = order.cancelled || amounts.refunded_in_full || (refunded && amount_left(order, placed) == 0);
    (amounts.whole_before, gone)
}

/// What each rule of the ruleset makes of the order, by index.
pub fn worths<'a>(order: &'a Order, placed: &'a Placed, rules: &'a Ruleset) -> impl Iterator<Item = Worth> + 'a {
    let amounts = amounts(order, placed, rules);
    let factor = rules.factor(&placed.currency);
    rules.earn.iter().enumerate().map(move |(index, rule)| match of_rule(index, rule, order, placed, rules, &amounts, factor) {
        Ok((eligible, points)) => {
            let why_not = (points == 0).then_some(WhyNot::RoundsToZero);
            Worth { eligible, points, desired: points, tier: placed.tier, why_not }
        }
        Err(why_not) => Worth { eligible: 0, points: 0, desired: 0, tier: placed.tier, why_not: Some(why_not) },
    })
}

/// What is left of the pieces and of the amount of a line, for refunds that look for a place.
pub fn left_of(line: &OrderLine, refunds: &[LineRefund]) -> (i64, i64) {
    let (pieces, amount) = refunded(line, refunds);
    (line.quantity - pieces, (line.value - amount).max(0))
}

/// What is left of the whole order's amount: lines, tax and shipping, minus all refunds.
pub fn amount_left(order: &Order, placed: &Placed) -> i64 {
    let lines: i64 = placed.lines.iter().map(|line| line.value - refunded(line, &order.refunds).1).sum();
    (lines + placed.tax + placed.shipping - off_lines(order, placed)).max(0)
}

/// Pieces and minor units that were refunded on a line: in the order of the refunds, each takes at most the pieces that are left.
/// An amount that was given counts; pieces without one are worth their share of the line, by how many there are of them in all.
fn refunded(line: &OrderLine, refunds: &[LineRefund]) -> (i64, i64) {
    let (mut pieces, mut by_share, mut amount) = (0, 0, 0);
    for refund in refunds.iter().filter(|refund| refund.line_id == line.line_id) {
        let part = refund.pieces.min(line.quantity - pieces);
        pieces += part;
        by_share += if refund.by_share { part } else { 0 };
        amount += refund.amount;
    }
    let share = i128::from(line.value) * i128::from(by_share) / i128::from(line.quantity.max(1));
    (pieces, amount + share as i64)
}

fn off_lines(order: &Order, placed: &Placed) -> i64 {
    let unknown = order.refunds.iter().filter(|refund| !placed.lines.iter().any(|line| line.line_id == refund.line_id));
    order.refunded_amount + unknown.map(|refund| refund.amount).sum::<i64>()
}

fn amounts(order: &Order, placed: &Placed, rules: &Ruleset) -> Amounts {
    let how = &rules.eligible;
    let payments = if how.gift_card_payment { 0 } else { placed.paid_with_gift_card }
        + if how.points_payment { 0 } else { placed.paid_with_points };
    let extras = if how.tax { placed.tax } else { 0 } + if how.shipping { placed.shipping } else { 0 };
    let lines: i64 = placed.lines.iter().filter(|line| !line.excluded).map(|line| line.value).sum();
    let whole_before = lines + extras - payments;
    if order.refunds.is_empty() && order.refunded_amount == 0 {
        let whole = whole_before.max(0);
        return Amounts { whole, whole_before: whole, payments, off_lines: 0, refunded_in_full: false };
    }
    let (mut taken, mut pieces, mut left) = (0, 0, 0);
    for line in &placed.lines {
        let (refunded_pieces, refunded_amount) = refunded(line, &order.refunds);
        taken += if line.excluded { 0 } else { refunded_amount };
        pieces += line.quantity;
        left += line.quantity - refunded_pieces;
    }
    let off_lines = off_lines(order, placed);
    let whole = (whole_before - taken - off_lines).max(0);
    Amounts { whole, whole_before: whole_before.max(0), payments, off_lines, refunded_in_full: pieces > 0 && left == 0 }
}

fn of_rule(
    index: usize,
    rule: &EarnRule,
    order: &Order,
    placed: &Placed,
    rules: &Ruleset,
    amounts: &Amounts,
    factor: Option<Ratio>,
) -> Result<(i64, i64), WhyNot> {
    let when = &rule.when;
    let checks = [
        (rule.on != On::Order, WhyNot::NotOnOrders),
        (placed.excluded, WhyNot::MemberExcluded),
        (order.cancelled, WhyNot::Cancelled),
        (amounts.refunded_in_full, WhyNot::RefundedInFull),
        (placed.at < when.from || placed.at >= when.until, WhyNot::OutsideCampaign),
        (!when.channels.is_empty() && !when.channels.iter().any(|channel| *channel == *placed.channel), WhyNot::OtherChannel),
        (when.first_order && !placed.first_order, WhyNot::NotFirstOrder),
        (!when.has_tier(placed.tier), WhyNot::OtherTier),
    ];
    if let Some((_, why_not)) = checks.into_iter().find(|(holds, _)| *holds) {
        return Err(why_not);
    }
    if when.weekdays != 0 && when.weekdays & (1 << calendar::weekday(placed.at, &rules.zone)) == 0 {
        return Err(WhyNot::OtherWeekday);
    }
    if when.expression.is_some() {
        let asked = placed.asked.as_deref().copied().unwrap_or_default();
        if asked.holds & (1 << index) == 0 {
            let failed = asked.failed & (1 << index) != 0;
            return Err(if failed { WhyNot::ExpressionFailed } else { WhyNot::ExpressionFalse });
        }
    }
    let factor = factor.ok_or(WhyNot::UnknownCurrency)?;
    let (eligible, before) = if when.lines.is_empty() {
        (amounts.whole, amounts.whole_before)
    } else {
        of_lines(index, order, placed, amounts).ok_or(WhyNot::NoMatchingLine)?
    };
    if eligible == 0 {
        return Err(WhyNot::NothingEligible);
    }
    if let Some(least) = when.min_eligible {
        let compared = if rules.refund.threshold_bonus == ThresholdBonus::Keep { before } else { eligible };
        if i128::from(compared) * factor.num < i128::from(least) * factor.den {
            return Err(WhyNot::BelowMinimum { eligible: compared });
        }
    }
    let points = match rule.per {
        None => rules.for_occurrence(rule, placed.tier),
        Some(per) => points_for(eligible, rule, per, factor, placed.tier, rules),
    };
    Ok((eligible, points))
}

/// `eligible × factor × points ÷ per × multiplier of the tier`, rounded once.
fn points_for(eligible: i64, rule: &EarnRule, per: i64, factor: Ratio, tier: u8, rules: &Ruleset) -> i64 {
    rate(rule, per, factor, tier, rules).apply(eligible, rules.eligible.round)
}

/// Points for one minor unit, exactly: factor × points ÷ per × multiplier of the tier.
pub fn rate(rule: &EarnRule, per: i64, factor: Ratio, tier: u8, rules: &Ruleset) -> Ratio {
    let rate = Ratio { num: factor.num * i128::from(rule.points), den: factor.den * i128::from(per) };
    let multiplier = rules.multiplier(rule, tier);
    Ratio { num: rate.num * multiplier.num, den: rate.den * multiplier.den }
}

/// Eligible amount of the lines that a rule asks for, now and before refunds. `None`: no such line.
fn of_lines(index: usize, order: &Order, placed: &Placed, amounts: &Amounts) -> Option<(i64, i64)> {
    let matches = |line: &OrderLine| !line.excluded && line.rules & (1 << index) != 0;
    if !placed.lines.iter().any(matches) {
        return None;
    }
    let share = |amount: i64| {
        if amount == 0 {
            return 0;
        }
        let mut shares = Vec::with_capacity(placed.lines.len());
        spread(amount, placed.lines.iter().map(|line| line.value), &mut shares);
        placed.lines.iter().zip(shares).filter(|(line, _)| matches(line)).map(|(_, share)| share).sum()
    };
    let (mut now, mut before) = (0, 0);
    for line in placed.lines.iter().filter(|line| matches(line)) {
        before += line.value;
        now += line.value - refunded(line, &order.refunds).1;
    }
    let payments = share(amounts.payments);
    Some(((now - payments - share(amounts.off_lines)).max(0), (before - payments).max(0)))
}
