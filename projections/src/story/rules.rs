//! The ruleset of a scenario: a base, with what the scenario says laid over it.

use super::StoryError;
use super::file::Source;
use accrue_ledger::{MAIN, Ruleset};
use std::path::PathBuf;
use toml::{Table, Value};

/// What a scenario is judged by.
pub(super) struct Rules {
    pub program: String,
    pub currency: String,
    pub ledgers: Vec<String>,
    /// The ruleset.
    pub text: String,
}

impl Rules {
    /// Whether there is such a ledger.
    pub fn has_ledger(&self, ledger: &str) -> bool {
        ledger == MAIN || self.ledgers.iter().any(|known| known == ledger)
    }
}

/// Reads the base and lays `over` over it.
pub(super) fn read(base: Option<(PathBuf, String)>, over: Option<&Table>, source: &Source<'_>) -> Result<Rules, StoryError> {
    let mut table = Table::new();
    let mut own_text = None;
    if let Some((path, text)) = base {
        table = toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text[..start].matches('\n').count() + 1;
            StoryError::File { file: path.clone(), line, detail: error.message().to_string() }
        })?;
        own_text = over.is_none().then_some((path, text));
    }
    if let Some(over) = over {
        lay_over(&mut table, over);
    }
    let word = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    let ledgers = table.get("ledgers").and_then(Value::as_table).map(|ledgers| ledgers.keys().cloned().collect());
    let (program, currency, ledgers) = (word("program"), word("currency"), ledgers.unwrap_or_default());
    let text = match own_text {
        // Its own text, so that errors name its own lines.
        Some((file, text)) => match Ruleset::parse(&text) {
            Ok(_) => text,
            Err(error) => return Err(StoryError::File { file, line: error.line, detail: error.message }),
        },
        None => {
            let text = toml::to_string(&table).map_err(|error| source.error(&["ruleset"], error.to_string()))?;
            if let Err(error) = Ruleset::parse(&text) {
                let detail = format!("the ruleset with this laid over it: {}", error.message);
                return Err(source.error(&["ruleset"], detail));
            }
            text
        }
    };
    Ok(Rules { program, currency, ledgers, text })
}

/// Tables are merged; lists of tables with `id` are matched by it; everything else is replaced.
fn lay_over(under: &mut Table, over: &Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => lay_over(under, over),
            (Some(Value::Array(under)), Value::Array(over)) if has_ids(under) && has_ids(over) => lay_over_list(under, over),
            (Some(under), over) => *under = over.clone(),
            (None, over) => {
                under.insert(key.clone(), over.clone());
            }
        }
    }
}

fn id_of(value: &Value) -> Option<&Value> {
    value.as_table()?.get("id")
}

fn has_ids(list: &[Value]) -> bool {
    list.iter().all(|value| id_of(value).is_some())
}

fn lay_over_list(under: &mut Vec<Value>, over: &[Value]) {
    for value in over {
        match (under.iter_mut().find(|known| id_of(known) == id_of(value)), value) {
            (Some(Value::Table(known)), Value::Table(value)) => lay_over(known, value),
            _ => under.push(value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_merged_and_lists_matched_by_id() {
        let mut under: Table =
            "a = 1\n[t]\nx = 1\ny = { p = 1 }\n[[e]]\nid = \"1\"\nv = 1\nw = 1\n[[e]]\nid = \"2\"\n".parse().expect("toml");
        let over: Table = "[t]\ny = { q = 2 }\n[[e]]\nid = \"3\"\n[[e]]\nid = \"1\"\nv = 2\n".parse().expect("toml");
        lay_over(&mut under, &over);
        let wanted: Table =
            "a = 1\n[t]\nx = 1\ny = { p = 1, q = 2 }\n[[e]]\nid = \"1\"\nv = 2\nw = 1\n[[e]]\nid = \"2\"\n[[e]]\nid = \"3\"\n"
                .parse()
                .expect("toml");
        assert_eq!(under, wanted);
    }
}
