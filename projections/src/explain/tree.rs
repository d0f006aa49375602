//! A number as a tree: what it is the sum of, down to the facts, and what became of that.

use super::story::Story;
use super::{arithmetic, sentence};
use crate::answer::rule_name;
use accrue_ledger::{Account, Entry, EntryKind, Instant, Lot, Timeline, Why};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Every number of every ledger that is not 0.
    Balance,
    /// One number of a ledger: one of [`NUMBERS`].
    Number {
        /// The ledger.
        ledger: String,
        /// The number.
        name: String,
    },
    /// An entry by its number.
    Entry(u32),
    /// A lot by its number.
    Lot(u32),
    /// The tier, and what counts toward it.
    Tier,
    /// A coupon by its code.
    Coupon(String),
}

/// The numbers of a ledger that can be explained.
pub const NUMBERS: [&str; 15] = [
    "active",
    "pending",
    "debt",
    "earned",
    "spent",
    "expired",
    "cancelled",
    "clawed_back",
    "repaid",
    "deducted",
    "moved_in",
    "moved_out",
    "adjusted",
    "imported",
    "expiring_soon",
];

/// A number, and what it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it is.
    pub what: String,
    /// How many points. Of what counts toward a tier: minor units, points or orders.
    pub points: i64,
    /// The number as it is shown where it is not points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The entry it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u32>,
    /// The lot it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<u32>,
    /// Why, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// What it is the sum of, to the point; empty: it is made of nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Node>,
    /// What became of it: no part of the sum.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Node>,
}

/// Trees about a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The program.
    pub program: String,
    /// The member.
    pub member: String,
    /// The instant it is true at.
    pub as_of: String,
    /// The zone of all calendar arithmetic; empty: no ruleset is in force.
    pub time_zone: String,
    /// One a number.
    pub trees: Vec<Node>,
}

impl Node {
    /// The first node below (or this one) whose parts do not add up to it.
    pub fn wrong_sum(&self) -> Option<&Node> {
        let sum: i64 = self.parts.iter().map(|part| part.points).sum();
        if !self.parts.is_empty() && sum != self.points {
            return Some(self);
        }
        self.parts.iter().chain(&self.then).find_map(Node::wrong_sum)
    }

    /// A number that is the sum of these, and of no others.
    fn sum_of(what: &str, points: i64, parts: Vec<Node>) -> Node {
        Node { what: what.to_owned(), points, parts, ..Node::default() }
    }
}

/// Whether entries of that kind change what is left of the lots they name.
fn moves_lots(kind: EntryKind) -> bool {
    kind.moves_points() && !matches!(kind, EntryKind::Activated | EntryKind::DebtOpened)
}

impl Story<'_> {
    /// What is asked about. `None`: there is no such thing.
    pub(crate) fn about(&self, about: &About) -> Option<Vec<Node>> {
        match about {
            About::Balance => {
                let all = self.state.accounts.iter().flat_map(|account| NUMBERS.iter().map(move |name| (account, *name)));
                Some(all.filter_map(|(account, name)| self.number(account, name)).filter(|node| node.points != 0).collect())
            }
            About::Number { ledger, name } => {
                let account = self.state.account(ledger)?;
                Some(vec![self.number(account, name)?])
            }
            About::Entry(number) => Some(vec![self.whole_entry(*number)?]),
            About::Lot(number) => Some(vec![self.lot_by_number(*number)?]),
            About::Tier => Some(vec![self.tier()?]),
            About::Coupon(code) => Some(vec![self.coupon(code)?]),
        }
    }

    fn number(&self, account: &Account, name: &str) -> Option<Node> {
        use EntryKind as K;
        let sums = &account.sums;
        let of = |points: i64, kinds: &[K], sign: i64| (points, self.entries_of(account, kinds, sign, |_| true));
        let (points, mut parts) = match name {
            "active" => (sums.active, account.active.iter().map(|lot| self.lot(lot)).collect()),
            "pending" => (sums.pending, account.pending.iter().map(|lot| self.lot(lot)).collect()),
            "expiring_soon" => self.expiring_soon(account),
            "debt" => of(sums.debt, &[K::DebtOpened, K::DebtRepaid], 1),
            "earned" => {
                (sums.earned, self.entries_of(account, &[K::Earned, K::Imported, K::Adjusted], 1, |entry| entry.points > 0))
            }
            "spent" => of(sums.spent, &[K::Spent, K::Restored], -1),
            "expired" => of(sums.expired, &[K::Expired], -1),
            "cancelled" => of(sums.cancelled, &[K::Cancelled], -1),
            "clawed_back" => of(sums.clawed_back, &[K::ClawedBack], -1),
            "repaid" => of(sums.repaid, &[K::DebtRepaid], -1),
            "deducted" => (sums.deducted, self.entries_of(account, &[K::Adjusted], -1, |entry| entry.points < 0)),
            "moved_in" => of(sums.moved_in, &[K::TransferredIn], 1),
            "moved_out" => of(sums.moved_out, &[K::TransferredOut], -1),
            "adjusted" => of(sums.added - sums.deducted, &[K::Adjusted], 1),
            "imported" => of(sums.imported, &[K::Imported], 1),
            _ => return None,
        };
        // What a reversal gives back had been spent, or had repaid what the redemption left owing.
        let back = match name {
            "spent" => sums.repaid_back,
            "repaid" => -sums.repaid_back,
            _ => 0,
        };
        if back != 0 {
            parts.push(Node::sum_of("of what was restored, what had repaid debt", back, Vec::new()));
        }
        Some(Node::sum_of(&format!("{} {}", account.ledger, name.replace('_', " ")), points, parts))
    }

    fn expiring_soon(&self, account: &Account) -> (i64, Vec<Node>) {
        let rules = self.rules.at(self.at).map(|rules| &**rules);
        let idle_at = account.idle_end(rules).unwrap_or(Instant::MAX);
        let soon = crate::answer::soon(self.at);
        let ending = account.active.iter().filter(|lot| lot.expires_at.min(idle_at) <= soon);
        let parts: Vec<Node> = ending
            .map(|lot| {
                let mut node = self.lot(lot);
                if idle_at < lot.expires_at {
                    node.because.push(format!("ends {idle_at} for want of activity, unless there is some"));
                }
                node
            })
            .collect();
        (parts.iter().map(|part| part.points).sum(), parts)
    }

    /// Entries of some kinds in a ledger, their points times `sign`.
    fn entries_of(&self, account: &Account, kinds: &[EntryKind], sign: i64, also: impl Fn(&Entry) -> bool) -> Vec<Node> {
        let of_kind = (0..).zip(self.entries).filter(|(_, entry)| entry.ledger == account.ledger && kinds.contains(&entry.kind));
        let counted = of_kind.filter(|(_, entry)| also(entry) && entry.points != 0);
        counted.map(|(number, entry)| Node { points: sign * entry.points, ..self.entry(number, entry) }).collect()
    }

    /// A lot with points left: what it is the sum of is what happened to it.
    fn lot(&self, lot: &Lot) -> Node {
        let rule = rule_name(self.rules, lot.ruleset, lot.rule.get());
        let rule = if rule.is_empty() { String::new() } else { format!(" of rule {rule}") };
        let source = accrue_ledger::Kind::from_number(u32::from(lot.source_kind)).map_or("fact", accrue_ledger::Kind::name);
        Node {
            what: format!("lot {}{rule}, {source} {}", lot.number, lot.source),
            points: lot.left,
            at: Some(lot.occurred_at.to_string()),
            lot: Some(lot.number),
            because: vec![life(lot)],
            parts: self.of_lot(lot.number),
            ..Node::default()
        }
    }

    fn lot_by_number(&self, number: u32) -> Option<Node> {
        let mut all = self.state.accounts.iter().flat_map(|account| account.active.iter().chain(&account.pending));
        if let Some(lot) = all.find(|lot| lot.number == number) {
            return Some(self.lot(lot));
        }
        let parts = self.of_lot(number);
        let first = parts.first()?;
        let what = format!("lot {number}, nothing is left of it");
        Some(Node { at: first.at.clone(), lot: Some(number), ..Node::sum_of(&what, 0, parts) })
    }

    /// What happened to a lot, each with the points it gave or took.
    fn of_lot(&self, number: u32) -> Vec<Node> {
        let Some(touched) = self.by_lot.get(&number) else { return Vec::new() };
        let entries = touched.iter().filter_map(|(entry, points)| Some((*entry, self.entries.get(*entry as usize)?, *points)));
        entries.map(|(number, entry, points)| Node { points, ..self.entry(number, entry) }).collect()
    }

    /// An entry by itself: its points, and why.
    fn entry(&self, number: u32, entry: &Entry) -> Node {
        let source = entry.source_kind().map_or("fact", accrue_ledger::Kind::name);
        Node {
            what: format!("{} by {source} {}", entry.kind.name().replace('_', " "), entry.source),
            points: entry.points,
            at: Some(entry.at.to_string()),
            entry: Some(number),
            because: self.because(entry),
            ..Node::default()
        }
    }

    /// An entry with the lots it touched, and what became of those.
    fn whole_entry(&self, number: u32) -> Option<Node> {
        let entry = self.entries.get(number as usize)?;
        let mut node = self.entry(number, entry);
        node.because.insert(0, format!("{} spendable points of {} afterwards", entry.active_after, entry.ledger));
        for part in &entry.lots {
            let what = format!("lot {}", part.lot);
            if entry.kind == EntryKind::Extended {
                node.because.push(format!("{what} lives on, no point of it moves"));
                continue;
            }
            node.parts.push(Node { lot: Some(part.lot), ..Node::sum_of(&what, part.points, Vec::new()) });
            let later = self.of_lot(part.lot).into_iter().filter(|other| other.entry > Some(number));
            node.then.extend(later.map(|mut other| {
                other.what = format!("{} (lot {})", other.what, part.lot);
                other.lot = Some(part.lot);
                other
            }));
        }
        Some(node)
    }

    fn because(&self, entry: &Entry) -> Vec<String> {
        self.worked_out(entry).unwrap_or_else(|| vec![sentence(entry, self.rules)])
    }

    /// The arithmetic of an entry that a rule led to, step by step. `None`: there is none.
    fn worked_out(&self, entry: &Entry) -> Option<Vec<String>> {
        let rules = self.rules.by_tag(entry.ruleset)?;
        let rule = rules.earn.get(usize::from(entry.rule?))?;
        let (tier, eligible, starts_at, expires_at) = match &entry.why {
            Why::Entitlement { tier, eligible, starts_at, expires_at, .. }
            | Why::Trimmed { tier, eligible, starts_at, expires_at, .. } => (*tier, *eligible, *starts_at, *expires_at),
            Why::Fixed { tier, starts_at, expires_at } | Why::Referral { tier, starts_at, expires_at, .. } => {
                (*tier, 0, *starts_at, *expires_at)
            }
            _ => return None,
        };
        let mut lines = vec![format!("rule {} of ruleset {:016x}", rule.id, entry.ruleset)];
        // Whose order a refund is of is not in its entry; most are in the program's currency.
        let currency = self.currencies.get(entry.source.as_str()).map_or(rules.currency.as_str(), String::as_str);
        lines.extend(arithmetic::calculation(rule, rules, eligible, currency, tier));
        match &entry.why {
            Why::Entitlement { before, after, .. } if *before != 0 => lines.push(change(*after, *before)),
            Why::Trimmed { before, desired, awarded, limited_by, .. } => {
                lines.push(format!("limit {limited_by}: {awarded} of {desired}"));
                lines.extend((*before != 0).then(|| change(*awarded, *before)));
            }
            _ => {}
        }
        if entry.kind == EntryKind::Earned && entry.points != 0 {
            lines.push(arithmetic::start(&rule.start, entry.at, starts_at, rules));
            lines.push(arithmetic::end(&rule.life, entry.at, starts_at, expires_at, rules));
        }
        Some(lines)
    }

    /// A coupon: what it cost, and its life.
    fn coupon(&self, code: &str) -> Option<Node> {
        let named = |entry: &Entry| matches!(&entry.why, Why::Coupon { code: known, .. } if *known == *code);
        let issued = self.entries.iter().find(|entry| entry.kind == EntryKind::CouponIssued && named(entry))?;
        let (mut cost, mut then) = (Vec::new(), Vec::new());
        for (number, entry) in (0..).zip(self.entries) {
            let same = entry.source == issued.source && entry.source_kind == issued.source_kind;
            if named(entry) {
                then.push(self.entry(number, entry));
            } else if same && matches!(entry.kind, EntryKind::Spent | EntryKind::DebtOpened) {
                let points = -entry.points.abs();
                cost.push(Node { points, ..self.entry(number, entry) });
            }
        }
        let points = cost.iter().map(|part| part.points).sum();
        let source = issued.source_kind().map_or("fact", accrue_ledger::Kind::name);
        let what = format!("coupon {code} by {source} {}", issued.source);
        Some(Node { at: Some(issued.at.to_string()), then, ..Node::sum_of(&what, points, cost) })
    }
}

impl Story<'_> {
    /// Everything whose parts do not add up to it, or that has none and should.
    pub(crate) fn unexplained(&self) -> Vec<String> {
        let mut about = vec![About::Tier];
        for account in &self.state.accounts {
            let ledger = account.ledger.to_string();
            about.extend(NUMBERS.map(|name| About::Number { ledger: ledger.clone(), name: name.to_owned() }));
        }
        about.extend(self.by_lot.keys().map(|lot| About::Lot(*lot)));
        for (number, entry) in (0..).zip(self.entries) {
            about.push(About::Entry(number));
            if let (EntryKind::CouponIssued, Why::Coupon { code, .. }) = (entry.kind, &entry.why) {
                about.push(About::Coupon(code.to_string()));
            }
        }
        about.iter().filter_map(|about| self.wrong(about)).collect()
    }

    fn wrong(&self, about: &About) -> Option<String> {
        let Some(trees) = self.about(about) else {
            return (*about != About::Tier).then(|| format!("{about:?} is not explained"));
        };
        let made_of = match about {
            About::Entry(number) => self.entries.get(*number as usize).is_some_and(|entry| moves_lots(entry.kind)),
            _ => true,
        };
        let alone = |node: &&Node| node.points != 0 && made_of && node.parts.is_empty();
        let wrong = trees.iter().find_map(Node::wrong_sum).or_else(|| trees.iter().find(alone));
        wrong.map(|node| format!("{about:?}: {} {} is not the sum of its parts: {:?}", node.what, node.points, node.parts))
    }
}

fn change(now: i64, before: i64) -> String {
    format!("{now} instead of {before}: {:+}", now - before)
}

fn life(lot: &Lot) -> String {
    let starts = if lot.waits { "waits for the fulfilment of its order".to_owned() } else { format!("from {}", lot.starts_at()) };
    let ends = if lot.expires_at == Instant::MAX { "never ends".to_owned() } else { format!("to before {}", lot.expires_at) };
    format!("{} at first; {starts}, {ends}", lot.amount)
}

/// Which entries changed each lot, and by how much.
pub(super) fn by_lot(entries: &[Entry]) -> BTreeMap<u32, Vec<(u32, i64)>> {
    let mut by_lot: BTreeMap<u32, Vec<(u32, i64)>> = BTreeMap::new();
    for (number, entry) in (0..).zip(entries).filter(|(_, entry)| moves_lots(entry.kind)) {
        for part in &entry.lots {
            by_lot.entry(part.lot).or_default().push((number, part.points));
        }
    }
    by_lot
}

/// The name of the zone in force.
pub(crate) fn zone_name(rules: &Timeline, at: Instant) -> String {
    rules.at(at).map_or_else(String::new, |rules| rules.time_zone.to_string())
}
