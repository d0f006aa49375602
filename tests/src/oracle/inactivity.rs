//! Points that end because nothing happens (§8). Each ledger has a clock; all its active lots end when it runs out.

use super::fact::{OBody, ORedemption};
use super::state::State;
use anyhow::Result;

impl State {
    /// The end of a ledger's clock; `None` where it is not running.
    pub fn clock(&self, ledger: &str) -> Option<i64> {
        self.clocks.get(ledger).copied().filter(|end| *end > self.now)
    }

    /// When clocks run out that lots depend on. A ruleset that ends nothing then lets them run out unseen.
    pub fn ends_of_clocks(&self) -> Vec<i64> {
        let counts = |(ledger, end): &(&String, &i64)| {
            self.rules_at(**end).inactivity.is_some() && self.lots.iter().any(|lot| lot.is_spendable_in(ledger))
        };
        self.clocks.iter().filter(counts).map(|(_, end)| *end).filter(|end| *end > self.now).collect()
    }

    /// The clock of a ledger has run out, at the boundary `now`.
    pub fn is_run_out(&self, ledger: &str) -> bool {
        self.rules().inactivity.is_some() && self.clocks.get(ledger) == Some(&self.now)
    }

    /// Where points are active and no clock runs, one begins now.
    pub fn start_clocks(&mut self) -> Result<()> {
        let rules = self.rules();
        let Some(inactivity) = &rules.inactivity else { return Ok(()) };
        for ledger in self.ledgers.clone() {
            if self.clock(&ledger).is_none() && self.lots.iter().any(|lot| lot.is_spendable_in(&ledger)) {
                self.clocks.insert(ledger, rules.zone.after(self.now, &inactivity.after, Some("day_end"))?);
            }
        }
        Ok(())
    }

    /// After a fact or an accepted request that may be an activity: clocks move, lots that were active before are extended.
    pub fn extend(&mut self, body: &OBody, were_active: &[usize]) -> Result<()> {
        let rules = self.rules();
        let Some(inactivity) = &rules.inactivity else { return Ok(()) };
        let asks_for = |name: &str| inactivity.activities.iter().any(|activity| activity == name);
        let ledgers: Vec<String> = match body {
            OBody::Order(_) if asks_for("order") => self.gave.clone(),
            OBody::Redemption(ORedemption { ledger, .. }) if asks_for("redemption") => vec![ledger.clone()],
            OBody::Activity(_, name) if asks_for(name) => self.ledgers.clone(),
            _ => Vec::new(),
        };
        for ledger in self.ledgers.clone() {
            if !ledgers.contains(&ledger) {
                continue;
            }
            let new = rules.zone.after(self.now, &inactivity.after, Some("day_end"))?;
            let Some(old) = self.clock(&ledger) else {
                self.clocks.insert(ledger, new);
                continue;
            };
            if new <= old {
                continue;
            }
            self.clocks.insert(ledger.clone(), new);
            let moves = |i: &&usize| {
                let lot = &self.lots[**i];
                lot.is_spendable_in(&ledger) && lot.expires.is_none_or(|own| own > old)
            };
            let points = were_active.iter().filter(moves).map(|&i| self.lots[i].left).sum();
            self.entry("extended", &ledger, points);
        }
        Ok(())
    }
}
