//! Exact numbers: rationals rounded once, decimals, and shares that lose nothing.

use anyhow::{Context, Result, ensure};
use std::cmp::Ordering;

/// A fraction; the denominator is above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Above the line.
    pub n: i128,
    /// Below the line, > 0.
    pub d: i128,
}

/// How a fraction becomes a whole number of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Down.
    Floor,
    /// Up.
    Ceil,
    /// To the nearest, a half up.
    HalfUp,
    /// To the nearest, a half to the even one.
    HalfEven,
}

impl Ratio {
    /// A whole number.
    pub fn whole(n: i128) -> Ratio {
        Ratio { n, d: 1 }
    }

    /// The product.
    #[must_use]
    pub fn times(self, by: Ratio) -> Ratio {
        Ratio { n: self.n * by.n, d: self.d * by.d }
    }

    /// The quotient; `by` is above 0.
    #[must_use]
    pub fn over(self, by: Ratio) -> Ratio {
        Ratio { n: self.n * by.d, d: self.d * by.n }
    }

    /// Which is more.
    pub fn compare(self, with: Ratio) -> Ordering {
        (self.n * with.d).cmp(&(with.n * self.d))
    }

    /// To a whole number; for fractions ≥ 0.
    pub fn round(self, how: Rounding) -> i64 {
        let down = self.n.div_euclid(self.d);
        let rest = self.n.rem_euclid(self.d);
        let up = match how {
            Rounding::Floor => false,
            Rounding::Ceil => rest > 0,
            Rounding::HalfUp => rest * 2 >= self.d,
            Rounding::HalfEven => rest * 2 > self.d || (rest * 2 == self.d && down % 2 == 1),
        };
        i64::try_from(down + i128::from(up)).unwrap_or(i64::MAX)
    }
}

/// Reads `12.50` as 1250/100.
pub fn decimal(text: &str) -> Result<Ratio> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, ""));
    ensure!(cents.bytes().all(|c| c.is_ascii_digit()), "not a decimal: {text}");
    let n: i128 = format!("{whole}{cents}").parse().with_context(|| format!("not a decimal: {text}"))?;
    let digits = u32::try_from(cents.len()).context("too many decimals")?;
    Ok(Ratio { n, d: 10_i128.pow(digits) })
}

/// How many decimals amounts of a currency have.
pub fn decimals(currency: &str) -> u32 {
    match currency {
        "JPY" | "KRW" | "ISK" | "CLP" | "VND" => 0,
        "BHD" | "KWD" | "JOD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// Shares of `amount` in proportion to `weights` (≥ 0): each its floor, what is left one by one to the largest
/// remainders, ties to the earlier. All 0 when there is no weight.
pub fn spread(amount: i128, weights: &[i128]) -> Vec<i128> {
    let total: i128 = weights.iter().sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let mut shares: Vec<i128> = weights.iter().map(|weight| amount * weight / total).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&i| (-(amount * weights[i] % total), i));
    let left = amount - shares.iter().sum::<i128>();
    for &i in by_remainder.iter().take(usize::try_from(left).unwrap_or(0)) {
        shares[i] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_once() {
        // §3: 199.99 at 1 per 1.00 and ×1.25, floor = 249.
        let spent = decimal("199.99").unwrap();
        let points = spent.over(decimal("1.00").unwrap()).times(decimal("1.25").unwrap());
        assert_eq!(points.round(Rounding::Floor), 249);
        assert_eq!(points.round(Rounding::Ceil), 250);
        let half = |n| Ratio { n, d: 2 };
        assert_eq!(
            [half(5).round(Rounding::HalfUp), half(5).round(Rounding::HalfEven), half(7).round(Rounding::HalfEven)],
            [3, 2, 4]
        );
        assert_eq!([half(4).round(Rounding::Ceil), half(4).round(Rounding::HalfUp)], [2, 2]);
    }

    #[test]
    fn shares_lose_nothing() {
        assert_eq!(spread(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(spread(100, &[333, 333, 334]), [33, 33, 34]);
        assert_eq!(spread(5, &[0, 7, 0]), [0, 5, 0]);
        assert_eq!(spread(5, &[0, 0]), [0, 0]);
        assert_eq!(spread(1, &[1, 2]), [0, 1]);
    }

    #[test]
    fn decimals_as_written() {
        assert_eq!(decimal("12.50").unwrap(), Ratio { n: 1250, d: 100 });
        assert_eq!(decimal("-3").unwrap(), Ratio { n: -3, d: 1 });
        assert!(decimal("1.2.3").is_err() && decimal("").is_err() && decimal("1.-5").is_err());
    }
}
