//! Numbers as other systems write them: exact, rounded once where the mapping says so.
//!
//! 3 × 0.333 = 0.999 is a line of 1.00: three at 0.34 less a discount of 0.02.

use accrue_proto::bounds::AMOUNT_MAX;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// How numbers are written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberStyle {
    /// Before the fraction.
    pub(super) decimal: char,
    /// Between thousands; left out when reading.
    pub(super) thousands: Option<char>,
}

/// What a line is worth, minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineMoney {
    /// Price of one; the line's value is never below its total.
    pub(super) unit_price: i64,
    /// What makes up the difference to the total.
    pub(super) discount: i64,
    /// What was paid.
    pub(super) total: i64,
}

impl NumberStyle {
    /// Reads a plain number, with or without a sign.
    pub(super) fn read(&self, text: &str) -> Result<Decimal, String> {
        let mut plain = String::with_capacity(text.len());
        let mut points = 0;
        for (index, char) in text.chars().enumerate() {
            match char {
                '0'..='9' => plain.push(char),
                '-' if index == 0 => plain.push(char),
                '+' if index == 0 => {}
                _ if char == self.decimal => {
                    points += 1;
                    plain.push('.');
                }
                _ if Some(char) == self.thousands && points == 0 => {}
                _ => return Err(self.not_a_number(text)),
            }
        }
        if points > 1 || !plain.contains(|char: char| char.is_ascii_digit()) {
            return Err(self.not_a_number(text));
        }
        Decimal::from_str_exact(&plain).map_err(|_| format!("\"{text}\" has more digits than a number may have"))
    }

    fn not_a_number(&self, text: &str) -> String {
        let hint = match (text.contains(','), self.decimal) {
            (true, '.') => "; set file.decimal = \",\" or file.thousands = \",\"",
            (false, ',') if text.contains('.') => "; set file.decimal = \".\" or file.thousands = \".\"",
            _ => "",
        };
        format!("\"{text}\" is not a number{hint}")
    }

    /// Reads whole pieces; `6.0` is 6.
    pub(super) fn pieces(&self, text: &str) -> Result<i64, String> {
        let number = self.read(text)?;
        if !number.fract().is_zero() {
            return Err(format!("\"{text}\" is not a whole number of pieces; sell by weight as 1 piece with lines.total"));
        }
        number
            .to_i64()
            .filter(|pieces| pieces.unsigned_abs() <= AMOUNT_MAX.unsigned_abs())
            .ok_or_else(|| format!("\"{text}\" is out of range"))
    }
}

/// Minor units of an amount that must not have more decimals than the currency.
pub(super) fn minor(amount: Decimal, exponent: u8) -> Result<i64, String> {
    let scaled = scaled(amount, exponent)?;
    if !scaled.fract().is_zero() {
        return Err(format!(
            "{amount} has more decimals than the currency's {exponent}; lines.price_decimals = \"exact_line\" rounds each line once"
        ));
    }
    whole(scaled)
}

/// Minor units, a half rounded up (away from zero).
pub(super) fn minor_rounded(amount: Decimal, exponent: u8) -> Result<i64, String> {
    whole(scaled(amount, exponent)?.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero))
}

/// `quantity` pieces at `price`: the price exact in minor units.
pub(super) fn line_exact(quantity: i64, price: Decimal, exponent: u8) -> Result<LineMoney, String> {
    let unit_price = minor(price, exponent)?;
    let total = quantity.checked_mul(unit_price).filter(|total| *total <= AMOUNT_MAX).ok_or_else(too_large)?;
    Ok(LineMoney { unit_price, discount: 0, total })
}

/// `quantity` pieces at a price with any number of decimals: quantity × price is rounded once, half up; the unit price is
/// rounded up, and what that is too much is the line's discount, so that the line's net is the rounded total exactly.
pub(super) fn line_rounded_once(quantity: i64, price: Decimal, exponent: u8) -> Result<LineMoney, String> {
    let total = price.checked_mul(Decimal::from(quantity)).ok_or_else(too_large)?;
    line_of_total(quantity, minor_rounded(total, exponent)?, whole(scaled(price, exponent)?.ceil())?)
}

/// `quantity` pieces for `total` minor units together; `unit_price` at least a piece's share.
fn line_of_total(quantity: i64, total: i64, unit_price: i64) -> Result<LineMoney, String> {
    let value = quantity.checked_mul(unit_price).filter(|value| *value <= AMOUNT_MAX).ok_or_else(too_large)?;
    Ok(LineMoney { unit_price, discount: value - total, total })
}

/// `quantity` pieces for `total` minor units together.
pub(super) fn line_split(quantity: i64, total: i64) -> Result<LineMoney, String> {
    if quantity == 0 && total != 0 {
        return Err("a line without pieces has a total".to_owned());
    }
    line_of_total(quantity, total, if quantity == 0 { 0 } else { total / quantity + i64::from(total % quantity != 0) })
}

fn scaled(amount: Decimal, exponent: u8) -> Result<Decimal, String> {
    amount.checked_mul(Decimal::from(10_i64.pow(u32::from(exponent)))).ok_or_else(too_large)
}

fn whole(amount: Decimal) -> Result<i64, String> {
    amount.to_i64().filter(|minor| minor.unsigned_abs() <= AMOUNT_MAX.unsigned_abs()).ok_or_else(too_large)
}

fn too_large() -> String {
    "the amount is out of range".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: NumberStyle = NumberStyle { decimal: '.', thousands: None };
    const EUROPEAN: NumberStyle = NumberStyle { decimal: ',', thousands: Some('.') };

    fn number(text: &str) -> Decimal {
        PLAIN.read(text).expect(text)
    }

    #[test]
    fn reads_what_people_write() {
        assert_eq!(PLAIN.read("-12.50"), Ok(Decimal::new(-1250, 2)));
        assert_eq!(PLAIN.read("+.5"), Ok(Decimal::new(5, 1)));
        assert_eq!(EUROPEAN.read("1.234,50"), Ok(Decimal::new(123_450, 2)));
        for wrong in ["", "-", ".", "1e3", "1.2.3", "£5", "1 000", "1-", "1_0", "NaN"] {
            assert!(PLAIN.read(wrong).is_err(), "{wrong}");
        }
        assert!(PLAIN.read("1,50").unwrap_err().contains("file.decimal"));
        assert!(EUROPEAN.read("1,5.0").is_err(), "thousands after the fraction began");
        assert_eq!(PLAIN.pieces("6.0"), Ok(6));
        assert_eq!(PLAIN.pieces("-3"), Ok(-3));
        assert!(PLAIN.pieces("0.25").unwrap_err().contains("lines.total"));
        assert!(PLAIN.pieces("99999999999999999").is_err());
    }

    #[test]
    fn money_is_exact_or_refused() {
        assert_eq!(minor(number("12.50"), 2), Ok(1250));
        assert_eq!(minor(number("12.500"), 2), Ok(1250));
        assert!(minor(number("0.001"), 2).unwrap_err().contains("exact_line"));
        assert_eq!(minor(number("7"), 0), Ok(7));
        assert_eq!(
            [number("0.005"), number("0.0049"), number("-0.005")].map(|amount| minor_rounded(amount, 2)),
            [Ok(1), Ok(0), Ok(-1)]
        );
        assert!(minor(number("99999999999999999"), 2).is_err());
        assert!(line_exact(AMOUNT_MAX, number("10"), 2).is_err());
    }

    #[test]
    fn a_line_is_rounded_once_and_its_net_is_its_total() {
        let thirds = line_rounded_once(3, number("0.333"), 2);
        assert_eq!(thirds, Ok(LineMoney { unit_price: 34, discount: 2, total: 100 }));
        assert_eq!(line_rounded_once(1, number("0.001"), 2), Ok(LineMoney { unit_price: 1, discount: 1, total: 0 }));
        assert_eq!(line_rounded_once(6, number("2.55"), 2), Ok(LineMoney { unit_price: 255, discount: 0, total: 1530 }));
        assert_eq!(line_split(3, 100), Ok(LineMoney { unit_price: 34, discount: 2, total: 100 }));
        assert_eq!(line_split(0, 0), Ok(LineMoney::default()));
        assert!(line_split(0, 1).is_err());
        for quantity in [1_i64, 2, 3, 7, 144, 80_995] {
            for price in ["0.001", "0.125", "0.005", "1.999", "2.08", "3.3333333", "0"] {
                let line = line_rounded_once(quantity, number(price), 2).expect("in range");
                let net = quantity * line.unit_price - line.discount;
                assert_eq!(net, line.total, "{quantity} × {price}");
                assert!(line.discount >= 0 && line.discount <= quantity * line.unit_price, "{quantity} × {price}: {line:?}");
            }
        }
    }
}
