//! What the door asks of a fact beyond its form: does the ruleset know what it names?

use crate::calendar::{Duration, To};
use crate::fact::{Body, Fact, Kind, When};
use crate::ruleset::{Price, Ruleset};

/// Why a fact can't be booked: it goes to the dead letters, whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Stable, snake_case.
    pub code: &'static str,
    /// What, and a hint.
    pub detail: String,
}

fn refuse(code: &'static str, detail: String) -> Result<(), Refusal> {
    Err(Refusal { code, detail })
}

/// Whether `fact` can be booked under the ruleset in force at its instant.
pub fn check(fact: &Fact<'_>, rules: &Ruleset) -> Result<(), Refusal> {
    match &fact.body {
        Body::OrderPlaced(order) => check_currency(order.currency, rules),
        Body::RefundRecorded(refund) => refund.currency.map_or(Ok(()), |currency| check_currency(currency, rules)),
        Body::Redemption(redemption) if fact.kind == Kind::RedemptionRecorded => {
            let fixed =
                redemption.reward.and_then(|id| rules.reward(id)).is_some_and(|reward| matches!(reward.price, Price::Fixed(_)));
            if redemption.points.is_none() && !fixed {
                let reward = redemption.reward.unwrap_or("none");
                return refuse("reward_unknown", format!("the ruleset has no cost for reward \"{reward}\"; name the points"));
            }
            check_ledger(redemption.ledger, rules)
        }
        Body::PointsImported(imported) => check_ledger(imported.ledger, rules),
        Body::PointsAdjusted(adjusted) => adjusted.starts.iter().chain(&adjusted.expires).try_for_each(|when| match when {
            When::After { after, to } if Duration::parse(after).is_none() || !(to.is_empty() || To::parse(to).is_some()) => {
                refuse(
                    "invalid_duration",
                    format!("{{ after = \"{after}\", to = \"{to}\" }} is no duration, such as {{ after = \"P14D\" }}"),
                )
            }
            _ => Ok(()),
        }),
        _ => Ok(()),
    }
}

fn check_currency(currency: &str, rules: &Ruleset) -> Result<(), Refusal> {
    match rules.factor(currency) {
        Some(_) => Ok(()),
        None => {
            refuse("unknown_currency", format!("program {} has no currency {currency}; add it under [currencies]", rules.program))
        }
    }
}

fn check_ledger(ledger: Option<&str>, rules: &Ruleset) -> Result<(), Refusal> {
    match ledger.filter(|ledger| !rules.has_ledger(ledger)) {
        None => Ok(()),
        Some(ledger) => {
            refuse("unknown_ledger", format!("program {} has no ledger \"{ledger}\"; declare it under [ledgers]", rules.program))
        }
    }
}
