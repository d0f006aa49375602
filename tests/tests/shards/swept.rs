//! Sweeps of all shards (exports, what is owed, comparisons, lists of a past) say what that of one shard says.

use super::world::World;
use accrue_ledger::{Instant, Ruleset, Text, Timeline};
use accrue_projections::export::{Rows, Selection, Tables};
use accrue_projections::liability::Flows;
use accrue_projections::{Across, AsKnown, AsOf, Comparison, Folding, LedgerReader, Sweep, SweepOptions, Sweeping, Tally};
use accrue_store::{Position, ShardLog};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::sync::Arc;

const PROGRAM: &str = "test";
/// As many borders between parts as there can be.
const OPTIONS: SweepOptions = SweepOptions { threads: 2, memory_bytes: 1 };
const ALL: Selection = Selection { tables: Tables::ALL, from: Instant::MIN, until: Instant::MAX };

/// The shards of a world, where they are now.
struct Shards(Vec<(LedgerReader, ShardLog, Position)>);

impl Shards {
    fn of(world: &mut World) -> Result<Shards> {
        let count = world.desks.count();
        let one = |shard: usize| {
            let desk = world.desks.desk(shard);
            let reader = desk.reader()?;
            let log = desk.store().shard(reader.shard())?;
            let until = reader.next_position();
            Ok((reader, log, until))
        };
        Ok(Shards((0..count).map(one).collect::<Result<_>>()?))
    }

    fn across(&self) -> Result<Across> {
        let all: Vec<_> = self.0.iter().map(|(reader, _, until)| (reader.clone(), *until)).collect();
        Ok(Across::of(&all, None)?)
    }

    fn rules(&self) -> Result<Timeline> {
        self.0.first().and_then(|(reader, ..)| reader.timeline(PROGRAM)).context("rules")
    }

    /// Rows of everybody, those of one member together, in order; and the sums. A member comes once.
    fn rows(&self, at: Instant) -> Result<(Vec<String>, String)> {
        let (across, rules) = (self.across()?, BTreeMap::from([(PROGRAM.to_owned(), self.rules()?)]));
        let (mut all, mut flows) = (Vec::new(), Flows::default());
        for (_, log, until) in &self.0 {
            let sweep = Sweep { log, until: *until, recorded: None, options: OPTIONS, across: Some(&across) };
            let mut before = 0;
            Folding { rules: &rules, member: None, from_hash: 0, at }.run(
                &sweep,
                || (Vec::new(), Flows::default()),
                |(told, flows): &mut (Vec<(u64, String)>, Flows), folded| {
                    let mut rows = Rows::default();
                    rows.member(folded, &ALL);
                    // Codes are of the store.
                    rows.entries.iter_mut().filter(|row| row.why == "coupon").for_each(|row| row.code = None);
                    rows.coupons.iter_mut().for_each(|row| row.code = Text::default());
                    rows.redemptions.iter_mut().for_each(|row| row.coupon = None);
                    flows.member(folded, true);
                    told.push((folded.hash, format!("{} {rows:?}", folded.member)));
                    Ok(())
                },
                |(told, more), _| {
                    for (hash, row) in told {
                        // A replay that was broken off goes on by this order.
                        assert!(before <= hash, "{row} comes too late");
                        before = hash;
                        all.push(row);
                    }
                    flows.merge(more);
                    Ok(())
                },
            )?;
        }
        all.sort();
        Ok((all, format!("{flows:?}")))
    }

    fn compared(&self, new: &Timeline, at: Instant) -> Result<String> {
        let (across, old, mut tally) = (self.across()?, self.rules()?, Tally::new(0));
        for (_, log, until) in &self.0 {
            let sweep = Sweep { log, until: *until, recorded: None, options: OPTIONS, across: Some(&across) };
            let comparison = Comparison { program: PROGRAM, old: &old, new, at, sample: 1, named: 0 };
            comparison.add(&sweep, &mut tally, |_| ())?;
        }
        let Tally { members, changed, moved, ledgers, tiers, rules, sizes, uncovered, .. } = &tally;
        Ok(format!("{members} {changed} {moved} {ledgers:?} {tiers:?} {rules:?} {sizes:?} {uncovered:?}"))
    }

    /// The list of members of a past.
    fn listed(&self, at: Instant, now: Instant) -> Result<Vec<String>> {
        let all: Vec<LedgerReader> = self.0.iter().map(|(reader, ..)| reader.clone()).collect();
        let asked = AsOf { as_of: Some(at), known: AsKnown::Now };
        let mut rows = Vec::new();
        for reader in &all {
            let how = Sweeping { program: PROGRAM, asked, now, options: OPTIONS, progress: &|_| () };
            reader.beside(&all).members_then(&how, |row| {
                let mut row = serde_json::to_value(row).unwrap_or_default();
                row.as_object_mut().map(|row| row.remove("shard"));
                rows.push(row.to_string());
            })?;
        }
        rows.sort();
        Ok(rows)
    }
}

/// Compares them at some instants; `now`: the last.
pub fn same(one: &mut World, many: &mut World, instants: &[i64], now: i64) -> Result<()> {
    let (of_one, of_many) = (Shards::of(one)?, Shards::of(many)?);
    let ruleset = Arc::new(Ruleset::parse(super::spending::RULES).map_err(|error| anyhow::anyhow!("{error}"))?);
    let new = of_one.rules()?.replaced(Instant::MIN, None, &ruleset);
    for at in instants.iter().map(|at| Instant(*at)) {
        let (by_one, by_many) = (of_one.rows(at)?, of_many.rows(at)?);
        let plain = |world: &World, (rows, flows): (Vec<String>, String)| -> (Vec<String>, String) {
            (rows.iter().map(|row| world.without_codes(row)).collect(), world.without_codes(&flows))
        };
        let (by_one, by_many) = (plain(one, by_one), plain(many, by_many));
        let differ = by_one.0.iter().zip(&by_many.0).find(|(one, many)| one != many).map(|(one, many)| apart(one, many));
        ensure!(by_one.0 == by_many.0, "at {at}, {} and {} members: {differ:#?}", by_one.0.len(), by_many.0.len());
        ensure!(by_one.1 == by_many.1, "at {at}: {}\n{}", by_one.1, by_many.1);
        let (by_one, by_many) = (of_one.compared(&new, at)?, of_many.compared(&new, at)?);
        ensure!(by_one == by_many, "compared at {at}:\n{by_one}\n{by_many}");
        let (by_one, by_many) = (of_one.listed(at, Instant(now))?, of_many.listed(at, Instant(now))?);
        ensure!(by_one == by_many, "listed at {at}:\n{by_one:#?}\n{by_many:#?}");
    }
    Ok(())
}

/// Two texts from a little before where they differ.
fn apart<'a>(one: &'a str, many: &'a str) -> [&'a str; 2] {
    let same = one.bytes().zip(many.bytes()).take_while(|(one, many)| one == many).count();
    [one, many].map(|text| text.get(same.saturating_sub(200)..(same + 200).min(text.len())).unwrap_or(text))
}
