//! Why: an order rule by rule, a number as a tree.

use super::{find, no_member, value};
use crate::problem::Problem;
use crate::question::OfMember;
use crate::readers::Readers;
use accrue_ingest::original;
use accrue_ledger::Instant;
use accrue_projections::About;
use accrue_store::DeadStatus;
use serde_json::Value;

/// Letters read at a time.
const SCAN_ROWS: usize = 1_000;

pub(super) fn explained(readers: &Readers, of: &OfMember, order: &str, now: Instant) -> Result<Value, Problem> {
    let found = find(readers, of, |open| open.reader.explain_order(&of.program, &of.member, order, of.as_of, now))?;
    if let Some(found) = found {
        return value(&found);
    }
    let mut what = format!("there is no order {order} of member {} in program {}", of.member, of.program);
    if let Some(letter) = dead_letter(readers, of, order)? {
        what += &format!("; {letter}");
    }
    Err(Problem::not_found(what))
}

/// An open dead letter of the member that names the order.
fn dead_letter(readers: &Readers, of: &OfMember, order: &str) -> Result<Option<String>, Problem> {
    let wanted = serde_json::to_string(order).unwrap_or_default();
    let key = format!("{}/{}", of.program, of.member);
    for open in readers.of_member(&of.program, &of.member)? {
        let mut from = 1;
        loop {
            let letters = open.log.dead_letters(from, SCAN_ROWS)?;
            let Some(last) = letters.last() else { break };
            from = last.seq + 1;
            for row in letters.iter().filter(|row| row.status == DeadStatus::Open) {
                let message = original(&row.letter);
                let Some(bytes) = message.value else { continue };
                let text = String::from_utf8_lossy(bytes);
                let of_member = row.letter.key.as_deref() == Some(key.as_bytes()) || text.contains(&of.member);
                // JSON names it in quotes, protobuf as it is.
                if of_member
                    && (text.contains(&wanted) || (serde_json::from_str::<Value>(&text).is_err() && text.contains(order)))
                {
                    let (shard, letter) = (open.log.shard(), &row.letter);
                    let why = format!("{}: {}", letter.code, letter.detail);
                    return Ok(Some(format!("dead letter {shard}/{} names it, {why}", row.seq)));
                }
            }
        }
    }
    Ok(None)
}

pub(super) fn tree(readers: &Readers, of: &OfMember, about: &About, now: Instant) -> Result<Value, Problem> {
    let found = find(readers, of, |open| open.reader.explain(&of.program, &of.member, about, of.as_of, now))?;
    let Some(found) = found else { return Err(no_member(of)) };
    let what = match about {
        _ if !found.trees.is_empty() => return value(&found),
        About::Balance => return value(&found),
        About::Number { ledger, .. } => format!("ledger {ledger}"),
        About::Entry(number) => format!("entry {number}"),
        About::Lot(number) => format!("lot {number}"),
        About::Tier => "tier: the ruleset in force has none, or nothing counted yet".to_owned(),
        About::Coupon(code) => format!("coupon {code}"),
    };
    Err(Problem::not_found(format!("member {} has no {what}", of.member)))
}
