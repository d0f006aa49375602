//! The tail of the log, applied to the view again: what a restart, or a view that was dropped, needs.

use crate::clock::Stopwatch;
use crate::status::{ShardState, ShardStatus};
use crate::{IngestError, metrics};
use accrue_store::{Inline, InlineError, Position, ShardLog, StoreError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Frames after which a checkpoint may start: a whole log is applied again in bounded memory.
const STEP_FRAMES: u64 = 10_000;
/// How often progress is logged.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// How a recovery ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recovered {
    Whole,
    /// It was asked to stop; what was applied is kept.
    Interrupted,
}

/// Applies everything from the view's position to the end of the log.
///
/// # Errors
/// The view is ahead of the log, or one of the two can't be read or written.
pub(crate) fn recover(
    log: &ShardLog,
    inline: &mut dyn Inline,
    status: &ShardStatus,
    stop: &AtomicBool,
) -> Result<Recovered, IngestError> {
    let shard = log.shard();
    let (from, end) = (inline.next_position(), log.head().next_position);
    if from > end {
        return Err(IngestError::ViewAhead { shard, view: from, log: end });
    }
    let watch = Stopwatch::start();
    let mut logged = Stopwatch::start();
    let todo = end.0 - from.0;
    let mut done = 0;
    let mut next = from;
    let mut step_at = STEP_FRAMES;
    let result = log.for_each_run(from, end, |frames| -> Result<(), Stop> {
        inline.replay_all(frames, log)?;
        next = frames.last().map_or(next, |frame| frame.position.next());
        done += frames.len() as u64;
        if done >= step_at {
            step_at = done + STEP_FRAMES;
            inline.durable(next);
            inline.checkpoint(false)?;
            let percent = u8::try_from(done * 100 / todo.max(1)).unwrap_or(100);
            status.set_state(ShardState::Recovering { percent });
            if logged.elapsed() >= LOG_EVERY {
                logged = Stopwatch::start();
                tracing::info!(shard, percent, position = next.0, end = end.0, "applying the log again");
            }
            if stop.load(Ordering::Acquire) {
                return Err(Stop::Asked);
            }
        }
        Ok(())
    });
    metrics::recovered(shard, done);
    inline.durable(next);
    match result {
        Ok(()) => {}
        Err(Stop::Asked) => return Ok(Recovered::Interrupted),
        Err(Stop::Failed(source)) => return Err(IngestError::Inline { shard, source }),
    }
    if next != end {
        return Err(short(log, next, end));
    }
    if done > 0 {
        tracing::info!(shard, frames = done, seconds = watch.elapsed().as_secs_f32(), "the view is at the end of the log again");
    }
    Ok(Recovered::Whole)
}

/// A scan that ends before the head has not shown everything.
fn short(log: &ShardLog, next: Position, end: Position) -> IngestError {
    let detail = format!("the scan ended at {next}, the head says {end}");
    StoreError::Corrupt { shard: log.shard(), path: log.path().to_path_buf(), position: next, key: "frames".into(), detail }
        .into()
}

enum Stop {
    Asked,
    Failed(InlineError),
}

impl From<InlineError> for Stop {
    fn from(error: InlineError) -> Stop {
        Stop::Failed(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Failed(error.into())
    }
}
