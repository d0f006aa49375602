//! What a scenario expects of a member, compared with what the reader answers. Only what is named is compared.

mod referrals;
mod tier;

use super::Difference;
use super::rules::Rules;
use crate::answer::{BalanceAnswer, CouponsAnswer, EntryAnswer, MemberAnswer};
use accrue_ledger::{Instant, MAIN};
use toml::{Table, Value};

const BALANCE: [&str; 6] = ["active", "pending", "debt", "spent", "expired", "earned"];
const COUPONS: [&str; 5] = ["issued", "reserved", "used", "revoked", "expired"];
const KEYS: [&str; 12] = [
    "balance",
    "tier",
    "coupons",
    "expiring",
    "entries",
    "parked",
    "exceptions",
    "standing",
    "cards",
    "budgets",
    "achievements",
    "referrals",
];

/// What is expected.
#[derive(Default)]
pub(super) struct Expectation {
    /// What was known after that step, from 1.
    pub as_known_after: Option<usize>,
    /// Ledger, number, points.
    balance: Vec<(String, String, i64)>,
    coupons: Vec<(String, i64)>,
    expiring: Option<Vec<(i64, Instant)>>,
    pub entries: Option<Vec<String>>,
    parked: Option<i64>,
    exceptions: Option<i64>,
    standing: Option<String>,
    /// `code status` each.
    cards: Option<Vec<String>>,
    /// Rule or reward, and what is used of its limit.
    budgets: Vec<(String, i64)>,
    /// Id, and status with progress: `in_progress 3`.
    achievements: Vec<(String, String)>,
    /// Name and value.
    tier: Vec<(String, String)>,
    /// Name and value.
    referrals: Vec<(String, String)>,
}

/// Where in the expectation, and what is wrong there.
type Wrong = (Vec<String>, String);

fn wrong<T>(path: &[&str], detail: String) -> Result<T, Wrong> {
    Err((path.iter().map(ToString::to_string).collect(), detail))
}

fn unknown<T>(path: &[&str], known: &[&str]) -> Result<T, Wrong> {
    wrong(path, format!("unknown key `{}`, expected one of {}", path.last().unwrap_or(&""), known.join(", ")))
}

impl Expectation {
    pub fn read(table: &Table, as_known_after: Option<usize>, rules: &Rules) -> Result<Expectation, Wrong> {
        let mut expect = Expectation { as_known_after, ..Expectation::default() };
        for (key, value) in table {
            match key.as_str() {
                "balance" => expect.balance = balances(value, rules)?,
                "coupons" => expect.coupons = numbers(&["coupons"], value, &COUPONS)?,
                "expiring" => expect.expiring = Some(expiring(value)?),
                "entries" => expect.entries = Some(entries(value)?),
                "parked" => expect.parked = Some(whole(&["parked"], value)?),
                "exceptions" => expect.exceptions = Some(whole(&["exceptions"], value)?),
                "standing" => expect.standing = Some(value.as_str().unwrap_or_default().to_string()),
                "cards" => {
                    let texts = value.as_array().into_iter().flatten().map(|card| card.as_str().unwrap_or_default().to_string());
                    expect.cards = Some(texts.collect());
                }
                "budgets" => expect.budgets = wholes(&["budgets"], value)?,
                "achievements" => expect.achievements = words(&["achievements"], value)?,
                "tier" => expect.tier = tier::read(value)?,
                "referrals" => expect.referrals = referrals::read(value)?,
                other => return unknown(&[other], &KEYS),
            }
        }
        Ok(expect)
    }

    /// What differs. `None`: nothing is known of the member, so every number is 0.
    pub fn differences(&self, step: usize, member: Option<&MemberAnswer>, told: &[EntryAnswer]) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut check = |what: String, expected: String, found: String| {
            if expected != found {
                differences.push(Difference { step, what, expected, found });
            }
        };
        let nothing = BalanceAnswer::default();
        let balance = |ledger: &str| member.and_then(|member| member.balance.get(ledger)).unwrap_or(&nothing);
        for (ledger, name, points) in &self.balance {
            check(format!("balance.{ledger}.{name}"), points.to_string(), number_of(balance(ledger), name).to_string());
        }
        for (status, count) in &self.coupons {
            let found = member.map_or(0, |member| count_of(&member.coupons, status));
            check(format!("coupons.{status}"), count.to_string(), found.to_string());
        }
        if let Some(expiring) = &self.expiring {
            let show = |(points, at): (i64, String)| format!("{points} at {at}");
            let expected: Vec<String> = expiring.iter().map(|(points, at)| show((*points, at.to_string()))).collect();
            let found: Vec<String> = balance(MAIN).expiring.iter().map(|part| show((part.points, part.at.clone()))).collect();
            check("expiring".to_string(), expected.join(", "), found.join(", "));
        }
        if let Some(entries) = &self.entries {
            let found: Vec<String> = told.iter().map(|entry| format!("{} {}", entry.kind, entry.points)).collect();
            check("entries".to_string(), entries.join(", "), found.join(", "));
        }
        let counts = [
            ("parked", self.parked, member.map_or(0, |member| member.parked)),
            ("exceptions", self.exceptions, member.map_or(0, |member| member.exceptions)),
        ];
        for (what, expected, found) in counts {
            if let Some(expected) = expected {
                check(what.to_string(), expected.to_string(), found.to_string());
            }
        }
        if let Some(standing) = &self.standing {
            check("standing".to_string(), standing.clone(), member.map_or("unknown", |member| member.standing).to_string());
        }
        if let Some(cards) = &self.cards {
            let found = member.into_iter().flat_map(|member| &member.cards).map(|card| format!("{} {}", card.code, card.status));
            check("cards".to_string(), cards.join(", "), found.collect::<Vec<_>>().join(", "));
        }
        for (id, used) in &self.budgets {
            let found = member.and_then(|member| member.budgets.iter().find(|budget| budget.id == *id));
            let found = found.map_or_else(|| "no limit".to_string(), |budget| budget.used.to_string());
            check(format!("budgets.{id}"), used.to_string(), found);
        }
        for (id, expected) in &self.achievements {
            let found = member.into_iter().flat_map(|member| &member.achievements).filter(|known| known.id == *id);
            let found: Vec<String> = found.map(|known| format!("{} {}", known.status, known.progress)).collect();
            check(format!("achievements.{id}"), expected.clone(), found.join(", "));
        }
        for (name, expected) in &self.tier {
            check(format!("tier.{name}"), expected.clone(), tier::found(name, member.and_then(|member| member.tier.as_ref())));
        }
        for (name, expected) in &self.referrals {
            let found = referrals::found(name, member.and_then(|member| member.referrals.as_ref()));
            check(format!("referrals.{name}"), expected.clone(), found);
        }
        differences
    }
}

fn number_of(balance: &BalanceAnswer, name: &str) -> i64 {
    match name {
        "active" => balance.active,
        "pending" => balance.pending,
        "debt" => balance.debt,
        "spent" => balance.spent,
        "expired" => balance.expired,
        _ => balance.earned,
    }
}

fn count_of(coupons: &CouponsAnswer, status: &str) -> u32 {
    match status {
        "issued" => coupons.issued,
        "reserved" => coupons.reserved,
        "used" => coupons.used,
        "revoked" => coupons.revoked,
        _ => coupons.expired,
    }
}

fn whole(path: &[&str], value: &Value) -> Result<i64, Wrong> {
    value.as_integer().map_or_else(|| wrong(path, "a whole number is needed".to_string()), Ok)
}

fn numbers(path: &[&str], value: &Value, known: &[&str]) -> Result<Vec<(String, i64)>, Wrong> {
    let Some(table) = value.as_table() else {
        return wrong(path, format!("a table is needed with any of {}", known.join(", ")));
    };
    let one = |(key, value): (&String, &Value)| {
        let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
        if known.contains(&key.as_str()) { Ok((key.clone(), whole(&path, value)?)) } else { unknown(&path, known) }
    };
    table.iter().map(one).collect()
}

fn wholes(path: &[&str], value: &Value) -> Result<Vec<(String, i64)>, Wrong> {
    let Some(table) = value.as_table() else {
        return wrong(path, "a table of whole numbers is needed".to_string());
    };
    let one = |(key, value): (&String, &Value)| Ok((key.clone(), whole(&[path[0], key], value)?));
    table.iter().map(one).collect()
}

fn words(path: &[&str], value: &Value) -> Result<Vec<(String, String)>, Wrong> {
    let hint = "a table of texts is needed, like \"in_progress 3\"";
    let Some(table) = value.as_table() else { return wrong(path, hint.to_string()) };
    let mut found = Vec::new();
    for (key, value) in table {
        let Some(text) = value.as_str() else { return wrong(&[path[0], key], hint.to_string()) };
        found.push((key.clone(), text.to_string()));
    }
    Ok(found)
}

fn balances(value: &Value, rules: &Rules) -> Result<Vec<(String, String, i64)>, Wrong> {
    let Some(table) = value.as_table() else {
        return wrong(&["balance"], "a table of ledgers is needed".to_string());
    };
    let mut all = Vec::new();
    for (ledger, value) in table {
        if !rules.has_ledger(ledger) {
            return wrong(&["balance", ledger], format!("the ruleset has no ledger \"{ledger}\"; declare it under [ledgers]"));
        }
        let named = numbers(&["balance", ledger], value, &BALANCE)?;
        all.extend(named.into_iter().map(|(name, points)| (ledger.clone(), name, points)));
    }
    Ok(all)
}

fn expiring(value: &Value) -> Result<Vec<(i64, Instant)>, Wrong> {
    let hint = || wrong(&["expiring"], "a list is needed of { points = 50, at = 2024-01-01T00:00:00Z }".to_string());
    let Some(list) = value.as_array() else { return hint() };
    let mut parts = Vec::new();
    for part in list {
        let Some(table) = part.as_table().filter(|table| table.len() == 2) else {
            return hint();
        };
        let at = table.get("at").and_then(Value::as_datetime).and_then(|at| Instant::parse(&at.to_string()));
        let (Some(points), Some(at)) = (table.get("points").and_then(Value::as_integer), at) else {
            return hint();
        };
        parts.push((points, at));
    }
    Ok(parts)
}

fn entries(value: &Value) -> Result<Vec<String>, Wrong> {
    let hint = "a list is needed of \"kind points\", like \"earned 80\"";
    let Some(list) = value.as_array() else {
        return wrong(&["entries"], hint.to_string());
    };
    let mut entries = Vec::new();
    for entry in list {
        let known = |kind: &str| accrue_ledger::EntryKind::ALL.iter().any(|known| known.name() == kind);
        match entry.as_str().and_then(|text| text.split_once(' ')) {
            Some((kind, points)) if known(kind) && points.parse::<i64>().is_ok() => entries.push(format!("{kind} {points}")),
            _ => return wrong(&["entries"], format!("{entry} is no entry: {hint}")),
        }
    }
    Ok(entries)
}
