//! What points are worth to those who count them as owed.

use super::text::RatioText;
use crate::ratio::{Ratio, Rounding};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LiabilityText {
    value_per_point: RatioText,
    #[serde(default = "whole")]
    expected_redemption_rate: RatioText,
}

fn whole() -> RatioText {
    RatioText(Ratio::ONE)
}

/// `[liability]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liability {
    /// Whole units of the program's currency.
    pub value_per_point: Ratio,
    /// Which part of what is outstanding will be spent.
    pub expected_redemption_rate: Ratio,
}

impl LiabilityText {
    pub fn read(&self) -> Liability {
        Liability { value_per_point: self.value_per_point.0, expected_redemption_rate: self.expected_redemption_rate.0 }
    }
}

impl Liability {
    /// What points ≥ 0 are worth, all of them and as far as they will be spent: minor units of a currency with so many
    /// decimals, each rounded half up.
    pub fn of(&self, points: i64, exponent: u32) -> (i64, i64) {
        let minor = self.value_per_point.times(Ratio::new(10_i128.pow(exponent), 1));
        (minor.apply(points, Rounding::HalfUp), minor.times(self.expected_redemption_rate).apply(points, Rounding::HalfUp))
    }
}

#[cfg(test)]
mod tests {
    use crate::ruleset::Ruleset;

    #[test]
    fn points_in_money() {
        let rules = "program = \"p\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[liability]\nvalue_per_point = \"0.005\"\n";
        let rate = "expected_redemption_rate = \"0.8\"\n";
        let liability = |text: &str| Ruleset::parse(text).expect("valid").liability.expect("there");
        assert_eq!(liability(rules).of(1_001, 2), (501, 501));
        assert_eq!(liability(&format!("{rules}{rate}")).of(1_001, 2), (501, 400));
        assert!(Ruleset::parse(&format!("{rules}rate = 1\n")).is_err());
    }
}
