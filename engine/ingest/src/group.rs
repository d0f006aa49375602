//! One group: judged in order, made durable with one sync, then answered.

use crate::anchor::{self, Anchor};
use crate::batch::{Batch, Record, Reply};
use crate::clock::Stopwatch;
use crate::decode::{self, Judged, Terms};
use crate::forward::Bell;
use crate::letter::{self, Origin, Reason};
use crate::metrics::{self, Label, Tally};
use crate::seal;
use crate::status::ShardStatus;
use crate::{Clock, Counts, IngestError, Outcome, Receipt};
use accrue_ledger::{Decision, Fact, Instant, Outcome as Answer};
use accrue_proto::{CurrencyOf, write_decision};
use accrue_store::{Candidate, FrameMeta, Group, Inline, Position, ShardLog, Source, Verdict, identity, member_hash};
use std::sync::Arc;

/// Schema number of the protobuf that is written.
const SCHEMA: u8 = 1;

/// The currency of a program, where one is known: for JSON money in bodies that name none.
pub type Currencies = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// All that a writer works with; its buffers are used again and again.
pub(crate) struct Desk {
    pub log: ShardLog,
    pub inline: Box<dyn Inline>,
    pub origin: Origin,
    pub clock: Clock,
    pub currencies: Option<Currencies>,
    pub status: Arc<ShardStatus>,
    pub group: Group,
    pub tally: Tally,
    /// The last instant given out: `recorded_at` never goes back.
    pub recorded_at: Instant,
    /// Wakes whoever sends on what follows for other members.
    pub bell: Bell,
    /// What the log has at its end, to be compared with what the topic has there.
    pub anchor: Option<Anchor>,
    decision: Vec<u8>,
    dead_codes: Vec<&'static str>,
}

/// What one batch is answered when the group is durable.
#[derive(Default)]
struct Answers {
    counts: Counts,
    receipts: Vec<Receipt>,
    wanted: bool,
}

impl Desk {
    pub(crate) fn new(log: ShardLog, inline: Box<dyn Inline>, origin: Origin, clock: Clock, status: Arc<ShardStatus>) -> Desk {
        Desk {
            log,
            inline,
            origin,
            clock,
            currencies: None,
            status,
            group: Group::default(),
            tally: Tally::new(),
            recorded_at: Instant::MIN,
            bell: Bell::default(),
            anchor: None,
            decision: Vec::new(),
            dead_codes: Vec::new(),
        }
    }

    fn source(&self) -> Source<'_> {
        match &self.origin {
            Origin::Embedded => Source::Embedded,
            Origin::Topic { name, .. } => Source::Topic(name),
        }
    }

    /// Takes a group in. After an error the shard is done for: nothing of the group is acknowledged.
    ///
    /// # Errors
    /// The log or the projection failed, or the topic is another one than the log came from.
    pub(crate) fn take(&mut self, batches: &mut [Batch]) -> Result<(), IngestError> {
        self.recorded_at = self.recorded_at.max(self.clock.now());
        let answers = self.take_all(batches)?;
        for (batch, answers) in batches.iter_mut().zip(answers) {
            match std::mem::take(&mut batch.reply) {
                Reply::None => {}
                Reply::Counts(to) => to(Ok(answers.counts)),
                Reply::Receipts(to) => to(Ok(answers.receipts)),
            }
        }
        self.look_after()
    }

    /// Judges every message and makes durable what became of it: with one sync, but where keys change in between.
    fn take_all(&mut self, batches: &[Batch]) -> Result<Vec<Answers>, IngestError> {
        let mut watch = Stopwatch::start();
        self.begin()?;
        let currencies = self.currencies.clone();
        let currency_of = |program: &str| currencies.as_ref().and_then(|of| of(program));
        let origin = self.origin.clone();
        let terms =
            Terms { origin: &origin, now: self.recorded_at, next_offset: self.group.next_offset(), currency_of: &currency_of };
        let opened = decode::open(batches, terms);
        let mut rest = decode::judge(batches, &opened, terms);
        let mut answers: Vec<Answers> = batches.iter().map(Answers::to).collect();
        let mut records = batches.iter().enumerate().flat_map(|(batch, of)| of.records().map(move |record| (batch, record)));
        loop {
            let together = self.log.together(rest.iter().map(Judged::fact))?;
            let after = rest.split_off(together);
            let of_part = records.by_ref().take(together);
            self.fill(rest, of_part, &currency_of, &mut answers)?;
            self.land(batches, together, &watch)?;
            if after.is_empty() {
                return Ok(answers);
            }
            // What is personal in the rest is sealed under the keys that there are now.
            self.look_after()?;
            watch = Stopwatch::start();
            self.begin()?;
            rest = after;
        }
    }

    fn begin(&mut self) -> Result<(), IngestError> {
        let mut group = std::mem::take(&mut self.group);
        self.log.begin_again(&mut group, self.source(), self.recorded_at)?;
        self.group = group;
        Ok(())
    }

    /// Makes the group durable.
    fn land(&mut self, batches: &[Batch], messages: usize, watch: &Stopwatch) -> Result<(), IngestError> {
        let apply = watch.elapsed();
        let leads_on = self.group.leads_on();
        leads_on.into_iter().for_each(|position| self.status.note_leading(position));
        let head = self.log.append(&mut self.group)?;
        self.inline.durable(head.next_position);
        if leads_on.is_some() {
            self.bell.ring();
        }
        metrics::group(messages, apply, watch.elapsed() - apply);
        self.tally.record();
        self.dead_codes.drain(..).for_each(metrics::dead_letter);
        let consumed = self.group.counters().consumed();
        let last_timestamp = batches.iter().rev().find_map(Batch::last_timestamp_ms);
        self.status.durable(head.next_position, head.next_offset(self.source()).unwrap_or(-1), consumed, last_timestamp);
        Ok(())
    }

    fn look_after(&mut self) -> Result<(), IngestError> {
        self.inline.checkpoint(false).map_err(IngestError::inline(self.log.shard()))
    }

    /// Fills the group with what became of messages.
    fn fill<'a>(
        &mut self,
        judged: Vec<Judged<'_>>,
        records: impl Iterator<Item = (usize, Record<'a>)>,
        currency_of: CurrencyOf<'_>,
        answers: &mut [Answers],
    ) -> Result<(), IngestError> {
        let sealed = seal::personal(&self.log, &judged)?;
        // From here on some borrow from `sealed`.
        let mut judged: Vec<Judged<'_>> = judged;
        sealed.iter().for_each(|(index, bytes)| judged[*index] = decode::sealed(bytes));
        let mut candidates = Vec::with_capacity(judged.len());
        candidates.extend(judged.iter().filter_map(candidate));
        self.inline.prepare(&candidates).map_err(IngestError::inline(self.log.shard()))?;

        let mut candidates = candidates.iter();
        let embedded = self.origin == Origin::Embedded;
        // The embedded log counts for itself; of a topic, offsets come with the messages.
        let sequence = self.group.next_offset().max(0)..;
        for (((batch, record), judged), sequence) in records.zip(&judged).zip(sequence) {
            let answers = &mut answers[batch];
            let offset = if embedded { sequence } else { record.offset() };
            match judged {
                Judged::Known => self.known(record, currency_of, answers)?,
                Judged::Bad(bad) => {
                    let reason = Reason { code: bad.code, detail: bad.detail.clone(), first: None };
                    self.dead(record, offset, None, reason, answers);
                }
                Judged::Fact(fact, _) => {
                    if let Some(candidate) = candidates.next() {
                        self.offer(record, offset, fact, candidate, answers)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn offer(
        &mut self,
        record: Record<'_>,
        offset: i64,
        fact: &Fact<'_>,
        candidate: &Candidate<'_>,
        answers: &mut Answers,
    ) -> Result<(), IngestError> {
        let position = self.group.next_position();
        let verdict = self.inline.offer(candidate, position, &self.group, &self.log);
        match verdict.map_err(IngestError::inline(self.log.shard()))? {
            Verdict::New { decision, late, parked, derived } => {
                self.book(offset, fact, candidate, New { decision, late, parked, derived }, answers)
            }
            Verdict::Duplicate { first, decision, parked } => {
                self.group.seen(offset, first);
                self.tally.add(Some(fact.kind), Label::Duplicate);
                answers.counts.duplicates += 1;
                answers.give(self.log.shard(), || Outcome::Duplicate { first, decision, parked });
            }
            Verdict::Conflict { first, detail } => {
                let reason = Reason { code: CONFLICT, detail, first: Some(first) };
                self.dead(record, offset, Some((fact, candidate.bytes)), reason, answers);
            }
            Verdict::Refused { code, detail } => {
                let reason = Reason { code, detail, first: None };
                self.dead(record, offset, Some((fact, candidate.bytes)), reason, answers);
            }
        }
        Ok(())
    }

    fn book(&mut self, offset: i64, fact: &Fact<'_>, candidate: &Candidate<'_>, new: New, answers: &mut Answers) {
        let New { decision, late, parked, derived } = new;
        let rejected = matches!(decision.as_ref().map(|decision| &decision.outcome), Some(Answer::Rejected(_)));
        self.decision.clear();
        if let Some(decision) = &decision {
            write_decision(decision, &mut self.decision);
        }
        let meta = FrameMeta {
            kind: fact.kind,
            schema: SCHEMA,
            late,
            parked,
            rejected,
            member_hash: candidate.hash,
            occurred_at: decision.as_ref().map_or(fact.occurred_at, |decision| decision.at),
            offset,
        };
        let decided = decision.is_some().then_some(&self.decision[..]);
        let position = self.group.push_leading(meta, candidate.bytes, decided, &derived);
        let label = match (parked, &decision) {
            (true, _) => Label::Parked,
            (false, None) => Label::Applied,
            (false, Some(_)) if rejected => Label::Rejected,
            (false, Some(_)) => Label::Accepted,
        };
        self.tally.add(Some(fact.kind), label);
        answers.counts.booked_one(decision.as_ref());
        answers.give(self.log.shard(), || Outcome::Booked { position, decision, late, parked });
    }

    fn dead(&mut self, record: Record<'_>, offset: i64, fact: Option<(&Fact<'_>, &[u8])>, reason: Reason, answers: &mut Answers) {
        let mut letter = letter::dead_letter(record, &self.origin, offset, &reason);
        if let Some((_, sealed)) = fact.filter(|(fact, _)| fact.kind.is_personal()) {
            letter::seal(&mut letter, sealed);
        }
        let dead_letter = self.group.dead(letter);
        self.dead_codes.push(reason.code);
        let Reason { code, detail, first } = reason;
        let kind = fact.map(|(fact, _)| fact.kind);
        if let Some(first) = first {
            self.tally.add(kind, Label::Conflict);
            answers.counts.conflicts += 1;
            answers.give(self.log.shard(), || Outcome::Conflict { first, detail, dead_letter });
        } else {
            self.tally.add(kind, Label::Refused);
            answers.counts.refused += 1;
            answers.give(self.log.shard(), || Outcome::Refused { code, detail, dead_letter });
        }
    }

    /// It is in the log. The one at the log's end shows whether the topic is still the same.
    fn known(&mut self, record: Record<'_>, currency_of: CurrencyOf<'_>, answers: &mut Answers) -> Result<(), IngestError> {
        answers.counts.known += 1;
        if let Some(anchor) = self.anchor.take_if(|anchor| anchor.offset == record.offset()) {
            anchor::compare(&anchor, record, currency_of, &self.log, &self.origin)?;
        }
        Ok(())
    }
}

const CONFLICT: &str = "conflict";

struct New {
    decision: Option<Decision>,
    late: bool,
    parked: bool,
    derived: Vec<u8>,
}

impl Answers {
    fn to(batch: &Batch) -> Answers {
        Answers { wanted: matches!(batch.reply, Reply::Receipts(_)), ..Answers::default() }
    }

    fn give(&mut self, shard: u32, outcome: impl FnOnce() -> Outcome) {
        if self.wanted {
            self.receipts.push(Receipt { shard, outcome: outcome() });
        }
    }
}

fn candidate<'a>(judged: &'a Judged<'_>) -> Option<Candidate<'a>> {
    match judged {
        Judged::Fact(fact, bytes) => {
            let hash = member_hash(fact.program, fact.member);
            Some(Candidate { fact, bytes, hash, identity: identity(fact.program, fact.source, fact.id) })
        }
        Judged::Known | Judged::Bad(_) => None,
    }
}

/// Nothing is known of a shard's future before this.
pub(crate) fn last_recorded_at(log: &ShardLog) -> Result<Instant, IngestError> {
    let next = log.head().next_position;
    if next <= Position::FIRST {
        return Ok(Instant::MIN);
    }
    Ok(log.read(Position(next.0 - 1), |frame| frame.recorded_at)?)
}
