//! Requests answered on what is known (§7). Every reason to refuse is looked for; the one named first in the list of
//! `facts.md` is the answer.

use super::coupon::Coupon;
use super::fact::{CouponName, OAdjustment, OBody, OFact, ORedemption, When};
use super::rules::{ORules, Reward};
use super::state::State;
use super::tiers::Standing;
use super::transfer::OPart;
use super::{Known, Timeline};
use anyhow::{Result, bail};

/// Yes or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OAnswer {
    /// Promised.
    Accepted(OPromise),
    /// Refused, by the name of the reason.
    Rejected(String),
}

/// What is promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OPromise {
    /// Points spent, given back or adjusted (signed).
    pub points: i64,
    /// The coupon handed out.
    pub coupon: Option<OCoupon>,
    /// When adjusted points start; `None`: at once.
    pub starts: Option<i64>,
    /// When adjusted points end; `None`: never.
    pub expires: Option<i64>,
    /// What goes to another member.
    pub parts: Vec<OPart>,
}

/// A coupon as promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OCoupon {
    /// The oracle has no secret to make codes with: it says `code-of-<redemption or grant>`. Put the engine's code here.
    pub code: String,
    /// The end of its life; `None`: never.
    pub expires: Option<i64>,
    /// How often.
    pub uses: u32,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ODecision {
    /// The later of the request and the latest that is known, microseconds.
    pub at: i64,
    /// The answer.
    pub answer: OAnswer,
    /// Spendable points before, of the ledger concerned (`main` where none is).
    pub balance_before: i64,
}

/// The reasons to refuse, in the order of checking.
const REASONS: &[&str] = &[
    "member_erased",
    "member_excluded",
    "member_unknown",
    "member_guest",
    "ledger_unknown",
    "reward_unknown",
    "tier_unknown",
    "tier_not_overridden",
    "reward_kind_mismatch",
    "tier_not_eligible",
    "points_invalid",
    "limit_reached",
    "insufficient_points",
    "redemption_unknown",
    "redemption_already_reversed",
    "coupon_unknown",
    "coupon_already_used",
    "coupon_revoked",
    "coupon_expired",
    "coupon_reserved",
    "validity_invalid",
];

/// What a request is answered, given everything known so far.
///
/// # Errors
/// The fact is no request, or a duration makes no sense.
pub fn decide(rules: &Timeline, known: &[Known], request: &OFact) -> Result<ODecision> {
    // Decisions keep the order in which they were taken.
    let after = |known: &Known| if known.is_decision() { known.at() + 1 } else { known.at() };
    let at = known.iter().map(after).chain([request.at]).max().unwrap_or(request.at);
    let state = State::replay(rules, known, at)?;
    let mut case = Case { state: &state, rules: &state.rules(), at, against: Vec::new() };
    let makes_known = match &request.body {
        OBody::Granted(..) => true,
        OBody::Adjusted(adjusted) => adjusted.points > 0 || adjusted.allow_debt,
        OBody::Received(_) => true,
        _ => false,
    };
    let is_known = known.iter().any(|known| match known {
        Known::Fact(_) => true,
        Known::Decision { answer, .. } => matches!(answer, OAnswer::Accepted(_)),
    });
    case.refuse_if(!is_known && !makes_known, "member_unknown");
    let comes_back = matches!(&request.body, OBody::Received(received) if received.returned);
    case.refuse_if(state.status == "erased" && !comes_back, "member_erased");
    let body = &request.body;
    let spends = matches!(body, OBody::Redemption(_) | OBody::Reserved(..) | OBody::Transferred(..) | OBody::Sent(..));
    case.refuse_if(spends && state.status == "guest", "member_guest");
    let mut ledger = "main";
    let promise = match &request.body {
        OBody::Redemption(redemption) => {
            ledger = &redemption.ledger;
            case.redemption(redemption)?
        }
        OBody::Reversed(id, points, _) => {
            ledger = state.redemptions.get(id).map_or("main", |redemption| &redemption.ledger);
            case.reversal(id, *points)
        }
        OBody::Granted(grant, reward, deduct) => case.grant(grant, reward, *deduct)?,
        OBody::Transferred(_, from, to, points) => {
            ledger = from;
            case.transfer(from, Some(to), *points)
        }
        OBody::Sent(_, from, to, points) => {
            ledger = from;
            case.refuse_if(*to == request.member, "points_invalid");
            OPromise { parts: state.to_send(from, *points), ..case.transfer(from, None, *points) }
        }
        OBody::Received(received) => {
            ledger = &received.ledger;
            case.refuse_if(state.is_gone(at) && !comes_back, "member_excluded");
            OPromise { points: received.parts.iter().map(|part| part.points).sum(), ..OPromise::default() }
        }
        OBody::Overridden(tier, _, until) => case.overriding(tier, *until)?,
        OBody::OverrideEnded => {
            let is_set = state.standing.as_ref().is_some_and(|standing| standing.set.is_some());
            case.refuse_if(!is_set, "tier_not_overridden");
            OPromise::default()
        }
        OBody::Reserved(name, order, until) => case.reservation(name, order, *until),
        OBody::Revoked(name, restore, _) => case.revocation(name, *restore),
        OBody::Adjusted(adjusted) => {
            ledger = &adjusted.ledger;
            case.adjustment(adjusted)?
        }
        _ => bail!("not a request: {}", request.kind),
    };
    let first = REASONS.iter().find(|reason| case.against.contains(reason));
    let answer = first.map_or(OAnswer::Accepted(promise), |reason| OAnswer::Rejected((*reason).to_owned()));
    Ok(ODecision { at, answer, balance_before: state.active(ledger) })
}

struct Case<'a> {
    state: &'a State,
    rules: &'a ORules,
    at: i64,
    against: Vec<&'static str>,
}

impl Case<'_> {
    fn refuse_if(&mut self, so: bool, reason: &'static str) {
        if so {
            self.against.push(reason);
        }
    }

    fn redemption(&mut self, redemption: &ORedemption) -> Result<OPromise> {
        self.refuse_if(self.state.may_not_redeem(self.at), "member_excluded");
        self.refuse_if(!self.rules.ledgers.contains(&redemption.ledger), "ledger_unknown");
        let reward = redemption.reward.as_ref().and_then(|id| self.rules.rewards.get(id)).cloned();
        self.refuse_if(redemption.reward.is_some() && reward.is_none(), "reward_unknown");
        self.refuse_if(reward.as_ref().is_some_and(|reward| reward.grantable), "reward_kind_mismatch");
        self.terms(redemption.reward.as_deref(), reward.as_ref())?;
        let points = match (&reward, redemption.points) {
            (Some(Reward { pay_with_points: Some((min, step)), .. }), Some(points)) => {
                (points >= *min && points % (*step).max(1) == 0).then_some(points)
            }
            (Some(Reward { cost: Some(cost), .. }), None) => Some(*cost),
            (Some(Reward { cost: Some(cost), .. }), Some(points)) => (points == *cost).then_some(points),
            (Some(_), _) => None,
            (None, points) => points,
        };
        self.refuse_if(points.is_none_or(|points| points <= 0), "points_invalid");
        let points = points.unwrap_or(0);
        self.refuse_if(self.state.active(&redemption.ledger) < points, "insufficient_points");
        let coupon = self.coupon_of(reward.as_ref(), &redemption.redemption_id)?;
        Ok(OPromise { points, coupon, ..OPromise::default() })
    }

    fn grant(&mut self, grant: &str, id: &str, deduct: Option<bool>) -> Result<OPromise> {
        let reward = self.rules.rewards.get(id).cloned();
        self.refuse_if(reward.is_none(), "reward_unknown");
        let cost = reward.as_ref().and_then(|reward| reward.cost.filter(|_| !reward.grantable));
        let fits = match deduct {
            None => reward.as_ref().is_none_or(|reward| reward.grantable),
            Some(false) => true,
            Some(true) => cost.is_some(),
        };
        self.refuse_if(reward.is_some() && !fits, "reward_kind_mismatch");
        self.terms(Some(id), reward.as_ref())?;
        let points = cost.filter(|_| deduct == Some(true)).unwrap_or(0);
        self.refuse_if(self.state.active("main") < points, "insufficient_points");
        Ok(OPromise { points, coupon: self.coupon_of(reward.as_ref(), grant)?, ..OPromise::default() })
    }

    /// For whom a reward is, and how often.
    fn terms(&mut self, id: Option<&str>, reward: Option<&Reward>) -> Result<()> {
        let (Some(id), Some(reward)) = (id, reward) else { return Ok(()) };
        // Who is not known yet will be in the first tier.
        let first = self.rules.tiers.as_ref().map(|ladder| ladder.tiers[0].id.clone());
        let tier = self.state.standing.as_ref().map(Standing::effective_id).or(first);
        let fits = reward.tiers.is_empty() || tier.is_some_and(|tier| reward.tiers.contains(&tier));
        self.refuse_if(!fits, "tier_not_eligible");
        let enough = self.state.had_enough(id, reward, &self.rules.zone)?;
        self.refuse_if(enough, "limit_reached");
        Ok(())
    }

    fn transfer(&mut self, from: &str, to: Option<&str>, points: i64) -> OPromise {
        let has = |ledger: &str| self.rules.ledgers.iter().any(|known| known == ledger);
        self.refuse_if(!has(from) || !to.is_none_or(has), "ledger_unknown");
        self.refuse_if(self.state.may_not_redeem(self.at), "member_excluded");
        self.refuse_if(to == Some(from) || points <= 0, "points_invalid");
        self.refuse_if(self.state.active(from) < points, "insufficient_points");
        OPromise { points, ..OPromise::default() }
    }

    fn overriding(&mut self, tier: &str, until: Option<i64>) -> Result<OPromise> {
        let ladder = self.rules.tiers.as_ref();
        self.refuse_if(ladder.is_none_or(|ladder| ladder.rank(tier).is_none()), "tier_unknown");
        let end = until.map(|until| self.rules.zone.round(until, "day_end")).transpose()?;
        self.refuse_if(end.is_some_and(|end| end <= self.at), "validity_invalid");
        Ok(OPromise { expires: end, ..OPromise::default() })
    }

    fn coupon_of(&self, reward: Option<&Reward>, source: &str) -> Result<Option<OCoupon>> {
        let Some(terms) = reward.and_then(|reward| reward.coupon.as_ref()) else {
            return Ok(None);
        };
        let expires = terms.valid_for.as_ref().map(|valid_for| self.rules.zone.add(self.at, valid_for)).transpose()?;
        Ok(Some(OCoupon { code: format!("code-of-{source}"), expires, uses: terms.uses }))
    }

    fn reversal(&mut self, id: &str, points: Option<i64>) -> OPromise {
        let left = self.state.redemptions.get(id).map_or(0, |redemption| redemption.left);
        let is_there = self.state.redemptions.contains_key(id);
        self.refuse_if(!is_there, "redemption_unknown");
        self.refuse_if(is_there && left == 0, "redemption_already_reversed");
        self.refuse_if(points.is_some_and(|points| points <= 0 || (left > 0 && points > left)), "points_invalid");
        if let Some(coupon) = self.state.coupon(&CouponName::Redemption(id.to_owned())) {
            self.refuse_unless_unused(&self.state.coupons[coupon]);
        }
        OPromise { points: points.unwrap_or(left), ..OPromise::default() }
    }

    fn reservation(&mut self, name: &CouponName, order: &str, until: i64) -> OPromise {
        self.refuse_if(self.state.may_not_redeem(self.at), "member_excluded");
        let coupon = self.state.coupon(name).map(|c| &self.state.coupons[c]);
        self.refuse_if(coupon.is_none(), "coupon_unknown");
        if let Some(coupon) = coupon {
            self.refuse_if(coupon.used_on.len() >= coupon.uses, "coupon_already_used");
            self.refuse_if(coupon.revoked, "coupon_revoked");
            self.refuse_if(coupon.expired, "coupon_expired");
            let is_held = coupon.hold.as_ref().is_some_and(|(held_for, _)| held_for != order);
            self.refuse_if(coupon.status() == "reserved" && is_held, "coupon_reserved");
        }
        self.refuse_if(until <= self.at, "validity_invalid");
        OPromise::default()
    }

    fn revocation(&mut self, name: &CouponName, restore: bool) -> OPromise {
        let coupon = self.state.coupon(name).map(|c| &self.state.coupons[c]);
        self.refuse_if(coupon.is_none(), "coupon_unknown");
        let mut points = 0;
        if let Some(coupon) = coupon {
            self.refuse_unless_unused(coupon);
            if restore {
                points = coupon.redemption().and_then(|id| self.state.redemptions.get(&id)).map_or(0, |paid| paid.left);
            }
        }
        OPromise { points, ..OPromise::default() }
    }

    /// What cost points goes back only from a coupon that nobody used.
    fn refuse_unless_unused(&mut self, coupon: &Coupon) {
        self.refuse_if(!coupon.used_on.is_empty(), "coupon_already_used");
        self.refuse_if(coupon.revoked, "coupon_revoked");
        self.refuse_if(coupon.expired, "coupon_expired");
    }

    fn adjustment(&mut self, adjusted: &OAdjustment) -> Result<OPromise> {
        self.refuse_if(!self.rules.ledgers.contains(&adjusted.ledger), "ledger_unknown");
        self.refuse_if(adjusted.points == 0, "points_invalid");
        if adjusted.points < 0 {
            let own = self.state.lots.iter().filter(|lot| !lot.active && adjusted.has_opened(lot));
            let short = self.state.active(&adjusted.ledger) + own.map(|lot| lot.left).sum::<i64>() < -adjusted.points;
            self.refuse_if(short && !adjusted.allow_debt, "insufficient_points");
            return Ok(OPromise { points: adjusted.points, ..OPromise::default() });
        }
        let zone = &self.rules.zone;
        let starts = match &adjusted.starts {
            Some(When::At(at)) => *at,
            Some(When::After(after, to)) => zone.after(self.at, after, to.as_deref())?,
            Some(When::Immediate | When::Never) | None => self.at,
        };
        let starts = starts.max(self.at);
        let expires = match &adjusted.expires {
            Some(When::At(at)) => Some(*at),
            Some(When::After(after, to)) => Some(zone.after(starts, after, to.as_deref())?),
            Some(When::Immediate | When::Never) => None,
            None => self.rules.life.ends_at(zone, self.at, starts)?,
        };
        self.refuse_if(expires.is_some_and(|end| end <= starts), "validity_invalid");
        let starts = (starts > self.at).then_some(starts);
        Ok(OPromise { points: adjusted.points, starts, expires, ..OPromise::default() })
    }
}
