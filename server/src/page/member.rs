//! A member on one page, for who answers the telephone: what can be spent, what is coming, what ends next, what happened.

use super::pairs::{Tone, pairs};
use super::{Runway, When, counted, profile, referral, tier};
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
    purchases: Purchases,
    standing: String,
    merged: Vec<String>,
    cards: Vec<Card>,
    facts: u32,
    last_activity: String,
    exclusions: Vec<Exclusion>,
    profile: Option<profile::Profile>,
    referrals: Option<referral::Referrals>,
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
    adjusted: i64,
    imported: i64,
    expiring_soon: i64,
    expiring: Vec<Part>,
    starting: Vec<Part>,
    lots: Vec<Lot>,
}

#[derive(Deserialize)]
struct Purchases {
    lifetime_value: String,
    net_revenue: String,
    discounts: String,
    discounted_orders: u32,
    undiscounted_orders: u32,
    cancelled_orders: u32,
}

#[derive(Deserialize)]
struct Card {
    code: String,
    status: String,
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
    let (whole, answer) = (answer, Answer::deserialize(answer)?);
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
    if let Some(of) = &answer.profile {
        page.push_str(&profile::lines(of, when, style));
    }
    for (ledger, balance) in &answer.balance {
        page.push_str(&strip(ledger, balance, when, style));
    }
    if let Some(of) = &answer.tier {
        page.push_str(&tier::lines(of, &answer.currency, when, style));
        page.push('\n');
    }
    page.push_str(&facts(&answer, when, style));
    if let Some(of) = &answer.referrals {
        page.push('\n');
        page.push_str(&referral::lines(of, style));
    }
    for (title, table, hidden) in counted::sections(whole, when, printer) {
        page.push_str(&section(title, &table, style));
        page.push_str(&more(hidden, 0, "of these", style));
    }
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
    page.push_str(
        &style.dim("why: `accrue explain MEMBER --number active`, `--number tier`, `--entry N`, `--lot N`, `--order ID`\n"),
    );
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
    let pair = |name: &'static str, number: i64, tone: Tone| {
        Some((name, points(number), if number == 0 && tone != Tone::Good { Tone::Plain } else { tone }))
    };
    let plain = |name, number| pair(name, number, Tone::Plain);
    let mut rows = vec![
        [pair("active", balance.active, Tone::Good), plain("earned", balance.earned)],
        [pair("pending", balance.pending, Tone::Waits), plain("spent", balance.spent)],
        [pair("ends in 30 days", balance.expiring_soon, Tone::Waits), plain("expired", balance.expired)],
        [pair("debt", balance.debt, Tone::Bad), plain("adjusted by hand", balance.adjusted)],
    ];
    let taken = [("cancelled", balance.cancelled), ("clawed back", balance.clawed_back), ("repaid debt", balance.repaid)];
    let rest: Vec<(&'static str, i64)> =
        taken.into_iter().chain([("imported", balance.imported)]).filter(|(_, number)| *number != 0).collect();
    rows.extend(rest.chunks(2).map(|two| [0, 1].map(|index| two.get(index).and_then(|(name, number)| plain(name, *number)))));
    let next =
        |parts: &'_ [Part]| parts.first().filter(|part| part.at != "never").map(|part| (points(part.points), part.at.clone()));
    let mut coming = String::new();
    if let Some((points, at)) = next(&balance.expiring) {
        coming += &format!("  next to end {points} with {}\n", when.end(&at));
    }
    if let Some((points, at)) = next(&balance.starting) {
        coming += &format!("  next to start {points} at {}\n", when.at(&at));
    }
    format!("{}\n{}{coming}\n", style.bold(&format!("Points of {ledger}")), pairs(&rows, style))
}

fn facts(answer: &Answer, when: &When, style: Style) -> String {
    let (coupons, bought) = (&answer.coupons, &answer.purchases);
    let plain = |name: &'static str, value: String| Some((name, value, Tone::Plain));
    let count = |number: u32| points(i64::from(number));
    let money = |amount: &str| format!("{amount} {}", answer.currency);
    let rows = [
        [plain("orders", count(answer.orders)), plain("lifetime value", money(&bought.lifetime_value))],
        [plain("with a discount", count(bought.discounted_orders)), plain("net revenue", money(&bought.net_revenue))],
        [plain("without", count(bought.undiscounted_orders)), plain("discounts", money(&bought.discounts))],
        [plain("cancelled", count(bought.cancelled_orders)), plain("eligible", money(&answer.eligible_spend))],
        [plain("coupons open", points(coupons.open.len() as i64)), plain("coupons used", count(coupons.used))],
        [plain("coupons revoked", count(coupons.revoked)), plain("coupons expired", count(coupons.expired))],
    ];
    let mut line = format!("{}\n{}", style.bold("Orders and coupons"), pairs(&rows, style));
    let cards: Vec<String> = answer.cards.iter().map(|card| format!("{} ({})", card.code, card.status)).collect();
    line += &format!("\n{}", style.bold(&answer.standing));
    if !cards.is_empty() {
        line += &format!(" · cards {}", cards.join(", "));
    }
    if !answer.merged.is_empty() {
        line += &format!(" · one with {}", answer.merged.join(", "));
    }
    line += &format!(" · {} facts · last activity {}", count(answer.facts), when.at(&answer.last_activity));
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
