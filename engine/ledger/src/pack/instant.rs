//! Instants, in the largest unit that says them: ends of lots are whole hours, most shops say whole seconds.

use super::{Damaged, Pack, Packed};
use crate::Instant;

const HOUR: i64 = 3_600_000_000;
const SECOND: i64 = 1_000_000;

/// What the two lowest bits of the number say of the rest.
const MICROS: u64 = 0;
const SECONDS: u64 = 1;
const HOURS: u64 = 2;
/// One of those below.
const OTHER: u64 = 3;

const LAST: u64 = OTHER;
const FIRST: u64 = 1 << 2 | OTHER;
/// Eight bytes follow: the number has no room for units.
const FAR: u64 = 2 << 2 | OTHER;

/// Beyond, the unit and the sign have no room in 64 bits.
const NEAR: i64 = 1 << 60;

fn in_unit(number: i64, unit: u64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned() << 2 | unit
}

impl Pack for Instant {
    fn pack(&self, out: &mut Vec<u8>) {
        let micros = self.0;
        match *self {
            Instant::MAX => LAST.pack(out),
            Instant::MIN => FIRST.pack(out),
            _ if micros % HOUR == 0 => in_unit(micros / HOUR, HOURS).pack(out),
            _ if micros % SECOND == 0 => in_unit(micros / SECOND, SECONDS).pack(out),
            _ if (-NEAR..NEAR).contains(&micros) => in_unit(micros, MICROS).pack(out),
            _ => {
                FAR.pack(out);
                out.extend_from_slice(&micros.to_le_bytes());
            }
        }
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let word = u64::unpack(from)?;
        let number = (word >> 3).cast_signed() ^ -(word >> 2 & 1).cast_signed();
        match word & 3 {
            MICROS => Ok(Instant(number)),
            SECONDS => number.checked_mul(SECOND).map(Instant).ok_or(Damaged),
            HOURS => number.checked_mul(HOUR).map(Instant).ok_or(Damaged),
            _ => match word {
                LAST => Ok(Instant::MAX),
                FIRST => Ok(Instant::MIN),
                FAR => Ok(Instant(i64::from_le_bytes(from.word()?))),
                _ => Err(Damaged),
            },
        }
    }

    fn is_nothing(&self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_instants_are_short() {
        let near = [(0, 1), (HOUR * 486_000, 4), (SECOND * 1_735_000_001, 5), (1_735_000_001_000_001, 8), (-7, 1)];
        let far = [(i64::MAX, 1), (i64::MIN, 1), (i64::MAX - 1, 9), (i64::MIN + 1, 9), (NEAR, 9), (-NEAR, 9)];
        for (micros, len) in near.into_iter().chain(far) {
            let mut bytes = Vec::new();
            Instant(micros).pack(&mut bytes);
            assert_eq!((bytes.len(), Packed::read(&bytes)), (len, Ok(Instant(micros))), "{micros}");
        }
    }
}
