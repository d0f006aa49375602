//! The workload that benchmarks take in: facts of a busy shop, straight as protobuf, fast enough not to be what is measured.
//!
//! 70 % orders of 3 lines, 8 % refunds of earlier orders, 12 % requests to spend points, 5 % adjustments, 5 % others, and on top
//! 1 % that are said twice; over two years, in order of time. Members are drawn skewed: the square of an even draw, as Zipf's law
//! with exponent 1/2 has it (of 200,000 members the first has 1 fact in 450). The same seed gives the same bytes. The rules are [`RULESET`].
//!
//! ```
//! use accrue_ingest::workload::{Workload, WorkloadOptions};
//! let mut workload = Workload::new(WorkloadOptions { facts: 1_000, members: 50, ..WorkloadOptions::default() });
//! let mut bytes = Vec::new();
//! while let Some(member) = workload.next_into(&mut bytes) {
//!     assert_eq!(accrue_proto::read_fact(&bytes)?.member, member.text());
//! }
//! # Ok::<(), accrue_proto::Malformed>(())
//! ```

mod wire;

use crate::life::DAY;
use crate::life::chance::Chance;
use accrue_ledger::{Instant, Kind};
use std::ops::Range;
use wire::{Id, Message};

/// The rules it is measured with: program `bench`.
pub const RULESET: &str = include_str!("../../../deploy/rulesets/bench.toml");
/// The program of [`RULESET`] and of all facts.
pub const PROGRAM: &str = "bench";
/// Facts that may be said again later.
const RECENT_MAX: usize = 64;
/// Members looked at for one who has what a fact needs.
const DRAWS_MAX: u32 = 16;
/// What a coupon costs in [`RULESET`].
const COST: i64 = 500;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkloadOptions {
    /// In all, those said twice included.
    pub facts: u64,
    /// Each has 20 bytes of memory here.
    pub members: u32,
    /// The same seed, the same bytes.
    pub seed: u64,
    /// The instant of the first fact.
    pub start: Instant,
    /// From the first fact to the last, microseconds.
    pub span_micros: i64,
}

impl Default for WorkloadOptions {
    /// The workload of `benches/README.md`.
    fn default() -> Self {
        let start = Instant(1_672_531_200_000_000);
        WorkloadOptions { facts: 5_000_000, members: 200_000, seed: 1, start, span_micros: 730 * DAY }
    }
}

/// Makes one fact after the other.
pub struct Workload {
    options: WorkloadOptions,
    chance: Chance,
    made: u64,
    members: Vec<Known>,
    /// Bytes of recent facts, and whose they are.
    recent: Vec<(u32, Vec<u8>)>,
}

/// What is remembered of a member.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Numbers of the two latest orders that nothing was given back of; 0: none.
    orders: [u32; 2],
    /// Number of the latest redemption whose coupon was not used; 0: none.
    redemption: u32,
    /// About what can be spent.
    points: i32,
    /// Number of the latest order.
    latest: u32,
}

/// Whose fact it is.
#[derive(Clone, Copy)]
pub struct MemberId(Id);

impl MemberId {
    /// The member's id, `m-00000042`.
    pub fn text(&self) -> &str {
        self.0.text()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Order,
    Refund,
    Redemption,
    Adjustment,
    Review,
    CouponUsed,
    Fulfilled,
}

/// Shares in 1,000, in order.
const SHARES: [(Range<u64>, Sort); 7] = [
    (0..700, Sort::Order),
    (700..780, Sort::Refund),
    (780..900, Sort::Redemption),
    (900..950, Sort::Adjustment),
    (950..970, Sort::Review),
    (970..985, Sort::CouponUsed),
    (985..1_000, Sort::Fulfilled),
];

const LINE_IDS: [&str; 3] = ["1", "2", "3"];

/// Article, collection, price in minor units.
const SKUS: [(&str, &str, i64); 8] = [
    ("tea-assam", "tea", 695),
    ("coffee-house", "coffee", 795),
    ("mug-blue", "ware", 1_200),
    ("tea-sencha", "tea", 845),
    ("honey", "pantry", 680),
    ("teapot", "ware", 2_900),
    ("biscuits", "pantry", 325),
    ("coffee-mill", "ware", 6_900),
];

impl Workload {
    /// Ready for its first fact.
    pub fn new(options: WorkloadOptions) -> Workload {
        let options = WorkloadOptions { members: options.members.max(1), ..options };
        let members = vec![Known::default(); options.members as usize];
        Workload { options, chance: Chance::new(options.seed), made: 0, members, recent: Vec::with_capacity(RECENT_MAX) }
    }

    /// Facts still to come.
    pub fn left(&self) -> u64 {
        self.options.facts - self.made
    }

    /// Writes the next fact over what is in `out`, and says whose it is. `None`: that was all.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<MemberId> {
        if self.left() == 0 {
            return None;
        }
        let number = self.made;
        self.made += 1;
        out.clear();
        if self.recent.len() == RECENT_MAX && self.chance.in_1000(10) {
            let (member, bytes) = &self.recent[self.chance.below(RECENT_MAX as u64) as usize];
            out.extend_from_slice(bytes);
            return Some(MemberId(Id::new(b'm', u64::from(*member))));
        }
        let passed = i128::from(self.options.span_micros) * i128::from(number) / i128::from(self.options.facts);
        let at = Instant(self.options.start.0 + passed as i64);
        let member = self.write(number + 1, at, out);
        self.remember(member, out);
        Some(MemberId(Id::new(b'm', u64::from(member))))
    }

    fn remember(&mut self, member: u32, bytes: &[u8]) {
        if self.recent.len() < RECENT_MAX {
            self.recent.push((member, bytes.to_vec()));
        } else if self.chance.in_1000(20) {
            let slot = &mut self.recent[self.chance.below(RECENT_MAX as u64) as usize];
            slot.0 = member;
            slot.1.clear();
            slot.1.extend_from_slice(bytes);
        }
    }

    /// The square of an even draw.
    fn draw(&mut self) -> u32 {
        let even = u128::from(self.chance.next() >> 32);
        ((u128::from(self.options.members) * even * even) >> 64) as u32
    }

    /// A member that has what such a fact is about.
    fn draw_with(&mut self, fits: impl Fn(&Known) -> bool) -> Option<u32> {
        for _ in 0..DRAWS_MAX {
            let member = self.draw();
            if fits(&self.members[member as usize]) {
                return Some(member);
            }
        }
        None
    }

    fn write(&mut self, number: u64, at: Instant, out: &mut Vec<u8>) -> u32 {
        let dice = self.chance.below(1_000);
        let sort = SHARES.iter().find(|(share, _)| share.contains(&dice)).map_or(Sort::Order, |(_, sort)| *sort);
        // Coupons live for 90 days; older ones are not tried.
        let coupon_facts = i128::from(self.options.facts) * i128::from(80 * DAY) / i128::from(self.options.span_micros.max(1));
        let oldest_coupon = (i128::from(number) - coupon_facts).max(0) as u32;
        let found = match sort {
            Sort::Order | Sort::Adjustment | Sort::Review => None,
            Sort::Refund => self.draw_with(|known| known.orders[0] != 0),
            Sort::Redemption => self.draw_with(|known| i64::from(known.points) >= COST),
            Sort::CouponUsed => self.draw_with(|known| known.redemption > oldest_coupon),
            Sort::Fulfilled => self.draw_with(|known| known.latest != 0),
        };
        // Without an order there is nothing to give back; but points can be asked for in vain.
        let needs = matches!(sort, Sort::Refund | Sort::CouponUsed | Sort::Fulfilled);
        let sort = if needs && found.is_none() { Sort::Order } else { sort };
        let member = found.unwrap_or_else(|| self.draw());
        let id = Id::new(b'f', number);
        let mut fact = Message { out };
        fact.text(1, id.text());
        fact.text(2, "shop");
        fact.text(3, PROGRAM);
        fact.text(4, Id::new(b'm', u64::from(member)).text());
        fact.instant(5, at);
        // Numbers of facts are far below 2^32: years of them at any rate.
        let (known, number) = (&mut self.members[member as usize], number as u32);
        match sort {
            Sort::Order => order(&mut fact, number, known, &mut self.chance),
            Sort::Refund => refund(&mut fact, number, known, &mut self.chance),
            Sort::Redemption => redemption(&mut fact, number, known),
            Sort::Adjustment => adjustment(&mut fact, number, known, &mut self.chance),
            Sort::Review => fact.body(Kind::ActivityRecorded, |body| {
                body.text(1, Id::new(b'a', u64::from(number)).text());
                body.text(2, "review");
            }),
            Sort::CouponUsed => {
                fact.body(Kind::CouponUsed, |body| {
                    body.some_text(2, Id::new(b'x', u64::from(known.redemption)).text());
                    body.text(4, Id::new(b'o', u64::from(known.latest)).text());
                });
                known.redemption = 0;
            }
            Sort::Fulfilled => {
                fact.body(Kind::OrderFulfilled, |body| body.text(1, Id::new(b'o', u64::from(known.latest)).text()))
            }
        }
        member
    }
}

fn order(fact: &mut Message<'_>, number: u32, known: &mut Known, chance: &mut Chance) {
    let mut value = 0;
    fact.body(Kind::OrderPlaced, |body| {
        body.text(1, Id::new(b'o', u64::from(number)).text());
        body.int(2, 1);
        body.text(3, "GBP");
        for line_id in LINE_IDS {
            let (sku, collection, price) = *chance.one_of(&SKUS);
            let quantity = chance.between(1, 3);
            value += quantity * price;
            body.nested(4, |line| {
                line.text(1, line_id);
                line.text(2, sku);
                line.int(3, quantity);
                line.int(4, price);
                line.some_text(6, collection);
            });
        }
        body.text(11, "web");
    });
    known.orders = [number, known.orders[0]];
    known.latest = number;
    known.points = known.points.saturating_add((value / 100) as i32);
}

fn refund(fact: &mut Message<'_>, number: u32, known: &mut Known, chance: &mut Chance) {
    fact.body(Kind::RefundRecorded, |body| {
        body.text(1, Id::new(b'r', u64::from(number)).text());
        body.text(2, Id::new(b'o', u64::from(known.orders[0])).text());
        if chance.in_1000(800) {
            body.nested(3, |line| {
                line.text(1, LINE_IDS[chance.below(3) as usize]);
                line.int(2, 1);
            });
        } else {
            body.some_int(4, chance.between(100, 1_000));
        }
        body.text(5, "GBP");
    });
    known.orders = [known.orders[1], 0];
    known.points = known.points.saturating_sub(10);
}

fn redemption(fact: &mut Message<'_>, number: u32, known: &mut Known) {
    let with_coupon = number.is_multiple_of(2);
    fact.body(Kind::RedemptionRequested, |body| {
        body.text(1, Id::new(b'x', u64::from(number)).text());
        if with_coupon {
            body.text(2, "five-pounds");
        } else {
            body.some_int(3, COST);
        }
    });
    if with_coupon {
        known.redemption = number;
    }
    known.points = (i64::from(known.points) - COST).max(0) as i32;
}

fn adjustment(fact: &mut Message<'_>, number: u32, known: &mut Known, chance: &mut Chance) {
    let points = if chance.in_1000(800) { chance.between(1, 4) * 25 } else { -chance.between(1, 20) };
    fact.body(Kind::PointsAdjusted, |body| {
        body.text(1, Id::new(b'j', u64::from(number)).text());
        body.int(3, points);
        body.text(5, "goodwill");
    });
    known.points = known.points.saturating_add(points as i32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::{Body, Ruleset};
    use accrue_proto::{pb, read_fact, write_fact};
    use prost::Message as _;
    use std::collections::{BTreeMap, BTreeSet};

    fn all(facts: u64, members: u32, mut each: impl FnMut(&[u8], &str)) {
        let mut workload = Workload::new(WorkloadOptions { facts, members, ..WorkloadOptions::default() });
        let mut bytes = Vec::new();
        while let Some(member) = workload.next_into(&mut bytes) {
            each(&bytes, member.text());
        }
        assert_eq!(workload.left(), 0);
    }

    fn written_by_prost(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_fact(&pb::Fact::decode(bytes).expect("decodes"), &mut out);
        out
    }

    #[test]
    fn the_bytes_are_those_of_prost() {
        all(3_000, 40, |bytes, _| assert_eq!(bytes, written_by_prost(bytes)));
    }

    #[test]
    fn the_mix_is_what_it_says() {
        let rules = Ruleset::parse(RULESET).expect("valid");
        let (mut kinds, mut ids, mut twice) = (BTreeMap::<Kind, f64>::new(), BTreeSet::new(), 0.0);
        let (mut orders, mut unknown_orders, mut last) = (BTreeSet::new(), 0, Instant::MIN);
        let mut of_first = 0;
        let total = 200_000;
        all(total, 2_000, |bytes, member| {
            let fact = read_fact(bytes).expect("well-formed");
            accrue_ledger::check(&fact, &rules).expect("known to the rules");
            assert_eq!((fact.member, fact.program), (member, PROGRAM));
            of_first += u32::from(member == "m-00000000");
            if !ids.insert(fact.id.to_owned()) {
                twice += 1.0;
                return;
            }
            assert!(fact.occurred_at >= last, "in order of time");
            last = fact.occurred_at;
            *kinds.entry(fact.kind).or_default() += 1.0;
            match fact.body {
                Body::OrderPlaced(order) => {
                    assert_eq!(order.lines.len(), 3);
                    orders.insert((member.to_owned(), order.order_id.to_owned()));
                }
                Body::RefundRecorded(refund) => {
                    let order = (member.to_owned(), refund.order_id.unwrap_or_default().to_owned());
                    unknown_orders += u32::from(!orders.contains(&order));
                }
                _ => {}
            }
        });
        let once: f64 = kinds.values().sum();
        let others = [Kind::ActivityRecorded, Kind::CouponUsed, Kind::OrderFulfilled];
        let share = |kinds_of: &[Kind]| kinds_of.iter().map(|kind| kinds[kind]).sum::<f64>() * 100.0 / once;
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 0.4, "{found} %, not {wanted} %: {kinds:?}");
        near(share(&[Kind::OrderPlaced]), 70.0);
        near(share(&[Kind::RefundRecorded]), 8.0);
        near(share(&[Kind::RedemptionRequested]), 12.0);
        near(share(&[Kind::PointsAdjusted]), 5.0);
        near(share(&others), 5.0);
        near(twice * 100.0 / total as f64, 1.0);
        assert_eq!((unknown_orders, kinds.len()), (0, 7));
        // 1/√2,000 of all that are drawn evenly.
        assert!((3_500..5_500).contains(&of_first), "{of_first}");
    }

    #[test]
    fn a_long_message_has_a_long_length() {
        let text = "x".repeat(70_000);
        let mut out = Vec::new();
        Message { out: &mut out }.nested(1, |inner| inner.text(2, &text));
        let prefix = [0x0a, 0xf4, 0xa2, 0x04, 0x12, 0xf0, 0xa2, 0x04];
        assert_eq!((&out[..8], out.len()), (&prefix[..], 70_008));
    }

    #[test]
    fn ids() {
        assert_eq!(Id::new(b'o', 1).text(), "o-00000001");
        assert_eq!(Id::new(b'o', 0).text(), "o-00000000");
        assert_eq!(Id::new(b'o', 1_234_567_890).text(), "o-1234567890");
        assert_eq!(Id::new(b'o', u64::MAX).text(), "o-18446744073709551615");
    }
}
