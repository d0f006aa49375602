//! The real binary: what it prints, how it ends, and what it leaves on the disk.

mod applied;
mod bad_paths;
mod commands;
mod desk;
mod full_disk;
mod generations;
mod privacy;
mod serve;
mod told;
