//! How a member stands (§11): exclusion and leaving, guests, cards, erasure.

use super::{Draft, Fold, Source};
use crate::entry::{EntryKind, Sink, Why};
use crate::fact::{Body, Fact, Kind};
use crate::member::Excluded;
use crate::record::{Record, RecordKey};
use crate::ruleset::{MAIN, Ruleset, SpendOrder};
use crate::standing::{Card, CardStatus, Status};
use crate::{Instant, Text};

impl<S: Sink> Fold<'_, S> {
    /// The first fact of somebody makes a member, or a guest where the ruleset says so.
    pub(super) fn became_known(&mut self, rules: &Ruleset) {
        if rules.unknown_is_guest && self.member.status() == Status::Member {
            self.member.standing_mut().status = Status::Guest;
        }
    }

    pub(super) fn standing_changed(&mut self, fact: &Fact<'_>, source: Source<'_>, rules: &Ruleset, at: Instant) {
        if !self.exclusions_known {
            change(&mut self.member.exclusions, fact, at);
        }
        match (&fact.body, fact.kind) {
            // Who is registered stays so; a guest is one that nobody registered, or who comes back as one.
            (Body::MemberRegistered { guest: true }, _) if self.member.status() == Status::Registered => {}
            (Body::MemberRegistered { guest }, _) => {
                self.member.standing_mut().status = if *guest { Status::Guest } else { Status::Registered };
            }
            (_, Kind::MemberLeft) if self.member.status() != Status::Erased => {
                self.member.standing_mut().status = Status::Left;
            }
            (_, Kind::MemberErased) => self.erased(source, rules, at),
            _ => {}
        }
    }

    /// The balance is forfeited: active points as if they had expired, pending ones as if cancelled; coupons end. Debt stays.
    fn erased(&mut self, source: Source<'_>, rules: &Ruleset, at: Instant) {
        let standing = self.member.standing_mut();
        standing.status = Status::Erased;
        standing.erased_at = Some(at);
        for index in 0..self.member.accounts.len() {
            let account = &mut self.member.accounts[index];
            let order: Vec<usize> = account.spend_order(rules.spend_order).collect();
            let active: Vec<crate::Lot> = order.into_iter().map(|lot| account.active[lot].clone()).collect();
            let mut pending: Vec<crate::Lot> = std::mem::take(&mut account.pending).into();
            let oldest_first = rules.spend_order == SpendOrder::Oldest;
            pending.sort_by(if oldest_first { crate::Lot::oldest_cmp } else { crate::Lot::spend_cmp });
            account.active.clear();
            let ledger = account.ledger.clone();
            let lots = active.into_iter().map(|lot| (EntryKind::Expired, lot));
            for (kind, lot) in lots.chain(pending.into_iter().map(|lot| (EntryKind::Cancelled, lot))) {
                let sums = &mut self.member.accounts[index].sums;
                if kind == EntryKind::Expired {
                    (sums.active, sums.expired) = (sums.active - lot.left, sums.expired + lot.left);
                } else {
                    (sums.pending, sums.cancelled) = (sums.pending - lot.left, sums.cancelled + lot.left);
                }
                self.lot_entry(kind, &lot, -lot.left, &ledger, Why::Erased, at);
            }
        }
        for mut redemption in std::mem::take(&mut self.member.open) {
            if let Some(coupon) = &mut redemption.coupon {
                (coupon.expired, coupon.reserved) = (true, None);
                let why = Why::Coupon { code: coupon.code.clone(), order: Text::default() };
                self.member.closed.expired += 1;
                let (kind, ruleset) = (EntryKind::CouponExpired, rules.tag());
                self.entry(Draft { kind, at, ledger: MAIN, points: 0, source, ruleset, rule: None, lots: &[], why });
            }
            self.put_redemption(redemption);
        }
    }

    /// What a fact is about, where it would move points that were forfeited with the member's erasure.
    pub(super) fn forfeited(&self, fact: &Fact<'_>) -> Option<String> {
        self.member.standing.as_ref()?.erased_at?;
        let is_erased = self.member.status() == Status::Erased;
        let of_order = |order_id: &str| {
            let placed_at = match self.records.peek(RecordKey::order(order_id)).as_deref() {
                Some(Record::Order(order)) => order.placed.as_ref().map(|placed| placed.at),
                _ => None,
            };
            let before = placed_at.is_some_and(|at| self.is_closed(at));
            before.then(|| format!("order {order_id}"))
        };
        match &fact.body {
            Body::OrderPlaced(placed) => of_order(placed.order_id),
            Body::OrderCancelled { order_id } => of_order(order_id),
            Body::RefundRecorded(refund) => match refund.order_id {
                Some(order_id) => of_order(order_id).map(|order| format!("refund {} of {order}", refund.refund_id)),
                None => is_erased.then(|| format!("refund {}", refund.refund_id)),
            },
            Body::ExceptionResolved { order_id: Some(order_id), exception, .. } if self.waits_for_order(exception) => {
                of_order(order_id).map(|order| format!("{exception} on {order}"))
            }
            Body::PointsImported(imported) => is_erased.then(|| format!("import {}", imported.import_id)),
            _ => None,
        }
    }

    /// Whether an erasure has closed an order of that instant.
    pub(super) fn is_closed(&self, placed_at: Instant) -> bool {
        let erased_at = self.member.standing.as_ref().and_then(|standing| standing.erased_at);
        erased_at.is_some_and(|erased_at| placed_at <= erased_at)
    }

    pub(super) fn card_issued(&mut self, code: &str, at: Instant) {
        let cards = &mut self.member.standing_mut().cards;
        if !cards.iter().any(|card| card.code == *code) {
            cards.push(Card { code: Text::new(code), status: CardStatus::Active, issued_at: at, replaced_by: Text::default() });
        }
    }

    pub(super) fn card_status(&mut self, code: &str, status: CardStatus, source: Source<'_>, rules: &Ruleset, at: Instant) {
        match self.member.standing_mut().cards.iter_mut().find(|card| card.code == *code) {
            Some(card) => card.status = status,
            None => self.exception("card_unknown", &format!("card {code}"), 0, source, rules, at),
        }
    }

    /// The old card is of no use any more (a blocked one stays blocked); the new one is handed out.
    pub(super) fn card_replaced(&mut self, old: &str, new: &str, source: Source<'_>, rules: &Ruleset, at: Instant) {
        match self.member.standing_mut().cards.iter_mut().find(|card| card.code == *old) {
            Some(card) => {
                card.replaced_by = Text::new(new);
                card.status = if card.status == CardStatus::Blocked { CardStatus::Blocked } else { CardStatus::Inactive };
            }
            None => self.exception("card_unknown", &format!("card {old}"), 0, source, rules, at),
        }
        self.card_issued(new, at);
    }
}

/// The exclusions of a whole history: they count for orders that were folded before the fact that states them.
/// `facts` must be in the order of folding.
pub fn exclusions_of<'a, 'b: 'a>(facts: impl Iterator<Item = &'a Fact<'b>>) -> Vec<Excluded> {
    exclusions_after(Vec::new(), facts)
}

/// The same where those of all facts before are known.
pub(crate) fn exclusions_after<'a, 'b: 'a>(
    mut exclusions: Vec<Excluded>,
    facts: impl Iterator<Item = &'a Fact<'b>>,
) -> Vec<Excluded> {
    facts.for_each(|fact| change(&mut exclusions, fact, fact.occurred_at));
    exclusions
}

/// The first instant at which a fact changes what orders earn or points may do. `None`: it doesn't.
pub(crate) fn standing_from(fact: &Fact<'_>) -> Option<Instant> {
    match (&fact.body, fact.kind) {
        (Body::MemberExcluded(exclusion), _) => Some(exclusion.from.unwrap_or(fact.occurred_at)),
        (Body::MemberIncluded, _) | (_, Kind::MemberLeft | Kind::MemberRegistered | Kind::MemberErased) => Some(fact.occurred_at),
        _ => None,
    }
}

fn change(exclusions: &mut Vec<Excluded>, fact: &Fact<'_>, at: Instant) {
    match (&fact.body, fact.kind) {
        (Body::MemberExcluded(exclusion), _) => {
            let (from, until) = (exclusion.from.unwrap_or(at), exclusion.until.unwrap_or(Instant::MAX));
            exclusions.push(Excluded { from, until, earn: exclusion.earn, redeem: exclusion.redeem, erased: false });
        }
        (_, Kind::MemberLeft | Kind::MemberErased) => {
            let erased = fact.kind == Kind::MemberErased;
            exclusions.push(Excluded { from: at, until: Instant::MAX, earn: true, redeem: true, erased });
        }
        (Body::MemberIncluded, _) | (_, Kind::MemberRegistered) => {
            let registered = fact.kind == Kind::MemberRegistered;
            let ended = exclusions.iter_mut().filter(|excluded| registered || !excluded.erased);
            ended.for_each(|excluded| excluded.until = excluded.until.min(at));
            exclusions.retain(|excluded| excluded.from < excluded.until);
        }
        _ => {}
    }
}
