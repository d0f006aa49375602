//! Facts that follow for other members, straight to the writers of their shards.

use crate::batch::{Message, Reply};
use crate::forward::Carry;
use crate::writer::WriterHandle;
use crate::{IngestError, Outcome, Receipt};
use accrue_proto::{murmur2_partition, read_fact};
use crossbeam_channel::bounded;

pub(super) struct ToWriters {
    writers: Vec<WriterHandle>,
}

impl ToWriters {
    pub(super) fn new(writers: Vec<WriterHandle>) -> ToWriters {
        ToWriters { writers }
    }
}

impl Carry for ToWriters {
    fn carry(&mut self, facts: &[Vec<u8>]) -> Result<(), IngestError> {
        let shards = u32::try_from(self.writers.len()).unwrap_or(u32::MAX);
        let mut batches: Vec<_> = self.writers.iter().map(WriterHandle::batch).collect();
        for fact in facts {
            let key = read_fact(fact).map(|read| format!("{}/{}", read.program, read.member)).unwrap_or_default();
            let shard = murmur2_partition(key.as_bytes(), shards) as usize;
            batches[shard].push(&Message { value: Some(fact), key: Some(key.as_bytes()), ..Message::default() });
        }
        let (answer, answers) = bounded(self.writers.len());
        for (writer, mut batch) in self.writers.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            let answer = answer.clone();
            batch.reply_to(Reply::Receipts(Box::new(move |result| {
                // Nobody waits any more when another shard has failed.
                let _ = answer.send(result);
            })));
            writer.submit(batch)?;
        }
        drop(answer);
        for receipts in answers {
            receipts?.iter().for_each(tell_trouble);
        }
        Ok(())
    }
}

/// It is safe among the dead letters; people have to look.
fn tell_trouble(receipt: &Receipt) {
    let shard = receipt.shard;
    match &receipt.outcome {
        Outcome::Booked { .. } | Outcome::Duplicate { .. } => {}
        Outcome::Conflict { detail, dead_letter, .. } => {
            tracing::error!(shard, dead_letter, detail, "what followed from another member is a conflict");
        }
        Outcome::Refused { code, detail, dead_letter } => {
            tracing::error!(shard, dead_letter, code, detail, "what followed from another member was refused");
        }
    }
}
