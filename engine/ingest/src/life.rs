//! Two years in the life of a small shop, made up from a seed: what `accrue demo` takes in.
//!
//! People join, order (more at the end of the week and before Christmas), send things back with and without saying from which
//! order, cancel, review, have birthdays, spend points on rewards and use the coupons; staff puts things right. A few facts come
//! late and a few come twice, as they do. The same seed gives the same facts on every machine. The rules are [`RULESET`].
//!
//! ```
//! use accrue_ingest::life::Life;
//! let facts: Vec<_> = Life::new(42, 3, accrue_ledger::Instant(1_700_000_000_000_000)).collect();
//! assert!(facts.len() > 10 && facts.iter().all(|fact| fact.program == "demo"));
//! ```

mod catalogue;
pub(crate) mod chance;
mod order;
mod plan;
mod purse;
mod rewards;
mod shopper;

use accrue_ledger::Instant;
use accrue_proto::pb;
use shopper::Shopper;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The rules of the shop: program `demo`.
pub const RULESET: &str = include_str!("../../../deploy/rulesets/demo.toml");
/// The program of [`RULESET`] and of all facts.
pub const PROGRAM: &str = "demo";
/// How long it goes on.
pub const DAYS: i64 = 731;
/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// The facts, in the order in which they would be published: by `occurred_at` but for the few that are late.
pub struct Life {
    shoppers: Vec<Shopper>,
    /// When each has something to tell next.
    next: BinaryHeap<Reverse<(Instant, u32)>>,
}

impl Life {
    /// `members` people from `start` on, for [`DAYS`] days.
    pub fn new(seed: u64, members: u32, start: Instant) -> Life {
        let shoppers: Vec<Shopper> = (0..members).map(|number| Shopper::new(seed, number, start)).collect();
        let next =
            (0..).zip(&shoppers).filter_map(|(number, shopper)| shopper.next_at().map(|at| Reverse((at, number)))).collect();
        Life { shoppers, next }
    }

    /// About how many facts there will be, for a progress bar.
    pub fn estimate(members: u32) -> u64 {
        u64::from(members) * FACTS_PER_MEMBER
    }
}

/// Measured over 10,000 members; a test keeps it near.
const FACTS_PER_MEMBER: u64 = 29;

impl Iterator for Life {
    type Item = pb::Fact;

    fn next(&mut self) -> Option<pb::Fact> {
        loop {
            let Reverse((_, number)) = self.next.pop()?;
            let shopper = &mut self.shoppers[number as usize];
            let fact = shopper.tell();
            if let Some(at) = shopper.next_at() {
                self.next.push(Reverse((at, number)));
            }
            if fact.is_some() {
                return fact;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::{Kind, Ruleset};
    use accrue_proto::{read_fact, to_timestamp, write_fact};
    use std::collections::{BTreeMap, BTreeSet};

    const START: Instant = Instant(1_704_067_200_000_000);

    #[test]
    fn its_rules_are_valid() {
        let rules = Ruleset::parse(RULESET).expect("valid");
        assert_eq!(rules.program, PROGRAM);
        for reward in rewards::REWARDS {
            assert!(rules.reward(reward).is_some(), "{reward}");
        }
    }

    #[test]
    fn the_same_from_the_same_seed() {
        let life = |seed| Life::new(seed, 50, START).collect::<Vec<_>>();
        assert_eq!(life(7), life(7));
        assert_ne!(life(7), life(8));
    }

    #[test]
    fn everything_that_can_happen_does() {
        let rules = Ruleset::parse(RULESET).expect("valid");
        let (mut kinds, mut ids, mut members) = (BTreeMap::<Kind, u64>::new(), BTreeMap::new(), BTreeSet::new());
        let (mut unreferenced, mut late, mut twice, mut latest) = (0, 0, 0, i64::MIN);
        let mut bytes = Vec::new();
        let mut count = 0_u64;
        for fact in Life::new(1, 400, START) {
            count += 1;
            let at = fact.occurred_at.expect("has a time");
            assert!(
                at.seconds >= to_timestamp(START).seconds && at.seconds < to_timestamp(Instant(START.0 + DAYS * DAY)).seconds
            );
            bytes.clear();
            write_fact(&fact, &mut bytes);
            let read = read_fact(&bytes).expect("well-formed");
            accrue_ledger::check(&read, &rules).expect("nothing unknown to the rules");
            *kinds.entry(read.kind).or_default() += 1;
            members.insert(fact.member.clone());
            if let accrue_ledger::Body::RefundRecorded(refund) = &read.body {
                unreferenced += u64::from(refund.order_id.is_none());
            }
            late += u64::from(at.seconds < latest);
            latest = latest.max(at.seconds);
            match ids.get(&fact.id) {
                Some(known) => {
                    assert_eq!(known, &fact, "an id is used again only for the same fact");
                    twice += 1;
                }
                None => {
                    ids.insert(fact.id.clone(), fact);
                }
            }
        }
        let expected = [
            Kind::OrderPlaced,
            Kind::OrderFulfilled,
            Kind::OrderCancelled,
            Kind::RefundRecorded,
            Kind::RedemptionRecorded,
            Kind::ActivityRecorded,
            Kind::PointsImported,
            Kind::MemberRegistered,
            Kind::MemberExcluded,
            Kind::CouponUsed,
            Kind::CouponReleased,
            Kind::RedemptionRequested,
            Kind::RedemptionReversed,
            Kind::RewardGranted,
            Kind::CouponReserved,
            Kind::CouponRevoked,
            Kind::PointsAdjusted,
        ];
        for kind in expected {
            assert!(kinds.contains_key(&kind), "no {}: {kinds:?}", kind.name());
        }
        assert_eq!(members.len(), 400);
        assert!(unreferenced > 0 && late > count / 1_000 && twice > count / 1_000, "{unreferenced} {late} {twice} of {count}");
        let estimate = Life::estimate(400);
        assert!(count > estimate * 3 / 4 && count < estimate * 5 / 4, "{count} facts, {estimate} were estimated");
    }
}
