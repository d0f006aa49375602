//! Opening a shard for writing: log, projection, writer; and closing it again.

use crate::anchor::{self, Anchor};
use crate::forward::Bell;
use crate::letter::Origin;
use crate::status::Status;
use crate::writer::{self, WriterHandle, WriterOptions, WriterThread};
use crate::{Clock, IngestError};
use accrue_store::{Inline, InlineError, ShardLog, Store};
use std::sync::Arc;

/// Makes the projection that a shard's writer decides on.
pub type MakeInline = Arc<dyn Fn(&Store, u32) -> Result<Box<dyn Inline>, InlineError> + Send + Sync>;

/// What happens to a shard.
pub enum ShardEvent<'a> {
    /// Its writer runs (and may still be recovering).
    Opened(&'a WriterHandle),
    /// Its writer has ended: whoever reads its view lets go of it, so that it can be opened again.
    Closed,
}

/// Is told what happens to shards.
pub type OnShard = Arc<dyn Fn(u32, ShardEvent<'_>) + Send + Sync>;

/// How shards are opened here.
#[derive(Clone)]
pub(crate) struct Shards {
    pub store: Store,
    pub make_inline: MakeInline,
    pub on_shard: OnShard,
    pub options: WriterOptions,
    pub clock: Clock,
    pub bell: Bell,
    pub status: Arc<Status>,
}

/// A shard with its writer.
pub(crate) struct OpenShard {
    pub handle: WriterHandle,
    pub thread: WriterThread,
    pub anchor: Option<Anchor>,
}

impl Shards {
    /// Opens a shard that the store has, and starts its writer.
    ///
    /// # Errors
    /// The log or the view can't be opened, or the thread can't be started.
    pub(crate) fn open(&self, shard: u32, origin: Origin) -> Result<OpenShard, IngestError> {
        let log = self.store.shard(shard)?;
        if let Some(short) = log.shortfall() {
            let (is, was) = (short.head.next_position, short.witness.next_position);
            tracing::warn!(shard, %is, %was, "the log came back short: what is missing is consumed again from kafka");
        }
        let anchor = match &origin {
            Origin::Embedded => None,
            Origin::Topic { name, partition } => anchor::find(&log, name, *partition)?,
        };
        let inline = self.inline(&log)?;
        let (handle, thread) =
            writer::open(log, inline, origin, self.options.clone(), self.clock.clone(), anchor, self.bell.clone())?;
        self.status.add(handle.status());
        (self.on_shard)(shard, ShardEvent::Opened(&handle));
        Ok(OpenShard { handle, thread, anchor })
    }

    /// A view may know more than a log that came back short: then it is built again.
    fn inline(&self, log: &ShardLog) -> Result<Box<dyn Inline>, IngestError> {
        let shard = log.shard();
        let make = || (self.make_inline)(&self.store, shard).map_err(IngestError::inline(shard));
        let ahead = |inline: &dyn Inline| inline.next_position() > log.head().next_position;
        let inline = make()?;
        if !ahead(inline.as_ref()) {
            return Ok(inline);
        }
        let (view, end) = (inline.next_position(), log.head().next_position);
        tracing::warn!(shard, %view, log = %end, "the view knows more than the log: it is dropped and built again");
        drop(inline);
        (self.on_shard)(shard, ShardEvent::Closed);
        self.store.drop_all_views(shard)?;
        let inline = make()?;
        if ahead(inline.as_ref()) {
            Err(IngestError::ViewAhead { shard, view: inline.next_position(), log: end })
        } else {
            Ok(inline)
        }
    }

    /// The writer of a shard has ended.
    pub(crate) fn closed(&self, shard: u32) {
        (self.on_shard)(shard, ShardEvent::Closed);
    }
}
