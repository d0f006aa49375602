//! `[tiers]`, `[[tier]]` and `[expiry] inactivity` from text: refuses what can't be, with the line and a hint.

use super::load::{Loaded, wrong};
use super::text::{RatioText, duration, some_duration};
use super::tiers::{Downgrade, Metric, TIERS_MAX, Tier, Tiers, Window};
use super::{Price, Reward};
use crate::Ratio;
use crate::calendar::Duration;
use crate::currency::parse_amount;
use serde::Deserialize;
use smol_str::SmolStr;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TiersText {
    #[serde(default)]
    metric: Metric,
    window: Option<Spanned<WindowText>>,
    hold: Option<Spanned<DurationText>>,
    #[serde(default)]
    downgrade: Downgrade,
    grace: Option<Spanned<DurationText>>,
}

struct DurationText(Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        duration(from).map(DurationText)
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a window is { rolling = \"P365D\" }, { calendar = \"year\" }, { anniversary = \"P12M\" } or \"lifetime\""
)]
enum WindowText {
    Lifetime(LifetimeWord),
    Rolling(RollingText),
    Calendar(CalendarText),
    Anniversary(AnniversaryText),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LifetimeWord {
    Lifetime,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollingText {
    #[serde(deserialize_with = "duration")]
    rolling: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarText {
    calendar: PeriodText,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum PeriodText {
    Month = 1,
    Quarter = 3,
    Year = 12,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnniversaryText {
    #[serde(deserialize_with = "duration")]
    anniversary: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TierText {
    id: Spanned<String>,
    #[serde(default)]
    name: String,
    entry: Option<Spanned<String>>,
    maintain: Option<Spanned<String>>,
    earn_multiplier: Option<RatioText>,
    discount_code: Option<String>,
    on_entry: Option<Spanned<OnEntryText>>,
    #[serde(default)]
    custom: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnEntryText {
    #[serde(default)]
    points: i64,
    reward: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InactivityText {
    #[serde(default, deserialize_with = "some_duration")]
    after: Option<Duration>,
    activities: Option<Vec<String>>,
}

/// What the tiers are read with.
pub(super) struct Around<'a> {
    /// Decimals of the program's currency.
    pub exponent: u32,
    pub rewards: &'a [Reward],
}

/// All of `[tiers]`. `None`: there are none.
pub(super) fn tiers(text: Option<&Spanned<TiersText>>, list: &[TierText], around: &Around<'_>) -> Loaded<Option<Box<Tiers>>> {
    let Some(whole) = text else {
        return match list.first() {
            None => Ok(None),
            Some(tier) => wrong(tier.id.span(), "there are tiers, but no [tiers] that says what is counted for them"),
        };
    };
    let text = whole.get_ref();
    let in_days = |duration: &Spanned<DurationText>, least: bool, name: &str| {
        let length = duration.get_ref().0;
        if length.micros != 0 || (least && length.months == 0 && length.days == 0) {
            return wrong(duration.span(), format!("`{name}` counts whole days: \"P12M\", \"P90D\"; not hours, not nothing"));
        }
        Ok(length)
    };
    let hold = text
        .hold
        .as_ref()
        .map_or_else(|| Ok(Duration { months: 12, ..Duration::default() }), |hold| in_days(hold, true, "hold"))?;
    let grace = text.grace.as_ref().map_or_else(|| Ok(Duration::default()), |grace| in_days(grace, false, "grace"))?;
    let window = text.window.as_ref().map_or(Ok(Window::Rolling(Duration { days: 365, ..Duration::default() })), window)?;
    let hold = Some(hold).filter(|_| text.downgrade != Downgrade::None);
    let mut tiers = Tiers { metric: text.metric, window, hold, grace, downgrade: text.downgrade, list: Vec::new() };
    for one in list {
        let tier = tier(one, &tiers, around)?;
        tiers.list.push(tier);
    }
    match list.first() {
        None => wrong(whole.span(), "[tiers] without a [[tier]]: the first one has entry = \"0\""),
        Some(first) if tiers.list[0].entry != Some(0) => wrong(
            first.id.span(),
            format!("tier \"{}\" is the first: its entry must be \"0\", everybody is in it", first.id.get_ref()),
        ),
        Some(_) if tiers.list.len() > TIERS_MAX => wrong(whole.span(), format!("more than {TIERS_MAX} tiers")),
        Some(_) => Ok(Some(Box::new(tiers))),
    }
}

fn window(text: &Spanned<WindowText>) -> Loaded<Window> {
    let length = |length: Duration, mixed: bool| {
        if length.micros != 0 || (length.months == 0 && length.days == 0) || (!mixed && length.months != 0 && length.days != 0) {
            return wrong(text.span(), "a window counts whole days, or whole months, at least one: \"P365D\", \"P12M\"");
        }
        Ok(length)
    };
    Ok(match text.get_ref() {
        WindowText::Lifetime(LifetimeWord::Lifetime) => Window::Lifetime,
        WindowText::Rolling(rolling) => Window::Rolling(length(rolling.rolling, true)?),
        WindowText::Calendar(calendar) => Window::Calendar(calendar.calendar as i64),
        WindowText::Anniversary(anniversary) => Window::Anniversary(length(anniversary.anniversary, false)?),
    })
}

/// One tier, above those of `known`.
fn tier(text: &TierText, known: &Tiers, around: &Around<'_>) -> Loaded<Tier> {
    let id = text.id.get_ref();
    if known.index(id).is_some() {
        return wrong(text.id.span(), format!("two tiers have the id \"{id}\""));
    }
    let number = |text: &Spanned<String>| {
        let exponent = if known.metric == Metric::Spend { around.exponent } else { 0 };
        match parse_amount(text.get_ref(), exponent) {
            Ok(number) if number >= 0 => Ok(number),
            _ if known.metric == Metric::Spend => {
                wrong(text.span(), format!("\"{}\" is not an amount of the program's currency", text.get_ref()))
            }
            _ => wrong(text.span(), format!("\"{}\" is not a whole number", text.get_ref())),
        }
    };
    let entry = text.entry.as_ref().map(number).transpose()?;
    let maintain = text.maintain.as_ref().map(number).transpose()?;
    match (&text.entry, &text.maintain) {
        (Some(entry), _) if text.custom => {
            return wrong(entry.span(), format!("tier \"{id}\" is custom, so given by hand only: remove its entry"));
        }
        (_, Some(maintain)) if text.custom => {
            return wrong(maintain.span(), format!("tier \"{id}\" is custom, so given by hand only: remove its maintain"));
        }
        (None, _) if !text.custom => {
            return wrong(text.id.span(), format!("tier \"{id}\" has no entry: say how much reaches it, or custom = true"));
        }
        (_, Some(span)) if maintain > entry => {
            return wrong(span.span(), format!("tier \"{id}\": maintain is above entry, so who enters could not stay"));
        }
        _ => {}
    }
    let before = known.list.iter().rev().find_map(|tier| tier.entry.map(|entry| (&tier.id, entry)));
    if let (Some(entry), Some((before, lower)), Some(span)) = (entry, before, &text.entry)
        && entry <= lower
    {
        return wrong(span.span(), format!("tier \"{id}\": entry must be above that of \"{before}\": tiers stand lowest first"));
    }
    let (entry_points, entry_reward) = text.on_entry.as_ref().map_or(Ok((0, None)), |on| on_entry(on, id, around.rewards))?;
    Ok(Tier {
        id: SmolStr::new(id),
        name: SmolStr::new(if text.name.is_empty() { id } else { &text.name }),
        entry,
        maintain: maintain.or(entry).unwrap_or(0),
        multiplier: text.earn_multiplier.map_or(Ratio::ONE, |ratio| ratio.0),
        discount_code: text.discount_code.as_ref().map(SmolStr::new),
        entry_points,
        entry_reward,
    })
}

fn on_entry(text: &Spanned<OnEntryText>, tier: &str, rewards: &[Reward]) -> Loaded<(i64, Option<SmolStr>)> {
    let benefits = text.get_ref();
    if benefits.points < 0 || benefits.points > 1_000_000_000 {
        return wrong(text.span(), format!("tier \"{tier}\": points on entry must be from 0 to 1,000,000,000"));
    }
    let Some(id) = &benefits.reward else { return Ok((benefits.points, None)) };
    match rewards.iter().find(|reward| reward.id == id) {
        None => wrong(text.span(), format!("tier \"{tier}\": no reward \"{id}\"; declare it as a [[reward]]")),
        Some(reward) if matches!(reward.price, Price::PayWithPoints { .. }) => wrong(
            text.span(),
            format!("tier \"{tier}\": what reward \"{id}\" is worth depends on points paid; it can't be given"),
        ),
        Some(_) => Ok((benefits.points, Some(SmolStr::new(id)))),
    }
}

/// Bit i: the tier at place i is one of them.
pub(super) fn tier_mask(names: &[Spanned<String>], tiers: Option<&Tiers>, of: &str) -> Loaded<u64> {
    let mut mask = 0;
    for name in names {
        match tiers.and_then(|tiers| tiers.index(name.get_ref())) {
            Some(index) => mask |= 1 << index,
            None => return wrong(name.span(), format!("{of}: no tier \"{}\"; declare it as a [[tier]]", name.get_ref())),
        }
    }
    Ok(mask)
}

/// `[expiry] inactivity`
pub(super) fn inactivity(text: Option<&Spanned<InactivityText>>) -> Loaded<Option<super::Inactivity>> {
    let Some(whole) = text else { return Ok(None) };
    let text = whole.get_ref();
    let Some(after) = text.after.filter(|after| after.months != 0 || after.days != 0 || after.micros != 0) else {
        return wrong(whole.span(), "inactivity needs a time: { after = \"P12M\", activities = [\"order\", \"redemption\"] }");
    };
    let named = |word: &str| text.activities.as_ref().is_none_or(|names| names.iter().any(|name| name == word));
    let (orders, redemptions) = (named("order"), named("redemption"));
    let others = text.activities.iter().flatten().filter(|name| !["order", "redemption"].contains(&name.as_str()));
    let activities: Vec<SmolStr> = others.map(SmolStr::new).collect();
    if !orders && !redemptions && activities.is_empty() {
        return wrong(whole.span(), "inactivity without activities: nothing would keep points alive");
    }
    Ok(Some(super::Inactivity { after, orders, redemptions, activities }))
}
