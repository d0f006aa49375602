//! Rules applied to what was there already: what each member is owed or has too much, as entries of its own (true-ups).
//!
//! What was shown stays: instead of another history each changed member gets one adjustment a ledger. A plan is a function of
//! the log before a position, of two timelines and of an instant, so that a crash in the middle is mended by making it again.

use crate::compare::{Comparison, Numbers, Tally};
use crate::error::ProjectionError;
use crate::sweep::{Relatives, Sweep, Swept};
use accrue_ledger::{Booked, Instant};
use std::collections::{BTreeMap, BTreeSet};

/// What is done for a member where the numbers under other rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrueUps {
    /// Nothing: the rules judge what comes.
    None,
    /// The difference, whichever way it goes.
    All,
    /// The difference where it is a gain.
    Gains,
}

/// What a cohort can be told by.
#[derive(Clone, Debug)]
pub struct Who<'a> {
    /// The tier under the rules there are; empty: none.
    pub tier: &'a str,
    /// The same at other instants.
    pub tiers: &'a BTreeMap<Instant, String>,
    /// The first fact.
    pub since: Instant,
}

/// Points that a member gets in a ledger, or that are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub member: String,
    /// Where.
    pub ledger: String,
    /// Signed, not 0.
    pub points: i64,
    /// When points that are given end.
    pub ends: Ends,
    /// The adjustment whose points are taken back; `None`: it takes or gives by itself.
    pub takes_back: Option<String>,
}

/// When points that are given end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ends {
    /// As the program has it.
    #[default]
    Program,
    /// Then; [`Instant::MAX`]: never.
    At(Instant),
}

/// What is to be done, and the comparison it comes from.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All members under both.
    pub tally: Tally,
    /// By shard, then by member's hash.
    pub entries: Vec<Entry>,
}

impl Plan {
    /// An empty one that names so many gainers and losers.
    pub fn new(named: usize) -> Plan {
        Plan { tally: Tally::new(named), entries: Vec::new() }
    }

    /// Adds all members of a shard. `then`: the instants at which the policy looks at tiers.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn add(
        &mut self,
        comparison: &Comparison<'_>,
        sweep: &Sweep<'_>,
        (then, policy): (&BTreeSet<Instant>, impl Fn(&Who<'_>) -> TrueUps + Sync),
        mut progress: impl FnMut(Swept),
    ) -> Result<(), ProjectionError> {
        sweep.run(
            || Plan::new(comparison.named),
            |part, relatives| {
                comparison.each(relatives, |relatives, member, old, new| {
                    let tiers = then.iter().map(|at| (*at, comparison.tier_then(relatives, member, *at))).collect();
                    let who = Who { tier: &old.tier, tiers: &tiers, since: since(relatives) };
                    part.entries.extend(true_ups(member, old, new, policy(&who)));
                    comparison.tell(&mut part.tally, relatives, member, (old, new));
                });
                Ok(())
            },
            |part, swept| {
                self.tally.add(part.tally);
                self.entries.extend(part.entries);
                progress(swept);
                Ok(())
            },
        )
    }
}

/// Over entries, in their order.
pub fn digest(entries: &[Entry]) -> String {
    let mut all = blake3::Hasher::new();
    for entry in entries {
        let Entry { member, ledger, points, ends, takes_back } = entry;
        all.update(format!("{member}\0{ledger}\0{points}").as_bytes());
        if (ends, takes_back) != (&Ends::Program, &None) {
            let takes_back = takes_back.as_deref().unwrap_or_default();
            all.update(format!("\0{ends:?}\0{takes_back}").as_bytes());
        }
        all.update(b"\n");
    }
    all.finalize().to_hex().to_string()
}

/// A hash, hex, that names what a text says.
pub fn hash_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn since(relatives: &Relatives<'_>) -> Instant {
    relatives.booked().iter().map(Booked::at).min().unwrap_or(Instant::MAX)
}

fn true_ups(member: &str, old: &Numbers, new: &Numbers, policy: TrueUps) -> Vec<Entry> {
    let ledgers: BTreeSet<&String> = old.ledgers.keys().chain(new.ledgers.keys()).collect();
    let net = |of: &Numbers, ledger: &str| of.ledgers.get(ledger).map_or(0, |outstanding| outstanding.net());
    let of_ledger = |ledger: &String| {
        let points = net(new, ledger) - net(old, ledger);
        let made = match policy {
            TrueUps::None => false,
            TrueUps::All => points != 0,
            TrueUps::Gains => points > 0,
        };
        let entry = || Entry { member: member.to_owned(), ledger: ledger.clone(), points, ends: Ends::Program, takes_back: None };
        made.then(entry)
    };
    ledgers.into_iter().filter_map(of_ledger).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Outstanding;

    fn has(active: i64, pending: i64, debt: i64) -> Numbers {
        let outstanding = Outstanding { active, pending, debt, expiring: 0 };
        Numbers { ledgers: [("main".to_owned(), outstanding)].into(), ..Numbers::default() }
    }

    #[test]
    fn the_difference_is_of_everything_and_nobody_loses_who_shall_not() {
        let points = |old: &Numbers, new: &Numbers, policy| -> Vec<i64> {
            true_ups("m", old, new, policy).iter().map(|entry| entry.points).collect()
        };
        let (little, much, none) = (has(10, 20, 5), has(40, 0, 0), Numbers::default());
        assert_eq!(points(&little, &much, TrueUps::All), [15]);
        assert_eq!(points(&much, &little, TrueUps::All), [-15]);
        assert_eq!(points(&much, &little, TrueUps::Gains), [0; 0]);
        assert_eq!((points(&none, &much, TrueUps::Gains), points(&much, &none, TrueUps::All)), (vec![40], vec![-40]));
        assert_eq!(points(&little, &much, TrueUps::None), [0; 0]);
        assert_eq!(points(&has(10, 0, 0), &has(0, 10, 0), TrueUps::All), [0; 0], "pending is had, too");
    }
}
