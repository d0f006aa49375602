//! The member while the history is folded: one fact or decision after the other, with everything that time does between.

use super::cards::OCard;
use super::coupon::Coupon;
use super::exception::Exception;
use super::fact::{CouponName, OBody, OFact, ORefund};
use super::feats::Feat;
use super::limits::Given;
use super::lots::{Debt, Lot, NO_RULE, Opening};
use super::order::Order;
use super::redeem::Redemption;
use super::rules::ORules;
use super::standing::{Exclusion, exclusions};
use super::terms::Period;
use super::tiers::{Standing, Transition};
use super::{Known, OAnswer, OEntry, OPromise};
use anyhow::Result;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Sums that lots and debts do not show any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Points that refunds were to take back.
    pub clawback_due: i64,
    /// … found in lots.
    pub clawback_taken: i64,
    /// … owed.
    pub clawback_debt: i64,
    /// … given up by the policy.
    pub clawback_forgiven: i64,
    /// … already gone because never fulfilled.
    pub clawback_lapsed: i64,
    /// Debt of redemptions that were reversed.
    pub debt_cancelled: i64,
}

/// Everything about the member, as of `now`.
pub struct State {
    rules: Vec<(i64, Rc<ORules>)>,
    /// When the member earns or spends nothing.
    pub exclusions: Vec<Exclusion>,
    /// The instant of the fact or boundary at work.
    pub now: i64,
    /// Those that have lots or debt, in the order of first use.
    pub ledgers: Vec<String>,
    /// All lots ever opened.
    pub lots: Vec<Lot>,
    /// All debts ever opened, in order.
    pub debts: Vec<Debt>,
    /// By id.
    pub orders: BTreeMap<String, Order>,
    /// By id.
    pub redemptions: BTreeMap<String, Redemption>,
    /// By order: what is tied to it.
    pub tied: BTreeMap<String, Vec<CouponName>>,
    /// In order of issue.
    pub coupons: Vec<Coupon>,
    /// Facts that wait for their order.
    pub parked: Vec<OFact>,
    /// Accepted requests that wait for what they are about: decided at the same instant, folded before it.
    pub waiting: Vec<(OFact, OPromise)>,
    /// In the order in which they were handed out.
    pub cards: Vec<OCard>,
    /// What people have to look at, in order.
    pub exceptions: Vec<Exception>,
    /// Where the member stands; `None`: nothing is counted.
    pub standing: Option<Standing>,
    /// All, in order.
    pub transitions: Vec<Transition>,
    /// By ledger: when its active points end for want of activity.
    pub clocks: BTreeMap<String, i64>,
    /// By rule: the period of its latest award, and how much was awarded in it.
    pub used: BTreeMap<String, (Period, i64)>,
    /// Rewards the member had, in order.
    pub given: Vec<Given>,
    /// By id.
    pub feats: BTreeMap<String, Feat>,
    /// What is given once: rule and calendar year, or rule alone.
    pub occurred: Vec<String>,
    /// `guest`, `member` (never registered), `registered`, `left`, `erased`; empty: never seen.
    pub status: &'static str,
    /// When the member was erased last.
    pub erased_at: Option<i64>,
    /// The fact at work: the number of its kind, its natural id, when it happened.
    pub source: (u32, String, i64),
    /// The fact that set the tier by hand.
    pub set_by: (u32, String, i64),
    /// The ledgers in which the order at work gave points.
    pub gave: Vec<String>,
    /// All, in order.
    pub entries: Vec<OEntry>,
    /// See [`Totals`].
    pub totals: Totals,
}

impl State {
    /// The member as of `at`: everything known that happened until then, from the first fact on.
    pub fn replay(rules: &[(i64, Rc<ORules>)], known: &[Known], at: i64) -> Result<State> {
        let mut known: Vec<&Known> = known.iter().filter(|known| known.at() <= at).collect();
        known.sort_by_key(|known| {
            let request = known.request();
            (known.at(), known.is_decision(), request.id.clone(), request.source.clone())
        });
        let mut state = State {
            rules: rules.to_vec(),
            exclusions: exclusions(&known),
            now: i64::MIN,
            ledgers: Vec::new(),
            lots: Vec::new(),
            debts: Vec::new(),
            orders: BTreeMap::new(),
            redemptions: BTreeMap::new(),
            tied: BTreeMap::new(),
            coupons: Vec::new(),
            parked: Vec::new(),
            waiting: Vec::new(),
            cards: Vec::new(),
            exceptions: Vec::new(),
            standing: None,
            transitions: Vec::new(),
            clocks: BTreeMap::new(),
            used: BTreeMap::new(),
            given: Vec::new(),
            feats: BTreeMap::new(),
            occurred: Vec::new(),
            status: "",
            erased_at: None,
            source: (0, String::new(), 0),
            set_by: (0, String::new(), 0),
            gave: Vec::new(),
            entries: Vec::new(),
            totals: Totals::default(),
        };
        for known in known {
            state.pass_time(known.at())?;
            state.step(known)?;
        }
        state.pass_time(at)?;
        Ok(state)
    }

    /// A fact or a decision, now, and what it makes of tiers and clocks.
    fn step(&mut self, known: &Known) -> Result<()> {
        if let Known::Decision { answer: OAnswer::Rejected(_), .. } = known {
            return Ok(());
        }
        if self.status.is_empty() {
            self.status = if self.rules().unknown_is_guest { "guest" } else { "member" };
        }
        self.begin_counting();
        self.gave.clear();
        let fact = known.request();
        self.source = match &fact.body {
            OBody::Order(order) => {
                let first = self.orders.get(&order.order_id).map_or(self.now, |order| order.at);
                (16, order.order_id.clone(), first)
            }
            OBody::Activity(id, _) => (21, id.clone(), self.now),
            OBody::Import(import) => (22, import.import_id.clone(), self.now),
            OBody::Credit(_) => (38, fact.id.clone(), self.now),
            OBody::Adjusted(adjusted) => (69, adjusted.adjustment_id.clone(), self.now),
            OBody::OverrideEnded => (72, fact.id.clone(), self.now),
            _ => (71, fact.id.clone(), self.now),
        };
        let metric = self.metric()?;
        let active: Vec<usize> = (0..self.lots.len()).filter(|&i| self.lots[i].active && self.lots[i].left > 0).collect();
        match known {
            Known::Fact(fact) => self.fact(fact)?,
            Known::Decision { request, answer: OAnswer::Accepted(promise), .. } => self.promise(request, promise)?,
            Known::Decision { .. } => (),
        }
        let body = &known.request().body;
        let cause = match body {
            OBody::Order(_) => "order",
            OBody::Activity(..) => "activity",
            _ => "credit",
        };
        self.rise(metric, cause)?;
        self.start_clocks()?;
        self.extend(body, &active)
    }

    /// The ruleset in force now.
    pub fn rules(&self) -> Rc<ORules> {
        self.rules_at(self.now)
    }

    /// The ruleset in force at an instant.
    pub fn rules_at(&self, at: i64) -> Rc<ORules> {
        let in_force = self.rules.iter().rev().find(|(from, _)| *from <= at);
        in_force.unwrap_or(&self.rules[0]).1.clone()
    }

    /// A number changed; by 0: it did not.
    pub fn entry(&mut self, kind: &str, ledger: &str, points: i64) {
        if points != 0 {
            let (kind, ledger) = (kind.to_owned(), ledger.to_owned());
            self.entries.push(OEntry { at: self.now, kind, ledger, points, code: String::new() });
        }
    }

    /// Something happened that changes no number of points.
    pub fn note(&mut self, kind: &str) {
        let (kind, ledger, code) = (kind.to_owned(), String::new(), String::new());
        self.entries.push(OEntry { at: self.now, kind, ledger, points: 0, code });
    }

    /// All boundaries until `to`, in order of their instants.
    fn pass_time(&mut self, to: i64) -> Result<()> {
        loop {
            let of_lots = self.lots.iter().flat_map(|lot| [lot.activation(), lot.end(), lot.lapse()]);
            let of_coupons = self.coupons.iter().flat_map(|coupon| [coupon.end(), coupon.hold_end()]);
            let of_rules = self.rules.iter().map(|(from, _)| *from).filter(|from| *from > self.now);
            let mut next: Vec<i64> = of_lots.chain(of_coupons).flatten().chain(of_rules).collect();
            next.extend(self.ends_of_clocks());
            next.extend(self.ends_of_tiers());
            let Some(next) = next.into_iter().min().filter(|next| *next <= to) else {
                break;
            };
            self.now = next;
            self.lots_at_boundary();
            self.tiers_at_boundary()?;
            self.coupons_at_boundary()?;
            self.start_clocks()?;
        }
        self.now = to;
        Ok(())
    }

    /// What a fact says.
    pub fn fact(&mut self, fact: &OFact) -> Result<()> {
        if self.is_too_late(fact) {
            return Ok(());
        }
        match &fact.body {
            OBody::Order(order) => self.order(order)?,
            OBody::Fulfilled(order) | OBody::Cancelled(order) | OBody::Refund(ORefund { order_id: Some(order), .. }) => {
                if !self.orders.contains_key(order) {
                    self.note("parked");
                    self.parked.push(fact.clone());
                    // Coupons and redemptions need no order to be free again.
                    return if matches!(fact.body, OBody::Cancelled(_)) { self.undo_on_order(order) } else { Ok(()) };
                }
                let order = order.clone();
                let before = self.orders[&order].worth();
                self.note_on_order(fact, &order);
                self.apply_difference(&order, &before)?;
                match &fact.body {
                    OBody::Fulfilled(_) => self.start_fulfilled(&order)?,
                    OBody::Cancelled(_) => self.undo_on_order(&order)?,
                    _ => (),
                }
            }
            OBody::Refund(refund) => self.place_unreferenced(refund)?,
            OBody::Redemption(redemption) => self.recorded(redemption),
            OBody::Activity(id, activity) => self.activity(id, activity)?,
            OBody::Registered(guest) => self.registered(&fact.id, *guest)?,
            OBody::Import(import) => {
                let (ledger, natural) = (&import.ledger, &import.import_id);
                for &(points, starts, expires) in &import.lots {
                    let from = Opening { ledger, order: None, rule: NO_RULE, kind: 22, natural, points, entry: "imported" };
                    self.open_lot(&from, Some(starts.unwrap_or(self.now)), expires, None);
                }
                self.credit(import.tier_credit);
            }
            OBody::Credit(amount) => self.credit(*amount),
            OBody::NoCredit => self.no_credit(),
            OBody::Resolved(exception, order, line) => self.resolve(fact, exception, order.as_deref(), line.as_deref())?,
            OBody::CouponUsed(name, order) => self.use_coupon(name, order),
            OBody::CouponReleased(name, order) => match self.coupon(name) {
                Some(coupon) => self.release_coupon(coupon, order)?,
                None => self.exception("coupon_unknown", "", 0),
            },
            OBody::CardIssued(code) => self.issue_card(code),
            OBody::CardStatus(code, status) => self.card_status(code, status, &fact.id),
            OBody::CardReplaced(old, new) => self.replace_card(old, new, &fact.id),
            OBody::Left if self.status != "erased" => self.status = "left",
            OBody::Erased => self.erase(),
            OBody::Cycle => self.exception("merge_cycle", &fact.id, 0),
            OBody::Merged(_) | OBody::Unmerged(_) => (),
            OBody::Excluded(..) | OBody::Left | OBody::Included | OBody::Noted => (),
            // Requests do nothing by themselves: their decisions do.
            OBody::Reversed(..) | OBody::Granted(..) | OBody::Reserved(..) | OBody::Revoked(..) | OBody::Adjusted(_) => (),
            OBody::Transferred(..) | OBody::Sent(..) | OBody::Received(_) | OBody::Overridden(..) | OBody::OverrideEnded => (),
        }
        Ok(())
    }
}
