//! Why a number is what it is: sentences of entries, trees of numbers, and the finding of every rule on an order (§13).

mod arithmetic;
mod order;
mod story;
mod tree;

pub(crate) use order::explain_order;
pub use order::{AchievementFinding, Explanation, LineFinding, RuleFinding};
pub(crate) use story::Story;
pub(crate) use tree::zone_name;
pub use tree::{About, Explained, NUMBERS, Node};

use crate::answer::{decimal, money_or_count, rule_name};
use accrue_ledger::currency::{exponent, format_amount};
use accrue_ledger::{
    EarnRule, End, Entry, EntryKind, Instant, Kind, Life, Ratio, Ruleset, Start, TierCause, TierChange, Timeline, Why,
};

fn money(amount: i64, currency: &str) -> String {
    format!("{} {currency}", format_amount(amount, exponent(currency).unwrap_or(2)))
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
