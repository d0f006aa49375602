//! Personal data beside the ledger (§11): what members are looked up by, and destroying it all.

use super::Ledger;
use super::book::Booking;
use crate::error::ProjectionError;
use crate::look_up::{LookUp, LookUpHash};
use crate::profile;
use crate::shared::Tiers;
use accrue_ledger::{Body, Fact, Instant, Kind, Member, RecordKey, Status, Text};
use accrue_proto::{pb, read_fact};
use accrue_store::{Candidate, DeadLetter, Position, ShardLog, keys, member_hash};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is to become of a member's keys, and those of all its aliases.
pub(super) struct KeyChange {
    pub program: Text,
    pub members: Vec<Text>,
    pub position: Position,
    pub to: Keys,
}

#[derive(Clone, Copy)]
pub(super) enum Keys {
    /// Destroyed: erased at that instant.
    Destroyed(Instant),
    /// New ones, for what is told after the erasure, if that was before the instant.
    Anew(Instant),
}

impl Ledger {
    /// After a fact was folded into `slot`: keeps what its member is looked up by, and notes what becomes of its keys.
    pub(super) fn note_person(&mut self, tiers: &mut Tiers, slot: u32, booking: &Booking<'_>) -> Result<(), ProjectionError> {
        let fact = booking.candidate.fact;
        self.note_look_ups(tiers, booking.candidate)?;
        let state = &tiers.live.slots[slot as usize].state;
        let to = match fact.kind {
            Kind::MemberErased => Keys::Destroyed(fact.occurred_at),
            Kind::MemberRegistered if state.is_elsewhere() || was_erased(state).is_some() => Keys::Anew(fact.occurred_at),
            _ if fact.kind.links_members() => return self.note_keys(tiers, fact.program, fact.member, booking.position),
            _ => return Ok(()),
        };
        if !state.is_elsewhere() {
            return self.note_keys(tiers, fact.program, fact.member, booking.position);
        }
        // Its points are with another shard, its keys are here.
        let (program, members, position) = (Text::new(fact.program), vec![Text::new(fact.member)], booking.position);
        self.key_changes.push(KeyChange { program, members, position, to });
        Ok(())
    }

    /// Keeps what the member of a fact is looked up by, if it says anything of that.
    pub(super) fn note_look_ups(&self, tiers: &mut Tiers, candidate: &Candidate<'_>) -> Result<(), ProjectionError> {
        let fact = candidate.fact;
        let found_by = found_by(&self.shared.log, fact, candidate.bytes)?;
        for hash in found_by.iter().filter_map(|look_up| look_up.hash(&self.secret, fact.program)) {
            tiers.live.look_ups.insert((Text::new(fact.program), hash, Text::new(fact.member)), true);
        }
        Ok(())
    }

    /// Who is merged into an erased member is erased with it, and begins again with it.
    pub(super) fn note_keys(
        &mut self,
        tiers: &Tiers,
        program: &str,
        member: &str,
        position: Position,
    ) -> Result<(), ProjectionError> {
        let winner = tiers.winner(member_hash(program, member), program, member)?.unwrap_or_else(|| Text::new(member));
        let Some((state, _)) = tiers.state(member_hash(program, &winner), program, &winner)? else { return Ok(()) };
        let Some(at) = was_erased(&state) else { return Ok(()) };
        // Whoever was erased and is not any more was registered after that.
        let to = if state.status() == Status::Erased { Keys::Destroyed(at) } else { Keys::Anew(Instant(at.0 + 1)) };
        let merged = state.links().into_iter().flat_map(|links| links.merged.iter().cloned());
        let members = [Text::new(member), winner.clone()].into_iter().chain(merged).collect();
        self.key_changes.push(KeyChange { program: Text::new(program), members, position, to });
        Ok(())
    }

    /// Changes the keys that are to be changed, now that the log says so durably. What was done before is not done again.
    pub(super) fn change_keys(&mut self) -> Result<(), ProjectionError> {
        for change in std::mem::take(&mut self.key_changes) {
            match change.to {
                Keys::Destroyed(at) => self.destroy_keys(&change, at)?,
                Keys::Anew(at) => {
                    if let Some(vault) = self.shared.log.vault_if_any()? {
                        vault.begin_again(&change.program, &change.members, at)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn destroy_keys(&self, erased: &KeyChange, at: Instant) -> Result<(), ProjectionError> {
        let vault = self.shared.log.vault()?;
        if vault.is_erased(&erased.program, &erased.members, erased.position)? {
            return Ok(());
        }
        let mut tiers = self.shared.tiers.write();
        for member in &erased.members {
            self.forget_look_ups(&mut tiers, &erased.program, member)?;
        }
        drop(tiers);
        // What could not be read may have come to any shard.
        for shard in self.store.shard_ids() {
            let of_them = |letter: &DeadLetter| erased.members.iter().any(|member| is_of(letter, &erased.program, member));
            self.store.shard(shard)?.blank_dead_letters(of_them)?;
        }
        vault.erase(&erased.program, &erased.members, (erased.position, at))?;
        tracing::info!(shard = self.shared.log.shard(), position = %erased.position, "personal data was destroyed");
        Ok(())
    }

    /// What the writer forgets of the erased is forgotten here; their keys may be destroyed by now, so that nobody knows any
    /// more what they were looked up by.
    pub(super) fn forget_erased(&mut self) -> Result<(), ProjectionError> {
        let destroyed = |change: &KeyChange| matches!(change.to, Keys::Destroyed(_));
        for erased in std::mem::take(&mut self.key_changes).into_iter().filter(destroyed) {
            let shared = Arc::clone(&self.shared);
            let mut tiers = shared.tiers.write();
            let cards = self.cards_of(&tiers, &erased)?;
            for (hash, member) in tiers.look_ups_of(&erased.program, &erased.members)? {
                if cards.contains(&hash) {
                    continue;
                }
                tiers.live.look_ups.insert((erased.program.clone(), hash, member), false);
            }
        }
        Ok(())
    }

    /// Codes of cards are no personal data: they stay.
    fn cards_of(&self, tiers: &Tiers, erased: &KeyChange) -> Result<BTreeSet<LookUpHash>, ProjectionError> {
        let mut cards = BTreeSet::new();
        for member in &erased.members {
            let state = tiers.state(member_hash(&erased.program, member), &erased.program, member)?;
            let standing = state.and_then(|(state, _)| state.standing);
            let codes = standing.iter().flat_map(|standing| &standing.cards).map(|card| LookUp::Card(card.code.to_string()));
            cards.extend(codes.filter_map(|card| card.hash(&self.secret, &erased.program)));
        }
        Ok(cards)
    }

    fn forget_look_ups(&self, tiers: &mut Tiers, program: &str, member: &str) -> Result<(), ProjectionError> {
        let positions = tiers.personal(program, member)?;
        for (_, _, fact) in profile::open(&self.shared.log, &positions)? {
            for hash in LookUp::of(&fact).iter().filter_map(|look_up| look_up.hash(&self.secret, program)) {
                tiers.live.look_ups.insert((Text::new(program), hash, Text::new(&fact.member)), false);
            }
        }
        Ok(())
    }
}

/// When its personal data was destroyed last, whatever came later.
fn was_erased(state: &Member) -> Option<Instant> {
    state.standing.as_ref()?.erased_at
}

/// Whether a fact of this kind decides over the keys of a member in this state, and its aliases.
pub(super) fn changes_keys(state: &Member, kind: Kind) -> bool {
    match state.status() {
        Status::Erased => kind == Kind::MemberErased,
        _ => kind == Kind::MemberRegistered && was_erased(state).is_some(),
    }
}

impl Tiers {
    /// Everything that these members are looked up by: all look-ups of the program are read.
    fn look_ups_of(&self, program: &str, members: &[Text]) -> Result<Vec<(LookUpHash, Text)>, ProjectionError> {
        let mut prefix = Vec::new();
        keys::look_ups_of_program(&mut prefix, program);
        let mut found = Vec::new();
        let mut rows = self.view.scan_prefix(&prefix)?;
        while let Some((key, _)) = rows.next_row()? {
            let Some((hash, member)) = key[prefix.len()..].split_first_chunk() else { continue };
            found.extend(members.iter().find(|known| known.as_bytes() == member).map(|known| (*hash, known.clone())));
        }
        for tier in self.frozen.as_deref().into_iter().chain([&self.live]) {
            let held =
                tier.look_ups.iter().filter(|((of, _, member), holds)| **holds && **of == *program && members.contains(member));
            found.extend(held.map(|((_, hash, member), _)| (*hash, member.clone())));
        }
        Ok(found)
    }

    /// Where a member's personal data stands in the log, ascending; with that of its aliases, where it is folded.
    pub fn personal(&self, program: &str, member: &str) -> Result<Vec<Position>, ProjectionError> {
        let row = self.record(member_hash(program, member), program, member, RecordKey::new(profile::FAMILY, ""))?;
        let mut positions: Vec<Position> = row.into_iter().flat_map(|row| row.firsts).map(|(_, at)| Position(at)).collect();
        positions.sort_unstable();
        positions.dedup();
        Ok(positions)
    }
}

/// What a fact makes its member findable by.
pub(super) fn found_by(log: &ShardLog, fact: &Fact<'_>, bytes: &[u8]) -> Result<Vec<LookUp>, ProjectionError> {
    Ok(match &fact.body {
        Body::CardIssued { code } | Body::CardReplaced { new: code, .. } => vec![LookUp::Card((*code).to_owned())],
        _ if fact.kind == Kind::MemberProfileChanged => {
            let opened = log.vault_if_any()?.map(|vault| vault.open_fact(bytes)).transpose()?.flatten();
            opened.as_ref().map(LookUp::of).unwrap_or_default()
        }
        _ => Vec::new(),
    })
}

/// Whether a dead letter came for a member: by its key, by a header, by what can be read of it, or because it names the member anywhere.
fn is_of(letter: &DeadLetter, program: &str, member: &str) -> bool {
    let key = format!("{program}/{member}");
    if letter.key.as_deref() == Some(key.as_bytes()) {
        return true;
    }
    if letter.headers.iter().any(|(_, value)| value.as_deref().is_some_and(|value| value == member.as_bytes())) {
        return true;
    }
    let value = letter.value.as_deref().unwrap_or_default();
    match read_fact(value) {
        Ok(fact) => fact.program == program && fact.member == member,
        Err(_) => names(value, member.as_bytes()) || decoded(value).is_some_and(|fact| fact.member == member),
    }
}

fn decoded(value: &[u8]) -> Option<pb::Fact> {
    prost::Message::decode(value).ok()
}

/// Whether the bytes hold a name as a word of its own.
fn names(bytes: &[u8], name: &[u8]) -> bool {
    let part_of_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    !name.is_empty()
        && bytes.windows(name.len()).enumerate().any(|(at, window)| {
            window == name
                && !part_of_word(at.checked_sub(1).and_then(|at| bytes.get(at)))
                && !part_of_word(bytes.get(at + name.len()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_a_member() {
        let letter = |value: &str| DeadLetter { value: Some(value.into()), ..DeadLetter::default() };
        assert!(is_of(&letter(r#"{"member": "m1", "nonsense"#), "acme", "m1"));
        assert!(!is_of(&letter(r#"{"member": "m10", "nonsense"#), "acme", "m1"));
        assert!(!is_of(&letter(""), "acme", "m1"));
        let keyed = DeadLetter { key: Some("acme/m1".into()), ..DeadLetter::default() };
        assert!(is_of(&keyed, "acme", "m1") && !is_of(&keyed, "acme:sandbox", "m1"));
        let header = DeadLetter { headers: vec![("ce_subject".into(), Some("m1".into()))], ..DeadLetter::default() };
        assert!(is_of(&header, "acme", "m1"));
    }
}
