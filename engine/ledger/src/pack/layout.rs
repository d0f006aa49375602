//! What states and records hold, field by field, as it is written.

use super::{Damaged, Pack, Packed, packed, packed_enum, sparse};
use crate::account::{Account, Debt, Sums};
use crate::counters::{Counted, Counters, Progress, Trouble, Used};
use crate::member::{ClosedCoupons, Excluded, Member, Place};
use crate::purchases::{Bought, Purchases};
use crate::record::{
    Asked, Award, Coupon, Limited, LineRefund, Order, OrderLine, Placed, Record, RecordKey, Redemption, WaitingRefund,
};
use crate::referral::{Code, CodeState, FirstOrder, Friend, Given, Home, OrderWorth, Owner, Referrals, Referred, Ties};
use crate::ruleset::Metric;
use crate::standing::{Card, CardStatus, Custody, Links, Standing, Status};
use crate::tier::{Day, Override, TierState};
use std::collections::VecDeque;

sparse!(Member {
    last,
    quiet,
    known,
    due,
    passed,
    facts,
    orders,
    parked,
    exceptions,
    lots_opened,
    entries,
    entries_hash,
    eligible_spend,
    purchases,
    accounts,
    open,
    closed,
    exclusions,
    standing,
    counters,
    tier,
    referrals,
});
/// Which of the fields is `standing`, from 0.
const STANDING: u32 = 18;

impl Member {
    /// Whether packed bytes are of a member of which there is anything to say beside its points; nothing else is read.
    pub fn has_standing(packed: &[u8]) -> bool {
        u64::unpack(&mut Packed(packed)).is_ok_and(|something| something >> STANDING & 1 != 0)
    }
}

packed!(Place { at, decision, id, source });
packed!(ClosedCoupons { used, revoked, expired });
packed!(Excluded { from, until, earn, redeem, erased });
sparse!(Purchases { lifetime_value, net_revenue, discounts, discounted, undiscounted, cancelled });

sparse!(Account { ledger, sums, active, pending, debts, idle_at });
sparse!(Sums {
    pending,
    active,
    debt,
    earned,
    spent,
    expired,
    cancelled,
    clawed_back,
    repaid,
    deducted,
    moved_in,
    moved_out,
    added,
    imported,
    debt_opened,
    debt_lifted,
    repaid_back,
    clawback_due,
    forgiven,
    clawback_debt,
});
packed!(Debt { source_kind, source, open, paid_by });

sparse!(Order { order_id, placed, refunds, refunded_amount, cancelled, fulfilled_at, tied, waiting, waiting_refunds });
packed!(WaitingRefund { currency, lines, amount });
sparse!(Placed {
    version,
    at,
    ruleset,
    first_order,
    excluded,
    currency,
    channel,
    lines,
    shipping,
    tax,
    paid_with_gift_card,
    paid_with_points,
    asked,
    awards,
    counted,
    tier,
    toward_tier,
    bought,
});
packed!(Asked { holds, failed });
sparse!(OrderLine { line_id, sku, quantity, value, excluded, rules });
packed!(LineRefund { line_id, pieces, by_share, amount });
sparse!(Award { rule, points, lots, waiting, limited });
packed!(Limited { desired, period, in_period });
sparse!(Bought { discount, counted });

sparse!(Redemption { id, family, reward, ledger, at, points, reversed, allocation, coupon, order_id });
sparse!(Coupon { code, value, expires_at, uses, used_by, reserved, revoked, expired, restore_on_expiry });

sparse!(Standing { status, erased_at, cards, links });
packed_enum!(Status { Member = 0, Guest = 1, Registered = 2, Left = 3, Erased = 4 });
packed!(Card { code, status, issued_at, replaced_by });
packed_enum!(CardStatus { Active = 0, Inactive = 1, Blocked = 2 });
packed!(Links { winner, merged, family, changed_at, custody, served });
packed!(Custody { own, here, to, moving });

sparse!(Counters { used, achievements, troubles });
packed!(Used { what, id, period, used });
packed_enum!(Counted { Points = 0, Birthday = 1, Registered = 2, Reward = 3 });
packed!(Progress { id, period, progress, completed_at });
sparse!(Trouble { code, source_kind, source, about, cost, at, lines, amount, currency });

sparse!(TierState {
    synced,
    metric,
    first_day,
    seed,
    days,
    forgotten_before,
    qualified,
    held_until,
    in_grace,
    attained_kind,
    attained_by,
    over,
    given,
});
packed_enum!(Metric { Spend = 0, Points = 1, Orders = 2 });
sparse!(Day { day, amount, lowered, credit });
packed!(Override { tier, floor, until, source, since });

sparse!(Referrals { codes, visits, joined, pending, completed, reversed, ties });
sparse!(Ties { by, owners, home });
sparse!(Owner { code, owner, since });
packed!(Code { code, slug, state });
packed_enum!(CodeState { Asked = 0, Held = 1, Taken = 2 });
packed!(Referred { code, at, order });
packed!(FirstOrder { order_id, worth });
packed!(OrderWorth { at, amount, gone });
packed!(Home { owner, waiting });
sparse!(Friend { friend, code, withdrawn, joined_at, order_id, ordered_at, worth, window_until, given, for_joining });
packed!(Given { ruleset, rule, at, points });

impl Pack for RecordKey {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(self.family);
        out.extend_from_slice(&self.id.to_le_bytes());
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        Ok(RecordKey { family: u8::unpack(from)?, id: u64::from_le_bytes(from.word()?) })
    }
}

impl Pack for Record {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Record::Order(order) => {
                out.push(0);
                order.pack(out);
            }
            Record::Redemption(redemption) => {
                out.push(1);
                redemption.pack(out);
            }
            Record::Code(key) => {
                out.push(2);
                key.pack(out);
            }
            Record::Friend(friend) => {
                out.push(3);
                friend.pack(out);
            }
        }
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        match from.byte()? {
            0 => Pack::unpack(from).map(Record::Order),
            1 => Pack::unpack(from).map(Record::Redemption),
            2 => Pack::unpack(from).map(Record::Code),
            3 => Pack::unpack(from).map(Record::Friend),
            _ => Err(Damaged),
        }
    }
}

impl Pack for VecDeque<Day> {
    fn pack(&self, out: &mut Vec<u8>) {
        (self.len() as u64).pack(out);
        self.iter().for_each(|day| day.pack(out));
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let count = from.count()?;
        (0..count).map(|_| Day::unpack(from)).collect()
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_is_seen_in_packed_bytes() {
        let packed = |member: &Member| {
            let mut bytes = Vec::new();
            member.pack(&mut bytes);
            bytes
        };
        let everything_else = Member {
            known: true,
            due: crate::Instant(5),
            facts: 1,
            closed: ClosedCoupons { used: 1, ..ClosedCoupons::default() },
            exclusions: vec![Excluded {
                from: crate::Instant(1),
                until: crate::Instant(2),
                earn: true,
                redeem: true,
                erased: false,
            }],
            counters: Some(Box::default()),
            ..Member::default()
        };
        assert!(!Member::has_standing(&packed(&everything_else)));
        let member = Member { standing: Some(Box::default()), ..Member::default() };
        assert!(Member::has_standing(&packed(&member)));
    }
}
