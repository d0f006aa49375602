//! The milestones of one member: how they are made, and what is folded on from them.
//!
//! A milestone is the state after all facts at or before an instant. It holds as long as no other fact comes at or before that
//! instant, no other rules judge there, and no fact after it changes what was before it.

use super::MilestoneOptions;
use crate::error::ProjectionError;
use crate::ledger::History;
use accrue_ledger::{
    Booked, Fact, Instant, Member, Needs, Pack, Packed, RecordBytes, RecordKey, Records, Timeline, in_order, needs, reaches_back,
    replay_on,
};
use accrue_store::{Position, ShardLog};
use std::collections::BTreeMap;

/// Milestones of a member, at most: one with more facts has more between them.
const MILESTONES_MAX: usize = 64;
/// Bytes of a record beside its own: its key, and what the tree and the heap take.
const RECORD_BYTES: usize = 64;

/// What was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The last position.
    pub position: Position,
    /// The last instant of recording.
    pub recorded: Instant,
}

impl Known {
    fn has(self, position: Position, recorded: Instant) -> bool {
        position <= self.position && recorded <= self.recorded
    }
}

/// What is asked of a member.
pub struct Wanted<'a> {
    pub log: &'a ShardLog,
    /// Of all its facts, ascending.
    pub positions: &'a [Position],
    /// All rules.
    pub rules: &'a Timeline,
    /// Those known then.
    pub rules_then: &'a Timeline,
    pub known: Known,
    pub at: Instant,
    /// All records are wanted, too.
    pub records: bool,
}

/// A member as of its last fact then.
pub struct Then {
    pub state: Member,
    /// Where they are wanted.
    pub records: Option<Records>,
    /// It began at a milestone.
    pub milestone: bool,
}

/// A fact's place in time and in the log.
#[derive(Clone, Copy, Debug)]
struct Step {
    at: Instant,
    position: Position,
    recorded_at: Instant,
}

/// The state after all facts at or before an instant.
struct Milestone {
    at: Instant,
    /// The last position of them, and when the last of them was recorded.
    made_from: (Position, Instant),
    state: Box<[u8]>,
}

/// The facts of a member in the order of folding, and the milestones along them.
#[derive(Default)]
pub struct Course {
    positions: Vec<Position>,
    /// By instant.
    steps: Vec<Step>,
    /// From and until when a later fact changed what had been: there are no milestones there.
    reached: Vec<(Instant, Instant)>,
    rules: Timeline,
    milestones: Vec<Milestone>,
    /// As they became between a milestone and the one before: by its number, from 1. `None`: gone.
    records: BTreeMap<(RecordKey, usize), Option<RecordBytes>>,
    bytes_of_records: usize,
}

impl Course {
    /// Memory of it.
    pub fn bytes(&self) -> usize {
        let states: usize = self.milestones.iter().map(|milestone| milestone.state.len() + size_of::<Milestone>()).sum();
        self.positions.len() * (size_of::<Position>() + size_of::<Step>()) + states + self.bytes_of_records
    }

    /// The member then; makes milestones on the way. `None`: it can't be told from its own facts in this log alone.
    pub fn then(&mut self, wanted: &Wanted<'_>, options: MilestoneOptions) -> Result<Option<Then>, ProjectionError> {
        let was_empty = self.positions.is_empty();
        let Some(new) = self.take_in(wanted)? else {
            *self = Course::default();
            return Ok(None);
        };
        let (start, after, mut state) = self.begin(wanted);
        let read;
        let history = if was_empty {
            // All of it has just been read.
            &new
        } else {
            read = History::read(wanted.log, &self.positions_after(after, wanted), None, None)?;
            &read
        };
        let known = history.booked()?.into_iter().zip(history.places());
        let known = known.filter(|(one, (position, recorded))| one.at() <= wanted.at && wanted.known.has(*position, *recorded));
        let mut booked: Vec<Booked<'_>> = known.map(|(one, _)| one).collect();
        in_order(&mut booked);
        let records = self.fold(start, &mut state, &booked, wanted, options);
        Ok(Some(Then { state, records: wanted.records.then_some(records), milestone: start > 0 }))
    }

    /// Compares what the milestones were made from with what there is, and drops those that hold no more.
    /// Inside: the facts that were not known before. `None`: some came through other shards, or wait for a decision.
    fn take_in(&mut self, wanted: &Wanted<'_>) -> Result<Option<History>, ProjectionError> {
        // Somebody who read a little later may have been here before.
        let common = self.positions.len().min(wanted.positions.len());
        if self.positions[..common] != wanted.positions[..common] {
            return Ok(None);
        }
        let new = History::read(wanted.log, &wanted.positions[common..], None, None)?;
        if !new.is_settled() {
            return Ok(None);
        }
        let booked = new.booked()?;
        let places = booked.iter().zip(new.places());
        let steps = places.map(|(one, (position, recorded_at))| Step { at: one.at(), position, recorded_at });
        let first = booked.iter().map(Booked::at).min().unwrap_or(Instant::MAX);
        self.cut(first.min(self.rules.differs_from(wanted.rules)));
        self.rules = wanted.rules.clone();
        self.positions.extend(&wanted.positions[common..]);
        self.steps.extend(steps);
        self.steps.sort_by_key(|step| step.at);
        for one in &booked {
            if let Some(from) = reaches_back(&one.fact).filter(|from| *from < one.at()) {
                self.cut(from);
                self.reached.push((from, one.at()));
            }
        }
        drop(booked);
        Ok(Some(new))
    }

    /// Drops the milestones at or after an instant.
    fn cut(&mut self, from: Instant) {
        let kept = self.milestones.partition_point(|milestone| milestone.at < from);
        if kept < self.milestones.len() {
            self.milestones.truncate(kept);
            self.records.retain(|(_, number), _| *number <= kept);
            self.bytes_of_records = self.records.values().map(bytes_of).sum();
        }
    }

    /// The number of the last milestone that holds there, its instant, and its state; 0: there is none.
    fn begin(&self, wanted: &Wanted<'_>) -> (usize, Option<Instant>, Member) {
        let differs = self.rules.differs_from(wanted.rules_then);
        let holds = |milestone: &Milestone| {
            let (position, recorded) = milestone.made_from;
            milestone.at <= wanted.at && milestone.at < differs && wanted.known.has(position, recorded)
        };
        let number = self.milestones.partition_point(holds);
        let last = number.checked_sub(1).and_then(|last| self.milestones.get(last));
        let opened = last.and_then(|milestone| Some((milestone.at, Packed::read(&milestone.state).ok()?)));
        debug_assert!(opened.is_some() || number == 0, "a state that was packed here");
        opened.map_or_else(Default::default, |(at, state)| (number, Some(at), state))
    }

    /// Where the facts behind an instant are that were known, ascending.
    fn positions_after(&self, after: Option<Instant>, wanted: &Wanted<'_>) -> Vec<Position> {
        let from = self.steps.partition_point(|step| Some(step.at) <= after);
        let steps = self.steps[from..].iter().take_while(|step| step.at <= wanted.at);
        let known = steps.filter(|step| wanted.known.has(step.position, step.recorded_at));
        let mut positions: Vec<Position> = known.map(|step| step.position).collect();
        positions.sort_unstable();
        positions
    }

    /// Folds facts on from a milestone, and makes others where they go beyond the last.
    fn fold(
        &mut self,
        start: usize,
        state: &mut Member,
        booked: &[Booked<'_>],
        wanted: &Wanted<'_>,
        options: MilestoneOptions,
    ) -> Records {
        let (mut number, mut records, mut rest) = (start, Records::default(), booked);
        // Those that lie behind hold for others who ask.
        if start == self.milestones.len() {
            let until = self.all_is_known_before(wanted);
            let every = options.every.max(self.steps.len() / MILESTONES_MAX).max(1);
            while let Some(end) = self.next_milestone(rest, every, until).filter(|_| self.bytes() < options.bytes_max / 2) {
                let (before, after) = rest.split_at(end);
                replay_on(wanted.rules_then, (&mut *state, &mut records), before, &mut (), self.near(number));
                self.put(state, &mut records);
                (number, rest) = (self.milestones.len(), after);
            }
        }
        replay_on(wanted.rules_then, (&mut *state, &mut records), rest, &mut (), self.near(number));
        if wanted.records {
            self.load(&mut records, number, |_| true);
            records.set_complete();
        }
        records
    }

    /// The first instant at which something is known now that was not then.
    fn all_is_known_before(&self, wanted: &Wanted<'_>) -> Instant {
        let unknown = self.steps.iter().find(|step| !wanted.known.has(step.position, step.recorded_at));
        unknown.map_or(Instant::MAX, |step| step.at).min(self.rules.differs_from(wanted.rules_then))
    }

    /// After how many of these facts there is a milestone.
    fn next_milestone(&self, booked: &[Booked<'_>], every: usize, until: Instant) -> Option<usize> {
        (every..=booked.len()).find(|end| {
            let at = booked[end - 1].at();
            let is_last = booked.get(*end).is_none_or(|next| at < next.at());
            let is_reached = self.reached.iter().any(|(from, fact)| *from <= at && at < *fact);
            is_last && !is_reached && at < until
        })
    }

    /// Makes a milestone of a state, and of the records that changed since the last.
    fn put(&mut self, state: &Member, records: &mut Records) {
        let at = state.last.at;
        let after = self.milestones.last().map(|milestone| milestone.at);
        let from = self.steps.partition_point(|step| Some(step.at) <= after);
        let mut made_from = self.milestones.last().map_or((Position::NONE, Instant::MIN), |milestone| milestone.made_from);
        for step in self.steps[from..].iter().take_while(|step| step.at <= at) {
            made_from = (made_from.0.max(step.position), made_from.1.max(step.recorded_at));
        }
        let mut bytes = Vec::new();
        state.pack(&mut bytes);
        self.milestones.push(Milestone { at, made_from, state: bytes.into() });
        let number = self.milestones.len();
        for (key, record) in records.drain_changed() {
            self.bytes_of_records += bytes_of(&record);
            self.records.insert((key, number), record);
        }
    }

    /// Brings all records of some kind as they were at a milestone; what is there already stays.
    fn load(&self, records: &mut Records, number: usize, is_wanted: impl Fn(RecordKey) -> bool) {
        let until = self.records.iter().rev().filter(|((key, made), _)| *made <= number && is_wanted(*key));
        until.for_each(|((key, _), record)| records.load_bytes(*key, record.clone()));
    }

    /// Brings the records that a fact needs, as they were at a milestone.
    fn near(&self, number: usize) -> impl FnMut(&Member, &mut Records, &Fact<'_>) {
        let record =
            move |key: RecordKey| self.records.range((key, 0)..=(key, number)).next_back().and_then(|(_, record)| record.clone());
        move |state, records, fact| {
            loop {
                match needs(state, records, fact) {
                    Needs::Nothing => return,
                    Needs::Records(keys) => keys.into_iter().for_each(|key| records.load_bytes(key, record(key))),
                    Needs::AllOrders => {
                        self.load(records, number, |key| key.is_order());
                        records.set_orders_complete();
                    }
                }
            }
        }
    }
}

fn bytes_of(record: &Option<RecordBytes>) -> usize {
    RECORD_BYTES + record.as_ref().map_or(0, |record| record.as_slice().len())
}
