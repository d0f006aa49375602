//! Personal data is sealed at the door: before anything of a message is written, booked or not (§11).

use crate::IngestError;
use crate::decode::Judged;
use accrue_ledger::{Body, Kind};
use accrue_store::ShardLog;

/// Facts with personal data in the bytes that are to be stored, by their place in the group; keys that are missing are made first.
///
/// # Errors
/// The keys can't be read or made.
pub(crate) fn personal(log: &ShardLog, judged: &[Judged<'_>]) -> Result<Vec<(usize, Vec<u8>)>, IngestError> {
    let facts = judged.iter().enumerate().filter_map(|(index, judged)| match judged {
        Judged::Fact(fact, bytes) if fact.kind.is_personal() || fact.kind == Kind::MemberRegistered => {
            Some((index, fact, *bytes))
        }
        _ => None,
    });
    let mut wanted: Vec<(usize, &[u8])> = Vec::new();
    for (index, fact, bytes) in facts {
        if matches!(fact.body, Body::MemberRegistered { .. }) {
            if let Some(vault) = log.vault_if_any()? {
                vault.begin_again(fact.program, fact.member, fact.occurred_at)?;
            }
        } else {
            wanted.push((index, bytes));
        }
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let bytes: Vec<&[u8]> = wanted.iter().map(|(_, bytes)| *bytes).collect();
    let sealed = log.vault()?.seal(&bytes)?;
    Ok(wanted.into_iter().zip(sealed).filter_map(|((index, _), sealed)| Some((index, sealed?))).collect())
}
