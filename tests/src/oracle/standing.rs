//! When a member earns nothing or may not spend (§11).

use super::Known;
use super::fact::OBody;
use super::state::State;

/// `[from, until)`
#[derive(Clone, Debug)]
pub struct Exclusion {
    from: i64,
    until: i64,
    earn: bool,
    redeem: bool,
    /// The member was erased: only a registration ends it.
    erased: bool,
}

impl State {
    /// No spending at that instant.
    pub fn may_not_redeem(&self, at: i64) -> bool {
        self.exclusions.iter().any(|exclusion| exclusion.redeem && exclusion.from <= at && at < exclusion.until)
    }

    /// No spending any more, without end.
    pub fn is_gone(&self, at: i64) -> bool {
        self.exclusions.iter().any(|exclusion| exclusion.redeem && exclusion.from <= at && exclusion.until == i64::MAX)
    }

    /// Nothing that happens at that instant earns.
    pub fn earns_nothing(&self, at: i64) -> bool {
        self.exclusions.iter().any(|exclusion| exclusion.earn && exclusion.from <= at && at < exclusion.until)
    }
}

/// All exclusions that the facts state, cut where a later fact takes the member in again.
pub fn exclusions(known: &[&Known]) -> Vec<Exclusion> {
    let mut found: Vec<Exclusion> = Vec::new();
    for known in known {
        let Known::Fact(fact) = known else { continue };
        match &fact.body {
            OBody::Excluded(from, until, earn, redeem) => found.push(Exclusion {
                from: from.unwrap_or(fact.at),
                until: until.unwrap_or(i64::MAX),
                earn: *earn,
                redeem: *redeem,
                erased: false,
            }),
            OBody::Left | OBody::Erased => {
                let erased = fact.body == OBody::Erased;
                found.push(Exclusion { from: fact.at, until: i64::MAX, earn: true, redeem: true, erased });
            }
            OBody::Included | OBody::Registered(_) => {
                let anew = fact.body != OBody::Included;
                let cut = found.iter_mut().filter(|exclusion| anew || !exclusion.erased);
                cut.for_each(|exclusion| exclusion.until = exclusion.until.min(fact.at));
            }
            _ => (),
        }
    }
    found
}
