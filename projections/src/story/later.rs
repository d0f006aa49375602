//! Rulesets that come into force while a story goes on: `[[later]]`.
//!
//! `from = 2024-06-01T00:00:00Z`, the scenario's base and nothing laid over it: from that instant on it alone judges.

use super::StoryError;
use super::file::{Source, base_of};
use super::rules;
use accrue_ledger::Instant;
use std::path::PathBuf;
use toml::{Table, Value};

const KEYS: [&str; 3] = ["from", "base", "ruleset"];

/// Reads them, in the order of the file. `base`: the scenario's, for those that name none; its `[ruleset]` is not theirs.
pub(super) fn read(
    story: &Table,
    base: Option<&(PathBuf, String)>,
    source: &Source<'_>,
) -> Result<Vec<(Instant, String)>, StoryError> {
    let list = match story.get("later") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(source.error(&["later"], "later rulesets are tables: [[later]]")),
    };
    list.iter().enumerate().map(|(index, later)| one(later, &index.to_string(), base, source)).collect()
}

fn one(
    later: &Value,
    index: &str,
    base: Option<&(PathBuf, String)>,
    source: &Source<'_>,
) -> Result<(Instant, String), StoryError> {
    let Some(table) = later.as_table() else {
        return Err(source.error(&["later"], "later rulesets are tables: [[later]]"));
    };
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let detail = format!("unknown key `{key}`, expected one of {}", KEYS.join(", "));
        return Err(source.error(&["later", index, key], detail));
    }
    let from = match table.get("from") {
        Some(Value::Datetime(from)) => Instant::parse(&from.to_string()),
        _ => None,
    };
    let Some(from) = from else {
        return Err(source.error(&["later", index, "from"], "`from` is an instant with its offset: 2024-01-01T00:00:00Z"));
    };
    let base = match table.get("base") {
        None => base.cloned(),
        Some(Value::String(base)) => Some(base_of(base, source)?),
        Some(_) => return Err(source.error(&["later", index, "base"], "`base` is a text")),
    };
    let over = match table.get("ruleset") {
        None => None,
        Some(Value::Table(over)) => Some(over),
        Some(_) => return Err(source.error(&["later", index, "ruleset"], "`ruleset` is a table")),
    };
    Ok((from, rules::read(base, over, source)?.text))
}
