//! How RocksDB is set up, in one place.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompactionStyle, DBCompressionType, LogLevel, Options, ReadOptions,
    UniversalCompactOptions, UniversalCompactionStopStyle, WriteBufferManager, WriteOptions,
};

const MIB: usize = 1024 * 1024;
/// Open files of one database, at most (a node may own dozens of shards with a log and two views each).
const OPEN_FILES_MAX: i32 = 256;
/// Write-ahead log of one shard, at most: what a restart has to read.
const WAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// A file of a checkpoint is cut here. Each file counts as a run, so one should hold a usual checkpoint.
pub(crate) const VIEW_FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Read ahead by scans.
pub(crate) const SCAN_READAHEAD_BYTES: usize = 2 * MIB;
/// Bits a key in the filters of views: 0.05 % false positives, so that a new identity costs no read.
const FILTER_BITS_PER_KEY: f64 = 16.0;
/// Runs of a view before some are merged: each costs a look at its filter.
const VIEW_RUNS_MAX: i32 = 16;
/// Runs of about the same size that are merged at once: the more, the less often a row is written again. Measured
/// over 36 checkpoints of 500,000 facts each: level compaction took 2.2 µs CPU a fact more.
const VIEW_MERGE_WIDTH: i32 = 8;
/// Overwritten rows that may stay, percent of the oldest run, before everything is merged.
const VIEW_SPARE_PERCENT: i32 = 900;

/// Old rows of a key that a scan steps over before it searches for the next key in every run instead: a member that buys often
/// has a row in each run.
const VIEW_STEPS_MAX: u64 = 4 * VIEW_RUNS_MAX as u64;

/// What can be chosen when a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Blocks of all databases kept in memory, bytes.
    pub block_cache_bytes: usize,
    /// Rows of all logs not yet in files, bytes.
    pub write_buffer_bytes: usize,
    /// Every group is synced. Without it a power loss loses acknowledged facts: for measuring only.
    pub sync: bool,
    /// `Some(n)`: the store has exactly the shards 0..n, fixed at creation. `None`: shards are made on assignment.
    pub embedded_shards: Option<u32>,
    /// Background threads for flushing and compacting, all databases together.
    pub background_jobs: u32,
    /// The file of the master key that wraps members' keys; `None`: `master-key` in the data directory.
    pub master_key: Option<std::path::PathBuf>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            block_cache_bytes: 256 * MIB,
            write_buffer_bytes: 128 * MIB,
            sync: true,
            embedded_shards: None,
            background_jobs: 2,
            master_key: None,
        }
    }
}

/// What all databases of a store share.
pub(crate) struct Shared {
    pub options: StoreOptions,
    cache: Cache,
    write_buffers: WriteBufferManager,
}

impl Shared {
    pub(crate) fn new(options: StoreOptions) -> Shared {
        Shared {
            // Not the LRU cache: its many small parts can't hold the filter of a large file, and then read it for
            // every key (measured: 40 µs a key instead of 1).
            cache: Cache::new_hyper_clock_cache(options.block_cache_bytes, 0),
            write_buffers: WriteBufferManager::new_write_buffer_manager(options.write_buffer_bytes, false),
            options,
        }
    }

    /// Bytes of the block cache in use, and of the write buffers.
    pub(crate) fn memory(&self) -> (usize, usize) {
        (self.cache.get_usage(), self.write_buffers.get_usage())
    }

    fn base(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_paranoid_checks(true);
        options.set_max_background_jobs(self.options.background_jobs.clamp(1, 64).cast_signed());
        options.set_max_open_files(OPEN_FILES_MAX);
        options.set_write_buffer_manager(&self.write_buffers);
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(4 * MIB);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options.set_skip_stats_update_on_db_open(true);
        options
    }

    fn table(&self) -> BlockBasedOptions {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_cache_index_and_filter_blocks(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table
    }

    /// The log's database. The default recovery mode is kept: the absolute one refuses a store after a plain kill.
    pub(crate) fn log(&self) -> Options {
        let mut options = self.base();
        options.set_wal_bytes_per_sync(0);
        options.set_recycle_log_file_num(0);
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        options
    }

    /// Column family `frames`: packed blocks, already compressed, only ever appended. Files never overlap, so that
    /// compaction only moves them down.
    pub(crate) fn frames(&self) -> Options {
        let mut options = self.base();
        let mut table = self.table();
        table.set_block_size(32 * 1024);
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::None);
        options.set_write_buffer_size((self.options.write_buffer_bytes / 2).clamp(4 * MIB, 64 * MIB));
        options.set_target_file_size_base(64 * MIB as u64);
        options.set_max_bytes_for_level_base(1024 * MIB as u64);
        options
    }

    /// Column families `meta` and `dead`: few small rows.
    pub(crate) fn rows(&self) -> Options {
        let mut options = self.base();
        options.set_block_based_table_factory(&self.table());
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(4 * MIB);
        options
    }

    /// The keys of members: few small rows, looked up one by one.
    pub(crate) fn keys(&self) -> Options {
        let mut options = self.rows();
        options.set_write_buffer_size(MIB);
        options.set_recycle_log_file_num(0);
        options
    }

    /// A view's database, and the files it takes in.
    pub(crate) fn view(&self) -> Options {
        let mut options = self.base();
        let mut table = self.table();
        table.set_block_size(8 * 1024);
        table.set_bloom_filter(FILTER_BITS_PER_KEY, false);
        table.set_whole_key_filtering(true);
        // Of a file with a hundred million rows the filter alone has 200 MiB: as one block it drives out everything else, and is
        // read again for each look-up.
        table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        table.set_partition_filters(true);
        table.set_metadata_block_size(8 * 1024);
        table.set_pin_top_level_index_and_filter(true);
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(MIB);
        options.set_compaction_style(DBCompactionStyle::Universal);
        let mut universal = UniversalCompactOptions::default();
        universal.set_min_merge_width(VIEW_MERGE_WIDTH);
        universal.set_max_size_amplification_percent(VIEW_SPARE_PERCENT);
        universal.set_stop_style(UniversalCompactionStopStyle::Similar);
        options.set_universal_compaction_options(&universal);
        options.set_level_zero_file_num_compaction_trigger(VIEW_RUNS_MAX);
        options.set_level_zero_slowdown_writes_trigger(4 * VIEW_RUNS_MAX);
        options.set_level_zero_stop_writes_trigger(8 * VIEW_RUNS_MAX);
        options.set_target_file_size_base(64 * MIB as u64);
        options.set_max_sequential_skip_in_iterations(VIEW_STEPS_MAX);
        options
    }

    /// A file on its way into a view: not compressed. What stays is compressed when files are merged; what is overwritten
    /// before never is.
    pub(crate) fn view_file(&self) -> Options {
        let mut options = self.view();
        options.set_compression_type(DBCompressionType::None);
        options
    }

    /// Appending to the log.
    pub(crate) fn write(&self) -> WriteOptions {
        let mut options = WriteOptions::default();
        options.set_sync(self.options.sync);
        options
    }
}

/// Scans read ahead and leave the cache to others; checksums are verified (as they are by default).
pub(crate) fn scan() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_readahead_size(SCAN_READAHEAD_BYTES);
    options.fill_cache(false);
    options.set_verify_checksums(true);
    options
}
