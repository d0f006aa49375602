//! Every member of a program in order of id: memory over disk, without a list of everybody in memory.

use super::{LedgerReader, RecordsInOrder};
use crate::codec::BadRow;
use crate::error::ProjectionError;
use crate::rows::{packed_member, read_member};
use crate::shared::Tiers;
use accrue_ledger::{Fold, Instant, Member, Pack, Records, Sums};
use accrue_store::keys;
use std::collections::{BTreeMap, BinaryHeap};

/// Members of memory that are put in order at a time: at first, for a page;
const SORTED_FIRST: usize = 256;
/// and at most, for everybody.
const SORTED_MAX: usize = 64 * 1024;
/// Members looked at before the writer may go on.
const PAGE_MEMBERS: usize = 4 * 1024;

/// Members of memory by id, some at a time: each time those with the smallest ids behind the last are looked for.
struct InMemory<'a> {
    tiers: &'a Tiers,
    program: &'a str,
    after: &'a str,
    /// In descending order: the next is the last.
    sorted: Vec<(&'a str, &'a Member)>,
    /// How many are put in order the next time; 0: there are no more.
    next: usize,
}

impl<'a> InMemory<'a> {
    fn new(tiers: &'a Tiers, program: &'a str, after: &'a str) -> InMemory<'a> {
        InMemory { tiers, program, after, sorted: Vec::new(), next: SORTED_FIRST }
    }

    fn peek(&mut self) -> Option<(&'a str, &'a Member)> {
        if self.sorted.is_empty() && self.next > 0 {
            self.look();
        }
        self.sorted.last().copied()
    }

    fn skip(&mut self) {
        self.sorted.pop();
    }

    fn look(&mut self) {
        let (tiers, program, after) = (self.tiers, self.program, self.after);
        let hidden = |slot: &crate::tier::Slot| {
            let live = tiers.live.find(slot.hash, &slot.program, &slot.member);
            live.is_some_and(|live| tiers.live.slots[live as usize].state.facts > 0)
        };
        let frozen = tiers.frozen.as_deref().into_iter().flat_map(|tier| tier.slots.iter()).map(|slot| (slot, true));
        let live = tiers.live.slots.iter().map(|slot| (slot, false));
        let mut smallest: BinaryHeap<ById<'_>> = BinaryHeap::with_capacity(self.next);
        for (slot, frozen) in frozen.chain(live) {
            if *slot.program != *program || *slot.member <= *after || slot.state.facts == 0 {
                continue;
            }
            let of_page = smallest.len() < self.next || smallest.peek().is_some_and(|largest| *slot.member < *largest.0);
            if !of_page || (frozen && hidden(slot)) {
                continue;
            }
            if smallest.len() == self.next {
                smallest.pop();
            }
            smallest.push(ById(&slot.member, &slot.state));
        }
        let more = smallest.len() == self.next;
        self.sorted = smallest.into_sorted_vec().into_iter().rev().map(|ById(member, state)| (member, state)).collect();
        self.after = self.sorted.first().map_or(after, |(largest, _)| largest);
        self.next = if more { (self.next * 4).min(SORTED_MAX) } else { 0 };
    }
}

struct ById<'a>(&'a str, &'a Member);

impl PartialEq for ById<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for ById<'_> {}

impl PartialOrd for ById<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ById<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(other.0)
    }
}

/// How many members a program has, and the sums of their numbers by ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outstanding {
    /// Members with a fact or an accepted request.
    pub members: u64,
    /// Active, pending, owed, … by ledger.
    pub ledgers: BTreeMap<String, Sums>,
}

/// A member's state where it is.
pub(crate) enum Known<'a> {
    /// In memory.
    Memory(&'a Member),
    /// On disk.
    Row(&'a [u8]),
}

impl Known<'_> {
    pub fn read(&self) -> Result<Member, BadRow> {
        match self {
            Known::Memory(state) => Ok((*state).clone()),
            Known::Row(row) => read_member(row),
        }
    }

    /// Appends the packed state: the same bytes wherever it is.
    pub fn pack(&self, bytes: &mut Vec<u8>) -> Result<(), BadRow> {
        match self {
            Known::Memory(state) => state.pack(bytes),
            Known::Row(row) => bytes.extend_from_slice(packed_member(row)?),
        }
        Ok(())
    }
}

impl LedgerReader {
    /// Gives every member of a program after `after`, in order of id, to `each` until it says no. The writer waits meanwhile.
    pub(crate) fn each_member(
        &self,
        program: &str,
        after: &str,
        mut each: impl FnMut(&str, Member) -> Result<bool, ProjectionError>,
    ) -> Result<(), ProjectionError> {
        self.each_known(program, after, |member, known, _| each(member, known.read()?))
    }

    /// As [`LedgerReader::each_member`], without reading their states.
    pub(crate) fn each_known(
        &self,
        program: &str,
        after: &str,
        mut each: impl FnMut(&str, Known<'_>, &mut RecordsInOrder<'_>) -> Result<bool, ProjectionError>,
    ) -> Result<(), ProjectionError> {
        let tiers = self.shared.tiers.read();
        let mut in_memory = InMemory::new(&tiers, program, after);
        let mut records = RecordsInOrder::new(&tiers, program);
        let (mut prefix, mut from) = (Vec::new(), Vec::new());
        keys::members_of(&mut prefix, program);
        keys::member(&mut from, program, after);
        let mut rows = tiers.view.scan_prefix_from(&prefix, &from)?;
        let mut on_disk = rows.next_row()?;
        loop {
            let disk = on_disk.and_then(|(key, row)| match keys::parse_view(key) {
                Some(keys::ViewKey::Member(of)) => Some((of.member, row)),
                _ => None,
            });
            let go_on = match (disk, in_memory.peek()) {
                (None, None) => return Ok(()),
                (Some((member, _)), _) if member <= after => true,
                (Some((member, row)), memory) if memory.is_none_or(|(known, _)| member < known) => {
                    each(member, Known::Row(row), &mut records)?
                }
                (disk, Some((member, state))) => {
                    in_memory.skip();
                    if !each(member, Known::Memory(state), &mut records)? {
                        return Ok(());
                    }
                    if disk.is_none_or(|(known, _)| known != member) {
                        continue;
                    }
                    true
                }
                (Some(_), None) => return Ok(()),
            };
            if !go_on {
                return Ok(());
            }
            on_disk = rows.next_row()?;
        }
    }

    /// What members of a program have at `now`, for metrics: some thousand members at a time, the writer goes on in between.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn outstanding(&self, program: &str, now: Instant) -> Result<Outstanding, ProjectionError> {
        let rules = self.timeline(program).unwrap_or_default();
        let (mut of_all, mut after) = (Outstanding::default(), String::new());
        loop {
            let mut looked_at = 0;
            let from = std::mem::take(&mut after);
            self.each_member(program, &from, |member, mut state| {
                looked_at += 1;
                Fold::new(&mut state, &mut Records::complete(), &rules, &mut ()).advance(now);
                of_all.members += u64::from(state.known);
                super::sums::add_sums(&mut of_all.ledgers, &state);
                if looked_at == PAGE_MEMBERS {
                    member.clone_into(&mut after);
                }
                Ok(looked_at < PAGE_MEMBERS)
            })?;
            if after.is_empty() {
                return Ok(of_all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerOptions;
    use crate::story::Desk;
    use accrue_ledger::Instant;

    const RULES: &str = "program = \"p\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";

    fn order(desk: &mut Desk, member: &str, n: usize) {
        let text = format!(
            r#"{{"id": "{n}", "source": "s", "program": "p", "member": "{member}", "occurred_at": "2024-03-01T10:00:00Z",
               "order_placed": {{"order_id": "{n}", "currency": "GBP",
               "lines": [{{"line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00"}}]}}}}"#
        );
        let fact = accrue_proto::json::fact_from_json(text.as_bytes(), &accrue_proto::json::Defaults::default()).expect("valid");
        let mut bytes = Vec::new();
        accrue_proto::write_fact(&fact, &mut bytes);
        desk.deliver(&bytes).expect("delivered");
    }

    #[test]
    fn everybody_comes_once_in_order_from_memory_and_disk() {
        let dir = tempfile::tempdir().expect("dir");
        let mut desk = Desk::open(dir.path(), LedgerOptions::default()).expect("opens");
        desk.activate("p", RULES, Instant(0)).expect("in force");
        let name = |n: usize| format!("m{:04}", (n * 7_919) % 3_000);
        (0..1_000).for_each(|n| order(&mut desk, &name(n), n));
        desk.checkpoint().expect("written");
        // Some of them again, and more than are put in order at a time.
        (500..2_000).for_each(|n| order(&mut desk, &name(n), n + 10_000));
        let reader = desk.reader().expect("open");
        let mut expected: Vec<String> = (0..2_000).map(name).collect();
        expected.sort();
        expected.dedup();
        let mut seen = Vec::new();
        reader
            .each_member("p", "", |member, state| {
                seen.push(member.to_owned());
                assert!(state.facts > 0);
                Ok(true)
            })
            .expect("walks");
        assert_eq!(seen, expected);
        let mut paged: Vec<String> = Vec::new();
        loop {
            let after = paged.last().cloned().unwrap_or_default();
            let page = reader.members("p", &after, 333, Instant(i64::MAX / 2)).expect("a page");
            if page.is_empty() {
                break;
            }
            paged.extend(page.into_iter().map(|row| row.member));
        }
        assert_eq!(paged, expected);
        let all = reader.outstanding("p", Instant::parse("2024-04-01T00:00:00Z").expect("an instant")).expect("sums");
        assert_eq!((all.members, all.ledgers["main"].active), (2_000, 5 * 2_500));
    }

    #[test]
    fn few_are_put_in_order_for_a_page() {
        let dir = tempfile::tempdir().expect("dir");
        let mut desk = Desk::open(dir.path(), LedgerOptions::default()).expect("opens");
        desk.activate("p", RULES, Instant(0)).expect("in force");
        (0..2_000).for_each(|n| order(&mut desk, &format!("m{n:04}"), n));
        let reader = desk.reader().expect("open");
        let tiers = reader.shared.tiers.read();
        let mut in_memory = InMemory::new(&tiers, "p", "m0990");
        assert_eq!(in_memory.peek().map(|(member, _)| member), Some("m0991"));
        assert_eq!(in_memory.sorted.len(), SORTED_FIRST);
    }
}
