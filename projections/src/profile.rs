//! A member's personal data (§11): read from the log when it is asked for, through the member's key. No view holds any of it.

use crate::error::ProjectionError;
use accrue_ledger::{Instant, Kind};
use accrue_proto::pb::{self, fact::Body};
use accrue_store::{Position, ShardLog};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Local date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday: Option<String>,
    /// What else is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What the member agreed to, by purpose.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub consents: BTreeMap<String, bool>,
    /// Tags, by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Notes by staff, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// A note by staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// When.
    pub at: String,
    /// By whom; empty: not said.
    pub actor: String,
    /// The note.
    pub text: String,
}

/// The facts at these positions that can still be opened, with when they were recorded.
pub(crate) fn open(log: &ShardLog, positions: &[Position]) -> Result<Vec<(Position, Instant, pb::Fact)>, ProjectionError> {
    let mut facts = Vec::new();
    let Some(vault) = log.vault_if_any()?.filter(|_| !positions.is_empty()) else {
        return Ok(facts);
    };
    let next = log.head().next_position;
    let there = positions.iter().copied().filter(|position| *position < next);
    log.read_many(there, |frame| -> Result<(), ProjectionError> {
        if let Some(fact) = vault.open_fact(frame.fact)? {
            facts.push((frame.position, frame.recorded_at, fact));
        }
        Ok(())
    })?;
    Ok(facts)
}

/// When a fact happened.
pub fn happened(fact: &pb::Fact) -> Instant {
    fact.occurred_at.as_ref().and_then(accrue_proto::from_timestamp).unwrap_or(Instant::MIN)
}

impl Profile {
    /// The same of facts that several shards know; `None`: nothing was said.
    pub fn of_all(facts: Vec<pb::Fact>) -> Option<Profile> {
        Some(Profile::of(facts)).filter(|profile| *profile != Profile::default())
    }

    /// What these facts come to, in the order in which they happened.
    pub(crate) fn of(mut facts: Vec<pb::Fact>) -> Profile {
        facts.sort_by(|a, b| (happened(a), &a.id, &a.source).cmp(&(happened(b), &b.id, &b.source)));
        let mut profile = Profile::default();
        for fact in facts {
            let at = happened(&fact);
            match fact.body {
                Some(Body::MemberProfileChanged(changed)) => profile.change(changed),
                Some(Body::NoteAdded(note)) => {
                    profile.notes.push(Note { at: at.to_string(), actor: fact.actor, text: note.text });
                }
                Some(Body::TagsChanged(tags)) => {
                    profile.tags.retain(|tag| !tags.remove.contains(tag));
                    profile.tags.extend(tags.add);
                }
                _ => {}
            }
        }
        profile
    }

    /// Absent fields stay as they were, empty ones are cleared.
    fn change(&mut self, changed: pb::MemberProfileChanged) {
        let set = |field: &mut Option<String>, said: Option<String>| {
            if let Some(said) = said {
                *field = Some(said).filter(|said| !said.is_empty());
            }
        };
        set(&mut self.name, changed.name);
        set(&mut self.email, changed.email);
        set(&mut self.phone, changed.phone);
        set(&mut self.birthday, changed.birthday);
        for (name, said) in changed.attributes {
            if said.is_empty() {
                self.attributes.remove(&name);
            } else {
                self.attributes.insert(name, said);
            }
        }
        self.consents.extend(changed.consents);
    }
}

/// The family of the record that remembers where a member's personal data stands in the log.
pub(crate) const FAMILY: Kind = Kind::MemberProfileChanged;

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(id: &str, at: i64, body: Body) -> pb::Fact {
        let occurred_at = Some(accrue_proto::to_timestamp(Instant(at)));
        pb::Fact { id: id.into(), occurred_at, body: Some(body), ..Default::default() }
    }

    #[test]
    fn fields_stay_change_and_are_cleared_in_the_order_of_happening() {
        let text = |text: &str| Some(text.to_owned());
        let first = pb::MemberProfileChanged { name: text("Ann"), email: text("a@b.c"), ..Default::default() };
        let second = pb::MemberProfileChanged { name: text(""), phone: text("1"), ..Default::default() };
        let tags = |add: &[&str], remove: &[&str]| {
            let own = |tags: &[&str]| tags.iter().map(ToString::to_string).collect();
            Body::TagsChanged(pb::TagsChanged { add: own(add), remove: own(remove), ..Default::default() })
        };
        let note = Body::NoteAdded(pb::NoteAdded { text: "hi".into(), ..Default::default() });
        let profile = Profile::of(vec![
            fact("2", 2, Body::MemberProfileChanged(second)),
            fact("1", 1, Body::MemberProfileChanged(first)),
            fact("4", 4, tags(&["vip"], &["new"])),
            fact("3", 3, tags(&["new", "x"], &[])),
            fact("5", 5, note),
        ]);
        assert_eq!((profile.name, profile.email, profile.phone), (None, text("a@b.c"), text("1")));
        assert_eq!(profile.tags.into_iter().collect::<Vec<_>>(), ["vip", "x"]);
        assert_eq!(profile.notes.len(), 1);
    }
}
