//! The ledger projection: the one the writer decides on. In memory since the last checkpoint, over a view on disk.
//!
//! [`Ledger`] is the writer's half, [`crate::LedgerReader`] answers. What is here can be deleted: the log makes it again.

mod beside;
mod book;
mod checkpoint;
mod filling;
mod fresh;
pub(crate) mod hand_over;
pub(crate) mod judge;
mod merge;
mod onward;
mod open;
mod person;
mod prefetch;
mod refold;
mod replay;
mod touch;

use crate::error::ProjectionError;
use crate::programs::check_activation;
use crate::reader::LedgerReader;
use crate::rows::RecordRow;
use crate::shared::{Shared, Tiers};
use accrue_ledger::{Kind, Needs, RecordKey, Records};
use accrue_store::{Candidate, Frame, Group, Inline, InlineError, Position, ShardLog, Store, Verdict};
use book::{Booking, Owner};
use checkpoint::Checkpointer;
use crossbeam_channel::Receiver;
use filling::Filling;
use person::KeyChange;
use prefetch::{Asking, Prefetched};
use std::sync::Arc;
use touch::Ahead;

pub(crate) use fresh::Fresh;
pub use hand_over::decision_of;
pub use open::LedgerOptions;
pub(crate) use refold::{History, booked_of};

/// The writer's half of a shard's ledger.
pub struct Ledger {
    shared: Arc<Shared>,
    store: Store,
    options: LedgerOptions,
    secret: [u8; 32],
    proof_key: onward::ProofKey,
    prefetched: Prefetched,
    asking: Asking,
    ahead: Ahead,
    /// Records at hand while one fact is folded.
    records: Records,
    checkpointer: Checkpointer,
    filling: Filling,
    /// The row of the natural id of the fact at hand, once it was looked for.
    site: Option<(RecordKey, RecordRow)>,
    /// Somebody else writes; this one builds or follows a generation.
    is_beside: bool,
    /// An activation reached into the past: everything is folded again once it is durable.
    rebuild_due: bool,
    /// What becomes of members' keys once the fact that says so is durable.
    key_changes: Vec<KeyChange>,
}

impl Ledger {
    /// A handle that answers questions.
    pub fn reader(&self) -> LedgerReader {
        LedgerReader::new(Arc::clone(&self.shared))
    }

    fn offer_control(
        &mut self,
        tiers: &mut Tiers,
        candidate: &Candidate<'_>,
        position: Position,
        recorded_at: accrue_ledger::Instant,
    ) -> Verdict {
        if candidate.fact.kind == Kind::RulesetActivated {
            return self.offer_activation(tiers, candidate, position, recorded_at);
        }
        let mut programs = (*tiers.programs).clone();
        if !programs.note(candidate.fact, position) {
            let detail = format!("no ruleset of program \"{}\" was ever activated here", candidate.fact.program);
            return Verdict::Refused { code: "unknown_program", detail };
        }
        tiers.programs = Arc::new(programs);
        tiers.next = position.next();
        Verdict::New { decision: None, late: false, parked: false, derived: Vec::new() }
    }

    fn offer_activation(
        &mut self,
        tiers: &mut Tiers,
        candidate: &Candidate<'_>,
        position: Position,
        recorded_at: accrue_ledger::Instant,
    ) -> Verdict {
        let (ruleset, effective_from) = match check_activation(candidate.fact) {
            Ok(checked) => checked,
            Err((code, detail)) => return Verdict::Refused { code, detail },
        };
        let mut programs = (*tiers.programs).clone();
        let known = programs.get(candidate.fact.program).is_some();
        programs.activate(candidate.fact.program, ruleset, effective_from, position, recorded_at);
        tiers.programs = Arc::new(programs);
        tiers.next = position.next();
        self.rebuild_due |= known && effective_from <= tiers.latest;
        Verdict::New { decision: None, late: false, parked: false, derived: Vec::new() }
    }
}

impl Inline for Ledger {
    fn asked(&self) -> Receiver<()> {
        self.shared.flips.bell()
    }

    fn next_position(&self) -> Position {
        self.shared.tiers.read().next
    }

    fn prepare(&mut self, candidates: &[Candidate<'_>]) -> Result<(), InlineError> {
        self.shared.watched.lock().group_begins();
        self.filling.take(&self.shared);
        Ok(self.prefetch(candidates)?)
    }

    fn offer(
        &mut self,
        candidate: &Candidate<'_>,
        position: Position,
        pending: &Group,
        log: &ShardLog,
    ) -> Result<Verdict, InlineError> {
        // One lock for the whole of it: readers wait for a fact, not for a group.
        let shared = Arc::clone(&self.shared);
        let mut tiers = shared.tiers.write();
        self.ahead.step(&tiers);
        let fact = candidate.fact;
        if fact.kind.is_of_hand_over() {
            return Ok(self.offer_between(&mut tiers, candidate, (position, pending, log))?);
        }
        let winner = tiers.winner(candidate.hash, fact.program, fact.member)?;
        let owner = Owner::of(candidate, winner);
        if let Some(first) = self.seen_before(&tiers, candidate, (owner.hash, owner.member(fact)))? {
            let first = self.decided_at(&tiers, candidate, first, Some(pending))?.unwrap_or(first);
            return Ok(judge::compare(candidate, first, pending, log, |a, b| tiers.one_member(fact.program, a, b))?);
        }
        if let Some(detail) = self.reserved(fact, candidate.bytes) {
            return Ok(Verdict::Refused { code: "reserved_source", detail });
        }
        if fact.kind.is_control() {
            let verdict = self.offer_control(&mut tiers, candidate, position, pending.recorded_at());
            if matches!(verdict, Verdict::New { .. }) {
                tiers.put_identity(candidate.identity, position);
            }
            return Ok(verdict);
        }
        let programs = Arc::clone(&tiers.programs);
        let Some(program) = programs.get(fact.program) else {
            let name = fact.program;
            let detail =
                format!("no ruleset of program \"{name}\" was ever activated here; `accrue rules activate`, then requeue");
            return Ok(Verdict::Refused { code: "unknown_program", detail });
        };
        let Some(rules) = program.timeline.at(fact.occurred_at) else {
            let (program, at) = (fact.program, fact.occurred_at);
            let hint = format!("`accrue rules activate FILE --from {at}` or earlier, then requeue");
            let detail = format!("no ruleset of program \"{program}\" is in force at {at}; {hint}");
            return Ok(Verdict::Refused { code: "no_ruleset_in_force", detail });
        };
        if let Err(refusal) = accrue_ledger::check(fact, rules) {
            return Ok(Verdict::Refused { code: refusal.code, detail: refusal.detail });
        }
        let (rules, pending) = (&program.timeline, Some(pending));
        Ok(self.book(&mut tiers, Booking { candidate, cause: candidate, rules, position, pending, owner })?)
    }

    fn replay(&mut self, frame: &Frame<'_>, _log: &ShardLog) -> Result<(), InlineError> {
        Ok(self.replay_frames(std::slice::from_ref(frame))?)
    }

    fn replay_all(&mut self, frames: &[Frame<'_>], _log: &ShardLog) -> Result<(), InlineError> {
        Ok(self.replay_frames(frames)?)
    }

    fn durable(&mut self, next: Position) {
        self.shared.set_durable(next);
        self.shared.watched.lock().group_ends();
    }

    fn checkpoint(&mut self, force: bool) -> Result<(), InlineError> {
        if self.rebuild_due {
            self.rebuild_due = false;
            self.rebuild(Position::MAX)?;
        }
        self.change_keys()?;
        self.checkpoint_if_due(force)?;
        self.flip_if_asked();
        Ok(())
    }
}

impl Ledger {
    /// Loads what a fact needs beside the member's state, until it needs nothing more.
    fn load_needs(&mut self, tiers: &Tiers, slot: u32, fact: &accrue_ledger::Fact<'_>) -> Result<(), ProjectionError> {
        loop {
            let of = &tiers.live.slots[slot as usize];
            match accrue_ledger::needs(&of.state, &self.records, fact) {
                Needs::Nothing => return Ok(()),
                Needs::Records(keys) => {
                    for key in keys {
                        let row = self.fetch_record(tiers, slot, key)?;
                        let record = row.map(|row| row.open()).transpose()?.flatten();
                        self.records.load(key, record);
                    }
                }
                Needs::AllOrders => {
                    for (key, row) in tiers.records(of.hash, &of.program, &of.member)? {
                        if key.is_order() {
                            self.records.load(key, row.open()?);
                        }
                    }
                    self.records.set_orders_complete();
                }
            }
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.filling.stop();
        // Whoever opens the shard next must not see the view move under it.
        if let Err(error) = self.checkpointer.join(self.shared.log.shard()) {
            tracing::warn!(%error, "the last checkpoint of a closed ledger");
        }
        self.shared.set_writer_gone();
    }
}
