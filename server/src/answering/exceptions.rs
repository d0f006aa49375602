//! Exceptions that wait for a person: all of a program, member by member.

use super::past::Past;
use super::value;
use crate::problem::Problem;
use crate::question::token;
use crate::readers::Readers;
use accrue_projections::{ExceptionAnswer, LedgerReader, ProjectionError, Sweeping};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Open exceptions of the members behind `after`, of at most `limit` members: those of one member are never on two pages.
pub(super) fn page(readers: &Readers, program: &str, after: &str, limit: usize, past: &Past<'_>) -> Result<Value, Problem> {
    let mut rows: Vec<ExceptionAnswer> = Vec::new();
    for open in readers.ready()? {
        // One more than wanted says whether there is another page.
        let most = limit.saturating_add(1);
        let present = |reader: &LedgerReader| reader.exceptions(program, after, most);
        let then = |reader: &LedgerReader, how: &Sweeping<'_>| first(reader, how, after, most);
        rows.extend(past.ask(&open, program, present, then)?);
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

/// Those of the first members of a past, behind `after`.
fn first(reader: &LedgerReader, how: &Sweeping<'_>, after: &str, most: usize) -> Result<Vec<ExceptionAnswer>, ProjectionError> {
    let mut rows: BTreeMap<String, Vec<ExceptionAnswer>> = BTreeMap::new();
    reader.exceptions_then(how, |row| {
        if *row.member > *after {
            rows.entry(row.member.clone()).or_default().push(row);
            if rows.len() > most {
                rows.pop_last();
            }
        }
    })?;
    Ok(rows.into_values().flatten().collect())
}
