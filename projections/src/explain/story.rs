//! What is known of a member when a number of it is explained, and its tier.

use super::tree::{Node, by_lot};
use crate::answer::money_or_count;
use accrue_ledger::calendar::{date_of, day_number};
use accrue_ledger::{Entry, EntryKind, Instant, Member, Order, Ruleset, TierState, Tiers, Timeline};
use std::collections::BTreeMap;

/// A member with everything that happened to its numbers.
pub(crate) struct Story<'a> {
    pub state: &'a Member,
    pub rules: &'a Timeline,
    pub entries: &'a [Entry],
    pub at: Instant,
    /// Its orders.
    pub orders: &'a [Order],
    pub(super) by_lot: BTreeMap<u32, Vec<(u32, i64)>>,
    /// Of orders in other currencies than their ruleset's.
    pub(super) currencies: BTreeMap<String, String>,
}

impl<'a> Story<'a> {
    pub(crate) fn new(
        state: &'a Member,
        rules: &'a Timeline,
        entries: &'a [Entry],
        orders: &'a [Order],
        at: Instant,
    ) -> Story<'a> {
        let placed = orders.iter().filter_map(|order| Some((order, order.placed.as_ref()?)));
        let currencies = placed.map(|(order, placed)| (order.order_id.to_string(), placed.currency.to_string())).collect();
        Story { state, rules, entries, at, orders, by_lot: by_lot(entries), currencies }
    }

    /// What counts toward the tier, day by day, and the moves so far. `None`: there are no tiers.
    pub(super) fn tier(&self) -> Option<Node> {
        let rules = self.rules.at(self.at)?;
        let tiers = rules.tiers.as_ref()?;
        let (state, progress) = (self.state.tier.as_ref()?, self.state.tier_progress(rules, self.at)?);
        let window = tiers.window.days(day_number(self.at, &rules.zone), state.first_day);
        let days = state.days.iter().filter(|day| window.contains(&day.day) && (day.amount, day.credit) != (0, 0));
        let mut parts: Vec<Node> = days.map(|day| self.day(day, rules)).collect();
        let sum: i64 = parts.iter().map(|part| part.points).sum();
        if sum != progress.metric {
            parts.push(counted("never below 0".to_owned(), progress.metric - sum, rules));
        }
        let qualified = &tiers.get(progress.qualified).id;
        // A window over a lifetime has no first day.
        let first = if *window.start() == i32::MIN { "the beginning".to_owned() } else { date_of(*window.start()) };
        let what = format!("tier {}: {first} to {}", tiers.get(progress.effective).id, date_of(*window.end()));
        let mut because = vec![format!("qualified for {qualified} by what counts in the window")];
        because.extend(self.standing(state, tiers, rules));
        let moves = (0..).zip(self.entries).filter(|(_, entry)| entry.kind == EntryKind::TierChanged);
        let then = moves.map(|(number, entry)| Node {
            what: "tier changed".to_owned(),
            at: Some(entry.at.to_string()),
            entry: Some(number),
            because: vec![super::sentence(entry, self.rules)],
            ..Node::default()
        });
        Some(Node { because, then: then.collect(), parts, ..counted(what, progress.metric, rules) })
    }

    fn standing(&self, state: &TierState, tiers: &Tiers, rules: &Ruleset) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(over) = &state.over {
            let how = if over.floor { "at least" } else { "exactly" };
            lines.push(format!("by hand {how} {} until {}, by {}", over.tier, over.until, over.source));
        }
        let Some(progress) = self.state.tier_progress(rules, self.at) else { return lines };
        let shown = |number: i64| money_or_count(number, rules);
        if let Some(entry) = tiers.get(progress.qualified).entry {
            lines.push(format!("{} has its entry at {}", tiers.get(progress.qualified).id, shown(entry)));
        }
        if let Some((next, missing)) = progress.next {
            lines.push(format!("{} are missing to {}", shown(missing), tiers.get(next).id));
        }
        if let (Some(until), Some(projected), Some(to_keep)) = (progress.held_until, progress.projected, progress.to_keep) {
            let grace = if progress.in_grace { "the grace" } else { "the hold" };
            let kept = format!("{grace} ends {until}; {} more by then keep it", shown(to_keep));
            lines.push(format!("{kept}, else {} if nothing else happens", tiers.get(projected).id));
        }
        lines
    }

    fn day(&self, day: &accrue_ledger::Day, rules: &Ruleset) -> Node {
        let here = |order: &&Order| {
            order.placed.as_ref().is_some_and(|placed| day_number(placed.at, &rules.zone) == day.day && placed.toward_tier != 0)
        };
        let toward = |order: &Order| order.placed.as_ref().map_or(0, |placed| placed.toward_tier);
        let mut parts: Vec<Node> = self
            .orders
            .iter()
            .filter(here)
            .map(|order| counted(format!("order {}", order.order_id), toward(order), rules))
            .collect();
        let rest = day.amount - parts.iter().map(|part| part.points).sum::<i64>();
        if rest != 0 {
            parts.push(counted("activities, and orders judged by other rules".to_owned(), rest, rules));
        }
        if day.credit != 0 {
            parts.push(counted("credit by hand".to_owned(), day.credit, rules));
        }
        let lowered = format!("refunds, cancellations and lower versions took {}", money_or_count(day.lowered, rules));
        let because = if day.lowered > 0 { vec![lowered] } else { Vec::new() };
        Node { because, parts, ..counted(date_of(day.day), day.amount + day.credit, rules) }
    }
}

/// A number that counts toward tiers.
fn counted(what: String, number: i64, rules: &Ruleset) -> Node {
    Node { what, points: number, shown: Some(money_or_count(number, rules)), ..Node::default() }
}
