//! One thread a shard: recovers, then takes groups in until it is stopped or something breaks.

mod run;

use crate::anchor::Anchor;
use crate::batch::Batch;
use crate::forward::Bell;
use crate::group::{self, Currencies, Desk};
use crate::letter::Origin;
use crate::queue::{self, In};
use crate::status::ShardStatus;
use crate::{Clock, IngestError};
use accrue_store::{Inline, ShardLog, Source};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use run::Run;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Messages of a group, at most.
pub const GROUP_FACTS_MAX: usize = 1_000;
/// Bytes of a group, at most, unless one batch has more.
pub const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a group waits for more.
pub const GROUP_WAIT: Duration = Duration::from_millis(1);
/// Batches that wait for a writer; more wait to wait.
pub const QUEUE_BATCHES_MAX: usize = 64;
/// Empty batches kept for the next messages.
const SPARE_BATCHES_MAX: usize = 8;

/// How a writer works.
#[derive(Clone)]
pub struct WriterOptions {
    /// Messages of a group, at most, unless one batch has more; ≥ 1.
    pub group_facts_max: usize,
    /// Bytes of a group, at most, unless one batch has more.
    pub group_bytes_max: usize,
    /// How long a group waits for more.
    pub group_wait: Duration,
    /// Batches that wait for the writer, at most; ≥ 1.
    pub queue_batches_max: usize,
    /// Programs' currencies, for JSON money in bodies that name none.
    pub currencies: Option<Currencies>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions {
            group_facts_max: GROUP_FACTS_MAX,
            group_bytes_max: GROUP_BYTES_MAX,
            group_wait: GROUP_WAIT,
            queue_batches_max: QUEUE_BATCHES_MAX,
            currencies: None,
        }
    }
}

/// How a writer is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// When everything handed in so far is durable.
    Drained,
    /// After the group in progress; what waits is refused.
    AtOnce,
}

/// The way to a writer. Cheap to clone.
#[derive(Clone)]
pub struct WriterHandle {
    jobs: In,
    spare: Receiver<Batch>,
    status: Arc<ShardStatus>,
    log: ShardLog,
}

/// The thread of a writer; stop it by [`WriterThread::stop`]. Dropped without, it ends with the last handle.
pub struct WriterThread {
    shard: u32,
    jobs: In,
    at_once: Arc<AtomicBool>,
    drained: Arc<AtomicBool>,
    ended: Receiver<()>,
    thread: JoinHandle<Result<(), IngestError>>,
}

/// Starts writers.
pub struct Writer;

impl Writer {
    /// Starts a shard's writer. It applies the tail of the log first; [`WriterHandle::status`] says how far it is.
    /// What is handed in meanwhile waits.
    ///
    /// # Errors
    /// The thread can't be started, or the log can't be read.
    pub fn open(
        log: ShardLog,
        inline: Box<dyn Inline>,
        origin: Origin,
        options: WriterOptions,
        clock: Clock,
    ) -> Result<(WriterHandle, WriterThread), IngestError> {
        open(log, inline, origin, options, clock, None, Bell::default())
    }
}

pub(crate) fn open(
    log: ShardLog,
    inline: Box<dyn Inline>,
    origin: Origin,
    options: WriterOptions,
    clock: Clock,
    anchor: Option<Anchor>,
    bell: Bell,
) -> Result<(WriterHandle, WriterThread), IngestError> {
    let shard = log.shard();
    let (jobs, queue) = queue::queue(options.queue_batches_max, inline.asked());
    let (to_spare, spare) = bounded(SPARE_BATCHES_MAX);
    let (ending, ended) = bounded::<()>(0);
    let status = ShardStatus::new(shard);
    let head = log.head();
    let source = match &origin {
        Origin::Embedded => Source::Embedded,
        Origin::Topic { name, .. } => Source::Topic(name),
    };
    status.durable(head.next_position, head.next_offset(source).unwrap_or(-1), 0, None);
    let mut desk = Desk::new(log.clone(), inline, origin, clock, Arc::clone(&status));
    desk.recorded_at = group::last_recorded_at(&log)?;
    desk.currencies = options.currencies.clone();
    desk.anchor = anchor;
    desk.bell = bell;
    let (at_once, drained) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let run = Run {
        desk,
        options,
        queue: Arc::new(queue),
        to_spare,
        held: None,
        at_once: Arc::clone(&at_once),
        drained: Arc::clone(&drained),
    };
    let name = format!("writer-{shard}");
    let spawned = std::thread::Builder::new().name(name.clone()).spawn(move || {
        // Gone when the thread ends, however it ends.
        let _ending = ending;
        run.run()
    });
    let thread = spawned.map_err(|error| IngestError::Thread { name, detail: error.to_string() })?;
    let handle = WriterHandle { jobs: jobs.clone(), spare, status, log };
    Ok((handle, WriterThread { shard, jobs, at_once, drained, ended, thread }))
}

/// A batch that was not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// The queue was full for as long as was waited.
    Full(Batch),
    /// The writer has ended. The batch's reply has been told.
    Stopped(IngestError),
}

impl WriterHandle {
    /// Which shard.
    pub fn shard(&self) -> u32 {
        self.status.shard()
    }

    /// Its log, for reading.
    pub fn log(&self) -> &ShardLog {
        &self.log
    }

    /// How it is doing.
    pub fn status(&self) -> &Arc<ShardStatus> {
        &self.status
    }

    /// An empty batch, if possible with buffers that have been used before.
    pub fn batch(&self) -> Batch {
        self.spare.try_recv().unwrap_or_default()
    }

    /// Hands a batch in; waits while the queue is full.
    ///
    /// # Errors
    /// The writer has ended; the batch's reply has been told.
    pub fn submit(&self, mut batch: Batch) -> Result<(), IngestError> {
        batch.shard = self.shard();
        self.jobs.put(batch, None, || self.reason()).map(drop).map_err(|_| self.stopped())
    }

    /// As [`Self::submit`], but waits at most that long.
    ///
    /// # Errors
    /// The queue is full, or the writer has ended.
    pub fn submit_within(&self, mut batch: Batch, wait: Duration) -> Result<(), NotTaken> {
        batch.shard = self.shard();
        match self.jobs.put(batch, Some(wait), || self.reason()) {
            Ok(None) => Ok(()),
            Ok(Some(batch)) => Err(NotTaken::Full(batch)),
            Err(_) => Err(NotTaken::Stopped(self.stopped())),
        }
    }

    fn reason(&self) -> String {
        self.status.stopped().unwrap_or_else(|| "its writer has ended".to_owned())
    }

    fn stopped(&self) -> IngestError {
        IngestError::Stopped { shard: self.shard(), reason: self.reason() }
    }
}

impl WriterThread {
    /// Asks it to end; does not wait.
    pub fn ask(&self, how: Stopping) {
        match how {
            Stopping::AtOnce => {
                self.at_once.store(true, Ordering::Release);
                self.jobs.nudge();
            }
            Stopping::Drained => {
                self.drained.store(true, Ordering::Release);
                self.jobs.wake();
            }
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Asks it to end and waits: for the group in progress, a complete checkpoint and the witness. `Err(self)`: it is
    /// not done in that time; it ends when it is.
    ///
    /// # Errors
    /// Inside: why it ended before it was asked, or what failed on the way out.
    pub fn stop(self, how: Stopping, at_most: Duration) -> Result<Result<(), IngestError>, WriterThread> {
        self.ask(how);
        self.join(at_most)
    }

    /// Waits without asking.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn join(self, at_most: Duration) -> Result<Result<(), IngestError>, WriterThread> {
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(at_most) {
            return Err(self);
        }
        let name = format!("writer-{}", self.shard);
        Ok(self.thread.join().unwrap_or_else(|_| Err(IngestError::Thread { name, detail: "it panicked".to_owned() })))
    }
}
