//! A comparison of rules as one page that needs nothing else: to be sent round before anybody decides.

use crate::print::points;
use askama::Template;
use serde_json::Value;

#[derive(Template)]
#[template(path = "compared.html")]
struct Page<'a> {
    answer: &'a Value,
    sides: (&'a str, &'a str),
    /// Pictures, drawn.
    pictures: &'a [String; 2],
}

impl Page<'_> {
    fn rows(&self, name: &str) -> &[Value] {
        self.answer[name].as_array().map_or(&[], Vec::as_slice)
    }

    fn text<'v>(&self, value: &'v Value, name: &str) -> &'v str {
        value[name].as_str().unwrap_or_default()
    }

    fn number(&self, value: &Value, pointer: &str) -> String {
        points(value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0))
    }

    fn signed(&self, value: &Value, pointer: &str) -> String {
        let number = value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        if number > 0 { format!("+{}", points(number)) } else { points(number) }
    }

    fn ledgers(&self) -> Vec<(&String, &Value)> {
        self.answer["ledgers"].as_object().into_iter().flatten().collect()
    }

    fn rules_of<'v>(&self, shift: &'v Value) -> Vec<(&'v String, &'v Value)> {
        shift["rules"].as_object().into_iter().flatten().collect()
    }
}

/// The page. `sides`: what the two were called.
///
/// # Errors
/// It can't be written.
pub fn compared(answer: &Value, sides: (&str, &str), pictures: &[String; 2]) -> Result<String, askama::Error> {
    Page { answer, sides, pictures }.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_escaped_and_pictures_are_not() {
        let answer = serde_json::json!({
            "program": "<shop>", "members": 1200, "changed": 7, "at": "2024-01-01T00:00:00Z",
            "ledgers": { "main": { "old": { "active": 1500 }, "new": { "active": 1600 }, "delta": { "active": 100 } } },
            "gainers": [{ "member": "a&b", "old": 1, "new": 2, "delta": 1, "rules": { "base": [1, 2] } }],
        });
        let page = compared(&answer, ("live", "new.toml"), &[String::new(), "<svg/>".into()]).expect("renders");
        for part in ["&#60;shop&#62;", "<svg/>", "1,600", "+100", "a&#38;b", "1 → 2"] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("http"), "it fetches nothing");
    }
}
