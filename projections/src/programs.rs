//! The programs of a shard and their rulesets over time, as the log says.

use crate::error::ProjectionError;
use crate::generation::Supposed;
use accrue_ledger::{Activation, Body, Fact, Instant, Ruleset, Timeline};
use accrue_proto::read_fact;
use accrue_store::{Frame, Position, ShardLog};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All programs.
#[derive(Clone)]
pub struct Programs {
    by_id: BTreeMap<Box<str>, Program>,
    /// A ruleset that judges from an instant on as if it were in force.
    supposed: Option<(Arc<Ruleset>, Instant)>,
    secret: [u8; 32],
}

/// One program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Its rulesets.
    pub timeline: Timeline,
    /// Position of each activation, and when it was recorded.
    pub recorded: Vec<(Position, Instant)>,
    /// What was noted of rules being applied, in order of position.
    pub applied: Vec<Applied>,
}

/// A note of how rules were applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which application.
    pub application: String,
    /// JSON.
    pub record: String,
    /// Where the log has it.
    pub position: Position,
}

impl Programs {
    /// None yet. `secret`: the store's, for coupons that rules hand out by themselves.
    pub fn new(secret: [u8; 32]) -> Programs {
        Programs { by_id: BTreeMap::new(), supposed: None, secret }
    }

    /// The program of that id.
    pub fn get(&self, program: &str) -> Option<&Program> {
        self.by_id.get(program)
    }

    /// All ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(|id| &**id)
    }

    /// Positions of all activations and of what was noted of applications, ascending.
    pub fn activations(&self) -> Vec<u64> {
        let of = |program: &Program| {
            let recorded: Vec<u64> = program.recorded.iter().map(|(at, _)| at.0).collect();
            recorded.into_iter().chain(program.applied.iter().map(|applied| applied.position.0)).collect::<Vec<u64>>()
        };
        let mut positions: Vec<u64> = self.by_id.values().flat_map(of).collect();
        positions.sort_unstable();
        positions
    }

    /// Takes in an activation that was checked.
    pub fn activate(
        &mut self,
        program: &str,
        ruleset: Arc<Ruleset>,
        effective_from: Instant,
        position: Position,
        recorded_at: Instant,
    ) {
        let new = || Program { timeline: Timeline::default().with_secret(self.secret), ..Program::default() };
        let program = self.by_id.entry(program.into()).or_insert_with(new);
        program.timeline.insert(Activation { effective_from, position: position.0, ruleset });
        program.recorded.push((position, recorded_at));
        self.apply_supposed();
    }

    /// From now on as if a ruleset were in force.
    pub fn suppose(&mut self, what_if: Option<&Supposed>) -> Result<(), ProjectionError> {
        let read = what_if.map(Supposed::read).transpose();
        self.supposed = read.map_err(|detail| ProjectionError::Generation { detail })?;
        self.apply_supposed();
        Ok(())
    }

    fn apply_supposed(&mut self) {
        let Some((ruleset, from)) = &self.supposed else { return };
        if let Some(program) = self.by_id.get_mut(&*ruleset.program) {
            program.timeline = program.timeline.replaced(*from, None, ruleset);
        }
    }

    /// Takes in what is noted of rules being applied; of a program without rules there is nothing to note.
    pub fn note(&mut self, fact: &Fact<'_>, position: Position) -> bool {
        let Body::RulesApplied { application, record } = fact.body else { return false };
        let Some(program) = self.by_id.get_mut(fact.program) else { return false };
        program.applied.push(Applied { application: application.to_owned(), record: record.to_owned(), position });
        true
    }

    /// Whether the control fact at that position was taken in.
    pub fn knows(&self, program: &str, position: Position) -> bool {
        self.get(program).is_some_and(|program| {
            let applied = program.applied.iter().any(|applied| applied.position == position);
            applied || program.recorded.iter().any(|(at, _)| *at == position)
        })
    }

    /// Takes in the control fact in a frame.
    pub fn replay(&mut self, frame: &Frame<'_>) -> Result<(), ProjectionError> {
        let position = frame.position;
        let fact = read_fact(frame.fact).map_err(|error| ProjectionError::Frame { position, error })?;
        let Body::RulesetActivated { ruleset, effective_from, .. } = fact.body else {
            self.note(&fact, position);
            return Ok(());
        };
        let parsed = Ruleset::parse(ruleset).map_err(|error| ProjectionError::Ruleset { position, error })?;
        self.activate(fact.program, Arc::new(parsed), effective_from, position, frame.recorded_at);
        Ok(())
    }

    /// The programs as these control facts of the log make them.
    pub fn load(log: &ShardLog, activations: &[u64], secret: [u8; 32]) -> Result<Programs, ProjectionError> {
        let mut programs = Programs::new(secret);
        log.read_many(activations.iter().copied().map(Position), |frame| programs.replay(frame))?;
        Ok(programs)
    }

    /// What was known of the rules before `until` was recorded.
    pub fn known(&self, program_id: &str, position: Option<Position>, recorded: Option<Instant>) -> Option<Timeline> {
        let program = self.get(program_id)?;
        let known = program.recorded.iter().filter(|(at, when)| {
            position.is_none_or(|position| *at <= position) && recorded.is_none_or(|recorded| *when <= recorded)
        });
        let known: Vec<u64> = known.map(|(at, _)| at.0).collect();
        let mut timeline = Timeline::default().with_secret(self.secret);
        let activations = program.timeline.activations().iter().filter(|activation| known.contains(&activation.position));
        activations.for_each(|activation| timeline.insert(activation.clone()));
        match &self.supposed {
            Some((ruleset, from)) if *ruleset.program == *program_id => Some(timeline.replaced(*from, None, ruleset)),
            _ => Some(timeline),
        }
    }
}

/// Checks an activation before it is booked: the ruleset's form, its program, its hash.
pub fn check_activation(fact: &Fact<'_>) -> Result<(Arc<Ruleset>, Instant), (&'static str, String)> {
    let Body::RulesetActivated { ruleset, hash, effective_from } = &fact.body else {
        return Err(("unknown_body", "not an activation of a ruleset".to_string()));
    };
    let parsed = Ruleset::parse(ruleset).map_err(|error| ("ruleset_invalid", error.to_string()))?;
    if parsed.program != fact.program {
        let detail = format!("the ruleset is for program {}, the activation for {}", parsed.program, fact.program);
        return Err(("wrong_program", detail));
    }
    let found = parsed.hash_hex();
    if !hash.is_empty() && *hash != found {
        let detail = format!("the activation names {hash}, the ruleset's hash here is {found}; the time-zone data may differ");
        return Err(("ruleset_hash", detail));
    }
    Ok((Arc::new(parsed), *effective_from))
}
