//! Tentative: what a basket would earn, what could be used on it, and what the member would have, if it were paid now.
//! Nothing is written: an order is folded onto a copy of the member.

use super::{AsKnown, AsOf, LedgerReader, Wanted};
use crate::answer::{BalanceAnswer, CouponAnswer, TierAnswer, balance, tier_answer};
use crate::error::ProjectionError;
use crate::explain::{RuleFinding, explain_order, sentence};
use accrue_ledger::currency::format_amount;
use accrue_ledger::{
    Body, CouponStatus, Deciding, Decision, Entry, EntryKind, Fact, Fold, Kind, MAIN, Member, Needs, Outcome, Price, Record,
    RecordKey, Records, Redemption, Reward, RewardKind, Ruleset, Timeline, decide, needs,
};
use accrue_store::member_hash;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// The program.
    pub program: String,
    /// The member.
    pub member: String,
    /// Whether it has a fact yet; one that has none is judged as a new member.
    pub known: bool,
    /// The instant at which the basket is paid.
    pub at: String,
    /// The ruleset that judges it.
    pub ruleset: String,
    /// What counts of the basket, in its currency.
    pub eligible: String,
    /// What each rule makes of it, or why nothing.
    pub rules: Vec<RuleFinding>,
    /// Points it earns, by ledger.
    pub earns: BTreeMap<String, i64>,
    /// Everything it would lead to, as sentences.
    pub effects: Vec<String>,
    /// Points now, by ledger.
    pub before: BTreeMap<String, Points>,
    /// Points then, by ledger.
    pub after: BTreeMap<String, Points>,
    /// The tier now; absent: the program has none.
    pub tier_before: Option<TierAnswer>,
    /// The tier then.
    pub tier_after: Option<TierAnswer>,
    /// Rewards that cost points: whether one could be used on it.
    pub rewards: Vec<RewardQuote>,
    /// Coupons that the member has and could use on it.
    pub coupons: Vec<CouponAnswer>,
}

/// Points of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Points {
    /// Spendable.
    pub active: i64,
    /// Not yet spendable.
    pub pending: i64,
    /// Owed.
    pub debt: i64,
}

/// A reward, and whether the member could have it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RewardQuote {
    /// Its id.
    pub reward: String,
    /// For people.
    pub name: String,
    /// It could.
    pub usable: bool,
    /// What it costs; of one paid with points, the most that can go into this basket (or the least there must be).
    pub points: i64,
    /// What that is worth.
    pub worth: String,
    /// What a redemption would be refused with; empty: it would not.
    pub why_not: String,
    /// Points that are missing for it.
    pub missing: i64,
}

impl From<BalanceAnswer> for Points {
    fn from(of: BalanceAnswer) -> Points {
        Points { active: of.active, pending: of.pending, debt: of.debt }
    }
}

impl LedgerReader {
    /// What an order would do if it were paid at its `occurred_at`, as far as was known then. `None`: the program has no rules in force then.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn quote(&self, order: &Fact<'_>, known_then: AsKnown) -> Result<Option<Quote>, ProjectionError> {
        let Body::OrderPlaced(placed) = &order.body else { return Ok(None) };
        let (program, at) = (order.program, order.occurred_at);
        let found = self.find(program, order.member, AsOf { as_of: Some(at), known: known_then }, at, Wanted::Records)?;
        let known = found.is_some();
        let (owner, state, rules, past) = match found {
            Some(found) => (found.member.to_string(), found.state, found.rules, found.past.map(|(records, _)| records)),
            None => (order.member.to_owned(), Member::default(), self.timeline(program).unwrap_or_default(), None),
        };
        let Some(ruleset) = rules.at(at).cloned() else { return Ok(None) };
        let mut records = past.unwrap_or_default();
        self.load_needs(&owner, &state, &mut records, order)?;
        let points = |state: &Member| -> BTreeMap<String, Points> {
            state.accounts.iter().map(|account| (account.ledger.to_string(), balance(account, at, &rules).into())).collect()
        };
        let (mut then, mut entries): (Member, Vec<Entry>) = (state.clone(), Vec::new());
        let mut folded = records.clone();
        Fold::new(&mut then, &mut folded, &rules, &mut entries).apply(order, None);
        let Some(Record::Order(paid)) = folded.peek(RecordKey::order(placed.order_id)).map(Cow::into_owned) else {
            return Ok(None);
        };
        let told = explain_order(&paid, &state, &rules, &entries);
        let mut earns: BTreeMap<String, i64> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Earned) {
            *earns.entry(entry.ledger.to_string()).or_default() += entry.points;
        }
        let amount = paid.placed.as_ref().map_or(0, |placed| accrue_ledger::worth::amount_left(&paid, placed));
        let asked = Asked { state: &state, records: &records, rules: &rules, ruleset: &ruleset, order, amount };
        let usable = |redemption: &&accrue_ledger::RedemptionRecord| {
            let status = redemption.coupon.as_ref().map(accrue_ledger::Coupon::status);
            matches!(status, Some(CouponStatus::Issued))
        };
        Ok(Some(Quote {
            program: program.to_owned(),
            known,
            at: at.to_string(),
            ruleset: told.ruleset,
            eligible: told.eligible,
            rules: told.rules,
            earns,
            effects: entries.iter().map(|entry| sentence(entry, &rules)).collect(),
            before: points(&state),
            after: points(&then),
            tier_before: tier_answer(&state, &ruleset, at),
            tier_after: tier_answer(&then, &ruleset, at),
            rewards: ruleset.rewards.iter().filter_map(|reward| asked.reward(reward)).collect(),
            coupons: state.open.iter().filter(usable).filter_map(|open| CouponAnswer::of(open, &owner, at)).collect(),
            member: owner,
        }))
    }

    /// Loads what the order needs beside the member's state.
    fn load_needs(&self, owner: &str, state: &Member, records: &mut Records, order: &Fact<'_>) -> Result<(), ProjectionError> {
        let tiers = self.shared.tiers.read();
        let hash = member_hash(order.program, owner);
        loop {
            match needs(state, records, order) {
                Needs::Nothing => return Ok(()),
                Needs::Records(keys) => {
                    for key in keys {
                        let row = tiers.record(hash, order.program, owner, key)?;
                        records.load(key, row.map(|row| row.open()).transpose()?.flatten());
                    }
                }
                Needs::AllOrders => {
                    for (key, row) in tiers.records(hash, order.program, owner)? {
                        if key.is_order() {
                            records.load(key, row.open()?);
                        }
                    }
                    records.set_orders_complete();
                }
            }
        }
    }
}

struct Asked<'a> {
    state: &'a Member,
    records: &'a Records,
    rules: &'a Timeline,
    ruleset: &'a Ruleset,
    order: &'a Fact<'a>,
    /// Minor units of the basket.
    amount: i64,
}

impl Asked<'_> {
    /// As a request for it would be decided now. `None`: it costs no points, so nobody asks for it.
    fn reward(&self, reward: &Reward) -> Option<RewardQuote> {
        if reward.kind != RewardKind::Redeemable {
            return None;
        }
        let active = self.state.active(MAIN);
        let (points, worth, wanted) = match reward.price {
            Price::Free => return None,
            Price::Fixed(cost) => (cost, reward.benefit.to_string(), None),
            Price::PayWithPoints { points: unit, worth, min, step } => {
                // No more than the basket costs, and than there is.
                let of_basket = i128::from(self.amount) * i128::from(unit) / i128::from(worth.max(1));
                let most = i64::try_from(of_basket).unwrap_or(i64::MAX).min(active);
                let points = (most - most % step.max(1)).max(min);
                let minor = i64::try_from(i128::from(points) * i128::from(worth) / i128::from(unit.max(1))).unwrap_or(i64::MAX);
                let worth = format!("amount {} {}", format_amount(minor, self.ruleset.exponent), self.ruleset.currency);
                (points, worth, Some(points))
            }
        };
        let why_not = match self.decide(reward, wanted).outcome {
            Outcome::Accepted(_) => String::new(),
            Outcome::Rejected(reason) => reason.name().to_owned(),
        };
        Some(RewardQuote {
            reward: reward.id.to_string(),
            name: reward.name.to_string(),
            usable: why_not.is_empty(),
            points,
            worth,
            why_not,
            missing: (points - active).max(0),
        })
    }

    fn decide(&self, reward: &Reward, points: Option<i64>) -> Decision {
        let redemption_id = "\u{0}quote";
        let body =
            Redemption { redemption_id, reward: Some(&reward.id), points, ledger: None, coupon_code: None, order_id: None };
        let request =
            Fact { id: redemption_id, kind: Kind::RedemptionRequested, body: Body::Redemption(body), ..self.order.clone() };
        let mut records = self.records.clone();
        records.load(RecordKey::new(Kind::RedemptionRequested, redemption_id), None);
        // Nobody sees the code: nothing is promised.
        let with = Deciding { rules: self.rules, secret: &[0; 32], saw_position: 0 };
        decide(self.state, &records, &request, self.order.occurred_at, with)
    }
}
