//! Faults of the whole: the real service and its commands, killed at named moments, under load, on a full disk.
//!
//! `cargo build --workspace --bins` first: these run what was built beside them.

mod backups;
mod flips;
mod killed;
mod rules;
mod shop;
