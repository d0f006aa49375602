//! Several shards and what goes between them, without threads: what arrives when is up to whoever drives it.

use super::StoryError;
use super::desk::{Delivered, Desk};
use crate::ledger::LedgerOptions;
use crate::reader::{AsOf, LedgerReader};
use accrue_ledger::Instant;
use accrue_proto::{murmur2_partition, read_fact};
use accrue_store::Position;
use std::path::Path;

/// Rounds after which what is carried will never come to an end.
const ROUNDS_MAX: usize = 500;

/// The desks of a store's shards.
pub struct Desks {
    desks: Vec<Desk>,
    /// Of each: what follows from the frames before it was carried.
    carried: Vec<Position>,
}

impl Desks {
    /// Opens a store of so many shards.
    ///
    /// # Errors
    /// The store can't be opened or read.
    pub fn open(dir: &Path, shards: u32, options: LedgerOptions) -> Result<Desks, StoryError> {
        let store = Desk::store_in(dir, shards)?;
        let desks: Vec<Desk> = (0..shards).map(|shard| Desk::of(&store, shard, options)).collect::<Result<_, _>>()?;
        let carried = desks.iter().map(|_| Position::FIRST).collect();
        Ok(Desks { desks, carried })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.desks.len()
    }

    /// One of them.
    pub fn desk(&mut self, shard: usize) -> &mut Desk {
        &mut self.desks[shard]
    }

    /// In which a member's facts come in.
    pub fn shard_of(&self, program: &str, member: &str) -> usize {
        let shards = u32::try_from(self.desks.len()).unwrap_or(1);
        murmur2_partition(format!("{program}/{member}").as_bytes(), shards) as usize
    }

    /// Takes in one fact or request (protobuf). What follows from it waits.
    ///
    /// # Errors
    /// The store fails.
    pub fn deliver(&mut self, fact: &[u8]) -> Result<Delivered, StoryError> {
        let shard = read_fact(fact).map_or(0, |read| self.shard_of(read.program, read.member));
        self.desks[shard].take_group(&[fact])?.pop().ok_or(StoryError::Closed)
    }

    /// Carries what follows from a shard's frames, in order; whether there was anything. Carried again, it is known where it comes.
    ///
    /// # Errors
    /// The store fails.
    pub fn carry(&mut self, shard: usize) -> Result<bool, StoryError> {
        let (from, end) = (self.carried[shard], self.desks[shard].next_position());
        let facts = self.desks[shard].leads_to(from)?;
        self.carried[shard] = end;
        facts.iter().try_for_each(|fact| self.deliver(fact).map(drop))?;
        Ok(!facts.is_empty())
    }

    /// Carries until nothing is on its way.
    ///
    /// # Errors
    /// The store fails.
    pub fn settle(&mut self) -> Result<(), StoryError> {
        for _ in 0..ROUNDS_MAX {
            let mut calm = true;
            for shard in 0..self.desks.len() {
                calm &= !self.carry(shard)?;
            }
            if calm {
                return Ok(());
            }
        }
        let from = |(desk, from): (&Desk, &Position)| desk.leads_to(*from);
        let carried = self.desks.iter().zip(&self.carried).map(from).collect::<Result<Vec<_>, _>>()?;
        let told = |fact: &Vec<u8>| read_fact(fact).map_or_else(|error| error.to_string(), |fact| format!("{fact:?}"));
        Err(StoryError::Restless(carried.iter().flatten().map(told).collect::<Vec<_>>().join("\n")))
    }

    /// As after a crash: what a shard has in memory is lost, and what followed from its last frames may be carried again.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn crash(&mut self, shard: usize, again_from: Position) -> Result<(), StoryError> {
        self.carried[shard] = self.carried[shard].min(again_from);
        self.desks[shard].reopen()
    }

    /// The reader of the one shard that answers for a member. `None`: nobody does.
    ///
    /// # Errors
    /// The store can't be read, or two of them answer.
    pub fn reader_for(&self, program: &str, member: &str, asked: AsOf, now: Instant) -> Result<Option<LedgerReader>, StoryError> {
        let mut found = None;
        let all: Vec<LedgerReader> = self.desks.iter().map(Desk::reader).collect::<Result<_, _>>()?;
        for reader in &all {
            let reader = reader.beside(&all);
            if reader.member(program, member, asked, now)?.is_some() && found.replace(reader).is_some() {
                return Err(StoryError::Twice(member.to_owned()));
            }
        }
        Ok(found)
    }
}
