//! A number as a tree: what it is the sum of, line by line, and what became of it.

use crate::print::{Printer, Style, minute, points};
use accrue_ledger::currency::format_amount;
use serde_json::Value;

/// Parts of a number that are shown; the rest is one line.
const PARTS_SHOWN: usize = 12;
/// Parts are followed so deep.
const DEPTH_SHOWN: usize = 4;
/// Width of what is said beside the branches.
const WORDS: usize = 96;

struct Line {
    branch: String,
    what: String,
    number: String,
    beside: String,
    /// Lines of words below, each under its branch.
    because: Vec<(String, String)>,
}

fn list<'a>(node: &'a Value, name: &str) -> &'a [Value] {
    node[name].as_array().map_or(&[], Vec::as_slice)
}

/// Trees of a member, one a number.
pub fn trees(answer: &Value, printer: &Printer) -> String {
    let style = printer.style;
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let known = match &answer["as_known_at"] {
        Value::Null => String::new(),
        Value::String(at) => format!(", as known at {} UTC", minute(at)),
        position => format!(", as known at position {position}"),
    };
    let mut page = format!(
        "{}  {}\n",
        style.bold(&format!("{}/{}", text("program"), text("member"))),
        style.dim(&format!("as of {} UTC{known}; calendar of {}", minute(text("as_of")), text("time_zone")))
    );
    for tree in list(answer, "trees") {
        let mut lines = Vec::new();
        walk(tree, ["", ""], 0, &mut lines);
        page += &format!("\n{}", drawn(&lines, style));
    }
    page
}

fn walk(node: &Value, [branch, below]: [&str; 2], depth: usize, lines: &mut Vec<Line>) {
    let (parts, then) = (list(node, "parts"), list(node, "then"));
    let number = node["shown"].as_str().map_or_else(|| points(node["points"].as_i64().unwrap_or(0)), str::to_owned);
    let at = node["at"].as_str().map(minute);
    let entry = node["entry"].as_u64().map(|entry| format!("entry {entry}"));
    let under = if parts.is_empty() && then.is_empty() { format!("{below}    ") } else { format!("{below}│   ") };
    let because = list(node, "because").iter().filter_map(Value::as_str).flat_map(wrapped).map(|words| (under.clone(), words));
    lines.push(Line {
        branch: branch.to_owned(),
        what: node["what"].as_str().unwrap_or_default().to_owned(),
        number,
        beside: at.into_iter().chain(entry).collect::<Vec<_>>().join("  "),
        because: because.collect(),
    });
    if depth == DEPTH_SHOWN {
        return;
    }
    let shown = parts.len().min(PARTS_SHOWN);
    let (shown, rest) = parts.split_at(shown);
    let mut children: Vec<Value> = shown.to_vec();
    if !rest.is_empty() {
        let sum: i64 = rest.iter().filter_map(|part| part["points"].as_i64()).sum();
        let what = format!("… {} more, --output json has all", rest.len());
        let decimals = rest
            .iter()
            .find_map(|part| part["shown"].as_str())
            .map(|shown| shown.split_once('.').map_or(0, |(_, cents)| cents.len()));
        let shown = decimals.map(|decimals| format_amount(sum, decimals as u32));
        children.push(serde_json::json!({ "what": what, "points": sum, "shown": shown }));
    }
    for (number, child) in (1..).zip(&children) {
        let last = number == children.len() && then.is_empty();
        let (here, next) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        walk(child, [&format!("{below}{here}"), &format!("{below}{next}")], depth + 1, lines);
    }
    for (number, child) in (1..).zip(then) {
        let (here, next) = if number == then.len() { ("└╴ ", "   ") } else { ("├╴ ", "│  ") };
        walk(child, [&format!("{below}{here}"), &format!("{below}{next}")], depth + 1, lines);
    }
}

/// Words in lines that are not too long.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < WORDS => *line += &format!(" {word}"),
            Some(_) => lines.push(format!("  {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn drawn(lines: &[Line], style: Style) -> String {
    let width = |line: &Line| line.branch.chars().count() + line.what.chars().count();
    let words = lines.iter().map(width).max().unwrap_or(0);
    let digits = lines.iter().map(|line| line.number.chars().count()).max().unwrap_or(0);
    let mut page = String::new();
    for (number, line) in lines.iter().enumerate() {
        let pad = " ".repeat(words - width(line));
        let what = if number == 0 { style.bold(&line.what) } else { line.what.clone() };
        let shown = format!("{:>digits$}", line.number);
        let shown = if line.number.starts_with(['-', '−']) { style.red(&shown) } else { style.green(&shown) };
        page += &format!("{}{what}{pad}  {shown}  {}", style.dim(&line.branch), style.dim(&line.beside));
        page.truncate(page.trim_end().len());
        page.push('\n');
        for (under, words) in &line.because {
            page += &format!("{}\n", style.dim(&format!("{under}{words}")));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_stand_below_their_sum_and_numbers_in_a_column() {
        let tree = json!({ "what": "main active", "points": 70, "parts": [
            { "what": "lot 0", "points": 70, "because": ["100 at first"], "parts": [
                { "what": "earned", "points": 100, "entry": 0, "at": "2024-01-02T03:04:05Z" },
                { "what": "spent", "points": -30 },
            ], "then": [{ "what": "later", "points": 5 }] },
        ] });
        let mut lines = Vec::new();
        walk(&tree, ["", ""], 0, &mut lines);
        let expected = "main active    70\n└─ lot 0       70\n   │   100 at first\n   ├─ earned  100  2024-01-02 03:04  entry 0\n   ├─ spent   -30\n   └╴ later     5\n";
        assert_eq!(drawn(&lines, Style::plain()), expected);
    }
}
