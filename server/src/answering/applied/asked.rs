//! What is asked for when rules are to be applied: which policy for whom, and how far it may go unapproved.

use crate::problem::Problem;
use accrue_ledger::Instant;
use accrue_projections::{TrueUps, Who};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What becomes of what was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Policy {
    /// Nothing: the rules judge from an instant on
    Prospective,
    /// History shows the new numbers
    Restate,
    /// What was shown stays; one entry a member and ledger makes up the difference
    TrueUp,
    /// As true_up, for those who gain
    NeverWorse,
}

impl Policy {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Prospective => "prospective",
            Policy::Restate => "restate",
            Policy::TrueUp => "true_up",
            Policy::NeverWorse => "never_worse",
        }
    }

    fn parse(word: &str) -> Option<Policy> {
        let all = [Policy::Prospective, Policy::Restate, Policy::TrueUp, Policy::NeverWorse];
        all.into_iter().find(|policy| policy.name() == word)
    }

    fn true_ups(self) -> TrueUps {
        match self {
            Policy::Prospective | Policy::Restate => TrueUps::None,
            Policy::TrueUp => TrueUps::All,
            Policy::NeverWorse => TrueUps::Gains,
        }
    }
}

/// Rules to apply.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Text of the ruleset.
    pub new: String,
    /// For all who are in no cohort; absent: a cohort `rest` says it.
    pub policy: Option<Policy>,
    /// The first instant that the rules judge.
    pub from: Option<String>,
    /// The first that they do not; absent: they judge from then on.
    pub to: Option<String>,
    /// The instant at which it takes effect; absent: now.
    pub at: Option<String>,
    /// `tier=gold:never_worse`, …; the first that fits counts.
    #[serde(default)]
    pub cohorts: Vec<String>,
    /// Stop where more than so many of a hundred members change.
    pub max_members_pct: Option<u64>,
    /// Stop where differences of all members, without signs, come to more.
    pub max_abs_delta: Option<u64>,
    /// Go on all the same: a digest that a dry run gave.
    pub approve: Option<String>,
    /// Change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Why.
    pub note: Option<String>,
    /// Who.
    pub actor: Option<String>,
    /// How many gainers and losers are named.
    pub named: Option<usize>,
}

/// Some members, and what is done for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cohort {
    of: Of,
    /// What is done.
    pub policy: Policy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    /// At an instant; `None`: that of the application.
    Tier(String, Option<Instant>),
    Before(Instant),
    Rest,
}

impl Cohort {
    fn parse(text: &str) -> Result<Cohort, Problem> {
        let wrong = |why: &str| Problem::new("bad_request", format!("cohort {text:?}: {why}"));
        let form = "it has to be like tier=gold:never_worse, tier@2024-01-01T00:00:00Z=gold:true_up, since_before=2024-01-01T00:00:00Z:true_up or rest:prospective";
        let (who, policy) = text.rsplit_once(':').ok_or_else(|| wrong(form))?;
        let policy = Policy::parse(policy).ok_or_else(|| wrong("the policy is none of prospective, true_up, never_worse"))?;
        if policy == Policy::Restate {
            return Err(wrong(
                "rules have one timeline for all members, so nobody can have a history restated alone: use true_up",
            ));
        }
        let of = match who.split_once('=') {
            Some(("tier", tier)) => Of::Tier(tier.to_owned(), None),
            Some(("since_before", at)) => Of::Before(Instant::parse(at).ok_or_else(|| wrong("that is no instant"))?),
            Some((then, tier)) if let Some(at) = then.strip_prefix("tier@") => {
                Of::Tier(tier.to_owned(), Some(Instant::parse(at).ok_or_else(|| wrong("that is no instant"))?))
            }
            Some(("tag" | "segment", _)) => {
                return Err(wrong(
                    "tags and profiles are sealed, and rules do not read them: an erasure between planning and completing would make another plan. Tell cohorts by tier or since_before",
                ));
            }
            None if who == "rest" => Of::Rest,
            _ => return Err(wrong(form)),
        };
        Ok(Cohort { of, policy })
    }

    /// The tier that it is of, if it is of one.
    pub fn tier(&self) -> Option<&str> {
        if let Of::Tier(tier, _) = &self.of { Some(tier) } else { None }
    }

    fn has(&self, who: &Who<'_>) -> bool {
        match &self.of {
            Of::Tier(tier, None) => who.tier == tier,
            Of::Tier(tier, Some(at)) => who.tiers.get(at) == Some(tier),
            Of::Before(at) => who.since < *at,
            Of::Rest => true,
        }
    }
}

/// The cohorts in order, everybody else at the end.
///
/// # Errors
/// One is none, or nothing is said of the rest.
pub fn cohorts(words: &[String], rest: Option<Policy>) -> Result<Vec<Cohort>, Problem> {
    let mut cohorts = words.iter().map(|word| Cohort::parse(word)).collect::<Result<Vec<Cohort>, Problem>>()?;
    let restated = !cohorts.is_empty() && rest == Some(Policy::Restate);
    if restated {
        let why = "restate is for all members: rules have one timeline. Leave the cohorts out, or use true_up";
        return Err(Problem::new("bad_request", why));
    }
    if !cohorts.iter().any(|cohort| cohort.of == Of::Rest) {
        let policy =
            rest.ok_or_else(|| Problem::new("bad_request", "say what becomes of all others: policy, or a cohort rest"))?;
        cohorts.push(Cohort { of: Of::Rest, policy });
    }
    Ok(cohorts)
}

/// The instants at which they look at tiers, beside that of the application.
pub fn instants(cohorts: &[Cohort]) -> BTreeSet<Instant> {
    let then = |cohort: &Cohort| if let Of::Tier(_, at) = cohort.of { at } else { None };
    cohorts.iter().filter_map(then).collect()
}

/// What is done for a member.
pub fn true_ups(cohorts: &[Cohort], who: &Who<'_>) -> TrueUps {
    let cohort = cohorts.iter().find(|cohort| cohort.has(who));
    cohort.map_or(TrueUps::None, |cohort| cohort.policy.true_ups())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_first_cohort_that_fits_counts() {
        let words =
            ["tier=gold:never_worse", "tier@2022-06-01T00:00:00Z=gold:prospective", "since_before=2024-01-01T00:00:00Z:true_up"]
                .map(str::to_owned);
        let cohorts = cohorts(&words, Some(Policy::Prospective)).expect("good");
        let then = Instant::parse("2022-06-01T00:00:00Z").expect("an instant");
        assert_eq!(instants(&cohorts), BTreeSet::from([then]));
        let of = |tier, then_tier: &str, since| {
            let (tiers, since) = (BTreeMap::from([(then, then_tier.to_owned())]), Instant::parse(since).expect("an instant"));
            true_ups(&cohorts, &Who { tier, tiers: &tiers, since })
        };
        assert_eq!(of("gold", "gold", "2023-01-01T00:00:00Z"), TrueUps::Gains);
        assert_eq!(of("member", "gold", "2023-01-01T00:00:00Z"), TrueUps::None);
        assert_eq!(of("member", "member", "2023-12-31T23:59:59Z"), TrueUps::All);
        assert_eq!(of("member", "member", "2024-01-01T00:00:00Z"), TrueUps::None);
    }

    #[test]
    fn what_can_not_be_is_said() {
        let wrong = |words: &[&str], rest| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            cohorts(&words, rest).expect_err("wrong").detail
        };
        assert!(wrong(&["tier=gold:restate"], None).contains("one timeline"));
        assert!(wrong(&["tier=gold:true_up"], Some(Policy::Restate)).contains("one timeline"));
        assert!(wrong(&["tier=gold:true_up"], None).contains("all others"));
        assert!(wrong(&["tag=vip:true_up"], None).contains("sealed"));
        assert!(wrong(&["gold"], None).contains("like tier=gold"));
    }
}
