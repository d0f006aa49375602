//! A member on one page, for who answers the telephone: what can be spent, what is coming, what ends next, what happened.

use super::{Runway, When, tier};
use crate::print::{Column, Printer, Style, TableCell, points, right, text};
use accrue_ledger::Instant;
use comfy_table::Color;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Entries at the end of the page.
pub const ENTRIES_SHOWN: usize = 12;
/// Lots of a ledger that are shown; there can be thousands.
const LOTS_SHOWN: usize = 30;
/// Coupons that are shown.
const COUPONS_SHOWN: usize = 20;

/// What the page needs of the answer.
#[derive(Deserialize)]
struct Answer {
    program: String,
    member: String,
    as_of: String,
    shard: u32,
    next_position: u64,
    balance: BTreeMap<String, Balance>,
    tier: Option<tier::Tier>,
    coupons: Coupons,
    parked: u32,
    exceptions: u32,
    orders: u32,
    eligible_spend: String,
    currency: String,
    facts: u32,
    last_activity: String,
    exclusions: Vec<Exclusion>,
}

#[derive(Deserialize)]
struct Balance {
    active: i64,
    pending: i64,
    debt: i64,
    earned: i64,
    spent: i64,
    expired: i64,
    cancelled: i64,
    clawed_back: i64,
    repaid: i64,
    expiring: Vec<Part>,
    starting: Vec<Part>,
    lots: Vec<Lot>,
}

#[derive(Deserialize)]
struct Part {
    points: i64,
    at: String,
}

#[derive(Deserialize)]
struct Lot {
    lot: u32,
    status: String,
    left: i64,
    amount: i64,
    rule: String,
    source_kind: String,
    source: String,
    starts_at: String,
    expires_at: String,
}

#[derive(Deserialize)]
struct Coupons {
    used: u32,
    revoked: u32,
    expired: u32,
    open: Vec<Value>,
}

#[derive(Deserialize)]
struct Exclusion {
    from: String,
    until: String,
    earn: bool,
    redeem: bool,
}

const LOT_COLUMNS: [Column; 9] = [
    right("lot", ""),
    text("status", ""),
    right("left", ""),
    right("of", ""),
    text("rule", ""),
    text("from", ""),
    text("spendable from", ""),
    text("ends", ""),
    text("runway", ""),
];

const COUPON_COLUMNS: [Column; 6] = [
    text("code", "/code"),
    text("status", "/status"),
    text("reward", "/reward"),
    text("worth", "/value"),
    text("ends", "/expires_at"),
    text("held for", "/reserved_for"),
];

const ENTRY_COLUMNS: [Column; 5] = [
    text("when", "/at"),
    text("what", "/kind"),
    right("points", "/points"),
    right("active", "/active_after"),
    text("why", "/why"),
];

/// The page. `entries`: the last of the member's, oldest first; `when`: the zone of the program.
///
/// # Errors
/// The answer has another form than this version knows.
pub fn member(answer: &Value, entries: &[Value], when: &When, printer: &Printer) -> Result<String, serde_json::Error> {
    let answer = Answer::deserialize(answer)?;
    let style = printer.style;
    let mut page = format!(
        "{}  {}\n\n",
        style.bold(&format!("{}/{}", answer.program, answer.member)),
        style.dim(&format!(
            "as of {} {} · shard {}, everything before position {}",
            when.at(&answer.as_of),
            when.name(),
            answer.shard,
            answer.next_position
        )),
    );
    for (ledger, balance) in &answer.balance {
        page.push_str(&strip(ledger, balance, when, style));
    }
    if let Some(of) = &answer.tier {
        page.push_str(&tier::lines(of, &answer.currency, when, style));
    }
    page.push_str(&facts(&answer, when, style));
    let now = Instant::parse(&answer.as_of).unwrap_or(Instant::MAX);
    for (ledger, balance) in answer.balance.iter().filter(|(_, balance)| !balance.lots.is_empty()) {
        page.push_str(&lots(ledger, balance, now, when, printer));
    }
    let open = &answer.coupons.open;
    if !open.is_empty() {
        let shown = told(&open[..open.len().min(COUPONS_SHOWN)], "expires_at", |text| when.end(text));
        page.push_str(&section("Coupons", &printer.table(&shown, &COUPON_COLUMNS), style));
        page.push_str(&more(open.len(), shown.len(), "coupons", style));
    }
    if !entries.is_empty() {
        let entries = told(entries, "at", |text| when.at(text));
        page.push_str(&section("Last entries", &printer.table(&entries, &ENTRY_COLUMNS), style));
    }
    Ok(page)
}

/// Rows with an instant told.
fn told(rows: &[Value], name: &str, tell: impl Fn(&str) -> String) -> Vec<Value> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        row[name] = Value::String(tell(row[name].as_str().unwrap_or_default()));
    }
    rows
}

fn section(title: &str, body: &str, style: Style) -> String {
    format!("\n{}\n{body}\n", style.bold(title))
}

fn more(of: usize, shown: usize, what: &str, style: Style) -> String {
    if of > shown { style.dim(&format!("… and {} more {what}: --output json has all\n", of - shown)) } else { String::new() }
}

/// The numbers that people ask for first.
fn strip(ledger: &str, balance: &Balance, when: &When, style: Style) -> String {
    let debt = if balance.debt > 0 { style.red(&points(balance.debt)) } else { points(0) };
    let waiting = if balance.pending > 0 { style.yellow(&points(balance.pending)) } else { points(0) };
    let mut line =
        format!("{ledger}:  active {}   pending {waiting}   debt {debt}", style.bold(&style.green(&points(balance.active))));
    let next =
        |parts: &'_ [Part]| parts.first().filter(|part| part.at != "never").map(|part| (points(part.points), part.at.clone()));
    if let Some((points, at)) = next(&balance.expiring) {
        line += &format!("   next to end {points} with {}", when.end(&at));
    }
    if let Some((points, at)) = next(&balance.starting) {
        line += &format!("   next to start {points} at {}", when.at(&at));
    }
    let rest = [
        ("earned", balance.earned),
        ("spent", balance.spent),
        ("expired", balance.expired),
        ("cancelled", balance.cancelled),
        ("clawed back", balance.clawed_back),
        ("repaid", balance.repaid),
    ];
    let rest = rest.iter().map(|(name, number)| format!("{name} {}", points(*number)));
    format!("{line}\n{}\n", style.dim(&rest.collect::<Vec<_>>().join(" · ")))
}

fn facts(answer: &Answer, when: &When, style: Style) -> String {
    let coupons = &answer.coupons;
    let mut line = format!(
        "{} orders · {} {} eligible · {} facts · last {} · coupons {} open, {} used, {} revoked, {} expired",
        points(i64::from(answer.orders)),
        answer.eligible_spend,
        answer.currency,
        points(i64::from(answer.facts)),
        when.at(&answer.last_activity),
        coupons.open.len(),
        coupons.used,
        coupons.revoked,
        coupons.expired,
    );
    if answer.parked > 0 {
        line += &format!(" · {}", style.yellow(&format!("{} waiting for their order", answer.parked)));
    }
    if answer.exceptions > 0 {
        line += &format!(" · {}", style.red(&format!("{} exceptions to look at", answer.exceptions)));
    }
    line.push('\n');
    for excluded in &answer.exclusions {
        let what = match (excluded.earn, excluded.redeem) {
            (true, true) => "neither earns nor spends",
            (true, false) => "does not earn",
            _ => "does not spend",
        };
        line += &format!("{} from {} to {}\n", style.red(what), when.at(&excluded.from), when.end(&excluded.until));
    }
    line
}

fn lots(ledger: &str, balance: &Balance, now: Instant, when: &When, printer: &Printer) -> String {
    let instant = |text: &str| Instant::parse(text).unwrap_or(if text == "always" { Instant::MIN } else { Instant::MAX });
    let shown = &balance.lots[..balance.lots.len().min(LOTS_SHOWN)];
    let runway = Runway::new(now, shown.iter().map(|lot| instant(&lot.expires_at)));
    let lines = shown.iter().map(|lot| {
        let colour = if lot.status == "active" { Color::Green } else { Color::Yellow };
        vec![
            TableCell::new(lot.lot),
            TableCell::new(&lot.status).fg(colour),
            TableCell::new(points(lot.left)),
            TableCell::new(points(lot.amount)),
            TableCell::new(&lot.rule),
            TableCell::new(format!("{} {}", lot.source_kind, lot.source)),
            TableCell::new(if instant(&lot.starts_at) == Instant::MAX { "waits".to_owned() } else { when.at(&lot.starts_at) }),
            TableCell::new(when.end(&lot.expires_at)),
            TableCell::new(runway.draw(instant(&lot.starts_at), instant(&lot.expires_at))).fg(colour),
        ]
    });
    let title = format!("Lots of {ledger} (runway: {})", runway.head());
    section(&title, &printer.lines(&LOT_COLUMNS, lines), printer.style)
        + &more(balance.lots.len(), shown.len(), "lots", printer.style)
}
