//! Everybody as of a past, by one sweep of the log: what lists and sums are made of. Memory is bounded by the sweep's options.

use super::{AsKnown, AsOf, LedgerReader, Outstanding, TierMoves};
use crate::answer::{ExceptionAnswer, ExpiringRow, MemberRow, TotalsRow};
use crate::error::ProjectionError;
use crate::sweep::{Sweep, SweepOptions, Swept};
use crate::totals::Totals;
use accrue_ledger::{Entry, EntryRef, Instant, Member, Sums, Timeline};
use std::collections::{BTreeMap, BTreeSet};

/// How everybody is folded.
pub struct Sweeping<'a> {
    /// The program.
    pub program: &'a str,
    /// Which past.
    pub asked: AsOf,
    /// The instant meant where none is given.
    pub now: Instant,
    /// What it may use.
    pub options: SweepOptions,
    /// Is told how far it has come.
    pub progress: &'a (dyn Fn(Swept) + Sync),
}

impl Sweeping<'_> {
    /// The instant.
    pub fn at(&self) -> Instant {
        self.asked.as_of.unwrap_or(self.now)
    }
}

impl AsOf {
    /// Whether it is what is known now, as of now or later: what the view has.
    pub fn is_present(&self, now: Instant) -> bool {
        self.known == AsKnown::Now && self.as_of.is_none_or(|at| at >= now)
    }
}

/// A member of then.
struct Then<'a> {
    member: &'a str,
    state: &'a Member,
    entries: &'a [Entry],
}

impl LedgerReader {
    /// Gives every member of a past to `each`, part by part; `with_entries`: with everything that happened to it.
    fn each_then<A: Send>(
        &self,
        how: &Sweeping<'_>,
        with_entries: bool,
        start: impl Fn() -> A + Sync,
        each: impl Fn(&mut A, &Timeline, &Then<'_>) + Sync,
        mut done: impl FnMut(A),
    ) -> Result<(), ProjectionError> {
        let (at, (position, recorded)) = (how.at(), how.asked.known.bounds());
        let programs = self.programs_now();
        let Some(rules) = programs.known(how.program, position, recorded) else { return Ok(()) };
        let tied = self.tied(how.program)?;
        let until = position.map_or(self.shared.durable(), |position| position.next().min(self.shared.durable()));
        let sweep = Sweep { log: &self.shared.log, until, recorded, options: how.options, across: None };
        let part = |of_part: &mut A, relatives: &mut crate::sweep::Relatives<'_>| {
            if relatives.program != how.program {
                return Ok(());
            }
            for member in relatives.members(at).into_iter().filter(|member| !tied.contains(member)) {
                let mut entries = Vec::new();
                let (state, _) = match with_entries {
                    true => relatives.fold(&member, &rules, at, &mut entries),
                    false => relatives.fold(&member, &rules, at, &mut ()),
                };
                if state.known {
                    each(of_part, &rules, &Then { member: &member, state: &state, entries: &entries });
                }
            }
            Ok(())
        };
        sweep.run(&start, part, |of_part, swept| {
            (how.progress)(swept);
            done(of_part);
            Ok(())
        })?;
        // Whose facts may be in other shards, too, is asked for one by one.
        let mut of_tied = start();
        for member in &tied {
            if let Some((found, entries)) = self.find_entries(how.program, member, how.asked, how.now)?
                && *found.member == **member
            {
                each(&mut of_tied, &found.rules, &Then { member, state: &found.state, entries: &entries });
            }
        }
        done(of_tied);
        Ok(())
    }

    /// Everybody whom merges ever tied to somebody, as far as is known here.
    fn tied(&self, program: &str) -> Result<BTreeSet<String>, ProjectionError> {
        let mut tied = BTreeSet::new();
        if !self.shared.tiers.read().merges {
            return Ok(tied);
        }
        self.each_member(program, "", |member, state| {
            if let Some(links) = state.links() {
                tied.insert(member.to_owned());
                tied.extend(links.family.iter().map(ToString::to_string));
            }
            Ok(true)
        })?;
        Ok(tied)
    }

    /// Gives the rows of all members of a past to `each`, in no order.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn members_then(&self, how: &Sweeping<'_>, mut each: impl FnMut(MemberRow)) -> Result<(), ProjectionError> {
        let row = |rows: &mut Vec<MemberRow>, rules: &Timeline, then: &Then<'_>| {
            rows.push(MemberRow::of(self.shard(), then.member, then.state, rules));
        };
        self.each_then(how, false, Vec::new, row, |rows| rows.into_iter().for_each(&mut each))
    }

    /// Gives all exceptions that waited for a person in a past to `each`, in no order of members.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn exceptions_then(&self, how: &Sweeping<'_>, mut each: impl FnMut(ExceptionAnswer)) -> Result<(), ProjectionError> {
        let of_member = |rows: &mut Vec<ExceptionAnswer>, _: &Timeline, then: &Then<'_>| {
            let troubles = then.state.counters.iter().flat_map(|counters| &counters.troubles);
            rows.extend(troubles.map(|trouble| ExceptionAnswer::of(then.member, trouble)));
        };
        self.each_then(how, false, Vec::new, of_member, |rows| rows.into_iter().for_each(&mut each))
    }

    /// Gives all spendable points of a past that end after its instant and at or before `until` to `each`, in no order of members.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn expiring_then(
        &self,
        how: &Sweeping<'_>,
        until: Instant,
        mut each: impl FnMut(ExpiringRow),
    ) -> Result<(), ProjectionError> {
        let at = how.at();
        let of_member = |rows: &mut Vec<ExpiringRow>, rules: &Timeline, then: &Then<'_>| {
            super::tiers::expiring(then.member, then.state, rules, at, until, |row| rows.push(row));
        };
        self.each_then(how, false, Vec::new, of_member, |rows| rows.into_iter().for_each(&mut each))
    }

    /// How many members there were in a past, and the sums of their numbers by ledger.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn outstanding_then(&self, how: &Sweeping<'_>) -> Result<Outstanding, ProjectionError> {
        let (mut members, mut ledgers) = (0, BTreeMap::<String, Sums>::new());
        let of_member = |of_part: &mut Outstanding, _: &Timeline, then: &Then<'_>| {
            of_part.members += 1;
            super::sums::add_sums(&mut of_part.ledgers, then.state);
        };
        self.each_then(how, false, Outstanding::default, of_member, |of_part| {
            members += of_part.members;
            for (ledger, sums) in of_part.ledgers {
                super::sums::add(ledgers.entry(ledger).or_default(), &sums);
            }
        })?;
        Ok(Outstanding { members, ledgers })
    }

    /// Sums of the entries of a past by ledger and local day.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn totals_then(&self, how: &Sweeping<'_>) -> Result<Vec<TotalsRow>, ProjectionError> {
        let mut all: BTreeMap<(String, String), TotalsRow> = BTreeMap::new();
        let of_member = |totals: &mut Totals, rules: &Timeline, then: &Then<'_>| {
            for entry in then.entries {
                if let Some(in_force) = rules.at(entry.at) {
                    totals.add(how.program, in_force, &borrowed(entry), 1);
                }
            }
        };
        self.each_then(how, true, Totals::default, of_member, |of_part| {
            for (_, ledger, day, row) in of_part.iter() {
                let row = TotalsRow::of(ledger, day, row);
                let sum = all.entry((row.ledger.clone(), row.day.clone())).or_insert_with(|| TotalsRow {
                    points: BTreeMap::new(),
                    entries: 0,
                    ..row.clone()
                });
                row.points.iter().for_each(|(kind, points)| *sum.points.entry(kind).or_default() += points);
                sum.entries += row.entries;
            }
        })?;
        Ok(all.into_values().collect())
    }

    /// The moves of a past between tiers.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn tier_moves_then(&self, how: &Sweeping<'_>) -> Result<TierMoves, ProjectionError> {
        let (at, mut moves) = (how.at(), TierMoves::default());
        let of_member = |moves: &mut TierMoves, rules: &Timeline, then: &Then<'_>| {
            moves.of_member(then.member, then.state.last.at.min(at), then.entries, rules);
        };
        self.each_then(how, true, TierMoves::default, of_member, |of_part| moves.add(of_part))?;
        Ok(moves)
    }
}

fn borrowed(entry: &Entry) -> EntryRef<'_> {
    EntryRef {
        kind: entry.kind,
        at: entry.at,
        ledger: &entry.ledger,
        points: entry.points,
        active_after: entry.active_after,
        source_kind: entry.source_kind,
        source: &entry.source,
        ruleset: entry.ruleset,
        rule: entry.rule,
        lots: &entry.lots,
        why: entry.why.clone(),
    }
}
