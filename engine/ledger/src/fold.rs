//! Folding a fact or decision into a member's state. Cannot fail, wait or look anything up.
//!
//! [`Fold::apply`] is the one entrance; each file below is one behaviour.

mod achievement;
mod adjust;
mod boundary;
mod clawback;
mod coupon;
mod inactivity;
mod limit;
mod lots;
mod occurrence;
mod order;
mod receive;
mod redeem;
mod referral;
mod refund;
mod resolve;
mod restore;
mod standing;
mod tier;
mod tier_due;
mod transfer;

use crate::counters::Trouble;
use crate::decision::{Decision, Outcome};
use crate::entry::{EntryKind, EntryRef, LotPart, Sink, TierCause, Why, source_of};
use crate::fact::{Body, Fact, Kind, TransferTo};
use crate::member::Member;
use crate::record::{RecordKey, Redemption};
use crate::records::{Needs, Records};
use crate::referral::ReferralFact;
use crate::ruleset::{MAIN, Ruleset, Timeline};
use crate::tier::Override;
use crate::{Instant, Record, Text};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) use adjust::is_of_adjustment;
pub(crate) use coupon::key_of as coupon_key;
pub(crate) use standing::exclusions_after;
pub use standing::exclusions_of;
pub(crate) use standing::standing_from;

/// A member being folded: its state, the records at hand, the rules and whoever wants the entries.
pub struct Fold<'a, S: Sink> {
    /// The state.
    pub member: &'a mut Member,
    /// The records at hand: see [`needs`].
    pub records: &'a mut Records,
    rules: &'a Timeline,
    sink: &'a mut S,
    /// The exclusions are those of the whole history already: facts don't change them.
    exclusions_known: bool,
    /// The fact raised what counts toward tiers.
    raised: Option<TierCause>,
}

/// What became of a fact beside its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// It waits for its order.
    pub parked: bool,
}

/// What an entry names as its source.
#[derive(Clone, Copy)]
struct Source<'s> {
    kind: u8,
    id: &'s str,
}

/// The parts of an entry that differ.
struct Draft<'s> {
    kind: EntryKind,
    at: Instant,
    ledger: &'s str,
    points: i64,
    source: Source<'s>,
    ruleset: u64,
    rule: Option<u16>,
    lots: &'s [LotPart],
    why: Why,
}

impl<'a, S: Sink> Fold<'a, S> {
    /// Folds on from `member`.
    pub fn new(member: &'a mut Member, records: &'a mut Records, rules: &'a Timeline, sink: &'a mut S) -> Self {
        Fold { member, records, rules, sink, exclusions_known: false, raised: None }
    }

    /// Folds facts whose exclusions are known beforehand: `exclusions` are those of the whole history ([`exclusions_of`]).
    pub fn knowing(mut self, exclusions: Vec<crate::member::Excluded>) -> Self {
        self.member.exclusions = exclusions;
        self.exclusions_known = true;
        self
    }

    /// Folds one fact, or a request with its decision, at its place in the member's history: after everything folded so far.
    /// What [`needs`] names must be in `records`.
    pub fn apply(&mut self, fact: &Fact<'_>, decision: Option<&Decision>) -> Applied {
        self.advance(decision.map_or(fact.occurred_at, |decision| decision.at));
        let at = self.member.comes_to(fact, decision);
        let unknown = !self.member.known;
        let happened = decision.is_none_or(|decision| matches!(decision.outcome, Outcome::Accepted(_)));
        // A referral code has a place in a shard like a member, and is none.
        let counts = happened && !self.told_in_vain(&fact.body, at);
        self.member.known |= counts && !matches!(fact.kind, Kind::ReferralCodeClaimed | Kind::ReferralAsked);
        let Some(rules) = self.rules.at(at) else {
            return Applied::default();
        };
        if unknown && self.member.known {
            self.became_known(rules);
        }
        let source = Source { kind: fact.kind as u8, id: source_of(fact) };
        if counts && rules.tiers.is_some() {
            self.tier_begins(fact, rules, at);
        }
        let before = rules.inactivity.is_some().then(|| self.before_activity());
        let applied = match decision.map(|decision| &decision.outcome) {
            None => self.fact(fact, source, rules, at),
            Some(Outcome::Accepted(promise)) => {
                self.promise(fact, promise, source, rules, at);
                Applied::default()
            }
            Some(Outcome::Rejected(_)) => Applied::default(),
        };
        if let Some(cause) = self.raised.take() {
            self.tier_up(cause, source, rules, at);
        }
        if let Some(before) = before {
            self.after_activity(&fact.body, counts, &before, source, rules, at);
        }
        self.member.keep_due();
        applied
    }

    /// Folds a fact that counts for nothing: only its place in the history is noted, and `trouble`, if it is any.
    pub(crate) fn apply_void(&mut self, fact: &Fact<'_>, decision: Option<&Decision>, trouble: Option<&str>) {
        self.advance(decision.map_or(fact.occurred_at, |decision| decision.at));
        let at = self.member.comes_to(fact, decision);
        self.member.known = true;
        if let (Some(code), Some(rules)) = (trouble, self.rules.at(at)) {
            let source = Source { kind: fact.kind as u8, id: source_of(fact) };
            self.exception(code, fact.member, 0, source, rules, at);
        }
    }

    /// Lets time pass to `to`, that instant included: everything that happens by itself happens at its own instant (§2).
    pub fn advance(&mut self, to: Instant) {
        // Kept after each fact: what is not due yet is not looked at.
        while self.member.due.min(self.member.ruleset_due(self.rules)) <= to {
            let next = self.member.next_boundary_under(self.rules);
            if next > to || next == Instant::MAX || self.rules.at(next).is_none() {
                break;
            }
            self.boundary(next);
            self.member.keep_due();
        }
    }

    fn fact(&mut self, fact: &Fact<'_>, source: Source<'_>, rules: &Ruleset, at: Instant) -> Applied {
        if let Some(about) = self.forfeited(fact) {
            self.exception("member_erased", &about, 0, source, rules, at);
            return Applied::default();
        }
        match &fact.body {
            Body::OrderPlaced(placed) => {
                placed.referral_code.iter().for_each(|code| self.referral_joined(code, rules, at));
                self.order_placed(placed, source, rules, at);
            }
            Body::OrderFulfilled { order_id } => return self.order_fulfilled(order_id, source, rules, at),
            Body::OrderCancelled { order_id } => return self.order_cancelled(order_id, source, rules, at),
            Body::RefundRecorded(refund) => return self.refund_recorded(refund, source, rules, at),
            Body::Redemption(redemption) => self.redemption_recorded(redemption, source, rules, at),
            Body::ActivityRecorded { activity_id, activity } => self.activity_recorded(activity_id, activity, source, rules, at),
            Body::MemberRegistered { guest } => {
                self.standing_changed(fact, source, rules, at);
                self.registered(*guest, source, rules, at);
            }
            Body::ExceptionResolved { exception, order_id, line_id, reason } => {
                return self.exception_resolved(exception, order_id.zip(Some(*line_id)), reason, source, rules, at);
            }
            Body::PointsImported(imported) => self.points_imported(imported, source, rules, at),
            Body::MemberExcluded(_) | Body::MemberIncluded | Body::Noted => {
                self.standing_changed(fact, source, rules, at);
            }
            Body::CardIssued { code } => self.card_issued(code, at),
            Body::CardStatusChanged { code, status } => self.card_status(code, *status, source, rules, at),
            Body::CardReplaced { old, new } => self.card_replaced(old, new, source, rules, at),
            // Who is whose alias is worked out over all of them: see `Family`.
            Body::MembersMerged { .. } | Body::MembersUnmerged { .. } => {}
            Body::CouponUsed { coupon, order_id } => self.coupon_used(*coupon, order_id, source, rules, at),
            Body::CouponReleased { coupon, order_id } => self.coupon_released(*coupon, order_id, source, rules, at),
            // Requests change nothing before they are decided; control facts are not of a member.
            Body::RedemptionReversed { .. } | Body::RewardGranted { .. } | Body::CouponReserved { .. } => {}
            Body::CouponRevoked { .. } | Body::PointsAdjusted(_) | Body::RulesetActivated { .. } => {}
            Body::RulesApplied { .. } | Body::PointsTransferred { .. } | Body::PointsReceived(_) => {}
            Body::Referral(said) => self.referral(said, rules, at),
            Body::FactForwarded { .. } | Body::HandOverContinued { .. } | Body::MembersHandedOver { .. } => {}
            Body::TierOverridden { .. } | Body::TierOverrideEnded => {}
            Body::TierCreditAdjusted { amount } => self.tier_credit(*amount, rules, at),
            Body::TierCreditRecalculated => self.tier_credit_dropped(rules, at),
        }
        Applied::default()
    }

    fn promise(&mut self, fact: &Fact<'_>, promise: &crate::Promise, source: Source<'_>, rules: &Ruleset, at: Instant) {
        match &fact.body {
            Body::Redemption(redemption) => self.redemption_accepted(redemption, promise, source, rules, at),
            Body::RedemptionReversed { redemption_id, cause, .. } => {
                let key = RecordKey::new(Kind::RedemptionRequested, redemption_id);
                self.reversal(key, promise.points, *cause, true, source, rules, at);
            }
            Body::RewardGranted { reward, .. } => self.reward_granted(reward, promise, source, rules, at),
            Body::CouponReserved { coupon, order_id, until } => {
                self.coupon_reserved(*coupon, order_id, *until, source, rules, at)
            }
            Body::CouponRevoked { coupon, restore_points, cause } => {
                self.coupon_revoked(*coupon, *restore_points, *cause, source, rules, at);
            }
            Body::PointsAdjusted(adjusted) => self.points_adjusted(adjusted, promise, source, rules, at),
            Body::PointsTransferred { to: TransferTo::Ledger(to), ledger, points, .. } => {
                self.transferred_between(ledger.unwrap_or(MAIN), to, *points, source, rules, at);
            }
            Body::TierOverridden { tier, floor, .. } => {
                let until = promise.expires_at.unwrap_or(Instant::MAX);
                let over = Override { tier: Text::new(tier), floor: *floor, until, source: Text::new(source.id), since: at };
                self.tier_overridden(over, rules, at);
            }
            Body::TierOverrideEnded => self.tier_override_ended(source, at, rules, at),
            Body::PointsTransferred { to: TransferTo::Member(to), ledger, points, .. } => {
                self.transfer_out(ledger.unwrap_or(MAIN), to, *points, source, rules, at);
            }
            Body::PointsReceived(received) => self.points_received(received, source, rules, at),
            Body::Referral(said) => self.referral_at_home(said, fact.occurred_at),
            _ => {}
        }
    }

    fn entry(&mut self, draft: Draft<'_>) {
        let active_after = self.member.active(draft.ledger);
        let entry = EntryRef {
            kind: draft.kind,
            at: draft.at,
            ledger: draft.ledger,
            points: draft.points,
            active_after,
            source_kind: draft.source.kind,
            source: draft.source.id,
            ruleset: draft.ruleset,
            rule: draft.rule,
            lots: draft.lots,
            why: draft.why,
        };
        let number = self.member.entries;
        self.member.entries += 1;
        self.member.entries_hash = hash_entry(self.member.entries_hash, &entry);
        self.sink.entry(number, &entry);
    }

    /// An entry about something people must look at.
    fn exception(&mut self, code: &str, about: &str, cost: i64, source: Source<'_>, rules: &Ruleset, at: Instant) {
        self.member.exceptions += 1;
        self.member.counters_mut().troubles.push(Trouble {
            code: Text::new(code),
            source_kind: source.kind,
            source: Text::new(source.id),
            about: Text::new(about),
            cost,
            at,
            ..Trouble::default()
        });
        let why = Why::Trouble { code: Text::new(code), about: Text::new(about) };
        let (kind, ruleset) = (EntryKind::Exception, rules.tag());
        self.entry(Draft { kind, at, ledger: MAIN, points: cost, source, ruleset, rule: None, lots: &[], why });
    }

    /// Takes a redemption or grant out, wherever it is; it must be put back.
    fn take_redemption(&mut self, key: RecordKey) -> Option<Redemption> {
        if let Some(index) = self.member.open_index(key) {
            return Some(self.member.open.remove(index));
        }
        match self.records.take(key) {
            Some(Record::Redemption(redemption)) => Some(*redemption),
            Some(other) => {
                self.records.put(key, other);
                None
            }
            None => None,
        }
    }

    /// Puts it where it belongs: with the state while its coupon is open, else beside it.
    fn put_redemption(&mut self, redemption: Redemption) {
        if redemption.is_open() {
            self.member.open.push(redemption);
        } else {
            self.records.put(redemption.key(), Record::Redemption(Box::new(redemption)));
        }
    }
}

/// Chains an entry onto the hash of those before it: one hash over one buffer, however long the names are.
fn hash_entry(before: u64, entry: &EntryRef<'_>) -> u64 {
    const FIXED: usize = 56;
    let (source, ledger) = (entry.source.as_bytes(), entry.ledger.as_bytes());
    let words = [
        u64::from(entry.kind as u8) | u64::from(entry.source_kind) << 8 | entry.rule.map_or(0, |rule| u64::from(rule) + 1) << 16,
        entry.at.0 as u64,
        entry.points as u64,
        entry.active_after as u64,
        entry.ruleset,
        entry.lots.iter().fold(entry.lots.len() as u64, |hash, part| {
            hash.wrapping_mul(0x9E37_79B9_7F4A_7C15)
                ^ u64::from(part.lot)
                ^ (part.points as u64).rotate_left(32)
                ^ part.expires_at.0 as u64
        }),
        source.len() as u64,
    ];
    let mut buffer = [0_u8; 128];
    for (bytes, word) in buffer.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let end = FIXED + source.len() + ledger.len();
    if let Some(names) = buffer.get_mut(FIXED..end) {
        let (of_source, of_ledger) = names.split_at_mut(source.len());
        of_source.copy_from_slice(source);
        of_ledger.copy_from_slice(ledger);
        return xxh3_64_with_seed(&buffer[..end], before);
    }
    let mut long = buffer[..FIXED].to_vec();
    long.extend_from_slice(source);
    long.extend_from_slice(ledger);
    xxh3_64_with_seed(&long, before)
}

/// What must be in `records` before `fact` can be folded or decided on. Ask again after loading: one thing leads to another.
pub fn needs(member: &Member, records: &Records, fact: &Fact<'_>) -> Needs {
    let mut keys = Vec::new();
    let mut want = |key: RecordKey| {
        if !records.has(key) && member.open_index(key).is_none() && !keys.contains(&key) {
            keys.push(key);
        }
    };
    match &fact.body {
        Body::OrderPlaced(placed) => {
            let key = RecordKey::order(placed.order_id);
            want(key);
            // A cancellation that waited undoes what is tied to the order.
            if let Some(Record::Order(order)) = records.peek(key).as_deref() {
                order.tied.iter().filter(|_| order.cancelled).for_each(|&tied| want(tied));
            }
            placed.coupons.iter().for_each(|code| coupon::wants(member, records, crate::CouponRef::Code(code), &mut want));
        }
        Body::OrderFulfilled { order_id } => want(RecordKey::order(order_id)),
        Body::OrderCancelled { order_id } => {
            let key = RecordKey::order(order_id);
            want(key);
            if let Some(Record::Order(order)) = records.peek(key).as_deref() {
                order.tied.iter().for_each(|&tied| want(tied));
            }
        }
        Body::RefundRecorded(refund) => match refund.order_id {
            Some(order_id) => want(RecordKey::order(order_id)),
            None if records.is_complete_for_orders() => {}
            None => return Needs::AllOrders,
        },
        Body::Redemption(redemption) => {
            want(RecordKey::new(Kind::RedemptionRequested, redemption.redemption_id));
            redemption.order_id.iter().for_each(|order_id| want(RecordKey::order(order_id)));
            redemption.coupon_code.iter().for_each(|code| want(RecordKey::code(code)));
        }
        Body::CouponUsed { coupon, order_id } | Body::CouponReleased { coupon, order_id } => {
            want(RecordKey::order(order_id));
            coupon::wants(member, records, *coupon, &mut want);
        }
        Body::CouponReserved { coupon, .. } | Body::CouponRevoked { coupon, .. } => {
            coupon::wants(member, records, *coupon, &mut want)
        }
        Body::RedemptionReversed { redemption_id, .. } => want(RecordKey::new(Kind::RedemptionRequested, redemption_id)),
        Body::RewardGranted { grant_id, .. } => want(RecordKey::new(Kind::RewardGranted, grant_id)),
        Body::ExceptionResolved { order_id, .. } => order_id.iter().for_each(|order_id| want(RecordKey::order(order_id))),
        Body::ActivityRecorded { .. } | Body::PointsImported(_) | Body::MemberExcluded(_) | Body::MemberIncluded => {}
        Body::MemberRegistered { .. } | Body::MembersMerged { .. } | Body::MembersUnmerged { .. } => {}
        Body::CardIssued { .. } | Body::CardStatusChanged { .. } | Body::CardReplaced { .. } => {}
        Body::PointsAdjusted(_) | Body::RulesetActivated { .. } | Body::RulesApplied { .. } | Body::Noted => {}
        Body::TierCreditAdjusted { .. } | Body::TierCreditRecalculated => {}
        Body::TierOverridden { .. } | Body::TierOverrideEnded => {}
        Body::PointsTransferred { .. } | Body::PointsReceived(_) => {}
        Body::Referral(ReferralFact::Told(told)) => want(RecordKey::friend(told.friend)),
        Body::Referral(_) => {}
        Body::FactForwarded { .. } | Body::HandOverContinued { .. } | Body::MembersHandedOver { .. } => {}
    }
    if keys.is_empty() { Needs::Nothing } else { Needs::Records(keys) }
}
