//! What accrue does in a second, and what the same machine does at its floor in the same run (performance.md).
//!
//! `figures` runs everything once and prints one table; `cargo bench` measures the small parts with criterion.
//! Nothing here is a test: a clock decides nothing about correctness.

pub mod embedded;
pub mod floor;
pub mod fold;
pub mod input;
pub mod kafka;
pub mod member;
pub mod postgres;
pub mod rebuild;
pub mod service;
pub mod size;
pub mod stopwatch;
