//! Records of members who come in order of id: one pass over the rows on disk, instead of a search for each member.

use crate::error::ProjectionError;
use crate::rows::RecordRow;
use crate::shared::Tiers;
use accrue_ledger::RecordKey;
use accrue_store::{Rows, keys, member_hash};
use std::collections::BTreeMap;

/// Where a walk over the records of a program is.
pub(crate) struct RecordsInOrder<'a> {
    tiers: &'a Tiers,
    program: &'a str,
    /// Opened for the first member that is asked for.
    rows: Option<Rows<'a>>,
    prefix: Vec<u8>,
}

impl<'a> RecordsInOrder<'a> {
    pub fn new(tiers: &'a Tiers, program: &'a str) -> RecordsInOrder<'a> {
        RecordsInOrder { tiers, program, rows: None, prefix: Vec::new() }
    }

    /// Gives the record of each key of a member to `each`, in the order of keys; empty bytes: an id is remembered, and nothing else.
    /// A member behind the last one asked for, by id: others have none.
    pub fn each(&mut self, member: &str, mut each: impl FnMut(RecordKey, &[u8])) -> Result<(), ProjectionError> {
        let hash = member_hash(self.program, member);
        let mut in_memory: BTreeMap<RecordKey, &[u8]> = BTreeMap::new();
        for tier in self.tiers.frozen.as_deref().into_iter().chain([&self.tiers.live]) {
            let Some(slot) = tier.find(hash, self.program, member) else { continue };
            in_memory.extend(tier.slots[slot as usize].records.iter().map(|(key, span)| (key, tier.arena.get(span))));
        }
        let mut in_memory = in_memory.into_iter().peekable();
        self.prefix.clear();
        keys::records_of(&mut self.prefix, self.program, member);
        let rows = match &mut self.rows {
            Some(rows) => rows,
            none => {
                let mut all = Vec::new();
                keys::records_of_all(&mut all, self.program);
                none.insert(self.tiers.view.scan_prefix_from(&all, &self.prefix)?)
            }
        };
        while let Some((name, row)) = rows.row()? {
            if !name.starts_with(&self.prefix) {
                if name > self.prefix.as_slice() {
                    break;
                }
                rows.step();
                continue;
            }
            if let Some((family, id)) = keys::record_in(&name[self.prefix.len()..]) {
                let key = RecordKey { family, id };
                while let Some((before, row)) = in_memory.next_if(|(known, _)| *known < key) {
                    each(before, RecordRow::record_bytes(row)?);
                }
                let newer = in_memory.next_if(|(known, _)| *known == key).map(|(_, row)| row);
                each(key, RecordRow::record_bytes(newer.unwrap_or(row))?);
            }
            rows.step();
        }
        for (key, row) in in_memory {
            each(key, RecordRow::record_bytes(row)?);
        }
        Ok(())
    }
}
