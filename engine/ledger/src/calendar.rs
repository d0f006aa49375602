//! Durations, roundings and yearly dates in the program's zone (§2).

use crate::Instant;
use crate::zone::{self, DAY, Zone};
use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan, Zoned};

/// An ISO 8601 duration: the calendar part is wall-clock in the program's zone, the `T` part exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duration {
    /// Months; a year is 12.
    pub months: i32,
    /// Days; a week is 7.
    pub days: i32,
    /// Exact microseconds.
    pub micros: i64,
}

/// Where an instant is moved after a duration was added. An end of X is the start of the next X.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum To {
    /// Nowhere.
    #[default]
    Exact,
    /// The start of the local day.
    DayStart,
    /// The start of the next local day.
    DayEnd,
    /// The start of the Monday after.
    WeekEnd,
    /// The start of the next month.
    MonthEnd,
    /// The start of the next quarter.
    QuarterEnd,
    /// The start of the next year.
    YearEnd,
}

/// A day of every year, `"12-31"`; 29 February is the 28th where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct YearDay {
    /// 1–12.
    pub month: i8,
    /// 1–31.
    pub day: i8,
}

impl Duration {
    /// Reads `P1Y2M3W4DT5H6M7S`: whole numbers, each unit at most once, in this order, at least one; at most 9,999 of each calendar unit.
    pub fn parse(text: &str) -> Option<Duration> {
        let rest = text.strip_prefix('P')?;
        let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
        let mut duration = Duration::default();
        let mut units = read_units(date, "YMWD")?;
        let [years, months, weeks, days] = std::array::from_fn(|_| units.next().unwrap_or(0));
        if [years, months, weeks, days].iter().any(|&count| count > 9_999) {
            return None;
        }
        duration.months = (years * 12 + months) as i32;
        duration.days = (weeks * 7 + days) as i32;
        if let Some(time) = time {
            let mut units = read_units(time, "HMS")?;
            let [hours, minutes, seconds] = std::array::from_fn(|_| units.next().unwrap_or(0));
            duration.micros = (hours * 3600 + minutes * 60 + seconds) * 1_000_000;
        }
        ((time.is_some_and(|time| !time.is_empty())) || (time.is_none() && !date.is_empty())).then_some(duration)
    }
}

/// Numbers before the letters of `units`, in that order, each optional.
fn read_units(text: &str, units: &str) -> Option<impl Iterator<Item = i64>> {
    let mut counts = vec![0_i64; units.len()];
    let mut next_unit = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let letter_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let letter = rest[letter_at..].chars().next()?;
        let unit = units[next_unit..].find(letter)? + next_unit;
        if letter_at == 0 || letter_at > 9 {
            return None;
        }
        counts[unit] = rest[..letter_at].parse().ok()?;
        next_unit = unit + 1;
        rest = &rest[letter_at + letter.len_utf8()..];
    }
    Some(counts.into_iter())
}

impl To {
    /// By its name in the ruleset.
    pub fn parse(name: &str) -> Option<To> {
        Some(match name {
            "day_start" => To::DayStart,
            "day_end" => To::DayEnd,
            "week_end" => To::WeekEnd,
            "month_end" => To::MonthEnd,
            "quarter_end" => To::QuarterEnd,
            "year_end" => To::YearEnd,
            _ => return None,
        })
    }

    /// Its name in the ruleset; empty for `Exact`.
    pub fn name(self) -> &'static str {
        match self {
            To::Exact => "",
            To::DayStart => "day_start",
            To::DayEnd => "day_end",
            To::WeekEnd => "week_end",
            To::MonthEnd => "month_end",
            To::QuarterEnd => "quarter_end",
            To::YearEnd => "year_end",
        }
    }
}

impl YearDay {
    /// Reads `"MM-DD"`.
    pub fn parse(text: &str) -> Option<YearDay> {
        let (month, day) = text.split_once('-')?;
        let (month, day) = (month.parse().ok()?, day.parse().ok()?);
        Date::new(2024, month, day).ok()?;
        (text.len() == 5).then_some(YearDay { month, day })
    }

    fn in_year(self, year: i16) -> Option<Date> {
        Date::new(year, self.month, self.day).or_else(|_| Date::new(year, self.month, 28)).ok()
    }
}

/// `base + duration`, then moved by `to`, in `zone`. Months are counted from `base` and clamp to the month's end;
/// beyond the calendar's end: never.
pub fn add(base: Instant, duration: Duration, to: To, zone: &Zone) -> Instant {
    by_table(base, duration, to, zone).or_else(|| shifted(base, duration, to, zone)).unwrap_or(Instant::MAX)
}

/// The same where no gap or repeated hour of the zone is met.
fn by_table(base: Instant, duration: Duration, to: To, zone: &Zone) -> Option<Instant> {
    if duration.months == 0 && duration.days == 0 && to == To::Exact {
        return None;
    }
    let wall = zone.to_wall(base)?;
    let (mut day, time) = (wall.div_euclid(DAY), wall.rem_euclid(DAY));
    if duration.months != 0 {
        day = zone::add_months(day, i64::from(duration.months));
    }
    day += i64::from(duration.days);
    // Also where only the day counts: a time in a gap may belong to the next day.
    let at = zone.at_wall(day * DAY + time)?;
    let at = Instant(at.0.checked_add(duration.micros)?);
    if to == To::Exact {
        return Some(at);
    }
    if duration.micros != 0 {
        day = zone.to_wall(at)?.div_euclid(DAY);
    }
    let rounded = match to {
        To::Exact | To::DayStart => day,
        To::DayEnd => day + 1,
        // 1970-01-01 was a Thursday.
        To::WeekEnd => day + 7 - (day + 3).rem_euclid(7),
        To::MonthEnd | To::QuarterEnd | To::YearEnd => {
            let (year, month, _) = zone::civil(day);
            let last = match to {
                To::MonthEnd => month,
                To::QuarterEnd => (month + 2) / 3 * 3,
                _ => 12,
            };
            zone::next_month(year, last)
        }
    };
    zone.at_wall(rounded * DAY)
}

fn shifted(base: Instant, duration: Duration, to: To, zone: &Zone) -> Option<Instant> {
    if base == Instant::MAX {
        return None;
    }
    let calendar = duration.months != 0 || duration.days != 0;
    if !calendar && to == To::Exact {
        return base.0.checked_add(duration.micros).map(Instant);
    }
    let mut local = base.timestamp().to_zoned(zone.tz.clone());
    if calendar {
        let span: Span = i64::from(duration.months).months().days(i64::from(duration.days));
        local = local.checked_add(span).ok()?;
    }
    if duration.micros != 0 {
        local = local.checked_add(duration.micros.microseconds()).ok()?;
    }
    if to == To::Exact {
        return Some(local.timestamp().into());
    }
    start_of(rounded(&local, to)?, zone)
}

/// The local day whose start is the rounded instant.
fn rounded(local: &Zoned, to: To) -> Option<Date> {
    let day = local.date();
    let first_of = |month: i8| Date::new(day.year(), month, 1).ok();
    match to {
        To::Exact | To::DayStart => Some(day),
        To::DayEnd => day.tomorrow().ok(),
        To::WeekEnd => day.nth_weekday(1, Weekday::Monday).ok(),
        To::MonthEnd => first_of(day.month())?.checked_add(1.month()).ok(),
        To::QuarterEnd => first_of((day.month() - 1) / 3 * 3 + 1)?.checked_add(3.months()).ok(),
        To::YearEnd => first_of(1)?.checked_add(1.year()).ok(),
    }
}

/// The first valid instant of a local day.
fn start_of(day: Date, zone: &Zone) -> Option<Instant> {
    let midnight = day.to_zoned(zone.tz.clone()).ok()?;
    // A midnight in a gap resolves past it; the day's first instant may be earlier when the gap began before midnight.
    Some(midnight.start_of_day().unwrap_or(midnight).timestamp().into())
}

/// The first valid instant of the local day of that number (days since 1970-01-01).
pub(crate) fn start_of_day(day: i64, zone: &Zone) -> Instant {
    zone.at_wall(day * DAY).unwrap_or_else(|| {
        let (year, month, day) = zone::civil(day);
        let date = Date::new(year as i16, month as i8, day as i8).ok();
        date.and_then(|date| start_of(date, zone)).unwrap_or(Instant::MAX)
    })
}

/// The start of the next of `days` after `base`, in `zone`.
pub fn next_start(base: Instant, days: &[YearDay], zone: &Zone) -> Instant {
    next(base, days, zone, Some)
}

/// The end of the next of `days` that ends after `base`, in `zone`.
pub fn next_end(base: Instant, days: &[YearDay], zone: &Zone) -> Instant {
    next(base, days, zone, |day| day.tomorrow().ok())
}

fn next(base: Instant, days: &[YearDay], zone: &Zone, boundary: impl Fn(Date) -> Option<Date>) -> Instant {
    if base == Instant::MAX {
        return Instant::MAX;
    }
    let year = base.timestamp().to_zoned(zone.tz.clone()).year();
    (year.saturating_sub(1)..=year.saturating_add(1))
        .flat_map(|year| days.iter().filter_map(move |day| day.in_year(year)))
        .filter_map(|day| start_of(boundary(day)?, zone))
        .filter(|&at| at > base)
        .min()
        .unwrap_or(Instant::MAX)
}

/// Days since 1970-01-01 of the local day that `at` lies in.
pub fn day_number(at: Instant, zone: &Zone) -> i32 {
    match zone.to_wall(at) {
        Some(wall) => wall.div_euclid(DAY) as i32,
        None => {
            at.timestamp().to_zoned(zone.tz.clone()).date().since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days())
        }
    }
}

/// `2011-03-27`, of a number of days since 1970-01-01.
pub fn date_of(day: i32) -> String {
    Instant(i64::from(day) * DAY).to_string().chars().take(10).collect()
}

/// Months since January 1970 of a day, by its number: 1 February 1970 is in month 1.
pub fn month_number(day: i32) -> i32 {
    let (year, month, _) = zone::civil(i64::from(day));
    (year as i32 - 1970) * 12 + month as i32 - 1
}

/// `2011-03`, of a number of months since January 1970.
pub fn month_of(month: i32) -> String {
    format!("{:04}-{:02}", 1970 + month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// The first instant of a month, by its number; beyond the calendar's end: never.
pub fn month_start(month: i32, zone: &Zone) -> Instant {
    let first = i16::try_from(1970 + month.div_euclid(12)).ok().and_then(|year| {
        let month = i8::try_from(month.rem_euclid(12) + 1).ok()?;
        Date::new(year, month, 1).ok()
    });
    first.and_then(|date| start_of(date, zone)).unwrap_or(Instant::MAX)
}

/// Monday = 0 … Sunday = 6, of the local day that `at` lies in.
pub fn weekday(at: Instant, zone: &Zone) -> u8 {
    if let Some(wall) = zone.to_wall(at) {
        return (wall.div_euclid(DAY) + 3).rem_euclid(7) as u8;
    }
    at.timestamp().to_zoned(zone.tz.clone()).weekday().to_monday_zero_offset() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_numbers() {
        for (day, month, text) in [(-1, -1, "1969-12"), (0, 0, "1970-01"), (31, 1, "1970-02"), (15_060, 494, "2011-03")] {
            assert_eq!((month_number(day), month_of(month).as_str()), (month, text));
            assert_eq!(&date_of(day)[..7], text);
        }
        assert_eq!(month_start(494, &zone("Asia/Tokyo")).to_string(), "2011-02-28T15:00:00Z");
        assert_eq!(month_start(i32::MAX, &zone("UTC")), Instant::MAX);
    }

    fn zone(name: &str) -> Zone {
        Zone::get(name).expect("known zone")
    }

    /// The table and jiff agree on every instant, near transitions and far from them.
    #[test]
    fn table_is_the_calendar() {
        let roundings = [To::Exact, To::DayStart, To::DayEnd, To::WeekEnd, To::MonthEnd, To::QuarterEnd, To::YearEnd];
        let durations =
            ["P0D", "P1D", "P14D", "P1M", "P12M", "P1Y1M3DT5H", "PT30H", "P1W"].map(|text| Duration::parse(text).expect("one"));
        let mut by_the_table = 0;
        for name in
            ["UTC", "Europe/London", "America/New_York", "Africa/Cairo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
        {
            let zone = zone(name);
            let mut at = 86_400_000_000 * 9_000 + 12_345_678;
            while at < 86_400_000_000 * 21_000 {
                at += 86_400_000_000 * 3 + 7_777_777_777;
                for (duration, to) in durations.iter().flat_map(|duration| roundings.map(|to| (*duration, to))) {
                    let slow = shifted(Instant(at), duration, to, &zone);
                    let fast = by_table(Instant(at), duration, to, &zone);
                    by_the_table += usize::from(fast.is_some());
                    assert!(fast.is_none() || fast == slow, "{name} {} {duration:?} {to:?}: {fast:?}, {slow:?}", Instant(at));
                }
                let slow = Instant(at).timestamp().to_zoned(zone.tz.clone()).weekday().to_monday_zero_offset() as u8;
                assert_eq!(weekday(Instant(at), &zone), slow);
            }
        }
        assert!(by_the_table > 500_000, "{by_the_table}");
    }

    #[track_caller]
    fn check(base: &str, duration: &str, to: &str, zone_name: &str, expected: &str) {
        let duration = Duration::parse(duration).expect("duration");
        let to = if to.is_empty() { To::Exact } else { To::parse(to).expect("to") };
        let at = add(Instant::parse(base).expect("base"), duration, to, &zone(zone_name));
        assert_eq!(at.to_string(), expected);
    }

    #[test]
    fn vectors_of_the_domain() {
        let base = "2024-10-12T07:20:50Z";
        check(base, "PT10M", "", "UTC", "2024-10-12T07:30:50Z");
        check(base, "PT1H", "", "UTC", "2024-10-12T08:20:50Z");
        check(base, "P5D", "", "UTC", "2024-10-17T07:20:50Z");
        check(base, "P5D", "day_start", "UTC", "2024-10-17T00:00:00Z");
        check(base, "P5D", "day_end", "UTC", "2024-10-18T00:00:00Z");
        check(base, "P1W", "", "UTC", "2024-10-19T07:20:50Z");
        check(base, "P1W", "week_end", "UTC", "2024-10-21T00:00:00Z");
        check(base, "P1M", "", "UTC", "2024-11-12T07:20:50Z");
        check(base, "P1M", "month_end", "UTC", "2024-12-01T00:00:00Z");
        check(base, "P1M", "quarter_end", "UTC", "2025-01-01T00:00:00Z");
        check(base, "P1M", "year_end", "UTC", "2025-01-01T00:00:00Z");
        check(base, "P5D", "day_end", "Europe/Berlin", "2024-10-17T22:00:00Z");
        check(base, "P5D", "day_end", "America/New_York", "2024-10-18T04:00:00Z");
        check(base, "P5D", "day_end", "Asia/Hong_Kong", "2024-10-17T16:00:00Z");
        check("2024-10-12T22:30:00Z", "P5D", "day_end", "Europe/Berlin", "2024-10-18T22:00:00Z");
        check("2024-11-02T11:20:50Z", "P1D", "", "America/New_York", "2024-11-03T12:20:50Z");
        check("2024-11-02T11:20:50Z", "PT24H", "", "America/New_York", "2024-11-03T11:20:50Z");
        check("2024-04-26T05:00:00Z", "PT0S", "day_start", "Africa/Cairo", "2024-04-25T22:00:00Z");
        check("2024-02-29T00:00:00Z", "P12M", "", "UTC", "2025-02-28T00:00:00Z");
        check("2024-01-31T00:00:00Z", "P365D", "", "UTC", "2025-01-30T00:00:00Z");
        check("2024-01-31T00:00:00Z", "P1M", "", "UTC", "2024-02-29T00:00:00Z");
        check("2024-01-31T00:00:00Z", "P2M", "", "UTC", "2024-03-31T00:00:00Z");
        check("2024-10-20T12:00:00Z", "P0D", "week_end", "UTC", "2024-10-21T00:00:00Z");
    }

    #[test]
    fn yearly_dates() {
        let days = [YearDay::parse("01-01"), YearDay::parse("07-01")].map(|day| day.expect("day"));
        let at = |text| Instant::parse(text).expect("instant");
        let start = |text| next_start(at(text), &days, &zone("Europe/London")).to_string();
        assert_eq!(start("2024-03-05T00:00:00Z"), "2024-06-30T23:00:00Z");
        assert_eq!(start("2024-06-30T23:00:00Z"), "2025-01-01T00:00:00Z");
        let end = [YearDay { month: 12, day: 31 }];
        assert_eq!(next_end(at("2024-12-31T10:00:00Z"), &end, &zone("UTC")).to_string(), "2025-01-01T00:00:00Z");
        assert_eq!(next_end(at("2025-01-01T00:00:00Z"), &end, &zone("UTC")).to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn durations() {
        assert_eq!(Duration::parse("P1Y2M3W4DT5H6M7S"), Some(Duration { months: 14, days: 25, micros: 18_367_000_000 }));
        for wrong in ["", "P", "PT", "P1", "1D", "P1D2M", "P-1D", "P1.5D", "PT1D", "P1H", "P99999D"] {
            assert_eq!(Duration::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_of_a_zone() {
        let at = |text| Instant::parse(text).expect("instant");
        let london = zone("Europe/London");
        // Near a transition and far from one; 23:30 UTC in summer is tomorrow.
        let days =
            ["2024-03-31T12:00:00Z", "2024-07-01T22:59:59Z", "2024-07-01T23:00:00Z"].map(|text| day_number(at(text), &london));
        assert_eq!(days, [19_813, 19_905, 19_906]);
        assert_eq!(weekday(at("2024-03-31T12:00:00Z"), &london), 6);
    }
}
