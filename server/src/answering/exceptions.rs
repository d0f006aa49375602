//! Exceptions that wait for a person: all of a program, member by member.

use super::value;
use crate::problem::Problem;
use crate::question::token;
use crate::readers::Readers;
use accrue_projections::ExceptionAnswer;
use serde_json::{Value, json};

/// Open exceptions of the members behind `after`, of at most `limit` members: those of one member are never on two pages.
pub(super) fn page(readers: &Readers, program: &str, after: &str, limit: usize) -> Result<Value, Problem> {
    let mut rows: Vec<ExceptionAnswer> = Vec::new();
    for open in readers.ready()? {
        // One more than wanted says whether there is another page.
        rows.extend(open.reader.exceptions(program, after, limit.saturating_add(1))?);
    }
    rows.sort_by(|a, b| (&a.member, &a.at).cmp(&(&b.member, &b.at)));
    let mut members = 0;
    let mut last: Option<&str> = None;
    let end = rows.iter().position(|row| {
        members += usize::from(last != Some(row.member.as_str()));
        last = Some(row.member.as_str());
        members > limit
    });
    let next = end.and_then(|end| rows.get(end.wrapping_sub(1))).map(|row| token(&row.member));
    rows.truncate(end.unwrap_or(usize::MAX));
    Ok(json!({ "program": program, "exceptions": value(&rows)?, "next_page_token": next }))
}
