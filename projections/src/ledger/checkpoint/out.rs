//! Rows on their way out, each built in the same memory.

use crate::codec;
use crate::error::ProjectionError;
use crate::rows::{CouponRow, PAGE_ENTRIES_MAX, begin_page, write_positions};
use crate::tier::Tier;
use accrue_store::{Position, RowWriter, StoreError, keys};
use std::collections::BTreeMap;

/// Where rows are built, and go.
pub(super) struct Rows<'a, 'o> {
    to: &'a mut RowWriter<'o>,
    key: Vec<u8>,
    row: Vec<u8>,
    /// Keys to be deleted if no row takes their place; the next one last.
    old: Vec<Vec<u8>>,
}

impl<'a, 'o> Rows<'a, 'o> {
    pub fn new(to: &'a mut RowWriter<'o>) -> Rows<'a, 'o> {
        Rows { to, key: Vec::with_capacity(128), row: Vec::with_capacity(4096), old: Vec::new() }
    }

    /// One row, built here.
    pub fn put(&mut self, key: impl FnOnce(&mut Vec<u8>), row: impl FnOnce(&mut Vec<u8>)) -> Result<(), StoreError> {
        key(&mut self.key);
        self.row.clear();
        row(&mut self.row);
        self.end()
    }

    /// One row that is somewhere already.
    pub fn put_bytes(&mut self, key: impl FnOnce(&mut Vec<u8>), row: &[u8]) -> Result<(), StoreError> {
        key(&mut self.key);
        self.to.put(&self.key, row)
    }

    fn end(&mut self) -> Result<(), StoreError> {
        while let Some(old) = self.old.pop_if(|old| *old <= self.key) {
            if old < self.key {
                self.to.delete(&old)?;
            }
        }
        self.to.put(&self.key, &self.row)
    }

    /// New rows, and the deletion of `old` ones (ascending) that have no successor.
    pub fn replace(
        &mut self,
        old: Vec<Vec<u8>>,
        write: impl FnOnce(&mut Self) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        self.old = old;
        self.old.reverse();
        write(self)?;
        while let Some(old) = self.old.pop() {
            self.to.delete(&old)?;
        }
        Ok(())
    }

    /// A member's new entries, page by page.
    pub fn pages<'p>(
        &mut self,
        (program, member): (&str, &str),
        parts: impl Iterator<Item = (u32, &'p [u8])>,
    ) -> Result<(), ProjectionError> {
        let mut open = None;
        for (first, bytes) in parts {
            if open.is_none_or(|page| first - page >= PAGE_ENTRIES_MAX) {
                if open.is_some() {
                    self.end()?;
                }
                open = Some(first);
                keys::entries(&mut self.key, program, member, first);
                self.row.clear();
                begin_page(&mut self.row);
            }
            self.row.extend_from_slice(bytes);
        }
        if open.is_some() {
            self.end()?;
        }
        Ok(())
    }

    /// A member's new positions.
    pub fn positions(&mut self, (program, member): (&str, &str), positions: &[u64]) -> Result<(), ProjectionError> {
        if let Some(first) = positions.first() {
            self.put(|key| keys::index(key, program, member, Position(*first)), |row| write_positions(positions, row))?;
        }
        Ok(())
    }

    /// New coupon codes.
    pub fn coupons(&mut self, tier: &Tier) -> Result<(), ProjectionError> {
        let mut rows = BTreeMap::new();
        for (slot, code, key) in &tier.coupons {
            let slot = &tier.slots[*slot as usize];
            let mut name = Vec::new();
            keys::coupon(&mut name, &slot.program, code);
            rows.insert(name, CouponRow { member: slot.member.to_string(), key: *key });
        }
        for (name, coupon) in &rows {
            self.put(|key| key.clone_from(name), |row| codec::write(coupon, row))?;
        }
        Ok(())
    }

    /// What members are looked up by from now on, and no longer.
    pub fn look_ups(&mut self, tier: &Tier) -> Result<(), ProjectionError> {
        let mut rows = BTreeMap::new();
        for ((program, hash, member), holds) in &tier.look_ups {
            let mut name = Vec::new();
            keys::look_ups_of(&mut name, program, hash);
            name.extend_from_slice(member.as_bytes());
            rows.insert(name, holds);
        }
        for (name, holds) in &rows {
            if **holds {
                self.put(|key| key.clone_from(name), |_| {})?;
            } else {
                self.to.delete(name)?;
            }
        }
        Ok(())
    }
}
