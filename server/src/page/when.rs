//! Instants as the members of a program see them: in its zone, and an end as the last second before it (ruleset.md).

use accrue_ledger::Instant;
use jiff::tz::TimeZone;

const SECOND: i64 = 1_000_000;

/// The zone of a page.
#[derive(Clone, Debug)]
pub struct When {
    zone: TimeZone,
    name: String,
}

impl When {
    /// In a zone by its name; UTC where it is not known.
    pub fn new(name: &str) -> When {
        match TimeZone::get(name) {
            Ok(zone) => When { zone, name: name.to_owned() },
            Err(_) => When { zone: TimeZone::UTC, name: "UTC".to_owned() },
        }
    }

    /// The zone.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An instant to the minute; words as they are.
    pub fn at(&self, text: &str) -> String {
        match Instant::parse(text) {
            Some(at) => at.timestamp().to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            None => text.to_owned(),
        }
    }

    /// The end of something, half open: the last second before it.
    pub fn end(&self, text: &str) -> String {
        match Instant::parse(text) {
            Some(at) => self.at(&Instant(at.0.saturating_sub(SECOND)).to_string()),
            None => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_month_is_in_that_month() {
        let when = When::new("Europe/London");
        assert_eq!(when.at("2027-03-31T23:00:00Z"), "2027-04-01 00:00");
        assert_eq!(when.end("2027-03-31T23:00:00Z"), "2027-03-31 23:59");
        assert_eq!((when.at("never"), when.end("never")), ("never".to_owned(), "never".to_owned()));
        assert_eq!(When::new("Nowhere/Else").at("2027-03-31T23:00:00Z"), "2027-03-31 23:00");
    }
}
