//! What a scenario expects of a member's referrals.

use super::{Wrong, unknown, wrong};
use crate::answer::ReferralsAnswer;
use toml::Value;

const NAMES: [&str; 9] =
    ["code", "visits", "joined", "pending", "completed", "reversed", "conversion_per_mille", "codes", "referred_by"];

/// Names and values. `codes`: `code state` each; `referred_by`: `state code`.
pub(super) fn read(value: &Value) -> Result<Vec<(String, String)>, Wrong> {
    let Some(table) = value.as_table() else {
        return wrong(&["referrals"], format!("a table is needed with any of {}", NAMES.join(", ")));
    };
    let mut expected = Vec::new();
    for (name, value) in table {
        if !NAMES.contains(&name.as_str()) {
            return unknown(&["referrals", name], &NAMES);
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", "),
            _ => return wrong(&["referrals", name], "a number, a text or a list of texts is needed".to_string()),
        };
        expected.push((name.clone(), text));
    }
    Ok(expected)
}

/// `None`: nothing ever had to do with referrals, so every number is 0.
pub(super) fn found(name: &str, referrals: Option<&ReferralsAnswer>) -> String {
    let number = |of: fn(&ReferralsAnswer) -> u32| referrals.map_or(0, of).to_string();
    match name {
        "code" => referrals.map_or_else(String::new, |referrals| as_told(&referrals.code).to_string()),
        "visits" => number(|referrals| referrals.visits),
        "joined" => number(|referrals| referrals.joined),
        "pending" => number(|referrals| referrals.pending),
        "completed" => number(|referrals| referrals.completed),
        "reversed" => number(|referrals| referrals.reversed),
        "conversion_per_mille" => {
            let per_mille = referrals.and_then(|referrals| referrals.conversion_per_mille);
            per_mille.map_or_else(|| "none".to_string(), |per_mille| per_mille.to_string())
        }
        "codes" => {
            let codes = referrals.into_iter().flat_map(|referrals| &referrals.codes);
            codes.map(|code| format!("{} {}", as_told(&code.code), code.state)).collect::<Vec<_>>().join(", ")
        }
        _ => {
            let by = referrals.and_then(|referrals| referrals.referred_by.as_ref());
            by.map_or_else(|| "nobody".to_string(), |by| format!("{} {}", by.state, as_told(&by.code)))
        }
    }
}

/// A code as the file has it: in other orders of arrival it is another.
fn as_told(code: &str) -> &str {
    code.split_once('~').map_or(code, |(told, _)| told)
}
