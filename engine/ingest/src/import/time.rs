//! When a row happened: text of the file's format, in the file's zone.

use accrue_ledger::Instant;
use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Reads instants; remembers the last text, since the rows of an order share it.
#[derive(Clone, Debug)]
pub(super) struct Clockface {
    format: String,
    zone: TimeZone,
    last: Option<(String, Instant)>,
}

impl Clockface {
    pub(super) fn new(format: &str, zone: TimeZone) -> Self {
        Clockface { format: format.to_owned(), zone, last: None }
    }

    /// An offset in the text counts; without one it is local time of the zone. A date alone is its first instant.
    pub(super) fn read(&mut self, text: &str) -> Result<Instant, String> {
        if let Some((_, at)) = self.last.as_ref().filter(|(last, _)| last == text) {
            return Ok(*at);
        }
        let wrong = || format!("\"{text}\" is not a time as time.format \"{}\" says", self.format);
        let parts = strtime::parse(&self.format, text).map_err(|_| wrong())?;
        let at = match parts.offset() {
            Some(_) => Instant::from(parts.to_timestamp().map_err(|_| wrong())?),
            None => {
                let date = parts.to_date().map_err(|_| wrong())?;
                let time = parts.to_time().unwrap_or(Time::midnight());
                local(DateTime::from_parts(date, time), &self.zone).ok_or_else(wrong)?
            }
        };
        self.last = Some((text.to_owned(), at));
        Ok(at)
    }
}

/// An ambiguous local time is the earlier of the two; one that does not exist, the first instant that does (§2).
fn local(at: DateTime, zone: &TimeZone) -> Option<Instant> {
    let offset = match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Fold { before, .. } => before,
        AmbiguousOffset::Gap { before, .. } => {
            let beyond = before.to_timestamp(at).ok()?;
            let just_after = beyond.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
            return zone.preceding(just_after).next().map(|transition| Instant::from(transition.timestamp()));
        }
    };
    offset.to_timestamp(at).ok().map(Instant::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, zone: &str, text: &str, expected: &str) {
        let mut clock = Clockface::new(format, TimeZone::get(zone).expect(zone));
        let read = clock.read(text).map(|at| at.to_string());
        assert_eq!(read.as_deref(), Ok(expected), "{text} in {zone}");
        assert_eq!(clock.read(text).map(|at| at.to_string()), read, "remembered");
    }

    #[test]
    fn local_times_and_offsets() {
        let format = "%Y-%m-%dT%H:%M:%S";
        check(format, "Europe/London", "2010-12-01T08:26:00", "2010-12-01T08:26:00Z");
        check(format, "Europe/London", "2011-06-01T08:26:00", "2011-06-01T07:26:00Z");
        check("%d/%m/%Y %H:%M", "Europe/Berlin", "31/12/2023 23:59", "2023-12-31T22:59:00Z");
        check("%Y-%m-%d", "America/New_York", "2024-03-01", "2024-03-01T05:00:00Z");
        check("%Y-%m-%dT%H:%M:%S%z", "UTC", "2024-03-01T10:00:00+0200", "2024-03-01T08:00:00Z");
    }

    #[test]
    fn times_that_are_twice_or_never() {
        check("%Y-%m-%d %H:%M", "Europe/London", "2011-10-30 01:30", "2011-10-30T00:30:00Z");
        check("%Y-%m-%d %H:%M", "Europe/London", "2011-03-27 01:30", "2011-03-27T01:00:00Z");
        // Cairo has no midnight that day: the day begins at 01:00 local.
        check("%Y-%m-%d", "Africa/Cairo", "2024-04-26", "2024-04-25T22:00:00Z");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut clock = Clockface::new("%Y-%m-%d", TimeZone::UTC);
        for wrong in ["", "01/12/2010", "2010-13-01", "2010-12-01T08:26:00"] {
            let error = clock.read(wrong).expect_err(wrong);
            assert!(error.contains("time.format \"%Y-%m-%d\"") && error.contains(wrong), "{error}");
        }
    }
}
