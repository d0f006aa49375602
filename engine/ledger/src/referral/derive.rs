//! What follows for others from a change of somebody's ties.
//!
//! The referrer is told the truth about a friend as it is now: what was told before and holds no more is withdrawn at its own
//! instant, before the place at which it was told. So the referrer comes to the same in any order of arrival.

use super::fact::{ReferralFact, ReferralOnward, Stage};
use super::{Home, Ties, code_home, normal_code};
use crate::decision::{Decision, Outcome};
use crate::fact::{Body, Fact};
use crate::link::{Derived, Onward, origin_of};
use crate::member::Member;
use crate::ruleset::Timeline;
use crate::{Instant, Text};
use xxhash_rust::xxh3::xxh3_128;

/// Somebody's ties as they were, or are; empty of an alias, whose facts are another's.
#[derive(Clone, Debug, Default)]
pub struct TiesOf {
    /// Whose.
    member: Text,
    ties: Option<Box<Ties>>,
    /// Names of the same person: what comes from there is its own.
    own: Vec<Text>,
}

impl TiesOf {
    /// Those of a member in this state; `None`: there is none.
    pub fn new(member: &str, state: Option<&Member>) -> TiesOf {
        let state = state.filter(|state| state.winner().is_none());
        let referrals = state.and_then(|state| state.referrals.as_deref());
        TiesOf {
            member: Text::new(member),
            own: referrals.and(state.and_then(Member::links)).map_or_else(Vec::new, |links| links.merged.clone()),
            ties: referrals.map(|referrals| Box::new(referrals.ties.clone())),
        }
    }

    /// What the owner of the code is to know, and the owner.
    fn truth(&self) -> Vec<Event<'_>> {
        let Some(ties) = self.ties.as_deref() else { return Vec::new() };
        let (Some(by), Some(owner)) = (&ties.by, ties.owner()) else { return Vec::new() };
        if *owner == self.member || self.own.contains(owner) {
            return Vec::new();
        }
        let mut events = vec![Event { owner, code: &by.code, stage: Stage::Joined, at: by.at, order: "", amount: 0 }];
        if let Some(order) = &by.order {
            let joined = events[0];
            events.extend(order.worth.iter().map(|worth| {
                let stage = if worth.gone { Stage::Reversed } else { Stage::Ordered };
                Event { stage, at: worth.at, order: &order.order_id, amount: worth.amount, ..joined }
            }));
        }
        events
    }

    /// The code that the member came by, while nobody said whose it is as of then, and as of when.
    fn wonders(&self) -> Option<(&Text, Instant)> {
        let ties = self.ties.as_deref()?;
        let by = ties.by.as_ref()?;
        ties.answered().is_none_or(|known| known.since > by.at).then_some((&by.code, by.at))
    }

    fn home(&self) -> Option<&Home> {
        self.ties.as_deref().map(|ties| &ties.home)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event<'a> {
    owner: &'a Text,
    code: &'a Text,
    stage: Stage,
    at: Instant,
    order: &'a str,
    amount: i64,
}

/// What follows from a fact, folded; whoever is not named has no ties. `revision` rises with every fact of a shard.
pub fn derive_referrals(
    fact: &Fact<'_>,
    decision: Option<&Decision>,
    rules: &Timeline,
    (before, after): (&[TiesOf], &[TiesOf]),
    revision: i64,
) -> Vec<Derived> {
    let mut derived = Vec::new();
    if let Body::Referral(said) = &fact.body {
        of_codes(fact, said, decision, rules, (before, after), &mut derived);
    }
    let of = |all: &[TiesOf], member: &Text| {
        all.iter().find(|ties| ties.member == *member).cloned().unwrap_or_else(|| TiesOf::new(member, None))
    };
    let gone = before.iter().filter(|ties| !after.iter().any(|known| known.member == ties.member));
    for member in after.iter().chain(gone).map(|ties| &ties.member) {
        let (before, after) = (&of(before, member), &of(after, member));
        told(fact, before, after, revision, &mut derived);
        let Some((code, at)) = after.wonders().filter(|asked| before.wonders() != Some(*asked)) else { continue };
        let body = ReferralOnward::Asked { code: code.to_string(), friend: after.member.to_string() };
        derived.push(onward(fact, "asked", &after.member, code_home(code), at, body));
    }
    derived
}

fn told(fact: &Fact<'_>, before: &TiesOf, after: &TiesOf, revision: i64, derived: &mut Vec<Derived>) {
    let (was, is) = (before.truth(), after.truth());
    if was == is {
        return;
    }
    // What one owner is told as of one instant is told anew, all of it, where anything of it changed.
    let changed = |event: &&Event<'_>| !at_once(&was, event).eq(at_once(&is, event));
    let mut withdrawn: Vec<Event<'_>> = was.iter().filter(changed).copied().collect();
    withdrawn.dedup_by(|a, b| (a.owner, a.at) == (b.owner, b.at));
    let new = is.iter().enumerate().filter(|(_, event)| changed(event)).map(|(number, event)| (number, *event, false));
    let withdrawn = withdrawn.into_iter().enumerate().map(|(number, event)| (number, event, true));
    for (number, event, withdrawn) in withdrawn.chain(new) {
        // At one instant facts are folded by id: what is withdrawn before what is told, and that in its order.
        let what = format!("referral:{}:{number:04}", u8::from(!withdrawn));
        let body = ReferralOnward::Told {
            friend: after.member.clone(),
            code: event.code.clone(),
            stage: event.stage,
            revision,
            order_id: Text::new(event.order),
            amount: event.amount,
            withdrawn,
        };
        derived.push(onward(fact, &what, &after.member, event.owner.to_string(), event.at, body));
    }
}

fn at_once<'a>(events: &'a [Event<'a>], of: &'a Event<'a>) -> impl Iterator<Item = &'a Event<'a>> {
    events.iter().filter(move |event| (event.owner, event.at) == (of.owner, of.at))
}

/// What follows from a wish for a code, and at the code.
fn of_codes(
    fact: &Fact<'_>,
    said: &ReferralFact<'_>,
    decision: Option<&Decision>,
    rules: &Timeline,
    (before, after): (&[TiesOf], &[TiesOf]),
    derived: &mut Vec<Derived>,
) {
    let accepted = decision.is_some_and(|decision| matches!(decision.outcome, Outcome::Accepted(_)));
    let home = |of: &[TiesOf]| of.first().and_then(TiesOf::home).cloned().unwrap_or_default();
    match said {
        ReferralFact::CodeChanged { slug } => {
            let Some(referral) = rules.at(fact.occurred_at).and_then(|rules| rules.referral.as_ref()) else { return };
            let code = normal_code(&referral.code(slug));
            let body = ReferralOnward::CodeClaimed { code: code.clone(), owner: fact.member.to_owned() };
            derived.push(onward(fact, "claimed", fact.member, code_home(&code), fact.occurred_at, body));
        }
        ReferralFact::CodeClaimed { code, owner } => {
            let body = ReferralOnward::CodeSettled { code: (*code).to_owned(), taken: !accepted };
            derived.push(onward(fact, "settled", owner, (*owner).to_owned(), fact.occurred_at, body));
            let waiting = if accepted { home(before).waiting } else { Vec::new() };
            for (friend, at) in waiting {
                let body = ReferralOnward::Answered { code: (*code).to_owned(), owner: (*owner).to_owned() };
                derived.push(onward(fact, "answered", &friend, friend.to_string(), at, body));
            }
        }
        ReferralFact::Asked { code, friend } => {
            let owner = home(after).owner;
            if accepted && !owner.is_empty() {
                let body = ReferralOnward::Answered { code: (*code).to_owned(), owner: owner.to_string() };
                derived.push(onward(fact, "answered", friend, (*friend).to_owned(), fact.occurred_at, body));
            }
        }
        _ => {}
    }
}

/// `about`: whom it is about; with the fact that it follows from and `what` it is, nothing else has its id.
fn onward(fact: &Fact<'_>, what: &str, about: &str, member: String, occurred_at: Instant, body: ReferralOnward) -> Derived {
    let origin = [origin_of(fact).as_str(), about].join("\0");
    let id = format!("{what}:{:032x}", xxh3_128(origin.as_bytes()));
    Derived { member, id, occurred_at, body: Onward::Referral(body) }
}
