//! The whole log as it was asked for: of which programs, under which rules, as of when, as known when, with how much of the
//! machine. Exports, replays and reports name it, so that they can be made again.

use crate::problem::Problem;
use crate::readers::{Open, Readers};
use accrue_ledger::{Instant, Ruleset, Timeline};
use accrue_projections::{Across, Folded, Folding, ProjectionError, Sweep, SweepOptions, Swept};
use accrue_store::Position;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked for; nothing: everything, as it is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PastAsked {
    /// Only this program.
    pub program: Option<String>,
    /// True then, RFC 3339; absent: now.
    pub as_of: Option<String>,
    /// Without what was recorded later.
    pub as_known_at: Option<String>,
    /// As known before these positions of the shards.
    pub as_known_before: Option<BTreeMap<u32, u64>>,
    /// Text of a ruleset that judges everything, instead of those that were in force.
    pub rules: Option<String>,
    /// Threads; absent: all cores.
    pub threads: Option<usize>,
    /// Memory for facts, bytes.
    pub memory_bytes: Option<usize>,
}

/// A shard as it was.
pub struct ShardPast {
    /// The shard.
    pub open: Open,
    /// Before this.
    pub until: Position,
    /// Rules of the programs that are asked for.
    pub rules: BTreeMap<String, Timeline>,
}

/// Which members are folded; nothing: all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Members<'a> {
    /// Only this one.
    pub member: Option<&'a str>,
    /// Those from this shard and hash on.
    pub from: (u32, u64),
}

/// All of it.
pub struct Past {
    /// Its shards, in order.
    pub shards: Vec<ShardPast>,
    /// As of when.
    pub at: Instant,
    /// As known when; `None`: at the positions.
    pub recorded: Option<Instant>,
    /// What may be used.
    pub options: SweepOptions,
}

impl Past {
    /// Finds it.
    ///
    /// # Errors
    /// A shard is not ready, there is no such program or position, or the ruleset is none.
    pub fn of(readers: &Readers, asked: &PastAsked, now: Instant) -> Result<Past, Problem> {
        let (at, recorded) = (instant("as_of", asked.as_of.as_deref())?, instant("as_known_at", asked.as_known_at.as_deref())?);
        let given = asked.rules.as_deref().map(Ruleset::parse).transpose();
        let given = given.map_err(|error| Problem::new("ruleset_invalid", error.to_string()))?.map(Arc::new);
        let program = match (&given, &asked.program) {
            (Some(rules), Some(program)) if rules.program != *program => {
                let detail = format!("the ruleset is for program {}, not {program}", rules.program);
                return Err(Problem::new("wrong_program", detail));
            }
            (Some(rules), _) => Some(rules.program.to_string()),
            (None, program) => program.clone(),
        };
        let mut shards = Vec::new();
        for open in readers.ready()? {
            let until = position(&open, asked.as_known_before.as_ref())?;
            let names = open.reader.programs().into_iter().filter(|name| program.as_ref().is_none_or(|program| program == name));
            let mut rules = BTreeMap::new();
            for name in names {
                let Some(known) = open.reader.timeline_known(&name, until, recorded) else { continue };
                if !known.activations().is_empty() {
                    rules.insert(name, given.as_ref().map_or(known.clone(), |given| known.replaced(Instant::MIN, None, given)));
                }
            }
            shards.push(ShardPast { open, until, rules });
        }
        if let Some(program) = program.filter(|program| shards.iter().all(|shard| !shard.rules.contains_key(program))) {
            return Err(Problem::not_found(format!("there is no program {program} here, or was none then")));
        }
        let defaults = SweepOptions::default();
        let (threads, memory) = (asked.threads.unwrap_or(defaults.threads), asked.memory_bytes.unwrap_or(defaults.memory_bytes));
        let options = SweepOptions { threads, memory_bytes: memory };
        Ok(Past { shards, at: at.unwrap_or(now), recorded, options })
    }

    /// All programs.
    pub fn programs(&self) -> BTreeMap<&str, &Timeline> {
        self.shards.iter().flat_map(|shard| shard.rules.iter().map(|(name, rules)| (name.as_str(), rules))).collect()
    }

    /// Folds all members, shard by shard, in their order; `of`: only those. `done` gets the number of the shard first.
    ///
    /// # Errors
    /// A log can't be read, or `each` or `done` failed.
    pub fn fold<A: Send>(
        &self,
        of: Members<'_>,
        start: impl Fn() -> A + Sync,
        each: impl Fn(&mut A, u32, &Folded<'_>) -> Result<(), ProjectionError> + Sync,
        mut done: impl FnMut(u32, A, Swept) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        let all: Vec<_> = self.shards.iter().map(|shard| (shard.open.reader.clone(), shard.until)).collect();
        let across = Across::of(&all, self.recorded)?;
        for shard in self.shards.iter().filter(|shard| shard.open.reader.shard() >= of.from.0) {
            let number = shard.open.reader.shard();
            let from_hash = if number == of.from.0 { of.from.1 } else { 0 };
            let sweep = Sweep {
                log: &shard.open.log,
                until: shard.until,
                recorded: self.recorded,
                options: self.options,
                across: Some(&across),
            };
            let folding = Folding { rules: &shard.rules, member: of.member, from_hash, at: self.at };
            folding.run(
                &sweep,
                &start,
                |of_part, folded| each(of_part, number, folded),
                |part, swept| done(number, part, swept),
            )?;
        }
        Ok(())
    }

    /// What names it: with this it can be asked for again.
    pub fn named(&self) -> Value {
        let shards: Vec<Value> = self
            .shards
            .iter()
            .map(|shard| json!({ "shard": shard.open.reader.shard(), "next_position": shard.until.0 }))
            .collect();
        let rules = |timeline: &Timeline| -> Vec<Value> {
            let one = |known: &accrue_ledger::Activation| json!({ "ruleset": known.ruleset.hash_hex(), "from": known.effective_from.to_string() });
            timeline.activations().iter().map(one).collect()
        };
        let programs: serde_json::Map<String, Value> =
            self.programs().into_iter().map(|(name, timeline)| (name.to_owned(), json!(rules(timeline)))).collect();
        json!({
            "as_of": self.at.to_string(), "as_known_at": self.recorded.map(|at| at.to_string()),
            "shards": shards, "rules": programs,
        })
    }
}

/// An instant of a body, by its name there.
///
/// # Errors
/// It is none.
pub(crate) fn instant(name: &str, text: Option<&str>) -> Result<Option<Instant>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parsed = Instant::parse(text);
    parsed
        .map(Some)
        .ok_or_else(|| Problem::new("bad_request", format!("{name} is {text:?}, it has to be like 2024-10-12T07:20:50Z")))
}

/// Up to where a shard is read.
fn position(open: &Open, asked: Option<&BTreeMap<u32, u64>>) -> Result<Position, Problem> {
    let (shard, end) = (open.reader.shard(), open.reader.next_position().max(Position::FIRST));
    let Some(asked) = asked else { return Ok(end) };
    let wrong = |detail: String| Problem::new("bad_request", detail);
    let position = asked.get(&shard).ok_or_else(|| wrong(format!("no position is given for shard {shard}")))?;
    if *position > end.0 {
        return Err(wrong(format!("shard {shard} ends before position {end}, it does not reach {position}")));
    }
    Ok(Position(*position))
}
