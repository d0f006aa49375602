//! All members of a shard, each with its state, its records and its entries, as of an instant, under any rules: what exports,
//! replays and reports are made of.

use crate::error::ProjectionError;
use crate::sweep::{Relatives, Sweep, Swept};
use accrue_ledger::{Entry, Instant, Member, Records, Timeline};
use std::collections::BTreeMap;

/// Whom to fold, under which rules, until when.
#[derive(Clone, Copy, Debug)]
pub struct Folding<'a> {
    /// The rules of each program that is asked for.
    pub rules: &'a BTreeMap<String, Timeline>,
    /// Only this member.
    pub member: Option<&'a str>,
    /// Only families from this hash on: what comes before was seen already.
    pub from_hash: u64,
    /// What happened by itself until then is in it, what happened later is not.
    pub at: Instant,
}

/// A member, folded.
pub struct Folded<'a> {
    /// Its place in the order of members: first by this hash, then by program and id.
    pub hash: u64,
    /// Its program.
    pub program: &'a str,
    /// Its id.
    pub member: &'a str,
    /// The program's rules.
    pub rules: &'a Timeline,
    /// As of when.
    pub at: Instant,
    /// What it has.
    pub state: Member,
    /// Its orders and redemptions.
    pub records: Records,
    /// All that changed a number, in order.
    pub entries: &'a [Entry],
}

impl Folding<'_> {
    /// Gives every member that is known then to `each`, in the order of hashes; aliases are part of their winners.
    ///
    /// # Errors
    /// The log can't be read, or `each` or `done` failed.
    pub fn run<A: Send>(
        &self,
        sweep: &Sweep<'_>,
        start: impl Fn() -> A + Sync,
        each: impl Fn(&mut A, &Folded<'_>) -> Result<(), ProjectionError> + Sync,
        done: impl FnMut(A, Swept) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        sweep.run(start, |of_part, relatives| self.family(relatives, |folded| each(of_part, folded)), done)
    }

    fn family(
        &self,
        relatives: &mut Relatives<'_>,
        mut each: impl FnMut(&Folded<'_>) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        let Some(rules) = self.rules.get(relatives.program).filter(|_| relatives.hash >= self.from_hash) else { return Ok(()) };
        let mut entries: Vec<Entry> = Vec::new();
        for member in relatives.members(self.at) {
            if self.member.is_some_and(|only| only != member) {
                continue;
            }
            entries.clear();
            let (state, records) = relatives.fold(&member, rules, self.at, &mut entries);
            // Of an alias in another shard than its winner's, nothing is left there but the tie.
            if state.known && state.winner().is_none() {
                let (hash, program, at) = (relatives.hash, relatives.program, self.at);
                each(&Folded { hash, program, member: &member, rules, at, state, records, entries: &entries })?;
            }
        }
        Ok(())
    }
}
