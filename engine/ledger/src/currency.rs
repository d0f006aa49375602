//! Currencies and their minor units (ISO 4217).

/// Decimals of a currency's minor unit: 0, 2, 3 or 4. `None`: not an active ISO 4217 code.
pub fn exponent(code: &str) -> Option<u32> {
    const ZERO: &[&str] =
        &["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"];
    const THREE: &[&str] = &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
    const TWO: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE \
        CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF \
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV \
        MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
    match code {
        "GBP" | "EUR" | "USD" => Some(2),
        _ if code.len() != 3 => None,
        _ if ZERO.contains(&code) => Some(0),
        _ if THREE.contains(&code) => Some(3),
        "CLF" | "UYW" => Some(4),
        _ => TWO.split_ascii_whitespace().any(|known| known == code).then_some(2),
    }
}

/// Why a decimal is not an amount of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not `digits[.digits]` with an optional leading minus.
    #[error("not a decimal number")]
    NotDecimal,
    /// More decimals than the currency has.
    #[error("more decimals than the currency has")]
    TooManyDecimals,
    /// Beyond what an amount may be.
    #[error("out of range")]
    Overflow,
}

/// The largest amount, in minor units: what keeps every sum of an order far from `i64`'s end.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000_000;

/// Reads `"12.50"` as minor units of a currency with `exponent` decimals. Zeros beyond the currency's decimals count as too many as well.
pub fn parse_amount(text: &str, exponent: u32) -> Result<i64, MoneyError> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || (digits.contains('.') && fraction.is_empty()) {
        return Err(MoneyError::NotDecimal);
    }
    if fraction.len() > exponent as usize {
        return Err(MoneyError::TooManyDecimals);
    }
    let mut amount: i64 = 0;
    let padding = std::iter::repeat_n(b'0', exponent as usize - fraction.len());
    for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
        amount = amount.checked_mul(10).and_then(|sum| sum.checked_add(i64::from(digit - b'0'))).ok_or(MoneyError::Overflow)?;
        if amount > AMOUNT_MAX {
            return Err(MoneyError::Overflow);
        }
    }
    Ok(if negative { -amount } else { amount })
}

/// Writes minor units as a decimal: `1250` → `"12.50"`.
pub fn format_amount(amount: i64, exponent: u32) -> String {
    if exponent == 0 {
        return amount.to_string();
    }
    let unit = 10_u64.pow(exponent);
    let sign = if amount < 0 { "-" } else { "" };
    let size = amount.unsigned_abs();
    format!("{sign}{}.{:0width$}", size / unit, size % unit, width = exponent as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(parse_amount("12.50", 2), Ok(1250));
        assert_eq!(parse_amount("-0.01", 2), Ok(-1));
        assert_eq!(parse_amount("7", 3), Ok(7000));
        assert_eq!(parse_amount("0.001", 2), Err(MoneyError::TooManyDecimals));
        assert_eq!(parse_amount("99999999999999999999", 2), Err(MoneyError::Overflow));
        for wrong in ["", "-", ".5", "5.", "1e3", "+1", "1,5"] {
            assert_eq!(parse_amount(wrong, 2), Err(MoneyError::NotDecimal), "{wrong}");
        }
        assert_eq!(format_amount(-5, 2), "-0.05");
        assert_eq!((exponent("JPY"), exponent("CHF"), exponent("XXQ")), (Some(0), Some(2), None));
    }
}
