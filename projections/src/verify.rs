//! Deriving everything again from the log, and checking every invariant of §14 on the way.

use crate::error::ProjectionError;
use crate::ledger::{Ledger, LedgerOptions};
use crate::reader::{AsKnown, AsOf, LedgerReader, Wanted};
use accrue_ledger::{EntryKind, Fold, Instant, Member, Records, Sums, broken_invariants};
use accrue_store::{Counters, Position, Store};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What a verification found in one shard.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The shard.
    pub shard: u32,
    /// Frames in the log: all positions without a gap, their chain unbroken.
    pub frames: u64,
    /// Facts, duplicates and dead letters: everything that was ever consumed.
    pub consumed: u64,
    /// Members checked.
    pub members: u64,
    /// Digest of what is live, by program.
    pub live: BTreeMap<String, String>,
    /// Digest of what the log gives, by program.
    pub derived: BTreeMap<String, String>,
    /// Everything that does not hold; empty: all is well.
    pub broken: Vec<String>,
}

impl Report {
    /// Whether everything holds.
    pub fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Verifies a shard against its log. `scratch`: a directory for the second derivation; it is left empty.
///
/// # Errors
/// The log or the view can't be read. What does not hold is in the report.
pub fn verify(
    store: &Store,
    live: &LedgerReader,
    options: LedgerOptions,
    scratch: &Path,
    mut progress: impl FnMut(Position),
) -> Result<Report, ProjectionError> {
    let shard = live.shard();
    let log = store.shard(shard)?;
    let mut report = Report { shard, ..Report::default() };
    match log.verify_chain(|_| ()) {
        Ok(_) => {}
        Err(error) => report.broken.push(format!("§14.7: {error}")),
    }
    let head = log.head();
    report.frames = head.next_position.0 - 1;
    report.consumed = head.counters.consumed();
    check_counters(&head.counters, report.frames, &mut report.broken);
    let again = derive_again(store, shard, options, scratch, &mut progress)?;
    for program in live.programs() {
        let (is, must) = (live.digest(&program)?, again.digest(&program)?);
        if is != must {
            report.broken.push(format!("§14.5: program {program}: live digest {is}, the log gives {must}"));
            first_difference(live, &again, &program, &mut report)?;
        }
        report.live.insert(program.clone(), is.to_string());
        report.derived.insert(program.clone(), must.to_string());
        check_members(live, &program, &mut report)?;
    }
    Ok(report)
}

fn check_counters(counters: &Counters, frames: u64, broken: &mut Vec<String>) {
    if counters.frames() != frames {
        broken.push(format!("§14.7: {} facts and requests were counted, {frames} are in the log", counters.frames()));
    }
}

/// A second ledger from the same log, in a store of its own.
fn derive_again(
    store: &Store,
    shard: u32,
    options: LedgerOptions,
    scratch: &Path,
    progress: &mut impl FnMut(Position),
) -> Result<LedgerReader, ProjectionError> {
    let mut ledger = Ledger::open_scratch(store, shard, options, scratch)?;
    ledger.derive(progress)?;
    Ok(ledger.reader())
}

/// Names the first member that differs, and how.
fn first_difference(
    live: &LedgerReader,
    again: &LedgerReader,
    program: &str,
    report: &mut Report,
) -> Result<(), ProjectionError> {
    let mut derived = BTreeMap::new();
    again.each_member(program, "", |member, state| {
        derived.insert(member.to_string(), state);
        Ok(true)
    })?;
    live.each_member(program, "", |member, state| {
        let must = derived.remove(member);
        if must.as_ref() == Some(&state) {
            return Ok(true);
        }
        report.broken.push(format!("member {member}: live {state:?}, the log gives {must:?}"));
        Ok(false)
    })
}

fn check_members(live: &LedgerReader, program: &str, report: &mut Report) -> Result<(), ProjectionError> {
    let rules = live.timeline(program).unwrap_or_default();
    let mut latest = Instant::MIN;
    let (mut members, mut broken) = (0, Vec::new());
    live.each_member(program, "", |member, state| {
        members += 1;
        latest = latest.max(state.last.at);
        let at = state.last.at;
        broken
            .extend(broken_invariants(&state, &Records::complete(), at).iter().map(|wrong| format!("member {member}: {wrong}")));
        // Tiers that are kept are held again for ever; points don't depend on them any more.
        let mut later = Member { tier: None, ..state };
        Fold::new(&mut later, &mut Records::complete(), &rules, &mut ()).advance(Instant(i64::MAX - 1));
        let at = Instant(i64::MAX - 1);
        broken.extend(
            broken_invariants(&later, &Records::complete(), at)
                .iter()
                .map(|wrong| format!("member {member}, at the end of time: {wrong}")),
        );
        Ok(true)
    })?;
    report.members += members;
    report.broken.extend(broken);
    if members > 0 {
        check_totals(live, program, latest, report)?;
    }
    Ok(())
}

/// §14.8: the sums of members are the totals of the program.
fn check_totals(live: &LedgerReader, program: &str, at: Instant, report: &mut Report) -> Result<(), ProjectionError> {
    let mut by_ledger: BTreeMap<String, BTreeMap<&'static str, i64>> = BTreeMap::new();
    for row in live.totals(program, at)? {
        let sums = by_ledger.entry(row.ledger).or_default();
        row.points.into_iter().for_each(|(kind, points)| *sums.entry(kind).or_default() += points);
    }
    for (ledger, sums) in live.outstanding(program, at)?.ledgers {
        let totals = by_ledger.remove(&ledger).unwrap_or_default();
        let of = |kind: EntryKind| totals.get(kind.name()).copied().unwrap_or(0);
        let checks: [(&str, i64, i64); 7] = [
            ("moved in", sums.moved_in, of(EntryKind::TransferredIn)),
            ("moved out", sums.moved_out, -of(EntryKind::TransferredOut)),
            ("credited", sums.earned - sums.deducted, of(EntryKind::Earned) + of(EntryKind::Imported) + of(EntryKind::Adjusted)),
            ("spent", sums.spent + sums.repaid_back, -of(EntryKind::Spent) - of(EntryKind::Restored) + 2 * sums.repaid_back),
            ("expired", sums.expired, -of(EntryKind::Expired)),
            ("cancelled", sums.cancelled, -of(EntryKind::Cancelled)),
            ("clawed back", sums.clawed_back, -of(EntryKind::ClawedBack)),
        ];
        for (what, members, totals) in checks {
            if members != totals {
                report
                    .broken
                    .push(format!("§14.8: program {program}, ledger {ledger}: {what} of members {members}, of totals {totals}"));
            }
        }
        check_debt(program, &ledger, &sums, of(EntryKind::DebtOpened), of(EntryKind::DebtRepaid), report);
    }
    Ok(())
}

fn check_debt(program: &str, ledger: &str, sums: &Sums, opened: i64, repaid: i64, report: &mut Report) {
    if sums.debt != opened + repaid {
        report.broken.push(format!(
            "§14.8: program {program}, ledger {ledger}: debt of members {}, of totals {}",
            sums.debt,
            opened + repaid
        ));
    }
}

impl LedgerReader {
    /// Invariants of one member as of an instant, for tests that check after every fact.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn broken_invariants(&self, program: &str, member: &str, at: Instant) -> Result<Vec<String>, ProjectionError> {
        let asked = AsOf { as_of: Some(at), known: AsKnown::Now };
        let Some(found) = self.find(program, member, asked, at, Wanted::State)? else {
            return Ok(Vec::new());
        };
        Ok(broken_invariants(&found.state, &Records::complete(), at).iter().map(ToString::to_string).collect())
    }
}
