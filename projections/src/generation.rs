//! Generations of a shard's views: one answers, others are built beside it from the log, followed, compared, made live and
//! dropped. What is visible depends on one row in the log alone.

mod apart;
mod build;
mod differ;
mod flip;
mod gauge;
mod keeper;
mod manifest;
mod point;
mod slices;
#[cfg(test)]
mod tests;

pub use build::BuildOptions;
pub use differ::{Difference, DifferingMember, ProgramDifference};
pub use keeper::{GenerationState, GenerationStatus, Keeper};
pub use manifest::Supposed;
pub use point::Point;
pub use slices::Compared;

pub(crate) use build::{Build, next_number, remove_left_over};
pub(crate) use flip::Flips;
pub(crate) use gauge::Gauge;
pub(crate) use manifest::Manifest;
