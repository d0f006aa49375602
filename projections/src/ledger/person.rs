//! Personal data beside the ledger (§11): what members are looked up by, and destroying it all.

use super::Ledger;
use super::book::Booking;
use crate::error::ProjectionError;
use crate::look_up::LookUp;
use crate::profile;
use crate::shared::Tiers;
use accrue_ledger::{Body, Instant, Kind, RecordKey, Status, Text};
use accrue_proto::{pb, read_fact};
use accrue_store::{Candidate, DeadLetter, Position, member_hash};
use std::sync::Arc;

/// A member that is to be erased, with all its aliases.
pub(super) struct Erasure {
    pub program: Text,
    pub members: Vec<Text>,
    pub position: Position,
    pub at: Instant,
}

impl Ledger {
    /// After a fact was folded into `slot`: keeps what its member is looked up by, and notes whom to erase.
    pub(super) fn note_person(&mut self, tiers: &mut Tiers, slot: u32, booking: &Booking<'_>) -> Result<(), ProjectionError> {
        let fact = booking.candidate.fact;
        self.note_look_ups(tiers, booking.candidate)?;
        if fact.kind != Kind::MemberErased && !fact.kind.links_members() {
            return Ok(());
        }
        if fact.kind == Kind::MemberErased && tiers.live.slots[slot as usize].state.is_elsewhere() {
            // Its points are with another shard, its keys are here.
            let members = vec![Text::new(fact.member)];
            let (program, position) = (Text::new(fact.program), booking.position);
            self.erasures.push(Erasure { program, members, position, at: fact.occurred_at });
            return Ok(());
        }
        self.note_erased(tiers, fact.program, fact.member, booking.position)
    }

    /// Keeps what the member of a fact is looked up by, if it says anything of that.
    pub(super) fn note_look_ups(&self, tiers: &mut Tiers, candidate: &Candidate<'_>) -> Result<(), ProjectionError> {
        let fact = candidate.fact;
        let found_by = match &fact.body {
            Body::CardIssued { code } | Body::CardReplaced { new: code, .. } => vec![LookUp::Card((*code).to_owned())],
            _ if fact.kind == Kind::MemberProfileChanged => {
                let vault = self.shared.log.vault_if_any()?;
                let opened = vault.map(|vault| vault.open_fact(candidate.bytes)).transpose()?.flatten();
                opened.as_ref().map(LookUp::of).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        for hash in found_by.iter().filter_map(|look_up| look_up.hash(&self.secret, fact.program)) {
            tiers.live.look_ups.insert((Text::new(fact.program), hash, Text::new(fact.member)), true);
        }
        Ok(())
    }

    /// Who is merged into an erased member is erased with it.
    pub(super) fn note_erased(
        &mut self,
        tiers: &Tiers,
        program: &str,
        member: &str,
        position: Position,
    ) -> Result<(), ProjectionError> {
        let winner = tiers.winner(member_hash(program, member), program, member)?.unwrap_or_else(|| Text::new(member));
        let Some((state, _)) = tiers.state(member_hash(program, &winner), program, &winner)? else { return Ok(()) };
        if state.status() != Status::Erased {
            return Ok(());
        }
        let Some(at) = state.standing.as_ref().and_then(|standing| standing.erased_at) else { return Ok(()) };
        let merged = state.links().into_iter().flat_map(|links| links.merged.iter().cloned());
        let members = [Text::new(member), winner.clone()].into_iter().chain(merged).collect();
        self.erasures.push(Erasure { program: Text::new(program), members, position, at });
        Ok(())
    }

    /// Destroys what is to be destroyed, now that the log says so durably. What was done before is not done again.
    pub(super) fn erase_due(&mut self) -> Result<(), ProjectionError> {
        for erasure in std::mem::take(&mut self.erasures) {
            let vault = self.shared.log.vault()?;
            if vault.is_erased(&erasure.program, &erasure.members, erasure.position)? {
                continue;
            }
            let shared = Arc::clone(&self.shared);
            let mut tiers = shared.tiers.write();
            for member in &erasure.members {
                self.forget_look_ups(&mut tiers, &erasure.program, member)?;
            }
            drop(tiers);
            // What could not be read may have come to any shard.
            for shard in self.store.shard_ids() {
                let of_them = |letter: &DeadLetter| erasure.members.iter().any(|member| is_of(letter, &erasure.program, member));
                self.store.shard(shard)?.blank_dead_letters(of_them)?;
            }
            vault.erase(&erasure.program, &erasure.members, (erasure.position, erasure.at))?;
            tracing::info!(shard = self.shared.log.shard(), position = %erasure.position, "personal data was destroyed");
        }
        Ok(())
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

impl Tiers {
    /// Where a member's personal data stands in the log, ascending; with that of its aliases, where it is folded.
    pub fn personal(&self, program: &str, member: &str) -> Result<Vec<Position>, ProjectionError> {
        let row = self.record(member_hash(program, member), program, member, RecordKey::new(profile::FAMILY, ""))?;
        let mut positions: Vec<Position> = row.into_iter().flat_map(|row| row.firsts).map(|(_, at)| Position(at)).collect();
        positions.sort_unstable();
        positions.dedup();
        Ok(positions)
    }
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
