//! Whom a member brought, one by one.

use super::{AsOf, LedgerReader, Wanted};
use crate::answer::referral::referrals_answer;
use crate::answer::{FriendAnswer, FriendsAnswer};
use crate::error::ProjectionError;
use accrue_ledger::{Friend, Instant, Record};
use accrue_store::member_hash;

impl LedgerReader {
    /// A member's referrals with all friends. `None`: no such member.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn referrals(
        &self,
        program: &str,
        member: &str,
        asked: AsOf,
        now: Instant,
    ) -> Result<Option<FriendsAnswer>, ProjectionError> {
        let Some(found) = self.find(program, member, asked, now, Wanted::Records)? else { return Ok(None) };
        let referrals = referrals_answer(&found.member, &found.state, found.at).unwrap_or_default();
        let of = |record: Record| match record {
            Record::Friend(friend) => Some(*friend),
            _ => None,
        };
        let mut friends: Vec<Friend> = match &found.past {
            Some((records, _)) => records.iter().filter_map(|(_, record)| of(record.into_owned())).collect(),
            None => {
                let tiers = self.shared.tiers.read();
                let rows = tiers.records(member_hash(program, &found.member), program, &found.member)?;
                let opened = rows.values().map(|row| Ok(row.open()?.and_then(of)));
                opened.filter_map(Result::transpose).collect::<Result<_, ProjectionError>>()?
            }
        };
        friends.sort_by(|a, b| (a.joined_at, &a.friend).cmp(&(b.joined_at, &b.friend)));
        let rules = found.rules.at(found.at).map(|rules| &**rules);
        Ok(Some(FriendsAnswer {
            program: program.to_string(),
            member: found.member.to_string(),
            as_of: found.at.to_string(),
            referrals,
            friends: friends.iter().filter_map(|friend| FriendAnswer::of(friend, rules, found.at)).collect(),
        }))
    }
}
