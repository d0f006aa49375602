//! Playing one story: step by step, then in other orders, then everything derived again.

use super::desk::{Delivered, Desk};
use super::expect::Expectation;
use super::file::Story;
use super::orders::in_other_orders;
use super::shrink::shrink;
use super::step::{FactStep, Step, What, bytes_of};
use super::swept;
use super::{Difference, StoryError, StoryReport};
use crate::ledger::LedgerOptions;
use crate::liability::differing_flows;
use crate::reader::{AsKnown, AsOf};
use crate::verify::verify;
use accrue_ledger::{Decision, Instant, Outcome};
use accrue_store::Position;
use std::path::Path;

/// Rulesets of stories are in force from here on.
const BEGINNING: &str = "0001-01-01T00:00:00Z";
const A_DAY: i64 = 86_400_000_000;
/// Later than anything a story asks about: what time alone does has happened.
const END_OF_TIME: Instant = Instant(i64::MAX - 1);

impl Story {
    /// Every member of it, once.
    pub(super) fn members(&self) -> Vec<&str> {
        let mut members: Vec<&str> = self.steps.iter().map(|step| step.member.as_str()).collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}

/// A story being played.
pub(super) struct Play<'a> {
    story: &'a Story,
    pub(super) desk: Desk,
    /// Last position after each step.
    known_after: Vec<Position>,
    pub(super) differences: Vec<Difference>,
}

/// Plays a story in a store of its own.
pub(super) fn play(story: &Story, scratch: &Path) -> Result<StoryReport, StoryError> {
    let mut report = StoryReport {
        file: story.file.clone(),
        name: story.name.clone(),
        section: story.section.clone(),
        passed: false,
        differences: Vec::new(),
        story: Vec::new(),
        smallest: None,
    };
    let mut play = Play::begin(story, &scratch.join("store"))?;
    for step in &story.steps {
        play.step(step)?;
    }
    let told = if play.differences.is_empty() { Vec::new() } else { play.sentences()? };
    if story.order_independent {
        let in_other_orders = in_other_orders(story, &mut play.desk)?;
        play.differences.extend(in_other_orders);
    }
    play.derive_again(&scratch.join("again"))?;
    play.remember()?;
    report.story = if play.differences.is_empty() || !told.is_empty() { told } else { play.sentences()? };
    report.passed = play.differences.is_empty();
    report.differences = play.differences;
    if !report.passed {
        report.smallest = shrink(story, &report.differences, &scratch.join("fewer"))?;
    }
    Ok(report)
}

impl<'a> Play<'a> {
    /// A store with the story's ruleset in force, and those known that come later.
    pub(super) fn begin(story: &'a Story, store: &Path) -> Result<Play<'a>, StoryError> {
        let mut desk = Desk::open(store, LedgerOptions::default())?;
        let beginning = Instant::parse(BEGINNING).unwrap_or(Instant(0));
        let later = story.later.iter().map(|(from, text)| (*from, text));
        for (from, ruleset) in [(beginning, &story.rules.text)].into_iter().chain(later) {
            if let Delivered::Refused { code, detail } = desk.activate(&story.rules.program, ruleset, from)? {
                let detail = format!("the ruleset: {code}: {detail}");
                return Err(StoryError::File { file: story.file.clone(), line: 1, detail });
            }
        }
        Ok(Play { story, desk, known_after: Vec::new(), differences: Vec::new() })
    }

    fn differ(&mut self, step: usize, what: &str, expected: impl ToString, found: impl ToString) {
        let (what, expected, found) = (what.to_string(), expected.to_string(), found.to_string());
        self.differences.push(Difference { step, what, expected, found });
    }

    pub(super) fn step(&mut self, step: &Step) -> Result<(), StoryError> {
        match &step.what {
            What::Fact(fact) => self.fact(step, fact)?,
            What::Expect(expect) => {
                let known = expect.as_known_after.map(|after| self.known_after[after - 1]);
                let program = &self.story.rules.program;
                self.differences.extend(ask(&self.desk, program, &step.member, step.number, step.at, expect, known)?);
            }
        }
        self.known_after.push(Position(self.desk.next_position().0 - 1));
        Ok(())
    }

    fn fact(&mut self, step: &Step, fact: &FactStep) -> Result<(), StoryError> {
        let mut at = step.at;
        let (outcome, decision) = match &fact.fact {
            Err(malformed) => (format!("dead_letter: {}", malformed.code), None),
            Ok(message) => match self.desk.deliver(&bytes_of(message))? {
                Delivered::Booked { decision, parked, .. } => {
                    at = decision.as_ref().map_or(at, |decision| decision.at);
                    (if parked { "parked" } else { "booked" }.to_string(), decision)
                }
                Delivered::Duplicate { decision, .. } => ("duplicate".to_string(), decision),
                Delivered::Conflict { .. } => ("conflict".to_string(), None),
                Delivered::Refused { code, .. } => (format!("dead_letter: {code}"), None),
            },
        };
        let expected = fact.outcome.as_deref().unwrap_or("booked");
        if outcome != expected {
            self.differ(step.number, "outcome", expected, outcome);
        }
        if let Some(expected) = &fact.decision {
            let found = decision.as_ref().map_or_else(|| "none".to_string(), answer_of);
            if *expected != found {
                self.differ(step.number, "decision", expected, found);
            }
        }
        let reader = self.desk.reader()?;
        for at in [at, END_OF_TIME] {
            for broken in reader.broken_invariants(&self.story.rules.program, &step.member, at)? {
                self.differ(step.number, "invariants", "all hold", broken);
            }
        }
        Ok(())
    }

    /// The same digest in memory, on disk, after a start, from the log alone, and by `verify`.
    fn derive_again(&mut self, scratch: &Path) -> Result<(), StoryError> {
        let digest =
            |desk: &Desk, program: &str| -> Result<String, StoryError> { Ok(desk.reader()?.digest(program)?.to_string()) };
        let program = &self.story.rules.program;
        let live = digest(&self.desk, program)?;
        self.desk.checkpoint()?;
        let mut again = vec![("digest after a checkpoint", digest(&self.desk, program)?)];
        self.desk.reopen()?;
        again.push(("digest after a checkpoint and a start", digest(&self.desk, program)?));
        self.desk.rebuild()?;
        again.push(("digest from the log alone", digest(&self.desk, program)?));
        for (what, found) in again {
            if found != live {
                self.differ(0, what, &live, found);
            }
        }
        let report = verify(self.desk.store(), &self.desk.reader()?, LedgerOptions::default(), scratch, |_| ())?;
        for broken in report.broken {
            self.differ(0, "verification", "all holds", broken);
        }
        let latest = self.story.steps.iter().map(|step| step.at).max().unwrap_or(Instant(0));
        let (reader, asked) = (self.desk.reader()?, AsOf { as_of: Some(Instant(latest.0 + A_DAY)), known: AsKnown::Now });
        for member in self.story.members() {
            for wrong in reader.unexplained(program, member, asked, latest)? {
                self.differences.push(Difference {
                    step: 0,
                    what: format!("explanation of {member}"),
                    expected: "sums of their parts".to_owned(),
                    found: wrong,
                });
            }
        }
        for member in swept::differing(&self.desk, program, Instant(latest.0 + A_DAY))? {
            self.differ(0, "sweep over the log", "the same states", member);
        }
        let log = self.desk.store().shard(self.desk.reader()?.shard())?;
        for differs in differing_flows(&log, &self.desk.reader()?, program, Instant(latest.0 + A_DAY))? {
            self.differ(0, "what is owed", "totals and lots", differs);
        }
        Ok(())
    }

    /// Every expectation again, as known when it was first asked: the past is still what it was.
    fn remember(&mut self) -> Result<(), StoryError> {
        for (step, known) in self.story.steps.iter().zip(&self.known_after) {
            let What::Expect(expect) = &step.what else { continue };
            let before = self.differences.iter().any(|difference| difference.step == step.number);
            let known = expect.as_known_after.map_or(*known, |after| self.known_after[after - 1]);
            let found = ask(&self.desk, &self.story.rules.program, &step.member, step.number, step.at, expect, Some(known))?;
            let asked_again = found.into_iter().filter(|_| !before).map(|difference| {
                let what = format!("{} (asked at the end, as known at position {known})", difference.what);
                Difference { what, ..difference }
            });
            self.differences.extend(asked_again);
        }
        Ok(())
    }

    fn sentences(&self) -> Result<Vec<String>, StoryError> {
        let (reader, members) = (self.desk.reader()?, self.story.members());
        let now = self.story.steps.iter().map(|step| step.at).max().unwrap_or(END_OF_TIME);
        let mut told = Vec::new();
        for member in &members {
            let entries = reader.entries(&self.story.rules.program, member, AsOf::default(), now)?;
            let whose = if members.len() > 1 { format!("{member}: ") } else { String::new() };
            told.extend(entries.into_iter().flatten().map(|entry| {
                let (kind, points) = (entry.kind, entry.points);
                format!(
                    "{whose}{} {kind} {points} ({}, then {} active): {}",
                    entry.at, entry.ledger, entry.active_after, entry.why
                )
            }));
        }
        Ok(told)
    }
}

/// Asks what a step expects. `known`: only what stands at or before this position.
pub(super) fn ask(
    desk: &Desk,
    program: &str,
    member: &str,
    step: usize,
    at: Instant,
    expect: &Expectation,
    known: Option<Position>,
) -> Result<Vec<Difference>, StoryError> {
    let reader = desk.reader()?;
    let asked = AsOf { as_of: Some(at), known: known.map_or(AsKnown::Now, AsKnown::Position) };
    let found = reader.member(program, member, asked, at)?;
    let entries = match &expect.entries {
        Some(_) => reader.entries(program, member, asked, at)?.unwrap_or_default(),
        None => Vec::new(),
    };
    Ok(expect.differences(step, found.as_ref(), &entries))
}

fn answer_of(decision: &Decision) -> String {
    match &decision.outcome {
        Outcome::Accepted(_) => "accepted".to_string(),
        Outcome::Rejected(reason) => format!("rejected: {}", reason.name()),
    }
}
