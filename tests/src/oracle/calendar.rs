//! Calendar arithmetic, written out (§2). Instants are microseconds since 1970 in UTC.

use anyhow::{Context, Result, bail};
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

/// Reads an RFC 3339 instant.
pub fn instant(text: &str) -> Result<i64> {
    let at: Timestamp = text.parse().with_context(|| format!("not an instant: {text}"))?;
    Ok(at.as_microsecond())
}

/// Writes an instant as RFC 3339.
pub fn show(at: i64) -> String {
    stamp(at).to_string()
}

fn stamp(at: i64) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX)
}

/// A time zone and what days, weeks and months are in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// By IANA name.
    pub fn named(name: &str) -> Result<Zone> {
        Ok(Zone(TimeZone::get(name).with_context(|| format!("unknown time zone: {name}"))?))
    }

    /// What a clock on the wall shows.
    pub fn local(&self, at: i64) -> DateTime {
        self.0.to_datetime(stamp(at))
    }

    /// The instant at which the clock on the wall shows this. Ambiguous: the earlier. Never shown: as much later as the
    /// clocks were put forward.
    fn wall(&self, local: DateTime) -> i64 {
        let offset = match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } | AmbiguousOffset::Gap { before, .. } => before,
        };
        offset.to_timestamp(local).unwrap_or(Timestamp::MAX).as_microsecond()
    }

    /// The first instant of a local day: of an ambiguous midnight the earlier; of one that does not exist the instant at
    /// which the clocks were put forward.
    pub fn day_start(&self, date: Date) -> i64 {
        let midnight = date.to_datetime(jiff::civil::Time::midnight());
        if let AmbiguousOffset::Gap { after, .. } = self.0.to_ambiguous_timestamp(midnight).offset() {
            // Reading the wall with the later offset gives an instant before the change; the change is the next one.
            let before_change = after.to_timestamp(midnight).unwrap_or(Timestamp::MAX);
            if let Some(change) = self.0.following(before_change).next() {
                return change.timestamp().as_microsecond();
            }
        }
        self.wall(midnight)
    }

    /// `at` plus an ISO 8601 duration: years to days by the clock on the wall, hours and less exactly.
    pub fn add(&self, at: i64, after: &str) -> Result<i64> {
        let span: Span = after.parse().with_context(|| format!("not a duration: {after}"))?;
        let days = Span::new().years(span.get_years()).months(span.get_months()).weeks(span.get_weeks()).days(span.get_days());
        let exact = (i64::from(span.get_hours()) * 60 + span.get_minutes()) * 60 + span.get_seconds();
        let mut at = at;
        if !days.is_zero() {
            at = self.wall(self.local(at).checked_add(days).context("past the end of the calendar")?);
        }
        Ok(at + exact * 1_000_000)
    }

    /// The start or the end of the day, week, … that `at` is in. An end is the start of the next.
    pub fn round(&self, at: i64, to: &str) -> Result<i64> {
        let day = self.local(at).date();
        let month = day.first_of_month();
        let to_first = match to {
            "day_start" => day,
            "day_end" => next(day, 1.day())?,
            "week_end" => next(day, i64::from(8 - Weekday::to_monday_one_offset(day.weekday())).days())?,
            "month_end" => next(month, 1.month())?,
            "quarter_end" => next(month, i64::from(3 - (month.month() - 1) % 3).months())?,
            "year_end" => next(month, i64::from(13 - month.month()).months())?,
            other => bail!("unknown rounding: {other}"),
        };
        Ok(self.day_start(to_first))
    }

    /// `add`, then `round` where asked.
    pub fn after(&self, at: i64, after: &str, to: Option<&str>) -> Result<i64> {
        let sum = self.add(at, after)?;
        to.map_or(Ok(sum), |to| self.round(sum, to))
    }

    /// The start of the next of these days of the year (month, day) that begins after `at`.
    pub fn next_start(&self, at: i64, dates: &[(i8, i8)]) -> Result<i64> {
        self.next_of(at, dates, Ok)
    }

    /// The end of the next of these days of the year that ends after `at`.
    pub fn next_end(&self, at: i64, dates: &[(i8, i8)]) -> Result<i64> {
        self.next_of(at, dates, |date| next(date, 1.day()))
    }

    fn next_of(&self, at: i64, dates: &[(i8, i8)], edge: impl Fn(Date) -> Result<Date>) -> Result<i64> {
        let year = self.local(at).year();
        let mut found = Vec::new();
        for year in year - 1..=year + 2 {
            for &(month, day) in dates {
                // 29 February is the 28th in other years.
                let first = Date::new(year, month, 1).context("no such month")?;
                let date = Date::new(year, month, day.min(first.days_in_month())).context("no such day")?;
                found.push(self.day_start(edge(date)?));
            }
        }
        found.into_iter().filter(|&start| start > at).min().context("no dates")
    }
}

fn next(date: Date, span: Span) -> Result<Date> {
    date.checked_add(span).context("past the end of the calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, at: &str, after: &str, to: &str, expected: &str) {
        let zone = Zone::named(zone).unwrap();
        let sum = zone.after(instant(at).unwrap(), after, (!to.is_empty()).then_some(to)).unwrap();
        assert_eq!(show(sum), expected, "{at} + {after} to {to}");
    }

    #[test]
    fn vectors_of_the_design() {
        let closes = "2024-10-12T07:20:50Z";
        check("UTC", closes, "PT10M", "", "2024-10-12T07:30:50Z");
        check("UTC", closes, "PT1H", "", "2024-10-12T08:20:50Z");
        check("UTC", closes, "P5D", "", "2024-10-17T07:20:50Z");
        check("UTC", closes, "P5D", "day_start", "2024-10-17T00:00:00Z");
        check("UTC", closes, "P5D", "day_end", "2024-10-18T00:00:00Z");
        check("UTC", closes, "P1W", "", "2024-10-19T07:20:50Z");
        check("UTC", closes, "P1W", "week_end", "2024-10-21T00:00:00Z");
        check("UTC", closes, "P1M", "", "2024-11-12T07:20:50Z");
        check("UTC", closes, "P1M", "month_end", "2024-12-01T00:00:00Z");
        check("Europe/Berlin", closes, "P5D", "day_end", "2024-10-17T22:00:00Z");
        check("America/New_York", closes, "P5D", "day_end", "2024-10-18T04:00:00Z");
        check("Asia/Hong_Kong", closes, "P5D", "day_end", "2024-10-17T16:00:00Z");
        check("Europe/Berlin", "2024-10-12T22:30:00Z", "P5D", "day_end", "2024-10-18T22:00:00Z");
        check("America/New_York", "2024-11-02T07:20:50-04:00", "P1D", "", "2024-11-03T12:20:50Z");
        check("America/New_York", "2024-11-02T07:20:50-04:00", "PT24H", "", "2024-11-03T11:20:50Z");
        check("Africa/Cairo", "2024-04-26T10:00:00Z", "PT0S", "day_start", "2024-04-25T22:00:00Z");
        check("UTC", "2024-02-29T00:00:00Z", "P12M", "", "2025-02-28T00:00:00Z");
        check("UTC", "2024-01-31T00:00:00Z", "P365D", "", "2025-01-30T00:00:00Z");
        check("UTC", "2024-01-31T00:00:00Z", "P1M", "", "2024-02-29T00:00:00Z");
        check("UTC", "2024-01-31T00:00:00Z", "P2M", "", "2024-03-31T00:00:00Z");
    }

    #[test]
    fn edges_of_weeks_quarters_and_years() {
        check("UTC", "2024-10-20T23:59:59Z", "PT0S", "week_end", "2024-10-21T00:00:00Z");
        check("UTC", "2024-10-21T00:00:00Z", "PT0S", "week_end", "2024-10-28T00:00:00Z");
        check("UTC", "2024-12-31T10:00:00Z", "PT0S", "quarter_end", "2025-01-01T00:00:00Z");
        check("UTC", "2024-04-01T00:00:00Z", "PT0S", "quarter_end", "2024-07-01T00:00:00Z");
        check("UTC", "2024-01-01T00:00:00Z", "PT0S", "year_end", "2025-01-01T00:00:00Z");
        // Havana put its clocks back from 1:00 to 0:00: midnight was twice, the earlier counts.
        check("America/Havana", "2024-11-03T12:00:00Z", "PT0S", "day_start", "2024-11-03T04:00:00Z");
        // Toronto went from 23:30 to 00:30 in 1919: the day began with the change.
        check("America/Toronto", "1919-03-31T12:00:00Z", "PT0S", "day_start", "1919-03-31T04:30:00Z");
    }

    #[test]
    fn days_of_the_year() {
        let zone = Zone::named("Europe/London").unwrap();
        let dates = [(1, 1), (7, 1)];
        let next = |at: &str| show(zone.next_start(instant(at).unwrap(), &dates).unwrap());
        assert_eq!(next("2024-01-01T00:00:00Z"), "2024-06-30T23:00:00Z");
        assert_eq!(next("2024-07-01T12:00:00Z"), "2025-01-01T00:00:00Z");
        let end = |at: &str| show(zone.next_end(instant(at).unwrap(), &[(12, 31)]).unwrap());
        assert_eq!(end("2024-12-31T23:59:59Z"), "2025-01-01T00:00:00Z");
        assert_eq!(end("2025-01-01T00:00:00Z"), "2026-01-01T00:00:00Z");
    }
}
