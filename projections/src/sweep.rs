//! The whole log of a shard, member by member, under any rules: what is asked of everybody at once.
//!
//! The log has facts in the order in which they came. A first scan weighs them by member hash, and the members are cut into
//! parts of about the same size; then, as many parts at a time as memory is given, another scan scatters the frames into their
//! parts, and each part is sorted and folded by itself: everything a member needs is near. Where that takes many rounds, one scan
//! scatters all of them into files without names. All of it on all threads: nothing is shared between parts, and parts are handed
//! over in their order, so the outcome is the same on any number of them.

mod across;
mod pace;
mod relatives;
mod rounds;
mod scatter;
mod spill;

pub use across::Across;
pub use relatives::Relatives;

pub(crate) use pace::Pace;
pub(crate) use relatives::{Facts, Origin};
pub(crate) use rounds::{Round, Rounds};
pub(crate) use scatter::Plan;

use crate::error::ProjectionError;
use accrue_ledger::Instant;
use accrue_store::{Frame, Position, ShardLog};
use scatter::{Heap, Part, Weights};
use spill::{ROUNDS_MIN, Spilled, Spilling, has_room};
use std::ops::Range;
use std::path::Path;

/// What a sweep may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepOptions {
    /// Threads, from 1.
    pub threads: usize,
    /// Bytes of frames held at a time; the members of one 4,096th of all hashes are held together in any case.
    pub memory_bytes: usize,
}

impl Default for SweepOptions {
    /// All cores, a quarter of a gibibyte.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        SweepOptions { threads, memory_bytes: 256 * 1024 * 1024 }
    }
}

/// How far a sweep has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Facts folded.
    pub facts: u64,
    /// Of so many.
    pub of: u64,
}

/// A part of a log to go through.
pub struct Sweep<'a> {
    /// The log.
    pub log: &'a ShardLog,
    /// Frames at and after this are not looked at.
    pub until: Position,
    /// Nor those recorded later than this, by the engine's clock. `None`: all.
    pub recorded: Option<Instant>,
    /// What it may use.
    pub options: SweepOptions,
    /// Members whose facts are in other shards, too. `None`: this shard's are folded by themselves.
    pub across: Option<&'a Across>,
}

impl Sweep<'_> {
    /// Goes through all members. Each part begins with `start`, takes in its members one after the other with `each` (those that
    /// merges tie together at once), and is given to `done`, in the order of parts.
    ///
    /// # Errors
    /// The log can't be read, or `each` or `done` failed.
    pub fn run<A: Send>(
        &self,
        start: impl Fn() -> A + Sync,
        each: impl Fn(&mut A, &mut Relatives<'_>) -> Result<(), ProjectionError> + Sync,
        mut done: impl FnMut(A, Swept) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        let pace = Pace::new(None);
        let (plan, _) = self.plan(&pace, |(), _| Ok(()))?;
        let mut swept = Swept { facts: 0, of: plan.facts() };
        let rounds = plan.rounds();
        let spilled = self.spill(&plan, &rounds, (self.log.path(), &pace));
        for (number, round) in rounds.iter().enumerate() {
            let parts = self.gather(&plan, &spilled, (number, round), &pace)?;
            for wave in parts.chunks(self.options.threads.max(1)) {
                let fold = |part: &Part<'_>| {
                    let mut of_part = start();
                    part.each_family(self.across, |relatives| each(&mut of_part, relatives)).map(|()| of_part)
                };
                for (part, folded) in wave.iter().zip(on_threads(wave, fold)) {
                    swept.facts += part.facts();
                    done(folded?, swept)?;
                }
            }
        }
        Ok(())
    }

    /// Weighs the members, on all threads. `also` sees every frame of a slice of the log; what it gathered comes in their order.
    ///
    /// # Errors
    /// The log can't be read, or `also` failed.
    pub(crate) fn plan<A: Default + Send>(
        &self,
        pace: &Pace,
        also: impl Fn(&mut A, &Frame<'_>) -> Result<(), ProjectionError> + Sync,
    ) -> Result<(Plan, Vec<A>), ProjectionError> {
        let weigh = |slice: &Range<Position>| {
            let mut gathered = A::default();
            let weights = Weights::of((self.log, slice), (self.recorded, pace), |frame| also(&mut gathered, frame))?;
            Ok((weights, gathered))
        };
        let weighed: Result<Vec<_>, ProjectionError> = on_threads(&self.slices(self.until()), weigh).into_iter().collect();
        let (weights, gathered): (Vec<Weights>, Vec<A>) = weighed?.into_iter().unzip();
        Ok((Plan::of(&weights, self.options), gathered))
    }

    fn until(&self) -> Position {
        self.until.min(self.log.head().next_position)
    }

    /// The frames of a round, by part: out of files where they are in some, else by a scan.
    fn gather<'s>(
        &self,
        plan: &'s Plan,
        spilled: &[Spilled],
        (number, round): (usize, &Range<usize>),
        pace: &Pace,
    ) -> Result<Vec<Part<'s>>, ProjectionError> {
        if spilled.is_empty() {
            return self.scatter(plan, round, pace);
        }
        self.parts(plan, round, on_threads(spilled, |slice| slice.read(plan, spilled.len(), (number, round), pace)))
    }

    fn scatter<'s>(&self, plan: &'s Plan, round: &Range<usize>, pace: &Pace) -> Result<Vec<Part<'s>>, ProjectionError> {
        let slices = self.slices(self.until());
        let scattered = on_threads(&slices, |slice| plan.scatter(self.log, (slice, slices.len()), round, (self.recorded, pace)));
        self.parts(plan, round, scattered)
    }

    /// Scatters the frames of some rounds into files, one for each slice of the log. None: there are so few rounds, or there is so
    /// little room, that each round scans the log.
    fn spill(&self, plan: &Plan, rounds: &[Range<usize>], (dir, pace): (&Path, &Pace)) -> Vec<Spilled> {
        if rounds.len() < ROUNDS_MIN || !has_room(dir, plan.bytes_of(rounds)) {
            return Vec::new();
        }
        let slices = self.slices(self.until());
        let spilling = Spilling { log: self.log, slices: slices.len(), rounds, recorded: self.recorded, pace, dir };
        let written = on_threads(&slices, |slice| Spilled::write(plan, spilling, slice)).into_iter();
        written.collect::<Result<_, _>>().unwrap_or_else(|error| {
            tracing::warn!(%error, "each round scans the log instead");
            Vec::new()
        })
    }

    /// The log, cut into one slice for each thread.
    fn slices(&self, until: Position) -> Vec<Range<Position>> {
        let (first, last) = (Position::FIRST.0, until.0);
        let (threads, all) = (self.options.threads.max(1) as u64, last.saturating_sub(first));
        (0..threads)
            .map(|n| Position(first + all * n / threads)..Position(first + all * (n + 1) / threads))
            .filter(|slice| slice.start < slice.end)
            .collect()
    }

    /// The parts of a round, of what was scattered of each slice.
    fn parts<'s>(
        &self,
        plan: &'s Plan,
        round: &Range<usize>,
        scattered: Vec<Result<Vec<Heap>, ProjectionError>>,
    ) -> Result<Vec<Part<'s>>, ProjectionError> {
        let mut parts: Vec<Part<'s>> = round.clone().map(|number| Part::new(plan, self.log.shard(), number)).collect();
        for of_slice in scattered {
            for (part, heap) in parts.iter_mut().zip(of_slice?) {
                part.push(heap);
            }
        }
        Ok(parts)
    }
}

/// The same for each, on a thread of its own; results in order.
fn on_threads<T: Sync, R: Send>(of: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if let [one] = of {
        return vec![run(one)];
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = of.iter().map(|one| scope.spawn(|| run(one))).collect();
        let ended = running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect()
    })
}
