//! What a member's orders come to.

use accrue_ledger::Purchases;
use accrue_ledger::currency::format_amount;
use serde::Serialize;

/// What a member's orders come to, as they are now: decimal strings in the program's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PurchasesAnswer {
    /// Orders without those that were cancelled, minus refunds.
    pub lifetime_value: String,
    /// The same without tax, shipping and what was paid with points.
    pub net_revenue: String,
    /// Discounts of lines and orders.
    pub discounts: String,
    /// Orders with a discount.
    pub discounted_orders: u32,
    /// Orders without.
    pub undiscounted_orders: u32,
    /// Orders taken back as a whole.
    pub cancelled_orders: u32,
}

impl PurchasesAnswer {
    pub(super) fn of(of: &Purchases, exponent: u32) -> PurchasesAnswer {
        PurchasesAnswer {
            lifetime_value: format_amount(of.lifetime_value, exponent),
            net_revenue: format_amount(of.net_revenue, exponent),
            discounts: format_amount(of.discounts, exponent),
            discounted_orders: of.discounted,
            undiscounted_orders: of.undiscounted,
            cancelled_orders: of.cancelled,
        }
    }
}
