//! Referrals on a member's page: the code, and what it brought.

use super::pairs::{Tone, pairs};
use crate::print::{Style, points};
use serde::Deserialize;
use serde_json::Value;

/// What the page needs of the answer.
#[derive(Deserialize)]
pub(super) struct Referrals {
    code: String,
    codes: Vec<Code>,
    visits: u32,
    joined: u32,
    pending: u32,
    completed: u32,
    reversed: u32,
    conversion_per_mille: Option<u32>,
    referred_by: Option<Referred>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
    state: String,
}

#[derive(Deserialize)]
struct Referred {
    code: String,
    member: String,
    state: String,
}

/// The numbers of an answer.
///
/// # Errors
/// The answer has another form than this version knows.
pub fn referrals(answer: &Value, style: Style) -> Result<String, serde_json::Error> {
    Ok(lines(&Referrals::deserialize(answer)?, style))
}

pub(super) fn lines(of: &Referrals, style: Style) -> String {
    let plain = |name: &'static str, value: String| Some((name, value, Tone::Plain));
    let count = |name, number: u32| plain(name, points(i64::from(number)));
    // 12 of 1,000 is 1.2 %.
    let conversion = of.conversion_per_mille.map_or_else(|| "-".to_owned(), |per| format!("{}.{} %", per / 10, per % 10));
    let rows = [
        [count("visits", of.visits), count("joined", of.joined)],
        [count("pending", of.pending), count("completed", of.completed)],
        [count("reversed", of.reversed), plain("conversion", conversion)],
    ];
    let code = if of.code.is_empty() { String::new() } else { format!(" by {}", of.code) };
    let mut lines = format!("{}\n{}", style.bold(&format!("Referrals{code}")), pairs(&rows, style));
    for code in of.codes.iter().filter(|code| code.state != "held") {
        lines += &format!("code {}: {}\n", code.code, code.state);
    }
    if let Some(by) = &of.referred_by {
        let whose = if by.member.is_empty() { String::new() } else { format!(" of {}", by.member) };
        lines += &format!("came by code {}{whose} ({})\n", by.code, by.state);
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_what_is_not_as_wished() {
        let answer = json!({
            "code": "ann", "codes": [{ "code": "ann", "state": "held" }, { "code": "tea", "state": "taken" }],
            "visits": 83, "joined": 3, "pending": 1, "completed": 1, "reversed": 0, "conversion_per_mille": 12,
            "referred_by": { "code": "eve", "member": "e1", "state": "joined" },
        });
        let told = referrals(&answer, Style::plain()).expect("an answer");
        for part in ["Referrals by ann", "1.2 %", "code tea: taken", "came by code eve of e1 (joined)"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("code ann: held"), "{told}");
    }
}
