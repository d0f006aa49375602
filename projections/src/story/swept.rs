//! The same states by a sweep over the log as those that answers are made of.

use super::{Desk, StoryError};
use crate::sweep::{Sweep, SweepOptions};
use accrue_ledger::{Fold, Instant, Member, Records};
use accrue_store::Position;
use std::collections::BTreeMap;

/// Members whose states differ at an instant; empty: none.
pub(super) fn differing(desk: &Desk, program: &str, at: Instant) -> Result<Vec<String>, StoryError> {
    let reader = desk.reader()?;
    let rules = reader.timeline(program).unwrap_or_default();
    let mut kept: BTreeMap<String, Member> = BTreeMap::new();
    reader.each_member(program, "", |member, mut state| {
        Fold::new(&mut state, &mut Records::complete(), &rules, &mut ()).advance(at);
        kept.insert(member.to_owned(), state);
        Ok(true)
    })?;
    // An alias has no state of its own, but what ties it.
    kept.retain(|_, state| state.winner().is_none());
    let log = desk.store().shard(reader.shard())?;
    let sweep = Sweep {
        log: &log,
        until: Position::MAX,
        recorded: None,
        options: SweepOptions { threads: 2, memory_bytes: 1 },
        across: None,
    };
    let mut swept: BTreeMap<String, Member> = BTreeMap::new();
    sweep.run(
        Vec::new,
        |folded, relatives| {
            if relatives.program != program {
                return Ok(());
            }
            for member in relatives.members(at) {
                let (state, _) = relatives.fold(&member, &rules, at, &mut ());
                folded.push((member, state));
            }
            Ok(())
        },
        |folded, _| {
            swept.extend(folded);
            Ok(())
        },
    )?;
    let names = kept.keys().chain(swept.keys().filter(|member| !kept.contains_key(*member)));
    Ok(names.filter(|member| kept.get(*member) != swept.get(*member)).cloned().collect())
}
