//! What is wrong with a message.

use std::fmt;

/// A message that can't be booked, ever: it goes to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Stable, snake_case, one of [`Malformed::CODES`].
    pub code: &'static str,
    /// Names the field and the value, with a hint: one lower-case line. Never personal data.
    pub detail: String,
}

impl Malformed {
    /// Every code, and what it means.
    pub const CODES: &[(&str, &str)] = &[
        ("control_character", "an id has a control character, or a text has a NUL"),
        ("discount_too_large", "a line's discount is more than its quantity × unit_price"),
        ("duplicate_line", "an order has a line_id twice"),
        ("invalid_id", "a program has a \"/\", or a hash is not hex"),
        ("invalid_instant", "text that is no rfc 3339 instant"),
        ("missing_currency", "json money in a body that names no currency, of a program whose currency is not known"),
        ("missing_field", "a field that must be there is absent or empty"),
        ("negative_amount", "money below 0 where only more makes sense"),
        ("negative_quantity", "a number of pieces below 0"),
        ("not_positive", "money or points that must be above 0"),
        ("out_of_range", "an instant outside the calendar, or an end before its start"),
        ("overflow", "money, points or pieces beyond the bound"),
        ("too_long", "more bytes than the bound"),
        ("too_many", "more entries in a list than the bound"),
        ("too_many_decimals", "more decimals than the currency has"),
        ("undecodable", "neither protobuf nor json, or cut short"),
        ("unexpected_field", "fields that exclude each other, or a member in a control fact"),
        ("unknown_body", "no body, or one of a later version"),
        ("unknown_currency", "no iso 4217 code"),
        ("unknown_key", "json or toml with a key that no field has"),
        ("unknown_value", "a name or number that no enum has"),
        ("unsupported_encoding", "a content-type or cloudevents version that is not read"),
        ("wrong_key", "the record's key is not <program>/<member>"),
        ("wrong_type", "json or toml of another type than the field's"),
        ("zero", "points or money that must not be 0"),
    ];

    /// With a code and a line of detail.
    #[cold]
    #[inline(never)]
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Malformed { code, detail: detail.into() }
    }
}

/// On its way through a reader: one register, so that the good way stays fast.
pub(crate) type Fault = Box<Malformed>;

#[cold]
#[inline(never)]
pub(crate) fn fault(code: &'static str, detail: impl Into<String>) -> Fault {
    Box::new(Malformed::new(code, detail))
}

impl From<Fault> for Malformed {
    fn from(fault: Fault) -> Self {
        *fault
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sources(folder: &Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).expect("reads") {
            let path = entry.expect("reads").path();
            if path.is_dir() {
                sources(&path, all);
            } else {
                all.push_str(&std::fs::read_to_string(path).expect("utf-8"));
            }
        }
    }

    /// Codes are what people match on: none is made up in passing, none is listed without being used.
    #[test]
    fn every_code_is_listed_and_used() {
        let mut all = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        let mut used: Vec<&str> = Vec::new();
        for maker in ["Malformed::new(", "fault(", ".error(", "not_in_range(value, field, "] {
            for after in all.split(maker).skip(1) {
                if let Some((code, _)) = after.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')) {
                    used.push(code);
                }
            }
        }
        used.retain(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        used.sort_unstable();
        used.dedup();
        assert_eq!(used, Malformed::CODES.iter().map(|(code, _)| *code).collect::<Vec<_>>());
    }
}
