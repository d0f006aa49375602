//! Dead letters: what could not be booked, and why.

use crate::problem::Problem;
use crate::question::token;
use crate::readers::Readers;
use accrue_ingest::original;
use accrue_store::{DeadRow, DeadStatus};
use serde_json::{Map, Value, json};

/// Letters read at a time.
const SCAN_ROWS: usize = 1_000;

/// Letters of all shards behind one of them, by shard and number.
pub(super) fn page(readers: &Readers, after: (u32, u64), limit: usize, all: bool) -> Result<Value, Problem> {
    let mut rows: Vec<Value> = Vec::new();
    let mut last = after;
    for open in readers.all().into_iter().filter(|open| open.log.shard() >= after.0) {
        let shard = open.log.shard();
        let mut from = if shard == after.0 { after.1 + 1 } else { 1 };
        loop {
            let letters = open.log.dead_letters(from, SCAN_ROWS)?;
            let Some(end) = letters.last().map(|letter| letter.seq) else {
                break;
            };
            for letter in letters.iter().filter(|letter| all || letter.status == DeadStatus::Open) {
                if rows.len() == limit {
                    return Ok(json!({ "dead_letters": rows, "next_page_token": token(&format!("{}/{}", last.0, last.1)) }));
                }
                rows.push(Value::Object(letter_row(shard, letter)));
                last = (shard, letter.seq);
            }
            from = end + 1;
        }
    }
    Ok(json!({ "dead_letters": rows, "next_page_token": Value::Null }))
}

/// One letter, whole.
pub(super) fn one(readers: &Readers, shard: u32, seq: u64) -> Result<Value, Problem> {
    let missing = || Problem::not_found(format!("there is no dead letter {shard}/{seq}"));
    let open = readers.shard(shard).map_err(|_| missing())?;
    let letter = open.log.dead_letter(seq)?.ok_or_else(missing)?;
    let message = original(&letter.letter);
    let mut row = letter_row(shard, &letter);
    row.insert("sent_at_ms".into(), json!(message.timestamp_ms));
    let headers = message.headers.iter().map(|(name, value)| json!({ "name": name, "value": value.map(shown) }));
    row.insert("headers".into(), Value::Array(headers.collect()));
    row.insert("value".into(), json!(message.value.map(shown)));
    Ok(Value::Object(row))
}

/// What a list says of a letter.
pub fn letter_row(shard: u32, row: &DeadRow) -> Map<String, Value> {
    let letter = &row.letter;
    let mut object = Map::new();
    object.insert("letter".into(), json!(format!("{shard}/{}", row.seq)));
    object.insert("status".into(), json!(row.status.name()));
    object.insert("recorded_at".into(), json!(row.recorded_at.to_string()));
    object.insert("code".into(), json!(letter.code));
    object.insert("detail".into(), json!(letter.detail));
    object.insert("key".into(), json!(letter.key.as_deref().map(shown)));
    object.insert("topic".into(), json!(letter.topic));
    object.insert("partition".into(), json!(letter.partition));
    object.insert("offset".into(), json!(letter.offset));
    object.insert("first_position".into(), json!(letter.first_position.map(|position| position.0)));
    object
}

/// Bytes as text where they are, else in hex with `0x` before.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|letter| letter.is_control() && !letter.is_whitespace()) => text.to_owned(),
        _ => format!("0x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_what_they_are() {
        assert_eq!(
            (shown("ü\n{}".as_bytes()), shown(&[0, 255]), shown(b"")),
            ("ü\n{}".to_owned(), "0x00ff".to_owned(), String::new())
        );
    }
}
