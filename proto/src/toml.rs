//! The TOML shape: the JSON shape with TOML's own instants.

use crate::json::{Defaults, fact_from_value};
use crate::{Malformed, pb};
use ::toml::value::{Table, Value as Toml};
use serde_json::{Map, Number, Value};

/// Reads an envelope from a table.
///
/// # Errors
/// [`Malformed`] naming the key.
pub fn fact_from_toml(table: &Table, defaults: &Defaults<'_>) -> Result<pb::Fact, Malformed> {
    fact_from_value(&object(table)?, defaults)
}

/// A table as the JSON of the same content.
///
/// # Errors
/// [`Malformed`]: a number that is none, or an instant without its offset.
pub fn object(table: &Table) -> Result<Value, Malformed> {
    let entries = table.iter().map(|(key, value)| Ok((key.clone(), json(value, key)?)));
    entries.collect::<Result<Map<_, _>, Malformed>>().map(Value::Object)
}

fn json(value: &Toml, key: &str) -> Result<Value, Malformed> {
    Ok(match value {
        Toml::String(text) => Value::String(text.clone()),
        Toml::Integer(whole) => Value::from(*whole),
        Toml::Float(float) => match Number::from_f64(*float) {
            Some(number) => Value::Number(number),
            None => return Err(Malformed::new("wrong_type", format!("{key} is {float}: no number"))),
        },
        Toml::Boolean(said) => Value::Bool(*said),
        Toml::Datetime(at) if at.date.is_some() && at.time.is_some() && at.offset.is_none() => {
            let detail = format!("{key} is {at}: an instant needs its offset, like {at}Z");
            return Err(Malformed::new("invalid_instant", detail));
        }
        Toml::Datetime(at) => Value::String(at.to_string()),
        Toml::Array(values) => Value::Array(values.iter().map(|value| json(value, key)).collect::<Result<_, _>>()?),
        Toml::Table(table) => object(table)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::fact_from_json;

    fn read(text: &str) -> Result<pb::Fact, Malformed> {
        fact_from_toml(&text.parse().expect("toml"), &Defaults { currency: Some("GBP") })
    }

    #[test]
    fn same_as_json() {
        let fact = read(
            r#"
            id = "e1"
            occurred_at = 2024-03-01T10:00:00.5+01:00
            points_adjusted = { adjustment_id = "1", points = -5, tier_credit = "-2.50", expires = { at = 2024-12-31T00:00:00Z } }
            "#,
        );
        let json = br#"{"id": "e1", "occurred_at": "2024-03-01T09:00:00.5Z", "points_adjusted":
            {"adjustment_id": "1", "points": -5, "tier_credit": "-2.50", "expires": {"at": "2024-12-31T00:00:00Z"}}}"#;
        assert_eq!(fact, fact_from_json(json, &Defaults { currency: Some("GBP") }));
        assert!(fact.is_ok());
    }

    #[test]
    fn what_toml_can_say_and_a_fact_cannot() {
        for (text, code) in [
            ("occurred_at = 2024-03-01T10:00:00\nmember_left = {}", "invalid_instant"),
            ("occurred_at = 2024-03-01\nmember_left = {}", "invalid_instant"),
            ("points_adjusted = { points = 1.0 }", "wrong_type"),
            ("points_adjusted = { points = nan }", "wrong_type"),
            ("points_adjusted = { tier_credit = 2.5 }", "wrong_type"),
            ("points_adjusted = { tier_credit = 2 }", "wrong_type"),
        ] {
            assert_eq!(read(text).map_err(|error| error.code), Err(code), "{text}");
        }
    }
}
