//! What may be taken in together: personal data is sealed under the keys as they are once everything before it is durable (§11).

use super::{State, Vault, name};
use crate::{ShardLog, StoreError};
use accrue_ledger::{Body, Fact, Kind};
use accrue_proto::read_fact;

impl ShardLog {
    /// How many of these facts, from the first on, may be sealed and taken in as one group; at least one, if there are any. An erasure
    /// destroys keys, a registration after it allows new ones, both once they are durable: where one comes, and later something that
    /// heeds the keys of its program, the group ends before the latter. `None`: no fact.
    ///
    /// # Errors
    /// The keys can't be read.
    pub fn together<'f>(&self, facts: impl IntoIterator<Item = Option<&'f Fact<'f>>>) -> Result<usize, StoreError> {
        let (mut changed, mut count): (Vec<&str>, usize) = (Vec::new(), 0);
        for fact in facts {
            if let Some(fact) = fact {
                if heeds_keys(fact.kind) && changed.contains(&fact.program) {
                    break;
                }
                if !changed.contains(&fact.program) && self.changes_keys(fact)? {
                    changed.push(fact.program);
                }
            }
            count += 1;
        }
        Ok(count)
    }

    fn changes_keys(&self, fact: &Fact<'_>) -> Result<bool, StoreError> {
        let erased = |names: &[&str]| match self.vault_if_any()? {
            Some(vault) => vault.any_erased(fact.program, names),
            None => Ok(false),
        };
        match (&fact.body, fact.kind) {
            (_, Kind::MemberErased | Kind::MembersHandedOver) => Ok(true),
            (Body::FactForwarded { fact, .. }, _) => {
                Ok(read_fact(fact).is_ok_and(|fact| matches!(fact.kind, Kind::MemberErased | Kind::MemberRegistered)))
            }
            (_, Kind::MemberRegistered) => erased(&[fact.member]),
            (Body::MembersMerged { loser } | Body::MembersUnmerged { loser }, _) => erased(&[fact.member, loser]),
            _ => Ok(false),
        }
    }
}

impl Vault {
    /// Whether one of these members was erased, and has not begun again.
    fn any_erased(&self, program: &str, members: &[&str]) -> Result<bool, StoreError> {
        for member in members {
            if self.row(&name(program, member))?.is_some_and(|row| row.state == State::Erased) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn heeds_keys(kind: Kind) -> bool {
    kind.is_personal() || kind == Kind::MemberRegistered || kind.links_members()
}
