//! A ledger beside the writer's: it fills a generation that was built, follows the log, and changes places with the live one.

use super::open::load;
use super::prefetch::Prefetched;
use super::{Ledger, LedgerOptions};
use crate::error::ProjectionError;
use crate::filter::Filter;
use crate::generation::{Build, BuildOptions, Flips, Gauge, Manifest, Point, next_number};
use crate::programs::Programs;
use crate::shared::Tiers;
use crate::totals::Totals;
use accrue_ledger::{Instant, Kind, Records};
use accrue_store::{Frame, Position, ShardLog, Store, View};
use std::sync::Arc;

impl Ledger {
    /// A ledger over rows that are not all there yet: of the members that it is given, none are.
    pub(crate) fn open_unfinished(
        store: &Store,
        (log, view): (&ShardLog, View),
        programs: Arc<Programs>,
        options: LedgerOptions,
    ) -> Result<Ledger, ProjectionError> {
        let tiers = load(log, view, store.coupon_secret())?;
        if tiers.next > Position::FIRST {
            // Some of them were written before a crash, and nobody knows which.
            return Err(ProjectionError::Generation { detail: "it was left half written: build it again".to_owned() });
        }
        let tiers = Tiers { programs, ..tiers };
        let mut ledger = Ledger::over(store, log.clone(), tiers, options);
        ledger.is_beside = true;
        Ok(ledger)
    }

    /// Takes over the sums of everybody else, and what is known of them.
    pub(crate) fn begin_with(&mut self, totals: Totals, latest: Instant, known: Filter) {
        let mut tiers = self.shared.tiers.write();
        (tiers.totals, tiers.latest, tiers.known) = (totals, latest, known);
    }

    /// Applies frames of the log.
    pub(crate) fn apply(&mut self, frames: &[Frame<'_>]) -> Result<(), ProjectionError> {
        if frames.is_empty() {
            return Ok(());
        }
        self.replay_frames(frames)?;
        self.key_changes.clear();
        Ok(())
    }

    /// Applies the frames at these positions.
    pub(crate) fn apply_at(&mut self, positions: &[Position]) -> Result<(), ProjectionError> {
        let log = self.shared.log.clone();
        log.read_many(positions.iter().copied(), |frame| self.apply(std::slice::from_ref(frame)))
    }

    /// Writes everything: the view is true at `next` now.
    pub(crate) fn end_at(mut self, next: Position) -> Result<(), ProjectionError> {
        self.shared.tiers.write().next = next;
        self.checkpoint_if_due(true)
    }

    /// A ledger over a generation that is complete.
    pub(crate) fn open_beside(
        store: &Store,
        shard: u32,
        generation: u32,
        options: LedgerOptions,
    ) -> Result<Ledger, ProjectionError> {
        let (log, view) = (store.shard(shard)?, store.view(shard, generation)?);
        let what_if = Manifest::read(&view)?.and_then(|manifest| manifest.what_if);
        let mut tiers = load(&log, view, store.coupon_secret())?;
        let mut programs = (*tiers.programs).clone();
        programs.suppose(what_if.as_ref())?;
        tiers.programs = Arc::new(programs);
        let mut ledger = Ledger::over(store, log, tiers, options.of_shard(store));
        ledger.is_beside = true;
        Ok(ledger)
    }

    /// Applies what the log has before `until` and this has not. `false`: a ruleset reached into the past; it is worth nothing now.
    pub(crate) fn follow(&mut self, until: Position) -> Result<bool, ProjectionError> {
        self.follow_with(until, Ledger::make_room)
    }

    /// The same while somebody waits: no file is written.
    pub(crate) fn follow_at_once(&mut self, until: Position) -> Result<bool, ProjectionError> {
        self.follow_with(until, |_| Ok(()))
    }

    fn follow_with(
        &mut self,
        until: Position,
        after: impl Fn(&mut Ledger) -> Result<(), ProjectionError>,
    ) -> Result<bool, ProjectionError> {
        let (log, from) = (self.shared.log.clone(), self.next());
        if from < until && !self.rebuild_due {
            log.for_each_run(from, until, |frames| -> Result<(), ProjectionError> {
                // What is said of somebody after an erasure stays: what goes with it goes first.
                for frames in frames.split_inclusive(|frame| may_erase(frame.kind)) {
                    if !self.rebuild_due {
                        self.book_frames(frames)?;
                        self.forget_erased()?;
                        after(self)?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(!self.rebuild_due)
    }

    /// The first position that is not part of it.
    pub(crate) fn next(&self) -> Position {
        self.shared.tiers.read().next
    }

    /// What the writer is asked.
    pub(crate) fn flips(&self) -> &Flips {
        &self.shared.flips
    }

    /// The log below.
    pub(crate) fn log(&self) -> &ShardLog {
        &self.shared.log
    }

    /// The generation's rows.
    pub(crate) fn view(&self) -> View {
        self.shared.tiers.read().view.clone()
    }

    /// Writes what is in memory only.
    pub(crate) fn settle(&mut self) -> Result<(), ProjectionError> {
        self.checkpoint_if_due(true)
    }

    /// Changes places with a ledger that is true at the same position: from now on, its rows answer here. What is being written goes
    /// with the rows.
    pub(crate) fn change_places(&mut self, other: &mut Ledger) {
        std::mem::swap(&mut *self.shared.tiers.write(), &mut *other.shared.tiers.write());
        std::mem::swap(&mut self.filling, &mut other.filling);
        std::mem::swap(&mut self.checkpointer, &mut other.checkpointer);
        for ledger in [self, other] {
            ledger.prefetched = Prefetched::default();
            ledger.ahead.clear();
            ledger.records = Records::default();
            ledger.site = None;
            let next = ledger.next();
            ledger.shared.set_durable(next.min(ledger.shared.log.head().next_position));
        }
    }

    /// Folds everything before `until` again under the rulesets known now, in a generation of its own, and makes that the live one.
    /// Readers go on with the old one until then; the writer waits: on what it decides next must not depend on how long this takes.
    pub(super) fn rebuild(&mut self, until: Position) -> Result<(), ProjectionError> {
        let log = self.shared.log.clone();
        let (shard, before) = (log.shard(), log.live_generation());
        let until = until.min(log.head().next_position);
        tracing::info!(shard, facts = until.0 - 1, "a ruleset reaches into the past: folding everything again");
        let manifest = Manifest { by_writer: true, ..Manifest::new(until.0, BuildOptions::default(), None) };
        let (number, view) = next_number(&self.store, shard, None, &manifest)?;
        Build { store: &self.store, log: &log, view, ledger: self.options, gauge: &Gauge::new() }.run()?;
        let mut other = Ledger::open_beside(&self.store, shard, number, self.options)?;
        Point::FlipNoted.reached();
        log.set_live_generation(number)?;
        Point::Flipped.reached();
        self.change_places(&mut other);
        drop(other);
        self.store.drop_view(shard, before)?;
        Ok(())
    }
}

/// Whether somebody may be erased by a fact of this kind, itself or with others.
fn may_erase(kind: Kind) -> bool {
    kind == Kind::MemberErased || kind.links_members() || kind.is_of_hand_over()
}
