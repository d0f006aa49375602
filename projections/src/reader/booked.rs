//! Where a fact was booked: by its identity, else by its natural key.

use super::LedgerReader;
use crate::error::ProjectionError;
use crate::ledger::hand_over::decided_key;
use crate::ledger::judge::{identity_in_memory, identity_on_disk};
use crate::shared::Tiers;
use accrue_ledger::{Fact, RecordKey};
use accrue_store::{Position, identity, member_hash};

impl LedgerReader {
    /// The position of a fact or request that has this one's `(program, source, id)` or natural key. `None`: none is booked here.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn position_of(&self, fact: &Fact<'_>) -> Result<Option<Position>, ProjectionError> {
        let tiers = self.shared.tiers.read();
        let identity = identity(fact.program, fact.source, fact.id);
        let first = match identity_in_memory(&tiers, &identity) {
            Some(first) => Some(first),
            None => identity_on_disk(&tiers, &identity)?,
        };
        let Some(natural) = fact.natural_key().filter(|_| first.is_none()) else {
            return self.with_decision(&tiers, fact, first);
        };
        let winner = tiers.winner(member_hash(fact.program, fact.member), fact.program, fact.member)?;
        let member = winner.as_deref().unwrap_or(fact.member);
        let (hash, key) = (member_hash(fact.program, member), RecordKey::new(natural.kind, natural.id));
        let row = tiers.record(hash, fact.program, member, key)?;
        self.with_decision(&tiers, fact, row.and_then(|row| row.first(natural.version)))
    }

    /// A request that was decided in another shard has its decision at another position than it came.
    fn with_decision(
        &self,
        tiers: &Tiers,
        fact: &Fact<'_>,
        first: Option<Position>,
    ) -> Result<Option<Position>, ProjectionError> {
        if !tiers.merges || !fact.kind.is_request() {
            return Ok(first);
        }
        let row = tiers.record(member_hash(fact.program, fact.member), fact.program, fact.member, decided_key(fact))?;
        Ok(row.and_then(|row| row.first(0)).or(first))
    }
}
