//! The same facts in other orders: every permutation of a few, shuffles of more. Each order happens to members of its own.

use super::desk::Desk;
use super::file::Story;
use super::play::ask;
use super::step::{What, bytes_of};
use super::{Difference, StoryError};
use accrue_ledger::Instant;
use accrue_proto::pb::{self, fact::Body};

/// All permutations of so many facts are tried; of more, [`SHUFFLES`] orders.
const PERMUTED_FACTS_MAX: usize = 6;
/// Orders tried where there are too many permutations.
const SHUFFLES: usize = 200;

/// Delivers the facts in other orders, and checks the expectations at the end of each. Stops at the first order that differs.
pub(super) fn in_other_orders(story: &Story, desk: &mut Desk) -> Result<Vec<Difference>, StoryError> {
    let (mut facts, mut expectations) = (Vec::new(), Vec::new());
    for step in &story.steps {
        match &step.what {
            What::Fact(fact) => facts.extend(fact.fact.as_ref().ok().map(|fact| (step.number, fact))),
            What::Expect(expect) if expect.as_known_after.is_none() => expectations.push((step, expect)),
            What::Expect(_) => {}
        }
    }
    for (number, order) in orders(facts.len()).iter().enumerate() {
        // Facts of one instant are folded by id, then by source: a common beginning keeps that as it is.
        let told = order.iter().map(|&index| {
            let mut fact = facts[index].1.clone();
            fact.source = format!("{number}/{}", fact.source);
            fact.member = other_member(&fact.member, number);
            if let Some(Body::MembersMerged(pb::MembersMerged { loser }) | Body::MembersUnmerged(pb::MembersUnmerged { loser })) =
                &mut fact.body
            {
                *loser = other_member(loser, number);
            }
            other_codes(&mut fact, number);
            bytes_of(&fact)
        });
        desk.deliver_group(&told.collect::<Vec<_>>())?;
        let mut differences = Vec::new();
        for (step, expect) in &expectations {
            differences.extend(ask(
                desk,
                &story.rules.program,
                &other_member(&step.member, number),
                step.number,
                step.at,
                expect,
                None,
            )?);
        }
        for member in story.members() {
            let member = other_member(member, number);
            for broken in desk.reader()?.broken_invariants(&story.rules.program, &member, Instant(i64::MAX - 1))? {
                let (what, expected) = ("invariants".to_string(), "all hold".to_string());
                differences.push(Difference { step: 0, what, expected, found: broken });
            }
        }
        if !differences.is_empty() {
            let steps: Vec<String> = order.iter().map(|&index| facts[index].0.to_string()).collect();
            for difference in &mut differences {
                difference.what = format!("{} (facts in the order {})", difference.what, steps.join(", "));
            }
            return Ok(differences);
        }
    }
    Ok(Vec::new())
}

/// Codes are the program's: each order has its own.
fn other_codes(fact: &mut pb::Fact, number: usize) {
    let code = match &mut fact.body {
        Some(Body::ReferralCodeChanged(pb::ReferralCodeChanged { slug: code }))
        | Some(Body::ReferralVisited(pb::ReferralVisited { code }))
        | Some(Body::ReferralJoined(pb::ReferralJoined { code }))
        | Some(Body::OrderPlaced(pb::OrderPlaced { referral_code: code, .. })) => code,
        _ => return,
    };
    if !code.is_empty() {
        *code = other_member(code, number);
    }
}

fn other_member(member: &str, number: usize) -> String {
    format!("{member}~{number}")
}

/// Orders of so many things, the one they are in first.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut all = vec![order.clone()];
    if count <= PERMUTED_FACTS_MAX {
        while next_permutation(&mut order) {
            all.push(order.clone());
        }
        return all;
    }
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    while all.len() < SHUFFLES {
        for last in (1..count).rev() {
            // xorshift64*
            seed ^= seed >> 12;
            seed ^= seed << 25;
            seed ^= seed >> 27;
            let chance = seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
            order.swap(last, chance as usize % (last + 1));
        }
        all.push(order.clone());
    }
    all
}

/// The next in lexical order; false when there is none.
fn next_permutation(order: &mut [usize]) -> bool {
    let Some(pivot) = (1..order.len()).rev().find(|&index| order[index - 1] < order[index]) else {
        return false;
    };
    let Some(swap) = (pivot..order.len()).rev().find(|&index| order[index] > order[pivot - 1]) else {
        return false;
    };
    order.swap(pivot - 1, swap);
    order[pivot..].reverse();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_permutations_of_a_few_and_shuffles_of_more() {
        let four = orders(4);
        assert_eq!((four.len(), four.iter().collect::<BTreeSet<_>>().len()), (24, 24));
        let nine = orders(9);
        assert_eq!(nine.len(), SHUFFLES);
        assert!(nine.iter().collect::<BTreeSet<_>>().len() > SHUFFLES - 5);
        assert!(nine.iter().all(|order| order.iter().copied().collect::<BTreeSet<_>>().len() == 9));
        assert_eq!((orders(0), orders(1)), (vec![vec![]], vec![vec![0]]));
    }
}
