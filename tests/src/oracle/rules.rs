//! The ruleset as the oracle reads it: what earns, what a refund takes, what points buy.

use super::calendar::{self, Zone};
use super::ladder::Ladder;
use super::life::{End, Life, Start};
use super::number::{Ratio, Rounding, decimal, decimals};
use super::terms::{Achievement, Inactivity, Limit, achievements, inactivity, limit};
use anyhow::{Context, Result, bail};
use jiff::civil::Weekday;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// A ruleset.
#[derive(Clone, Debug)]
pub struct ORules {
    /// The program's currency.
    pub currency: String,
    /// For all calendar arithmetic.
    pub zone: Zone,
    /// What 1.00 of another currency counts, by currency.
    pub currencies: BTreeMap<String, Ratio>,
    /// Shipping earns.
    pub shipping: bool,
    /// Tax earns.
    pub tax: bool,
    /// The part paid with a gift card earns.
    pub gift_card_payment: bool,
    /// The part paid with points earns.
    pub points_payment: bool,
    /// Lines that never earn.
    pub exclude: Filter,
    /// At the end, once.
    pub round: Rounding,
    /// When lots start and end, unless a rule says otherwise.
    pub life: Life,
    /// Earning rules, in order.
    pub earn: Vec<Earn>,
    /// What a refund takes.
    pub clawback: Clawback,
    /// Own lots first, or as they are spent.
    pub originating_first: bool,
    /// A minimum once reached stays reached.
    pub keep_threshold: bool,
    /// Points that staff gives back live at least so long.
    pub min_remaining: Option<String>,
    /// `[spend] order = "oldest"`.
    pub oldest_first: bool,
    /// All ledgers, `main` included.
    pub ledgers: Vec<String>,
    /// By id.
    pub rewards: BTreeMap<String, Reward>,
    /// Tiers, where the program has them.
    pub tiers: Option<Ladder>,
    /// Points end when nothing happens for so long.
    pub inactivity: Option<Inactivity>,
    /// In order.
    pub achievements: Vec<Achievement>,
    /// Somebody never seen before is a guest.
    pub unknown_is_guest: bool,
}

/// What a refund takes when the order's own points are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clawback {
    /// All; the gap is debt.
    Debt,
    /// What is there.
    WithinBalance,
    /// Pending points of the order.
    PendingOnly,
}

/// Lines by what they are; a key that is empty asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Any of them.
    pub collections: Vec<String>,
    /// Any of them.
    pub tags: Vec<String>,
    /// Any of them.
    pub skus: Vec<String>,
}

/// An earning rule.
#[derive(Clone, Debug)]
pub struct Earn {
    /// Its id.
    pub id: String,
    /// `order`, `activity`, `birthday`, `registered`.
    pub on: String,
    /// Points for each `per`, or for each occurrence.
    pub points: i64,
    /// An amount in the program's currency.
    pub per: Option<Ratio>,
    /// Where they go.
    pub ledger: String,
    /// When they start and end.
    pub life: Life,
    /// First instant.
    pub from: Option<i64>,
    /// First instant after.
    pub until: Option<i64>,
    /// Any of them; empty: all.
    pub channels: Vec<String>,
    /// Which lines count; empty: the whole order.
    pub lines: Filter,
    /// In the program's currency.
    pub min_eligible: Option<Ratio>,
    /// Any of them, local; empty: all.
    pub weekdays: Vec<Weekday>,
    /// Only the member's first order.
    pub first_order: bool,
    /// The name of the activity.
    pub activity: Option<String>,
    /// Any of these tiers; empty: all.
    pub tiers: Vec<String>,
    /// The tier's multiplier counts.
    pub tier_multiplier: bool,
    /// Its points count where the metric is points.
    pub counts_toward_tier: bool,
    /// At most so many points for each member and period.
    pub limit: Option<Limit>,
}

/// A reward.
#[derive(Clone, Debug)]
pub struct Reward {
    /// Free, given by staff; else it costs points.
    pub grantable: bool,
    /// Points.
    pub cost: Option<i64>,
    /// Least points and step, of a reward paid with any number of points.
    pub pay_with_points: Option<(i64, i64)>,
    /// The coupon it hands out.
    pub coupon: Option<CouponTerms>,
    /// An unused coupon that ends gives its points back.
    pub restore_on_expiry: bool,
    /// At most so often for each member and period.
    pub per_member: Option<Limit>,
    /// Only for these tiers; empty: all.
    pub tiers: Vec<String>,
}

/// What a reward's coupon is like.
#[derive(Clone, Debug)]
pub struct CouponTerms {
    /// How long.
    pub valid_for: Option<String>,
    /// How often.
    pub uses: u32,
}

impl Filter {
    /// Asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.collections.is_empty() && self.tags.is_empty() && self.skus.is_empty()
    }

    fn read(table: &Table) -> Filter {
        Filter { collections: texts(table, "collections"), tags: texts(table, "tags"), skus: texts(table, "skus") }
    }
}

impl ORules {
    /// Reads a ruleset. Unknown keys are ignored: checking rulesets is not the oracle's job.
    pub fn parse(text: &str) -> Result<ORules> {
        ORules::from_table(&text.parse::<Table>().context("not TOML")?)
    }

    /// Reads a ruleset.
    pub fn from_table(rules: &Table) -> Result<ORules> {
        let eligible = part(rules, "eligible");
        let refund = part(rules, "refund");
        let life = Life { start: Start::Immediate, end: End::Never, from_earning: false };
        let life = life.laid_over(&part(rules, "pending"), &part(rules, "expiry"))?;
        let mut ledgers = vec!["main".to_owned()];
        ledgers.extend(part(rules, "ledgers").keys().cloned());
        let mut currencies = BTreeMap::new();
        for (name, currency) in part(rules, "currencies") {
            currencies.insert(name, decimal(word(currency.as_table().context("currency")?, "factor", "1"))?);
        }
        let mut rewards = BTreeMap::new();
        for reward in tables(rules, "reward") {
            rewards.insert(word(reward, "id", "").to_owned(), Reward::read(reward));
        }
        Ok(ORules {
            currency: word(rules, "currency", "").to_owned(),
            zone: Zone::named(word(rules, "time_zone", "UTC"))?,
            currencies,
            shipping: flag(&eligible, "shipping", false),
            tax: flag(&eligible, "tax", true),
            gift_card_payment: flag(&eligible, "gift_card_payment", true),
            points_payment: flag(&eligible, "points_payment", false),
            exclude: Filter::read(&part(&eligible, "exclude")),
            round: match word(&eligible, "round", "floor") {
                "floor" => Rounding::Floor,
                "ceil" => Rounding::Ceil,
                "half_up" => Rounding::HalfUp,
                "half_even" => Rounding::HalfEven,
                other => bail!("unknown rounding: {other}"),
            },
            earn: tables(rules, "earn").map(|earn| Earn::read(earn, &life)).collect::<Result<_>>()?,
            life,
            clawback: match word(&refund, "clawback", "debt") {
                "debt" => Clawback::Debt,
                "within_balance" => Clawback::WithinBalance,
                "pending_only" => Clawback::PendingOnly,
                other => bail!("unknown clawback: {other}"),
            },
            originating_first: word(&refund, "order_of_lots", "originating_first") == "originating_first",
            keep_threshold: word(&refund, "threshold_bonus", "strict") == "keep",
            min_remaining: part(&refund, "restore").get("min_remaining").and_then(Value::as_str).map(str::to_owned),
            oldest_first: word(&part(rules, "spend"), "order", "soonest_expiry") == "oldest",
            ledgers,
            rewards,
            tiers: Ladder::read(rules)?,
            inactivity: inactivity(rules),
            achievements: achievements(rules, word(rules, "currency", ""))?,
            unknown_is_guest: word(&part(rules, "members"), "unknown", "member") == "guest",
        })
    }

    /// What the tier makes of a rule's points.
    pub fn multiplier(&self, earn: &Earn, tier: Option<&str>) -> Ratio {
        let of_tier = self.tiers.iter().flat_map(|ladder| &ladder.tiers).find(|one| Some(one.id.as_str()) == tier);
        of_tier.filter(|_| earn.tier_multiplier).map_or(Ratio::whole(1), |one| one.multiplier)
    }

    /// What one minor unit of a currency counts in the program's currency, in its major unit.
    pub fn worth_of_minor(&self, currency: &str) -> Ratio {
        let factor = self.currencies.get(currency).copied().unwrap_or(Ratio::whole(1));
        factor.times(Ratio { n: 1, d: 10_i128.pow(decimals(currency)) })
    }
}

impl Earn {
    fn read(earn: &Table, life: &Life) -> Result<Earn> {
        let when = part(earn, "when");
        let instant = |key: &str| when.get(key).map(|at| calendar::instant(&plain(at))).transpose();
        let on = word(earn, "on", "").to_owned();
        Ok(Earn {
            id: word(earn, "id", "").to_owned(),
            tiers: texts(&when, "tiers"),
            tier_multiplier: flag(earn, "tier_multiplier", on == "order"),
            counts_toward_tier: flag(earn, "counts_toward_tier", on == "order"),
            limit: limit(earn, "limit", "points"),
            on,
            points: number(earn, "points").unwrap_or(0),
            per: earn.get("per").and_then(Value::as_str).map(decimal).transpose()?,
            ledger: word(earn, "ledger", "main").to_owned(),
            life: life.laid_over(&part(earn, "pending"), &part(earn, "expiry"))?,
            from: instant("from")?,
            until: instant("until")?,
            channels: texts(&when, "channels"),
            lines: Filter::read(&when),
            min_eligible: when.get("min_eligible").and_then(Value::as_str).map(decimal).transpose()?,
            weekdays: texts(&when, "weekdays").iter().map(|day| weekday(day)).collect::<Result<_>>()?,
            first_order: flag(&when, "first_order", false),
            activity: when.get("activity").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

impl Reward {
    fn read(reward: &Table) -> Reward {
        let coupon = reward.get("coupon").and_then(Value::as_table);
        let pay = reward.get("pay_with_points").and_then(Value::as_table);
        Reward {
            grantable: word(reward, "kind", "redeemable") == "grantable",
            cost: number(reward, "cost"),
            pay_with_points: pay.map(|pay| (number(pay, "min").unwrap_or(1), number(pay, "step").unwrap_or(1))),
            coupon: coupon.map(|coupon| CouponTerms {
                valid_for: coupon.get("valid_for").and_then(Value::as_str).map(str::to_owned),
                uses: number(coupon, "uses").and_then(|uses| u32::try_from(uses).ok()).unwrap_or(1),
            }),
            restore_on_expiry: flag(reward, "restore_on_expiry", false),
            per_member: limit(reward, "per_member", "count"),
            tiers: texts(reward, "tiers"),
        }
    }
}

fn weekday(day: &str) -> Result<Weekday> {
    Ok(match day {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        other => bail!("unknown weekday: {other}"),
    })
}

pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
pub(super) fn part(table: &Table, key: &str) -> Table {
    table.get(key).and_then(Value::as_table).cloned().unwrap_or_default()
}
pub(super) fn tables<'a>(table: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    table.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}
pub(super) fn word<'a>(table: &'a Table, key: &str, default: &'a str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or(default)
}
pub(super) fn to(table: &Table) -> Option<String> {
    table.get("to").and_then(Value::as_str).map(str::to_owned)
}
pub(super) fn flag(table: &Table, key: &str, default: bool) -> bool {
    table.get(key).and_then(Value::as_bool).unwrap_or(default)
}
pub(super) fn number(table: &Table, key: &str) -> Option<i64> {
    table.get(key).and_then(Value::as_integer)
}
pub(super) fn texts(table: &Table, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_lays_its_life_over_the_programs() {
        let rules = ORules::parse(
            r#"
            currency = "GBP"
            time_zone = "Europe/London"
            pending = { start = { on = "fulfilled", cancel_after = "P60D" } }
            expiry = { lot = { after = "P12M", to = "month_end" } }
            [[earn]]
            on = "order"
            points = 2
            per = "1.00"
            expiry = { base = "earn" }
            [[earn]]
            on = "activity"
            points = 5
            pending = { start = "immediate" }
            when = { from = 2024-01-01T00:00:00Z, weekdays = ["sat"] }
            "#,
        )
        .unwrap();
        let [first, second] = &rules.earn[..] else { panic!("two rules") };
        assert!(matches!(&first.life.start, Start::Fulfilled(Some(after)) if after == "P60D"));
        assert!(first.life.from_earning && matches!(&first.life.end, End::After(..)));
        assert!(!second.life.from_earning && matches!(second.life.start, Start::Immediate));
        assert_eq!(second.from, Some(1_704_067_200_000_000));
        assert_eq!(rules.worth_of_minor("GBP"), Ratio { n: 1, d: 100 });
    }
}
