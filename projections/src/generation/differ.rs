//! What is different in another generation: slices of members by hash, members, and the numbers of all of them.

use super::slices::{Compared, Opened, Seen, Walk, now};
use crate::digest::Digest;
use crate::error::ProjectionError;
use crate::reader::{AsOf, LedgerReader};
use accrue_ledger::{Fold, Instant, Member, Records, Timeline};
use accrue_store::member_hash;
use serde::Serialize;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

/// Slices of all member hashes, by their first bits.
const SLICES: usize = 4_096;
/// One that is behind has come up by then.
const SETTLE_TRIES: u32 = 250;
const SETTLE_WAIT: Duration = Duration::from_millis(20);

/// A member that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifferingMember {
    /// The member.
    pub member: String,
    /// What the answers say, before and after, by field; empty: no answer tells the difference.
    pub fields: BTreeMap<String, [Value; 2]>,
}

/// A number of all members, before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of the live generation.
    pub live: i64,
    /// Of the other one.
    pub other: i64,
}

/// What is different in a program.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProgramDifference {
    /// Members of both together.
    pub members: u64,
    /// Members that differ.
    pub changed: u64,
    /// Members that the live one got facts of while they were compared, again and again.
    pub unsettled: u64,
    /// Slices with members, and those of them that are the same in both.
    pub slices: u64,
    /// …
    pub slices_equal: u64,
    /// Of everything that was compared; the live generation's and the other's.
    pub digests: [String; 2],
    /// Sums of all members by ledger and number.
    pub sums: BTreeMap<String, BTreeMap<&'static str, Difference>>,
    /// Some that differ, by id.
    pub named: Vec<DifferingMember>,
}

impl ProgramDifference {
    /// Adds that of another shard, of which at most `named` are named.
    pub fn add(&mut self, other: ProgramDifference, named: usize) {
        self.members += other.members;
        self.changed += other.changed;
        self.unsettled += other.unsettled;
        self.slices += other.slices;
        self.slices_equal += other.slices_equal;
        for (mine, others) in self.digests.iter_mut().zip(other.digests) {
            *mine = if mine.is_empty() { others } else { format!("{mine} {others}") };
        }
        for (ledger, numbers) in other.sums {
            let of_ledger = self.sums.entry(ledger).or_default();
            for (name, more) in numbers {
                let sum: &mut Difference = of_ledger.entry(name).or_default();
                (sum.live, sum.other) = (sum.live + more.live, sum.other + more.other);
            }
        }
        self.named.extend(other.named);
        self.named.sort_by(|a, b| a.member.cmp(&b.member));
        self.named.truncate(named);
    }
}

/// Two generations of a shard while they are compared.
struct Differ<'a> {
    program: &'a str,
    sides: [&'a LedgerReader; 2],
    compared: Compared,
    rules: [Timeline; 2],
    same_rules: bool,
    at: Instant,
    named: usize,
    slices: Vec<[Digest; 2]>,
    found: ProgramDifference,
}

impl LedgerReader {
    /// Compares the members of a program with those of another generation; numbers are those at `at`. The writer goes on.
    ///
    /// # Errors
    /// A view can't be read.
    pub fn difference(
        &self,
        (other, compared): (&LedgerReader, Compared),
        program: &str,
        at: Instant,
        named: usize,
    ) -> Result<ProgramDifference, ProjectionError> {
        let sides = [self, other];
        let rules = sides.map(|side| side.timeline(program).unwrap_or_default());
        let slices = vec![[Digest::default(); 2]; SLICES];
        let same_rules = is_the_same(&rules[0], &rules[1]);
        let found = ProgramDifference::default();
        let mut differ = Differ { program, sides, compared, rules, same_rules, at, named, slices, found };
        differ.run()?;
        Ok(differ.found)
    }
}

impl Differ<'_> {
    fn run(&mut self) -> Result<(), ProjectionError> {
        let (sides, compared, program) = (self.sides, self.compared, self.program);
        // One of two that are the same is enough. The live one has more rows to step over.
        std::thread::scope(|scope| {
            let start = |side: usize| Walk::start(scope, (sides[side], compared), program, side == 1);
            self.walk([start(0), start(1)])
        })?;
        let zero = Digest::default();
        let filled = || self.slices.iter().filter(|slice| **slice != [zero; 2]);
        self.found.slices = filled().count() as u64;
        self.found.slices_equal = filled().filter(|[live, other]| live == other).count() as u64;
        let mut digests = [zero; 2];
        for slice in &self.slices {
            digests.iter_mut().zip(slice).for_each(|(sum, of_slice)| sum.merge(*of_slice));
        }
        self.found.digests = digests.map(|digest| digest.to_string());
        Ok(())
    }

    fn walk(&mut self, [mut live, mut other]: [Walk; 2]) -> Result<(), ProjectionError> {
        loop {
            let pair = [live.peek()?, other.peek()?];
            let order = match &pair {
                [Some(live), Some(other)] => live.member.cmp(other.member),
                [Some(_), None] => Ordering::Less,
                [None, Some(_)] => Ordering::Greater,
                [None, None] => return Ok(()),
            };
            match (order, &pair) {
                (Ordering::Equal, [Some(one), Some(same)]) if one.bytes == same.bytes => self.take_same(same)?,
                (Ordering::Less, [live, _]) => self.compare([live.as_ref(), None])?,
                (Ordering::Greater, [_, other]) => self.compare([None, other.as_ref()])?,
                (Ordering::Equal, [live, other]) => self.compare([live.as_ref(), other.as_ref()])?,
            }
            if order.is_le() {
                live.skip();
            }
            if order.is_ge() {
                other.skip();
            }
        }
    }

    /// Most are the same: read once, for the sums.
    fn take_same(&mut self, seen: &Seen<'_>) -> Result<(), ProjectionError> {
        let Opened { state, digest } = seen.open()?;
        self.found.members += 1;
        self.add_digests(seen.member, [digest; 2]);
        if self.same_rules {
            self.add_sums([true, true], state);
        } else {
            self.add_sums([true, false], state.clone());
            self.add_sums([false, true], state);
        }
        Ok(())
    }

    fn compare(&mut self, pair: [Option<&Seen<'_>>; 2]) -> Result<(), ProjectionError> {
        let Some(member) = pair.iter().flatten().map(|seen| seen.member).next() else { return Ok(()) };
        let [live, other] = pair.map(|seen| seen.map(Seen::open).transpose());
        let pair = self.settled(member, [live?, other?])?;
        self.found.members += 1;
        let digests = pair.each_ref().map(|opened| opened.as_ref().map(|opened| opened.digest));
        self.add_digests(member, digests.map(Option::unwrap_or_default));
        if facts(&pair[0]) != facts(&pair[1]) {
            self.found.unsettled += 1;
        } else if digests[0] != digests[1] {
            self.found.changed += 1;
            if self.found.named.len() < self.named {
                let fields = self.fields(member)?;
                self.found.named.push(DifferingMember { member: member.to_owned(), fields });
            }
        }
        for (opened, sides) in pair.into_iter().zip([[true, false], [false, true]]) {
            if let Some(opened) = opened {
                self.add_sums(sides, opened.state);
            }
        }
        Ok(())
    }

    fn add_digests(&mut self, member: &str, digests: [Digest; 2]) {
        let slice = (member_hash(self.program, member) >> (64 - SLICES.trailing_zeros())) as usize;
        self.slices[slice].iter_mut().zip(digests).for_each(|(sum, digest)| sum.merge(digest));
    }

    /// Both with the same facts: one of them may have been looked at earlier than the other.
    fn settled(&self, member: &str, mut pair: [Option<Opened>; 2]) -> Result<[Option<Opened>; 2], ProjectionError> {
        let mut tries = 0;
        while facts(&pair[0]) != facts(&pair[1]) && tries < SETTLE_TRIES {
            if tries > 0 {
                std::thread::sleep(SETTLE_WAIT);
            }
            let [live, other] = self.sides.map(|side| now((side, self.compared), self.program, member));
            pair = [live?, other?];
            tries += 1;
        }
        Ok(pair)
    }

    /// Adds a member's numbers to those of the sides that have it so; they have the same rules.
    fn add_sums(&mut self, sides: [bool; 2], mut state: Member) {
        let rules = if sides[0] { &self.rules[0] } else { &self.rules[1] };
        Fold::new(&mut state, &mut Records::complete(), rules, &mut ()).advance(self.at);
        for account in &state.accounts {
            let sums = &account.sums;
            if !self.found.sums.contains_key(&*account.ledger) {
                self.found.sums.insert(account.ledger.to_string(), BTreeMap::new());
            }
            let Some(of_ledger) = self.found.sums.get_mut(&*account.ledger) else { continue };
            for (name, points) in [
                ("active", sums.active),
                ("pending", sums.pending),
                ("debt", sums.debt),
                ("earned", sums.earned),
                ("spent", sums.spent),
                ("expired", sums.expired),
            ] {
                let sum = of_ledger.entry(name).or_default();
                sum.live += if sides[0] { points } else { 0 };
                sum.other += if sides[1] { points } else { 0 };
            }
        }
    }

    fn fields(&self, member: &str) -> Result<BTreeMap<String, [Value; 2]>, ProjectionError> {
        let mut answers = [Value::Null, Value::Null];
        for (answer, side) in answers.iter_mut().zip(self.sides) {
            let told = side.member(self.program, member, AsOf::default(), self.at)?;
            *answer = serde_json::to_value(told).unwrap_or_default();
        }
        let mut fields = BTreeMap::new();
        differing(&answers[0], &answers[1], &mut String::new(), &mut fields);
        // Where an answer stands is no part of it.
        fields.retain(|path, _| !path.ends_with("position"));
        Ok(fields)
    }
}

/// How many facts made a member what it is: two with as many have the same ones.
fn facts(opened: &Option<Opened>) -> Option<u64> {
    opened.as_ref().map(|opened| u64::from(opened.state.facts))
}

/// Whether the same rulesets judge at every instant.
fn is_the_same(one: &Timeline, other: &Timeline) -> bool {
    let (one, other) = (one.activations(), other.activations());
    let mut pairs = one.iter().zip(other);
    one.len() == other.len()
        && pairs.all(|(one, other)| one.effective_from == other.effective_from && one.ruleset.hash == other.ruleset.hash)
}

/// Leaves that differ, by path.
fn differing(live: &Value, other: &Value, path: &mut String, found: &mut BTreeMap<String, [Value; 2]>) {
    let length = path.len();
    let below = |path: &mut String, name: &str, live: &Value, other: &Value, found: &mut BTreeMap<String, [Value; 2]>| {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        differing(live, other, path, found);
        path.truncate(length);
    };
    match (live, other) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                below(path, name, a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (number, (a, b)) in a.iter().zip(b).enumerate() {
                below(path, &number.to_string(), a, b, found);
            }
        }
        _ if live == other => {}
        _ => {
            found.insert(path.clone(), [live.clone(), other.clone()]);
        }
    }
}
