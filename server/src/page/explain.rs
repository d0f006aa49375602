//! Why: an order rule by rule, a balance by what it is made of.

use crate::print::{Column, Printer, minute, points, right, text};
use serde_json::Value;

const RULES: [Column; 6] = [
    text("rule", "/rule"),
    right("points", "/points"),
    text("because", "/because"),
    text("key", "/key"),
    text("wanted", "/wanted"),
    text("is", "/found"),
];
const LINES: [Column; 5] = [
    text("line", "/line_id"),
    text("sku", "/sku"),
    right("value", "/value"),
    text("", "/because"),
    text("asked for by", "/rules"),
];
const ACHIEVEMENTS: [Column; 3] = [text("achievement", "/achievement"), right("points", "/points"), text("because", "/because")];
const ENTRIES: [Column; 7] = [
    right("entry", "/entry"),
    text("when", "/at").instant(),
    text("what", "/kind"),
    text("ledger", "/ledger"),
    right("points", "/points"),
    right("active", "/active_after"),
    text("why", "/why"),
];

fn of<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// An order: what counts of it, what each rule made of that, and every entry it led to.
pub fn order(answer: &Value, printer: &Printer) -> String {
    let style = printer.style;
    let mut page = format!(
        "{}  {}\n",
        style.bold(&format!("order {}", of(answer, "order_id"))),
        style.dim(&format!("version {}", answer["version"]))
    );
    if of(answer, "occurred_at").is_empty() {
        return page + "has not come yet: what is known of it waits for it\n";
    }
    page += &format!("placed {} UTC; {} of it is eligible now\n", minute(of(answer, "occurred_at")), of(answer, "eligible"));
    page += &style.dim(&format!(
        "judged by ruleset {} in {}\n",
        of(answer, "ruleset").chars().take(16).collect::<String>(),
        of(answer, "time_zone")
    ));
    for line in list(answer, "standing").iter().filter_map(Value::as_str) {
        page += &format!("{line}\n");
    }
    for refund in list(answer, "refunds").iter().filter_map(Value::as_str) {
        page += &format!("given back: {refund}\n");
    }
    let parts: [(&str, &str, &[Column]); 3] =
        [("Rules", "rules", &RULES), ("Achievements", "achievements", &ACHIEVEMENTS), ("Lines", "lines", &LINES)];
    for (title, name, columns) in parts.into_iter().filter(|(_, name, _)| !list(answer, name).is_empty()) {
        page += &format!("\n{}\n{}\n", style.bold(title), printer.table(list(answer, name), columns));
    }
    page + &format!("\n{}\n{}\n", style.bold("Entries"), printer.table(list(answer, "entries"), &ENTRIES))
}

/// Every number of a member, and the entries that it is the sum of.
pub fn balance(answer: &Value, entries: &[Value], printer: &Printer) -> String {
    let style = printer.style;
    let mut page = format!(
        "{}  {}\n",
        style.bold(&format!("{}/{}", of(answer, "program"), of(answer, "member"))),
        style.dim(&format!("as of {} UTC", minute(of(answer, "as_of"))))
    );
    for (ledger, balance) in answer["balance"].as_object().into_iter().flatten() {
        let of_ledger: Vec<&Value> = entries.iter().filter(|entry| entry["ledger"] == *ledger).collect();
        page += &format!("\n{}\n", style.bold(ledger));
        for number in NUMBERS {
            page += &made_of(number, balance, &of_ledger);
        }
    }
    page += &style.dim(&format!(
        "\n{} entries; `accrue entries` has all of them; `accrue explain … --number active`, `--entry N`, `--lot N` or `--order ID` goes further\n",
        entries.len()
    ));
    page
}

/// A number, and the kinds of entries that raise (+1) or lower (−1) it.
struct Number {
    name: &'static str,
    kinds: &'static [(&'static str, i64)],
}

/// Of numbers without kinds only the value is shown.
const NUMBERS: [Number; 6] = [
    Number { name: "earned", kinds: &[("earned", 1), ("imported", 1)] },
    Number { name: "spent", kinds: &[("spent", -1), ("restored", -1)] },
    Number { name: "expired", kinds: &[("expired", -1)] },
    Number { name: "cancelled", kinds: &[("cancelled", -1)] },
    Number { name: "clawed_back", kinds: &[("clawed_back", -1)] },
    Number { name: "debt", kinds: &[("debt_opened", 1), ("debt_repaid", 1)] },
];

fn made_of(number: Number, balance: &Value, entries: &[&Value]) -> String {
    let value = balance[number.name].as_i64().unwrap_or_default();
    let mut line = format!("  {:<12} {:>12}", number.name.replace('_', " "), points(value));
    let mut parts = Vec::new();
    let positive = entries.iter().filter(|entry| entry["kind"] == "adjusted" && entry["points"].as_i64() > Some(0));
    let kinds = number.kinds.iter().map(|(kind, sign)| {
        let of_kind: Vec<i64> =
            entries.iter().filter(|entry| entry["kind"] == **kind).filter_map(|entry| entry["points"].as_i64()).collect();
        (*kind, of_kind.len(), sign * of_kind.iter().sum::<i64>())
    });
    let adjusted: Vec<i64> = positive.filter_map(|entry| entry["points"].as_i64()).collect();
    let adjusted = (number.name == "earned").then(|| ("adjusted", adjusted.len(), adjusted.iter().sum::<i64>()));
    for (kind, count, sum) in kinds.chain(adjusted).filter(|(_, count, _)| *count > 0) {
        parts.push(format!("{} in {count} × {kind}", points(sum)));
    }
    if !parts.is_empty() {
        line += &format!("   = {}", parts.join(", "));
    }
    line + "\n"
}
