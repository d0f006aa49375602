//! Tiers (§9): what facts count, tiers that are reached, overrides, and what entering a tier gives.
//!
//! Gold from 1000.00: orders of 600.00 and 500.00 in one window lift the member with the second one, which itself still earns
//! with the tier before.

use super::lots::{NewLot, Told};
use super::{Draft, Fold, Source};
use crate::calendar::{To, date_of, day_number};
use crate::entry::{EntryKind, Sink, TierCause, TierChange, Why};
use crate::fact::Fact;
use crate::record::{Coupon, Order, Placed, RecordKey, Redemption};
use crate::ruleset::{MAIN, Metric, Ruleset, Tier, Tiers};
use crate::tier::{Counted, Override, TierState};
use crate::{Instant, Kind, Record, Text, worth};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What a change of tier is told with.
#[derive(Clone, Copy)]
pub(super) struct Reason<'s> {
    pub cause: TierCause,
    pub source: Source<'s>,
    /// When the source happened.
    pub since: Instant,
    pub counted: Counted,
    pub needed: i64,
}

impl<S: Sink> Fold<'_, S> {
    /// A member's first fact under a ruleset with tiers begins the counting.
    pub(super) fn tier_begins(&mut self, fact: &Fact<'_>, rules: &Ruleset, at: Instant) {
        if let (Some(tiers), None) = (&rules.tiers, &self.member.tier) {
            let seed = xxh3_64_with_seed(fact.member.as_bytes(), xxh3_64(fact.program.as_bytes()));
            self.member.tier = Some(Box::new(TierState::new(seed, tiers, rules, at)));
        }
    }

    /// The tier in force, a place in the list of the ruleset in force; 0 where there are none.
    pub(super) fn tier_now(&self, rules: &Ruleset) -> u8 {
        rules.tiers.as_ref().zip(self.member.tier.as_ref()).map_or(0, |(tiers, state)| state.effective(tiers))
    }

    /// What an order counts toward tiers changes with it. `rules`: what it captured.
    pub(super) fn tier_order(&mut self, order: &Order, placed: &mut Placed, rules: &Ruleset, at: Instant) {
        let Some(tiers) = &rules.tiers else { return };
        let counts = match tiers.metric {
            Metric::Spend => spend_of(order, placed, rules),
            Metric::Orders => i64::from(spend_of(order, placed, rules) > 0),
            Metric::Points => {
                let counting = |rule: u16| rules.earn.get(usize::from(rule)).is_some_and(|rule| rule.counts_toward_tier);
                placed.awards.iter().filter(|award| counting(award.rule)).map(|award| award.points).sum()
            }
        };
        let change = counts - placed.toward_tier;
        placed.toward_tier = counts;
        let day = day_number(placed.at, &rules.zone);
        self.tier_count(tiers.metric, day, change, TierCause::Order, at);
    }

    /// Something of a day counts more, or less.
    pub(super) fn tier_count(&mut self, metric: Metric, day: i32, change: i64, cause: TierCause, at: Instant) {
        let Some(rules) = self.rules.at(at).filter(|_| change != 0) else { return };
        let (Some(tiers), Some(state)) = (&rules.tiers, &mut self.member.tier) else { return };
        if state.metric != metric {
            return;
        }
        let today = day_number(at, &rules.zone);
        state.forget_before(tiers.window.start(today, state.first_day));
        if day < state.forgotten_before {
            return;
        }
        let counted = state.day_mut(day);
        if cause == TierCause::Credit {
            counted.credit += change;
        } else {
            // Below 0 only where what counted before was forgotten with another ruleset.
            counted.amount = (counted.amount + change).max(0);
            counted.lowered += (-change).max(0);
        }
        if change > 0 && day <= today {
            self.raised = Some(cause);
        }
    }

    /// Credit by hand, minor units.
    pub(super) fn tier_credit(&mut self, amount: i64, rules: &Ruleset, at: Instant) {
        let Some(tiers) = &rules.tiers else { return };
        let whole = if tiers.metric == Metric::Spend { amount } else { amount / 10_i64.pow(rules.exponent) };
        self.tier_count(tiers.metric, day_number(at, &rules.zone), whole, TierCause::Credit, at);
    }

    /// All credit is gone. Where it was below 0 that may lift the member.
    pub(super) fn tier_credit_dropped(&mut self, rules: &Ruleset, at: Instant) {
        let (Some(tiers), Some(state)) = (&rules.tiers, &mut self.member.tier) else { return };
        let before = state.counted_at(tiers, rules, at).metric;
        state.days.iter_mut().for_each(|day| day.credit = 0);
        if state.counted_at(tiers, rules, at).metric > before {
            self.raised = Some(TierCause::Credit);
        }
    }

    /// After a fact that raised the metric: up, if an entry is reached.
    pub(super) fn tier_up(&mut self, cause: TierCause, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let (Some(tiers), Some(state)) = (&rules.tiers, &self.member.tier) else { return };
        let counted = state.counted_at(tiers, rules, at);
        let reached = tiers.reached(counted.metric);
        if reached <= state.qualified {
            return;
        }
        let since = self.happened(source).unwrap_or(at);
        let reason = Reason { cause, source, since, counted, needed: tiers.get(reached).entry.unwrap_or(0) };
        self.tier_shift(tiers, rules, reason, at, |state| {
            state.qualified = reached;
            state.held_until = TierState::hold_from(reached, tiers, rules, at, To::DayEnd);
            state.in_grace = false;
            (state.attained_kind, state.attained_by) = (source.kind, Text::new(source.id));
        });
    }

    /// A tier by hand, as promised.
    pub(super) fn tier_overridden(&mut self, over: Override, rules: &Ruleset, at: Instant) {
        let (Some(tiers), Some(state)) = (&rules.tiers, &self.member.tier) else { return };
        let same = |known: &Override| (&known.tier, known.floor, known.until) == (&over.tier, over.floor, over.until);
        if state.over.as_ref().is_some_and(same) {
            return;
        }
        let id = over.source.clone();
        let source = Source { kind: Kind::TierOverridden as u8, id: &id };
        let reason = self.reason_now(TierCause::OverrideSet, source, tiers, rules, at);
        self.tier_shift(tiers, rules, reason, at, |state| state.over = Some(over));
    }

    /// The override ends now, by hand or by itself.
    pub(super) fn tier_override_ended(&mut self, source: Source<'_>, since: Instant, rules: &Ruleset, at: Instant) {
        let Some(tiers) = &rules.tiers else { return };
        let reason = Reason { since, ..self.reason_now(TierCause::OverrideEnded, source, tiers, rules, at) };
        self.tier_shift(tiers, rules, reason, at, |state| state.over = None);
    }

    fn reason_now<'s>(&self, cause: TierCause, source: Source<'s>, tiers: &Tiers, rules: &Ruleset, at: Instant) -> Reason<'s> {
        let counted = self.member.tier.as_ref().map_or(Counted::default(), |state| state.counted_at(tiers, rules, at));
        Reason { cause, source, since: at, counted, needed: 0 }
    }

    /// Changes the state, tells what came of it, and gives what entering a tier gives.
    pub(super) fn tier_shift(
        &mut self,
        tiers: &Tiers,
        rules: &Ruleset,
        reason: Reason<'_>,
        at: Instant,
        change: impl FnOnce(&mut TierState),
    ) {
        let Some(state) = &mut self.member.tier else { return };
        let before = (state.effective(tiers), state.qualified);
        change(state);
        let after = (state.effective(tiers), state.qualified);
        if before == after {
            return;
        }
        let id = |tier: u8| Text::new(&tiers.get(tier).id);
        let names = [id(before.0), id(before.1), id(after.0), id(after.1)];
        self.tier_told(names, reason, rules, at);
        if after.0 > before.0 {
            self.tier_entered(tiers.get(after.0), reason, tiers, rules, at);
        }
    }

    /// The entry; `names`: effective and qualified before, effective and qualified now.
    pub(super) fn tier_told(&mut self, names: [Text; 4], reason: Reason<'_>, rules: &Ruleset, at: Instant) {
        let [from, qualified_before, to, qualified] = names;
        let held_until = self.member.tier.as_ref().map_or(Instant::MAX, |state| state.held_until);
        let Reason { cause, source, counted: Counted { metric, lowered }, needed, .. } = reason;
        let change = TierChange { cause, from, to, qualified_before, qualified, metric, needed, lowered, held_until };
        let (kind, ruleset, why) = (EntryKind::TierChanged, rules.tag(), Why::Tier(Box::new(change)));
        self.entry(Draft { kind, at, ledger: MAIN, points: 0, source, ruleset, rule: None, lots: &[], why });
    }

    /// Entry benefits: once per tier and window, not while excluded.
    fn tier_entered(&mut self, tier: &Tier, reason: Reason<'_>, tiers: &Tiers, rules: &Ruleset, at: Instant) {
        if (tier.entry_points == 0 && tier.entry_reward.is_none()) || self.member.excluded_from_earning(at) {
            return;
        }
        let Some(state) = &mut self.member.tier else { return };
        let today = day_number(at, &rules.zone);
        let start = tiers.window.start(today, state.first_day);
        if state.given.iter().any(|(given, day)| *given == *tier.id && *day >= start) {
            return;
        }
        // Of each tier the last time is enough; it stays, for another ruleset's window may be longer.
        state.given.retain(|(given, _)| *given != *tier.id);
        state.given.push((Text::new(&tier.id), today));
        let seed = state.seed;
        let source = reason.source;
        let new = NewLot {
            ledger: MAIN,
            source,
            occurred_at: reason.since,
            ruleset: rules.tag(),
            rule: None,
            points: tier.entry_points,
            starts_at: at,
            expires_at: rules.expires_at(&rules.life, at, at),
            cancel_at: Instant::MAX,
        };
        let why = Why::TierEntered { tier: Text::new(&tier.id) };
        self.open_lot(new, Told { kind: EntryKind::Earned, source, why }, rules, at);
        let Some(reward) = tier.entry_reward.as_ref().and_then(|id| rules.reward(id)) else { return };
        let id = format!("tier:{}:{}", tier.id, date_of(today));
        let identity = [&*format!("{seed:016x}"), "tier", &id];
        let coupon = reward.coupon.as_ref().map(|coupon| {
            let issued = crate::decide::issue(coupon, reward.benefit.clone(), self.rules.secret(), &identity, rules, at);
            super::redeem::issue(&issued, false)
        });
        self.tier_grant(&id, &reward.id, coupon, rules, at);
    }

    /// When a source happened that lies back: an order, by its first version.
    fn happened(&self, source: Source<'_>) -> Option<Instant> {
        if source.kind != Kind::OrderPlaced as u8 {
            return None;
        }
        match &*self.records.peek(RecordKey::order(source.id))? {
            Record::Order(order) => order.placed.as_ref().map(|placed| placed.at),
            _ => None,
        }
    }

    fn tier_grant(&mut self, id: &str, reward: &str, coupon: Option<Coupon>, rules: &Ruleset, at: Instant) {
        let redemption = Redemption {
            id: Text::new(id),
            family: Kind::RewardGranted as u8,
            reward: Text::new(reward),
            ledger: Text::new(MAIN),
            at,
            coupon,
            ..Redemption::default()
        };
        self.hand_out(redemption, Source { kind: Kind::RewardGranted as u8, id }, rules, at);
    }
}

/// What an order counts as spend: also that of a member who was excluded.
fn spend_of(order: &Order, placed: &Placed, rules: &Ruleset) -> i64 {
    if !placed.excluded {
        return placed.counted;
    }
    let factor = rules.factor(&placed.currency);
    factor.map_or(0, |factor| factor.apply(worth::whole(order, placed, rules), crate::Rounding::Floor))
}
