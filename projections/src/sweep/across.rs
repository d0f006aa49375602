//! Families whom merges tie together over shards: gathered from all their logs, and folded by the sweep of one of them.
//!
//! Who is tied to whom is read from the logs before the positions asked for, not from what is known now: asked the same again,
//! it is the same, whoever was merged since.

use super::Relatives;
use crate::error::ProjectionError;
use crate::ledger::History;
use crate::reader::LedgerReader;
use accrue_ledger::{Body, Instant};
use accrue_proto::read_fact;
use accrue_store::{Frame, Position, ShardLog, member_hash};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// All of them.
#[derive(Default)]
pub struct Across {
    /// By the shard that folds them, by hash and program: in the order of its sweep.
    families: BTreeMap<u32, BTreeMap<(u64, String), Kin>>,
    /// Everybody in them: `(program, member)`.
    members: BTreeSet<(String, String)>,
    recorded: Option<Instant>,
}

/// Where the facts of one family are.
struct Kin(Vec<(ShardLog, Vec<Position>)>);

impl Across {
    /// Finds them in shards, each before a position, among what was recorded by then.
    ///
    /// # Errors
    /// A log or a view can't be read.
    pub fn of(shards: &[(LedgerReader, Position)], recorded: Option<Instant>) -> Result<Across, ProjectionError> {
        let mut across = Across { recorded, ..Across::default() };
        let is_merged = |(reader, _): &(LedgerReader, Position)| reader.shared().tiers.read().merges;
        if shards.len() < 2 || !shards.iter().any(is_merged) {
            return Ok(across);
        }
        let mut ties = Ties::default();
        for (reader, until) in shards {
            reader.shared().log.for_each(Position::FIRST, *until, |frame| -> Result<(), ProjectionError> {
                if frame.kind.links_members() && is_known(frame, recorded) { ties.tie(frame) } else { Ok(()) }
            })?;
        }
        for ((program, _), names) in ties.families() {
            across.add(shards, &program, &names)?;
        }
        Ok(across)
    }

    fn add(&mut self, shards: &[(LedgerReader, Position)], program: &str, names: &[String]) -> Result<(), ProjectionError> {
        let mut places = Vec::new();
        for (reader, until) in shards {
            let positions = positions(reader, *until, (program, names), self.recorded)?;
            if !positions.is_empty() {
                places.push((reader.shared().log.clone(), positions));
            }
        }
        // Where all is in one shard, its sweep has all.
        let [(first, _), _, ..] = places.as_slice() else { return Ok(()) };
        let home = first.shard();
        let hash = names.iter().map(|name| member_hash(program, name)).min().unwrap_or_default();
        self.families.entry(home).or_default().insert((hash, program.to_owned()), Kin(places));
        self.members.extend(names.iter().map(|name| (program.to_owned(), name.clone())));
        Ok(())
    }

    /// Whether a member is in one.
    pub(super) fn has(&self, program: &str, member: &str) -> bool {
        !self.members.is_empty() && self.members.contains(&(program.to_owned(), member.to_owned()))
    }

    /// Gives those with these hashes that a shard folds, in order.
    pub(super) fn of_shard(&self, shard: u32, hashes: RangeInclusive<u64>) -> impl Iterator<Item = Gathering<'_>> {
        let (first, last) = (*hashes.start(), *hashes.end());
        let from = self.families.get(&shard).into_iter().flat_map(move |families| families.range((first, String::new())..));
        from.map(|((hash, program), kin)| Gathering { hash: *hash, program, kin, recorded: self.recorded })
            .take_while(move |gathering| gathering.hash <= last)
    }
}

/// A family that is gathered when its turn comes.
pub(super) struct Gathering<'a> {
    pub hash: u64,
    program: &'a str,
    kin: &'a Kin,
    recorded: Option<Instant>,
}

impl Gathering<'_> {
    /// Gathers it.
    pub fn give(&self, each: &mut impl FnMut(&mut Relatives<'_>) -> Result<(), ProjectionError>) -> Result<(), ProjectionError> {
        let read = |(log, positions): &(ShardLog, Vec<Position>)| History::read(log, positions, self.recorded, None);
        let all = self.kin.0.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let history = History::default().with(all)?;
        each(&mut Relatives::new((self.hash, self.program), (history.booked()?, Vec::new()), true))
    }
}

/// Where a shard has facts of some members.
fn positions(
    reader: &LedgerReader,
    until: Position,
    (program, names): (&str, &[String]),
    recorded: Option<Instant>,
) -> Result<Vec<Position>, ProjectionError> {
    let mut found = BTreeSet::new();
    {
        let tiers = reader.shared().tiers.read();
        for name in names {
            found.extend(tiers.positions(member_hash(program, name), program, name)?);
        }
    }
    let mut known = Vec::new();
    let before: Vec<Position> = found.into_iter().filter(|position| *position < until).collect();
    if recorded.is_none() {
        return Ok(before);
    }
    reader.shared().log.read_many(before.iter().copied(), |frame| -> Result<(), ProjectionError> {
        known.extend(is_known(frame, recorded).then_some(frame.position));
        Ok(())
    })?;
    Ok(known)
}

fn is_known(frame: &Frame<'_>, recorded: Option<Instant>) -> bool {
    recorded.is_none_or(|recorded| frame.recorded_at <= recorded)
}

/// Who is tied to whom, by name.
#[derive(Default)]
struct Ties {
    /// `(program, member)` to somebody before it.
    above: BTreeMap<(String, String), (String, String)>,
}

impl Ties {
    fn tie(&mut self, frame: &Frame<'_>) -> Result<(), ProjectionError> {
        let fact = read_fact(frame.fact).map_err(|error| ProjectionError::Frame { position: frame.position, error })?;
        if let Body::MembersMerged { loser } | Body::MembersUnmerged { loser } = fact.body {
            let named = |member: &str| (fact.program.to_owned(), member.to_owned());
            let (one, other) = (self.root(&named(fact.member)), self.root(&named(loser)));
            self.above.insert(one.clone().max(other.clone()), one.min(other));
        }
        Ok(())
    }

    fn root(&self, of: &(String, String)) -> (String, String) {
        let mut root = of;
        while let Some(next) = self.above.get(root).filter(|next| *next != root) {
            root = next;
        }
        root.clone()
    }

    /// By their first.
    fn families(&self) -> BTreeMap<(String, String), Vec<String>> {
        let mut families: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for named in self.above.keys() {
            let root = self.root(named);
            let is_other = *named != root;
            let family = families.entry(root.clone()).or_insert_with(|| vec![root.1]);
            family.extend(is_other.then(|| named.1.clone()));
        }
        families
    }
}
