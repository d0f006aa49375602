//! A basket, tentatively: what it earns rule by rule, what could be used on it, and the balance before and then.

use crate::print::{Column, Printer, minute, points, right, text};
use serde_json::{Value, json};

const RULES: [Column; 3] = [text("rule", "/rule"), right("points", "/points"), text("because", "/because")];
const BALANCES: [Column; 7] = [
    text("ledger", "/ledger"),
    right("active", "/before/active"),
    right("then", "/after/active"),
    right("pending", "/before/pending"),
    right("then", "/after/pending"),
    right("debt", "/before/debt"),
    right("then", "/after/debt"),
];
const REWARDS: [Column; 5] = [
    text("reward", "/reward"),
    right("points", "/points"),
    text("worth", "/worth"),
    text("usable", "/usable"),
    text("why not", "/why_not"),
];
const COUPONS: [Column; 4] =
    [text("coupon", "/code"), text("reward", "/reward"), text("worth", "/value"), text("ends", "/expires_at").instant()];

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The page.
pub fn quote(answer: &Value, printer: &Printer) -> String {
    let style = printer.style;
    let of = |name: &str| answer[name].as_str().unwrap_or_default();
    let mut page = format!(
        "{}  {}\n",
        style.bold(&format!("{}/{}", of("program"), of("member"))),
        style.dim(&format!("if it were paid at {} UTC; nothing is booked", minute(of("at"))))
    );
    if answer["known"] == false {
        page += &style.yellow("not known yet: judged as a new member\n");
    }
    let earns = answer["earns"].as_object().into_iter().flatten();
    let earns: Vec<String> =
        earns.map(|(ledger, earned)| format!("{} {ledger}", style.green(&points(earned.as_i64().unwrap_or_default())))).collect();
    let earns = if earns.is_empty() { "nothing".to_owned() } else { earns.join(", ") };
    page += &format!("earns {earns} on {} eligible\n", of("eligible"));
    page += &tier(&answer["tier_before"], &answer["tier_after"], printer);
    page += &format!("\n{}\n{}\n", style.bold("Rules"), printer.table(list(answer, "rules"), &RULES));
    let ledgers = answer["after"].as_object().into_iter().flatten();
    let balances: Vec<Value> = ledgers
        .map(|(ledger, after)| {
            let before = answer["before"].get(ledger).cloned();
            let before = before.unwrap_or_else(|| json!({ "active": 0, "pending": 0, "debt": 0 }));
            json!({ "ledger": ledger, "before": before, "after": after })
        })
        .collect();
    for (title, rows, columns) in [
        ("Balance, and then", balances.as_slice(), &BALANCES[..]),
        ("Rewards", list(answer, "rewards"), &REWARDS[..]),
        ("Coupons at hand", list(answer, "coupons"), &COUPONS[..]),
    ] {
        if !rows.is_empty() {
            page += &format!("\n{}\n{}\n", style.bold(title), printer.table(rows, columns));
        }
    }
    page
}

/// The tier then, and how far it is to the next; nothing where the program has none.
fn tier(before: &Value, after: &Value, printer: &Printer) -> String {
    let of = |tier: &Value, name: &str| tier[name].as_str().unwrap_or_default().to_owned();
    if after.is_null() {
        return String::new();
    }
    let (was, is) = (of(before, "name"), of(after, "name"));
    let style = printer.style;
    let mut line =
        if was == is { format!("tier stays {is}") } else { format!("tier {was} → {}", style.bold(&style.green(&is))) };
    if after["next"].is_string() {
        line += &format!(", {} to {} then", of(after, "missing"), of(after, "next"));
    }
    line + "\n"
}
