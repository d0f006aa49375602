//! A time zone with its offsets at hand.
//!
//! jiff knows every zone and decides what a gap or a repeated hour means. For all other instants, which is nearly always,
//! an offset found in a table says the same for a twentieth of the cost: this fold asks twice for each order.

use crate::Instant;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Microseconds of a day without a transition.
pub(crate) const DAY: i64 = 86_400_000_000;
/// More than any zone is ahead of UTC or behind it, and more than any ever moved.
const FAR: i64 = 26 * 3_600_000_000;
/// What the table covers; outside of it jiff is asked.
const FROM: i64 = 0;
const UNTIL: i64 = 4_102_444_800_000_000;

/// A zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// As jiff knows it.
    pub tz: TimeZone,
    /// From each instant on, so many microseconds ahead of UTC; ascending, the first is `FROM`.
    offsets: Vec<(i64, i64)>,
    /// For each UTC day from `FROM` the index in `offsets` that holds for all of it, far from any transition; else `NEAR`.
    days: Vec<u16>,
}

/// No offset holds for the whole day.
const NEAR: u16 = u16::MAX;

impl Zone {
    /// By its IANA name.
    pub fn get(name: &str) -> Option<Zone> {
        let tz = TimeZone::get(name).ok()?;
        let start = Timestamp::from_microsecond(FROM).ok()?;
        let mut offsets = vec![(FROM, i64::from(tz.to_offset(start).seconds()) * 1_000_000)];
        for transition in tz.following(start) {
            let at = transition.timestamp().as_microsecond();
            if at >= UNTIL {
                break;
            }
            offsets.push((at, i64::from(transition.offset().seconds()) * 1_000_000));
        }
        let days = settled_days(&offsets);
        Some(Zone { tz, offsets, days })
    }

    /// The offset that holds on the whole UTC day of `at` and a day around it: nearly always, without a search.
    fn offset_of_day(&self, at: i64) -> Option<i64> {
        let index = *self.days.get(usize::try_from(at / DAY).ok()?)?;
        self.offsets.get(usize::from(index)).map(|(_, offset)| *offset)
    }

    /// Local microseconds since 1970-01-01T00:00 on the wall, if the table covers `at`.
    pub(crate) fn to_wall(&self, at: Instant) -> Option<i64> {
        if let Some(offset) = self.offset_of_day(at.0) {
            return Some(at.0 + offset);
        }
        if !(FROM + FAR..UNTIL - FAR).contains(&at.0) {
            return None;
        }
        let after = self.offsets.partition_point(|(from, _)| *from <= at.0);
        self.offsets.get(after.checked_sub(1)?).map(|(_, offset)| at.0 + offset)
    }

    /// The instant at which the wall shows `wall`, if that is exactly one and the table covers it.
    pub(crate) fn at_wall(&self, wall: i64) -> Option<Instant> {
        if let Some(offset) = self.offset_of_day(wall) {
            return Some(Instant(wall - offset));
        }
        if !(FROM + FAR..UNTIL - FAR).contains(&wall) {
            return None;
        }
        // The wall is less than a day from UTC: offsets that end earlier, or begin later, don't show it.
        let first = self.offsets.partition_point(|(from, _)| *from <= wall - FAR).saturating_sub(1);
        let mut found = None;
        for (index, (from, offset)) in
            self.offsets.iter().enumerate().skip(first).take_while(|(_, (from, _))| *from <= wall + FAR)
        {
            let until = self.offsets.get(index + 1).map_or(UNTIL, |(next, _)| *next);
            let at = wall - offset;
            if (*from..until).contains(&at) && found.replace(Instant(at)).is_some() {
                return None;
            }
        }
        found
    }
}

/// The days that are far from any transition, by the offset that holds there.
fn settled_days(offsets: &[(i64, i64)]) -> Vec<u16> {
    let mut days = vec![NEAR; (UNTIL / DAY) as usize];
    let ends = offsets.iter().skip(1).map(|(from, _)| *from).chain([UNTIL]);
    for (index, ((from, _), until)) in offsets.iter().zip(ends).enumerate().take(usize::from(NEAR)) {
        let first = (from + FAR).div_euclid(DAY) + 1;
        let after = (until - FAR).div_euclid(DAY);
        (first..after).for_each(|day| days[day as usize] = index as u16);
    }
    days
}

/// Year, month (1–12) and day (1–31) of a number of days since 1970-01-01.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last of a year; 400 years have 146,097 days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of a date.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The day `months` after a day; the month's end clamps.
pub(crate) fn add_months(day_number: i64, months: i64) -> i64 {
    let (year, month, day) = civil(day_number);
    let count = year * 12 + month - 1 + months;
    let first = days(count.div_euclid(12), count.rem_euclid(12) + 1, 1);
    // Every month has 28 days.
    let last = if day <= 28 { i64::MAX } else { next_month(count.div_euclid(12), count.rem_euclid(12) + 1) - 1 };
    (first + day - 1).min(last)
}

/// The first day of the month after one.
pub(crate) fn next_month(year: i64, month: i64) -> i64 {
    if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_back() {
        for number in (-200_000..200_000).step_by(37) {
            let (year, month, day) = civil(number);
            assert_eq!(days(year, month, day), number);
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(days(2024, 2, 29)), (2024, 2, 29));
        assert_eq!(civil(add_months(days(2024, 1, 31), 1)), (2024, 2, 29));
        assert_eq!(civil(add_months(days(2024, 2, 29), 12)), (2025, 2, 28));
    }
}
