//! What a ruleset says of limits, achievements and inactivity (§8, §12).

use super::calendar::Zone;
use super::number::{Ratio, decimal, decimals};
use super::rules::{number, part, tables, texts, word};
use anyhow::{Context, Result, bail};
use jiff::ToSpan;
use toml::{Table, Value};

/// A number that holds for each member and period.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Points, or how often.
    pub most: i64,
    /// How long a period is; `None`: all time.
    pub each: Option<String>,
}

/// What of is counted toward an achievement.
#[derive(Clone, Debug, PartialEq)]
pub enum Counted {
    /// Orders that are worth something.
    Orders,
    /// What they are worth, minor units.
    Spend,
    /// Activities of that name.
    Activity(String),
}

/// `[[achievement]]`
#[derive(Clone, Debug)]
pub struct Achievement {
    /// Its id.
    pub id: String,
    /// Orders, spend or an activity.
    pub count: Counted,
    /// How much; of spend: minor units.
    pub target: i64,
    /// How long a period is; `None`: all time.
    pub each: Option<String>,
    /// For completing it.
    pub points: i64,
    /// Where they go.
    pub ledger: String,
}

/// `[expiry] inactivity`
#[derive(Clone, Debug)]
pub struct Inactivity {
    /// How long after the last activity, to the end of that day.
    pub after: String,
    /// `order`, `redemption`.
    pub activities: Vec<String>,
}

/// An interval of time, end excluded.
pub type Period = (i64, i64);

/// The calendar period that contains `at`.
///
/// # Errors
/// No such period.
pub fn period(zone: &Zone, at: i64, each: Option<&str>) -> Result<Period> {
    let day = zone.local(at).date();
    let month = day.first_of_month();
    let (first, span) = match each {
        None => return Ok((i64::MIN, i64::MAX)),
        Some("P1D") => (day, 1.day()),
        Some("P1W") => (day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days())?, 1.week()),
        Some("P1M") => (month, 1.month()),
        Some("P3M") => (month.checked_sub(i64::from((day.month() - 1) % 3).months())?, 3.months()),
        Some("P1Y") => (month.checked_sub(i64::from(day.month() - 1).months())?, 1.year()),
        Some(other) => bail!("not a period: {other}"),
    };
    Ok((zone.day_start(first), zone.day_start(first.checked_add(span)?)))
}

/// `{ <most> = …, each = … }`
pub fn limit(table: &Table, key: &str, most: &str) -> Option<Limit> {
    let limit = table.get(key)?.as_table()?;
    Some(Limit { most: number(limit, most)?, each: limit.get("each").and_then(Value::as_str).map(str::to_owned) })
}

/// All `[[achievement]]`.
pub fn achievements(rules: &Table, currency: &str) -> Result<Vec<Achievement>> {
    tables(rules, "achievement").map(|one| achievement(one, currency)).collect()
}

fn achievement(one: &Table, currency: &str) -> Result<Achievement> {
    let count = match word(one, "count", "") {
        "orders" => Counted::Orders,
        "spend" => Counted::Spend,
        other => Counted::Activity(other.strip_prefix("activity:").context("count")?.to_owned()),
    };
    let target = match one.get("target") {
        Some(Value::String(amount)) => {
            let minor = decimal(amount)?.times(Ratio::whole(10_i128.pow(decimals(currency))));
            i64::try_from(minor.n / minor.d)?
        }
        target => target.and_then(Value::as_integer).context("target")?,
    };
    Ok(Achievement {
        id: word(one, "id", "").to_owned(),
        count,
        target,
        each: one.get("each").and_then(Value::as_str).map(str::to_owned),
        points: number(one, "points").unwrap_or(0),
        ledger: word(one, "ledger", "main").to_owned(),
    })
}

/// `[expiry] inactivity`
pub fn inactivity(rules: &Table) -> Option<Inactivity> {
    let expiry = part(rules, "expiry");
    let inactivity = expiry.get("inactivity")?.as_table()?;
    let mut activities = texts(inactivity, "activities");
    if activities.is_empty() {
        activities = vec!["order".to_owned(), "redemption".to_owned()];
    }
    Some(Inactivity { after: word(inactivity, "after", "").to_owned(), activities })
}

#[cfg(test)]
mod tests {
    use super::super::calendar::{instant, show};
    use super::*;

    #[test]
    fn periods_are_those_of_the_calendar() {
        let zone = Zone::named("Europe/London").unwrap();
        let check = |each: Option<&str>, from: &str, until: &str| {
            let (start, end) = period(&zone, instant("2024-05-15T12:00:00Z").unwrap(), each).unwrap();
            assert_eq!((show(start).as_str(), show(end).as_str()), (from, until), "{each:?}");
        };
        check(Some("P1D"), "2024-05-14T23:00:00Z", "2024-05-15T23:00:00Z");
        check(Some("P1W"), "2024-05-12T23:00:00Z", "2024-05-19T23:00:00Z");
        check(Some("P1M"), "2024-04-30T23:00:00Z", "2024-05-31T23:00:00Z");
        check(Some("P3M"), "2024-03-31T23:00:00Z", "2024-06-30T23:00:00Z");
        check(Some("P1Y"), "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
        assert!(period(&zone, 0, Some("P2M")).is_err());
    }
}
