//! One member's entries under two timelines: those that only one of them makes, side by side.

use super::Comparison;
use crate::answer::EntryAnswer;
use crate::sweep::Relatives;
use accrue_ledger::{Entry, EntryRef, Sink, Timeline};
use serde::Serialize;
use std::collections::BTreeMap;

/// Entries of each side that are shown; the rest is counted.
const SHOWN_MAX: usize = 40;

/// What only one side has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// Entries under the rules there are, in order, with their reasons.
    pub old: Vec<EntryAnswer>,
    /// Under the others.
    pub new: Vec<EntryAnswer>,
    /// Entries that are not shown, of both sides.
    pub more: usize,
}

struct Kept(Vec<Entry>);

impl Sink for Kept {
    fn entry(&mut self, _: u32, entry: &EntryRef<'_>) {
        if entry.kind.moves_points() {
            self.0.push(entry.to_entry());
        }
    }
}

impl Comparison<'_> {
    pub(super) fn beside(&self, relatives: &mut Relatives<'_>, member: &str) -> Beside {
        let mut entries = |rules: &Timeline| {
            let mut kept = Kept(Vec::new());
            relatives.fold(member, rules, self.at, &mut kept);
            let numbered = kept.0.iter().enumerate();
            numbered.map(|(number, entry)| EntryAnswer::of(number as u32, entry, rules)).collect::<Vec<EntryAnswer>>()
        };
        let (old, new) = (entries(self.old), entries(self.new));
        let (mut old, mut new) = (only(&old, &new), only(&new, &old));
        let more = old.len().saturating_sub(SHOWN_MAX) + new.len().saturating_sub(SHOWN_MAX);
        old.truncate(SHOWN_MAX);
        new.truncate(SHOWN_MAX);
        Beside { old, new, more }
    }
}

/// Entries that the others do not have, as often as they do not.
fn only(these: &[EntryAnswer], others: &[EntryAnswer]) -> Vec<EntryAnswer> {
    let key = |entry: &EntryAnswer| {
        let (ledger, rule, source) = (entry.ledger.clone(), entry.rule.clone(), entry.source.clone());
        (entry.at.clone(), entry.kind, ledger, entry.points, rule, source)
    };
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    others.iter().for_each(|entry| *known.entry(key(entry)).or_default() += 1);
    let mut is_new = |entry: &&EntryAnswer| match known.get_mut(&key(entry)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    these.iter().filter(&mut is_new).cloned().collect()
}
