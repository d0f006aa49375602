//! Why a number is what it is: sentences of entries, and the finding of every rule on an order (§13).

use crate::answer::{EntryAnswer, decimal, money_or_count, rule_name};
use accrue_ledger::currency::{exponent, format_amount};
use accrue_ledger::{
    EarnRule, End, Entry, EntryKind, Instant, Kind, Life, Order, Ratio, Ruleset, Start, TierCause, TierChange, Timeline, Why,
    worth,
};
use serde::Serialize;

/// An order explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The order.
    pub order_id: String,
    /// Its instant; empty: it has not come yet.
    pub occurred_at: String,
    /// Its highest version.
    pub version: u32,
    /// The ruleset that judges it, and from its time zone the calendar.
    pub ruleset: String,
    /// Its zone.
    pub time_zone: String,
    /// What counts of it now, in its currency.
    pub eligible: String,
    /// Refunds noted on it, by line: pieces and amount.
    pub refunds: Vec<String>,
    /// What each rule made of it.
    pub rules: Vec<RuleFinding>,
    /// The entries it led to: its own, and those of its lots.
    pub entries: Vec<EntryAnswer>,
}

/// What a rule made of an order, or what kept it from earning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFinding {
    /// The rule.
    pub rule: String,
    /// Points now.
    pub points: i64,
    /// The calculation, or why not.
    pub because: String,
}

fn money(amount: i64, currency: &str) -> String {
    format!("{} {currency}", format_amount(amount, exponent(currency).unwrap_or(2)))
}

pub(crate) fn explain_order(order: &Order, rules: &Timeline, entries: &[Entry]) -> Option<Explanation> {
    let own: Vec<u32> = order.placed.iter().flat_map(|placed| &placed.awards).flat_map(|award| &award.lots).copied().collect();
    let about = |entry: &&(u32, &Entry)| {
        let named = entry.1.source_kind == Kind::OrderPlaced as u8 && *entry.1.source == *order.order_id;
        named || entry.1.lots.iter().any(|part| own.contains(&part.lot))
    };
    let numbered: Vec<(u32, &Entry)> = (0..).zip(entries).collect();
    let told = numbered.iter().filter(about).map(|(number, entry)| EntryAnswer::of(*number, entry, rules)).collect();
    let placed = order.placed.as_ref();
    let ruleset = placed.and_then(|placed| rules.by_tag(placed.ruleset));
    let currency = placed.map_or("", |placed| placed.currency.as_str());
    let mut refunds: Vec<String> = order.refunds.iter().map(|refund| refund_line(refund, currency)).collect();
    if order.refunded_amount > 0 {
        refunds.push(format!("amount {}", money(order.refunded_amount, currency)));
    }
    let findings = placed.zip(ruleset).map_or(Vec::new(), |(placed, ruleset)| {
        let worths = worth::worths(order, placed, ruleset);
        let rules = ruleset.earn.iter().zip(worths).enumerate();
        let award = |index: usize| placed.awards.iter().find(|award| usize::from(award.rule) == index);
        rules.map(|(index, (rule, worth))| finding(rule, worth, award(index), currency, ruleset)).collect()
    });
    Some(Explanation {
        order_id: order.order_id.to_string(),
        occurred_at: placed.map_or_else(String::new, |placed| placed.at.to_string()),
        version: placed.map_or(0, |placed| placed.version),
        ruleset: ruleset.map_or_else(String::new, |ruleset| ruleset.hash_hex()),
        time_zone: ruleset.map_or_else(String::new, |ruleset| ruleset.time_zone.to_string()),
        eligible: placed
            .zip(ruleset)
            .map_or_else(String::new, |(placed, rules)| money(worth::eligible(order, placed, rules), currency)),
        refunds,
        rules: findings,
        entries: told,
    })
}

fn refund_line(refund: &accrue_ledger::LineRefund, currency: &str) -> String {
    format!("line {}: {} pieces, {}", refund.line_id, refund.pieces, money(refund.amount, currency))
}

fn finding(
    rule: &accrue_ledger::EarnRule,
    worth: worth::Worth,
    award: Option<&accrue_ledger::Award>,
    currency: &str,
    ruleset: &Ruleset,
) -> RuleFinding {
    let times = times(Some(rule), worth.tier, ruleset);
    let mut because = match (worth.why_not, rule.per) {
        (Some(why_not), _) => why_not.sentence().to_string(),
        (None, None) => format!("{} points{times} for the order, eligible {}", rule.points, money(worth.eligible, currency)),
        (None, Some(per)) => {
            let how = format!("{:?}", ruleset.eligible.round).to_lowercase();
            let factor = if currency == ruleset.currency { String::new() } else { format!(" in {}", ruleset.currency) };
            let rate = format!("{} per {}", rule.points, money(per, &ruleset.currency));
            format!("{} eligible{factor} × {rate}{times}, rounded once ({how})", money(worth.eligible, currency))
        }
    };
    let (mut points, limited) = (worth.points, award.and_then(|award| Some((award.points, award.limited.as_ref()?))));
    if let (Some(limit), Some((awarded, limited))) = (rule.limit, limited) {
        points = awarded;
        if limited.desired > awarded {
            because += &format!("; desired {}, awarded {awarded}: limited to {}", limited.desired, limit.name());
        }
    }
    RuleFinding { rule: rule.id.to_string(), points, because }
}

/// ` × 1.5 (tier gold)`; nothing where points are not multiplied.
fn times(rule: Option<&EarnRule>, tier: u8, ruleset: &Ruleset) -> String {
    let multiplier = rule.map_or(Ratio::ONE, |rule| ruleset.multiplier(rule, tier));
    match &ruleset.tiers {
        Some(tiers) if multiplier != Ratio::ONE => format!(" × {} (tier {})", decimal(multiplier), tiers.get(tier).id),
        _ => String::new(),
    }
}

/// A person's sentence for an entry.
pub fn sentence(entry: &Entry, rules: &Timeline) -> String {
    let source = format!("{} {}", Kind::from_number(u32::from(entry.source_kind)).map_or("fact", Kind::name), entry.source);
    let rule = rule_name(rules, entry.ruleset, entry.rule);
    let ruleset = rules.by_tag(entry.ruleset);
    let earn = ruleset.zip(entry.rule).and_then(|(ruleset, index)| ruleset.earn.get(usize::from(index)));
    let times = |tier: u8| ruleset.map_or_else(String::new, |ruleset| times(earn, tier, ruleset));
    match &entry.why {
        Why::Entitlement { eligible, before, after, tier, starts_at, expires_at } => {
            let amount = ruleset.map_or_else(|| eligible.to_string(), |ruleset| money(*eligible, &ruleset.currency));
            let change = if *before == 0 { format!("{after}") } else { format!("{after} instead of {before}") };
            let base = format!("{source}: rule {rule} gives {change} on {amount} eligible{}", times(*tier));
            if entry.kind == EntryKind::Earned {
                format!("{base}; {}", life(ruleset, entry, *starts_at, *expires_at))
            } else {
                base
            }
        }
        Why::Fixed { tier, starts_at, expires_at } => {
            let times = times(*tier);
            format!("{source}: rule {rule} gives {}{times}; {}", entry.points, life(ruleset, entry, *starts_at, *expires_at))
        }
        Why::Boundary if entry.kind == EntryKind::Activated => format!("points of {source} start"),
        Why::Boundary => format!("points of {source} end"),
        Why::NeverFulfilled => format!("{source} was not fulfilled in time: its points are given up"),
        Why::Erased => format!("{source}: the member was erased, its balance is forfeited"),
        Why::Fulfilled => format!("{source} was fulfilled: its points start"),
        Why::Uncovered { due } => format!("{source}: {due} points are not there and are owed"),
        Why::Debt => format!("points pay what {source} left owing"),
        Why::Redemption { reward } if reward.is_empty() => format!("{source}: plain points"),
        Why::Redemption { reward } => format!("{source}: reward {reward}"),
        Why::Reversal { guaranteed: true } => format!("{source}: points go back and live on for the time that is guaranteed"),
        Why::Reversal { guaranteed: false } => format!("{source}: points go back"),
        Why::EndedAlready => format!("{source}: the end of these points had passed"),
        Why::Manual { reason } => format!("{source}: by hand, {reason}"),
        Why::Import => format!("{source}: brought along from another system"),
        Why::TierEntered { tier } => format!("{source}: for entering tier {tier}"),
        Why::Tier(change) => tier_sentence(change, &source, ruleset.map(|ruleset| &**ruleset)),
        Why::Inactive => format!("points of {source} end: nothing was done for too long"),
        Why::Extended { before, until } => format!("{source}: points live to {until} instead of {before}, by this activity"),
        Why::Coupon { code, order } if order.is_empty() => format!("{source}: coupon {code}"),
        Why::Coupon { code, order } => format!("{source}: coupon {code}, order {order}"),
        Why::Trimmed { eligible, before, desired, awarded, tier, limited_by, starts_at, expires_at } => {
            let amount = match ruleset.filter(|_| *eligible != 0) {
                Some(ruleset) => format!(" on {} eligible", money(*eligible, &ruleset.currency)),
                None => String::new(),
            };
            let change = if *before == 0 { format!("{awarded}") } else { format!("{awarded} instead of {before}") };
            let base =
                format!("{source}: rule {rule} gives {change} of {desired}{amount}{}: its limit is {limited_by}", times(*tier));
            match entry.points {
                0 => base,
                _ if entry.kind == EntryKind::Earned => format!("{base}; {}", life(ruleset, entry, *starts_at, *expires_at)),
                _ => base,
            }
        }
        Why::Achievement { id, progress, target } => match entry.kind {
            EntryKind::Earned => format!("{source}: achievement {id} is completed and gives {}", entry.points),
            _ => format!("{source}: achievement {id} is at {progress} of {target}"),
        },
        Why::Transfer { other } if entry.points < 0 => format!("{source}: points go to {other}"),
        Why::Transfer { other } => format!("{source}: points come from {other}"),
        Why::Resolved { exception, order, reason } => resolved_sentence(exception, order, reason),
        Why::Referral { order, tier, starts_at, expires_at } => {
            let gives = format!("rule {rule} gives {}{}; they start {starts_at}", entry.points, times(*tier));
            friend_sentence(entry, order, &gives, *expires_at)
        }
        Why::Trouble { code, about } => format!("{source}: {code}: {about}"),
    }
}

/// What a person made of an exception.
fn resolved_sentence(exception: &str, order: &str, reason: &str) -> String {
    let how = if order.is_empty() { "written off".to_string() } else { format!("matched to order {order}") };
    let reason = if reason.is_empty() { String::new() } else { format!(", {reason}") };
    format!("{exception} is {how}{reason}")
}

/// What a friend brought, or took along.
fn friend_sentence(entry: &Entry, order: &str, gives: &str, expires_at: Instant) -> String {
    let friend = &entry.source;
    match entry.kind {
        EntryKind::Earned => {
            let did = if order.is_empty() { "joined".to_string() } else { format!("placed the first order {order}") };
            let ends = if expires_at == Instant::MAX { "never end".to_string() } else { format!("end {expires_at}") };
            format!("friend {friend} {did}: {gives}, {ends}")
        }
        _ => format!("order {order} of friend {friend} counts no more: what it gave is taken back"),
    }
}

/// How a member came from one tier to another.
fn tier_sentence(change: &TierChange, source: &str, ruleset: Option<&Ruleset>) -> String {
    let shown = |number: i64| ruleset.map_or_else(|| number.to_string(), |ruleset| money_or_count(number, ruleset));
    let (metric, needed) = (shown(change.metric), shown(change.needed));
    let moved = if change.from == change.to {
        format!("qualified for {} instead of {}, in force is still {}", change.qualified, change.qualified_before, change.to)
    } else {
        format!("{} instead of {}", change.to, change.from)
    };
    let held = if change.held_until == Instant::MAX { String::new() } else { format!("; held until {}", change.held_until) };
    let lowered = if change.lowered > 0 { format!(" (refunds took {} of it)", shown(change.lowered)) } else { String::new() };
    let because = match change.cause {
        TierCause::Order | TierCause::Activity | TierCause::Credit => {
            format!("{source} brings {metric} in the window, {needed} are needed{held}")
        }
        TierCause::HoldEnded | TierCause::GraceEnded => {
            let what = if change.cause == TierCause::HoldEnded { "hold" } else { "grace" };
            format!("the {what} ended with {metric} in the window{lowered}, {needed} were needed to keep it{held}")
        }
        TierCause::OverrideSet => format!("by hand, {source}"),
        TierCause::OverrideEnded => format!("the end of what was set by hand, {source}; {metric} in the window{held}"),
        TierCause::Ruleset => format!("other rules came into force; {metric} in the window{held}"),
    };
    format!("{moved}: {because}")
}

/// When the points start and end, and by which arithmetic.
fn life(ruleset: Option<&std::sync::Arc<Ruleset>>, entry: &Entry, starts_at: Instant, expires_at: Instant) -> String {
    let rule = ruleset.zip(entry.rule).and_then(|(ruleset, rule)| Some((ruleset, ruleset.earn.get(usize::from(rule))?)));
    let (start, end) = rule.map_or((String::new(), String::new()), |(ruleset, rule)| {
        (start_words(&rule.start, &ruleset.time_zone), end_words(&rule.life, &ruleset.time_zone))
    });
    if starts_at == Instant::MAX {
        // Neither is known before the goods leave.
        let end = match rule.map(|(_, rule)| &rule.life) {
            Some(life) if !life.from_earn && !matches!(life.end, End::Never) => format!("ends after that{end}"),
            _ => format!("ends {expires_at}{end}"),
        };
        return format!("starts when the order is fulfilled{}, {end}", rule.map_or("", |(_, rule)| cancel_words(&rule.start)));
    }
    format!("starts {starts_at}{start}, ends {expires_at}{end}")
}

/// Points that wait for fulfilment may be given up.
fn cancel_words(start: &Start) -> &'static str {
    match start {
        Start::Fulfilled { cancel_after: Some(_) } => " (given up if that takes longer than the ruleset allows)",
        _ => "",
    }
}

fn start_words(start: &Start, zone: &str) -> String {
    match start {
        Start::Immediate => " (at once)".to_string(),
        Start::After(_, to) if to.name().is_empty() => format!(" (pending, {zone})"),
        Start::After(_, to) => format!(" (pending, to {} in {zone})", to.name()),
        Start::Fulfilled { .. } => " (with fulfilment)".to_string(),
        Start::Dates(_) => format!(" (next of the ruleset's dates, {zone})"),
    }
}

fn end_words(life: &Life, zone: &str) -> String {
    let base = if life.from_earn { "earning" } else { "the start" };
    match &life.end {
        End::Never => String::new(),
        End::After(_, to) if to.name().is_empty() => format!(" (counted from {base}, {zone})"),
        End::After(_, to) => format!(" (counted from {base} to {} in {zone})", to.name()),
        End::Dates(_) => format!(" (next of the ruleset's dates after {base}, {zone})"),
    }
}
