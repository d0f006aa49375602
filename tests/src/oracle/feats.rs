//! Achievements: progress, completion, and what it gives (§12).

use super::life::Start;
use super::lots::{NO_RULE, Opening};
use super::rules::ORules;
use super::state::State;
use super::terms::{Achievement, Counted, Period, period};
use anyhow::Result;

/// Progress toward an achievement, in the latest period in which there was any.
#[derive(Clone, Debug)]
pub struct Feat {
    /// Which period.
    pub period: Period,
    /// How far.
    pub progress: i64,
    /// How far it is to go.
    pub target: i64,
    /// It got there.
    pub completed: bool,
}

impl Feat {
    /// What it is at an instant.
    pub fn status(&self, at: i64) -> &'static str {
        match self.completed {
            true => "completed",
            false if at < self.period.1 => "in_progress",
            false => "expired",
        }
    }
}

/// What moves progress.
pub struct Move<'a> {
    /// When the order was placed first, or the activity happened: its period is the one that counts.
    pub of: i64,
    /// The number of the source's kind.
    pub kind: u32,
    /// The natural id of the source.
    pub natural: &'a str,
}

impl State {
    /// An order is worth more or less than before.
    pub fn feats_of_order(&mut self, rules: &ORules, from: &Move<'_>, before: i64, after: i64) -> Result<()> {
        for achievement in &rules.achievements {
            let change = match achievement.count {
                Counted::Orders => i64::from(after > 0) - i64::from(before > 0),
                Counted::Spend => after - before,
                Counted::Activity(_) => 0,
            };
            self.feat(rules, achievement, from, change)?;
        }
        Ok(())
    }

    /// Something was done.
    pub fn feats_of_activity(&mut self, rules: &ORules, from: &Move<'_>, activity: &str) -> Result<()> {
        for achievement in &rules.achievements {
            let is_it = achievement.count == Counted::Activity(activity.to_owned());
            self.feat(rules, achievement, from, i64::from(is_it))?;
        }
        Ok(())
    }

    fn feat(&mut self, rules: &ORules, achievement: &Achievement, from: &Move<'_>, change: i64) -> Result<()> {
        let period = period(&rules.zone, from.of, achievement.each.as_deref())?;
        if change == 0 || self.now >= period.1 {
            return Ok(());
        }
        let anew = Feat { period, progress: 0, target: achievement.target, completed: false };
        let feat = self.feats.entry(achievement.id.clone()).or_insert_with(|| anew.clone());
        if feat.period.0 != period.0 {
            *feat = anew;
        }
        if feat.completed {
            return Ok(());
        }
        feat.target = achievement.target;
        feat.progress = (feat.progress + change).max(0);
        if feat.progress < feat.target {
            self.note("achievement_progressed");
            return Ok(());
        }
        feat.completed = true;
        self.note("achievement_completed");
        // Nothing is fulfilled here: what would wait for that starts at once.
        let starts = match rules.life.start {
            Start::Fulfilled(_) => self.now,
            _ => rules.life.starts_at(&rules.zone, self.now)?.unwrap_or(self.now),
        };
        let expires = rules.life.ends_at(&rules.zone, self.now, starts)?;
        let lot = Opening {
            ledger: &achievement.ledger,
            order: None,
            rule: NO_RULE,
            kind: from.kind,
            natural: from.natural,
            points: achievement.points,
            entry: "earned",
        };
        self.open_lot(&lot, Some(starts), expires, None);
        self.gave.push(achievement.ledger.clone());
        Ok(())
    }
}
