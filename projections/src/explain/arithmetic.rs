//! How a number of points and the instants of a lot were worked out, step by step, as it can be checked by hand.

use accrue_ledger::calendar::{self, Duration, To};
use accrue_ledger::currency::{exponent, format_amount};
use accrue_ledger::{EarnRule, End, Instant, Life, Ratio, Rounding, Ruleset, Start, worth};
use jiff::Span;
use jiff::civil::DateTime;

/// Decimals of an exact value that are shown.
const DECIMALS: usize = 6;

/// `312.4875`; with `…` where there is no end to it.
fn exact(value: Ratio) -> String {
    let mut text = (value.num / value.den).to_string();
    let mut rest = value.num % value.den;
    if rest == 0 {
        return text;
    }
    text.push('.');
    for _ in 0..DECIMALS {
        rest *= 10;
        text += &(rest / value.den).to_string();
        rest %= value.den;
        if rest == 0 {
            return text;
        }
    }
    text + "…"
}

/// As it is written in a ruleset.
pub(super) fn rounding_name(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::Floor => "floor",
        Rounding::HalfUp => "half_up",
        Rounding::HalfEven => "half_even",
        Rounding::Ceil => "ceil",
    }
}

/// What rounding made of an exact value.
fn rounded(value: Ratio, rounding: Rounding) -> String {
    let whole = value.apply(1, rounding);
    let name = rounding_name(rounding);
    if value.num % value.den == 0 {
        return format!("{whole} exactly ({name} does nothing)");
    }
    let lost = Ratio::new((value.num - i128::from(whole) * value.den).abs(), value.den);
    let did = if i128::from(whole) * value.den < value.num { "off" } else { "on" };
    format!("{}, {name} puts {} {did} → {whole}", exact(value), exact(lost))
}

/// `199.99 GBP × 1 per 1.00 GBP × 1.25 (tier gold) = 249.9875, floor puts 0.9875 off → 249`. `None`: the currency has no factor.
pub(super) fn calculation(rule: &EarnRule, rules: &Ruleset, eligible: i64, currency: &str, tier: u8) -> Option<String> {
    let multiplier = rules.multiplier(rule, tier);
    let times = super::times(Some(rule), tier, rules);
    let Some(per) = rule.per else {
        let value = Ratio::new(i128::from(rule.points) * multiplier.num, multiplier.den);
        return Some(format!("{} points once{times} = {}", rule.points, rounded(value, rules.eligible.round)));
    };
    let factor = rules.factor(currency)?;
    let rate = worth::rate(rule, per, factor, tier, rules);
    let value = Ratio::new(i128::from(eligible) * rate.num, rate.den);
    let amount = format!("{} {currency}", format_amount(eligible, exponent(currency).unwrap_or(2)));
    let foreign = if factor == Ratio::ONE { String::new() } else { foreign(factor, currency, rules) };
    let rate = format!("{} per {} {}", rule.points, format_amount(per, rules.exponent), rules.currency);
    Some(format!("{amount}{foreign} × {rate}{times} = {}", rounded(value, rules.eligible.round)))
}

/// ` × 0.85 GBP per EUR`
fn foreign(factor: Ratio, currency: &str, rules: &Ruleset) -> String {
    let (theirs, ours) = (10_i128.pow(exponent(currency).unwrap_or(2)), 10_i128.pow(rules.exponent));
    format!(" × {} {} per {currency}", exact(Ratio::new(factor.num * theirs, factor.den * ours)), rules.currency)
}

fn civil(at: Instant, rules: &Ruleset) -> DateTime {
    at.timestamp().to_zoned(rules.zone.tz.clone()).datetime()
}

/// An instant on the clocks of the program.
pub(super) fn local(at: Instant, rules: &Ruleset) -> String {
    match at {
        Instant::MAX | Instant::MIN => at.to_string(),
        at => shown(civil(at, rules)),
    }
}

fn shown(at: DateTime) -> String {
    let seconds = at.second() != 0 || at.subsec_nanosecond() != 0;
    at.strftime(if seconds { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M" }).to_string()
}

/// As it is written in a ruleset.
fn duration(of: Duration) -> String {
    let seconds = of.micros / 1_000_000;
    let units = |of: &[(i64, char)]| -> String {
        of.iter().filter(|(count, _)| *count != 0).map(|(count, unit)| format!("{count}{unit}")).collect()
    };
    let days = units(&[(i64::from(of.months), 'M'), (i64::from(of.days), 'D')]);
    let time = units(&[(seconds / 3_600, 'H'), (seconds / 60 % 60, 'M'), (seconds % 60, 'S')]);
    match (days.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".to_owned(),
        (_, true) => format!("P{days}"),
        _ => format!("P{days}T{time}"),
    }
}

/// `2024-01-31 09:00 Europe/London + P1M = 2024-02-29 09:00 (31 → 29: month end clamps); day_end = 2024-03-01 00:00`
pub(super) fn added(base: Instant, length: Duration, to: To, rules: &Ruleset) -> String {
    let zone = &rules.zone;
    let sum = calendar::add(base, length, To::Exact, zone);
    let mut text = format!("{} {} + {} = {}", local(base, rules), rules.time_zone, duration(length), local(sum, rules));
    text += &odd(base, sum, length, rules);
    if to != To::Exact {
        text += &format!("; {} = {}", to.name(), local(calendar::add(base, length, to, zone), rules));
    }
    text
}

/// What the calendar did that one would not expect; usually nothing.
fn odd(base: Instant, sum: Instant, length: Duration, rules: &Ruleset) -> String {
    if (length.months == 0 && length.days == 0) || length.micros != 0 || sum == Instant::MAX {
        return String::new();
    }
    let (from, to) = (civil(base, rules), civil(sum, rules));
    let span = Span::new().try_months(length.months).and_then(|span| span.try_days(length.days));
    let Some(wanted) = span.and_then(|span| from.checked_add(span)).ok() else { return String::new() };
    let mut notes = Vec::new();
    if length.days == 0 && wanted.day() != from.day() {
        notes.push(format!("{} → {}: month end clamps", from.day(), wanted.day()));
    }
    if wanted != to {
        notes.push(format!("{} does not exist there: the clocks go forward", shown(wanted)));
    } else if rules.zone.tz.to_ambiguous_timestamp(wanted).is_ambiguous() {
        notes.push("twice on that day, the earlier: the clocks go back".to_owned());
    }
    if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) }
}

/// How the start of a lot was worked out.
pub(super) fn start(start: &Start, base: Instant, starts_at: Instant, rules: &Ruleset) -> String {
    let calculated = rules.starts_at(start, base) == starts_at;
    match start {
        Start::Immediate if calculated => format!("starts {starts_at}: at once"),
        Start::After(length, to) if calculated => format!("starts {starts_at}: {}", added(base, *length, *to, rules)),
        Start::Dates(_) if calculated => {
            format!("starts {starts_at}: the next of the ruleset's dates after {} {}", local(base, rules), rules.time_zone)
        }
        Start::Fulfilled { cancel_after: None } if calculated => "starts when the order is fulfilled".to_owned(),
        Start::Fulfilled { cancel_after: Some(length) } if calculated => {
            format!("starts when the order is fulfilled; given up at {}", added(base, *length, To::Exact, rules))
        }
        _ => format!("starts {starts_at}"),
    }
}

/// How the end of a lot was worked out.
pub(super) fn end(life: &Life, earned: Instant, starts_at: Instant, expires_at: Instant, rules: &Ruleset) -> String {
    let base = if life.from_earn { earned } else { starts_at };
    let calculated = rules.expires_at(life, earned, starts_at) == expires_at && base != Instant::MAX;
    let from = if life.from_earn { "from earning" } else { "from the start" };
    match &life.end {
        _ if starts_at == Instant::MAX && !life.from_earn => "ends some time after it started".to_owned(),
        End::Never if expires_at == Instant::MAX => "never ends".to_owned(),
        End::After(length, to) if calculated => format!("ends {expires_at}: {from}, {}", added(base, *length, *to, rules)),
        End::Dates(_) if calculated => {
            format!("ends {expires_at}: with the next of the ruleset's dates, {from} {} {}", local(base, rules), rules.time_zone)
        }
        _ => format!("ends {expires_at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(zone: &str) -> Ruleset {
        let text = format!(
            "program = \"p\"\ncurrency = \"GBP\"\ntime_zone = \"{zone}\"\n[currencies]\nEUR = {{ factor = \"0.85\" }}\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.50\"\n"
        );
        Ruleset::parse(&text).expect("valid")
    }

    #[track_caller]
    fn check(base: &str, length: &str, to: To, zone: &str, expected: &str) {
        let (base, length) = (Instant::parse(base).expect("instant"), Duration::parse(length).expect("duration"));
        assert_eq!(added(base, length, to, &rules(zone)), expected);
    }

    #[test]
    fn the_calendar_is_told_with_what_it_did() {
        check(
            "2024-01-31T09:00:00Z",
            "P1M",
            To::DayEnd,
            "Europe/London",
            "2024-01-31 09:00 Europe/London + P1M = 2024-02-29 09:00 (31 → 29: month end clamps); day_end = 2024-03-01 00:00",
        );
        check(
            "2024-03-30T01:30:00Z",
            "P1D",
            To::Exact,
            "Europe/London",
            "2024-03-30 01:30 Europe/London + P1D = 2024-03-31 02:30 (2024-03-31 01:30 does not exist there: the clocks go forward)",
        );
        check(
            "2024-10-26T00:30:00Z",
            "P1D",
            To::Exact,
            "Europe/London",
            "2024-10-26 01:30 Europe/London + P1D = 2024-10-27 01:30 (twice on that day, the earlier: the clocks go back)",
        );
        check("2024-03-05T10:00:07Z", "PT30H5S", To::Exact, "UTC", "2024-03-05 10:00:07 UTC + PT30H5S = 2024-03-06 16:00:12");
    }

    #[test]
    fn rounding_says_what_it_did() {
        let rules = rules("UTC");
        let told = |amount, currency| calculation(&rules.earn[0], &rules, amount, currency, 0).expect("a factor");
        assert_eq!(told(19_999, "GBP"), "199.99 GBP × 1 per 1.50 GBP = 133.326666…, floor puts 0.326666… off → 133");
        assert_eq!(told(300, "GBP"), "3.00 GBP × 1 per 1.50 GBP = 2 exactly (floor does nothing)");
        assert_eq!(told(1_000, "EUR"), "10.00 EUR × 0.85 GBP per EUR × 1 per 1.50 GBP = 5.666666…, floor puts 0.666666… off → 5");
    }
}
