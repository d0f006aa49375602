//! A sweep whose outcome is kept round by round, so that one that ended in the middle goes on where it was.

use super::scatter::{Part, Plan};
use super::{Pace, Relatives, Sweep, on_threads};
use crate::error::ProjectionError;
use parking_lot::Mutex;
use std::path::Path;

/// One scan's share of all members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Its number, from 0.
    pub number: usize,
    /// Of so many.
    pub of: usize,
    /// Facts in it.
    pub facts: u64,
}

/// What becomes of the members of a round: each thread gathers some of them.
pub(crate) struct Rounds<'a, S, E, T, D> {
    /// Rounds that were kept before.
    pub skip: usize,
    /// How fast it may be.
    pub pace: &'a Pace,
    /// Where a file may be that the frames of many rounds are scattered into.
    pub dir: &'a Path,
    /// What a thread begins a round with; told how many facts all rounds have.
    pub start: S,
    /// Takes in members that belong together.
    pub each: E,
    /// Told the thread's number and what it has gathered.
    pub end: T,
    /// A round is over.
    pub done: D,
}

impl Sweep<'_> {
    /// Goes through all members as they were weighed, round by round.
    ///
    /// # Errors
    /// The log can't be read, or one of the functions failed.
    pub(crate) fn rounds<A: Send, B: Send, S, E, T, D>(
        &self,
        plan: &Plan,
        mut with: Rounds<'_, S, E, T, D>,
    ) -> Result<(), ProjectionError>
    where
        S: Fn(u64) -> A + Sync,
        E: Fn(&mut A, &mut Relatives<'_>) -> Result<(), ProjectionError> + Sync,
        T: Fn(usize, A) -> Result<B, ProjectionError> + Sync,
        D: FnMut(Round, Vec<B>) -> Result<(), ProjectionError>,
    {
        let (rounds, lanes) = (plan.rounds(), (0..self.options.threads.max(1)).collect::<Vec<usize>>());
        let spilled = self.spill(plan, rounds.get(with.skip..).unwrap_or_default(), (with.dir, with.pace));
        for (number, round) in rounds.iter().enumerate().skip(with.skip) {
            let parts = self.gather(plan, &spilled, (number - with.skip, round), with.pace)?;
            let facts = parts.iter().map(Part::facts).sum();
            let waiting = Mutex::new(parts);
            let (start, each, end) = (&with.start, &with.each, &with.end);
            let gathered = on_threads(&lanes, |lane| {
                let mut of_lane = start(plan.facts());
                loop {
                    let Some(part) = waiting.lock().pop() else { break };
                    part.each_family(self.across, |relatives| each(&mut of_lane, relatives))?;
                }
                end(*lane, of_lane)
            });
            let of = rounds.len();
            (with.done)(Round { number, of, facts }, gathered.into_iter().collect::<Result<_, _>>()?)?;
        }
        Ok(())
    }
}
