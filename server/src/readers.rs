//! The shards that are open here, for reading.

use crate::problem::Problem;
use accrue_ingest::{MakeInline, OnShard, ShardEvent, ShardState, ShardStatus};
use accrue_projections::{Keeper, Ledger, LedgerOptions, LedgerReader, ProjectionError};
use accrue_proto::murmur2_partition;
use accrue_store::{Inline, ShardLog, Store};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A shard that is open.
#[derive(Clone)]
pub struct Open {
    /// Answers.
    pub reader: LedgerReader,
    /// The log below.
    pub log: ShardLog,
    /// Its writer's; `None`: nobody writes, or its writer is being opened.
    pub status: Option<Arc<ShardStatus>>,
    /// Its writer is being opened: the tail of the log is not in its views.
    pub opening: bool,
    /// Its generations; `None`: nobody asked for them yet.
    pub keeper: Option<Keeper>,
}

/// All of them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Readers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    shards: RwLock<BTreeMap<u32, Open>>,
    /// Over how many shards members are spread.
    spread: AtomicU32,
}

/// All that is here is all there is: look everywhere.
const ALL_HERE: u32 = 0;
/// Not known yet: what is not found here may be elsewhere.
const UNKNOWN: u32 = u32::MAX;

impl Readers {
    /// Makes the projection of a shard for its writer, and keeps a reader of it.
    pub fn make_inline(&self, options: LedgerOptions) -> MakeInline {
        let readers = self.clone();
        Arc::new(move |store: &Store, shard| {
            // Of a writer that ended: its generations are open no longer.
            readers.stop_keeper(shard);
            let ledger = Ledger::open(store, shard, options)?;
            let keeper = Keeper::open(store, ledger.reader(), options)?;
            let open =
                Open { reader: ledger.reader(), log: store.shard(shard)?, status: None, opening: true, keeper: Some(keeper) };
            readers.0.shards.write().insert(shard, open);
            Ok(Box::new(ledger) as Box<dyn Inline>)
        })
    }

    /// Follows what happens to shards.
    pub fn on_shard(&self) -> OnShard {
        let readers = self.clone();
        Arc::new(move |shard, event| match event {
            ShardEvent::Opened(writer) => {
                if let Some(open) = readers.0.shards.write().get_mut(&shard) {
                    open.status = Some(Arc::clone(writer.status()));
                    open.opening = false;
                }
            }
            ShardEvent::Closed => {
                readers.stop_keeper(shard);
                readers.0.shards.write().remove(&shard);
            }
        })
    }

    /// Adds a shard that nobody writes to.
    pub fn add(&self, reader: LedgerReader, log: ShardLog) {
        self.0.shards.write().insert(log.shard(), Open { reader, log, status: None, opening: false, keeper: None });
    }

    /// Goes on with generations that are not live, of shards that nobody writes to.
    ///
    /// # Errors
    /// One can't be read.
    pub fn keep(&self, store: &Store, options: LedgerOptions) -> Result<(), ProjectionError> {
        for open in self.0.shards.write().values_mut().filter(|open| open.keeper.is_none()) {
            open.keeper = Some(Keeper::open(store, open.reader.clone(), options)?);
        }
        Ok(())
    }

    /// Ends the threads of all generations.
    pub fn stop_keepers(&self) {
        let shards: Vec<u32> = self.0.shards.read().keys().copied().collect();
        shards.into_iter().for_each(|shard| self.stop_keeper(shard));
    }

    fn stop_keeper(&self, shard: u32) {
        let keeper = self.0.shards.write().get_mut(&shard).and_then(|open| open.keeper.take());
        // What is not written now is applied again.
        if let Some(Err(error)) = keeper.map(|keeper| keeper.stop()) {
            tracing::warn!(shard, %error, "a generation could not be written");
        }
    }

    /// The same shards, answering from a generation.
    ///
    /// # Errors
    /// A shard has none of that number, or it is not complete.
    pub fn in_generation(&self, generation: u32) -> Result<Readers, Problem> {
        let beside = Readers::default();
        beside.0.spread.store(self.0.spread.load(Ordering::Relaxed), Ordering::Relaxed);
        for open in self.ready()? {
            let shard = open.reader.shard();
            let reader = open.keeper.as_ref().and_then(|keeper| keeper.reader(generation));
            let missing = || Problem::not_found(format!("shard {shard} has no complete generation {generation}"));
            let reader = reader.ok_or_else(missing)?;
            beside.0.shards.write().insert(shard, Open { reader, ..open });
        }
        Ok(beside)
    }

    /// Says over how many shards members are spread; `None`: that will be known later.
    pub fn set_spread(&self, shards: Option<u32>) {
        self.0.spread.store(shards.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// What is not found here may be elsewhere.
    ///
    /// # Errors
    /// It may.
    pub fn may_be_elsewhere(&self) -> Result<(), Problem> {
        if self.0.spread.load(Ordering::Relaxed) == UNKNOWN {
            return Err(Problem::new(
                "shard_not_here",
                "no broker has said yet how many partitions there are: what is not here may be elsewhere",
            ));
        }
        Ok(())
    }

    /// Whether every shard there is is open here.
    ///
    /// # Errors
    /// Some are elsewhere, or nobody knows.
    pub fn all_are_here(&self) -> Result<(), Problem> {
        self.may_be_elsewhere()?;
        let (here, spread) = (self.0.shards.read().len(), self.0.spread.load(Ordering::Relaxed));
        if spread != ALL_HERE && usize::try_from(spread) != Ok(here) {
            return Err(Problem::new(
                "shard_not_here",
                format!("{here} of {spread} shards are here, and this needs all of them"),
            ));
        }
        Ok(())
    }

    /// All shards, in order.
    pub fn all(&self) -> Vec<Open> {
        self.0.shards.read().values().cloned().collect()
    }

    /// One shard.
    ///
    /// # Errors
    /// It is not open here.
    pub fn shard(&self, shard: u32) -> Result<Open, Problem> {
        self.0.shards.read().get(&shard).cloned().ok_or_else(|| self.not_here(shard))
    }

    /// The shards that a member can be in: one, or all where their number is not known.
    ///
    /// # Errors
    /// It is not open here, or not ready.
    pub fn of_member(&self, program: &str, member: &str) -> Result<Vec<Open>, Problem> {
        let spread = self.0.spread.load(Ordering::Relaxed);
        let found = match spread {
            ALL_HERE | UNKNOWN => self.all(),
            shards => vec![self.shard(murmur2_partition(format!("{program}/{member}").as_bytes(), shards))?],
        };
        found.iter().try_for_each(Open::ready)?;
        Ok(found)
    }

    /// The same, and behind them those of whom merges tied it to: one of all of them answers for the member.
    ///
    /// # Errors
    /// One is not open here, or not ready.
    pub fn that_may_answer(&self, program: &str, member: &str) -> Result<Vec<Open>, Problem> {
        let mut found = self.of_member(program, member)?;
        let kin: Vec<Vec<String>> = found.iter().map(|open| open.reader.kin(program, member)).collect::<Result<_, _>>()?;
        for open in
            kin.iter().flatten().map(|name| self.of_member(program, name)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten()
        {
            if found.iter().all(|known| known.reader.shard() != open.reader.shard()) {
                found.push(open);
            }
        }
        let all: Vec<LedgerReader> = found.iter().map(|open| open.reader.clone()).collect();
        found.iter_mut().for_each(|open| open.reader = open.reader.beside(&all));
        Ok(found)
    }

    /// All shards, each ready, and each beside the others; of a spread that is not whole, what is here.
    ///
    /// # Errors
    /// One is not ready.
    pub fn ready(&self) -> Result<Vec<Open>, Problem> {
        let mut all = self.all();
        all.iter().try_for_each(Open::ready)?;
        let readers: Vec<LedgerReader> = all.iter().map(|open| open.reader.clone()).collect();
        all.iter_mut().for_each(|open| open.reader = open.reader.beside(&readers));
        Ok(all)
    }

    /// A program's currency, for JSON money in bodies that name none.
    pub fn currency(&self, program: &str) -> Option<String> {
        let all = self.all();
        let timeline = all.iter().find_map(|open| open.reader.timeline(program))?;
        timeline.activations().last().map(|activation| activation.ruleset.currency.to_string())
    }

    fn not_here(&self, shard: u32) -> Problem {
        let here: Vec<String> = self.0.shards.read().keys().map(u32::to_string).collect();
        let here = if here.is_empty() { "none is".to_owned() } else { format!("here: {}", here.join(", ")) };
        Problem::new("shard_not_here", format!("shard {shard} is not open here ({here}); ask the instance that has it"))
    }
}

impl Open {
    /// Whether it can answer. One that has stopped taking facts can.
    ///
    /// # Errors
    /// It is recovering: it would answer from the past.
    pub fn ready(&self) -> Result<(), Problem> {
        let shard = self.reader.shard();
        match self.status.as_ref().map(|status| status.state()) {
            None if self.opening => Err(Problem::new("shard_recovering", format!("shard {shard} is being opened"))),
            Some(ShardState::Recovering { percent }) => {
                Err(Problem::new("shard_recovering", format!("shard {shard} is applying its log again: {percent} %")))
            }
            Some(ShardState::Live | ShardState::Stopped { .. }) | None => Ok(()),
        }
    }
}
