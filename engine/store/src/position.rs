//! Where a frame is in its shard.

use std::fmt;

/// The place of a frame in its shard's log: 1, 2, 3 … without gaps. 0 is "before everything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first frame.
    pub const NONE: Position = Position(0);
    /// The first frame of a shard.
    pub const FIRST: Position = Position(1);
    /// Behind every frame.
    pub const MAX: Position = Position(u64::MAX);

    /// The one after.
    pub fn next(self) -> Position {
        Position(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
