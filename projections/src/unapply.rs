//! What undoes the entries of an application, so that balances come to what they would have been without it.
//!
//! Points that were given are taken back where they are; those that ended meanwhile are not taken a second time. Points that were
//! taken are given back with the end that they had; those that would have ended meanwhile are not.

use crate::apply::{Ends, Entry};
use crate::error::ProjectionError;
use crate::sweep::{Relatives, Sweep};
use accrue_ledger::{Body, Booked, EntryKind, EntryRef, Instant, Kind, MAIN, Outcome, Sink, Timeline};
use std::collections::{BTreeMap, BTreeSet};

/// Adjustments to be undone.
#[derive(Clone, Copy, Debug)]
pub struct Undoing<'a> {
    /// Of this program.
    pub program: &'a str,
    /// Under which rules they are looked at.
    pub rules: &'a Timeline,
    /// As of then, or behind what is known of a member.
    pub at: Instant,
    /// Who said them.
    pub source: &'a str,
    /// What their ids begin with.
    pub prefix: &'a str,
}

impl Undoing<'_> {
    /// What takes those of a shard back that were accepted, in the order of the sweep.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn entries(&self, sweep: &Sweep<'_>) -> Result<Vec<Entry>, ProjectionError> {
        let mut all = Vec::new();
        let each = |part: &mut Vec<Entry>, relatives: &mut Relatives<'_>| {
            self.each(relatives, part);
            Ok(())
        };
        sweep.run(Vec::new, each, |part, _| {
            all.extend(part);
            Ok(())
        })?;
        Ok(all)
    }

    fn each(&self, relatives: &mut Relatives<'_>, into: &mut Vec<Entry>) {
        if relatives.program != self.program {
            return;
        }
        let made: Vec<Made> = relatives.booked().iter().filter_map(|booked| self.made(booked)).collect();
        if made.is_empty() {
            return;
        }
        let mut since = Since { of: made.iter().map(|made| made.id.clone()).collect(), ..Since::default() };
        // What is asked for now is decided behind everything that is known (§7).
        let at = relatives.booked().iter().map(Booked::at).fold(self.at, Instant::max);
        for member in relatives.members(at) {
            relatives.fold(&member, self.rules, at, &mut since);
            since.lots.clear();
        }
        into.extend(made.iter().flat_map(|made| since.undo(made, at)));
    }

    fn made(&self, booked: &Booked<'_>) -> Option<Made> {
        let Body::PointsAdjusted(adjusted) = &booked.fact.body else { return None };
        let accepted = booked.decision.as_ref().is_some_and(|decision| matches!(decision.outcome, Outcome::Accepted(_)));
        let ours = accepted && booked.fact.source == self.source && adjusted.adjustment_id.starts_with(self.prefix);
        ours.then(|| Made {
            id: adjusted.adjustment_id.to_owned(),
            member: booked.fact.member.to_owned(),
            ledger: adjusted.ledger.unwrap_or(MAIN).to_owned(),
            points: adjusted.points,
        })
    }
}

/// An adjustment that was accepted.
struct Made {
    id: String,
    member: String,
    ledger: String,
    points: i64,
}

/// What became of adjustments. Two of members who were merged have the same id: what became of both is shared out.
#[derive(Default)]
struct Since {
    /// Their ids.
    of: BTreeSet<String>,
    /// Lots that they opened, of the member at hand.
    lots: BTreeMap<u32, String>,
    /// Points of these that ended.
    ended: BTreeMap<String, i64>,
    /// Points that they took, by the end of the lot that gave them, or owed.
    taken: BTreeMap<String, BTreeMap<Ends, i64>>,
}

impl Since {
    fn undo(&mut self, made: &Made, at: Instant) -> Vec<Entry> {
        let Made { id, member, ledger, points } = made;
        let entry = |points: i64, ends: Ends, takes_back: Option<String>| Entry {
            member: member.clone(),
            ledger: ledger.clone(),
            points,
            ends,
            takes_back,
        };
        if *points > 0 {
            let ended = self.ended.entry(id.clone()).or_default();
            let gone = (*ended).min(*points);
            *ended -= gone;
            return (gone < *points).then(|| entry(gone - points, Ends::Program, Some(id.clone()))).into_iter().collect();
        }
        let taken = self.taken.remove(id).unwrap_or_default();
        let still = taken.into_iter().filter(|(ends, _)| !matches!(ends, Ends::At(end) if *end <= at));
        still.map(|(ends, points)| entry(points, ends, None)).collect()
    }
}

impl Sink for Since {
    fn entry(&mut self, _: u32, entry: &EntryRef<'_>) {
        if entry.kind == EntryKind::Expired {
            for part in entry.lots {
                if let Some(id) = self.lots.get(&part.lot) {
                    *self.ended.entry(id.clone()).or_default() -= part.points;
                }
            }
        }
        if entry.source_kind != Kind::PointsAdjusted as u8 || !self.of.contains(entry.source) {
            return;
        }
        let id = entry.source.to_owned();
        match entry.kind {
            EntryKind::Adjusted if entry.points > 0 => self.lots.extend(entry.lots.iter().map(|part| (part.lot, id.clone()))),
            EntryKind::Adjusted | EntryKind::Cancelled => {
                let taken = self.taken.entry(id).or_default();
                entry.lots.iter().for_each(|part| *taken.entry(Ends::At(part.expires_at)).or_default() -= part.points);
            }
            EntryKind::DebtOpened => *self.taken.entry(id).or_default().entry(Ends::Program).or_default() += entry.points,
            _ => {}
        }
    }
}
