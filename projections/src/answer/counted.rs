//! What is counted of a member: budgets of rules and rewards, achievements, and exceptions that wait for a person.

use accrue_ledger::currency::{exponent, format_amount};
use accrue_ledger::{Achievement, Counted, Counters, Goal, Instant, Limit, Progress, Ruleset, Trouble};
use serde::Serialize;

/// How much of a limit is used, in the period that lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetAnswer {
    /// `earn` (points of a rule) or `reward` (redemptions and grants).
    pub of: &'static str,
    /// The rule or reward.
    pub id: String,
    /// Used.
    pub used: i64,
    /// At most.
    pub limit: i64,
    /// `P1D`, `P1W`, `P1M`, `P3M`, `P1Y`; empty: all time.
    pub each: &'static str,
    /// The first instant of the period; empty: all time.
    pub from: String,
    /// When it begins again at 0; empty: never.
    pub resets_at: String,
}

/// An achievement of a member in one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AchievementAnswer {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// `in_progress`, `completed` or `expired`.
    pub status: &'static str,
    /// `orders`, `spend` or `activity:<name>`.
    pub count: String,
    /// How far it is: a number, or an amount of the program's currency.
    pub progress: String,
    /// How far it goes.
    pub target: String,
    /// What it gives.
    pub points: i64,
    /// As of a limit.
    pub each: &'static str,
    /// The first instant of the period; empty: all time.
    pub from: String,
    /// The first instant after it; empty: never.
    pub until: String,
    /// When it was completed; empty: it is not.
    pub completed_at: String,
}

/// An exception that nobody has resolved yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExceptionAnswer {
    /// What `exception_resolved` names: `<code>/<id of the source>`.
    pub exception: String,
    /// Whose.
    pub member: String,
    /// When.
    pub at: String,
    /// Stable code.
    pub code: String,
    /// What it is about.
    pub about: String,
    /// What it cost, points.
    pub cost: i64,
    /// What kind of fact it comes from.
    pub source_kind: &'static str,
    /// That fact's natural id.
    pub source: String,
    /// An order can still take it.
    pub can_be_matched: bool,
}

fn bound(at: Instant) -> String {
    if at == Instant::MIN || at == Instant::MAX { String::new() } else { at.to_string() }
}

/// Every limit of the ruleset, and what the member has used of it.
pub(crate) fn budgets(counters: Option<&Counters>, rules: &Ruleset, at: Instant) -> Vec<BudgetAnswer> {
    let of = |of: &'static str, what: Counted, id: &str, limit: Limit| {
        let from = limit.each.start(at, &rules.zone);
        BudgetAnswer {
            of,
            id: id.to_string(),
            used: counters.map_or(0, |counters| counters.used(what, id, from)),
            limit: limit.most,
            each: limit.each.name(),
            from: bound(from),
            resets_at: bound(limit.each.end(at, &rules.zone)),
        }
    };
    let earn = rules.earn.iter().filter_map(|rule| Some(of("earn", Counted::Points, &rule.id, rule.limit?)));
    let rewards = rules.rewards.iter().filter_map(|reward| Some(of("reward", Counted::Reward, &reward.id, reward.per_member?)));
    earn.chain(rewards).collect()
}

/// Every achievement of the ruleset in the period that lasts; before it the last one that was begun and is over.
pub(crate) fn achievements(counters: Option<&Counters>, rules: &Ruleset, at: Instant) -> Vec<AchievementAnswer> {
    let mut all = Vec::new();
    for achievement in &rules.achievements {
        let known = counters.and_then(|counters| counters.achievements.iter().find(|known| known.id == *achievement.id));
        let period = achievement.each.start(at, &rules.zone);
        all.extend(
            known
                .filter(|known| known.period != period)
                .map(|known| in_period(achievement, Some(known), known.period, at, rules)),
        );
        all.push(in_period(achievement, known.filter(|known| known.period == period), period, at, rules));
    }
    all
}

fn in_period(
    achievement: &Achievement,
    known: Option<&Progress>,
    period: Instant,
    at: Instant,
    rules: &Ruleset,
) -> AchievementAnswer {
    let until = achievement.each.end(period, &rules.zone);
    let completed_at = known.and_then(|known| known.completed_at);
    let status = match completed_at {
        Some(_) => "completed",
        None if until <= at => "expired",
        None => "in_progress",
    };
    let shown = |number: i64| match achievement.goal {
        Goal::Spend => format_amount(number, exponent(&rules.currency).unwrap_or(2)),
        Goal::Orders | Goal::Activity(_) => number.to_string(),
    };
    AchievementAnswer {
        id: achievement.id.to_string(),
        name: achievement.name.to_string(),
        status,
        count: achievement.goal.name(),
        progress: shown(known.map_or(0, |known| known.progress)),
        target: shown(achievement.target),
        points: achievement.points,
        each: achievement.each.name(),
        from: bound(period),
        until: bound(until),
        completed_at: completed_at.map_or_else(String::new, |at| at.to_string()),
    }
}

impl ExceptionAnswer {
    pub(crate) fn of(member: &str, trouble: &Trouble) -> ExceptionAnswer {
        ExceptionAnswer {
            exception: trouble.id(),
            member: member.to_string(),
            at: trouble.at.to_string(),
            code: trouble.code.to_string(),
            about: trouble.about.to_string(),
            cost: trouble.cost,
            source_kind: super::kind_name(trouble.source_kind),
            source: trouble.source.to_string(),
            can_be_matched: !trouble.lines.is_empty() || trouble.amount > 0,
        }
    }
}
