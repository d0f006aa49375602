//! What happens to tiers by itself (§9): a new ruleset, the end of an override, the end of a hold and of the grace after it.
//!
//! Gold attained on 1 June 2024 and held for P12M is tested at the end of 1 June 2025: kept for another year, or lost.

use super::tier::Reason;
use super::{Fold, Source};
use crate::calendar::{To, day_number};
use crate::entry::{Sink, TierCause};
use crate::ruleset::{Ruleset, Tiers};
use crate::tier::TierState;
use crate::{Instant, Kind, Text};

impl<S: Sink> Fold<'_, S> {
    /// When another ruleset comes into force for the member's tier; `MAX`: none does.
    pub(super) fn tier_ruleset_due(&self) -> Instant {
        self.member.tier.as_ref().map_or(Instant::MAX, |state| self.rules.next_after(state.synced))
    }

    /// Everything that is due at `at`.
    pub(super) fn tier_due(&mut self, at: Instant) {
        if self.tier_ruleset_due() <= at {
            self.tier_ruleset_changed(at);
        }
        let Some(rules) = self.rules.at(at) else { return };
        let (Some(tiers), Some(state)) = (&rules.tiers, &self.member.tier) else { return };
        if let Some(over) = state.over.as_ref().filter(|over| over.until <= at) {
            let (id, since) = (over.source.clone(), over.since);
            self.tier_override_ended(Source { kind: Kind::TierOverridden as u8, id: &id }, since, rules, at);
        }
        self.tier_hold_due(tiers, rules, at);
    }

    fn tier_hold_due(&mut self, tiers: &Tiers, rules: &Ruleset, at: Instant) {
        let Some(state) = self.member.tier.as_ref().filter(|state| state.held_until <= at) else { return };
        // Tested aside first, so that what was compared can be told with the change.
        let mut tested = state.clone();
        let (counted, needed) = tested.test(tiers, rules, at);
        let cause = if state.in_grace { TierCause::GraceEnded } else { TierCause::HoldEnded };
        let (kind, id) = (state.attained_kind, state.attained_by.clone());
        let reason = Reason { cause, source: Source { kind, id: &id }, since: at, counted, needed };
        self.tier_shift(tiers, rules, reason, at, |state| *state = *tested);
    }

    /// Another ruleset: places of tiers are those of its list from now on.
    fn tier_ruleset_changed(&mut self, at: Instant) {
        let Some(state) = &mut self.member.tier else { return };
        let before = self.rules.at(state.synced).and_then(|rules| rules.tiers.as_ref());
        let now = self.rules.at(at).and_then(|rules| Some((rules, rules.tiers.as_ref()?)));
        let (Some(before), Some((rules, tiers))) = (before, now) else {
            self.member.tier = None;
            return;
        };
        let names = |state: &TierState, tiers: &Tiers| {
            [state.effective(tiers), state.qualified].map(|tier| Text::new(&tiers.get(tier).id))
        };
        let [from, qualified_before] = names(state, before);
        let zone = self.rules.at(state.synced).map_or(&rules.zone, |rules| &rules.zone);
        state.forget_before(before.window.start(day_number(at, zone), state.first_day));
        state.synced = at;
        if state.metric != tiers.metric {
            state.metric = tiers.metric;
            state.days.clear();
        }
        let counted = state.counted_at(tiers, rules, at);
        let (reached, kept) = (tiers.reached(counted.metric), tiers.index(&qualified_before));
        let kept = kept.filter(|tier| tiers.get(*tier).entry.is_some());
        let (qualified, attained) = match kept {
            Some(kept) if kept >= reached => (kept, false),
            _ => (reached, true),
        };
        state.qualified = qualified;
        if attained {
            state.held_until = TierState::hold_from(qualified, tiers, rules, at, To::DayEnd);
            state.in_grace = false;
        }
        if tiers.hold.is_none() || qualified == 0 {
            (state.held_until, state.in_grace) = (Instant::MAX, false);
        } else if state.held_until == Instant::MAX {
            state.held_until = TierState::hold_from(qualified, tiers, rules, at, To::DayEnd);
        }
        let [to, qualified] = names(state, tiers);
        if (&from, &qualified_before) == (&to, &qualified) {
            return;
        }
        let (kind, id) = (state.attained_kind, state.attained_by.clone());
        let needed = tiers.get(state.qualified).entry.unwrap_or(0);
        let reason = Reason { cause: TierCause::Ruleset, source: Source { kind, id: &id }, since: at, counted, needed };
        self.tier_told([from, qualified_before, to, qualified], reason, rules, at);
    }
}
