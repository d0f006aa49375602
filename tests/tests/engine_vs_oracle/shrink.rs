//! The smallest part of a history that still differs, as a scenario to be kept in `scenarios/own`.

use accrue_tests::history::History;
use anyhow::Result;
use serde_json::Value;
use std::fmt::Write as _;
use toml::Table;

/// Takes away what is not needed for `fails` to stay true: the end first, then ever smaller parts from everywhere.
pub fn smallest(facts: &[Value], mut fails: impl FnMut(&[Value]) -> Result<bool>) -> Result<Vec<Value>> {
    let mut facts = facts.to_vec();
    let mut part = facts.len().div_ceil(2);
    while part > 0 {
        let mut end = facts.len();
        while end > 0 {
            let start = end.saturating_sub(part);
            let rest: Vec<Value> = facts[..start].iter().chain(&facts[end..]).cloned().collect();
            if fails(&rest)? {
                facts = rest;
            }
            end = start;
        }
        part /= 2;
    }
    Ok(facts)
}

/// The facts as a scenario; what to expect is for the reader to work out from `domain.md`.
pub fn scenario(seed: u64, history: &History, facts: &[Value]) -> Result<String> {
    let mut story = format!("name = \"seed {seed}\"\nsection = \"§\"\n\n");
    let mut ruleset = Table::new();
    ruleset.insert("ruleset".to_owned(), history.rules_toml.parse::<Table>()?.into());
    story.push_str(&toml::to_string(&ruleset)?);
    for (from, rules) in &history.later_rules {
        let _ = writeln!(story, "\n# From {from} on:\n# {}", rules.replace('\n', "\n# "));
    }
    for fact in facts {
        story.push_str("\n[[step]]\n");
        for (key, value) in fact.as_object().into_iter().flatten() {
            let _ = match (key.as_str(), value) {
                ("program", _) => Ok(()),
                ("occurred_at", Value::String(at)) => writeln!(story, "at = {at}"),
                (key, value) => writeln!(story, "{key} = {}", inline(value)),
            };
        }
    }
    Ok(story)
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let parts: Vec<String> = fields.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", parts.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
