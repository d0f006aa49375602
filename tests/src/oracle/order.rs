//! What an order is worth: from its definition, every time (§3, §4).

use super::fact::{Millionths, OLine, OOrder};
use super::ladder::Metric;
use super::limits::Awarded;
use super::number::{Ratio, Rounding, decimals, spread};
use super::rules::{Earn, Filter, ORules};
use std::cmp::Ordering;
use std::rc::Rc;

/// An order: what its first version captured, its highest version, and what was taken back.
#[derive(Clone, Debug)]
pub struct Order {
    /// When the first version happened.
    pub at: i64,
    /// The ruleset then in force.
    pub rules: Rc<ORules>,
    /// No other order of the member came before it.
    pub is_first: bool,
    /// It lies in an exclusion.
    pub is_excluded: bool,
    /// The member's tier before it; `None` where there are none.
    pub tier: Option<String>,
    /// What each rule awarded so far.
    pub awarded: Vec<Awarded>,
    /// The highest version so far.
    pub content: OOrder,
    /// All refunds so far, in order.
    pub refunds: Vec<Refunded>,
    /// Taken back as a whole.
    pub is_cancelled: bool,
    /// When it was fulfilled.
    pub fulfilled_at: Option<i64>,
}

/// What an order is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worth {
    /// Points of each rule, before limits.
    pub points: Vec<i64>,
    /// See [`Order::eligible_spend`].
    pub spend: i64,
}

/// One piece of a refund.
#[derive(Clone, Debug)]
pub enum Refunded {
    /// Pieces of a line; the amount, where stated, in minor units.
    Line {
        /// Which.
        line_id: String,
        /// How many.
        pieces: i128,
        /// How much.
        amount: Option<i128>,
    },
    /// An amount, in minor units.
    Amount(i128),
}

/// What was refunded, on the lines of the highest version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Of each line.
    pub pieces: Vec<i128>,
    /// Of each line, minor units.
    pub amounts: Vec<i128>,
    /// Of the order as a whole, minor units.
    pub amount_only: i128,
}

impl Order {
    /// In minor units of the order's currency.
    pub fn minor(&self, amount: Millionths) -> i128 {
        amount * 10_i128.pow(decimals(&self.content.currency)) / 1_000_000
    }

    /// Value of each line: quantity × price − discount − its share of the order's discount.
    pub fn values(&self) -> Vec<i128> {
        let of_line = |line: &OLine| line.quantity * self.minor(line.unit_price) - self.minor(line.discount);
        let net: Vec<i128> = self.content.lines.iter().map(of_line).collect();
        let shares = spread(self.minor(self.content.discount), &net);
        net.iter().zip(shares).map(|(net, share)| net - share).collect()
    }

    /// What all refunds together took.
    pub fn taken(&self) -> Taken {
        let values = self.values();
        let lines = &self.content.lines;
        let mut taken = Taken { pieces: vec![0; lines.len()], amounts: vec![0; lines.len()], amount_only: 0 };
        // Pieces that came without an amount: what they are worth depends on how many there are in all, not on the order.
        let mut by_share = vec![0; lines.len()];
        for refund in &self.refunds {
            match refund {
                Refunded::Amount(amount) => taken.amount_only += amount,
                Refunded::Line { line_id, pieces, amount } => {
                    let Some(i) = lines.iter().position(|line| &line.line_id == line_id) else {
                        taken.amount_only += amount.unwrap_or(0);
                        continue;
                    };
                    let part = (*pieces).min(lines[i].quantity - taken.pieces[i]).max(0);
                    taken.pieces[i] += part;
                    match amount {
                        Some(amount) => taken.amounts[i] += amount,
                        None => by_share[i] += part,
                    }
                }
            }
        }
        for (i, line) in lines.iter().enumerate() {
            taken.amounts[i] += values[i] * by_share[i] / line.quantity.max(1);
        }
        taken
    }

    /// Nothing of it is left: cancelled, or all pieces given back.
    pub fn is_gone(&self) -> bool {
        let taken = self.taken();
        let ordered: i128 = self.content.lines.iter().map(|line| line.quantity).sum();
        let left = self.content.lines.iter().zip(&taken.pieces).any(|(line, taken)| *taken < line.quantity);
        self.is_cancelled || (ordered > 0 && !left)
    }

    /// What it is worth as it is now.
    pub fn worth(&self) -> Worth {
        Worth { points: self.entitlement(), spend: self.eligible_spend() }
    }

    /// What counts of the whole order as it is now, in minor units of the program's currency, rounded down.
    pub fn eligible_spend(&self) -> i64 {
        if self.is_excluded { 0 } else { self.spend() }
    }

    /// What it counts toward a tier; an order of an excluded member gives no points, but counts.
    pub fn counts_for_tier(&self, metric: Metric) -> i64 {
        match metric {
            Metric::Spend => self.spend(),
            Metric::Orders => i64::from(self.spend() > 0),
            Metric::Points => {
                let counts = self.rules.earn.iter().zip(&self.awarded).filter(|(earn, _)| earn.counts_toward_tier);
                counts.map(|(_, awarded)| awarded.points).sum()
            }
        }
    }

    fn spend(&self) -> i64 {
        if self.is_gone() {
            return 0;
        }
        let minor_units = Ratio::whole(10_i128.pow(decimals(&self.rules.currency)));
        let whole = Ratio::whole(self.eligible(&Filter::default(), true));
        whole.times(self.rules.worth_of_minor(&self.content.currency)).times(minor_units).round(Rounding::Floor)
    }

    /// The eligible amount of a rule that asks for these lines, in minor units of the order's currency, ≥ 0; with or without
    /// its refunds.
    pub fn eligible(&self, lines: &Filter, with_refunds: bool) -> i128 {
        let values = self.values();
        let taken =
            if with_refunds { self.taken() } else { Taken { pieces: vec![], amounts: vec![0; values.len()], amount_only: 0 } };
        let mut not_earning = 0;
        if !self.rules.gift_card_payment {
            not_earning += self.minor(self.content.paid_with_gift_card);
        }
        if !self.rules.points_payment {
            not_earning += self.minor(self.content.paid_with_points);
        }
        let mut sum = 0;
        if lines.is_empty() {
            for (i, line) in self.content.lines.iter().enumerate() {
                if !matches_any(&self.rules.exclude, line) {
                    sum += values[i] - taken.amounts[i];
                }
            }
            if self.rules.tax {
                sum += self.minor(self.content.tax);
            }
            if self.rules.shipping {
                sum += self.minor(self.content.shipping);
            }
            sum -= not_earning + taken.amount_only;
        } else {
            let paid = spread(not_earning, &values);
            let refunded = spread(taken.amount_only, &values);
            for (i, line) in self.content.lines.iter().enumerate() {
                if matches_all(lines, line) && !matches_any(&self.rules.exclude, line) {
                    sum += values[i] - taken.amounts[i] - paid[i] - refunded[i];
                }
            }
        }
        sum.max(0)
    }

    /// The points each rule of the order's ruleset gives for it as it is now.
    pub fn entitlement(&self) -> Vec<i64> {
        self.rules.earn.iter().map(|earn| self.points(earn)).collect()
    }

    fn points(&self, earn: &Earn) -> i64 {
        if earn.on != "order" || self.is_excluded || self.is_gone() || !self.is_asked_for(earn) {
            return 0;
        }
        let in_program = |minor: i128| Ratio::whole(minor).times(self.rules.worth_of_minor(&self.content.currency));
        if let Some(least) = earn.min_eligible {
            let reached = in_program(self.eligible(&earn.lines, !self.rules.keep_threshold));
            if reached.compare(least) == Ordering::Less {
                return 0;
            }
        }
        let eligible = self.eligible(&earn.lines, true);
        let points = Ratio::whole(earn.points.into()).times(self.rules.multiplier(earn, self.tier.as_deref()));
        match earn.per {
            None if eligible > 0 => points.round(self.rules.round),
            None => 0,
            Some(per) => in_program(eligible).times(points).over(per).round(self.rules.round),
        }
    }

    /// Every `when` key that does not look at amounts.
    fn is_asked_for(&self, earn: &Earn) -> bool {
        let channel_fits = match &self.content.channel {
            _ if earn.channels.is_empty() => true,
            Some(channel) => earn.channels.contains(channel),
            None => false,
        };
        let first_fits = !earn.first_order || self.is_first;
        let tier_fits = fits_tier(earn, self.tier.as_deref());
        channel_fits && first_fits && tier_fits && is_in_time(earn, &self.rules, self.at) && earn.activity.is_none()
    }

    /// What is left of the whole order, in minor units, ≥ 0: everything paid for minus everything refunded.
    pub fn amount_left(&self) -> i128 {
        let taken = self.taken();
        let extra = self.minor(self.content.tax) + self.minor(self.content.shipping);
        let left = self.values().iter().sum::<i128>() + extra - taken.amounts.iter().sum::<i128>() - taken.amount_only;
        left.max(0)
    }
}

/// `tiers`.
pub fn fits_tier(earn: &Earn, tier: Option<&str>) -> bool {
    earn.tiers.is_empty() || tier.is_some_and(|tier| earn.tiers.iter().any(|one| one == tier))
}

/// `from`, `until` and `weekdays`.
pub fn is_in_time(earn: &Earn, rules: &ORules, at: i64) -> bool {
    let weekday = rules.zone.local(at).date().weekday();
    earn.from.is_none_or(|from| from <= at)
        && earn.until.is_none_or(|until| at < until)
        && (earn.weekdays.is_empty() || earn.weekdays.contains(&weekday))
}

fn shares(wanted: &[String], has: &[String]) -> bool {
    wanted.iter().any(|one| has.contains(one))
}

/// Any of the filter's lists names the line: for exclusions.
fn matches_any(filter: &Filter, line: &OLine) -> bool {
    shares(&filter.collections, &line.collections) || shares(&filter.tags, &line.tags) || filter.skus.contains(&line.sku)
}

/// Every list of the filter that is not empty names the line: for rules.
fn matches_all(filter: &Filter, line: &OLine) -> bool {
    (filter.collections.is_empty() || shares(&filter.collections, &line.collections))
        && (filter.tags.is_empty() || shares(&filter.tags, &line.tags))
        && (filter.skus.is_empty() || filter.skus.contains(&line.sku))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: i128 = 1_000_000;

    fn order(rules: &str, lines: &[(&str, i128, i128)]) -> Order {
        let rules = format!("currency = \"GBP\"\n{rules}");
        let line = |&(id, quantity, price): &(&str, i128, i128)| OLine {
            line_id: id.into(),
            sku: id.into(),
            quantity,
            unit_price: price * UNIT / 100,
            collections: vec![id.into()],
            ..OLine::default()
        };
        Order {
            at: 0,
            rules: Rc::new(ORules::parse(&rules).unwrap()),
            is_first: true,
            is_excluded: false,
            tier: None,
            awarded: vec![Awarded::default(); 1],
            content: OOrder { currency: "GBP".into(), lines: lines.iter().map(line).collect(), ..OOrder::default() },
            refunds: vec![],
            is_cancelled: false,
            fulfilled_at: None,
        }
    }

    #[test]
    fn points_of_a_whole_order() {
        let mut order = order("[[earn]]\non = \"order\"\npoints = 1\nper = \"1.00\"", &[("a", 2, 1000), ("b", 1, 550)]);
        order.content.discount = 3 * UNIT;
        order.content.tax = UNIT;
        order.content.shipping = 5 * UNIT;
        order.content.paid_with_points = 2 * UNIT;
        // 25.50 − 3.00 + 1.00 − 2.00; shipping does not earn.
        assert_eq!(order.values(), [1765, 485]);
        assert_eq!(order.entitlement(), [21]);
        order.refunds.push(Refunded::Line { line_id: "a".into(), pieces: 1, amount: None });
        assert_eq!(order.taken().amounts, [882, 0]);
        assert_eq!(order.entitlement(), [12]);
        order.refunds.push(Refunded::Line { line_id: "a".into(), pieces: 5, amount: None });
        assert_eq!(order.taken(), Taken { pieces: vec![2, 0], amounts: vec![1765, 0], amount_only: 0 });
        order.refunds.push(Refunded::Line { line_id: "b".into(), pieces: 1, amount: Some(1) });
        assert_eq!(order.entitlement(), [0], "all pieces are gone");
    }

    #[test]
    fn lines_of_a_rule_and_a_fixed_number() {
        let rules = "[[earn]]\non = \"order\"\npoints = 7\nwhen = { collections = [\"b\"], min_eligible = \"5.00\" }";
        let mut order = order(rules, &[("a", 2, 1000), ("b", 1, 550)]);
        assert_eq!(order.entitlement(), [7]);
        order.refunds.push(Refunded::Amount(300));
        // 3.00 over 20.00 and 5.50: 2.35 and 0.65, so 4.85 are left of b.
        assert_eq!(order.eligible(&order.rules.earn[0].lines, true), 485);
        assert_eq!(order.entitlement(), [0]);
    }
}
