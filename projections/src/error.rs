//! What can go wrong with a projection.

use crate::codec::BadRow;
use accrue_proto::Malformed;
use accrue_store::{InlineError, Position, StoreError};

/// Errors of the ledger projection and its answers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// The store below.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row of a view.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// A frame of the log that this version can't read.
    #[error("frame {position} can't be read ({}): {}", error.code, error.detail)]
    Frame {
        /// Where.
        position: Position,
        /// Why.
        error: Malformed,
    },
    /// A ruleset in the log that this version can't read.
    #[error("the ruleset activated at position {position} can't be read: {error}")]
    Ruleset {
        /// Where.
        position: Position,
        /// Why.
        error: accrue_ledger::RulesetError,
    },
    /// The writer of the shard stopped while a reader waited for it.
    #[error("shard {shard}: the writer stopped before position {position} was durable; read again")]
    NotDurable {
        /// The shard.
        shard: u32,
        /// What was waited for.
        position: Position,
    },
    /// A generation of views.
    #[error("generation: {detail}")]
    Generation {
        /// What is wrong with it.
        detail: String,
    },
    /// Whoever was given rows takes no more: its own error says why.
    #[error("nobody takes the rows any more")]
    NobodyTakes,
    /// A checkpoint could not be written.
    #[error("checkpoint of shard {shard}: {detail}")]
    Checkpoint {
        /// The shard.
        shard: u32,
        /// Why.
        detail: String,
    },
}

impl From<ProjectionError> for InlineError {
    fn from(error: ProjectionError) -> InlineError {
        match error {
            ProjectionError::Store(error) => InlineError::Store(error),
            other => InlineError::projection(other),
        }
    }
}
