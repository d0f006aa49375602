//! The projection that the writer decides on, as the writer sees it.

use crate::keys::Identity;
use crate::{Frame, Group, InlineError, Position, ShardLog};
use accrue_ledger::{Decision, Fact};
use crossbeam_channel::Receiver;

/// A fact that came in and is decoded: what the writer offers to the projection.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Decoded and checked.
    pub fact: &'a Fact<'a>,
    /// The same as protobuf, as it is stored.
    pub bytes: &'a [u8],
    /// `member_hash(program, member)`.
    pub hash: u64,
    /// `identity(program, source, id)`.
    pub identity: Identity,
}

/// What becomes of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// New: append it (with the decision, if it is a request).
    New {
        /// The answer to a request; `None` for facts and for what is set aside.
        decision: Option<Decision>,
        /// Behind the member's latest fact (§1).
        late: bool,
        /// Kept in the log, without effect until there are rules for it.
        parked: bool,
        /// Facts of other members that follow from it, as [`crate::push_derived`] lists them; mostly empty.
        derived: Vec<u8>,
    },
    /// Seen before with the same content.
    Duplicate {
        /// Where it was booked.
        first: Position,
        /// The answer given then.
        decision: Option<Decision>,
        /// Set aside then.
        parked: bool,
    },
    /// Seen before with other content.
    Conflict {
        /// Where the first one was booked.
        first: Position,
        /// Both fingerprints.
        detail: String,
    },
    /// Can't be booked: dead letter.
    Refused {
        /// Stable name of the reason.
        code: &'static str,
        /// For people.
        detail: String,
    },
}

/// A projection that is part of the writer: true at the head of the log, because the writer decides on it.
pub trait Inline: Send {
    /// Rings when the writer is to see to it ([`Self::checkpoint`]) although it has nothing to take in.
    fn asked(&self) -> Receiver<()> {
        crossbeam_channel::never()
    }

    /// First position that is not part of it yet.
    fn next_position(&self) -> Position;

    /// Loads what these candidates will need, in one pass over the disk.
    ///
    /// # Errors
    /// The view or the log can't be read.
    fn prepare(&mut self, candidates: &[Candidate<'_>]) -> Result<(), InlineError>;

    /// Judges one; if new, books it as `position`. `pending` holds the frames of the group that are not appended yet.
    ///
    /// # Errors
    /// The view or the log can't be read; the shard stops.
    fn offer(
        &mut self,
        candidate: &Candidate<'_>,
        position: Position,
        pending: &Group,
        log: &ShardLog,
    ) -> Result<Verdict, InlineError>;

    /// Books a frame of the log again (recovery, rebuild).
    ///
    /// # Errors
    /// The frame can't be decoded, or the view or the log can't be read.
    fn replay(&mut self, frame: &Frame<'_>, log: &ShardLog) -> Result<(), InlineError>;

    /// Books frames that follow one another.
    ///
    /// # Errors
    /// As [`Inline::replay`].
    fn replay_all(&mut self, frames: &[Frame<'_>], log: &ShardLog) -> Result<(), InlineError> {
        frames.iter().try_for_each(|frame| self.replay(frame, log))
    }

    /// Everything before `next` is durable now.
    fn durable(&mut self, next: Position);

    /// Starts a checkpoint in the background if one is due; `force` waits until one is complete.
    ///
    /// # Errors
    /// The view can't be written.
    fn checkpoint(&mut self, force: bool) -> Result<(), InlineError>;
}
