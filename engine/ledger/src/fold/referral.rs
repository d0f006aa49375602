//! Referrals (§12), at all three places: at the friend, at the code, and at the referrer.
//!
//! 100 for each friend, a window of 14 days: Bob's order of 1 March gives Ann 100 that start on 15 March; refunded in full on the
//! 10th, they are cancelled; on the 20th, they are clawed back like those of an order of her own.

use super::clawback::Loss;
use super::occurrence::Fixed;
use super::{Fold, Source};
use crate::calendar::{self, To, day_number};
use crate::counters::Counted;
use crate::entry::{Sink, TierCause, Why};
use crate::fact::Body;
use crate::record::{Order, Placed, Record, RecordKey};
use crate::referral::{
    CodeState, FirstOrder, Friend, Given, OrderWorth, Owner, ReferralFact, Referred, Stage, Told, could_be_code, normal_code,
};
use crate::ruleset::{Metric, On, Ruleset};
use crate::{Instant, Kind, Rounding, Text, worth};
use std::sync::Arc;

impl<S: Sink> Fold<'_, S> {
    pub(super) fn referral(&mut self, said: &ReferralFact<'_>, rules: &Ruleset, at: Instant) {
        match said {
            ReferralFact::Visited { .. } => self.member.referrals_mut().visits += 1,
            ReferralFact::Joined { code } => self.referral_joined(code, rules, at),
            ReferralFact::CodeChanged { slug } => self.code_changed(slug, rules),
            ReferralFact::CodeSettled { code, taken } => {
                self.member.referrals_mut().code_mut(code).state = if *taken { CodeState::Taken } else { CodeState::Held };
            }
            ReferralFact::Answered { code, owner } => {
                let owners = &mut self.member.referrals_mut().ties.owners;
                if !owners.iter().any(|known| known.code == **code) {
                    owners.push(Owner { code: Text::new(code), owner: Text::new(owner), since: at });
                }
            }
            ReferralFact::Told(told) => self.referral_told(told, rules, at),
            // Nothing before they are decided.
            ReferralFact::CodeClaimed { .. } | ReferralFact::Asked { .. } => {}
        }
    }

    /// At the code: what was accepted.
    pub(super) fn referral_at_home(&mut self, said: &ReferralFact<'_>, asked_at: Instant) {
        let home = &mut self.member.referrals_mut().ties.home;
        match said {
            ReferralFact::CodeClaimed { owner, .. } => {
                home.owner = Text::new(owner);
                home.waiting = Vec::new();
            }
            ReferralFact::Asked { friend, .. } if home.owner.is_empty() => {
                // Who turns out to have come earlier asks again.
                match home.waiting.iter_mut().find(|(known, _)| *known == **friend) {
                    Some((_, first)) => *first = asked_at.min(*first),
                    None => home.waiting.push((Text::new(friend), asked_at)),
                }
            }
            _ => {}
        }
    }

    /// The latest wish is the last of the codes.
    fn code_changed(&mut self, slug: &str, rules: &Ruleset) {
        let Some(referral) = &rules.referral else { return };
        let code = normal_code(&referral.code(slug));
        let referrals = self.member.referrals_mut();
        referrals.code_mut(&code).slug = Text::new(slug);
        if let Some(index) = referrals.codes.iter().position(|known| known.code == *code) {
            referrals.codes[index..].rotate_left(1);
        }
    }

    /// At the friend: the first code that it names, before its first order.
    pub(super) fn referral_joined(&mut self, code: &str, rules: &Ruleset, at: Instant) {
        let code = normal_code(code);
        if rules.referral.is_none() || self.member.orders > 0 || !could_be_code(&code) {
            return;
        }
        let by = &mut self.member.referrals_mut().ties.by;
        if by.is_none() {
            *by = Some(Referred { code: Text::new(&code), at, order: None });
        }
    }

    /// At the friend: its first order, as it is now. `rules`: what the order captured.
    pub(super) fn referral_ordered(&mut self, order: &Order, placed: &Placed, rules: &Ruleset, at: Instant) {
        let Some(by) = self.member.referrals.as_mut().and_then(|referrals| referrals.ties.by.as_mut()) else { return };
        if placed.excluded {
            return;
        }
        let (amount, gone) = worth::before_refunds(order, placed, rules);
        let amount = rules.factor(&placed.currency).map_or(0, |factor| factor.apply(amount, Rounding::Floor));
        let first = by.order.get_or_insert_with(|| FirstOrder { order_id: order.order_id.clone(), worth: Vec::new() });
        if first.worth.last().is_none_or(|known| (known.amount, known.gone) != (amount, gone)) {
            first.worth.push(OrderWorth { at, amount, gone });
        }
    }

    /// What is withdrawn as of `at` must leave no trace: whether it was ever told depends on the order of arrival.
    pub(super) fn told_in_vain(&self, body: &Body<'_>, at: Instant) -> bool {
        let Body::Referral(ReferralFact::Told(told)) = body else { return false };
        let known = self.records.peek(RecordKey::friend(told.friend));
        told.withdrawn || matches!(known.as_deref(), Some(Record::Friend(friend)) if friend.was_withdrawn(at, told.revision))
    }

    /// At the referrer.
    fn referral_told(&mut self, told: &Told<'_>, rules: &Ruleset, at: Instant) {
        let key = RecordKey::friend(told.friend);
        let mut friend = match self.records.take(key) {
            Some(Record::Friend(friend)) => friend,
            _ => Box::new(Friend { friend: Text::new(told.friend), ..Friend::default() }),
        };
        if told.withdrawn {
            let known = friend.withdrawn.filter(|(known, _)| *known == at).map_or(0, |(_, revision)| revision);
            friend.withdrawn = Some((at, told.revision.max(known)));
        } else if !friend.was_withdrawn(at, told.revision) {
            match told.stage {
                Stage::Joined => self.friend_joined(&mut friend, told, rules, at),
                Stage::Ordered | Stage::Reversed => self.friend_ordered(&mut friend, told, rules, at),
            }
        }
        self.records.put(key, Record::Friend(friend));
    }

    fn friend_joined(&mut self, friend: &mut Friend, told: &Told<'_>, rules: &Ruleset, at: Instant) {
        if friend.joined_at.is_some() {
            return;
        }
        (friend.joined_at, friend.code) = (Some(at), Text::new(told.code));
        self.member.referrals_mut().joined += 1;
        let given = self.give_for_friend(On::ReferralJoined, (told.friend, ""), (at, at), rules);
        friend.for_joining = given.iter().map(|given| given.points).sum();
    }

    /// The friend's first order, or what that is worth now: the ruleset that the order captured judges it.
    fn friend_ordered(&mut self, friend: &mut Friend, told: &Told<'_>, now: &Ruleset, at: Instant) {
        let ordered_at = *friend.ordered_at.get_or_insert(at);
        friend.order_id = Text::new(told.order_id);
        let was_gone = friend.worth.gone;
        friend.worth = OrderWorth { at, amount: told.amount, gone: told.stage == Stage::Reversed };
        let captured = self.rules.at(ordered_at).map(Arc::clone);
        let Some((rules, referral)) = captured.as_deref().and_then(|rules| Some((rules, rules.referral.as_ref()?))) else {
            return;
        };
        let counts = !friend.worth.gone && told.amount >= referral.min_eligible;
        match (friend.window_until, counts) {
            (None, true) => {
                let until = calendar::add(ordered_at, referral.pending_until, To::Exact, &rules.zone);
                friend.window_until = Some(until);
                self.window_opens(friend, until, was_gone, at);
                friend.given = self.give_for_friend(On::ReferralCompleted, (told.friend, told.order_id), (at, until), rules);
            }
            (Some(_), false) => self.friend_reversed(friend, now, at),
            _ => {}
        }
    }

    fn window_opens(&mut self, friend: &Friend, until: Instant, was_gone: bool, at: Instant) {
        let referrals = self.member.referrals_mut();
        referrals.close_windows(at);
        let place = referrals.pending.partition_point(|(end, _)| *end <= until);
        referrals.pending.insert(place, (until, friend.friend.clone()));
        referrals.reversed -= u32::from(was_gone && referrals.reversed > 0);
    }

    /// What rules give for a friend at an instant, not before another one.
    fn give_for_friend(
        &mut self,
        on: On,
        (friend, order): (&str, &str),
        (at, not_before): (Instant, Instant),
        rules: &Ruleset,
    ) -> Vec<Given> {
        if self.member.excluded_from_earning(at) {
            return Vec::new();
        }
        let fixed = Fixed { source: source_of(friend), not_before, friends_order: Some(order) };
        let mut given = Vec::new();
        for (index, rule) in rules.earn.iter().enumerate().filter(|(_, rule)| rule.on == on) {
            if super::occurrence::holds(rule, rules, self.tier_now(rules), at) {
                let points = self.give_fixed(index, rule, fixed, rules, at);
                given.extend((points > 0).then_some(Given { ruleset: rules.tag(), rule: index as u16, at, points }));
            }
        }
        given
    }

    /// The friend sent everything back: what its order gave is taken like what an order of the member's own gave.
    fn friend_reversed(&mut self, friend: &mut Friend, now: &Ruleset, at: Instant) {
        friend.window_until = None;
        let referrals = self.member.referrals_mut();
        referrals.close_windows(at);
        match referrals.pending.iter().position(|(_, pending)| *pending == friend.friend) {
            Some(index) => drop(referrals.pending.remove(index)),
            None => referrals.completed = referrals.completed.saturating_sub(1),
        }
        referrals.reversed += u32::from(friend.worth.gone);
        let erased_at = self.member.standing.as_ref().and_then(|standing| standing.erased_at);
        for given in std::mem::take(&mut friend.given) {
            // Before an erasure: forfeited already.
            if erased_at.is_none_or(|erased_at| given.at > erased_at) {
                self.take_given(friend, &given, now, at);
            }
        }
    }

    fn take_given(&mut self, friend: &Friend, given: &Given, now: &Ruleset, at: Instant) {
        let captured = self.rules.by_tag(given.ruleset).map(Arc::clone);
        let Some(rules) = captured.as_deref() else { return };
        let (source, index) = (source_of(&friend.friend), usize::from(given.rule));
        let Some(rule) = rules.earn.get(index) else { return };
        let why = Why::Referral { order: friend.order_id.clone(), tier: 0, starts_at: Instant::MIN, expires_at: Instant::MAX };
        self.claw_back(source, Loss { rules, now, index, points: given.points, gone: 0, why }, source, at);
        if let Some(limit) = rule.limit {
            let period = limit.each.start(given.at, &rules.zone);
            self.member.counters_mut().free(Counted::Points, &rule.id, period, given.points);
        }
        if rule.counts_toward_tier {
            let day = day_number(given.at, &rules.zone);
            self.tier_count(Metric::Points, day, -given.points, TierCause::Activity, at);
        }
    }
}

fn source_of(friend: &str) -> Source<'_> {
    Source { kind: Kind::ReferralTold as u8, id: friend }
}
