//! Bringing members that are one together in one shard (§11): what is on its way to whom, and whom merges are told to.
//!
//! Whatever has a member's facts hands them over to the shard of its winner, and tells every merge of the family to all of it that
//! is elsewhere. Whoever has some of them thus comes to know all merges, the same winner, and the same place to go to.

use crate::Text;
use crate::family::{Family, other, root, roots_of};
use crate::replay::Booked;
use crate::standing::Custody;
use std::collections::BTreeMap;

/// What a shard has to send after something changed in a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathering {
    /// To whose shards hand-overs begin.
    pub moves: Vec<Text>,
    /// Which of the merges (by its place among the facts given) is to be told to whom.
    pub told: Vec<(usize, Text)>,
}

impl Family {
    /// Notes who is on its way now, and says what has to be sent. `booked`: everything known of them, the first `known` of it before.
    /// `position`: where that is.
    pub fn gather(&mut self, before: &Family, booked: &[Booked<'_>], known: usize, position: u64) -> Gathering {
        Gathering { moves: self.send_off(position), told: self.told(before, booked, known) }
    }

    fn send_off(&mut self, position: u64) -> Vec<Text> {
        let here = |custody: &Custody| custody.here;
        let mut parts: BTreeMap<Text, Vec<Text>> = BTreeMap::new();
        for (member, _) in self.custody().iter().filter(|(_, custody)| here(custody)) {
            if !self.counts(member) {
                parts.entry(Text::new(self.winner(member))).or_default().push(member.clone());
            }
        }
        let mut way: BTreeMap<Text, (Text, u64)> = BTreeMap::new();
        let mut moves = Vec::new();
        for (to, part) in parts {
            // A winner whose own shard this is comes back: they wait for it.
            if self.custody_of(&to).is_some_and(|custody| custody.own) {
                continue;
            }
            let on_their_way = |member: &Text| self.custody_of(member).and_then(|custody| custody.moving.clone());
            let first = part.first().and_then(on_their_way).filter(|(known, _)| *known == to);
            let same = part.iter().all(|member| on_their_way(member) == first);
            let moving = match first.filter(|_| same) {
                Some(moving) => moving,
                None => {
                    moves.push(to.clone());
                    (to, position)
                }
            };
            way.extend(part.into_iter().map(|member| (member, moving.clone())));
        }
        for (member, custody) in self.custody_mut() {
            custody.moving = way.remove(member);
        }
        moves
    }

    fn told(&self, before: &Family, booked: &[Booked<'_>], known: usize) -> Vec<(usize, Text)> {
        let has_any = |family: &Family| family.custody().values().any(|custody| custody.here);
        if !has_any(self) {
            return Vec::new();
        }
        let told_before = has_any(before);
        let ties = booked.iter().take(known).filter_map(|booked| Some((booked.fact.member, other(&booked.fact)?)));
        let tied = roots_of(&ties.collect::<Vec<_>>());
        let mut told = Vec::new();
        for (index, merge) in booked.iter().enumerate().filter(|(_, booked)| booked.fact.kind.links_members()) {
            for (member, _) in self.custody().iter().filter(|(_, custody)| !custody.here) {
                let elsewhere = before.custody_of(member).is_some_and(|custody| !custody.here);
                // Two families that become one have not told each other.
                let one = root(&tied, member) == root(&tied, merge.fact.member);
                if !(told_before && index < known && elsewhere && one) {
                    told.push((index, member.clone()));
                }
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;
    use crate::fact::{Body, Fact, Kind};

    fn merge<'a>(id: &'a str, at: i64, member: &'a str, loser: &'a str) -> Booked<'a> {
        let (kind, body) = (Kind::MembersMerged, Body::MembersMerged { loser });
        let fact = Fact { id, source: "s", program: "p", member, occurred_at: Instant(at), actor: None, kind, body };
        Booked { fact, decision: None }
    }

    fn custody(of: &[(&str, bool, bool)]) -> BTreeMap<Text, Custody> {
        of.iter()
            .map(|(member, own, here)| (Text::new(member), Custody { own: *own, here: *here, ..Custody::default() }))
            .collect()
    }

    #[test]
    fn who_is_merged_goes_to_the_winner_once_and_waits_for_one_that_comes_back() {
        let booked = [merge("1", 1, "w", "l")];
        let family = |of: &[(&str, bool, bool)]| Family::of(&booked).with(custody(of));
        let before = Family::of(&[]).with(custody(&[("l", true, true)]));
        let mut after = family(&[("l", true, true), ("w", false, false)]);
        let first = after.gather(&before, &booked, 0, 7);
        assert_eq!((first.moves.len(), first.told), (1, vec![(0, Text::new("w"))]));
        assert!(!after.counts("l"), "from now on the winner's shard counts it");
        let again = after.clone().gather(&after, &booked, 1, 9);
        assert_eq!(again, Gathering::default(), "it is on its way already");
        // In the winner's shard nothing moves; what the winner gave away comes back.
        let mut there = family(&[("l", false, true), ("w", true, true)]);
        assert!(there.gather(&before, &booked, 1, 7).moves.is_empty() && there.counts("l"));
        let mut waits = family(&[("l", false, true), ("w", true, false)]);
        assert!(waits.gather(&before, &booked, 1, 7).moves.is_empty() && !waits.counts("l"));
        // A winner that is here and at home elsewhere goes home, and takes the others along.
        let mut guest = family(&[("l", true, true), ("w", false, true)]);
        assert_eq!(guest.gather(&before, &booked, 1, 7).moves, [Text::new("w")]);
        assert_eq!(guest.custody_of("w").and_then(|custody| custody.moving.clone()), Some((Text::new("w"), 7)));
    }
}
