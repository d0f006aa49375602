//! Points that change hands: from one ledger to another, from one member to another, and back (§5).

use super::fact::{OBody, OFact};
use super::lots::{Lot, NO_RULE, sum};
use super::state::State;
use super::{OAnswer, ODecision};
use anyhow::Result;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

/// The numbers of the kinds that open lots here.
const TRANSFERRED: u32 = 70;
const RECEIVED: u32 = 96;

/// Of a lot that is on its way: how many, how old, from when, until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OPart {
    /// How many.
    pub points: i64,
    /// When its source happened.
    pub source_at: i64,
    /// When it became spendable.
    pub starts: Option<i64>,
    /// When it ends; `None`: never.
    pub expires: Option<i64>,
}

/// `points_received`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OReceived {
    /// Who gave them, or did not take them.
    pub from: String,
    /// Where.
    pub ledger: String,
    /// What.
    pub parts: Vec<OPart>,
    /// They come back.
    pub returned: bool,
}

/// What another member is told because of a decision.
pub fn follows(request: &OFact, decision: &ODecision) -> Option<OFact> {
    let (kind, member, received) = match (&request.body, &decision.answer) {
        (OBody::Sent(_, ledger, to, _), OAnswer::Accepted(promise)) => {
            let (from, ledger, parts) = (request.member.clone(), ledger.clone(), promise.parts.clone());
            ("received", to, OReceived { from, ledger, parts, returned: false })
        }
        (OBody::Received(received), OAnswer::Rejected(_)) => {
            ("returned", &received.from, OReceived { from: request.member.clone(), returned: true, ..received.clone() })
        }
        _ => return None,
    };
    // The order among decisions of one instant depends on it.
    let origin = [request.program.as_str(), &request.member, &request.source, &request.id].join("\0");
    Some(OFact {
        id: format!("{kind}:{:032x}", xxh3_128(origin.as_bytes())),
        source: "accrue".to_owned(),
        program: request.program.clone(),
        member: member.clone(),
        at: decision.at,
        kind: "points_received".to_owned(),
        body: OBody::Received(received),
        raw: Value::Null,
    })
}

impl State {
    /// From one ledger to another: each lot goes on there as it was.
    pub fn transfer(&mut self, id: &str, from: &str, to: &str, points: i64) -> Result<()> {
        let mut parts = self.send(from, points);
        // What late facts took away is owed there, and given here all the same.
        let gap = points - parts.iter().map(|part| part.points).sum::<i64>();
        if gap > 0 {
            let rules = self.rules();
            let expires = rules.life.ends_at(&rules.zone, self.now, self.now)?;
            parts.push(OPart { points: gap, source_at: self.now, starts: Some(self.now), expires });
        }
        self.come_over(to, TRANSFERRED, id, &parts);
        self.repay_debt(to);
        Ok(())
    }

    /// Takes points away in spend order, and owes what is not there. Inside: what each lot gave.
    pub fn send(&mut self, ledger: &str, points: i64) -> Vec<OPart> {
        let lots = self.in_spend_order(|lot| lot.ledger == ledger && lot.active);
        let taken = self.take(&lots, points, |lot| &mut lot.moved);
        self.entry("transferred_out", ledger, -sum(&taken));
        self.open_debt(ledger, points - sum(&taken), None);
        self.parts(&taken)
    }

    /// What would be sent.
    pub fn to_send(&self, ledger: &str, points: i64) -> Vec<OPart> {
        let mut wanted = points;
        let mut parts = Vec::new();
        for i in self.in_spend_order(|lot| lot.ledger == ledger && lot.active) {
            let part = wanted.min(self.lots[i].left);
            wanted -= part;
            parts.push((i, part));
        }
        parts.retain(|(_, part)| *part > 0);
        self.parts(&parts)
    }

    fn parts(&self, taken: &[(usize, i64)]) -> Vec<OPart> {
        let part = |&(i, points): &(usize, i64)| {
            let lot = &self.lots[i];
            OPart { points, source_at: lot.source_at, starts: lot.starts, expires: lot.expires }
        };
        taken.iter().map(part).collect()
    }

    /// From another member. What has ended meanwhile ends here, and everything does with a member who was erased.
    pub fn receive(&mut self, received: &OReceived, id: &str) {
        let erased = self.status == "erased";
        let has_ended = |part: &&OPart| erased || part.expires.is_some_and(|end| end <= self.now);
        let (ended, alive): (Vec<&OPart>, Vec<&OPart>) = received.parts.iter().partition(has_ended);
        for part in ended {
            self.come_over(&received.ledger, RECEIVED, id, std::slice::from_ref(part));
            if let Some(lot) = self.lots.last_mut() {
                let left = std::mem::take(&mut lot.left);
                lot.expired += left;
                self.entry("expired", &received.ledger, -left);
            }
        }
        let alive: Vec<OPart> = alive.into_iter().cloned().collect();
        self.come_over(&received.ledger, RECEIVED, id, &alive);
        self.repay_debt(&received.ledger);
    }

    fn come_over(&mut self, ledger: &str, kind: u32, natural: &str, parts: &[OPart]) {
        let sum: i64 = parts.iter().map(|part| part.points).sum();
        if sum == 0 {
            return;
        }
        self.use_ledger(ledger);
        for part in parts {
            let opening = self.lots.iter().filter(|lot| lot.kind == kind && lot.natural == natural).count();
            self.lots.push(Lot {
                ledger: ledger.to_owned(),
                rule: NO_RULE,
                source_at: part.source_at,
                kind,
                natural: natural.to_owned(),
                opening,
                opened_at: self.now,
                starts: part.starts,
                expires: part.expires,
                active: true,
                amount: part.points,
                left: part.points,
                came_over: true,
                ..Lot::default()
            });
        }
        self.entry("transferred_in", ledger, sum);
    }
}
