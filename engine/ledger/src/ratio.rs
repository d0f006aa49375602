//! Exact rational arithmetic: rounded once, at the end (§3).

use std::cmp::Ordering;

/// A positive or zero rational number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Numerator ≥ 0.
    pub num: i128,
    /// Denominator > 0.
    pub den: i128,
}

/// How a number of points becomes whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// Toward zero.
    #[default]
    Floor,
    /// To the nearer; a half goes up.
    HalfUp,
    /// To the nearer; a half goes to the even one.
    HalfEven,
    /// Up.
    Ceil,
}

impl Ratio {
    /// One.
    pub const ONE: Ratio = Ratio { num: 1, den: 1 };

    /// `num / den` in lowest terms; `den` must be above 0 and is taken as 1 otherwise.
    pub fn new(num: i128, den: i128) -> Ratio {
        let den = den.max(1);
        let divisor = gcd(num.unsigned_abs(), den.unsigned_abs()).max(1) as i128;
        Ratio { num: num / divisor, den: den / divisor }
    }

    /// Reads a plain decimal (`"0.85"`, `"2"`), at most 12 digits on either side of the point. No sign, no exponent.
    pub fn parse(text: &str) -> Option<Ratio> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.len() <= 12 && part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || (text.contains('.') && fraction.is_empty()) {
            return None;
        }
        let den = 10_i128.pow(fraction.len() as u32);
        let num = whole.parse::<i128>().ok()? * den + if fraction.is_empty() { 0 } else { fraction.parse::<i128>().ok()? };
        Some(Ratio::new(num, den))
    }

    /// The product, in lowest terms.
    pub fn times(self, other: Ratio) -> Ratio {
        Ratio::new(self.num * other.num, self.den * other.den)
    }

    /// `amount × self`, rounded once. `amount` is an `i64` ≥ 0; the result is cut to `i64`.
    pub fn apply(self, amount: i64, rounding: Rounding) -> i64 {
        // Nearly always everything fits 64 bits, and 128-bit division is slow.
        if let (Ok(num), Ok(den)) = (i64::try_from(self.num), i64::try_from(self.den))
            && let Some(value) = amount.checked_mul(num)
        {
            let (floor, rest) = (value / den, value % den);
            let half = i128::from(rest) * 2;
            return floor + i64::from(rounds_up(rounding, rest > 0, half.cmp(&i128::from(den)), floor % 2 == 1));
        }
        let value = i128::from(amount) * self.num;
        let (floor, rest) = (value / self.den, value % self.den);
        let up = rounds_up(rounding, rest > 0, (rest * 2).cmp(&self.den), floor % 2 == 1);
        (floor + i128::from(up)).min(i128::from(i64::MAX)) as i64
    }
}

/// Whether what is left over makes one more: `half` compares it with one half.
fn rounds_up(rounding: Rounding, any: bool, half: Ordering, odd: bool) -> bool {
    match rounding {
        Rounding::Floor => false,
        Rounding::Ceil => any,
        Rounding::HalfUp => half.is_ge(),
        Rounding::HalfEven => half.is_gt() || (half.is_eq() && odd),
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Spreads `amount` over `weights` by size, largest remainder, ties to the earlier one: nothing is lost.
/// All weights 0: everything goes to the first. `out` has one share a weight.
pub fn spread(amount: i64, weights: impl Iterator<Item = i64> + Clone, out: &mut Vec<i64>) {
    out.clear();
    let total: i128 = weights.clone().map(|weight| i128::from(weight.max(0))).sum();
    if amount == 0 || total == 0 {
        out.extend(weights.map(|_| 0));
        if let Some(first) = out.first_mut() {
            *first = amount;
        }
        return;
    }
    out.extend(weights.clone().map(|weight| (i128::from(amount) * i128::from(weight.max(0)) / total) as i64));
    let mut rest = amount - out.iter().sum::<i64>();
    if rest == 0 {
        return;
    }
    let mut by_remainder: Vec<(i128, usize)> =
        weights.enumerate().map(|(index, weight)| (-(i128::from(amount) * i128::from(weight.max(0)) % total), index)).collect();
    by_remainder.sort_unstable();
    for (_, index) in by_remainder {
        if rest == 0 {
            break;
        }
        out[index] += 1;
        rest -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_once_and_exactly() {
        let rate = Ratio::new(1, 100).times(Ratio::new(5, 4));
        assert_eq!(rate.apply(19_999, Rounding::Floor), 249);
        assert_eq!(rate.apply(19_999, Rounding::Ceil), 250);
        // Beyond 64 bits the same.
        let huge = Ratio { num: 3 << 70, den: 2 << 70 };
        assert_eq!(
            (huge.apply(1, Rounding::Floor), huge.apply(1, Rounding::HalfEven), huge.apply(3, Rounding::HalfEven)),
            (1, 2, 4)
        );
        let half = Ratio::new(1, 2);
        let all =
            |amount| [Rounding::Floor, Rounding::HalfUp, Rounding::HalfEven, Rounding::Ceil].map(|how| half.apply(amount, how));
        assert_eq!(all(1), [0, 1, 0, 1]);
        assert_eq!(all(3), [1, 2, 2, 2]);
    }

    #[test]
    fn decimals() {
        assert_eq!(Ratio::parse("0.85"), Some(Ratio { num: 17, den: 20 }));
        assert_eq!(Ratio::parse("2"), Some(Ratio { num: 2, den: 1 }));
        for wrong in ["", ".5", "5.", "-1", "1e3", "1,0", "1.0.0"] {
            assert_eq!(Ratio::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spreading_loses_nothing() {
        let mut out = Vec::new();
        spread(100, [1, 1, 1].into_iter(), &mut out);
        assert_eq!(out, [34, 33, 33]);
        spread(10, [0, 0].into_iter(), &mut out);
        assert_eq!(out, [10, 0]);
        spread(7, [30, 50, 20].into_iter(), &mut out);
        assert_eq!(out, [2, 4, 1]);
    }
}
