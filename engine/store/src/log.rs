//! A shard's log: open, append, the head.

use crate::block::{self, Block, Header, Packer};
use crate::dead::hex;
use crate::directory::Directory;
use crate::group::Group;
use crate::head::{Head, Source, SourceOffset};
use crate::options::Shared;
use crate::read::Recent;
use crate::registry::Slot;
use crate::store::Open;
use crate::vault::Vault;
use crate::witness::{self, Judgement, Keeper, Shortfall};
use crate::{Position, StoreError, keys, rows};
use accrue_ledger::Instant;
use parking_lot::Mutex;
use prost::Message;
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, WriteBatch};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

pub(crate) const CF_FRAMES: &str = "frames";
pub(crate) const CF_META: &str = "meta";
pub(crate) const CF_DEAD: &str = "dead";
const FIRST_GENERATION: u32 = 1;

/// The durable log of one shard. A cheap handle: clones share one database, which is closed with the last of them.
/// One thread appends; any number may read meanwhile, and see what is appended.
#[derive(Clone)]
pub struct ShardLog(Arc<LogInner>);

pub(crate) struct LogInner {
    shard: u32,
    path: PathBuf,
    keeper: Arc<Keeper>,
    live_generation: AtomicU32,
    writer: Mutex<Packer>,
    pub(crate) recent: Mutex<Recent>,
    db: DB,
    pub(crate) vault: OnceLock<Vault>,
    pub(crate) opening_vault: Mutex<()>,
    /// Keeps the lock of the directory and the witness thread.
    pub(crate) store: Arc<Open>,
    /// Last: frees the place when the database is closed.
    _slot: Slot<u32, LogInner>,
}

impl LogInner {
    /// # Errors
    /// The database can't be opened, its head is not its last block, or it is not what the witness saw.
    pub(crate) fn open(store: Arc<Open>, dir: &Path, shard: u32, slot: Slot<u32, LogInner>) -> Result<LogInner, StoreError> {
        let file = dir.join("witness");
        let witness = witness::read(&file, shard)?;
        let path = dir.join("log");
        let db = open_database(&store.shared, &path)?;
        let keeper = Keeper::new(shard, file.clone());
        let log = LogInner {
            shard,
            path,
            keeper: Arc::new(keeper),
            live_generation: AtomicU32::new(FIRST_GENERATION),
            writer: Mutex::new(Packer::new()),
            recent: Mutex::new(Recent::default()),
            db,
            vault: OnceLock::new(),
            opening_vault: Mutex::new(()),
            store,
            _slot: slot,
        };
        let head = log.read_head()?;
        log.live_generation.store(log.read_live_generation()?, Ordering::Relaxed);
        let before_next = log.hash_before(witness.next_position, witness.block_seq + 1)?;
        let judgement = witness.judge(&head, before_next);
        let (at, saw) = (head.next_position, witness.next_position);
        let path = log.path.clone();
        match judgement {
            Judgement::Whole => {}
            Judgement::Short => {
                tracing::warn!(
                    shard,
                    position = at.0,
                    witness = saw.0,
                    "the log is behind its witness: its topic has to be read again"
                );
                log.keeper.heal(&witness)?;
            }
            Judgement::Lost => {
                return Err(StoreError::BehindWitness { shard, path, file, log: at, witness: saw });
            }
            Judgement::Other => {
                return Err(StoreError::OtherThanWitness { shard, path, file, position: saw.min(at) });
            }
        }
        log.keeper.accept(head);
        log.store.witness.watch(&log.keeper);
        Ok(log)
    }

    fn cf(&self, name: &str) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(name).ok_or_else(|| self.corrupt(Position::NONE, name.to_owned(), "column family is missing"))
    }

    fn get(&self, cf: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.cf(cf)?, key).map_err(StoreError::database("read", &self.path))
    }

    pub(crate) fn corrupt(&self, position: Position, key: String, detail: &str) -> StoreError {
        StoreError::Corrupt { shard: self.shard, path: self.path.clone(), position, key, detail: detail.to_owned() }
    }

    /// The head row, checked against the block it names as the last.
    fn read_head(&self) -> Result<Head, StoreError> {
        let bad = |detail| self.corrupt(Position::NONE, "meta/head".into(), detail);
        let last = self.last_block()?;
        let Some(row) = self.get(CF_META, keys::META_HEAD)? else {
            return if last.is_none() { Ok(Head::empty()) } else { Err(bad("the head row is missing")) };
        };
        let head = rows::LogHead::decode(row.as_slice())
            .ok()
            .and_then(Head::from_row)
            .ok_or_else(|| bad("the head row can't be decoded"))?;
        match last {
            Some((block, hash))
                if hash == head.chain && block.seq() == head.block_seq && block.next_position() == head.next_position =>
            {
                Ok(head)
            }
            _ => Err(bad("the last block is not the one that the head row names")),
        }
    }

    fn last_block(&self) -> Result<Option<(Block, block::ChainHash)>, StoreError> {
        let mut at = self.db.raw_iterator_cf(self.cf(CF_FRAMES)?);
        at.seek_to_last();
        at.status().map_err(StoreError::database("read", &self.path))?;
        let Some((key, value)) = at.item() else { return Ok(None) };
        let mut block = Block::default();
        self.read_block(&mut block, key, value)?;
        Ok(Some((block, block::hash(value))))
    }

    /// The hash that a block names as the one before it. `None`: no such block.
    fn hash_before(&self, first: Position, seq: u64) -> Result<Option<block::ChainHash>, StoreError> {
        let key = keys::block(first, seq);
        let Some(value) = self.get(CF_FRAMES, &key)? else {
            return Ok(None);
        };
        let mut block = Block::default();
        self.read_block(&mut block, &key, &value)?;
        Ok(Some(block.header().before))
    }

    pub(crate) fn read_block(&self, block: &mut Block, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        block.read(key, value).map_err(|detail| {
            let position = keys::parse_block(key).map_or(Position::NONE, |(first, _)| first);
            self.corrupt(position, format!("frames/{}", hex(key)), detail)
        })
    }

    fn read_live_generation(&self) -> Result<u32, StoreError> {
        let Some(row) = self.get(CF_META, keys::META_LIVE_GENERATION)? else {
            return Ok(FIRST_GENERATION);
        };
        match rows::LiveGeneration::decode(row.as_slice()) {
            Ok(row) if row.generation > 0 => Ok(row.generation),
            _ => Err(self.corrupt(Position::NONE, "meta/live_generation".into(), "the row can't be decoded")),
        }
    }

    /// Every write comes through here: no error is tried again.
    fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        self.keeper.check()?;
        let written = self.db.write_opt(batch, &self.store.shared.write());
        written.map_err(StoreError::database("append to", &self.path)).inspect_err(|error| self.keeper.poison(error))
    }
}

impl Drop for LogInner {
    fn drop(&mut self) {
        // `close` reports the same to whoever asks; here there is nobody left.
        if let Err(error) = self.keeper.close() {
            tracing::error!(shard = self.shard, %error, "the last witness could not be written");
        }
    }
}

fn open_database(shared: &Shared, path: &Path) -> Result<DB, StoreError> {
    let families = [
        ColumnFamilyDescriptor::new(CF_FRAMES, shared.frames()),
        ColumnFamilyDescriptor::new(CF_META, shared.rows()),
        ColumnFamilyDescriptor::new(CF_DEAD, shared.rows()),
        ColumnFamilyDescriptor::new("default", shared.rows()),
    ];
    DB::open_cf_descriptors(&shared.log(), path, families).map_err(StoreError::database("open the log", path))
}

impl ShardLog {
    pub(crate) fn new(inner: Arc<LogInner>) -> ShardLog {
        ShardLog(inner)
    }

    pub(crate) fn inner(&self) -> &LogInner {
        &self.0
    }

    pub(crate) fn db(&self) -> &DB {
        &self.0.db
    }

    pub(crate) fn cf(&self, name: &str) -> Result<&ColumnFamily, StoreError> {
        self.0.cf(name)
    }

    pub(crate) fn corrupt(&self, position: Position, key: String, detail: &str) -> StoreError {
        self.0.corrupt(position, key, detail)
    }

    /// Which shard.
    pub fn shard(&self) -> u32 {
        self.0.shard
    }

    /// The directory of its database.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The end of the log, as of the last append. Cheap.
    pub fn head(&self) -> Arc<Head> {
        self.0.keeper.head()
    }

    /// Whether the log came back short of its witness and has not been consumed again up to it yet.
    pub fn shortfall(&self) -> Option<Shortfall> {
        self.0.keeper.shortfall()
    }

    /// Begins a group that follows on the head. `recorded_at` is the engine's clock.
    ///
    /// # Errors
    /// The shard is poisoned.
    pub fn begin_group(&self, source: Source<'_>, recorded_at: Instant) -> Result<Group, StoreError> {
        let mut group = Group::default();
        self.begin_again(&mut group, source, recorded_at)?;
        Ok(group)
    }

    /// Begins a group in the buffers of another, whatever is left in it.
    ///
    /// # Errors
    /// The shard is poisoned.
    pub fn begin_again(&self, group: &mut Group, source: Source<'_>, recorded_at: Instant) -> Result<(), StoreError> {
        self.0.keeper.check()?;
        group.begin(self.0.shard, &self.head(), source, recorded_at);
        Ok(())
    }

    /// Makes a group durable: blocks, dead letters, resume offset and head in one batch and one sync. The group has
    /// to be begun again after it. A group that would change nothing is not written.
    ///
    /// # Errors
    /// The group has a fault or does not follow on the head (nothing is written), or the write failed: then the
    /// shard is poisoned.
    pub fn append(&self, group: &mut Group) -> Result<Arc<Head>, StoreError> {
        let log = &*self.0;
        let mut packer = log.writer.lock();
        log.keeper.check()?;
        let head = self.head();
        if group.shard != log.shard || group.first != head.next_position || group.appended {
            return Err(StoreError::StaleGroup { shard: log.shard, group: group.first, log: head.next_position });
        }
        if let Some(fault) = group.fault.take() {
            return Err(fault);
        }
        group.finish();
        if group.cuts.is_empty() {
            return Ok(head);
        }
        let (batch, next) = self.pack(group, &head, &mut packer)?;
        log.write(batch)?;
        group.appended = true;
        let next = Arc::new(next);
        log.keeper.set_head(Arc::clone(&next));
        Ok(next)
    }

    fn pack(&self, group: &Group, head: &Head, packer: &mut Packer) -> Result<(WriteBatch, Head), StoreError> {
        let (frames, dead, meta) = (self.cf(CF_FRAMES)?, self.cf(CF_DEAD)?, self.cf(CF_META)?);
        let mut batch = WriteBatch::with_capacity_bytes(group.payload.len() / 2 + 4096);
        let mut next = head.clone();
        for cut in &group.cuts {
            next.block_seq += 1;
            let header = Header {
                source: group.source,
                frames: cut.frames,
                seen: cut.seen,
                dead: cut.dead,
                first: cut.first,
                seq: next.block_seq,
                recorded_at: group.recorded_at,
                next_offset: cut.next_offset,
                before: next.chain,
            };
            let (value, link) = packer.pack(&header, &group.payload[cut.payload.clone()]);
            batch.put_cf(frames, keys::block(cut.first, next.block_seq), value);
            next.chain = link;
        }
        for row in &group.letters {
            batch.put_cf(dead, keys::dead(row.seq), row.encode());
        }
        next.next_position = group.next_position();
        next.counters.add(&group.counters);
        next.source = group.source;
        match next.sources.get_mut(usize::from(group.source)) {
            Some(known) => known.next_offset = group.next_offset,
            None => next.sources.push(SourceOffset { topic: group.topic.clone(), next_offset: group.next_offset }),
        }
        batch.put_cf(meta, keys::META_HEAD, next.row().encode_to_vec());
        Ok((batch, next))
    }

    /// The generation of views that answers; 1 in a new shard.
    pub fn live_generation(&self) -> u32 {
        self.0.live_generation.load(Ordering::Acquire)
    }

    /// Makes another generation the one that answers, durably.
    ///
    /// # Errors
    /// The log can't be written (fatal for the shard).
    pub fn set_live_generation(&self, generation: u32) -> Result<(), StoreError> {
        let row = rows::LiveGeneration { generation }.encode_to_vec();
        self.put_row(CF_META, keys::META_LIVE_GENERATION, &row)?;
        self.0.live_generation.store(generation, Ordering::Release);
        Ok(())
    }

    pub(crate) fn put_row(&self, cf: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.put_rows(cf, std::iter::once((key, value)))
    }

    pub(crate) fn put_rows<'a>(&self, cf: &str, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        let cf = self.cf(cf)?;
        rows.for_each(|(key, value)| batch.put_cf(cf, key, value));
        let _one_at_a_time = self.0.writer.lock();
        self.0.write(batch)
    }

    /// Writes the witness now, for a clean hand-over. Dropping the last handle does the same.
    ///
    /// # Errors
    /// The witness can't be written (fatal for the shard).
    pub fn write_witness(&self) -> Result<(), StoreError> {
        self.0.keeper.witness()
    }

    /// A property of the database by RocksDB's name, summed over its column families; for metrics.
    pub fn property(&self, name: &str) -> Option<u64> {
        let value = |cf| self.db().property_int_value_cf(self.cf(cf).ok()?, name).ok()?;
        [CF_FRAMES, CF_META, CF_DEAD].into_iter().map(value).sum()
    }
}

impl std::fmt::Debug for ShardLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardLog").field("shard", &self.0.shard).field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// A shard is made in this order, so that a crash between leaves nothing that looks like loss: directory, witness of
/// nothing, then the note in `store.json`; the database comes with the first opening.
///
/// # Errors
/// The file system says no, or there is a log that `store.json` does not know.
pub(crate) fn create_shard(directory: &mut Directory, shard: u32) -> Result<(), StoreError> {
    let dir = directory.shard_dir(shard);
    if dir.join("log").exists() {
        let detail = "it holds a log that store.json does not know".to_owned();
        return Err(StoreError::Damaged { path: dir, detail });
    }
    std::fs::create_dir_all(&dir).map_err(StoreError::io("create", &dir))?;
    crate::sealed::sync_dir(&directory.root.join("shards"))?;
    witness::create(&dir.join("witness"), shard)?;
    directory.add_shard(shard)
}
