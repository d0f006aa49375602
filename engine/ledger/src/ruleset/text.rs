//! The ruleset as people write it: TOML, every key known, every value possible.

use super::counted::{AchievementText, LimitText, PerMemberText};
use super::liability::LiabilityText;
use super::load_tiers::{InactivityText, TierText, TiersText};
use crate::calendar::{Duration, To, YearDay};
use crate::ratio::{Ratio, Rounding};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RulesetText {
    pub program: Spanned<String>,
    pub currency: Spanned<String>,
    pub time_zone: Spanned<String>,
    #[serde(default)]
    pub points: PointsText,
    #[serde(default)]
    pub currencies: BTreeMap<Spanned<String>, CurrencyText>,
    #[serde(default)]
    pub eligible: EligibleText,
    #[serde(default)]
    pub members: MembersText,
    #[serde(default)]
    pub pending: PendingText,
    #[serde(default)]
    pub expiry: ExpiryText,
    #[serde(default)]
    pub earn: Vec<EarnText>,
    #[serde(default)]
    pub refund: RefundText,
    #[serde(default)]
    pub spend: SpendText,
    #[serde(default)]
    pub ledgers: BTreeMap<Spanned<String>, LedgerText>,
    #[serde(default)]
    pub reward: Vec<RewardText>,
    #[serde(default)]
    pub achievement: Vec<AchievementText>,
    pub tiers: Option<Spanned<TiersText>>,
    #[serde(default)]
    pub tier: Vec<TierText>,
    pub liability: Option<LiabilityText>,
    pub referral: Option<super::referral::ReferralText>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MembersText {
    pub unknown: UnknownText,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum UnknownText {
    #[default]
    Member,
    Guest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PointsText {
    pub name: String,
    pub scale: Spanned<u8>,
}

impl Default for PointsText {
    fn default() -> Self {
        PointsText { name: "points".into(), scale: Spanned::new(0..0, 0) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CurrencyText {
    pub factor: RatioText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EligibleText {
    pub shipping: bool,
    pub tax: bool,
    pub gift_card_payment: bool,
    pub points_payment: bool,
    pub exclude: FilterText,
    #[serde(deserialize_with = "rounding")]
    pub round: Rounding,
}

impl Default for EligibleText {
    fn default() -> Self {
        let (exclude, round) = (FilterText::default(), Rounding::Floor);
        EligibleText { shipping: false, tax: true, gift_card_payment: true, points_payment: false, exclude, round }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FilterText {
    pub collections: Vec<String>,
    pub tags: Vec<String>,
    pub skus: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PendingText {
    pub start: Option<StartText>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpiryText {
    pub lot: Option<LifeText>,
    pub base: Option<BaseText>,
    pub inactivity: Option<Spanned<InactivityText>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum BaseText {
    Activation,
    Earn,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a start is \"immediate\", { after = \"P14D\", to = \"day_start\" }, { on = \"fulfilled\", cancel_after = \"P60D\" } or { dates = [\"01-01\"] }"
)]
pub(super) enum StartText {
    Immediate(ImmediateText),
    After(AfterText),
    Fulfilled(FulfilledText),
    Dates(DatesText),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ImmediateText {
    Immediate,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NeverText {
    Never,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AfterText {
    #[serde(deserialize_with = "duration")]
    pub after: Duration,
    #[serde(default, deserialize_with = "to")]
    pub to: To,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FulfilledText {
    #[expect(dead_code, reason = "its one possible value is checked by reading it")]
    pub on: FulfilledWord,
    #[serde(default, deserialize_with = "some_duration")]
    pub cancel_after: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FulfilledWord {
    Fulfilled,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatesText {
    #[serde(deserialize_with = "year_days")]
    pub dates: Vec<YearDay>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a life is \"never\", { after = \"P12M\", to = \"month_end\" } or { dates = [\"12-31\"] }")]
pub(super) enum LifeText {
    Never(NeverText),
    After(AfterText),
    Dates(DatesText),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EarnText {
    pub id: Spanned<String>,
    pub on: OnText,
    pub points: Spanned<i64>,
    pub per: Option<Spanned<String>>,
    pub ledger: Option<Spanned<String>>,
    #[serde(default)]
    pub pending: PendingText,
    #[serde(default)]
    pub expiry: ExpiryText,
    #[serde(default)]
    pub when: WhenText,
    pub limit: Option<LimitText>,
    pub tier_multiplier: Option<bool>,
    pub counts_toward_tier: Option<bool>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnText {
    Order,
    Activity,
    Birthday,
    Registered,
    ReferralJoined,
    ReferralCompleted,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WhenText {
    pub from: Option<Spanned<toml::value::Datetime>>,
    pub until: Option<Spanned<toml::value::Datetime>>,
    pub channels: Vec<String>,
    pub collections: Vec<String>,
    pub skus: Vec<String>,
    pub tags: Vec<String>,
    pub min_eligible: Option<Spanned<String>>,
    pub weekdays: Vec<Spanned<String>>,
    pub first_order: bool,
    pub activity: Option<Spanned<String>>,
    pub expression: Option<Spanned<String>>,
    pub tiers: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RefundText {
    pub clawback: super::Clawback,
    pub order_of_lots: super::OrderOfLots,
    pub threshold_bonus: super::ThresholdBonus,
    pub restore: RestoreText,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RestoreText {
    #[serde(deserialize_with = "some_duration")]
    pub min_remaining: Option<Duration>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SpendText {
    pub order: super::SpendOrder,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerText {
    pub name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RewardText {
    pub id: Spanned<String>,
    #[serde(default)]
    pub name: String,
    pub kind: super::RewardKind,
    pub cost: Option<Spanned<i64>>,
    pub pay_with_points: Option<Spanned<PayText>>,
    pub benefit: BenefitText,
    pub coupon: Option<CouponText>,
    #[serde(default)]
    pub restore_on_expiry: bool,
    pub per_member: Option<PerMemberText>,
    #[serde(default)]
    pub tiers: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PayText {
    pub points: i64,
    pub worth: String,
    #[serde(default = "one")]
    pub min: i64,
    #[serde(default = "one")]
    pub step: i64,
}

fn one() -> i64 {
    1
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BenefitText {
    Amount(Spanned<String>),
    Percent(Spanned<u8>),
    Product(String),
    FreeShipping(True),
}

/// `free_shipping = true`: there is nothing else it could be.
#[derive(Clone, Copy)]
pub(super) struct True;

impl<'de> Deserialize<'de> for True {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if bool::deserialize(from)? { Ok(True) } else { Err(D::Error::custom("free_shipping is either true or not there")) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CouponText {
    #[serde(default, deserialize_with = "some_duration")]
    pub valid_for: Option<Duration>,
    #[serde(default)]
    pub uses: Option<Spanned<u32>>,
    #[serde(default)]
    pub prefix: Option<Spanned<String>>,
}

#[derive(Clone, Copy)]
pub(super) struct RatioText(pub Ratio);

impl<'de> Deserialize<'de> for RatioText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let ratio = Ratio::parse(&text).filter(|ratio| ratio.num > 0);
        ratio.map(RatioText).ok_or_else(|| D::Error::custom(format!("\"{text}\" is not a decimal above 0, such as \"0.85\"")))
    }
}

fn parsed<'de, D: Deserializer<'de>, T>(from: D, parse: fn(&str) -> Option<T>, hint: &str) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| D::Error::custom(format!("\"{text}\" is not {hint}")))
}

pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parsed(from, Duration::parse, "an ISO 8601 duration, such as \"P14D\", \"P12M\" or \"PT36H\"")
}

pub(super) fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

fn to<'de, D: Deserializer<'de>>(from: D) -> Result<To, D::Error> {
    parsed(from, To::parse, "a rounding: day_start, day_end, week_end, month_end, quarter_end or year_end")
}

fn rounding<'de, D: Deserializer<'de>>(from: D) -> Result<Rounding, D::Error> {
    let known = |name: &str| match name {
        "floor" => Some(Rounding::Floor),
        "half_up" => Some(Rounding::HalfUp),
        "half_even" => Some(Rounding::HalfEven),
        "ceil" => Some(Rounding::Ceil),
        _ => None,
    };
    parsed(from, known, "a rounding: floor, half_up, half_even or ceil")
}

fn year_days<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<YearDay>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let wrong = |text: &String| D::Error::custom(format!("\"{text}\" is not a day of the year as \"MM-DD\""));
    if texts.is_empty() {
        return Err(D::Error::custom("dates must name at least one day, such as [\"01-01\"]"));
    }
    texts.iter().map(|text| YearDay::parse(text).ok_or_else(|| wrong(text))).collect()
}
