//! Points spent, and points given back (§5, §6).

use super::fact::{CouponName, ORedemption};
use super::lots::sum;
use super::state::State;
use anyhow::Result;

/// A redemption, and from which lots it was paid.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// Where.
    pub ledger: String,
    /// Points not given back.
    pub left: i64,
    /// Lot, points, and whether they went to repay the debt it opened; in the order they were taken.
    pub allocation: Vec<(usize, i64, bool)>,
    /// The order it belongs to.
    pub order: Option<String>,
}

impl State {
    /// Spends now, as promised: what is not there becomes debt.
    pub fn spend(&mut self, redemption: &ORedemption, points: i64) {
        let ledger = &redemption.ledger;
        let lots = self.in_spend_order(|lot| &lot.ledger == ledger && lot.active);
        let taken = self.take(&lots, points, |lot| &mut lot.spent);
        let paid = sum(&taken);
        self.redemptions.insert(
            redemption.redemption_id.clone(),
            Redemption {
                ledger: ledger.clone(),
                left: points,
                allocation: taken.into_iter().map(|(lot, part)| (lot, part, false)).collect(),
                order: redemption.order_id.clone(),
            },
        );
        if let Some(order) = &redemption.order_id {
            self.tie(order, CouponName::Redemption(redemption.redemption_id.clone()));
        }
        self.entry("spent", ledger, -paid);
        self.open_debt(ledger, points - paid, Some(&redemption.redemption_id));
    }

    /// Gives back up to `points` of a redemption now: first its open debt, then into the lots, the last taken first.
    pub fn give_back(&mut self, id: &str, points: i64, by_staff: bool) -> Result<()> {
        let Some(mut redemption) = self.redemptions.get(id).cloned() else {
            return Ok(());
        };
        let ledger = redemption.ledger.clone();
        let mut wanted = points.min(redemption.left);
        redemption.left -= wanted;
        let mut cancelled = 0;
        for debt in self.debts.iter_mut().filter(|debt| debt.redemption.as_deref() == Some(id)) {
            let part = wanted.min(debt.open);
            debt.open -= part;
            wanted -= part;
            cancelled += part;
        }
        self.totals.debt_cancelled += cancelled;
        self.entry("debt_opened", &ledger, -cancelled);
        let mut ended = Vec::new();
        let restored = wanted;
        while wanted > 0 {
            let Some((lot, part, was_debt)) = redemption.allocation.pop() else {
                break;
            };
            let back = part.min(wanted);
            wanted -= back;
            if back < part {
                redemption.allocation.push((lot, part - back, was_debt));
            }
            let bucket = &mut self.lots[lot];
            *(if was_debt { &mut bucket.repaid } else { &mut bucket.spent }) -= back;
            ended.extend(self.put_back(lot, back, by_staff)?);
        }
        self.redemptions.insert(id.to_owned(), redemption.clone());
        self.entry("restored", &ledger, restored);
        for points in ended {
            self.entry("expired", &ledger, -points);
        }
        self.repay_debt(&ledger);
        if redemption.left == 0 {
            self.take_coupon_back(id);
        }
        Ok(())
    }

    /// Puts points back into a lot now; what ends at once is returned.
    fn put_back(&mut self, lot: usize, points: i64, by_staff: bool) -> Result<Option<i64>> {
        let rules = self.rules();
        let old_end = self.lots[lot].expires;
        if by_staff
            && let (Some(least), Some(end)) = (&rules.min_remaining, old_end)
            && let guaranteed = rules.zone.add(self.now, least)?
            && guaranteed > end
        {
            let mut beside = self.lots[lot].as_new();
            self.lots[lot].amount -= points;
            let same =
                |lot: &&super::lots::Lot| lot.kind == beside.kind && lot.natural == beside.natural && lot.rule == beside.rule;
            beside.opening = self.lots.iter().filter(same).count();
            beside.opened_at = self.now;
            beside.expires = Some(guaranteed);
            beside.amount = points;
            beside.left = points;
            beside.active = true;
            self.lots.push(beside);
            return Ok(None);
        }
        if old_end.is_some_and(|end| end <= self.now) {
            self.lots[lot].expired += points;
            return Ok(Some(points));
        }
        self.lots[lot].left += points;
        self.lots[lot].active = true;
        Ok(None)
    }
}
