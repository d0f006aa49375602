//! Whether what analysts take away is what the engine answers (§14.8): flows against totals, lots against states.

use super::Flows;
use crate::error::ProjectionError;
use crate::export::{LotRow, Rows, Selection, Tables};
use crate::folded::{Folded, Folding};
use crate::reader::LedgerReader;
use crate::sweep::{Sweep, SweepOptions};
use accrue_ledger::{EntryKind, Instant};
use accrue_store::{Position, ShardLog};
use std::collections::BTreeMap;

/// Small parts, two threads: as many borders between parts as there can be.
const OPTIONS: SweepOptions = SweepOptions { threads: 2, memory_bytes: 1 };

/// What differs for a program at an instant that no fact comes after; empty: nothing.
///
/// # Errors
/// The log or the view can't be read.
pub fn differing_flows(
    log: &ShardLog,
    reader: &LedgerReader,
    program: &str,
    at: Instant,
) -> Result<Vec<String>, ProjectionError> {
    let rules = BTreeMap::from([(program.to_owned(), reader.timeline(program).unwrap_or_default())]);
    let sweep = Sweep { log, until: Position::MAX, recorded: None, options: OPTIONS, across: None };
    let of = Selection { tables: Tables { lots: true, ..Tables::default() }, from: Instant::MIN, until: Instant::MAX };
    let (mut flows, mut differing) = (Flows::default(), Vec::new());
    Folding { rules: &rules, member: None, from_hash: 0, at }.run(
        &sweep,
        || (Flows::default(), Vec::new()),
        |(flows, differing): &mut (Flows, Vec<String>), folded| {
            flows.member(folded, true);
            let mut rows = Rows::default();
            rows.member(folded, &of);
            differing.extend(differing_lots(folded, &rows.lots));
            Ok(())
        },
        |(more, found), _| {
            flows.merge(more);
            differing.extend(found);
            Ok(())
        },
    )?;
    differing.append(&mut flows.broken);
    let mut check = |what: String, is: i64, must: i64| {
        if is != must {
            differing.push(format!("{what}: {is} by flows, {must} by the engine"));
        }
    };
    for (ledger, sums) in &reader.outstanding(program, at)?.ledgers {
        let standing = flows.standing.get(ledger).copied().unwrap_or_default();
        check(format!("{ledger}, active"), standing.active, sums.active);
        check(format!("{ledger}, pending"), standing.pending, sums.pending);
        check(format!("{ledger}, debt"), standing.debt, sums.debt);
    }
    let totals = reader.totals(program, at)?;
    for row in &totals {
        let key = flows
            .days
            .iter()
            .find(|((ledger, day), _)| *ledger == row.ledger && accrue_ledger::calendar::date_of(*day) == row.day);
        let sums = key.map(|(_, sums)| *sums).unwrap_or_default();
        for kind in EntryKind::ALL.iter().filter(|kind| kind.moves_points()) {
            let must = row.points.get(kind.name()).copied().unwrap_or(0);
            check(format!("{}, {}, {}", row.ledger, row.day, kind.name()), sums.of(*kind), must);
        }
    }
    let entries: u64 = totals.iter().map(|row| row.entries).sum();
    check("entries".to_owned(), flows.days.values().map(|row| row.entries as i64).sum(), entries as i64);
    Ok(differing)
}

/// Lots that entries tell otherwise than the state has them.
fn differing_lots(folded: &Folded<'_>, lots: &[LotRow]) -> Vec<String> {
    let mut differing = Vec::new();
    let accounts = &folded.state.accounts;
    let mut open: BTreeMap<i64, (i64, &str)> = BTreeMap::new();
    for account in accounts {
        open.extend(account.active.iter().map(|lot| (i64::from(lot.number), (lot.left, "active"))));
        open.extend(account.pending.iter().map(|lot| (i64::from(lot.number), (lot.left, "pending"))));
    }
    for lot in lots {
        let (left, status) = open.remove(&lot.lot).unwrap_or((0, "closed"));
        let sum = lot.amount + lot.spent + lot.expired + lot.clawed_back + lot.repaid + lot.taken;
        if (lot.left, lot.status) != (left, status) || sum != left {
            let member = folded.member;
            differing.push(format!("{member}, lot {}: {left} {status} by the state, {sum} by {lot:?}", lot.lot));
        }
    }
    differing.extend(open.keys().map(|lot| format!("{}, lot {lot}: no entry tells of it", folded.member)));
    differing
}
