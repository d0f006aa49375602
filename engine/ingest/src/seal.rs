//! Personal data is sealed at the door: before anything of a message is written, booked or not (§11).

use crate::IngestError;
use crate::decode::Judged;
use accrue_store::ShardLog;

/// Facts with personal data in the bytes that are to be stored, by their place in the group; keys that are missing are made first.
///
/// # Errors
/// The keys can't be read or made.
pub(crate) fn personal(log: &ShardLog, judged: &[Judged<'_>]) -> Result<Vec<(usize, Vec<u8>)>, IngestError> {
    let wanted = judged.iter().enumerate().filter_map(|(index, judged)| match judged {
        Judged::Fact(fact, bytes) if fact.kind.is_personal() => Some((index, *bytes)),
        _ => None,
    });
    let (places, bytes): (Vec<usize>, Vec<&[u8]>) = wanted.unzip();
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let sealed = log.vault()?.seal(&bytes)?;
    Ok(places.into_iter().zip(sealed).filter_map(|(index, sealed)| Some((index, sealed?))).collect())
}
