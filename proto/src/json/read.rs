//! JSON to protobuf bytes.

use super::Defaults;
use super::near::nearest;
use super::schema::{FACT, Field, Message, Shape};
use crate::bounds::AMOUNT_MAX;
use crate::check::shown;
use crate::money::{self, MoneyError};
use crate::wire::{put_bytes, put_int};
use crate::{Malformed, time};
use accrue_ledger::Kind;
use serde_json::{Map, Value};

/// Bytes of a `Fact`.
pub(crate) fn fact_bytes(value: &Value, defaults: &Defaults<'_>) -> Result<Vec<u8>, Malformed> {
    let mut walk = Walk::new(defaults);
    let object = walk.object(value)?;
    let bodies = FACT.fields.iter().filter(|field| field.oneof.is_some());
    if !bodies.into_iter().any(|field| object.get(&field.name).is_some_and(|body| !body.is_null())) {
        return Err(no_body(object));
    }
    let mut out = Vec::new();
    walk.message(&FACT, value, &mut out)?;
    Ok(out)
}

/// Bytes of a body alone.
pub(crate) fn body_bytes(kind: Kind, value: &Value, defaults: &Defaults<'_>) -> Result<Vec<u8>, Malformed> {
    let Some(Field { name, shape: Shape::Body(body), .. }) = FACT.by_number(u32::from(kind as u8)) else {
        return Err(Malformed::new("unknown_body", format!("{} is no body this version knows", kind.name())));
    };
    let mut walk = Walk::new(defaults);
    walk.path.push_str(name);
    walk.body(body, value)
}

/// A body of a later version looks like a key with an object that nobody knows.
fn no_body(object: &Map<String, Value>) -> Malformed {
    let known = || FACT.fields.iter().map(|field| field.name.as_str());
    let unknown = object.iter().find(|(name, value)| value.is_object() && FACT.by_name(name).is_none());
    match unknown {
        Some((name, _)) => {
            let hint = nearest(name, known()).map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Malformed::new("unknown_body", format!("{} is no body this version knows{hint}", shown(name)))
        }
        None => Malformed::new("unknown_body", "no body: one key named after it, like order_placed, is needed"),
    }
}

struct Walk<'a> {
    /// Where we are, for errors.
    path: String,
    default_currency: Option<&'a str>,
    currency: Currency,
}

/// The currency of the body being read.
#[derive(Clone, Copy)]
enum Currency {
    /// No body yet, or none that names or is given one.
    None,
    /// With its decimal places; `used` when the default was needed to read money.
    Known { exponent: u8, used: bool },
}

impl<'a> Walk<'a> {
    fn new(defaults: &Defaults<'a>) -> Self {
        Walk { path: String::new(), default_currency: defaults.currency, currency: Currency::None }
    }

    #[cold]
    fn error(&self, code: &'static str, what: &str) -> Malformed {
        let at = if self.path.is_empty() { "the fact" } else { &self.path };
        Malformed::new(code, format!("{at}: {what}"))
    }

    #[cold]
    fn wrong_type(&self, value: &Value, needed: &str) -> Malformed {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::String(value) => shown(value),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        self.error("wrong_type", &format!("{found} found, {needed} is needed"))
    }

    /// Runs with the path one step longer.
    fn at<T>(&mut self, step: &str, run: impl FnOnce(&mut Self) -> Result<T, Malformed>) -> Result<T, Malformed> {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        let done = run(self);
        self.path.truncate(length);
        done
    }

    fn object<'v>(&self, value: &'v Value) -> Result<&'v Map<String, Value>, Malformed> {
        value.as_object().ok_or_else(|| self.wrong_type(value, "an object"))
    }

    fn text<'v>(&self, value: &'v Value) -> Result<&'v str, Malformed> {
        value.as_str().ok_or_else(|| self.wrong_type(value, "text"))
    }

    fn message(&mut self, message: &Message, value: &Value, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut chosen: Vec<(i32, &str)> = Vec::new();
        for (name, value) in self.object(value)? {
            let Some(field) = message.by_name(name) else {
                return Err(self.unknown_key(message, name));
            };
            if value.is_null() {
                continue;
            }
            if let Some(oneof) = field.oneof {
                if let Some((_, other)) = chosen.iter().find(|(taken, _)| *taken == oneof) {
                    return Err(self.error("unexpected_field", &format!("{other} and {name} given: one of the two is enough")));
                }
                chosen.push((oneof, name));
            }
            self.at(name, |walk| walk.field(field, value, out))?;
        }
        Ok(())
    }

    #[cold]
    fn unknown_key(&self, message: &Message, name: &str) -> Malformed {
        let known = message.fields.iter().map(|field| field.name.as_str());
        let hint = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None if message.fields.is_empty() => "nothing goes in here".to_owned(),
            None if message.name == "Fact" => "the keys are those of the envelope and one body".to_owned(),
            None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
        };
        self.error("unknown_key", &format!("unknown key {}; {hint}", shown(name)))
    }

    fn field(&mut self, field: &Field, value: &Value, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if !field.repeated {
            return self.value(field, value, out);
        }
        let values = value.as_array().ok_or_else(|| self.wrong_type(value, "a list"))?;
        values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| self.at(&format!("[{index}]"), |walk| walk.value(field, value, out)))
    }

    fn value(&mut self, field: &Field, value: &Value, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match &field.shape {
            Shape::Text => put_bytes(field.number, self.text(value)?.as_bytes(), out),
            Shape::Whole => put_int(field.number, self.whole(value)?, out),
            Shape::Small => {
                let small = u32::try_from(self.whole(value)?);
                put_int(field.number, small.map_err(|_| self.wrong_type(value, "a whole number from 0 to 2^32-1"))?.into(), out);
            }
            Shape::Bool => {
                let said = value.as_bool().ok_or_else(|| self.wrong_type(value, "true or false"))?;
                put_int(field.number, said.into(), out);
            }
            Shape::Money => put_int(field.number, self.money(value)?, out),
            Shape::Instant => time::put(field.number, &self.instant(value)?, out),
            Shape::When(when) => put_bytes(field.number, &self.when(when, value)?, out),
            Shape::Enum(names) => put_int(field.number, self.named(names, value)?.into(), out),
            Shape::Map(entry) => self.map(entry, field.number, value, out)?,
            Shape::Body(body) => put_bytes(field.number, &self.body(body, value)?, out),
            Shape::Message(message) => {
                let mut bytes = Vec::new();
                self.message(message, value, &mut bytes)?;
                put_bytes(field.number, &bytes, out);
            }
        }
        Ok(())
    }

    /// A body has one currency, of all money in it.
    fn body(&mut self, body: &Message, value: &Value) -> Result<Vec<u8>, Malformed> {
        let own = body.by_name("currency");
        let said = own.and_then(|_| value.get("currency")).filter(|said| !said.is_null());
        self.currency = match said {
            Some(said) => {
                let code = self.at("currency", |walk| walk.text(said))?;
                Currency::Known { exponent: self.at("currency", |walk| walk.exponent(code))?, used: false }
            }
            None => Currency::None,
        };
        let mut bytes = Vec::new();
        self.message(body, value, &mut bytes)?;
        if let (Some(field), None, Some(default)) = (own, said, self.default_currency)
            && (body.name == "OrderPlaced" || matches!(self.currency, Currency::Known { used: true, .. }))
        {
            put_bytes(field.number, default.as_bytes(), &mut bytes);
        }
        Ok(bytes)
    }

    fn exponent(&self, code: &str) -> Result<u8, Malformed> {
        let unknown = || self.error("unknown_currency", &format!("{} is no currency (iso 4217, upper case)", shown(code)));
        money::exponent(code).ok_or_else(unknown)
    }

    fn whole(&self, value: &Value) -> Result<i64, Malformed> {
        match value.as_i64() {
            Some(whole) => Ok(whole),
            None if value.is_u64() => Err(self.error("overflow", &format!("{value} does not fit in 64 bits"))),
            None => Err(self.wrong_type(value, "a whole number")),
        }
    }

    fn money(&mut self, value: &Value) -> Result<i64, Malformed> {
        match value {
            Value::String(text) => {
                let exponent = self.exponent_for_money()?;
                money::parse_minor(text, exponent).map_err(|why| match why {
                    MoneyError::NotDecimal => {
                        self.error("wrong_type", &format!("{} is no amount; \"12.50\" is the form", shown(text)))
                    }
                    MoneyError::TooManyDecimals => {
                        let what = format!("{} has more decimals than the currency, which has {exponent}", shown(text));
                        self.error("too_many_decimals", &what)
                    }
                    MoneyError::Overflow => {
                        let what = format!("{} is more than the largest amount, {AMOUNT_MAX} minor units", shown(text));
                        self.error("overflow", &what)
                    }
                })
            }
            Value::Object(object) if object.len() == 1 => match object.get("minor") {
                Some(minor) => self.at("minor", |walk| walk.whole(minor)),
                None => Err(self.wrong_type(value, "a decimal string like \"12.50\"")),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(self.wrong_type(value, "a decimal string like \"12.50\""))
            }
        }
    }

    fn exponent_for_money(&mut self) -> Result<u8, Malformed> {
        match (self.currency, self.default_currency) {
            (Currency::Known { exponent, .. }, _) => Ok(exponent),
            (Currency::None, Some(default)) => {
                let exponent = self.exponent(default)?;
                self.currency = Currency::Known { exponent, used: true };
                Ok(exponent)
            }
            (Currency::None, None) => {
                let what = "money without a currency: name one in the body, or give {\"minor\": …} in minor units";
                Err(self.error("missing_currency", what))
            }
        }
    }

    fn instant(&self, value: &Value) -> Result<prost_types::Timestamp, Malformed> {
        let text = self.text(value)?;
        let what = || format!("{} is no instant; \"2024-03-01T10:00:00Z\" is the form (rfc 3339)", shown(text));
        time::parse(text).ok_or_else(|| self.error("invalid_instant", &what()))
    }

    fn named(&self, names: &[(String, i32)], value: &Value) -> Result<i32, Malformed> {
        let text = self.text(value)?;
        match names.iter().find(|(name, _)| name == text) {
            Some((_, number)) => Ok(*number),
            None => {
                let known: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
                Err(self.error("unknown_value", &format!("{} found, known are {}", shown(text), known.join(", "))))
            }
        }
    }

    /// `"never"`, `"immediate"`, `{"at": …}` or `{"after": …, "to": …}`
    fn when(&mut self, when: &Message, value: &Value) -> Result<Vec<u8>, Malformed> {
        let needed = "\"never\", \"immediate\", {at} or {after, to}";
        let inner = match value {
            Value::String(_) => "named",
            Value::Object(object) if object.contains_key("at") => "at",
            Value::Object(_) => "after",
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return Err(self.wrong_type(value, needed)),
        };
        let Some(field) = when.by_name(inner) else {
            return Err(self.wrong_type(value, needed));
        };
        let mut bytes = Vec::new();
        match (inner, value) {
            ("at", Value::Object(object)) => {
                if let Some(other) = object.keys().find(|key| *key != "at") {
                    return Err(self.error("unknown_key", &format!("{} beside at; {needed} is needed", shown(other))));
                }
                self.at("at", |walk| walk.value(field, &object["at"], &mut bytes))?;
            }
            _ => self.value(field, value, &mut bytes)?,
        }
        Ok(bytes)
    }

    fn map(&mut self, entry: &Message, number: u32, value: &Value, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let Some(said) = entry.by_number(2) else {
            return Err(self.wrong_type(value, "an object"));
        };
        for (name, value) in self.object(value)? {
            let mut bytes = Vec::new();
            put_bytes(1, name.as_bytes(), &mut bytes);
            // The names are the member's data: not for the path of an error.
            self.value(said, value, &mut bytes)?;
            put_bytes(number, &bytes, out);
        }
        Ok(())
    }
}
