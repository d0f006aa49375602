//! Who was in which tier of a program, and the moves between them.

use super::past::Past;
use super::program::known;
use super::value;
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_projections::{LedgerReader, TierMoves};
use serde_json::{Value, json};

pub(super) fn moves(readers: &Readers, program: &str, past: &Past<'_>) -> Result<Value, Problem> {
    known(readers, program)?;
    let at = past.at();
    let (mut moves, mut names) = (TierMoves::default(), Vec::new());
    for open in readers.ready()? {
        if let Some(tiers) = open.reader.timeline(program).and_then(|rules| rules.at(at)?.tiers.clone()) {
            names = tiers.list.iter().map(|tier| (tier.id.to_string(), tier.name.to_string())).collect();
        }
        moves.add(past.ask(&open, program, |reader| reader.moves_between_tiers(program, at), LedgerReader::tier_moves_then)?);
    }
    if names.is_empty() {
        return Err(Problem::not_found(format!("program {program} has no tiers at {at}")));
    }
    // Tiers of today in their order, then those that are no more.
    let gone: Vec<&String> = moves.ever.keys().filter(|tier| !names.iter().any(|(id, _)| id == *tier)).collect();
    names.extend(gone.into_iter().map(|tier| (tier.clone(), tier.clone())));
    let count = |counts: &std::collections::BTreeMap<String, u64>, tier: &str| counts.get(tier).copied().unwrap_or(0);
    let tiers: Vec<Value> = names
        .iter()
        .map(|(id, name)| json!({ "tier": id, "name": name, "ever": count(&moves.ever, id), "now": count(&moves.now, id) }))
        .collect();
    let months: Vec<Value> =
        moves.months.iter().map(|(month, (up, down))| json!({ "month": month, "up": up, "down": down })).collect();
    let mut lowered = Vec::new();
    for fall in &moves.lowered {
        let mut row = value(&fall.change)?;
        row["member"] = json!(fall.member);
        lowered.push(row);
    }
    Ok(json!({
        "program": program, "members": moves.members,
        "tiers": tiers, "months": months, "lowered_by_refunds": lowered,
    }))
}
