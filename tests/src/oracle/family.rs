//! Members who are one: merges, aliases, partings (§11).

use super::Known;
use super::fact::OBody;
use std::collections::BTreeMap;

/// Who is one with whom.
#[derive(Clone, Debug, Default)]
pub struct Families {
    /// Who won, who lost, in the order in which they were told.
    ties: Vec<(String, String)>,
    /// Merges that were refused: ids of facts and their sources.
    pub refused: Vec<(String, String)>,
}

impl Families {
    /// As of an instant, from all that is known of everybody.
    pub fn of(known: &BTreeMap<String, Vec<Known>>, at: i64) -> Families {
        let is_told = |known: &&Known| {
            let body = &known.request().body;
            known.at() <= at && matches!(body, OBody::Merged(_) | OBody::Unmerged(_))
        };
        let mut told: Vec<&Known> = known.values().flatten().filter(is_told).collect();
        told.sort_by_key(|known| (known.at(), known.request().id.clone(), known.request().source.clone()));
        let mut families = Families::default();
        for known in told {
            let fact = known.request();
            match &fact.body {
                OBody::Merged(loser) => {
                    let tie = (fact.member.clone(), loser.clone());
                    if families.ties.contains(&tie) {
                        continue;
                    }
                    if families.winner(&tie.0) == families.winner(&tie.1) {
                        families.refused.push((fact.id.clone(), fact.source.clone()));
                    } else {
                        families.ties.push(tie);
                    }
                }
                OBody::Unmerged(loser) => families.ties.retain(|tie| *tie != (fact.member.clone(), loser.clone())),
                _ => (),
            }
        }
        families
    }

    /// Who answers for a member: each tie in its turn ties the winner of the loser to the winner of the member.
    pub fn winner(&self, member: &str) -> String {
        let mut winners: BTreeMap<String, String> = BTreeMap::new();
        let follow = |winners: &BTreeMap<String, String>, member: &str| {
            let mut at = member.to_owned();
            while let Some(next) = winners.get(&at) {
                at.clone_from(next);
            }
            at
        };
        for (member, loser) in &self.ties {
            let (to, from) = (follow(&winners, member), follow(&winners, loser));
            if to != from {
                winners.insert(from, to);
            }
        }
        follow(&winners, member)
    }

    /// All facts of those who are one with a member.
    pub fn union(&self, known: &BTreeMap<String, Vec<Known>>, member: &str) -> Vec<Known> {
        let winner = self.winner(member);
        let of_family = known.iter().filter(|(name, _)| self.winner(name) == winner);
        of_family.flat_map(|(_, known)| known.clone()).map(|known| self.told(known)).collect()
    }

    /// A merge that was refused says so.
    fn told(&self, mut known: Known) -> Known {
        if let Known::Fact(fact) = &mut known
            && self.refused.contains(&(fact.id.clone(), fact.source.clone()))
        {
            fact.body = OBody::Cycle;
        }
        known
    }
}
