//! Instants on the wire: `google.protobuf.Timestamp`.

use crate::error::{Fault, fault};
use crate::wire::{Key, Reader, each_field, mistyped, put_bytes, put_int};
use accrue_ledger::Instant;
use prost_types::Timestamp;

/// 0001-01-01T00:00:00Z: protobuf's first instant; RFC 3339 has no years before 0000.
const YEAR_ONE: i64 = -62_135_596_800;

/// For owned types. Exact for every `Instant`, also those outside the calendar.
pub fn to_timestamp(at: Instant) -> Timestamp {
    Timestamp { seconds: at.0.div_euclid(1_000_000), nanos: (at.0.rem_euclid(1_000_000) * 1_000) as i32 }
}

/// Cut to microseconds. `None` before the year 1, after 9999 or with nanoseconds outside 0..1e9.
pub fn from_timestamp(at: &Timestamp) -> Option<Instant> {
    if !(0..1_000_000_000).contains(&at.nanos) || at.seconds < YEAR_ONE {
        return None;
    }
    // The fraction is added here: `from_unix` cuts towards 1970, and an instant must not depend on the side it is seen from.
    Instant::from_unix(at.seconds, 0).map(|second| Instant(second.0 + i64::from(at.nanos / 1_000)))
}

/// A `Timestamp` while it is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    pub(crate) seconds: i64,
    pub(crate) nanos: i32,
}

impl Stamp {
    /// Reads one occurrence over what is there: protobuf merges.
    #[inline]
    pub(crate) fn merge(&mut self, reader: &mut Reader<'_>, key: Key, field: &str) -> Result<(), Fault> {
        each_field(&[reader.bytes(key, field)?], |reader, key| {
            match key.number() {
                1 => self.seconds = reader.int(key, field)?,
                2 => self.nanos = i32::try_from(reader.int(key, field)?).map_err(|_| mistyped(field))?,
                _ => reader.skip(key)?,
            }
            Ok(())
        })
    }

    #[inline]
    pub(crate) fn instant(self, field: &str) -> Result<Instant, Fault> {
        from_timestamp(&Timestamp { seconds: self.seconds, nanos: self.nanos }).ok_or_else(|| {
            let detail = format!("{field} is {} s and {} ns: no instant of the calendar", self.seconds, self.nanos);
            fault("out_of_range", detail)
        })
    }
}

/// Reads one occurrence of an optional `Timestamp`.
#[inline]
pub(crate) fn merge(stamp: &mut Option<Stamp>, reader: &mut Reader<'_>, key: Key, field: &str) -> Result<(), Fault> {
    stamp.get_or_insert_default().merge(reader, key, field)
}

/// Checks an optional `Timestamp`.
#[inline]
pub(crate) fn instant(stamp: Option<Stamp>, field: &str) -> Result<Option<Instant>, Fault> {
    stamp.map(|stamp| stamp.instant(field)).transpose()
}

/// Appends a `Timestamp` field.
pub(crate) fn put(number: u32, at: &Timestamp, out: &mut Vec<u8>) {
    let mut message = Vec::with_capacity(18);
    if at.seconds != 0 {
        put_int(1, at.seconds, &mut message);
    }
    if at.nanos != 0 {
        put_int(2, i64::from(at.nanos), &mut message);
    }
    put_bytes(number, &message, out);
}

/// Reads an RFC 3339 instant, to the nanosecond.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    // The parser is more liberal than RFC 3339: a date, a "T" or a blank, a time, an offset are asked for here.
    let bytes = text.as_bytes();
    let separated =
        matches!(bytes.get(10), Some(b'T' | b't' | b' ')) && bytes.get(4) == Some(&b'-') && bytes.get(13) == Some(&b':');
    if !separated || text.ends_with(']') {
        return None;
    }
    let at = text.parse::<jiff::Timestamp>().ok()?;
    let nanos = at.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
    let nanos = nanos.rem_euclid(1_000_000_000) as i32;
    let at = Timestamp { seconds, nanos };
    from_timestamp(&at).map(|_| at)
}

/// RFC 3339 in UTC, to the nanosecond. `None` outside the calendar.
pub(crate) fn show(at: &Timestamp) -> Option<String> {
    from_timestamp(at)?;
    jiff::Timestamp::new(at.seconds, at.nanos).ok().map(|at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_back() {
        for micros in [0, 1, -1, 1_728_717_650_250_000, -1_728_717_650_250_001] {
            assert_eq!(from_timestamp(&to_timestamp(Instant(micros))), Some(Instant(micros)));
        }
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000), (YEAR_ONE - 1, 0)] {
            assert_eq!(from_timestamp(&Timestamp { seconds, nanos }), None, "{seconds} {nanos}");
        }
        // Before the epoch too, the cut is towards the past: the same instant whichever way it came.
        assert_eq!(from_timestamp(&Timestamp { seconds: -1, nanos: 999_999_999 }), Some(Instant(-1)));
    }

    #[test]
    fn rfc_3339() {
        for (text, canonical) in [
            ("2024-10-12T09:20:50.25+02:00", "2024-10-12T07:20:50.25Z"),
            ("2024-10-12t07:20:50z", "2024-10-12T07:20:50Z"),
            ("2024-10-12 07:20:50Z", "2024-10-12T07:20:50Z"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z"),
        ] {
            let at = parse(text).expect(text);
            assert_eq!(show(&at).as_deref(), Some(canonical));
        }
        for bad in [
            "",
            "2024-10-12",
            "2024-10-12T07:20:50",
            "20241012T072050Z",
            "2024-13-12T07:20:50Z",
            "0000-12-31T23:59:59Z",
            "2024-10-12T07:20:50+02:00[Europe/Berlin]",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
