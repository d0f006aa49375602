//! What is counted: limits of earn rules and rewards, and achievements (§12).

use super::MAIN;
use super::load::{Loaded, amount, wrong};
use crate::Period;
use serde::Deserialize;
use smol_str::SmolStr;
use toml::Spanned;

/// At most so many in a period, for each member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Points, or redemptions; > 0.
    pub most: i64,
    /// The period.
    pub each: Period,
}

impl Limit {
    /// `500 each P1M`
    pub fn name(self) -> String {
        let (most, each) = (self.most, self.each.name());
        if each.is_empty() { most.to_string() } else { format!("{most} each {each}") }
    }
}

/// `[[achievement]]`
#[derive(Clone, Debug)]
pub struct Achievement {
    /// Unique in the ruleset.
    pub id: SmolStr,
    /// For people.
    pub name: SmolStr,
    /// What is counted.
    pub goal: Goal,
    /// How much of it, > 0: a number, or minor units.
    pub target: i64,
    /// In which period.
    pub each: Period,
    /// What it gives, ≥ 0.
    pub points: i64,
    /// The ledger they go to.
    pub ledger: SmolStr,
}

/// `[[achievement]] count`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Orders of which something is eligible.
    Orders,
    /// Their eligible amounts, minor units of the program's currency.
    Spend,
    /// Activities of a name.
    Activity(SmolStr),
}

impl Goal {
    /// As it is written.
    pub fn name(&self) -> String {
        match self {
            Goal::Orders => "orders".to_string(),
            Goal::Spend => "spend".to_string(),
            Goal::Activity(name) => format!("activity:{name}"),
        }
    }
}

const EACH: &str =
    "a limit counts by the calendar: each is \"P1D\", \"P1W\", \"P1M\", \"P3M\" or \"P1Y\", or absent for all time";

fn period(text: &Option<Spanned<String>>) -> Loaded<Period> {
    let Some(text) = text else { return Ok(Period::Ever) };
    match Period::parse(text.get_ref()) {
        Some(period) => Ok(period),
        None => wrong(text.span(), format!("\"{}\": {EACH}", text.get_ref())),
    }
}

/// `limit` of an earn rule that gives `fixed` points at a time (`None`: by amount).
pub(super) fn limit(text: &LimitText, rule: &str) -> Loaded<Limit> {
    if *text.points.get_ref() <= 0 {
        return wrong(text.points.span(), format!("rule \"{rule}\": a limit is above 0 points"));
    }
    if let Some(members) = text.members.as_ref().filter(|members| members.get_ref() != "each") {
        let said = members.get_ref();
        return wrong(members.span(), format!("rule \"{rule}\": members is \"{said}\"; a limit is for each member: \"each\""));
    }
    Ok(Limit { most: *text.points.get_ref(), each: period(&text.each)? })
}

pub(super) fn per_member(text: &PerMemberText, reward: &str) -> Loaded<Limit> {
    if *text.count.get_ref() <= 0 {
        return wrong(text.count.span(), format!("reward \"{reward}\": per_member.count must be above 0"));
    }
    Ok(Limit { most: *text.count.get_ref(), each: period(&text.each)? })
}

/// All achievements; ids are unique, ledgers known.
pub(super) fn achievements(texts: &[AchievementText], exponent: u32, ledgers: &[(SmolStr, SmolStr)]) -> Loaded<Vec<Achievement>> {
    let mut all: Vec<Achievement> = Vec::new();
    for text in texts {
        let id = text.id.get_ref();
        if id.is_empty() || all.iter().any(|known| known.id == id) {
            return wrong(text.id.span(), format!("two achievements have the id \"{id}\", or it is empty"));
        }
        all.push(achievement(text, exponent, ledgers)?);
    }
    Ok(all)
}

fn achievement(text: &AchievementText, exponent: u32, ledgers: &[(SmolStr, SmolStr)]) -> Loaded<Achievement> {
    let id = text.id.get_ref();
    let goal = match text.count.get_ref().as_str() {
        "orders" => Goal::Orders,
        "spend" => Goal::Spend,
        other => match other.strip_prefix("activity:").filter(|name| !name.is_empty()) {
            Some(name) => Goal::Activity(SmolStr::new(name)),
            None => {
                let hint = "orders, spend or activity:<name>";
                return wrong(text.count.span(), format!("achievement \"{id}\": count is \"{other}\"; it is {hint}"));
            }
        },
    };
    let target = match (text.target.get_ref(), &goal) {
        (CountText::Amount(said), Goal::Spend) => amount(&Spanned::new(text.target.span(), said.clone()), exponent)?,
        (CountText::Number(number), Goal::Orders | Goal::Activity(_)) if *number > 0 => *number,
        (_, Goal::Spend) => {
            return wrong(text.target.span(), format!("achievement \"{id}\": the target of spend is an amount, like \"500.00\""));
        }
        _ => return wrong(text.target.span(), format!("achievement \"{id}\": the target is a whole number above 0")),
    };
    if !(0..=1_000_000_000).contains(text.points.get_ref()) {
        return wrong(text.points.span(), format!("achievement \"{id}\": points must be from 0 to 1,000,000,000"));
    }
    let ledger = text.ledger.as_ref().map_or(MAIN, |ledger| ledger.get_ref());
    if ledger != MAIN && !ledgers.iter().any(|(known, _)| known == ledger) {
        let span = text.ledger.as_ref().map_or(0..0, Spanned::span);
        return wrong(span, format!("achievement \"{id}\": no ledger \"{ledger}\"; declare it under [ledgers]"));
    }
    Ok(Achievement {
        id: SmolStr::new(id),
        name: SmolStr::new(if text.name.is_empty() { id } else { &text.name }),
        goal,
        target,
        each: period(&text.each)?,
        points: *text.points.get_ref(),
        ledger: SmolStr::new(ledger),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AchievementText {
    pub id: Spanned<String>,
    #[serde(default)]
    pub name: String,
    pub count: Spanned<String>,
    pub target: Spanned<CountText>,
    pub each: Option<Spanned<String>>,
    #[serde(default = "no_points")]
    pub points: Spanned<i64>,
    pub ledger: Option<Spanned<String>>,
}

fn no_points() -> Spanned<i64> {
    Spanned::new(0..0, 0)
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a target is a whole number, or an amount like \"500.00\"")]
pub(super) enum CountText {
    Number(i64),
    Amount(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitText {
    pub points: Spanned<i64>,
    pub each: Option<Spanned<String>>,
    pub members: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PerMemberText {
    pub count: Spanned<i64>,
    pub each: Option<Spanned<String>>,
}
