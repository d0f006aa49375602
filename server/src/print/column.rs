//! A column: its head, where its value is, how it is shown.

use serde_json::Value;
use std::borrow::Cow;

/// How a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// As it is.
    Plain,
    /// An instant, to the minute.
    Instant,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its head.
    pub head: &'static str,
    /// Where its value is in a row: a JSON pointer.
    pub pointer: &'static str,
    /// Numbers stand on the right.
    pub right: bool,
    cell: Cell,
}

/// A column of text.
pub const fn text(head: &'static str, pointer: &'static str) -> Column {
    Column { head, pointer, right: false, cell: Cell::Plain }
}

/// A column of numbers.
pub const fn right(head: &'static str, pointer: &'static str) -> Column {
    Column { head, pointer, right: true, cell: Cell::Plain }
}

impl Column {
    /// Shown to the minute.
    pub const fn instant(mut self) -> Column {
        self.cell = Cell::Instant;
        self
    }

    /// For people.
    pub fn shown(&self, row: &Value) -> String {
        match row.pointer(self.pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) if self.cell == Cell::Instant => minute(text),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.as_i64().map_or_else(|| number.to_string(), points),
            Some(Value::Bool(yes)) => (if *yes { "yes" } else { "" }).to_owned(),
            Some(Value::Array(items)) => items.iter().map(words).collect::<Vec<_>>().join(" "),
            Some(other) => other.to_string(),
        }
    }

    /// For programs.
    pub fn raw(&self, row: &Value) -> String {
        match row.pointer(self.pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => without_formula(text).into_owned(),
            Some(Value::Array(items)) => items.iter().map(words).collect::<Vec<_>>().join(" "),
            Some(other) => other.to_string(),
        }
    }
}

/// Text that a spreadsheet would take for a formula begins with an apostrophe.
pub fn without_formula(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A whole number with commas between thousands.
pub fn points(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `2024-10-12T07:20:50Z` as `2024-10-12 07:20`; words as they are.
pub fn minute(instant: &str) -> String {
    match instant.split_once('T') {
        Some((day, time)) if time.ends_with('Z') => format!("{day} {}", time.chars().take(5).collect::<String>()),
        _ => instant.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands() {
        let all = [0, 999, 1000, -1234567, i64::MIN].map(points);
        assert_eq!(all, ["0", "999", "1,000", "-1,234,567", "-9,223,372,036,854,775,808"]);
    }
}
