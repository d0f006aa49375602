//! Achievements (§12): progress goes back on refund, a completed one stays.
//!
//! Five orders, 100 points: the fifth order completes it; refunded later, the 100 points stay.

use super::lots::{NewLot, Told};
use super::{Draft, Fold, Source};
use crate::counters::Progress;
use crate::entry::{EntryKind, Sink, Why};
use crate::record::Placed;
use crate::ruleset::{Achievement, Goal, MAIN, Ruleset, Start};
use crate::{Instant, Text};

impl<S: Sink> Fold<'_, S> {
    /// An order counts `counted` from now on, and counted `placed.counted` before. `rules`: what it captured.
    pub(super) fn order_achieves(
        &mut self,
        placed: &Placed,
        counted: i64,
        rules: &Ruleset,
        now: &Ruleset,
        source: Source<'_>,
        at: Instant,
    ) {
        let orders = i64::from(counted > 0) - i64::from(placed.counted > 0);
        for achievement in &rules.achievements {
            let by = match achievement.goal {
                Goal::Orders => orders,
                Goal::Spend => counted - placed.counted,
                Goal::Activity(_) => 0,
            };
            self.progress(achievement, by, placed.at, rules, now, source, at);
        }
    }

    pub(super) fn activity_achieves(&mut self, activity: &str, source: Source<'_>, rules: &Ruleset, at: Instant) {
        for achievement in &rules.achievements {
            let counts = matches!(&achievement.goal, Goal::Activity(name) if name == activity);
            self.progress(achievement, i64::from(counts), at, rules, rules, source, at);
        }
    }

    /// Moves progress by what happened at `since`, if that period lasts and it is not completed.
    #[expect(clippy::too_many_arguments, reason = "one step of progress is all of these")]
    fn progress(
        &mut self,
        achievement: &Achievement,
        by: i64,
        since: Instant,
        rules: &Ruleset,
        now: &Ruleset,
        source: Source<'_>,
        at: Instant,
    ) {
        if by == 0 || at >= achievement.each.end(since, &rules.zone) {
            return;
        }
        let period = achievement.each.start(since, &rules.zone);
        let all = &mut self.member.counters_mut().achievements;
        let known = all.iter().position(|known| known.id == *achievement.id).unwrap_or_else(|| {
            all.push(Progress { id: Text::new(&achievement.id), period, progress: 0, completed_at: None });
            all.len() - 1
        });
        let known = &mut all[known];
        if known.period != period {
            (known.period, known.progress, known.completed_at) = (period, 0, None);
        }
        if known.completed_at.is_some() {
            return;
        }
        known.progress = (known.progress + by).max(0);
        let (progress, completed) = (known.progress, known.progress >= achievement.target);
        known.completed_at = completed.then_some(at);
        let kind = if completed { EntryKind::AchievementCompleted } else { EntryKind::AchievementProgressed };
        let why = Why::Achievement { id: Text::new(&achievement.id), progress, target: achievement.target };
        let (ruleset, ledger) = (rules.tag(), MAIN);
        self.entry(Draft { kind, at, ledger, points: 0, source, ruleset, rule: None, lots: &[], why: why.clone() });
        if completed {
            self.give_for(achievement, why, rules, now, source, at);
        }
    }

    fn give_for(&mut self, achievement: &Achievement, why: Why, rules: &Ruleset, now: &Ruleset, source: Source<'_>, at: Instant) {
        // Nothing is there to be fulfilled: such points start at once.
        let starts_at = if matches!(rules.start, Start::Fulfilled { .. }) { at } else { rules.starts_at(&rules.start, at) };
        let new = NewLot {
            ledger: &achievement.ledger,
            source,
            occurred_at: at,
            ruleset: rules.tag(),
            rule: None,
            points: achievement.points,
            starts_at,
            expires_at: rules.expires_at(&rules.life, at, starts_at),
            cancel_at: Instant::MAX,
        };
        self.open_lot(new, Told { kind: EntryKind::Earned, source, why }, now, at);
    }
}
