//! What would have been: a member folded again without a fact, with one at another time, with more facts, or under other rules.
//! Nothing is written. Decisions that were made stay made: what would not have been covered is told (§1).

use super::outlook::outlook;
use super::{AsOf, LedgerReader, Outlook};
use crate::error::ProjectionError;
use accrue_ledger::calendar::{self, Duration, To};
use accrue_ledger::{Booked, Deciding, Fact, Fold, Instant, NaturalKey, Ruleset, Timeline, decide, decision_at};
use std::sync::Arc;

/// What is to be otherwise.
#[derive(Clone, Debug, Default)]
pub struct WhatIf<'a> {
    /// Facts that never came: `KIND/ID` or `ID`, natural or the producer's.
    pub without: Vec<String>,
    /// Facts that happened at another time.
    pub shifts: Vec<Shift>,
    /// Facts and requests beside those that came; requests are decided.
    pub with: Vec<Fact<'a>>,
    /// Other rules, from an instant on.
    pub rules: Option<(Instant, Arc<Ruleset>)>,
}

/// A fact moved in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// As in [`WhatIf::without`].
    pub fact: String,
    /// Earlier; else later.
    pub earlier: bool,
    /// By so much, by the calendar of the program.
    pub by: Duration,
}

impl LedgerReader {
    /// A member beside what it would be. `None`: no such member; inside: a fact that is named is not there.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn what_if(
        &self,
        program: &str,
        member: &str,
        what_if: &WhatIf<'_>,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<Result<Outlook, String>>, ProjectionError> {
        let at = asked.as_of.unwrap_or(now);
        let Some(recalled) = self.recall(program, member, asked)? else { return Ok(None) };
        let booked = recalled.history.booked()?;
        let before = recalled.fold_all(member, until(&booked, at), &recalled.rules, at);
        if !before.state.known {
            return Ok(None);
        }
        let rules = match &what_if.rules {
            Some((from, rules)) => recalled.rules.replaced(*from, None, rules),
            None => recalled.rules.clone(),
        };
        let mut otherwise = Vec::new();
        let changed = changed(what_if, booked, &rules, &mut otherwise);
        let mut changed = match changed {
            Ok(changed) => changed,
            Err(unknown) => return Ok(Some(Err(unknown))),
        };
        for request in &what_if.with {
            let decision = request.kind.is_request().then(|| {
                let mut known = recalled.fold(member, until(&changed, request.occurred_at), &rules, Instant::MIN, &mut ());
                let decided_at = decision_at(&known.state, request);
                let Some((records, _)) = &mut known.past else { return None };
                Fold::new(&mut known.state, records, &rules, &mut ()).advance(decided_at);
                let with = Deciding { rules: &rules, secret: &[0; 32], saw_position: 0 };
                Some(decide(&known.state, records, request, decided_at, with))
            });
            let decision = decision.flatten();
            let answer = decision.as_ref().map_or_else(String::new, |decision| match &decision.outcome {
                accrue_ledger::Outcome::Accepted(_) => ": accepted".to_owned(),
                accrue_ledger::Outcome::Rejected(reason) => format!(": rejected, {}", reason.name()),
            });
            otherwise.push(format!("with {} at {}{answer}", name(request), request.occurred_at));
            changed.push(Booked { fact: request.clone(), decision });
        }
        if let Some((from, rules)) = &what_if.rules {
            otherwise.push(format!("under ruleset {} from {from} on", rules.hash_hex().chars().take(16).collect::<String>()));
        }
        let after = recalled.fold_all(member, until(&changed, at), &rules, at);
        Ok(Some(Ok(outlook(self.shard(), program, otherwise, &before, &after))))
    }
}

/// What happened at or before that instant.
fn until<'a>(booked: &[Booked<'a>], at: Instant) -> Vec<Booked<'a>> {
    booked.iter().filter(|one| one.at() <= at).cloned().collect()
}

fn natural<'a>(fact: &Fact<'a>) -> &'a str {
    fact.natural_key().map_or(fact.id, |NaturalKey { id, .. }| id)
}

fn name(fact: &Fact<'_>) -> String {
    format!("{}/{}", fact.kind.name(), natural(fact))
}

fn is_named(fact: &Fact<'_>, wanted: &str) -> bool {
    let id = wanted.strip_prefix(fact.kind.name()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(wanted);
    id == natural(fact) || id == fact.id
}

/// The facts without those that never came, the others where they would have been. Errors: a name that no fact has.
fn changed<'a>(
    what_if: &WhatIf<'_>,
    booked: Vec<Booked<'a>>,
    rules: &Timeline,
    otherwise: &mut Vec<String>,
) -> Result<Vec<Booked<'a>>, String> {
    let named = what_if.without.iter().chain(what_if.shifts.iter().map(|shift| &shift.fact));
    for wanted in named {
        if !booked.iter().any(|one| is_named(&one.fact, wanted)) {
            return Err(format!("the member has no fact {wanted}: name it by its id, or KIND/ID"));
        }
    }
    let mut left = Vec::with_capacity(booked.len());
    for mut one in booked {
        if what_if.without.iter().any(|wanted| is_named(&one.fact, wanted)) {
            otherwise.push(format!("without {} of {}", name(&one.fact), one.at()));
            continue;
        }
        let moves: Vec<&Shift> = what_if.shifts.iter().filter(|shift| is_named(&one.fact, &shift.fact)).collect();
        for shift in moves {
            let was = one.at();
            let moved = |at: Instant| shifted(at, shift, rules);
            one.fact.occurred_at = moved(one.fact.occurred_at);
            if let Some(decision) = &mut one.decision {
                decision.at = moved(decision.at);
            }
            otherwise.push(format!("{} at {} instead of {was}", name(&one.fact), one.at()));
        }
        left.push(one);
    }
    Ok(left)
}

fn shifted(at: Instant, shift: &Shift, rules: &Timeline) -> Instant {
    let sign = if shift.earlier { -1 } else { 1 };
    let by = Duration { months: sign * shift.by.months, days: sign * shift.by.days, micros: i64::from(sign) * shift.by.micros };
    let rules = rules.at(at).or_else(|| rules.activations().first().map(|first| &first.ruleset));
    rules.map_or(at, |rules| calendar::add(at, by, To::Exact, &rules.zone))
}
