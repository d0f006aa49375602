//! Instants: microseconds since 1970-01-01T00:00:00Z, the only time the rules know.

use jiff::Timestamp;
use std::fmt;

/// An instant in UTC, in microseconds since the epoch. Range: years −9999 to 9999 (what RFC 3339 can say).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, bincode::Encode, bincode::Decode)]
pub struct Instant(pub i64);

impl Instant {
    /// Earlier than every instant a fact can have.
    pub const MIN: Instant = Instant(i64::MIN);
    /// Later than every instant a fact can have; "never" where an end is meant.
    pub const MAX: Instant = Instant(i64::MAX);

    /// From seconds and nanoseconds since the epoch (protobuf's `Timestamp`), cut to microseconds.
    /// `None` when out of range.
    pub fn from_unix(seconds: i64, nanos: i32) -> Option<Instant> {
        let at = Timestamp::new(seconds, nanos).ok()?;
        Some(Instant(at.as_microsecond()))
    }

    /// Reads an RFC 3339 instant (`2024-10-12T07:20:50Z`, any offset).
    pub fn parse(text: &str) -> Option<Instant> {
        text.parse::<Timestamp>().ok().map(|at| Instant(at.as_microsecond()))
    }

    /// The same instant for the calendar; `MIN` and `MAX` clamp to the ends of the calendar.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

impl From<Timestamp> for Instant {
    fn from(at: Timestamp) -> Self {
        Instant(at.as_microsecond())
    }
}

/// RFC 3339 in UTC; `never` for `MAX`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Instant::MAX => f.write_str("never"),
            Instant::MIN => f.write_str("always"),
            at => write!(f, "{}", at.timestamp()),
        }
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let at = Instant::parse("2024-10-12T09:20:50.25+02:00").expect("valid");
        assert_eq!(at.to_string(), "2024-10-12T07:20:50.25Z");
        assert_eq!(Instant::from_unix(1_728_717_650, 250_000_999), Some(at));
        assert_eq!(Instant::from_unix(i64::MAX, 0), None);
    }
}
