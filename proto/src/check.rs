//! What must hold of a single value, whatever the ruleset says.

use crate::bounds::{AMOUNT_MAX, ID_BYTES_MAX, LABELS_MAX};
use crate::error::{Fault, fault};

/// Long enough to recognise a value in an error, short enough for a line.
const SHOWN_CHARS_MAX: usize = 40;

pub(crate) fn shown(value: &str) -> String {
    let mut text: String = value.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if value.chars().nth(SHOWN_CHARS_MAX).is_some() {
        text.push('…');
    }
    format!("\"{text}\"")
}

#[cold]
#[inline(never)]
pub(crate) fn missing(field: &str) -> Fault {
    fault("missing_field", format!("{field} is missing or empty"))
}

/// An id; empty stays empty.
#[inline]
pub(crate) fn id<'a>(value: &'a str, field: &str) -> Result<&'a str, Fault> {
    let bytes = value.as_bytes();
    // One pass without branches decides nearly all; what is not ASCII or is suspect is looked at again.
    let mut plain = bytes.len() <= ID_BYTES_MAX;
    for byte in bytes {
        plain &= byte.wrapping_sub(0x20) < 0x5f;
    }
    if plain { Ok(value) } else { suspect(value, field) }
}

#[cold]
#[inline(never)]
fn suspect<'a>(value: &'a str, field: &str) -> Result<&'a str, Fault> {
    if value.len() > ID_BYTES_MAX {
        return Err(fault(
            "too_long",
            format!("{field} has {} bytes, at most {ID_BYTES_MAX} are allowed: {}", value.len(), shown(value)),
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(fault("control_character", format!("{field} has a control character: {}", shown(value))));
    }
    Ok(value)
}

/// An id that must be there.
#[inline]
pub(crate) fn required<'a>(value: &'a str, field: &str) -> Result<&'a str, Fault> {
    if value.is_empty() { Err(missing(field)) } else { id(value, field) }
}

/// An id that may be absent; empty is absent.
#[inline]
pub(crate) fn optional<'a>(value: Option<&'a str>, field: &str) -> Result<Option<&'a str>, Fault> {
    match value {
        None | Some("") => Ok(None),
        Some(value) => id(value, field).map(Some),
    }
}

/// Free text: bounded, without NUL. The text itself is never shown: it may be about a person.
pub(crate) fn text<'a>(value: &'a str, bytes_max: usize, field: &str) -> Result<&'a str, Fault> {
    if value.len() > bytes_max {
        let detail = format!("{field} has {} bytes, at most {bytes_max} are allowed", value.len());
        return Err(fault("too_long", detail));
    }
    match value.bytes().position(|byte| byte == 0) {
        Some(at) => Err(fault("control_character", format!("{field} has a NUL at byte {at}"))),
        None => Ok(value),
    }
}

#[cold]
#[inline(never)]
fn not_in_range(value: i64, field: &str, code: &'static str, least: i64) -> Fault {
    if value < least {
        let must = if least == 0 { "must not be negative" } else { "must be above 0" };
        fault(code, format!("{field} is {value}: {must}"))
    } else {
        overflow(field, &value.to_string())
    }
}

#[cold]
#[inline(never)]
pub(crate) fn overflow(field: &str, value: &str) -> Fault {
    fault("overflow", format!("{field} is {value}: at most {AMOUNT_MAX} is allowed"))
}

/// Money, minor units from 0.
#[inline]
pub(crate) fn amount(value: i64, field: &str) -> Result<i64, Fault> {
    if (0..=AMOUNT_MAX).contains(&value) { Ok(value) } else { Err(not_in_range(value, field, "negative_amount", 0)) }
}

/// Pieces, from 0.
#[inline]
pub(crate) fn quantity(value: i64, field: &str) -> Result<i64, Fault> {
    if (0..=AMOUNT_MAX).contains(&value) { Ok(value) } else { Err(not_in_range(value, field, "negative_quantity", 0)) }
}

/// Money or points, above 0.
pub(crate) fn positive(value: i64, field: &str) -> Result<i64, Fault> {
    if (1..=AMOUNT_MAX).contains(&value) { Ok(value) } else { Err(not_in_range(value, field, "not_positive", 1)) }
}

/// Money or points of either sign.
pub(crate) fn signed(value: i64, field: &str) -> Result<i64, Fault> {
    if (-AMOUNT_MAX..=AMOUNT_MAX).contains(&value) { Ok(value) } else { Err(overflow(field, &value.to_string())) }
}

/// Money or points of either sign, but not none.
pub(crate) fn nonzero(value: i64, field: &str) -> Result<i64, Fault> {
    if value == 0 { Err(fault("zero", format!("{field} is 0 or absent"))) } else { signed(value, field) }
}

/// ISO 4217: three upper-case letters. Whether the program takes it is the ruleset's to say.
#[inline]
pub(crate) fn currency<'a>(value: &'a str, field: &str) -> Result<&'a str, Fault> {
    match value.as_bytes() {
        [a, b, c] if a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_uppercase() => Ok(value),
        [] => Err(missing(field)),
        _ => {
            Err(fault("unknown_currency", format!("{field} is {}: three upper-case letters are needed (iso 4217)", shown(value))))
        }
    }
}

/// The bound of a list, before one more goes in.
#[inline]
pub(crate) fn room(length: usize, most: usize, field: &str) -> Result<(), Fault> {
    if length < most { Ok(()) } else { Err(too_many(most, field)) }
}

#[cold]
#[inline(never)]
fn too_many(most: usize, field: &str) -> Fault {
    fault("too_many", format!("{field} has more than {most} entries"))
}

/// One more label.
#[inline]
pub(crate) fn label<'a>(value: &'a str, length: usize, field: &str) -> Result<&'a str, Fault> {
    room(length, LABELS_MAX, field)?;
    required(value, field)
}

/// A program's name: an id without `/`, which ends it in the Kafka key.
#[inline]
pub(crate) fn program<'a>(value: &'a str, field: &str) -> Result<&'a str, Fault> {
    if value.as_bytes().contains(&b'/') {
        return Err(fault("invalid_id", format!("{field} is {}: \"/\" is not allowed", shown(value))));
    }
    required(value, field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let long = "x".repeat(ID_BYTES_MAX);
        for good in ["a", "ü – 顾客", " ", "a/b", "~", &long] {
            assert_eq!(id(good, "f"), Ok(good));
        }
        let longer = "x".repeat(ID_BYTES_MAX + 1);
        for (bad, code) in [
            ("a\0", "control_character"),
            ("\n", "control_character"),
            ("\u{7f}", "control_character"),
            ("é\u{85}", "control_character"),
            (longer.as_str(), "too_long"),
        ] {
            assert_eq!(id(bad, "f").map_err(|error| error.code), Err(code), "{bad:?}");
        }
        assert_eq!(required("", "f").map_err(|error| error.code), Err("missing_field"));
        assert_eq!(program("a/b", "f").map_err(|error| error.code), Err("invalid_id"));
        assert_eq!(program("acme:sandbox", "f"), Ok("acme:sandbox"));
    }

    #[test]
    fn numbers() {
        assert_eq!(amount(AMOUNT_MAX, "f"), Ok(AMOUNT_MAX));
        assert_eq!(amount(AMOUNT_MAX + 1, "f").map_err(|error| error.code), Err("overflow"));
        assert_eq!(amount(-1, "f").map_err(|error| error.code), Err("negative_amount"));
        assert_eq!(quantity(-1, "f").map_err(|error| error.code), Err("negative_quantity"));
        assert_eq!(positive(0, "f").map_err(|error| error.code), Err("not_positive"));
        assert_eq!(nonzero(0, "f").map_err(|error| error.code), Err("zero"));
        assert_eq!(signed(i64::MIN, "f").map_err(|error| error.code), Err("overflow"));
        assert_eq!(signed(-AMOUNT_MAX, "f"), Ok(-AMOUNT_MAX));
        assert_eq!(currency("GBp", "f").map_err(|error| error.code), Err("unknown_currency"));
    }

    #[test]
    fn values_are_shown_short_and_on_one_line() {
        assert_eq!(shown("a\"\n"), r#""a\"\n""#);
        assert_eq!(shown(&"x".repeat(100)).chars().count(), 43);
    }
}
