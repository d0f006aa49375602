//! The writer's loop without its thread, its queue and its clock: facts go through a real log and a real ledger.

use super::StoryError;
use crate::ledger::{Ledger, LedgerOptions};
use crate::reader::LedgerReader;
use accrue_ledger::{Decision, Fact, Instant, Outcome, Ruleset};
use accrue_proto::{Malformed, pb, read_fact, to_timestamp, write_decision, write_fact};
use accrue_store::{
    Candidate, DeadLetter, FrameMeta, Group, Inline, Position, ShardLog, Source, Store, StoreOptions, Verdict, member_hash,
};
use std::path::Path;

/// The shard of a desk that is alone.
const ONLY: u32 = 0;
/// Schema number of the protobuf that is written.
const SCHEMA: u8 = 1;
const MIB: usize = 1024 * 1024;

/// One shard, its log and its ledger, and nobody else.
pub struct Desk {
    store: Store,
    shard: u32,
    log: ShardLog,
    options: LedgerOptions,
    /// `None`: closed, and not opened again because of an error.
    ledger: Option<Ledger>,
    group: Group,
    recorded_at: Instant,
    decision: Vec<u8>,
}

/// What became of what was delivered.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivered {
    /// In the log.
    Booked {
        /// Where.
        position: Position,
        /// The answer to a request.
        decision: Option<Decision>,
        /// Behind the member's latest fact.
        late: bool,
        /// Waits for its order.
        parked: bool,
    },
    /// Known already, with the same content.
    Duplicate {
        /// Where it was booked.
        first: Position,
        /// The answer given then.
        decision: Option<Decision>,
    },
    /// Known already, with other content: a dead letter.
    Conflict {
        /// Where the first one was booked.
        first: Position,
    },
    /// Can't be booked: a dead letter.
    Refused {
        /// Stable name of the reason.
        code: &'static str,
        /// For people.
        detail: String,
    },
}

impl Desk {
    /// Opens a store without syncs in `dir`, and folds what its log has and its view has not.
    ///
    /// # Errors
    /// The store can't be opened or read.
    pub fn open(dir: &Path, options: LedgerOptions) -> Result<Desk, StoryError> {
        Desk::of(&Desk::store_in(dir, 1)?, ONLY, options)
    }

    /// A store without syncs.
    pub(super) fn store_in(dir: &Path, shards: u32) -> Result<Store, StoryError> {
        let small = StoreOptions {
            block_cache_bytes: 16 * MIB,
            write_buffer_bytes: 16 * MIB,
            sync: false,
            embedded_shards: Some(shards),
            ..StoreOptions::default()
        };
        Ok(Store::open(dir, small)?)
    }

    /// The desk of one shard of several.
    pub(super) fn of(store: &Store, shard: u32, options: LedgerOptions) -> Result<Desk, StoryError> {
        let (store, log) = (store.clone(), store.shard(shard)?);
        let (group, recorded_at) = (Group::default(), Instant(0));
        let mut desk = Desk { store, shard, log, options, ledger: None, group, recorded_at, decision: Vec::new() };
        desk.open_ledger()?;
        Ok(desk)
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A handle that answers questions. The views can't be dropped while one is held.
    ///
    /// # Errors
    /// The desk is closed.
    pub fn reader(&self) -> Result<LedgerReader, StoryError> {
        self.ledger.as_ref().map(Ledger::reader).ok_or(StoryError::Closed)
    }

    /// The ledger, if it is open.
    #[cfg(test)]
    pub(crate) fn ledger(&mut self) -> Option<&mut Ledger> {
        self.ledger.as_mut()
    }

    /// The position of the next fact.
    pub fn next_position(&self) -> Position {
        self.log.head().next_position
    }

    /// Puts a ruleset into force from an instant on.
    ///
    /// # Errors
    /// The store fails. A ruleset that is not one is [`Delivered::Refused`].
    pub fn activate(&mut self, program: &str, ruleset: &str, effective_from: Instant) -> Result<Delivered, StoryError> {
        let hash = match Ruleset::parse(ruleset) {
            Ok(ruleset) => ruleset.hash_hex(),
            Err(error) => {
                return Ok(Delivered::Refused { code: "ruleset_invalid", detail: error.to_string() });
            }
        };
        let body =
            pb::RulesetActivated { ruleset: ruleset.to_string(), hash, effective_from: Some(to_timestamp(effective_from)) };
        let fact = pb::Fact {
            id: format!("{program} {}", self.next_position()),
            source: "ruleset".to_string(),
            program: program.to_string(),
            occurred_at: Some(to_timestamp(self.recorded_at)),
            body: Some(pb::fact::Body::RulesetActivated(body)),
            ..pb::Fact::default()
        };
        let mut bytes = Vec::new();
        write_fact(&fact, &mut bytes);
        self.deliver(&bytes)
    }

    /// Takes in one fact or request (protobuf), as a group of its own.
    ///
    /// # Errors
    /// The store fails.
    pub fn deliver(&mut self, fact: &[u8]) -> Result<Delivered, StoryError> {
        self.deliver_group(&[fact])?.pop().ok_or(StoryError::Closed)
    }

    /// Takes in facts and requests as one group: judged in order, made durable together.
    ///
    /// # Errors
    /// The store fails.
    pub fn deliver_group(&mut self, facts: &[impl AsRef<[u8]>]) -> Result<Vec<Delivered>, StoryError> {
        let from = self.next_position();
        let delivered = self.take_group(facts)?;
        self.carry(from)?;
        Ok(delivered)
    }

    /// What follows from the frames behind a position for other members.
    pub(super) fn leads_to(&self, from: Position) -> Result<Vec<Vec<u8>>, StoryError> {
        let mut facts = Vec::new();
        self.log.for_each(from, self.next_position(), |frame| -> Result<(), StoryError> {
            facts.extend(frame.derived.map(<[u8]>::to_vec));
            Ok(())
        })?;
        Ok(facts)
    }

    /// What follows for other members, and from that: right after what it follows from.
    fn carry(&mut self, mut from: Position) -> Result<(), StoryError> {
        loop {
            let (end, facts) = (self.next_position(), self.leads_to(from)?);
            if facts.is_empty() {
                return Ok(());
            }
            from = end;
            self.take_group(&facts)?;
        }
    }

    pub(super) fn take_group(&mut self, facts: &[impl AsRef<[u8]>]) -> Result<Vec<Delivered>, StoryError> {
        let read: Vec<Option<Fact<'_>>> = facts.iter().map(|bytes| read_fact(bytes.as_ref()).ok()).collect();
        let (mut delivered, mut from) = (Vec::with_capacity(facts.len()), 0);
        while from < facts.len() {
            let count = self.log.together(read[from..].iter().map(Option::as_ref))?;
            delivered.extend(self.take_together(&facts[from..from + count])?);
            from += count;
        }
        Ok(delivered)
    }

    fn take_together(&mut self, facts: &[impl AsRef<[u8]>]) -> Result<Vec<Delivered>, StoryError> {
        let sealed = self.seal(facts)?;
        let facts: Vec<&[u8]> =
            facts.iter().zip(&sealed).map(|(fact, sealed)| sealed.as_deref().unwrap_or(fact.as_ref())).collect();
        let read: Vec<Result<Fact<'_>, Malformed>> = facts.iter().map(|bytes| read_fact(bytes)).collect();
        // As if everything came when it happened, or right after what came before.
        let latest = read.iter().flatten().map(|fact| fact.occurred_at).max().unwrap_or(self.recorded_at);
        self.recorded_at = Instant(self.recorded_at.0 + 1).max(latest);
        self.log.begin_again(&mut self.group, Source::Embedded, self.recorded_at)?;
        let candidates: Vec<Candidate<'_>> = read
            .iter()
            .zip(&facts)
            .filter_map(|(fact, bytes)| {
                let fact = fact.as_ref().ok()?;
                let identity = accrue_store::identity(fact.program, fact.source, fact.id);
                Some(Candidate { fact, bytes, hash: member_hash(fact.program, fact.member), identity })
            })
            .collect();
        self.ledger.as_mut().ok_or(StoryError::Closed)?.prepare(&candidates)?;
        let mut candidates = candidates.iter();
        let mut delivered = Vec::with_capacity(facts.len());
        for ((read, bytes), offset) in read.iter().zip(&facts).zip(self.group.next_offset().max(0)..) {
            delivered.push(match read {
                Ok(_) => self.offer(candidates.next().ok_or(StoryError::Closed)?, offset)?,
                Err(bad) => self.dead(bytes, offset, bad.code, &bad.detail, None),
            });
        }
        let head = self.log.append(&mut self.group)?;
        let ledger = self.ledger.as_mut().ok_or(StoryError::Closed)?;
        ledger.durable(head.next_position);
        ledger.checkpoint(false)?;
        Ok(delivered)
    }

    /// As the door does: what is personal never reaches the log readable.
    fn seal(&self, facts: &[impl AsRef<[u8]>]) -> Result<Vec<Option<Vec<u8>>>, StoryError> {
        let mut sealed = Vec::with_capacity(facts.len());
        for bytes in facts {
            let bytes = bytes.as_ref();
            sealed.push(match read_fact(bytes) {
                Ok(fact) if fact.kind.is_personal() => self.log.vault()?.seal(&[bytes])?.pop().flatten(),
                _ => None,
            });
        }
        Ok(sealed)
    }

    fn offer(&mut self, candidate: &Candidate<'_>, offset: i64) -> Result<Delivered, StoryError> {
        let position = self.group.next_position();
        let ledger = self.ledger.as_mut().ok_or(StoryError::Closed)?;
        Ok(match ledger.offer(candidate, position, &self.group, &self.log)? {
            Verdict::New { decision, late, parked, derived } => {
                let fact = candidate.fact;
                self.decision.clear();
                if let Some(decision) = &decision {
                    write_decision(decision, &mut self.decision);
                }
                let meta = FrameMeta {
                    kind: fact.kind,
                    schema: SCHEMA,
                    late,
                    parked,
                    rejected: matches!(decision.as_ref().map(|decision| &decision.outcome), Some(Outcome::Rejected(_))),
                    member_hash: candidate.hash,
                    occurred_at: decision.as_ref().map_or(fact.occurred_at, |decision| decision.at),
                    offset,
                };
                let decided = decision.is_some().then_some(&self.decision[..]);
                let position = self.group.push_leading(meta, candidate.bytes, decided, &derived);
                Delivered::Booked { position, decision, late, parked }
            }
            Verdict::Duplicate { first, decision, .. } => {
                self.group.seen(offset, first);
                Delivered::Duplicate { first, decision }
            }
            Verdict::Conflict { first, detail } => {
                self.dead(candidate.bytes, offset, "conflict", &detail, Some(first));
                Delivered::Conflict { first }
            }
            Verdict::Refused { code, detail } => self.dead(candidate.bytes, offset, code, &detail, None),
        })
    }

    fn dead(&mut self, bytes: &[u8], offset: i64, code: &'static str, detail: &str, first: Option<Position>) -> Delivered {
        self.group.dead(DeadLetter {
            offset,
            code: code.to_string(),
            detail: detail.to_string(),
            value: Some(bytes.to_vec()),
            first_position: first,
            ..DeadLetter::default()
        });
        Delivered::Refused { code, detail: detail.to_string() }
    }

    /// Writes a complete checkpoint now.
    ///
    /// # Errors
    /// The view can't be written.
    pub fn checkpoint(&mut self) -> Result<(), StoryError> {
        Ok(self.ledger.as_mut().ok_or(StoryError::Closed)?.checkpoint(true)?)
    }

    /// As after a crash: what is in memory is lost, and folded again from the log on top of the last checkpoint.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn reopen(&mut self) -> Result<(), StoryError> {
        self.ledger = None;
        self.open_ledger()
    }

    /// Deletes everything derived, and derives it again from the log alone. No reader may be held.
    ///
    /// # Errors
    /// A reader is held, or the store can't be read.
    pub fn rebuild(&mut self) -> Result<(), StoryError> {
        // A checkpoint on its way holds the view.
        self.checkpoint()?;
        self.ledger = None;
        self.store.drop_all_views(self.shard)?;
        self.open_ledger()
    }

    fn open_ledger(&mut self) -> Result<(), StoryError> {
        let mut ledger = Ledger::open(&self.store, self.shard, self.options)?;
        let from = ledger.next_position();
        let log = &self.log;
        log.for_each_run(from, Position::MAX, |frames| -> Result<(), StoryError> { Ok(ledger.replay_all(frames, log)?) })?;
        ledger.durable(log.head().next_position);
        self.ledger = Some(ledger);
        Ok(())
    }
}
