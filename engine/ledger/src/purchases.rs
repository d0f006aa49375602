//! What a member's orders come to as they are now, for a summary: no rule looks at it.

use crate::record::{Order, Placed};
use crate::{Rounding, Ruleset, worth};

/// Sums over orders: of one, or of all a member has. Amounts are minor units of the program's currency, each order's rounded
/// down; an order in a currency that its ruleset does not know counts with 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purchases {
    /// Lines, tax and shipping of orders that were not cancelled, minus refunds.
    pub lifetime_value: i64,
    /// The same without tax, shipping and what was paid with points.
    pub net_revenue: i64,
    /// Discounts of lines and orders; of cancelled orders none.
    pub discounts: i64,
    /// Orders with a discount.
    pub discounted: u32,
    /// Orders without.
    pub undiscounted: u32,
    /// Orders taken back as a whole.
    pub cancelled: u32,
}

/// What an order remembers for the summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bought {
    /// Discounts of lines and order, minor units.
    pub discount: i64,
    /// As counted in `Member::purchases`.
    pub counted: Purchases,
}

impl Purchases {
    /// What one order comes to now.
    pub(crate) fn of(order: &Order, placed: &Placed, rules: &Ruleset) -> Purchases {
        if order.cancelled {
            return Purchases { cancelled: 1, ..Purchases::default() };
        }
        let counted = |amount: i64| rules.factor(&placed.currency).map_or(0, |factor| factor.apply(amount, Rounding::Floor));
        let left = worth::amount_left(order, placed);
        // Refunds take goods first: what is left beyond them is tax and shipping.
        let lines = (left - placed.tax - placed.shipping).max(0);
        Purchases {
            lifetime_value: counted(left),
            net_revenue: counted((lines - placed.paid_with_points).max(0)),
            discounts: counted(placed.bought.discount),
            discounted: u32::from(placed.bought.discount > 0),
            undiscounted: u32::from(placed.bought.discount == 0),
            cancelled: 0,
        }
    }

    /// An order that was `before` is `now`.
    pub(crate) fn replace(&mut self, before: &Purchases, now: &Purchases) {
        let count = |all: &mut u32, before: u32, now: u32| *all = all.wrapping_sub(before).wrapping_add(now);
        self.lifetime_value += now.lifetime_value - before.lifetime_value;
        self.net_revenue += now.net_revenue - before.net_revenue;
        self.discounts += now.discounts - before.discounts;
        count(&mut self.discounted, before.discounted, now.discounted);
        count(&mut self.undiscounted, before.undiscounted, now.undiscounted);
        count(&mut self.cancelled, before.cancelled, now.cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_changes_counts_once() {
        let mut all = Purchases { lifetime_value: 100, undiscounted: 1, ..Purchases::default() };
        let first = Purchases { lifetime_value: 30, discounts: 5, discounted: 1, ..Purchases::default() };
        all.replace(&Purchases::default(), &first);
        assert_eq!((all.lifetime_value, all.discounts, all.discounted, all.undiscounted), (130, 5, 1, 1));
        all.replace(&first, &Purchases { cancelled: 1, ..Purchases::default() });
        assert_eq!(all, Purchases { lifetime_value: 100, undiscounted: 1, cancelled: 1, ..Purchases::default() });
    }
}
