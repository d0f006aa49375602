//! What is owed to members, as one page that needs nothing else.

use crate::print::points;
use askama::Template;
use serde_json::Value;

/// Columns of the roll-forward: the name in the answer, and for people. Those in which nothing is are left out.
const COLUMNS: [(&str, &str); 15] = [
    ("opening", "opening"),
    ("earned", "earned"),
    ("imported", "imported"),
    ("restored", "restored"),
    ("transferred_in", "transferred in"),
    ("adjusted", "adjusted"),
    ("spent", "spent"),
    ("expired", "expired"),
    ("cancelled", "cancelled"),
    ("clawed_back", "clawed back"),
    ("debt_repaid", "debt repaid"),
    ("transferred_out", "transferred out"),
    ("closing", "closing"),
    ("debt_opened", "debt opened"),
    ("debt_closing", "debt closing"),
];

#[derive(Template)]
#[template(path = "owed.html")]
struct Page<'a> {
    answer: &'a Value,
    /// Of each ledger: how what is owed came, and its vintages.
    pictures: &'a [[String; 2]],
}

impl Page<'_> {
    /// Program, ledger and pictures.
    fn ledgers(&self) -> Vec<(&Value, &Value, &[String; 2])> {
        let programs = self.rows(self.answer, "programs").iter();
        let all = programs.flat_map(|program| self.rows(program, "ledgers").iter().map(move |ledger| (program, ledger)));
        all.zip(self.pictures).map(|((program, ledger), pictures)| (program, ledger, pictures)).collect()
    }

    fn rows<'v>(&self, value: &'v Value, name: &str) -> &'v [Value] {
        value[name].as_array().map_or(&[], Vec::as_slice)
    }

    fn columns(&self, ledger: &Value) -> Vec<(&'static str, &'static str)> {
        let rows = self.rows(ledger, "rows");
        let always = ["opening", "earned", "spent", "expired", "closing"];
        let has =
            |name: &str| always.contains(&name) || rows.iter().any(|row| row[name].as_i64().is_some_and(|points| points != 0));
        COLUMNS.into_iter().filter(|(name, _)| has(name)).collect()
    }

    fn text<'v>(&self, value: &'v Value, name: &str) -> &'v str {
        value[name].as_str().unwrap_or_default()
    }

    fn number(&self, value: &Value, name: &str) -> String {
        points(value[name].as_i64().unwrap_or(0))
    }

    fn last<'v>(&self, ledger: &'v Value) -> &'v Value {
        ledger["rows"].as_array().and_then(|rows| rows.last()).unwrap_or(&Value::Null)
    }

    fn has_money(&self, ledger: &Value) -> bool {
        self.rows(ledger, "rows").iter().any(|row| row["value"].is_string())
    }
}

/// The page.
///
/// # Errors
/// It can't be written.
pub fn owed(answer: &Value, pictures: &[[String; 2]]) -> Result<String, askama::Error> {
    Page { answer, pictures }.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_itself() {
        let answer = serde_json::json!({ "as_of": "2026-01-01T00:00:00Z", "digest": "d1", "shards": [{ "shard": 0, "next_position": 7 }], "programs": [{
            "program": "<shop>", "currency": "GBP", "ledgers": [{ "ledger": "main", "lots": { "active": 1500, "pending": 0, "debt": 0 },
            "rows": [{ "period": "2025-12", "opening": 0, "earned": 2000, "spent": -500, "expired": 0, "closing": 1500, "value": "15.00", "expected_value": "12.00" }] }],
        }] });
        let page = owed(&answer, &[["<svg>one</svg>".into(), "<svg>two</svg>".into()]]).expect("renders");
        for part in ["&#60;shop&#62;", "<svg>one</svg>", "1,500", "-500", "12.00", "0:7", "d1"] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("http") && !page.contains("imported"), "it fetches nothing, and empty columns are not there");
    }
}
