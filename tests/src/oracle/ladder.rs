//! `[tiers]` and `[[tier]]`: what is counted, over which days, and what each step asks for (§9).

use super::calendar::Zone;
use super::number::{Ratio, decimal, decimals};
use super::rules::{flag, number, part, tables, word};
use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use jiff::{Span, ToSpan};
use toml::{Table, Value};

/// `[tiers]`, with all its tiers.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// What is counted.
    pub metric: Metric,
    /// Over which days.
    pub window: Window,
    /// How long an attained tier is held.
    pub hold: String,
    /// What happens when it is not maintained.
    pub downgrade: Downgrade,
    /// How long a tier that is not maintained stays, before it is tested again; `None`: it does not.
    pub grace: Option<String>,
    /// Lowest first.
    pub tiers: Vec<Tier>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Eligible spend, minor units of the program's currency.
    Spend,
    /// Points of rules that count.
    Points,
    /// Orders that are worth something.
    Orders,
}

/// Over which days.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// The last so many.
    Rolling(String),
    /// `year`, `quarter`, `month`.
    Calendar(String),
    /// Periods from the member's first day.
    Anniversary(String),
    /// All.
    Lifetime,
}

/// What happens to a tier that is not maintained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downgrade {
    /// To the highest qualified.
    Full,
    /// One down.
    OneStep,
    /// Nothing.
    None,
}

/// `[[tier]]`
#[derive(Clone, Debug)]
pub struct Tier {
    /// Its id.
    pub id: String,
    /// Only by override.
    pub custom: bool,
    /// What lifts into it; in the unit of the metric.
    pub entry: i64,
    /// What keeps in it.
    pub maintain: i64,
    /// On points earned.
    pub multiplier: Ratio,
    /// Points given when it is entered.
    pub entry_points: i64,
    /// A reward given when it is entered.
    pub entry_reward: Option<String>,
}

impl Ladder {
    /// `None` without `[[tier]]`.
    ///
    /// # Errors
    /// A value that is none of those possible.
    pub fn read(rules: &Table) -> Result<Option<Ladder>> {
        if rules.get("tiers").is_none() && rules.get("tier").is_none() {
            return Ok(None);
        }
        let tiers = part(rules, "tiers");
        let metric = match word(&tiers, "metric", "spend") {
            "spend" => Metric::Spend,
            "points" => Metric::Points,
            "orders" => Metric::Orders,
            other => bail!("unknown metric: {other}"),
        };
        let digits = if metric == Metric::Spend { decimals(word(rules, "currency", "")) } else { 0 };
        let grace = word(&tiers, "grace", "P0D");
        Ok(Some(Ladder {
            metric,
            window: window(&tiers)?,
            hold: word(&tiers, "hold", "P12M").to_owned(),
            downgrade: match word(&tiers, "downgrade", "full") {
                "full" => Downgrade::Full,
                "one_step" => Downgrade::OneStep,
                "none" => Downgrade::None,
                other => bail!("unknown downgrade: {other}"),
            },
            grace: grace.bytes().any(|c| (b'1'..=b'9').contains(&c)).then(|| grace.to_owned()),
            tiers: tables(rules, "tier").map(|tier| Tier::read(tier, digits)).collect::<Result<_>>()?,
        }))
    }

    /// The place of a tier.
    pub fn rank(&self, id: &str) -> Option<usize> {
        self.tiers.iter().position(|tier| tier.id == id)
    }

    /// The highest tier whose entry is reached; the first where none is.
    pub fn reached(&self, metric: i64) -> usize {
        (0..self.tiers.len()).rev().find(|&i| !self.tiers[i].custom && self.tiers[i].entry <= metric).unwrap_or(0)
    }

    /// The next tier above that is not custom.
    pub fn above(&self, rank: usize) -> Option<usize> {
        (rank + 1..self.tiers.len()).find(|&i| !self.tiers[i].custom)
    }

    /// The next tier below that is not custom.
    pub fn below(&self, rank: usize) -> usize {
        (0..rank).rev().find(|&i| !self.tiers[i].custom).unwrap_or(0)
    }

    /// The first and the last day of the window at `t`, for a member whose counting began on the day `began`.
    ///
    /// # Errors
    /// A duration that makes no sense.
    pub fn days(&self, zone: &Zone, began: Date, t: i64) -> Result<(Date, Date)> {
        let day = zone.local(t).date();
        let first = match &self.window {
            Window::Rolling(length) => day.checked_sub(span(length)?)?.tomorrow()?,
            Window::Calendar(period) => match period.as_str() {
                "year" => day.first_of_year(),
                "month" => day.first_of_month(),
                "quarter" => day.first_of_month().checked_sub(i64::from((day.month() - 1) % 3).months())?,
                other => bail!("unknown period: {other}"),
            },
            Window::Anniversary(length) => {
                let mut first = began;
                for n in 1.. {
                    // Always from the base date, so that month ends clamp each time anew.
                    let next = began.checked_add(span(length)?.checked_mul(n)?)?;
                    if next > day {
                        break;
                    }
                    first = next;
                }
                first
            }
            Window::Lifetime => Date::MIN,
        };
        Ok((first, day))
    }

    /// The window that a test at `t` looks at: on the very first instant of a period, the one that ends there.
    ///
    /// # Errors
    /// A duration that makes no sense.
    pub fn days_tested(&self, zone: &Zone, began: Date, t: i64) -> Result<(Date, Date)> {
        let (first, last) = self.days(zone, began, t)?;
        let periods = matches!(self.window, Window::Calendar(_) | Window::Anniversary(_));
        if periods && zone.day_start(first) == t { self.days(zone, began, t - 1) } else { Ok((first, last)) }
    }
}

fn window(tiers: &Table) -> Result<Window> {
    Ok(match tiers.get("window") {
        None => Window::Rolling("P365D".to_owned()),
        Some(Value::String(_)) => Window::Lifetime,
        Some(Value::Table(window)) => {
            let of = |key: &str| window.get(key).and_then(Value::as_str).map(str::to_owned);
            let rolling = of("rolling").map(Window::Rolling);
            let other = || of("calendar").map(Window::Calendar).or(of("anniversary").map(Window::Anniversary));
            rolling.or_else(other).context("unknown window")?
        }
        Some(other) => bail!("unknown window: {other}"),
    })
}

fn span(length: &str) -> Result<Span> {
    length.parse().with_context(|| format!("not a duration: {length}"))
}

impl Tier {
    fn read(tier: &Table, digits: u32) -> Result<Tier> {
        let amount = |key: &str| -> Result<Option<i64>> {
            let Some(value) = tier.get(key) else { return Ok(None) };
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let amount = decimal(&text)?.times(Ratio::whole(10_i128.pow(digits)));
            Ok(Some(i64::try_from(amount.n / amount.d)?))
        };
        let entry = amount("entry")?.unwrap_or(0);
        let on_entry = part(tier, "on_entry");
        Ok(Tier {
            id: word(tier, "id", "").to_owned(),
            custom: flag(tier, "custom", false),
            entry,
            maintain: amount("maintain")?.unwrap_or(entry),
            multiplier: decimal(word(tier, "earn_multiplier", "1"))?,
            entry_points: number(&on_entry, "points").unwrap_or(0),
            entry_reward: on_entry.get("reward").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::calendar::instant;
    use super::*;

    fn days(window: &str, began: &str, t: &str, tested: bool) -> (String, String) {
        let rules = format!("currency = \"GBP\"\n[tiers]\nwindow = {window}\n[[tier]]\nid = \"a\"");
        let ladder = Ladder::read(&rules.parse().unwrap()).unwrap().unwrap();
        let zone = Zone::named("Europe/London").unwrap();
        let (t, began) = (instant(t).unwrap(), began.parse().unwrap());
        let days = if tested { ladder.days_tested(&zone, began, t) } else { ladder.days(&zone, began, t) };
        let (first, last) = days.unwrap();
        (first.to_string(), last.to_string())
    }

    #[test]
    fn windows() {
        let check = |window: &str, began: &str, t: &str, first: &str, last: &str| {
            assert_eq!(days(window, began, t, false), (first.to_owned(), last.to_owned()), "{window} at {t}");
        };
        // §9: the 365 local days that end with the day of t.
        check("{ rolling = \"P365D\" }", "2020-01-01", "2025-02-02T12:00:00Z", "2024-02-04", "2025-02-02");
        check("{ rolling = \"P1D\" }", "2020-01-01", "2024-07-01T23:30:00Z", "2024-07-02", "2024-07-02");
        check("{ calendar = \"year\" }", "2020-01-01", "2024-07-01T12:00:00Z", "2024-01-01", "2024-07-01");
        check("{ calendar = \"quarter\" }", "2020-01-01", "2024-06-30T12:00:00Z", "2024-04-01", "2024-06-30");
        check("{ anniversary = \"P12M\" }", "2024-02-29", "2025-02-28T12:00:00Z", "2025-02-28", "2025-02-28");
        check("{ anniversary = \"P1M\" }", "2024-01-31", "2024-03-30T12:00:00Z", "2024-02-29", "2024-03-30");
        check("{ anniversary = \"P1M\" }", "2024-01-31", "2024-03-31T12:00:00Z", "2024-03-31", "2024-03-31");
    }

    #[test]
    fn a_test_on_the_first_instant_of_a_period_looks_back() {
        let tested = |window: &str, t: &str| days(window, "2024-01-10", t, true);
        let year = ("2024-01-01".to_owned(), "2024-12-31".to_owned());
        assert_eq!(tested("{ calendar = \"year\" }", "2025-01-01T00:00:00Z"), year);
        assert_eq!(tested("{ calendar = \"year\" }", "2025-01-01T00:00:01Z").0, "2025-01-01");
        let month = ("2024-01-10".to_owned(), "2024-02-09".to_owned());
        assert_eq!(tested("{ anniversary = \"P1M\" }", "2024-02-10T00:00:00Z"), month);
        assert_eq!(tested("{ rolling = \"P2D\" }", "2025-01-01T00:00:00Z").1, "2025-01-01");
    }
}
