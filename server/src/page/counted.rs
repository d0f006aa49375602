//! What is counted of a member: how far achievements are, what of limits is used, and what a person must look at.

use super::When;
use crate::print::{Column, Printer, right, text};
use serde_json::{Value, json};

/// Rows of each that are shown; there can be hundreds of exceptions.
const SHOWN: usize = 12;
/// Width of a bar of progress, cells.
const CELLS: i128 = 12;

const ACHIEVEMENTS: [Column; 5] = [
    text("achievement", "/name"),
    text("", "/drawn"),
    right("so far", "/far"),
    text("status", "/status"),
    text("until", "/until"),
];
const BUDGETS: [Column; 5] =
    [text("limit of", "/id"), text("", "/drawn"), right("used", "/used"), right("of", "/limit"), text("again at", "/resets_at")];
const EXCEPTIONS: [Column; 5] = [
    text("exception", "/exception"),
    text("when", "/at"),
    text("about", "/about"),
    right("points", "/cost"),
    text("from", "/source"),
];

/// The sections that have rows, each with its title.
pub(super) fn sections(answer: &Value, when: &When, printer: &Printer) -> Vec<(&'static str, String, usize)> {
    let achievement = |row: &Value| {
        let of = |name: &str| row[name].as_str().unwrap_or_default();
        json!({
            "name": of("name"), "drawn": drawn(&of("progress").replace('.', ""), &of("target").replace('.', "")),
            "far": format!("{} of {}", of("progress"), of("target")), "status": of("status"), "until": ends(of("until"), when),
        })
    };
    let budget = |row: &Value| {
        let mut row = row.clone();
        row["drawn"] = json!(drawn(&row["used"].to_string(), &row["limit"].to_string()));
        let again = row["resets_at"].as_str().filter(|at| !at.is_empty()).map(|at| when.at(at));
        row["resets_at"] = json!(again.unwrap_or_default());
        row
    };
    let exception = |row: &Value| {
        let mut row = row.clone();
        row["at"] = json!(when.at(row["at"].as_str().unwrap_or_default()));
        row
    };
    let section = |title, name: &str, columns: &[Column], told: &dyn Fn(&Value) -> Value| {
        let all = answer[name].as_array().map_or(&[][..], Vec::as_slice);
        let rows: Vec<Value> = all.iter().take(SHOWN).map(told).collect();
        (!rows.is_empty()).then(|| (title, printer.table(&rows, columns), all.len() - rows.len()))
    };
    let sections = [
        section("Achievements", "achievements", &ACHIEVEMENTS, &achievement),
        section("Limits", "budgets", &BUDGETS, &budget),
        section("To look at", "open_exceptions", &EXCEPTIONS, &exception),
    ];
    sections.into_iter().flatten().collect()
}

fn ends(at: &str, when: &When) -> String {
    if at.is_empty() { String::new() } else { when.end(at) }
}

/// A bar: how much of `whole` `part` is. Both in the same unit.
fn drawn(part: &str, whole: &str) -> String {
    let number = |text: &str| text.parse::<i128>().unwrap_or(0);
    let full = (number(part) * CELLS / number(whole).max(1)).clamp(0, CELLS);
    (0..CELLS).map(|cell| if cell < full { '█' } else { '░' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part() {
        for (part, whole, full) in [("0", "3", 0), ("1", "3", 4), ("3", "3", 12), ("9", "3", 12), ("5000", "10000", 6)] {
            assert_eq!(drawn(part, whole).chars().filter(|cell| *cell == '█').count(), full, "{part} of {whole}");
        }
    }
}
