//! Dead letters, sent again.

use crate::letter::{Original, original};
use crate::{Embedded, IngestError, Receipt};
use accrue_proto::{decode_message, read_fact};
use accrue_store::{DeadLetter, DeadStatus, ShardLog, StoreError};

/// Dead letters sent again at a time: more of them wait for these.
pub const REQUEUE_LETTERS_MAX: usize = 1_000;

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

/// Hands dead letters of a shard of the embedded log in again, many at once, and notes that they were; what became of
/// each, in order. What is still wrong with one becomes a new dead letter.
///
/// # Errors
/// No such letter: nothing was handed in of its thousand. Or the shard has stopped.
pub fn requeue_embedded(
    embedded: &Embedded,
    log: &ShardLog,
    numbers: &[u64],
    rekey: impl Fn(&DeadLetter) -> Rekey,
) -> Result<Vec<Receipt>, IngestError> {
    let mut receipts = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(REQUEUE_LETTERS_MAX) {
        let letters = letters(log, some)?;
        let mut publisher = embedded.publisher().with_receipts();
        for letter in &letters {
            let again = requeued(letter, rekey(letter));
            let mut message = again.original.message();
            message.key = again.key();
            publisher.push(&message)?;
        }
        publisher.flush()?;
        receipts.extend(std::iter::from_fn(|| publisher.receipt()).map(|(_, receipt)| receipt));
        log.set_dead_statuses(some, DeadStatus::Requeued)?;
    }
    Ok(receipts)
}

pub(crate) fn letters(log: &ShardLog, numbers: &[u64]) -> Result<Vec<DeadLetter>, StoreError> {
    let letter = |seq: &u64| {
        let missing = StoreError::NoDeadLetter { shard: log.shard(), seq: *seq };
        log.dead_letter(*seq)?.map(|row| row.letter).ok_or(missing)
    };
    numbers.iter().map(letter).collect()
}
