//! What other rules make of each member and ledger, as rows: beside the sums of a comparison.

use super::ShiftRow;
use crate::compare::{Comparison, outstanding, tier};
use crate::error::ProjectionError;
use crate::sweep::{Relatives, Sweep, Swept};
use accrue_ledger::{MAIN, Text, Timeline};
use accrue_store::member_hash;
use std::collections::BTreeSet;

impl Comparison<'_> {
    /// Gives the rows of all members of a shard to `take`, part by part, in their order.
    ///
    /// # Errors
    /// The log can't be read, or `take` failed.
    pub fn rows(
        &self,
        sweep: &Sweep<'_>,
        mut take: impl FnMut(Vec<ShiftRow>, Swept) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        sweep.run(
            Vec::new,
            |rows, relatives| {
                if relatives.program == self.program {
                    self.rows_of(relatives, rows);
                }
                Ok(())
            },
            &mut take,
        )
    }

    fn rows_of(&self, relatives: &mut Relatives<'_>, rows: &mut Vec<ShiftRow>) {
        for member in relatives.members(self.at) {
            if !member_hash(self.program, &member).is_multiple_of(self.sample.max(1)) {
                continue;
            }
            let mut side = |rules: &Timeline| {
                let (state, _) = relatives.fold(&member, rules, self.at, &mut ());
                let there = state.known && state.winner().is_none();
                there.then(|| (outstanding(&state, rules, self.at), tier(&state, rules, self.at)))
            };
            let (Some((was, tier_old)), Some((is, tier_new))) = (side(self.old), side(self.new)) else { continue };
            let mut ledgers: BTreeSet<&str> = was.keys().chain(is.keys()).map(String::as_str).collect();
            if ledgers.is_empty() {
                // Without points a member may have another tier.
                ledgers.insert(MAIN);
            }
            rows.extend(ledgers.into_iter().map(|ledger| {
                let old = was.get(ledger).copied().unwrap_or_default();
                let new = is.get(ledger).copied().unwrap_or_default();
                ShiftRow {
                    member: Text::new(&member),
                    ledger: Text::new(ledger),
                    active_old: old.active,
                    active_new: new.active,
                    pending_old: old.pending,
                    pending_new: new.pending,
                    debt_old: old.debt,
                    debt_new: new.debt,
                    expiring_old: old.expiring,
                    expiring_new: new.expiring,
                    delta: (new.active + new.pending - new.debt) - (old.active + old.pending - old.debt),
                    tier_old: Text::new(&tier_old),
                    tier_new: Text::new(&tier_new),
                    changed: old != new || tier_old != tier_new,
                }
            }));
        }
    }
}
