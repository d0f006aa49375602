//! What is known of a member between two facts: small, and only what is open.

use crate::account::{Account, Lot};
use crate::counters::Counters;
use crate::purchases::Purchases;
use crate::record::{RecordKey, Redemption};
use crate::referral::Referrals;
use crate::ruleset::{Ruleset, Timeline};
use crate::standing::{Links, Standing, Status};
use crate::tier::{Progress, TierState};
use crate::{Decision, Fact, Instant, Text};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// The state of a member as of its last fact. Points are derived: this is a function of the member's facts (§1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// The place of the last fact or decision in the member's history.
    pub last: Place,
    /// For how long before the last fact it did nothing itself, microseconds: the engine told it of others. `MAX`: it never did.
    pub quiet: i64,
    /// A fact or an accepted request made it known; refusals alone don't.
    pub known: bool,
    /// Nothing happens by itself before this: [`Member::next_boundary`] as of the last fact.
    pub due: Instant,
    /// Time has passed to here: the last fact, or what happened by itself since.
    pub passed: Instant,
    /// Facts and decisions folded.
    pub facts: u32,
    /// Orders folded (first versions).
    pub orders: u32,
    /// Facts that wait for their order.
    pub parked: u32,
    /// Facts that people must look at.
    pub exceptions: u32,
    /// Lots ever opened: the number of the next.
    pub lots_opened: u32,
    /// Entries ever written: the number of the next.
    pub entries: u32,
    /// Hash over all entries, so that the state vouches for them.
    pub entries_hash: u64,
    /// Eligible amount of all orders as they are now, minor units of the program's currency, each order rounded down.
    pub eligible_spend: i64,
    /// What all orders come to.
    pub purchases: Purchases,
    /// Points by ledger, in order of first use.
    pub accounts: SmallVec<[Account; 1]>,
    /// Redemptions and grants whose coupon is issued or reserved, in order of last change.
    pub open: Vec<Redemption>,
    /// Coupons that are not open.
    pub closed: ClosedCoupons,
    /// When orders earn nothing or points can't be spent.
    pub exclusions: Vec<Excluded>,
    /// How it stands, its cards, with whom it is one.
    pub standing: Option<Box<Standing>>,
    /// What counts toward limits and achievements, and open exceptions; `None`: nothing ever did.
    pub counters: Option<Box<Counters>>,
    /// The tier; `None`: no fact yet under a ruleset with tiers.
    pub tier: Option<Box<TierState>>,
    /// Referrals; `None`: nothing ever had to do with them.
    pub referrals: Option<Box<Referrals>>,
}

/// A place in a member's history: facts are folded in this order (§1).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When.
    pub at: Instant,
    /// Facts come before decisions.
    pub decision: bool,
    /// The producer's id.
    pub id: Text,
    /// The producer.
    pub source: Text,
}

impl Place {
    /// Before everything.
    pub const FIRST: Instant = Instant::MIN;

    /// Whether a fact (or, with `decided_at`, a request's decision) comes before this place.
    pub fn is_after(&self, fact: &Fact<'_>, decided_at: Option<Instant>) -> bool {
        let at = decided_at.unwrap_or(fact.occurred_at);
        (self.at, self.decision, self.id.as_str(), self.source.as_str()) > (at, decided_at.is_some(), fact.id, fact.source)
    }
}

/// How many coupons ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosedCoupons {
    /// Used as often as allowed.
    pub used: u32,
    /// Taken back.
    pub revoked: u32,
    /// Ended unused.
    pub expired: u32,
}

/// `[from, until)` without earning or spending (§11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub until: Instant,
    /// Orders inside earn nothing.
    pub earn: bool,
    /// No spending inside.
    pub redeem: bool,
    /// The member was erased: a registration ends it, an inclusion does not.
    pub erased: bool,
}

impl Member {
    /// The account of a ledger.
    pub fn account(&self, ledger: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.ledger == *ledger)
    }

    /// Spendable points of a ledger.
    pub fn active(&self, ledger: &str) -> i64 {
        self.account(ledger).map_or(0, |account| account.sums.active)
    }

    /// The account of a ledger, opened if it is the first time.
    pub(crate) fn account_mut(&mut self, ledger: &str) -> &mut Account {
        let index = self.accounts.iter().position(|account| account.ledger == *ledger).unwrap_or_else(|| {
            self.accounts.push(Account { ledger: Text::new(ledger), ..Account::default() });
            self.accounts.len() - 1
        });
        &mut self.accounts[index]
    }

    /// Whether and how it is a member.
    pub fn status(&self) -> Status {
        self.standing.as_ref().map_or(Status::Member, |standing| standing.status)
    }

    /// Merges it takes or took part in.
    pub fn links(&self) -> Option<&Links> {
        self.standing.as_ref()?.links.as_deref()
    }

    /// The member that this one is an alias of, where that one's state is in the same shard.
    pub fn winner(&self) -> Option<&Text> {
        self.links().filter(|links| links.served).map(|links| &links.winner).filter(|winner| !winner.is_empty())
    }

    /// Whether its facts are part of a state in another shard, or on their way there.
    pub fn is_elsewhere(&self) -> bool {
        self.links().is_some_and(|links| !links.served)
    }

    pub(crate) fn standing_mut(&mut self) -> &mut Standing {
        self.standing.get_or_insert_default()
    }

    /// What is counted, opened if it is the first time.
    pub(crate) fn counters_mut(&mut self) -> &mut Counters {
        self.counters.get_or_insert_default()
    }

    /// What it has to do with referrals, opened if it is the first time.
    pub(crate) fn referrals_mut(&mut self) -> &mut Referrals {
        self.referrals.get_or_insert_default()
    }

    /// Whether orders of that instant earn nothing.
    pub fn excluded_from_earning(&self, at: Instant) -> bool {
        self.exclusions.iter().any(|excluded| excluded.earn && excluded.from <= at && at < excluded.until)
    }

    /// Whether points can't be spent at that instant.
    pub fn excluded_from_spending(&self, at: Instant) -> bool {
        self.exclusions.iter().any(|excluded| excluded.redeem && excluded.from <= at && at < excluded.until)
    }

    /// Whether the member has left, or is kept from spending without end: nobody can give it points.
    pub fn is_gone(&self, at: Instant) -> bool {
        let forever = |excluded: &&Excluded| excluded.redeem && excluded.until == Instant::MAX;
        self.exclusions.iter().filter(forever).any(|excluded| excluded.from <= at)
    }

    /// When the last fact or decision of its own happened; before any: the last that the engine told it.
    pub fn last_activity(&self) -> Instant {
        if self.quiet == i64::MAX { self.last.at } else { Instant(self.last.at.0.saturating_sub(self.quiet)) }
    }

    /// Notes the next fact or decision of the history.
    pub(crate) fn comes_to(&mut self, fact: &Fact<'_>, decision: Option<&Decision>) -> Instant {
        let at = decision.map_or(fact.occurred_at, |decision| decision.at);
        self.quiet = match fact.kind.is_derived() {
            false => 0,
            true if self.facts == 0 => i64::MAX,
            true => self.quiet.saturating_add(at.0.saturating_sub(self.last.at.0)),
        };
        self.passed = at;
        self.last = Place { at, decision: decision.is_some(), id: Text::new(fact.id), source: Text::new(fact.source) };
        self.facts += 1;
        at
    }

    /// The next instant at which something happens by itself; `MAX`: never.
    pub fn next_boundary(&self) -> Instant {
        let lots = self.accounts.iter().map(Account::next_boundary);
        let coupons = self.open.iter().map(Redemption::next_boundary);
        let tier = self.tier.as_ref().map(|state| state.next_boundary());
        lots.chain(coupons).chain(tier).min().unwrap_or(Instant::MAX)
    }

    /// The same, with the instant at which another ruleset changes something by itself.
    pub fn next_boundary_under(&self, rules: &Timeline) -> Instant {
        self.next_boundary().min(self.ruleset_due(rules))
    }

    /// When another ruleset begins to judge the member's tier, or to end points for want of activity; `MAX`: none does.
    pub(crate) fn ruleset_due(&self, rules: &Timeline) -> Instant {
        let tier = self.tier.as_ref().map_or(Instant::MAX, |state| rules.next_after(state.synced));
        let inactivity = rules.next_inactivity_after(self.passed);
        let clocks = inactivity != Instant::MAX && self.accounts.iter().any(Account::awaits_clock);
        if clocks { tier.min(inactivity) } else { tier }
    }

    /// How the member stands toward the tiers of `rules`, those in force at `at`, up to which time must have passed.
    /// `None`: there are no tiers.
    pub fn tier_progress(&self, rules: &Ruleset, at: Instant) -> Option<Progress> {
        let tiers = rules.tiers.as_ref()?;
        match &self.tier {
            Some(state) => Some(state.progress(tiers, rules, at)),
            None => Some(TierState::new(0, tiers, rules, at).progress(tiers, rules, at)),
        }
    }

    /// Notes what is due next; everything that changes a member ends with it.
    pub(crate) fn keep_due(&mut self) {
        self.due = self.next_boundary();
    }

    /// Looks at all that folding the next fact looks at, for the memory to be near when it comes: of many members one after the
    /// other, the waits for memory overlap. What it answers says nothing.
    pub fn draw_near(&self) -> i64 {
        let ends = |lots: &VecDeque<Lot>| {
            let left = |lot: Option<&Lot>| lot.map_or(0, |lot| lot.left ^ lot.expires_at.0);
            left(lots.front()) ^ left(lots.back())
        };
        let of_account = |account: &Account| account.sums.active ^ ends(&account.active) ^ ends(&account.pending);
        self.due.0 ^ self.accounts.iter().map(of_account).fold(0, |all, one| all ^ one)
    }

    /// Where an open redemption or grant is.
    pub(crate) fn open_index(&self, key: RecordKey) -> Option<usize> {
        self.open.iter().position(|redemption| redemption.key() == key)
    }
}
