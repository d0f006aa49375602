//! Opening a shard's ledger, and building it again from the log.

use super::Ledger;
use super::checkpoint::Checkpointer;
use super::filling::Filling;
use super::prefetch::{Asking, Prefetched};
use super::touch::Ahead;

use crate::codec;
use crate::error::ProjectionError;
use crate::filter::{self, Filter};
use crate::generation::remove_left_over;
use crate::milestones::MilestoneOptions;
use crate::programs::Programs;
use crate::rows::{DayRow, ShardRow};
use crate::shared::{Shared, Tiers};
use crate::tier::Tier;
use crate::totals::Totals;
use accrue_ledger::{Instant, Records};
use accrue_store::{Position, Store, StoreOptions, View, keys};
use std::path::Path;
use std::sync::Arc;

const MIB: usize = 1024 * 1024;

/// Bounds of ledgers in memory: of a store's shards together where it says how many it has, else of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    /// A checkpoint is written when memory since the last one reaches this. What the last one wrote stays near while both
    /// together are less than two thirds more.
    pub delta_bytes_max: usize,
    /// … or when so many facts were booked since: what a restart folds again.
    pub checkpoint_facts: usize,
    /// By what stores that read one topic know the facts that follow from each other's. `None`: an embedded log makes a key of
    /// its own; through a topic it is one that everybody has, against mistakes, not against forgery.
    pub link_key: Option<[u8; 32]>,
    /// What answers about a past begin at.
    pub milestones: MilestoneOptions,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        LedgerOptions {
            delta_bytes_max: 576 * MIB,
            checkpoint_facts: 500_000,
            link_key: None,
            milestones: MilestoneOptions::default(),
        }
    }
}

impl LedgerOptions {
    /// What of it is one shard's.
    pub(super) fn of_shard(self, store: &Store) -> LedgerOptions {
        let shards = store.embedded_shards().map_or(1, |shards| shards.max(1) as usize);
        LedgerOptions {
            delta_bytes_max: (self.delta_bytes_max / shards).max(1),
            checkpoint_facts: (self.checkpoint_facts / shards).max(1),
            milestones: MilestoneOptions { bytes_max: self.milestones.bytes_max / shards, ..self.milestones },
            ..self
        }
    }

    /// The key that a shared secret makes.
    pub fn link_key_of(secret: &[u8]) -> [u8; 32] {
        blake3::derive_key("accrue link 1", secret)
    }
}

impl Ledger {
    /// Opens the ledger of a shard at its last checkpoint; the writer then replays the log from `next_position` on.
    ///
    /// # Errors
    /// The store can't be read. A view that can't be read, or is ahead of a log that came back short, is dropped and built again.
    pub fn open(store: &Store, shard: u32, options: LedgerOptions) -> Result<Ledger, ProjectionError> {
        let log = store.shard(shard)?;
        remove_left_over(store, shard)?;
        let generation = log.live_generation();
        let opened =
            store.view(shard, generation).map_err(ProjectionError::from).and_then(|view| load(&log, view, store.coupon_secret()));
        let tiers = match opened {
            Ok(tiers) if tiers.next <= log.head().next_position => tiers,
            other => {
                match other {
                    Ok(tiers) => {
                        tracing::warn!(shard, view = %tiers.next, log = %log.head().next_position, "view is ahead of the log: building it again")
                    }
                    Err(error) => tracing::warn!(shard, %error, "view can't be read: building it again"),
                }
                store.drop_view(shard, generation)?;
                load(&log, store.view(shard, generation)?, store.coupon_secret())?
            }
        };
        Ok(Ledger::over(store, log, tiers, options.of_shard(store)))
    }

    /// A second ledger over the same log, with a view of its own outside the store: for verification.
    pub(crate) fn open_scratch(
        store: &Store,
        shard: u32,
        options: LedgerOptions,
        scratch: &Path,
    ) -> Result<Ledger, ProjectionError> {
        let second = Store::open(scratch, StoreOptions { sync: false, embedded_shards: None, ..store.options().clone() })?;
        second.create_shard(shard)?;
        let log = store.shard(shard)?;
        let mut tiers = load(&log, second.view(shard, 1)?, store.coupon_secret())?;
        // All rulesets are known from the beginning: none reaches into the past, nothing is folded twice.
        let mut programs = Programs::new(store.coupon_secret());
        log.for_each(Position::FIRST, Position::MAX, |frame| match frame.kind.is_control() {
            true => programs.replay(frame),
            false => Ok(()),
        })?;
        tiers.programs = Arc::new(programs);
        Ok(Ledger::over(store, log, tiers, options))
    }

    /// Folds everything that the log has and this has not, `progress` being told now and then.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn derive(&mut self, mut progress: impl FnMut(Position)) -> Result<(), ProjectionError> {
        let log = self.shared.log.clone();
        let from = self.shared.tiers.read().next;
        log.for_each_run(from, Position::MAX, |frames| {
            let told = frames.iter().filter(|frame| frame.position.0 % 10_000 == 0);
            told.for_each(|frame| progress(frame.position));
            self.replay_frames(frames)
        })
    }

    pub(super) fn over(store: &Store, log: accrue_store::ShardLog, tiers: Tiers, options: LedgerOptions) -> Ledger {
        let filling = Filling::start(&tiers, log.shard());
        Ledger {
            filling,
            shared: Arc::new(Shared::new(log, tiers, options.milestones)),
            store: store.clone(),
            options,
            secret: store.coupon_secret(),
            proof_key: proof_key(store, &options),
            prefetched: Prefetched::default(),
            asking: Asking::default(),
            ahead: Ahead::default(),
            records: Records::default(),
            checkpointer: Checkpointer::default(),
            site: None,
            is_beside: false,
            rebuild_due: false,
            key_changes: Vec::new(),
        }
    }
}

fn proof_key(store: &Store, options: &LedgerOptions) -> [u8; 32] {
    let own = store.embedded_shards().map(|_| LedgerOptions::link_key_of(&store.coupon_secret()));
    options.link_key.or(own).unwrap_or_else(|| LedgerOptions::link_key_of(b"everybody"))
}

pub(super) fn load(log: &accrue_store::ShardLog, view: View, secret: [u8; 32]) -> Result<Tiers, ProjectionError> {
    let next = view.next_position()?;
    let mut name = Vec::new();
    keys::member(&mut name, "", "");
    let shard: Option<ShardRow> = view.get(&name)?.map(|row| codec::read("the shard", &row)).transpose()?;
    let shard = shard.unwrap_or(ShardRow { latest: i64::MIN, ..ShardRow::default() });
    let mut totals = Totals::default();
    let mut rows = view.scan_prefix(&[keys::SPACE_TOTALS])?;
    while let Some((key, row)) = rows.next_row()? {
        if let Some(keys::ViewKey::Totals { program, ledger, day }) = keys::parse_view(key) {
            totals.set(program, ledger, day, codec::read::<DayRow>("totals", row)?);
        }
    }
    drop(rows);
    let programs =
        if next <= log.head().next_position { Programs::load(log, &shard.activations, secret)? } else { Programs::new(secret) };
    Ok(Tiers {
        live: Tier::default(),
        frozen: None,
        view_is_empty: next <= Position::FIRST,
        known: filter::kept(&view).unwrap_or_else(|| Filter::new(next <= Position::FIRST)),
        view,
        totals,
        programs: Arc::new(programs),
        next,
        latest: Instant(shard.latest),
        merges: shard.merges,
    })
}
