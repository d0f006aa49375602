//! When points start and when they end (§2).

use super::calendar::Zone;
use super::rules::{texts, to, word};
use anyhow::{Context, Result};
use toml::{Table, Value};

/// When points start and end.
#[derive(Clone, Debug)]
pub struct Life {
    /// The start.
    pub start: Start,
    /// The end.
    pub end: End,
    /// The end is counted from the earning, not from the start.
    pub from_earning: bool,
}

/// When points become spendable.
#[derive(Clone, Debug)]
pub enum Start {
    /// At once.
    Immediate,
    /// A time later: duration, rounding.
    After(String, Option<String>),
    /// With the order's fulfilment; cancelled that long after the order without it.
    Fulfilled(Option<String>),
    /// On the next of these days: month, day.
    Dates(Vec<(i8, i8)>),
}

/// When points end.
#[derive(Clone, Debug)]
pub enum End {
    /// Not.
    Never,
    /// A time later: duration, rounding.
    After(String, Option<String>),
    /// With the next of these days: month, day.
    Dates(Vec<(i8, i8)>),
}

impl Life {
    /// This, with what `[pending]` and `[expiry]` tables say instead.
    pub fn laid_over(&self, pending: &Table, expiry: &Table) -> Result<Life> {
        let mut life = self.clone();
        match pending.get("start") {
            None => (),
            Some(Value::Table(start)) if start.contains_key("on") => {
                life.start = Start::Fulfilled(start.get("cancel_after").and_then(Value::as_str).map(str::to_owned));
            }
            Some(Value::Table(start)) if start.contains_key("dates") => life.start = Start::Dates(dates(start)?),
            Some(Value::Table(start)) => life.start = Start::After(word(start, "after", "").to_owned(), to(start)),
            Some(_) => life.start = Start::Immediate,
        }
        match expiry.get("lot") {
            None => (),
            Some(Value::Table(lot)) if lot.contains_key("dates") => life.end = End::Dates(dates(lot)?),
            Some(Value::Table(lot)) => life.end = End::After(word(lot, "after", "").to_owned(), to(lot)),
            Some(_) => life.end = End::Never,
        }
        if let Some(base) = expiry.get("base") {
            life.from_earning = base.as_str() == Some("earn");
        }
        Ok(life)
    }

    /// The start of points earned at `earned`; `None`: with the fulfilment.
    pub fn starts_at(&self, zone: &Zone, earned: i64) -> Result<Option<i64>> {
        Ok(match &self.start {
            Start::Immediate => Some(earned),
            Start::After(after, to) => Some(zone.after(earned, after, to.as_deref())?),
            Start::Dates(dates) => Some(zone.next_start(earned, dates)?),
            Start::Fulfilled(_) => None,
        })
    }

    /// The end of points earned at `earned` and started at `started`.
    pub fn ends_at(&self, zone: &Zone, earned: i64, started: i64) -> Result<Option<i64>> {
        let base = if self.from_earning { earned } else { started };
        Ok(match &self.end {
            End::Never => None,
            End::After(after, to) => Some(zone.after(base, after, to.as_deref())?),
            End::Dates(dates) => Some(zone.next_end(base, dates)?),
        })
    }
}

fn dates(table: &Table) -> Result<Vec<(i8, i8)>> {
    let read = |date: &String| {
        let (month, day) = date.split_once('-').context("not a day of the year")?;
        Ok((month.parse()?, day.parse()?))
    };
    texts(table, "dates").iter().map(read).collect()
}
