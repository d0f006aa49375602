//! Dead letters, sent again.

use crate::letter::{Original, original};
use crate::{Embedded, IngestError, Receipt};
use accrue_proto::{decode_message, read_fact};
use accrue_store::{DeadLetter, DeadStatus, ShardLog, StoreError};

/// The key that a dead letter is sent again with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rekey {
    /// As it came.
    #[default]
    No,
    /// As its body says: for letters with the code `wrong_key`. Where the body says nothing, as it came.
    FromBody,
}

/// A dead letter's message with the key it is to have now.
pub struct Requeued<'a> {
    /// The message as it came.
    pub original: Original<'a>,
    key: Option<Vec<u8>>,
}

impl Requeued<'_> {
    /// The key to send it with.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref().or(self.original.key)
    }
}

/// The message of a dead letter, ready to be sent again.
pub fn requeued(letter: &DeadLetter, rekey: Rekey) -> Requeued<'_> {
    let original = original(letter);
    let key = match rekey {
        Rekey::No => None,
        Rekey::FromBody => key_of(&original),
    };
    Requeued { original, key }
}

fn key_of(original: &Original<'_>) -> Option<Vec<u8>> {
    let mut batch = crate::Batch::default();
    batch.push(&original.message());
    let record = batch.records().next()?;
    let decoded = decode_message(&record, original.value.unwrap_or_default(), original.timestamp_ms).ok()?;
    let fact = read_fact(&decoded.fact).ok()?;
    Some(format!("{}/{}", fact.program, fact.member).into_bytes())
}

/// Hands a dead letter of the embedded log in again and notes that it was. What is still wrong with it becomes a new
/// dead letter.
///
/// # Errors
/// No such letter, or the shard has stopped.
pub fn requeue_embedded(embedded: &Embedded, log: &ShardLog, seq: u64, rekey: Rekey) -> Result<Receipt, IngestError> {
    let row = log.dead_letter(seq)?.ok_or(StoreError::NoDeadLetter { shard: log.shard(), seq })?;
    let again = requeued(&row.letter, rekey);
    let mut message = again.original.message();
    message.key = again.key();
    let receipt = embedded.publish(&message)?;
    log.set_dead_status(seq, DeadStatus::Requeued)?;
    Ok(receipt)
}
