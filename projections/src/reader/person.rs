//! Who a member is (§11): its personal data, its number, and finding it by what it shows.

use super::{AsKnown, AsOf, Found, LedgerReader, Wanted};
use crate::error::ProjectionError;
use crate::look_up::{LookUp, LookUpHash};
use crate::profile::{self, Profile, happened};
use crate::{number, tier::Tier};
use accrue_ledger::{Instant, Status, Text};
use accrue_proto::{pb, read_fact};
use accrue_store::{Position, keys, member_hash};
use std::collections::{BTreeMap, BTreeSet};

fn known(asked: AsOf, position: Position, recorded: Instant) -> bool {
    match asked.known {
        AsKnown::Now => true,
        AsKnown::At(at) => recorded <= at,
        AsKnown::Position(at) => position <= at,
    }
}

impl LedgerReader {
    /// A member's personal data as it was then. `None`: there is none, or it was destroyed.
    pub(super) fn profile(&self, program: &str, found: &Found, asked: AsOf) -> Result<Option<Profile>, ProjectionError> {
        if found.state.status() == Status::Erased {
            return Ok(None);
        }
        let mut positions = BTreeSet::new();
        {
            let tiers = self.shared.tiers.read();
            positions.extend(tiers.personal(program, &found.member)?);
            for member in found.family.iter().flat_map(|family| family.members()) {
                positions.extend(tiers.personal(program, member)?);
            }
        }
        let erased_at = found.state.standing.as_ref().and_then(|standing| standing.erased_at);
        let counts = |fact: &accrue_proto::pb::Fact| {
            let at = happened(fact);
            let whose = found.family.as_ref().map_or(&*found.member, |family| family.winner(&fact.member));
            at <= found.at && erased_at.is_none_or(|erased| at > erased) && *whose == *found.member
        };
        let opened = profile::open(&self.shared.log, &positions.into_iter().collect::<Vec<_>>())?;
        let facts = opened.into_iter().filter(|(position, recorded, fact)| known(asked, *position, *recorded) && counts(fact));
        let profile = Profile::of(facts.map(|(_, _, fact)| fact).collect());
        Ok(Some(profile).filter(|profile| *profile != Profile::default()))
    }

    /// Whose shards may have the state that a member's facts are part of, where this one has it not: the winner's first.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn kin(&self, program: &str, member: &str) -> Result<Vec<String>, ProjectionError> {
        let Some(links) = self.shared.tiers.read().links(program, member)?.flatten() else { return Ok(Vec::new()) };
        let winner = Some(links.winner).filter(|winner| !winner.is_empty());
        let others = links.family.into_iter().filter(|other| **other != *member && winner.as_ref() != Some(other));
        Ok(winner.clone().into_iter().chain(others).map(|name| name.to_string()).collect())
    }

    /// Whether the state that a member's facts are part of is in this shard.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn answers_for(&self, program: &str, member: &str) -> Result<bool, ProjectionError> {
        Ok(self.shared.tiers.read().counts_here(program, member)?.unwrap_or(false))
    }

    /// What people have said of a member under its own name, as far as its keys open it: in the shard of its own.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn said_of(&self, program: &str, member: &str, asked: AsOf, now: Instant) -> Result<Vec<pb::Fact>, ProjectionError> {
        let mut positions = BTreeSet::new();
        {
            let tiers = self.shared.tiers.read();
            let winner = tiers.winner(member_hash(program, member), program, member)?;
            positions.extend(tiers.personal(program, winner.as_deref().unwrap_or(member))?);
        }
        let until = asked.as_of.unwrap_or(now);
        let opened = profile::open(&self.shared.log, &positions.into_iter().collect::<Vec<_>>())?;
        let counts = |position: Position, recorded: Instant, fact: &pb::Fact| {
            fact.member == member && known(asked, position, recorded) && happened(fact) <= until
        };
        let said = opened.into_iter().filter(|(position, recorded, fact)| counts(*position, *recorded, fact));
        Ok(said.map(|(_, _, fact)| fact).collect())
    }

    /// A member's 16 digits.
    pub(super) fn number(&self, program: &str, member: &str) -> Result<Option<String>, ProjectionError> {
        let tiers = self.shared.tiers.read();
        let first = tiers.first(member_hash(program, member), program, member)?;
        let of = |first| number::of(&self.shared.log.secret(), program, self.shard(), first);
        Ok(Some(first).filter(|first| *first != Position::NONE).and_then(of))
    }

    /// The members of this shard that are found by that, the winners of aliases; nobody who was erased. Of a past: those it was
    /// true of then.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn look_up(&self, program: &str, look_up: &LookUp, asked: AsOf, now: Instant) -> Result<Vec<String>, ProjectionError> {
        let candidates = match look_up {
            LookUp::Number(_) => self.with_number(program, &look_up.normal())?.into_iter().collect(),
            _ => match look_up.hash(&self.shared.log.secret(), program) {
                Some(hash) => self.with_hash(program, &hash)?,
                None => Vec::new(),
            },
        };
        let mut members = BTreeSet::new();
        for candidate in candidates {
            let Some(found) = self.find(program, &candidate, asked, now, Wanted::State)? else {
                members.extend(self.found_elsewhere(program, &candidate, look_up, asked, now)?);
                continue;
            };
            let holds = match look_up {
                LookUp::Number(_) => found.state.status() != Status::Erased,
                LookUp::Card(_) => {
                    let mut cards = found.state.standing.iter().flat_map(|standing| &standing.cards);
                    found.state.status() != Status::Erased && cards.any(|card| *card.code == *look_up.normal())
                }
                LookUp::Email(_) => self.says(program, &found, look_up, asked, |profile| profile.email.map(LookUp::Email))?,
                LookUp::Phone(_) => self.says(program, &found, look_up, asked, |profile| profile.phone.map(LookUp::Phone))?,
            };
            if holds {
                members.insert(found.member.to_string());
            }
        }
        Ok(members.into_iter().collect())
    }

    /// The winner of somebody whose points are with another shard, where what its own shard knows of it says so.
    fn found_elsewhere(
        &self,
        program: &str,
        member: &str,
        look_up: &LookUp,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<String>, ProjectionError> {
        let links = self.shared.tiers.read().links(program, member)?.flatten();
        let Some(links) = links.filter(|links| links.custody.own && !links.winner.is_empty()) else { return Ok(None) };
        let profile = Profile::of(self.said_of(program, member, asked, now)?);
        let said = match look_up {
            LookUp::Email(_) => profile.email.map(LookUp::Email),
            LookUp::Phone(_) => profile.phone.map(LookUp::Phone),
            // Its number, too, is of this shard; cards are found where the points are.
            LookUp::Number(_) => Some(look_up.clone()),
            LookUp::Card(_) => None,
        };
        Ok(said.filter(|said| said.normal() == look_up.normal()).map(|_| links.winner.to_string()))
    }

    fn says(
        &self,
        program: &str,
        found: &Found,
        look_up: &LookUp,
        asked: AsOf,
        of: impl Fn(Profile) -> Option<LookUp>,
    ) -> Result<bool, ProjectionError> {
        let profile = self.profile(program, found, asked)?;
        Ok(profile.and_then(of).is_some_and(|said| said.normal() == look_up.normal()))
    }

    fn with_number(&self, program: &str, digits: &str) -> Result<Option<String>, ProjectionError> {
        let place = number::place(&self.shared.log.secret(), program, digits);
        let here = place.filter(|(shard, at)| *shard == self.shard() && *at >= Position::FIRST && *at < self.shared.durable());
        let Some((_, first)) = here else { return Ok(None) };
        let read = self.shared.log.read(first, |frame| {
            read_fact(frame.fact).ok().filter(|fact| fact.program == program).map(|fact| fact.member.to_owned())
        });
        let Some(member) = read?.filter(|member| !member.is_empty()) else { return Ok(None) };
        // Any fact has a place; only that of the first is the member's number.
        Ok(self.number(program, &member)?.filter(|number| number == digits).map(|_| member))
    }

    fn with_hash(&self, program: &str, hash: &LookUpHash) -> Result<Vec<String>, ProjectionError> {
        let tiers = self.shared.tiers.read();
        let mut prefix = Vec::new();
        keys::look_ups_of(&mut prefix, program, hash);
        let mut members: BTreeMap<String, bool> = BTreeMap::new();
        let mut rows = tiers.view.scan_prefix(&prefix)?;
        while let Some((key, _)) = rows.next_row()? {
            let member = key.get(prefix.len()..).and_then(|member| std::str::from_utf8(member).ok());
            members.extend(member.map(|member| (member.to_owned(), true)));
        }
        let mut in_memory = |tier: &Tier| {
            let from = (Text::new(program), *hash, Text::default());
            let same = tier.look_ups.range(from..).take_while(|((of, known, _), _)| **of == *program && known == hash);
            members.extend(same.map(|((_, _, member), holds)| (member.to_string(), *holds)));
        };
        tiers.frozen.as_deref().into_iter().for_each(&mut in_memory);
        in_memory(&tiers.live);
        Ok(members.into_iter().filter(|(_, holds)| *holds).map(|(member, _)| member).collect())
    }
}
