//! Many messages into the embedded log: in batches, several on their way at once, answers in the order of asking.

use super::{Embedded, Route};
use crate::batch::{Batch, Message, Reply};
use crate::writer::GROUP_FACTS_MAX;
use crate::{Counts, IngestError, Receipt};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;

/// Batches of one shard on their way, at most.
const IN_FLIGHT_MAX: usize = 3;
/// Bytes of a batch, at most, unless one message has more.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Receipts that wait to be taken, at most: then [`Publisher::push`] is an error.
pub const RECEIPTS_PENDING_MAX: usize = 1_000_000;

type Answer = (u32, Vec<u64>, Result<Answered, IngestError>);

enum Answered {
    Counts(Counts),
    Receipts(Vec<Receipt>),
}

/// Hands messages in without waiting for each. What it was given is durable when [`Publisher::finish`] says so.
pub struct Publisher<'a> {
    embedded: &'a Embedded,
    lanes: Vec<Lane>,
    answers: Receiver<Answer>,
    answer: Sender<Answer>,
    counts: Counts,
    /// If wanted: one place for each message, from `first` on.
    receipts: Option<VecDeque<Place>>,
    first: u64,
    next: u64,
}

/// One shard's.
#[derive(Default)]
struct Lane {
    batch: Batch,
    numbers: Vec<u64>,
    in_flight: usize,
}

/// Where the receipt of a message goes.
struct Place {
    waits_for: u32,
    receipt: Option<Receipt>,
}

impl<'a> Publisher<'a> {
    pub(super) fn new(embedded: &'a Embedded) -> Publisher<'a> {
        let shards = embedded.writers.len();
        let (answer, answers) = bounded(shards * IN_FLIGHT_MAX);
        let mut lanes = Vec::new();
        lanes.resize_with(shards, Lane::default);
        Publisher { embedded, lanes, answers, answer, counts: Counts::default(), receipts: None, first: 0, next: 0 }
    }

    /// Keeps the receipts, for [`Publisher::receipt`].
    #[must_use]
    pub fn with_receipts(mut self) -> Self {
        self.receipts = Some(VecDeque::new());
        self
    }

    /// Adds a message; waits while too many are on their way. A key saves looking into the message for its shard.
    ///
    /// # Errors
    /// A shard has stopped, or a million receipts wait to be taken.
    pub fn push(&mut self, message: &Message<'_>) -> Result<(), IngestError> {
        if self.receipts.as_ref().is_some_and(|receipts| receipts.len() >= RECEIPTS_PENDING_MAX) {
            return Err(IngestError::Setting(format!(
                "{RECEIPTS_PENDING_MAX} receipts wait to be taken: take them as they come"
            )));
        }
        let targets = match self.embedded.route(message) {
            Route::One(shard) => shard as usize..shard as usize + 1,
            Route::All => 0..self.lanes.len(),
        };
        let number = self.next;
        self.next += 1;
        if let Some(receipts) = &mut self.receipts {
            receipts.push_back(Place { waits_for: targets.len() as u32, receipt: None });
        }
        for index in targets {
            let lane = &mut self.lanes[index];
            lane.batch.push(message);
            lane.numbers.push(number);
            if lane.batch.len() >= GROUP_FACTS_MAX || lane.batch.bytes() >= BATCH_BYTES_MAX {
                self.send(index)?;
            }
        }
        Ok(())
    }

    /// Sends everything that was pushed, and waits until it is durable.
    ///
    /// # Errors
    /// A shard has stopped: nothing is known of what was on its way.
    pub fn flush(&mut self) -> Result<(), IngestError> {
        for index in 0..self.lanes.len() {
            if !self.lanes[index].batch.is_empty() {
                self.send(index)?;
            }
        }
        while self.lanes.iter().any(|lane| lane.in_flight > 0) {
            self.take_answer()?;
        }
        Ok(())
    }

    /// The next receipt, in the order of pushing, if it is there. [`Publisher::flush`] brings all of them.
    pub fn receipt(&mut self) -> Option<(u64, Receipt)> {
        let receipts = self.receipts.as_mut()?;
        receipts.front().filter(|place| place.waits_for == 0)?;
        let number = self.first;
        self.first += 1;
        receipts.pop_front()?.receipt.map(|receipt| (number, receipt))
    }

    /// How many went which way so far: only what is durable. A control fact counts once a shard.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Flushes, and says how many went which way.
    ///
    /// # Errors
    /// As [`Publisher::flush`].
    pub fn finish(mut self) -> Result<Counts, IngestError> {
        self.flush()?;
        Ok(self.counts)
    }

    fn send(&mut self, index: usize) -> Result<(), IngestError> {
        while self.lanes[index].in_flight >= IN_FLIGHT_MAX {
            self.take_answer()?;
        }
        let shard = index as u32;
        let writer = self.embedded.writer(shard)?;
        let lane = &mut self.lanes[index];
        let mut batch = std::mem::replace(&mut lane.batch, writer.batch());
        let numbers = std::mem::take(&mut lane.numbers);
        let answer = self.answer.clone();
        batch.reply_to(match self.receipts {
            None => Reply::Counts(Box::new(move |result| {
                // If the publisher is gone, nobody counts.
                let _ = answer.send((shard, numbers, result.map(Answered::Counts)));
            })),
            Some(_) => Reply::Receipts(Box::new(move |result| {
                let _ = answer.send((shard, numbers, result.map(Answered::Receipts)));
            })),
        });
        lane.in_flight += 1;
        writer.submit(batch)
    }

    fn take_answer(&mut self) -> Result<(), IngestError> {
        // It holds a sender itself, so this waits for a batch, each of which is answered even when it is dropped.
        let Ok((shard, numbers, answered)) = self.answers.recv() else {
            return Ok(());
        };
        self.lanes[shard as usize].in_flight -= 1;
        match answered? {
            Answered::Counts(counts) => self.counts.add(&counts),
            Answered::Receipts(receipts) => {
                for (number, receipt) in numbers.into_iter().zip(receipts) {
                    self.counts.add(&receipt.outcome.counts());
                    self.place(number, receipt);
                }
            }
        }
        Ok(())
    }

    fn place(&mut self, number: u64, receipt: Receipt) {
        let index = usize::try_from(number - self.first).ok();
        let place = self.receipts.as_mut().zip(index).and_then(|(receipts, index)| receipts.get_mut(index));
        if let Some(place) = place {
            place.waits_for -= 1;
            let known = place.receipt.take();
            place.receipt = known.into_iter().chain([receipt]).max_by_key(|receipt| receipt.outcome.weight());
        }
    }
}
