//! The answers: everything that is derived from the log, and how it is asked.
//!
//! [`Ledger`] is the projection that the writer decides on; [`LedgerReader`] answers questions about members, programs and
//! coupons, as of any instant, as known at any; [`verify`] derives everything again and compares.
//! Knows nothing about Kafka or HTTP.

mod answer;
mod apply;
mod codec;
mod compare;
mod digest;
mod error;
mod explain;
pub mod export;
mod filter;
mod folded;
mod generation;
mod ledger;
pub mod liability;
mod look_up;
mod milestones;
mod number;
pub mod point;
mod profile;
mod programs;
mod reader;
mod rows;
mod shared;
pub mod story;
mod sweep;
mod tier;
mod totals;
mod unapply;
mod verify;
mod watched;

pub use answer::{
    AchievementAnswer, BudgetAnswer, CouponAnswer, EntryAnswer, ExceptionAnswer, ExpiringRow, LotAnswer, MemberAnswer, MemberRow,
    OverrideAnswer, PartAnswer, PurchasesAnswer, TierAnswer, TierMove, TotalsRow, decimal,
};
pub use apply::{Ends, Entry as TrueUp, Plan, TrueUps, Who, digest as true_ups_digest, hash_of};
pub use compare::{Beside, Comparison, LedgerShift, MemberShift, RuleShift, Tally, Uncovered};
pub use digest::Digest;
pub use error::ProjectionError;
pub use explain::{About, AchievementFinding, Explained, Explanation, LineFinding, NUMBERS, Node, RuleFinding};
pub use folded::{Folded, Folding};
pub use generation::{
    BuildOptions, Compared, Difference, DifferingMember, GenerationState, GenerationStatus, Keeper, Point, ProgramDifference,
    Supposed,
};
pub use ledger::{Ledger, LedgerOptions, decision_of};
pub use look_up::LookUp;
pub use milestones::{MilestoneOptions, MilestoneStatus};
pub use number::is_number;
pub use profile::{Note, Profile, happened};
pub use programs::Applied;
pub use reader::{
    AsKnown, AsOf, Changed, CouponChange, Fall, LedgerReader, LotChange, Outlook, Outstanding, Points, Quote, RewardQuote, Shift,
    Shortfall, Sweeping, TierMoves, WhatIf,
};
pub use rows::DayRow;
pub use sweep::{Across, Relatives, Sweep, SweepOptions, Swept};
pub use unapply::Undoing;
pub use verify::{Report, verify};
pub use watched::GroupTimes;
