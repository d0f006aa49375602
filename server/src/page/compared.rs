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

    fn shortfalls(&self) -> &[Value] {
        self.answer["uncovered"]["largest"].as_array().map_or(&[], Vec::as_slice)
    }

    fn ledgers(&self) -> Vec<(&String, &Value)> {
        self.answer["ledgers"].as_object().into_iter().flatten().collect()
    }

    fn pairs<'v>(&self, shift: &'v Value) -> Vec<Pair<'v>> {
        pairs_of(&shift["entries"])
    }

    fn side(&self, entry: Option<&Value>) -> String {
        let told = |entry: &Value| {
            format!("{} {}: {}", self.signed(entry, "/points"), self.text(entry, "kind"), self.text(entry, "why"))
        };
        entry.map(told).unwrap_or_default()
    }

    fn rules_of<'v>(&self, shift: &'v Value) -> Vec<(&'v String, &'v Value)> {
        shift["rules"].as_object().into_iter().flatten().collect()
    }
}

/// When, and the entry on each side.
pub type Pair<'v> = (&'v str, Option<&'v Value>, Option<&'v Value>);

/// Entries that only one side has, in order of time; those of the same cause beside each other.
pub fn pairs_of(entries: &Value) -> Vec<Pair<'_>> {
    let of = |side: &str| entries[side].as_array().map_or(&[][..], Vec::as_slice);
    let key =
        |entry: &Value| ["kind", "ledger", "rule", "source"].map(|name| entry[name].as_str().unwrap_or_default().to_owned());
    let at = |entry: &'_ Value| entry["at"].as_str().unwrap_or_default().to_owned();
    let mut left: Vec<&Value> = of("new").iter().collect();
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for old in of("old") {
        let found = left.iter().position(|new| key(new) == key(old) && at(new) == at(old));
        let new = found.map(|index| left.remove(index));
        pairs.push((old["at"].as_str().unwrap_or_default(), Some(old), new));
    }
    pairs.extend(left.into_iter().map(|new| (new["at"].as_str().unwrap_or_default(), None, Some(new))));
    pairs.sort_by_key(|(at, ..)| *at);
    pairs
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
            "gainers": [{ "member": "a&b", "old": 1, "new": 2, "delta": 1, "rules": { "base": [1, 2] }, "entries": {
                "old": [{ "at": "2024-01-02T00:00:00Z", "kind": "earned", "points": 1, "source": "O-1", "why": "one a pound" }],
                "new": [{ "at": "2024-01-01T00:00:00Z", "kind": "earned", "points": 7, "source": "O-0", "why": "new" },
                        { "at": "2024-01-02T00:00:00Z", "kind": "earned", "points": 2, "source": "O-1", "why": "two a pound" }],
                "more": 3,
            } }],
        });
        let page = compared(&answer, ("live", "new.toml"), &[String::new(), "<svg/>".into()]).expect("renders");
        for part in ["&#60;shop&#62;", "<svg/>", "1,600", "+100", "a&#38;b", "1 → 2", "+2 earned: two a pound", "and 3 more"] {
            assert!(page.contains(part), "{part} in {page}");
        }
        let pairs: Vec<(bool, bool)> =
            pairs_of(&answer["gainers"][0]["entries"]).iter().map(|(_, old, new)| (old.is_some(), new.is_some())).collect();
        assert_eq!(pairs, [(false, true), (true, true)], "by time, and beside each other");
        assert!(!page.contains("http"), "it fetches nothing");
    }
}
