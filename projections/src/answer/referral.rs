//! Referrals of a member: how it came, whom it brought, and what became of them.

use accrue_ledger::currency::format_amount;
use accrue_ledger::{Friend, Instant, Member, Ruleset};
use serde::Serialize;

/// Referrals of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReferralsAnswer {
    /// The code that its links show; empty: it has none.
    pub code: String,
    /// The part of it that the member chose.
    pub slug: String,
    /// Every code that it asked for; the latest wish is the last.
    pub codes: Vec<CodeAnswer>,
    /// How often somebody followed a link with a code of it.
    pub visits: u32,
    /// Friends who joined.
    pub joined: u32,
    /// Friends whose first order counts, and may still be refunded.
    pub pending: u32,
    /// Friends whose window is over.
    pub completed: u32,
    /// Friends who got everything back.
    pub reversed: u32,
    /// Completed of 1,000 visits, rounded down; `None`: nobody told of visits.
    pub conversion_per_mille: Option<u32>,
    /// How the member itself came; `None`: not by a code.
    pub referred_by: Option<ReferredAnswer>,
}

/// A code that a member asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodeAnswer {
    /// The code.
    pub code: String,
    /// `asked`, `held` or `taken` (by somebody else).
    pub state: &'static str,
}

/// By which code a member came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReferredAnswer {
    /// The code.
    pub code: String,
    /// Whose it is; empty: nobody's as far as is known.
    pub member: String,
    /// `code_unknown`, `own_code`, `joined`, `ordered` or `reversed`.
    pub state: &'static str,
    /// When.
    pub at: String,
    /// Its first order; empty: none that counts.
    pub order_id: String,
}

/// A friend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FriendAnswer {
    /// Who.
    pub friend: String,
    /// `joined`, `ordered` (too little), `pending`, `completed` or `reversed`.
    pub state: &'static str,
    /// What it brings: points that were given and not taken back.
    pub points: i64,
    /// By which code it came.
    pub code: String,
    /// When.
    pub joined_at: String,
    /// Its first order; empty: none.
    pub order_id: String,
    /// When it placed that.
    pub ordered_at: String,
    /// Eligible amount of that before refunds, in the program's currency.
    pub amount: String,
    /// Until when it may be refunded; empty: it is not enough, or was.
    pub window_until: String,
    /// When it was refunded in full; empty: it was not.
    pub reversed_at: String,
}

/// Referrals with all friends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FriendsAnswer {
    /// The program.
    pub program: String,
    /// The member.
    pub member: String,
    /// The instant it is true at.
    pub as_of: String,
    /// The numbers.
    pub referrals: ReferralsAnswer,
    /// The friends, by when they joined.
    pub friends: Vec<FriendAnswer>,
}

pub(crate) fn referrals_answer(member: &str, state: &Member, at: Instant) -> Option<ReferralsAnswer> {
    let referrals = state.referrals.as_deref()?;
    let current = referrals.code();
    let (pending, completed) = referrals.windows(at);
    let codes = referrals.codes.iter().map(|code| CodeAnswer { code: code.code.to_string(), state: code.state.name() });
    let per_mille = u64::from(completed) * 1_000;
    Some(ReferralsAnswer {
        code: current.map_or_else(String::new, |code| code.code.to_string()),
        slug: current.map_or_else(String::new, |code| code.slug.to_string()),
        codes: codes.collect(),
        visits: referrals.visits,
        joined: referrals.joined,
        pending,
        completed,
        reversed: referrals.reversed,
        conversion_per_mille: per_mille
            .checked_div(u64::from(referrals.visits))
            .map(|per| u32::try_from(per).unwrap_or(u32::MAX)),
        referred_by: referred(member, state),
    })
}

fn referred(member: &str, state: &Member) -> Option<ReferredAnswer> {
    let ties = &state.referrals.as_deref()?.ties;
    let by = ties.by.as_ref()?;
    let own =
        |owner: &str| *owner == *member || state.links().is_some_and(|links| links.merged.iter().any(|alias| **alias == *owner));
    let told = match (ties.owner(), &by.order) {
        (None, _) => "code_unknown",
        (Some(owner), _) if own(owner) => "own_code",
        (_, None) => "joined",
        (_, Some(order)) if order.worth.last().is_some_and(|worth| worth.gone) => "reversed",
        _ => "ordered",
    };
    Some(ReferredAnswer {
        code: by.code.to_string(),
        member: ties.owner().map_or_else(String::new, ToString::to_string),
        state: told,
        at: by.at.to_string(),
        order_id: by.order.as_ref().map_or_else(String::new, |order| order.order_id.to_string()),
    })
}

impl FriendAnswer {
    /// `None`: nothing that is told of it counts.
    pub(crate) fn of(friend: &Friend, rules: Option<&Ruleset>, at: Instant) -> Option<FriendAnswer> {
        let joined_at = friend.joined_at?;
        let for_order: i64 = friend.given.iter().map(|given| given.points).sum();
        let amount = || format_amount(friend.worth.amount, rules.map_or(2, |rules| rules.exponent));
        let text = |at: Option<Instant>| at.map_or_else(String::new, |at| at.to_string());
        Some(FriendAnswer {
            friend: friend.friend.to_string(),
            state: friend.state(at),
            points: friend.for_joining + for_order,
            code: friend.code.to_string(),
            joined_at: joined_at.to_string(),
            order_id: friend.order_id.to_string(),
            ordered_at: text(friend.ordered_at),
            amount: friend.ordered_at.map_or_else(String::new, |_| amount()),
            window_until: text(friend.window_until),
            reversed_at: text(Some(friend.worth.at).filter(|_| friend.worth.gone)),
        })
    }
}
