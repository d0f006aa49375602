//! JSON text, with a key given twice an error: which of two amounts was meant is not ours to guess.

use crate::Malformed;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// # Errors
/// `undecodable` with line and column.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Malformed> {
    match serde_json::from_slice::<Once>(bytes) {
        Ok(Once(value)) => Ok(value),
        Err(error) => Err(Malformed::new("undecodable", format!("json: {error}"))),
    }
}

struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Once)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json")
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {} is given twice", crate::check::shown(&key))));
            }
            let Once(value) = map.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_is_an_error_at_any_depth() {
        assert_eq!(
            parse(br#"{"a": [1, -1, 1.5, "x", null, true, {"b": {}}]}"#).map(|value| value.to_string()),
            Ok(r#"{"a":[1,-1,1.5,"x",null,true,{"b":{}}]}"#.into())
        );
        for bad in [&br#"{"a": 1, "a": 1}"#[..], br#"[{"a": {"b": 1, "b": 2}}]"#, b"{", b"", b"{} x", b"\xff", b"{\"a\": NaN}"] {
            assert_eq!(parse(bad).map_err(|error| error.code), Err("undecodable"), "{}", String::from_utf8_lossy(bad));
        }
        let deep = "[".repeat(10_000);
        assert!(parse(deep.as_bytes()).is_err(), "no stack is deep enough for everybody");
    }
}
