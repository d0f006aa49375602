//! A member as it is beside what it would be.

use crate::print::{Column, Printer, minute, right, text};
use serde_json::Value;

const NUMBERS: [Column; 4] = [text("", "/what"), right("is", "/before"), right("would be", "/after"), right("by", "/delta")];
const LOTS: [Column; 6] = [
    text("ledger", "/ledger"),
    text("from", "/source"),
    text("rule", "/rule"),
    text("ends", "/expires_at").instant(),
    right("is", "/before"),
    right("would be", "/after"),
];
const COUPONS: [Column; 3] = [text("coupon", "/code"), text("is", "/before"), text("would be", "/after")];
const SHORTFALLS: [Column; 4] =
    [text("promised by", "/source_kind"), text("", "/source"), right("owed", "/before"), right("would be owed", "/after")];
const ENTRIES: [Column; 5] = [
    text("when", "/at").instant(),
    text("what", "/kind"),
    text("ledger", "/ledger"),
    right("points", "/points"),
    text("why", "/why"),
];
/// Entries of a side that are shown.
const ENTRIES_SHOWN: usize = 15;

/// The page.
pub fn what_if(answer: &Value, printer: &Printer) -> String {
    let style = printer.style;
    let word = |name: &str| answer[name].as_str().unwrap_or_default();
    let rows = |name: &str| answer[name].as_array().map_or(&[][..], Vec::as_slice);
    let mut page = format!(
        "{}  {}\n",
        style.bold(&format!("{}/{}", word("program"), word("member"))),
        style.dim(&format!("as of {} UTC; nothing is written", minute(word("as_of"))))
    );
    for line in rows("otherwise").iter().filter_map(Value::as_str) {
        page += &format!("  {line}\n");
    }
    let parts: [(&str, &str, &[Column]); 4] = [
        ("numbers", "Numbers", &NUMBERS),
        ("lots", "Lots", &LOTS),
        ("coupons", "Coupons", &COUPONS),
        ("shortfalls", "Promised, and not covered", &SHORTFALLS),
    ];
    let mut differs = false;
    for (name, title, columns) in parts.into_iter().filter(|(name, ..)| !rows(name).is_empty()) {
        differs = true;
        let title = if name == "shortfalls" { style.red(title) } else { style.bold(title) };
        page += &format!("\n{title}\n{}\n", printer.table(rows(name), columns));
    }
    for (name, title) in [("entries_gone", "Entries that would not be"), ("entries_new", "Entries that would be")] {
        let all = rows(name);
        if all.is_empty() {
            continue;
        }
        differs = true;
        let shown = all.get(..ENTRIES_SHOWN).unwrap_or(all);
        page += &format!("\n{}\n{}\n", style.bold(title), printer.table(shown, &ENTRIES));
        if all.len() > shown.len() {
            page += &style.dim(&format!("… and {} more, --output json has all\n", all.len() - shown.len()));
        }
    }
    if !differs {
        page += "\nnothing would differ\n";
    }
    page
}
