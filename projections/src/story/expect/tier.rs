//! What a scenario expects of a member's tier.

use super::{Wrong, unknown, wrong};
use crate::answer::TierAnswer;
use accrue_ledger::Instant;
use toml::Value;

const TIER: [&str; 9] = ["effective", "qualified", "metric", "next", "missing", "held_until", "projected", "to_keep", "override"];
/// What is written where there is no such number.
const NONE: &str = "none";

/// Names and values; `"none"` where nothing is expected to be there.
pub(super) fn read(value: &Value) -> Result<Vec<(String, String)>, Wrong> {
    let Some(table) = value.as_table() else {
        return wrong(&["tier"], format!("a table is needed with any of {}", TIER.join(", ")));
    };
    let one = |(key, value): (&String, &Value)| {
        let path = ["tier", key.as_str()];
        if !TIER.contains(&key.as_str()) {
            return unknown(&path, &TIER);
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Datetime(at) => match Instant::parse(&at.to_string()) {
                Some(at) => at.to_string(),
                None => return wrong(&path, "an instant needs its offset: 2024-01-01T00:00:00Z".to_string()),
            },
            _ => return wrong(&path, "a text, a number or an instant is needed".to_string()),
        };
        Ok((key.clone(), text))
    };
    table.iter().map(one).collect()
}

/// What the answer has under a name.
pub(super) fn found(name: &str, tier: Option<&TierAnswer>) -> String {
    let Some(tier) = tier else { return NONE.to_string() };
    let found = match name {
        "effective" => Some(&tier.effective),
        "qualified" => Some(&tier.qualified),
        "metric" => Some(&tier.metric),
        "next" => tier.next.as_ref(),
        "missing" => tier.missing.as_ref(),
        "held_until" => tier.held_until.as_ref(),
        "projected" => tier.projected.as_ref(),
        "to_keep" => tier.to_keep.as_ref(),
        _ => tier.r#override.as_ref().map(|over| &over.tier),
    };
    found.map_or_else(|| NONE.to_string(), Clone::clone)
}
