//! Money as text. The table of currencies and the arithmetic are the ledger's: a ruleset and a fact must agree on both.

use accrue_ledger::currency;

pub use accrue_ledger::currency::MoneyError;

/// Decimal places of a currency (ISO 4217): 0, 2, 3 or 4. `None` for codes that are not on the list.
pub fn exponent(code: &str) -> Option<u8> {
    currency::exponent(code).and_then(|places| u8::try_from(places).ok())
}

/// Reads `"12.50"` as minor units, given the currency's decimal places.
///
/// # Errors
/// [`MoneyError`]; too many places are an error also when they are zeros.
pub fn parse_minor(text: &str, exponent: u8) -> Result<i64, MoneyError> {
    currency::parse_amount(text, exponent.into())
}

/// Writes minor units with all of the currency's decimal places: `"12.50"`.
pub fn show_minor(minor: i64, exponent: u8) -> String {
    currency::format_amount(minor, exponent.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::AMOUNT_MAX;
    use proptest::prelude::*;

    #[test]
    fn currencies() {
        for (code, places) in
            [("GBP", Some(2)), ("ZWG", Some(2)), ("AED", Some(2)), ("JPY", Some(0)), ("KWD", Some(3)), ("UYW", Some(4))]
        {
            assert_eq!(exponent(code), places, "{code}");
        }
        for unknown in ["gbp", "GB", "XXX", "XTS", "", "BPG", "D A", "GBPX"] {
            assert_eq!(exponent(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn amounts() {
        for (text, places, minor) in [("12.5", 2, 1250), ("0", 0, 0), ("007", 0, 7), ("-0.01", 2, -1), ("1.234", 3, 1234)] {
            assert_eq!(parse_minor(text, places), Ok(minor), "{text}");
        }
        for (text, places, why) in [
            ("12.500", 2, MoneyError::TooManyDecimals),
            ("1.0", 0, MoneyError::TooManyDecimals),
            ("99999999999999999999", 2, MoneyError::Overflow),
        ] {
            assert_eq!(parse_minor(text, places), Err(why), "{text}");
        }
        for text in ["", "-", ".5", "5.", "1,50", "1e3", "+1", " 1", "1.-5", "--1", "1.2.3", "٣", "£1"] {
            assert_eq!(parse_minor(text, 2), Err(MoneyError::NotDecimal), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_and_back(minor in -AMOUNT_MAX..=AMOUNT_MAX, exponent in 0_u8..5) {
            prop_assert_eq!(parse_minor(&show_minor(minor, exponent), exponent), Ok(minor));
        }
    }
}
