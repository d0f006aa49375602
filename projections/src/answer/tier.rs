//! A member's tier from its state, moves between tiers, and points that end soon.

use accrue_ledger::currency::format_amount;
use accrue_ledger::{Entry, Instant, Member, Metric, Ratio, Ruleset, Timeline, Why};
use serde::Serialize;

/// How a member stands (§9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TierAnswer {
    /// The tier in force.
    pub effective: String,
    /// Its name.
    pub name: String,
    /// What it multiplies points with.
    pub earn_multiplier: String,
    /// The code shown to its members.
    pub discount_code: Option<String>,
    /// The tier by the member's own metric, hold included.
    pub qualified: String,
    /// `spend`, `points` or `orders`.
    pub counts: &'static str,
    /// What counts in the window.
    pub metric: String,
    /// The next tier above the qualified one.
    pub next: Option<String>,
    /// What is missing to it.
    pub missing: Option<String>,
    /// The end of the hold, or of the grace after it.
    pub held_until: Option<String>,
    /// The hold is over, the grace is not.
    pub in_grace: bool,
    /// The qualified tier after `held_until` if nothing else happens.
    pub projected: Option<String>,
    /// What has to be added by then to keep the qualified tier.
    pub to_keep: Option<String>,
    /// A tier by hand.
    pub r#override: Option<OverrideAnswer>,
}

/// A tier by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverrideAnswer {
    /// The tier.
    pub tier: String,
    /// `exact` or `floor`.
    pub mode: &'static str,
    /// Its end.
    pub until: String,
    /// The request.
    pub source: String,
}

/// A move from one tier to another, and what led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TierMove {
    /// When.
    pub at: String,
    /// The tier in force before.
    pub from: String,
    /// The tier in force since.
    pub to: String,
    /// The tier qualified for before.
    pub qualified_before: String,
    /// The tier qualified for since.
    pub qualified: String,
    /// `order`, `activity`, `credit`, `hold_ended`, `grace_ended`, `override_set`, `override_ended` or `ruleset`.
    pub cause: &'static str,
    /// What counted in the window.
    pub metric: String,
    /// What it was compared with; absent: nothing.
    pub needed: Option<String>,
    /// What refunds, cancellations and lower versions had taken of the window.
    pub lowered: String,
    /// How long the qualified tier is held.
    pub held_until: String,
    /// The fact: its kind …
    pub source_kind: &'static str,
    /// … and its natural id.
    pub source: String,
    /// Why, in a sentence.
    pub why: String,
}

/// Points of a member that end at an instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ExpiringRow {
    /// When.
    pub at: String,
    /// The member.
    pub member: String,
    /// The ledger.
    pub ledger: String,
    /// How many.
    pub points: i64,
    /// They end for want of activity.
    pub by_inactivity: bool,
}

/// `None`: the ruleset has no tiers.
pub(crate) fn tier_answer(state: &Member, rules: &Ruleset, at: Instant) -> Option<TierAnswer> {
    let tiers = rules.tiers.as_ref()?;
    let progress = state.tier_progress(rules, at)?;
    let id = |tier: u8| tiers.get(tier).id.to_string();
    let shown = |number: i64| money_or_count(number, rules);
    let effective = tiers.get(progress.effective);
    let over = state.tier.as_ref().and_then(|state| state.over.as_ref());
    Some(TierAnswer {
        effective: effective.id.to_string(),
        name: effective.name.to_string(),
        earn_multiplier: decimal(effective.multiplier),
        discount_code: effective.discount_code.as_ref().map(ToString::to_string),
        qualified: id(progress.qualified),
        counts: match tiers.metric {
            Metric::Spend => "spend",
            Metric::Points => "points",
            Metric::Orders => "orders",
        },
        metric: shown(progress.metric),
        next: progress.next.map(|(next, _)| id(next)),
        missing: progress.next.map(|(_, missing)| shown(missing)),
        held_until: progress.held_until.map(|until| until.to_string()),
        in_grace: progress.in_grace,
        projected: progress.projected.map(id),
        to_keep: progress.to_keep.map(shown),
        r#override: over.map(|over| OverrideAnswer {
            tier: over.tier.to_string(),
            mode: if over.floor { "floor" } else { "exact" },
            until: over.until.to_string(),
            source: over.source.to_string(),
        }),
    })
}

/// A number of the metric: money under `spend`, else whole.
pub(crate) fn money_or_count(number: i64, rules: &Ruleset) -> String {
    let money = rules.tiers.as_ref().is_none_or(|tiers| tiers.metric == Metric::Spend);
    if money { format_amount(number, rules.exponent) } else { number.to_string() }
}

/// A multiplier as it is written in a ruleset.
pub fn decimal(ratio: Ratio) -> String {
    let whole = ratio.num / ratio.den;
    let (mut rest, mut digits) = (ratio.num % ratio.den, String::new());
    while rest != 0 && digits.len() < 12 {
        rest *= 10;
        digits.push_str(&(rest / ratio.den).to_string());
        rest %= ratio.den;
    }
    if digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") }
}

impl TierMove {
    /// `None`: the entry is about something else.
    pub(crate) fn of(entry: &Entry, rules: &Timeline) -> Option<TierMove> {
        let Why::Tier(change) = &entry.why else { return None };
        let ruleset = rules.by_tag(entry.ruleset);
        let shown = |number: i64| ruleset.map_or_else(|| number.to_string(), |ruleset| money_or_count(number, ruleset));
        Some(TierMove {
            at: entry.at.to_string(),
            from: change.from.to_string(),
            to: change.to.to_string(),
            qualified_before: change.qualified_before.to_string(),
            qualified: change.qualified.to_string(),
            cause: change.cause.name(),
            metric: shown(change.metric),
            needed: (change.needed > 0).then(|| shown(change.needed)),
            lowered: shown(change.lowered),
            held_until: change.held_until.to_string(),
            source_kind: super::kind_name(entry.source_kind),
            source: entry.source.to_string(),
            why: crate::explain::sentence(entry, rules),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_as_written() {
        for text in ["1", "1.25", "0.5", "12.0625"] {
            assert_eq!(decimal(Ratio::parse(text).expect("a decimal")), text);
        }
    }
}
