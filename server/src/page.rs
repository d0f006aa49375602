//! Pages for people: a member, an explanation, a month in bars. Text in, text out.

mod bars;
mod compared;
mod counted;
mod explain;
mod member;
mod owed;
mod pairs;
mod profile;
mod quote;
mod referral;
mod runway;
mod tier;
mod tree;
mod what_if;
mod when;

pub use bars::{Bar, bars};
pub use compared::{compared, pairs_of};
pub use explain::{balance, order};
pub use member::{ENTRIES_SHOWN, member};
pub use owed::owed;
pub use quote::quote;
pub use referral::referrals;
pub use runway::Runway;
pub use tree::trees;
pub use what_if::what_if;
pub use when::When;
