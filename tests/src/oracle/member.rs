//! A member as numbers to compare, and what must hold for them (§14).

use super::cards::OCard;
use super::ladder::Metric;
use super::number::decimals;
use super::state::State;
use super::tiers::Transition;
use std::collections::BTreeMap;

/// A change of a number, or something that happened (0 points): `coupon_*`, `parked`, `exception`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OEntry {
    /// Microseconds.
    pub at: i64,
    /// §13.
    pub kind: String,
    /// Empty where no points move.
    pub ledger: String,
    /// Signed.
    pub points: i64,
    /// Of an exception: what is the matter.
    pub code: String,
}

/// The points of one ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OLedger {
    /// Spendable.
    pub active: i64,
    /// Not yet.
    pub pending: i64,
    /// Owed.
    pub debt: i64,
    /// Paid by lots for redemptions, net of what was restored.
    pub spent: i64,
    /// Ended.
    pub expired: i64,
    /// Ever credited.
    pub earned: i64,
    /// Clawed back while pending, or never fulfilled.
    pub cancelled: i64,
    /// Clawed back from active lots.
    pub clawed_back: i64,
    /// Repaid debt, net of what reversals gave back.
    pub repaid: i64,
    /// Taken by negative adjustments from lots.
    pub deducted: i64,
    /// Came from other ledgers.
    pub transferred_in: i64,
    /// Went to other ledgers.
    pub transferred_out: i64,
}

/// A lot with something left in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OLot {
    /// Where.
    pub ledger: String,
    /// How many.
    pub points: i64,
    /// `None`: with the fulfilment.
    pub starts: Option<i64>,
    /// `None`: never.
    pub expires: Option<i64>,
    /// Spendable.
    pub active: bool,
}

/// Where the member stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OTier {
    /// Override or not.
    pub effective: String,
    /// Without the override.
    pub qualified: String,
    /// What is counted, in its unit: minor units, points, orders.
    pub metric: i64,
    /// The next tier.
    pub next: Option<String>,
    /// What is missing to it.
    pub missing: Option<i64>,
    /// The end of hold or grace.
    pub held_until: Option<i64>,
    /// Decimals of metric and missing.
    pub digits: u32,
}

/// A member as of an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OMember {
    /// By ledger; those in which nothing ever happened are not there.
    pub ledgers: BTreeMap<String, OLedger>,
    /// How many in each status.
    pub coupons: BTreeMap<String, usize>,
    /// Facts that wait for their order.
    pub parked: usize,
    /// How many ever.
    pub exceptions: usize,
    /// Orders placed.
    pub orders: usize,
    /// Eligible amount of all orders as they are, minor units of the program's currency, each order rounded down.
    pub eligible_spend: i64,
    /// All, in order, as they are shown: `kind points`.
    pub entries: Vec<String>,
    /// The same, whole.
    pub full_entries: Vec<OEntry>,
    /// Lots with something left, in spend order.
    pub lots: Vec<OLot>,
    /// See [`State::status`].
    pub status: &'static str,
    /// In the order in which they were handed out.
    pub cards: Vec<OCard>,
    /// Where there are tiers.
    pub tier: Option<OTier>,
    /// All, in order.
    pub transitions: Vec<Transition>,
    /// By achievement: status, progress, target.
    pub feats: BTreeMap<String, (&'static str, i64, i64)>,
    /// By ledger: when all active points end for want of activity.
    pub clocks: BTreeMap<String, i64>,
    /// What is wrong with these numbers (§14); nothing, one hopes.
    pub broken: Vec<String>,
}

impl OMember {
    /// Of the state after a fold.
    pub fn of(state: &State) -> OMember {
        let mut member = OMember {
            parked: state.parked.len(),
            exceptions: state.exceptions.iter().filter(|exception| exception.open).count(),
            status: state.status,
            cards: state.cards.clone(),
            tier: tier(state),
            transitions: state.transitions.clone(),
            feats: state
                .feats
                .iter()
                .map(|(id, feat)| (id.clone(), (feat.status(state.now), feat.progress, feat.target)))
                .collect(),
            orders: state.orders.len(),
            eligible_spend: state.orders.values().map(|order| order.eligible_spend()).sum(),
            ..OMember::default()
        };
        for ledger in &state.ledgers {
            if let Some(end) = state.clock(ledger).filter(|_| state.rules().inactivity.is_some()) {
                member.clocks.insert(ledger.clone(), end);
            }
            member.ledgers.insert(ledger.clone(), sums(state, ledger));
        }
        for coupon in &state.coupons {
            *member.coupons.entry(coupon.status().to_owned()).or_default() += 1;
        }
        member.entries = state.entries.iter().map(|entry| format!("{} {}", entry.kind, entry.points)).collect();
        member.full_entries = state.entries.clone();
        member.lots = state
            .in_spend_order(|_| true)
            .into_iter()
            .map(|i| {
                let lot = &state.lots[i];
                OLot {
                    ledger: lot.ledger.clone(),
                    points: lot.left,
                    starts: lot.starts,
                    expires: lot.expires,
                    active: lot.active,
                }
            })
            .collect();
        member.broken = broken(state, &member);
        member
    }

    /// One ledger; all 0 where nothing ever happened.
    pub fn ledger(&self, name: &str) -> OLedger {
        self.ledgers.get(name).cloned().unwrap_or_default()
    }

    /// Active points that end, summed by instant, soonest first.
    pub fn expiring(&self, ledger: &str) -> Vec<(i64, i64)> {
        let mut sums = BTreeMap::new();
        for lot in self.lots.iter().filter(|lot| lot.active && lot.ledger == ledger) {
            // The earlier of its own end and the one for want of activity.
            if let Some(at) = lot.expires.into_iter().chain(self.clocks.get(ledger).copied()).min() {
                *sums.entry(at).or_insert(0) += lot.points;
            }
        }
        sums.into_iter().map(|(at, points)| (points, at)).collect()
    }

    /// What changed, by instant, ledger and kind: how much in all. What happens at one instant to several lots, rules or
    /// ledgers can be told in several orders.
    pub fn moves(&self) -> BTreeMap<(i64, String, String), i64> {
        let mut moves = BTreeMap::new();
        for entry in self.full_entries.iter().filter(|entry| entry.points != 0) {
            *moves.entry((entry.at, entry.ledger.clone(), entry.kind.clone())).or_insert(0) += entry.points;
        }
        moves
    }
}

fn tier(state: &State) -> Option<OTier> {
    let standing = state.standing.as_ref()?;
    let ladder = standing.ladder()?;
    let metric = state.metric().unwrap_or(-1);
    let next = ladder.above(standing.rank()).map(|rank| &ladder.tiers[rank]);
    Some(OTier {
        effective: standing.effective_id(),
        qualified: standing.qualified.clone(),
        metric,
        next: next.map(|tier| tier.id.clone()),
        missing: next.map(|tier| (tier.entry - metric).max(0)),
        held_until: standing.end(),
        digits: if ladder.metric == Metric::Spend { decimals(&standing.rules.currency) } else { 0 },
    })
}

fn sums(state: &State, ledger: &str) -> OLedger {
    let mut sums = OLedger::default();
    for lot in state.lots.iter().filter(|lot| lot.ledger == ledger) {
        *(if lot.active { &mut sums.active } else { &mut sums.pending }) += lot.left;
        sums.spent += lot.spent;
        sums.expired += lot.expired;
        *(if lot.came_over { &mut sums.transferred_in } else { &mut sums.earned }) += lot.amount;
        sums.transferred_out += lot.moved;
        sums.cancelled += lot.cancelled;
        sums.clawed_back += lot.clawed_back;
        sums.repaid += lot.repaid;
        sums.deducted += lot.deducted;
    }
    sums.debt = state.debts.iter().filter(|debt| debt.ledger == ledger).map(|debt| debt.open).sum();
    sums
}

/// Invariants 1 to 3 of §14, and what else must be true of any member.
fn broken(state: &State, member: &OMember) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            broken.push(what);
        }
    };
    for (i, lot) in state.lots.iter().enumerate() {
        let parts = [lot.left, lot.spent, lot.expired, lot.cancelled, lot.clawed_back, lot.repaid, lot.deducted, lot.moved];
        check(parts.iter().all(|part| *part >= 0), format!("lot {i} is below 0: {lot:?}"));
        check(parts.iter().sum::<i64>() == lot.amount, format!("lot {i} does not add up: {lot:?}"));
        check(lot.lapsed <= lot.cancelled, format!("lot {i} lapsed more than was cancelled: {lot:?}"));
    }
    for (name, sums) in &member.ledgers {
        for (holds, what) in ledger_checks(state, name, sums) {
            check(holds, format!("{name}: {what}: {sums:?}"));
        }
    }
    let totals = &state.totals;
    let found = totals.clawback_taken + totals.clawback_debt + totals.clawback_forgiven + totals.clawback_lapsed;
    check(totals.clawback_due == found, format!("clawback due is not what was found: {totals:?}"));
    broken
}

/// What must be true of a ledger, seen from its entries and from its lots.
fn ledger_checks(state: &State, name: &str, sums: &OLedger) -> Vec<(bool, &'static str)> {
    let entries = || state.entries.iter().filter(|entry| entry.ledger == name);
    let of = |kinds: &[&str]| -> i64 {
        entries().filter(|entry| kinds.contains(&entry.kind.as_str())).map(|entry| entry.points).sum()
    };
    let raised: i64 = entries().filter(|entry| entry.kind == "adjusted").map(|entry| entry.points.max(0)).sum();
    let down = sums.spent + sums.expired + sums.cancelled + sums.clawed_back + sums.repaid + sums.deducted + sums.transferred_out;
    vec![
        (of(&["earned", "imported"]) + raised == sums.earned, "credited is not what lots were opened with"),
        (sums.earned + sums.transferred_in == sums.pending + sums.active + down, "points were lost"),
        (of(&["transferred_in"]) == sums.transferred_in, "entries and lots differ in what came over"),
        (of(&["expired"]) == -sums.expired, "entries and lots differ in what expired"),
        (of(&["cancelled"]) == -sums.cancelled, "entries and lots differ in what was cancelled"),
        (of(&["clawed_back"]) == -sums.clawed_back, "entries and lots differ in what was clawed back"),
        (of(&["debt_opened", "debt_repaid"]) == sums.debt, "entries and debts differ"),
        (sums.debt >= 0 && (sums.debt == 0 || sums.active == 0), "debt beside active points"),
    ]
}
