//! Managing generations, of all shards that are open here.

use crate::problem::Problem;
use crate::readers::{Open, Readers};
use accrue_ledger::{Instant, Ruleset};
use accrue_projections::{BuildOptions, Compared, Keeper, ProgramDifference, Supposed};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MIB: usize = 1024 * 1024;
/// Members that differ and are named, at most.
const NAMED_MAX: usize = 1_000;
/// One change of all shards after the other: two at once could give a number, or the live place, to another one in each shard.
static CHANGING: Mutex<()> = Mutex::new(());

/// What is to be built.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Threads of each shard's build; absent: all cores.
    pub threads: Option<u16>,
    /// Memory of each shard's build, MiB.
    pub memory_mib: Option<u32>,
    /// Of the log read and of rows written in a second, MiB, of each shard; absent: no bound.
    pub io_mib_s: Option<u32>,
    /// Text of a ruleset that is supposed to be in force.
    pub what_if: Option<String>,
    /// From then on; absent: always.
    pub from: Option<String>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Manage {
    /// Tell all generations.
    Status,
    /// Build one.
    Start(Build),
    /// Make this one live.
    Flip(u32),
    /// Make the one live that was so before.
    RollBack,
    /// Remove this one.
    Drop(u32),
    /// Compare this one with the live one.
    Diff {
        /// Its number.
        generation: u32,
        /// Only of this program.
        program: Option<String>,
        /// States only, without records.
        states: bool,
        /// Members that are named.
        named: usize,
        /// Numbers as of then; absent: now.
        at: Option<Instant>,
    },
}

impl Manage {
    fn changes(&self) -> bool {
        !matches!(self, Manage::Status | Manage::Diff { .. })
    }

    /// Path and query under which the API does it.
    pub fn url(&self) -> String {
        match self {
            Manage::Status | Manage::Start(_) => "/v1/generations".to_owned(),
            Manage::Flip(generation) => format!("/v1/generations/{generation}/flip"),
            Manage::RollBack => "/v1/generations/rollback".to_owned(),
            Manage::Drop(generation) => format!("/v1/generations/{generation}"),
            Manage::Diff { generation, program, states, named, at } => {
                let program = program.iter().map(|program| format!("&program={}", crate::question::encoded(program)));
                let at = at.iter().map(|at| format!("&at={}", crate::question::encoded(&at.to_string())));
                let more: String = program.chain(at).collect();
                format!("/v1/generations/{generation}/diff?states={states}&named={named}{more}")
            }
        }
    }
}

/// Does it.
///
/// # Errors
/// There is no such generation, it is not ready for that, or a shard can't be read.
pub fn manage(readers: &Readers, what: &Manage, now: Instant) -> Result<Value, Problem> {
    let keepers = keepers(readers)?;
    let _one = what.changes().then(|| CHANGING.lock());
    match what {
        Manage::Status => {
            let mut rows = Vec::new();
            for keeper in &keepers {
                rows.extend(keeper.status(now)?.into_iter().map(|status| json!(status)));
            }
            Ok(json!({ "generations": rows }))
        }
        Manage::Start(build) => start(&keepers, build),
        Manage::Flip(generation) => {
            keepers.iter().try_for_each(|keeper| known(keeper, *generation))?;
            flip(keepers.iter().map(|keeper| (keeper, *generation)).collect())
        }
        Manage::RollBack => flip(keepers.iter().zip(before(&keepers)?).collect()),
        Manage::Drop(generation) => {
            let of: Vec<&Keeper> = keepers.iter().filter(|keeper| known(keeper, *generation).is_ok()).collect();
            if of.is_empty() {
                return Err(Problem::not_found(format!("there is no generation {generation} here")));
            }
            of.iter().try_for_each(|keeper| keeper.drop(*generation))?;
            Ok(json!({ "dropped": generation, "shards": of.iter().map(|keeper| keeper.shard()).collect::<Vec<_>>() }))
        }
        Manage::Diff { generation, program, states, named, at } => {
            let compared = if *states { Compared::States } else { Compared::All };
            diff(readers, (*generation, compared), program.as_deref(), (*named).min(NAMED_MAX), at.unwrap_or(now))
        }
    }
}

fn keepers(readers: &Readers) -> Result<Vec<Keeper>, Problem> {
    let missing = |open: &Open| Problem::new("internal", format!("the generations of shard {} are not open", open.log.shard()));
    readers.ready()?.iter().map(|open| open.keeper.clone().ok_or_else(|| missing(open))).collect()
}

fn known(keeper: &Keeper, generation: u32) -> Result<(), Problem> {
    if keeper.has(generation) {
        return Ok(());
    }
    Err(Problem::not_found(format!("shard {} has no generation {generation}", keeper.shard())))
}

/// Looks at all shards before it changes one; then changes them at the same time.
fn flip(shards: Vec<(&Keeper, u32)>) -> Result<Value, Problem> {
    shards.iter().try_for_each(|(keeper, generation)| keeper.can_be_live(*generation))?;
    let flipped: Vec<Result<Value, Problem>> = std::thread::scope(|scope| {
        let flips: Vec<_> = shards.iter().map(|(keeper, number)| scope.spawn(|| flip_one(keeper, *number))).collect();
        let panicked = |_| Err(Problem::new("internal", "a flip panicked"));
        flips.into_iter().map(|flip| flip.join().unwrap_or_else(panicked)).collect()
    });
    let rows = flipped.into_iter().collect::<Result<Vec<Value>, Problem>>()?;
    Ok(json!({ "shards": rows }))
}

fn flip_one(keeper: &Keeper, generation: u32) -> Result<Value, Problem> {
    let waited = keeper.flip(generation)?.as_secs_f64() * 1e3;
    Ok(json!({ "shard": keeper.shard(), "live": generation, "writer_waited_ms": waited }))
}

/// What each shard goes back to. Where a flip was broken off between two shards: all to the older one.
fn before(keepers: &[Keeper]) -> Result<Vec<u32>, Problem> {
    let live = keepers.iter().map(Keeper::live).collect::<Result<Vec<u32>, _>>()?;
    let older = live.iter().copied().min().unwrap_or_default();
    let is_way_back = |(keeper, live): (&Keeper, &u32)| *live == older || keeper.before().is_ok_and(|before| before == older);
    if live.iter().any(|live| *live != older) && keepers.iter().zip(&live).all(is_way_back) {
        return Ok(vec![older; live.len()]);
    }
    let before = keepers.iter().map(Keeper::before).collect::<Result<Vec<u32>, _>>()?;
    match before.iter().zip(&live).find(|(before, live)| before > live) {
        // Else rolling back twice would bring back what somebody rolled back from.
        Some((before, live)) => {
            let why = format!(
                "generation {live} is older than {before}, which was live before it: `rebuild flip {before}` brings that back"
            );
            Err(Problem::new("generation_not_ready", why))
        }
        None => Ok(before),
    }
}

fn start(keepers: &[Keeper], build: &Build) -> Result<Value, Problem> {
    let from =
        match &build.from {
            None => None,
            Some(text) => Some(Instant::parse(text).ok_or_else(|| {
                Problem::new("bad_request", format!("from is {text:?}, it has to be like 2024-10-12T07:20:50Z"))
            })?),
        };
    let what_if = match &build.what_if {
        None if from.is_some() => return Err(Problem::new("bad_request", "from says when what_if judges: give both")),
        None => None,
        Some(text) => {
            Ruleset::parse(text).map_err(|error| Problem::new("bad_request", format!("the ruleset: {error}")))?;
            Some(Supposed { ruleset: text.clone(), from: from.map(|from| from.0) })
        }
    };
    let defaults = BuildOptions::default();
    let options = BuildOptions {
        threads: build.threads.map_or(defaults.threads, usize::from),
        memory_bytes: build.memory_mib.map_or(defaults.memory_bytes, |mib| mib as usize * MIB),
        io_bytes_per_second: build.io_mib_s.map(|mib| u64::from(mib) * MIB as u64),
    };
    // One number for all shards, and all know of it before one works: a crash while one builds leaves none behind.
    let numbers = keepers.iter().map(Keeper::next_number).collect::<Result<Vec<u32>, _>>()?;
    let number = numbers.into_iter().max().ok_or_else(|| Problem::not_found("there is no shard here"))?;
    for keeper in keepers {
        keeper.plan(number, options, what_if.clone())?;
    }
    keepers.iter().try_for_each(|keeper| keeper.begin(number))?;
    Ok(json!({ "generation": number, "shards": keepers.iter().map(Keeper::shard).collect::<Vec<_>>() }))
}

fn diff(
    readers: &Readers,
    (generation, compared): (u32, Compared),
    program: Option<&str>,
    named: usize,
    at: Instant,
) -> Result<Value, Problem> {
    let beside = readers.in_generation(generation)?;
    let mut programs: BTreeMap<String, ProgramDifference> = BTreeMap::new();
    let mut shards = Vec::new();
    for (live, other) in readers.ready()?.iter().zip(beside.all()) {
        shards.push(json!({ "shard": live.reader.shard(), "next_position": live.reader.next_position().0 }));
        for id in live.reader.programs().into_iter().filter(|id| program.is_none_or(|program| program == id)) {
            let found = live.reader.difference((&other.reader, compared), &id, at, named)?;
            programs.entry(id).or_default().add(found, named);
        }
    }
    if let Some(program) = program.filter(|program| !programs.contains_key(*program)) {
        return Err(Problem::not_found(format!("there is no program {program} here")));
    }
    let changed: u64 = programs.values().map(|found| found.changed).sum();
    let mut answer = json!({ "generation": generation, "at": at.to_string(), "states_only": compared == Compared::States });
    for (name, value) in [("changed", json!(changed)), ("shards", json!(shards)), ("programs", json!(programs))] {
        answer[name] = value;
    }
    Ok(answer)
}
