//! An order rule by rule: what each made of it, or which key of the ruleset kept it from earning, with both values.

use super::{arithmetic, money};
use crate::answer::EntryAnswer;
use accrue_ledger::currency::format_amount;
use accrue_ledger::worth::{self, WhyNot, Worth};
use accrue_ledger::{
    Achievement, Award, EarnRule, Entry, EntryKind, Excluded, Goal, Instant, Kind, LineFilter, LineRefund, Member, On, Order,
    Placed, Ruleset, Start, Timeline, Why,
};
use serde::Serialize;

/// An order explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The order.
    pub order_id: String,
    /// Its instant; empty: it has not come yet.
    pub occurred_at: String,
    /// Its highest version.
    pub version: u32,
    /// The ruleset that judges it, and from its time zone the calendar.
    pub ruleset: String,
    /// Its zone.
    pub time_zone: String,
    /// What counts of it now, in its currency.
    pub eligible: String,
    /// How the member stood when it was placed, and what became of the order: what is not as usual.
    pub standing: Vec<String>,
    /// Its lines: which count.
    pub lines: Vec<LineFinding>,
    /// Refunds noted on it, by line: pieces and amount.
    pub refunds: Vec<String>,
    /// What each rule made of it.
    pub rules: Vec<RuleFinding>,
    /// What each achievement made of it.
    pub achievements: Vec<AchievementFinding>,
    /// The entries it led to: its own, and those of its lots.
    pub entries: Vec<EntryAnswer>,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineFinding {
    /// Its id.
    pub line_id: String,
    /// The article.
    pub sku: String,
    /// Net of all discounts, in the order's currency.
    pub value: String,
    /// It counts for rules that look at the whole order.
    pub eligible: bool,
    /// Rules that look at some lines, this one among them.
    pub rules: Vec<String>,
    /// Why.
    pub because: String,
}

/// What a rule made of an order, or what kept it from earning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFinding {
    /// The rule.
    pub rule: String,
    /// Points now.
    pub points: i64,
    /// The calculation, or why not.
    pub because: String,
    /// The key of the ruleset that kept it from earning, or trimmed it; empty: none.
    pub key: &'static str,
    /// What the ruleset asks for there.
    pub wanted: String,
    /// What the order has.
    pub found: String,
}

/// What an achievement made of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AchievementFinding {
    /// The achievement.
    pub achievement: String,
    /// Points.
    pub points: i64,
    /// How.
    pub because: String,
}

pub(crate) fn explain_order(order: &Order, state: &Member, rules: &Timeline, entries: &[Entry]) -> Explanation {
    let placed = order.placed.as_ref();
    let judged = placed.and_then(|placed| Some((placed, &**rules.by_tag(placed.ruleset)?)));
    let currency = placed.map_or("", |placed| placed.currency.as_str());
    let mut refunds: Vec<String> = order.refunds.iter().map(|refund| refund_line(refund, currency)).collect();
    if order.refunded_amount > 0 {
        refunds.push(format!("amount {}", money(order.refunded_amount, currency)));
    }
    let findings = judged.map_or(Vec::new(), |(placed, ruleset)| {
        let worths = ruleset.earn.iter().zip(worth::worths(order, placed, ruleset)).enumerate();
        let award = |index: usize| placed.awards.iter().find(|award| usize::from(award.rule) == index);
        worths.map(|(index, (rule, worth))| finding(rule, worth, award(index), placed, ruleset)).collect()
    });
    let achievements = judged.map_or(Vec::new(), |(placed, ruleset)| {
        ruleset.achievements.iter().map(|achievement| achieved(achievement, order, placed, ruleset, entries)).collect()
    });
    Explanation {
        order_id: order.order_id.to_string(),
        occurred_at: placed.map_or_else(String::new, |placed| placed.at.to_string()),
        version: placed.map_or(0, |placed| placed.version),
        ruleset: judged.map_or_else(String::new, |(_, ruleset)| ruleset.hash_hex()),
        time_zone: judged.map_or_else(String::new, |(_, ruleset)| ruleset.time_zone.to_string()),
        eligible: judged.map_or_else(String::new, |(placed, rules)| money(worth::eligible(order, placed, rules), currency)),
        standing: standing(order, state, judged),
        lines: judged.map_or(Vec::new(), |(placed, ruleset)| lines(placed, ruleset)),
        refunds,
        rules: findings,
        achievements,
        entries: led_to(order, rules, entries),
    }
}

/// Its own entries, and those of its lots.
fn led_to(order: &Order, rules: &Timeline, entries: &[Entry]) -> Vec<EntryAnswer> {
    let own: Vec<u32> = order.placed.iter().flat_map(|placed| &placed.awards).flat_map(|award| &award.lots).copied().collect();
    let about = |entry: &&(u32, &Entry)| {
        let named = entry.1.source_kind == Kind::OrderPlaced as u8 && *entry.1.source == *order.order_id;
        named || entry.1.lots.iter().any(|part| own.contains(&part.lot))
    };
    let numbered: Vec<(u32, &Entry)> = (0..).zip(entries).collect();
    numbered.iter().filter(about).map(|(number, entry)| EntryAnswer::of(*number, entry, rules)).collect()
}

fn refund_line(refund: &LineRefund, currency: &str) -> String {
    format!("line {}: {} pieces, {}", refund.line_id, refund.pieces, money(refund.amount, currency))
}

/// What is not as usual with the member or the order.
fn standing(order: &Order, state: &Member, judged: Option<(&Placed, &Ruleset)>) -> Vec<String> {
    let mut lines = Vec::new();
    let Some((placed, ruleset)) = judged else {
        if order.waiting > 0 {
            lines.push(format!("{} facts about it wait for it", order.waiting));
        }
        return lines;
    };
    let inside = |excluded: &&Excluded| excluded.earn && excluded.from <= placed.at && placed.at < excluded.until;
    for excluded in state.exclusions.iter().filter(inside) {
        let what = if excluded.erased { "the member was erased" } else { "the member was excluded from earning" };
        lines.push(format!("{what} from {} until {}", excluded.from, excluded.until));
    }
    if state.status() != accrue_ledger::Status::Member && state.status() != accrue_ledger::Status::Registered {
        lines.push(format!("the member is {} now", state.status().name()));
    }
    if order.cancelled {
        lines.push("the order is cancelled".to_owned());
    }
    let waits = placed.awards.iter().any(|award| award.waiting > 0);
    match order.fulfilled_at {
        Some(at) => lines.push(format!("fulfilled {at}")),
        None if waits => lines.push("not fulfilled yet: its points wait for that".to_owned()),
        None => {}
    }
    if ruleset.tiers.is_some() {
        let id = ruleset.tiers.as_ref().map_or("", |tiers| &tiers.get(placed.tier).id);
        lines.push(format!("the member was in tier {id}"));
    }
    lines
}

fn lines(placed: &Placed, ruleset: &Ruleset) -> Vec<LineFinding> {
    let of = |line: &accrue_ledger::OrderLine| {
        let asks = ruleset.earn.iter().enumerate().filter(|(index, _)| !line.excluded && line.rules & (1 << index) != 0);
        let because = match (line.excluded, line.value) {
            (true, _) => format!("never earns: eligible.exclude is {}", filter(&ruleset.eligible.exclude)),
            (false, 0) => "counts, and is worth nothing".to_owned(),
            (false, _) => "counts".to_owned(),
        };
        LineFinding {
            line_id: line.line_id.to_string(),
            sku: line.sku.to_string(),
            value: money(line.value, &placed.currency),
            eligible: !line.excluded,
            rules: asks.map(|(_, rule)| rule.id.to_string()).collect(),
            because,
        }
    };
    placed.lines.iter().map(of).collect()
}

/// `collections a, b; tags c`
fn filter(of: &LineFilter) -> String {
    let part = |name: &str, values: &[_]| (!values.is_empty()).then(|| format!("{name} {}", list(values)));
    let parts = [part("collections", &of.collections), part("tags", &of.tags), part("skus", &of.skus)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn list<T: AsRef<str>>(values: &[T]) -> String {
    values.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}

fn finding(rule: &EarnRule, worth: Worth, award: Option<&Award>, placed: &Placed, ruleset: &Ruleset) -> RuleFinding {
    let (key, wanted, found) = match worth.why_not {
        Some(why_not) => kept_by(why_not, rule, placed, ruleset),
        None => ("", String::new(), String::new()),
    };
    let mut of_rule = RuleFinding { rule: rule.id.to_string(), points: worth.points, because: String::new(), key, wanted, found };
    of_rule.because = match worth.why_not {
        None | Some(WhyNot::RoundsToZero) => {
            let told = arithmetic::calculation(rule, ruleset, worth.eligible, &placed.currency, worth.tier);
            let eligible = if rule.per.is_none() {
                format!("; eligible {}", money(worth.eligible, &placed.currency))
            } else {
                String::new()
            };
            told.unwrap_or_default() + &eligible
        }
        Some(why_not) => why_not.sentence().to_owned(),
    };
    let limited = award.and_then(|award| Some((award.points, award.limited.as_ref()?)));
    if let (Some(limit), Some((awarded, limited))) = (rule.limit, limited) {
        of_rule.points = awarded;
        if limited.desired > awarded {
            of_rule.because += &format!("; desired {}, awarded {awarded}: limited to {}", limited.desired, limit.name());
            (of_rule.key, of_rule.wanted, of_rule.found) = ("limit", limit.name(), limited.desired.to_string());
        }
    }
    if of_rule.points > 0 && matches!(rule.start, Start::Fulfilled { .. }) && award.is_some_and(|award| award.waiting > 0) {
        of_rule.because += "; waits for the fulfilment of the order";
    }
    of_rule
}

/// The key of the ruleset that kept a rule from giving points, what it asks for and what the order has.
fn kept_by(why_not: WhyNot, rule: &EarnRule, placed: &Placed, ruleset: &Ruleset) -> (&'static str, String, String) {
    let when = &rule.when;
    let ours = |amount: i64| format!("{} {}", format_amount(amount, ruleset.exponent), ruleset.currency);
    let tier = |place: usize| ruleset.tiers.as_ref().and_then(|tiers| tiers.list.get(place)).map_or("", |tier| tier.id.as_str());
    let local = || format!("{} {}", arithmetic::local(placed.at, ruleset), ruleset.time_zone);
    match why_not {
        WhyNot::NotOnOrders => ("on", on(rule.on).to_owned(), "order".to_owned()),
        WhyNot::Cancelled => ("", String::new(), "cancelled".to_owned()),
        WhyNot::RefundedInFull => ("", String::new(), "refunded in full".to_owned()),
        WhyNot::MemberExcluded => ("", "a member that may earn".to_owned(), format!("excluded at {}", placed.at)),
        WhyNot::OutsideCampaign if placed.at < when.from => ("when.from", when.from.to_string(), placed.at.to_string()),
        WhyNot::OutsideCampaign => ("when.until", format!("before {}", when.until), placed.at.to_string()),
        WhyNot::OtherChannel => (
            "when.channels",
            list(&when.channels),
            if placed.channel.is_empty() { "none".to_owned() } else { placed.channel.to_string() },
        ),
        WhyNot::OtherWeekday => ("when.weekdays", weekdays(when.weekdays), local()),
        WhyNot::OtherTier => {
            let wanted: Vec<&str> =
                (0..64).filter(|place| when.tiers & (1 << place) != 0).map(tier).filter(|id| !id.is_empty()).collect();
            ("when.tiers", list(&wanted), tier(usize::from(placed.tier)).to_owned())
        }
        WhyNot::NotFirstOrder => ("when.first_order", "the member's first order".to_owned(), "a later one".to_owned()),
        WhyNot::UnknownCurrency => ("currencies", known_currencies(ruleset), placed.currency.to_string()),
        WhyNot::ExpressionFalse => ("when.expression", expression(rule), "false".to_owned()),
        WhyNot::ExpressionFailed => ("when.expression", expression(rule), "it failed".to_owned()),
        WhyNot::NoMatchingLine => {
            let skus: Vec<&str> = placed.lines.iter().map(|line| line.sku.as_str()).collect();
            ("when", format!("a line with {}", filter(&when.lines)), format!("skus {}", list(&skus)))
        }
        WhyNot::NothingEligible => ("eligible", "something that earns".to_owned(), money(0, &placed.currency)),
        WhyNot::BelowMinimum { eligible } => {
            let least = when.min_eligible.map_or_else(String::new, ours);
            ("when.min_eligible", least, money(eligible, &placed.currency))
        }
        WhyNot::RoundsToZero => {
            ("eligible.round", arithmetic::rounding_name(ruleset.eligible.round).to_owned(), "less than 1 point".to_owned())
        }
    }
}

/// As it is written in a ruleset.
fn on(of: On) -> &'static str {
    match of {
        On::Order => "order",
        On::Activity => "activity",
        On::Birthday => "birthday",
        On::Registered => "registered",
        On::ReferralJoined => "referral_joined",
        On::ReferralCompleted => "referral_completed",
    }
}

fn expression(rule: &EarnRule) -> String {
    rule.when.expression.as_ref().map_or_else(String::new, |expression| expression.source().to_owned())
}

fn known_currencies(ruleset: &Ruleset) -> String {
    let others = ruleset.currencies.iter().map(|(code, _)| code.as_str());
    list(&[ruleset.currency.as_str()].into_iter().chain(others).collect::<Vec<_>>())
}

fn weekdays(bits: u8) -> String {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    list(&(0..).zip(NAMES).filter(|(day, _)| bits & (1 << day) != 0).map(|(_, name)| name).collect::<Vec<_>>())
}

/// What an achievement made of the order: by its entries, else why there are none.
fn achieved(of: &Achievement, order: &Order, placed: &Placed, ruleset: &Ruleset, entries: &[Entry]) -> AchievementFinding {
    let named = |entry: &&Entry| {
        let own = entry.source_kind == Kind::OrderPlaced as u8 && *entry.source == *order.order_id;
        own && matches!(&entry.why, Why::Achievement { id, .. } if *id == *of.id)
    };
    let (mut points, mut told) = (0, None);
    for entry in entries.iter().filter(named) {
        let Why::Achievement { progress, target, .. } = &entry.why else { continue };
        points += if entry.kind == EntryKind::Earned { entry.points } else { 0 };
        told = Some(format!("{} at {progress} of {target}", if progress >= target { "completed" } else { "progress" }));
    }
    let because = told.unwrap_or_else(|| {
        let activity = matches!(of.goal, Goal::Activity(_));
        let over = of.each.end(placed.at, &ruleset.zone);
        match () {
            () if activity => format!("counts {}, not orders", of.goal.name()),
            () if placed.excluded => "the member was excluded from earning when it was placed".to_owned(),
            () if worth::eligible(order, placed, ruleset) == 0 => "nothing of it is eligible".to_owned(),
            () if over != Instant::MAX => {
                format!("it was completed before in the period that ends {over}, or that period was over")
            }
            () => "it was completed before".to_owned(),
        }
    });
    AchievementFinding { achievement: of.id.to_string(), points, because }
}
