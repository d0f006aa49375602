//! Moments of a generation's life at which the process may end; tests end it there.

/// Named moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The directory is there, and what is to be built is written down.
    Begun,
    /// … of every shard's; none works on it yet.
    Planned,
    /// The rows of a round are in the view; nothing says so yet.
    RoundWritten,
    /// … and now it is said.
    RoundKept,
    /// All rounds are there; members that merges tie together are not.
    BeforeApart,
    /// All rows are there; nothing says so yet.
    AllWritten,
    /// It is said to be complete.
    Complete,
    /// Before a flip: what was live is said to be kept.
    FlipNoted,
    /// The row in the log names the new one; memory is of the old one.
    Flipped,
    /// It is said to be dropped; its files are there.
    DropNoted,
}

impl Point {
    /// All of them.
    pub const ALL: [Point; 10] = [
        Point::Begun,
        Point::Planned,
        Point::RoundWritten,
        Point::RoundKept,
        Point::BeforeApart,
        Point::AllWritten,
        Point::Complete,
        Point::FlipNoted,
        Point::Flipped,
        Point::DropNoted,
    ];

    /// The moment is now.
    pub(crate) fn reached(self) {
        crate::point::reached(&self);
    }
}
