//! Periods of the calendar that limits, achievements and rewards count in (§12), in the program's zone.

use crate::calendar;
use crate::zone::{self, Zone};
use crate::{Instant, calendar::day_number};

/// A period of the calendar; weeks begin on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// All time.
    Ever,
    /// A local day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// Three months from January, April, July or October.
    Quarter,
    /// A year.
    Year,
}

impl Period {
    /// Reads `each`; other durations are no periods of the calendar.
    pub fn parse(text: &str) -> Option<Period> {
        Some(match text {
            "P1D" => Period::Day,
            "P1W" => Period::Week,
            "P1M" => Period::Month,
            "P3M" => Period::Quarter,
            "P1Y" => Period::Year,
            _ => return None,
        })
    }

    /// As it is written in the ruleset; empty: all time.
    pub fn name(self) -> &'static str {
        match self {
            Period::Ever => "",
            Period::Day => "P1D",
            Period::Week => "P1W",
            Period::Month => "P1M",
            Period::Quarter => "P3M",
            Period::Year => "P1Y",
        }
    }

    /// The first instant of the period that contains `at`; `MIN` of all time.
    pub fn start(self, at: Instant, zone: &Zone) -> Instant {
        if self == Period::Ever {
            return Instant::MIN;
        }
        let day = i64::from(day_number(at, zone));
        calendar::start_of_day(self.first_day(day), zone)
    }

    /// The first instant after the period that contains `at`; `MAX` of all time.
    pub fn end(self, at: Instant, zone: &Zone) -> Instant {
        if self == Period::Ever {
            return Instant::MAX;
        }
        let first = self.first_day(i64::from(day_number(at, zone)));
        let next = match self {
            Period::Ever | Period::Day => first + 1,
            Period::Week => first + 7,
            Period::Month => zone::add_months(first, 1),
            Period::Quarter => zone::add_months(first, 3),
            Period::Year => zone::add_months(first, 12),
        };
        calendar::start_of_day(next, zone)
    }

    fn first_day(self, day: i64) -> i64 {
        let (year, month, _) = zone::civil(day);
        match self {
            Period::Ever | Period::Day => day,
            // 1970-01-01 was a Thursday.
            Period::Week => day - (day + 3).rem_euclid(7),
            Period::Month => zone::days(year, month, 1),
            Period::Quarter => zone::days(year, (month - 1) / 3 * 3 + 1, 1),
            Period::Year => zone::days(year, 1, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_those_of_the_calendar() {
        let check = |each: &str, zone: &str, from: &str, until: &str| {
            let (period, zone) = (Period::parse(each).expect("period"), Zone::get(zone).expect("zone"));
            let at = Instant::parse("2024-05-15T22:30:00Z").expect("instant");
            assert_eq!(period.start(at, &zone).to_string(), from, "{each}");
            assert_eq!(period.end(at, &zone).to_string(), until, "{each}");
        };
        check("P1D", "UTC", "2024-05-15T00:00:00Z", "2024-05-16T00:00:00Z");
        check("P1D", "Europe/Berlin", "2024-05-15T22:00:00Z", "2024-05-16T22:00:00Z");
        check("P1W", "UTC", "2024-05-13T00:00:00Z", "2024-05-20T00:00:00Z");
        check("P1M", "Europe/London", "2024-04-30T23:00:00Z", "2024-05-31T23:00:00Z");
        check("P3M", "UTC", "2024-04-01T00:00:00Z", "2024-07-01T00:00:00Z");
        check("P1Y", "Europe/London", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
        assert_eq!(Period::parse("P2M"), None);
        let utc = Zone::get("UTC").expect("zone");
        assert_eq!((Period::Ever.start(Instant(0), &utc), Period::Ever.end(Instant(0), &utc)), (Instant::MIN, Instant::MAX));
    }
}
