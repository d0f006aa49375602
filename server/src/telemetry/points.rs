//! Points and members of all programs, counted now and then: everybody has to be looked at.

use super::{MEMBERS, POINTS, POINTS_AGE, Stopwatch};
use crate::readers::{Open, Readers};
use accrue_ingest::Clock;
use accrue_ledger::Sums;
use accrue_projections::{Outstanding, ProjectionError};
use metrics::gauge;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Counted at most so often.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// So long somebody who asks waits for the count; later they get the one before.
const COUNT_WAIT: Duration = Duration::from_secs(1);

/// The last count. One thread counts at a time, and only while somebody asks.
#[derive(Clone, Debug, Default)]
pub struct PointsCount(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    counting: bool,
    last: Option<Stopwatch>,
    /// What was set: a program that is gone from here has nothing here.
    set: BTreeSet<(String, String)>,
}

type Programs = BTreeMap<String, Outstanding>;

impl PointsCount {
    /// Counts again if that is due, and says how old the count is.
    pub fn look(&self, readers: &Readers) {
        let mut state = self.0.state.lock();
        if !state.counting && state.last.is_none_or(|last| last.elapsed() >= COUNT_EVERY) {
            let (count, readers) = (self.clone(), readers.clone());
            let thread = std::thread::Builder::new().name("points".to_owned()).spawn(move || count.count(&readers));
            match thread {
                Ok(_) => state.counting = true,
                Err(error) => tracing::warn!(%error, "can't start a thread that counts points"),
            }
        }
        if state.counting {
            self.0.ended.wait_for(&mut state, COUNT_WAIT);
        }
        if let Some(last) = state.last {
            gauge!(POINTS_AGE).set(last.elapsed());
        }
    }

    fn count(&self, readers: &Readers) {
        let counted = programs(readers);
        let mut state = self.0.state.lock();
        match counted {
            Ok(programs) => {
                let gone: Vec<_> = std::mem::take(&mut state.set).into_iter().collect();
                gone.iter().for_each(|(program, ledger)| set(program, ledger, &Sums::default()));
                for (program, of) in &programs {
                    gauge!(MEMBERS, "program" => program.clone()).set(of.members as f64);
                    for (ledger, sums) in &of.ledgers {
                        set(program, ledger, sums);
                        state.set.insert((program.clone(), ledger.clone()));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "points can't be counted"),
        }
        (state.counting, state.last) = (false, Some(Stopwatch::start()));
        self.0.ended.notify_all();
    }
}

fn set(program: &str, ledger: &str, sums: &Sums) {
    for (status, points) in [("active", sums.active), ("pending", sums.pending), ("debt", sums.debt)] {
        gauge!(POINTS, "program" => program.to_owned(), "ledger" => ledger.to_owned(), "status" => status).set(points as f64);
    }
}

fn programs(readers: &Readers) -> Result<Programs, ProjectionError> {
    let now = Clock::system().now();
    let mut programs = Programs::new();
    for Open { reader, .. } in readers.all() {
        for program in reader.programs() {
            let of_shard = reader.outstanding(&program, now)?;
            let sum = programs.entry(program).or_default();
            sum.members += of_shard.members;
            for (ledger, sums) in of_shard.ledgers {
                let all = sum.ledgers.entry(ledger).or_default();
                all.active += sums.active;
                all.pending += sums.pending;
                all.debt += sums.debt;
            }
        }
    }
    Ok(programs)
}
