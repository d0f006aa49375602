//! Building a generation from the log: round by round all members whom no merge names, then the others, then what came meanwhile.
//!
//! A round that was kept is not done again; one that was not is, and gives the same rows. The view says that it is true at no
//! position before everything is in it.

use super::apart::Apart;
use super::manifest::{Manifest, Stage, Supposed};
use super::{Gauge, Point};
use crate::error::ProjectionError;
use crate::filter::{FILTER_BYTES, Filter};
use crate::ledger::{Fresh, Ledger, LedgerOptions};
use crate::programs::Programs;
use crate::sweep::{Facts, Pace, Plan, Relatives, Round, Rounds, Sweep, SweepOptions};
use crate::totals::Totals;
use accrue_ledger::Instant;
use accrue_store::{Frame, Position, ShardLog, Store, View};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Facts between two reports of a thread.
const FACTS_PER_REPORT: usize = 1_000;

/// What a build may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildOptions {
    /// Threads, from 1.
    pub threads: usize,
    /// Memory for facts and what they lead to, bytes.
    pub memory_bytes: usize,
    /// Bytes of the log read and of rows written in a second; `None`: as fast as it goes.
    pub io_bytes_per_second: Option<u64>,
}

impl Default for BuildOptions {
    /// All cores, a quarter of a gibibyte, no bound of input and output.
    fn default() -> Self {
        let SweepOptions { threads, memory_bytes } = SweepOptions::default();
        BuildOptions { threads, memory_bytes, io_bytes_per_second: None }
    }
}

/// Gives out a number once.
static NUMBERS: Mutex<()> = Mutex::new(());

/// Makes the directory of a new generation, and writes down what it is to be. `number`: this one, which has to be free; `None`: the
/// next.
pub(crate) fn next_number(
    store: &Store,
    shard: u32,
    number: Option<u32>,
    manifest: &Manifest,
) -> Result<(u32, View), ProjectionError> {
    let _one_at_a_time = NUMBERS.lock();
    let live = store.shard(shard)?.live_generation();
    let next = store.generations(shard)?.last().copied().unwrap_or(0).max(live) + 1;
    let number = number.unwrap_or(next);
    if number < next {
        return Err(ProjectionError::Generation { detail: format!("generation {number} has been begun meanwhile: ask again") });
    }
    let view = store.view(shard, number)?;
    manifest.write(&view)?;
    Point::Begun.reached();
    Ok((number, view))
}

/// Removes what nobody goes on with: what was to be dropped, what a writer was building for itself, what has no name.
pub(crate) fn remove_left_over(store: &Store, shard: u32) -> Result<(), ProjectionError> {
    let live = store.shard(shard)?.live_generation();
    for number in store.generations(shard)?.into_iter().filter(|number| *number != live) {
        let manifest = match store.view(shard, number) {
            Ok(view) => Manifest::read(&view)?,
            Err(error) => {
                tracing::warn!(shard, generation = number, %error, "a generation can't be read: it is removed");
                None
            }
        };
        let wanted = manifest.is_some_and(|manifest| match manifest.stage {
            Stage::Building => !manifest.by_writer,
            Stage::Complete => true,
            Stage::Dropping => false,
        });
        if !wanted {
            store.drop_view(shard, number)?;
        }
    }
    Ok(())
}

/// A build of one shard.
pub(crate) struct Build<'a> {
    pub store: &'a Store,
    pub log: &'a ShardLog,
    pub view: View,
    pub ledger: LedgerOptions,
    pub gauge: &'a Gauge,
}

impl Build<'_> {
    /// Goes on until all rows are there. Does nothing where they are.
    ///
    /// # Errors
    /// The log can't be read, the view can't be written, or it was asked to end.
    pub fn run(&self) -> Result<(), ProjectionError> {
        let mut manifest = self.manifest()?;
        if manifest.stage == Stage::Complete {
            return Ok(());
        }
        let until = Position(manifest.until);
        if self.view.next_position()? < until || until <= Position::FIRST {
            let pace = Pace::new(manifest.options.io_bytes_per_second);
            let BuildOptions { threads, memory_bytes, .. } = manifest.options;
            let options = SweepOptions { threads, memory_bytes: of_facts(memory_bytes) };
            let sweep = Sweep { log: self.log, until, recorded: None, options, across: None };
            let (plan, seen) = sweep.plan(&pace, Apart::see)?;
            let apart = seen.into_iter().fold(Apart::default(), Apart::and);
            let programs = Arc::new(self.programs(&apart, manifest.what_if.as_ref())?);
            // Of rounds that were kept before it knows nothing.
            let known = Mutex::new(Filter::new(manifest.rounds == 0));
            self.rounds(&mut manifest, (&sweep, &plan), &pace, (&apart, &programs, &known))?;
            Point::BeforeApart.reached();
            self.apart(&manifest, &apart, programs, known.into_inner())?;
        }
        Point::AllWritten.reached();
        manifest.stage = Stage::Complete;
        manifest.set_totals(&Totals::default());
        manifest.write(&self.view)?;
        Point::Complete.reached();
        Ok(())
    }

    fn manifest(&self) -> Result<Manifest, ProjectionError> {
        let missing = || ProjectionError::Generation { detail: format!("nothing says what {} is", self.view.path().display()) };
        Manifest::read(&self.view)?.ok_or_else(missing)
    }

    fn programs(&self, apart: &Apart, what_if: Option<&Supposed>) -> Result<Programs, ProjectionError> {
        let activations: Vec<u64> = apart.activations.iter().map(|position| position.0).collect();
        let mut programs = Programs::load(self.log, &activations, self.store.coupon_secret())?;
        programs.suppose(what_if)?;
        Ok(programs)
    }

    fn rounds(
        &self,
        manifest: &mut Manifest,
        (sweep, plan): (&Sweep<'_>, &Plan),
        pace: &Pace,
        (apart, programs, known): (&Apart, &Programs, &Mutex<Filter>),
    ) -> Result<(), ProjectionError> {
        let (log, secret, gauge) = (self.log, self.store.coupon_secret(), self.gauge);
        let mut totals = manifest.totals();
        let skip = manifest.rounds;
        gauge.begin(manifest.facts, skip);
        let each = |lane: &mut Lane<'_>, relatives: &mut Relatives<'_>| {
            if gauge.is_stopped() {
                return Err(ProjectionError::Generation { detail: "it was stopped".to_owned() });
            }
            lane.take_in(relatives, apart, programs, gauge)
        };
        let end = |lane: usize, mut gathered: Lane<'_>| {
            gathered.report(gauge);
            gathered.fresh.write(&self.view, lane)?;
            gathered.fresh.tell(&mut known.lock());
            pace.take(gathered.fresh.memory());
            Ok((gathered.fresh.totals, gathered.fresh.latest))
        };
        let done = |round: Round, lanes: Vec<(Totals, Instant)>| {
            Point::RoundWritten.reached();
            for (of_lane, latest) in &lanes {
                totals.merge(of_lane);
                manifest.latest = manifest.latest.max(latest.0);
            }
            manifest.set_totals(&totals);
            (manifest.rounds, manifest.facts) = (round.number + 1, manifest.facts + round.facts);
            manifest.write(&self.view)?;
            gauge.round(round.number + 1, round.of);
            Point::RoundKept.reached();
            Ok(())
        };
        let start = |facts: u64| {
            gauge.set_of(facts);
            Lane { fresh: Fresh::new(log, secret), unreported: 0 }
        };
        sweep.rounds(plan, Rounds { skip, pace, dir: self.view.path(), start, each, end, done })
    }

    /// Applies what is left in the order of the log, and says at which position the view is true.
    fn apart(&self, manifest: &Manifest, apart: &Apart, programs: Arc<Programs>, known: Filter) -> Result<(), ProjectionError> {
        let until = Position(manifest.until);
        let mut ledger = Ledger::open_unfinished(self.store, (self.log, self.view.clone()), programs, self.ledger)?;
        ledger.begin_with(manifest.totals(), Instant(manifest.latest), known);
        if apart.is_empty() {
            ledger.apply_at(&apart.activations)?;
        } else {
            self.log.for_each_run(Position::FIRST, until, |frames| {
                let of_run: Vec<Frame<'_>> = frames.iter().filter(|frame| apart.takes(frame)).copied().collect();
                ledger.apply(&of_run)
            })?;
        }
        ledger.end_at(until)
    }
}

/// Memory for facts. The filter takes its part, and what facts lead to nearly twice as much as they do.
fn of_facts(memory_bytes: usize) -> usize {
    memory_bytes.saturating_sub(FILTER_BYTES).max(memory_bytes / 4) / 20 * 7
}

/// What a thread gathers in a round.
struct Lane<'a> {
    fresh: Fresh<'a>,
    unreported: usize,
}

impl Lane<'_> {
    fn take_in(
        &mut self,
        relatives: &mut Relatives<'_>,
        apart: &Apart,
        programs: &Programs,
        gauge: &Gauge,
    ) -> Result<(), ProjectionError> {
        let program = relatives.program;
        let (booked, origins) = relatives.take();
        self.unreported += booked.len();
        if self.unreported >= FACTS_PER_REPORT {
            self.report(gauge);
        }
        let Some(rules) = programs.get(program).map(|program| &program.timeline) else { return Ok(()) };
        let mut rest = (booked, origins);
        while let Some(member) = rest.0.first().map(|booked| booked.fact.member) {
            let ((mut booked, origins), others) = split_off_others(rest, member);
            rest = others;
            if !apart.has(program, member) {
                self.fresh.take_in((program, member, rules), &mut booked, &origins)?;
            }
        }
        Ok(())
    }

    fn report(&mut self, gauge: &Gauge) {
        gauge.folded(std::mem::take(&mut self.unreported));
    }
}

/// Those of a member, and those of others: two whose names have the same hash come together.
fn split_off_others<'a>((booked, origins): Facts<'a>, member: &str) -> (Facts<'a>, Facts<'a>) {
    if booked.iter().all(|booked| booked.fact.member == member) {
        return ((booked, origins), Facts::default());
    }
    let (own, others): (Vec<_>, Vec<_>) = booked.into_iter().zip(origins).partition(|(booked, _)| booked.fact.member == member);
    (own.into_iter().unzip(), others.into_iter().unzip())
}
