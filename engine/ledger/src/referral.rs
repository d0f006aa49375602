//! Referrals (§12): who owns a code, who came by it, and what of it the owner is told.
//!
//! Ann's code is `ann-7`; Bob joins by it and places his first order; Ann gets her points when Bob's window is over, and loses
//! them when the order is refunded in full. Ann, Bob and the code itself may be in three shards: facts go between them.

mod derive;
mod fact;

pub use derive::{TiesOf, derive_referrals};
pub use fact::{ReferralFact, ReferralOnward, Stage, Told};

use crate::{Instant, Kind, RecordKey, Text};

/// What a member has to do with referrals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Referrals {
    /// Codes that it asked for; the latest wish is the last.
    pub codes: Vec<Code>,
    /// How often somebody followed a link with a code of it.
    pub visits: u32,
    /// Friends who joined.
    pub joined: u32,
    /// Friends whose first order counts, as of the last of these facts: the end of each one's window, ascending, and who it is.
    pub pending: Vec<(Instant, Text)>,
    /// Friends whose window was over then.
    pub completed: u32,
    /// Friends whose first order counted and was refunded in full.
    pub reversed: u32,
    /// What leads from this member to others.
    pub ties: Ties,
}

/// What leads from a member to others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ties {
    /// By which code it came; `None`: by none.
    pub by: Option<Referred>,
    /// Whose codes are.
    pub owners: Vec<Owner>,
    /// Of a code itself: who owns it, who wants to know.
    pub home: Home,
}

/// Whose a code is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owner {
    /// The code.
    pub code: Text,
    /// Whose it is.
    pub owner: Text,
    /// As of when that was answered.
    pub since: Instant,
}

/// A code that a member asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    /// As links show it.
    pub code: Text,
    /// The part that the member chose; empty: its wish is not known yet, only the answer.
    pub slug: Text,
    /// What became of it.
    pub state: CodeState,
}

/// What became of a wish for a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeState {
    /// On its way to where the code is decided on.
    #[default]
    Asked,
    /// It is the member's, for ever.
    Held,
    /// Somebody else has it.
    Taken,
}

impl CodeState {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            CodeState::Asked => "asked",
            CodeState::Held => "held",
            CodeState::Taken => "taken",
        }
    }
}

/// How a member came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referred {
    /// The code it came by.
    pub code: Text,
    /// When.
    pub at: Instant,
    /// Its first order; `None`: none yet, or it was placed while the member was excluded.
    pub order: Option<FirstOrder>,
}

/// The first order of a referred member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstOrder {
    /// The shop's id.
    pub order_id: Text,
    /// What it was worth, and since when; in order.
    pub worth: Vec<OrderWorth>,
}

/// What an order is worth from an instant on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderWorth {
    /// Since when.
    pub at: Instant,
    /// Eligible amount before refunds, minor units of the program's currency, rounded down.
    pub amount: i64,
    /// It was refunded in full, or cancelled.
    pub gone: bool,
}

/// Where a code is decided on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Home {
    /// Whose it is; empty: nobody's.
    pub owner: Text,
    /// Who asked while it was nobody's, and as of when.
    pub waiting: Vec<(Text, Instant)>,
}

/// A friend, as its referrer knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Friend {
    /// Who.
    pub friend: Text,
    /// By which code.
    pub code: Text,
    /// What was told as of this instant with a lower revision counts no more.
    pub withdrawn: Option<(Instant, i64)>,
    /// When it joined.
    pub joined_at: Option<Instant>,
    /// Its first order; empty: none that counts.
    pub order_id: Text,
    /// When it placed that.
    pub ordered_at: Option<Instant>,
    /// What that is worth now.
    pub worth: OrderWorth,
    /// The order is enough, and was not sent back: the end of the window in which it may be.
    pub window_until: Option<Instant>,
    /// What rules gave for the order, while it counts.
    pub given: Vec<Given>,
    /// What rules gave for joining.
    pub for_joining: i64,
}

/// Points that a rule gave for a friend's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// The ruleset.
    pub ruleset: u64,
    /// Index of the rule there.
    pub rule: u16,
    /// When.
    pub at: Instant,
    /// Points > 0.
    pub points: i64,
}

impl RecordKey {
    /// The key of a friend.
    pub fn friend(friend: &str) -> RecordKey {
        RecordKey::new(Kind::ReferralTold, friend)
    }
}

impl Friend {
    /// Whether what was told as of an instant with this revision was withdrawn later.
    pub(crate) fn was_withdrawn(&self, at: Instant, revision: i64) -> bool {
        self.withdrawn.is_some_and(|(then, known)| then == at && revision < known)
    }

    /// `joined`, `ordered` (too little), `pending`, `completed` or `reversed`.
    pub fn state(&self, at: Instant) -> &'static str {
        match self.window_until {
            _ if self.ordered_at.is_none() => "joined",
            None if self.worth.gone => "reversed",
            None => "ordered",
            Some(until) if until <= at => "completed",
            Some(_) => "pending",
        }
    }
}

impl Referrals {
    /// The code that links show: the latest wish that was granted.
    pub fn code(&self) -> Option<&Code> {
        self.codes.iter().rev().find(|code| code.state == CodeState::Held && !code.slug.is_empty())
    }

    /// Friends whose window lasts at `at`, and friends for whom it is over.
    pub fn windows(&self, at: Instant) -> (u32, u32) {
        let over = self.pending.partition_point(|(end, _)| *end <= at) as u32;
        (self.pending.len() as u32 - over, self.completed + over)
    }

    /// Notes which windows are over.
    pub(crate) fn close_windows(&mut self, at: Instant) {
        let (_, over) = self.windows(at);
        self.pending.drain(..(over - self.completed) as usize);
        self.completed = over;
    }

    /// A code that was asked for, or was answered.
    pub(crate) fn code_mut(&mut self, code: &str) -> &mut Code {
        let index = self.codes.iter().position(|known| known.code == *code).unwrap_or_else(|| {
            self.codes.push(Code { code: Text::new(code), slug: Text::default(), state: CodeState::Asked });
            self.codes.len() - 1
        });
        &mut self.codes[index]
    }
}

impl Ties {
    /// Who owns the code that the member came by; `None`: nobody as far as is known.
    pub fn owner(&self) -> Option<&Text> {
        self.answered().map(|known| &known.owner)
    }

    /// What was answered about that code, as of the earliest instant.
    pub(crate) fn answered(&self) -> Option<&Owner> {
        let by = self.by.as_ref()?;
        self.owners.iter().find(|known| known.code == by.code)
    }
}

/// A code as it is compared.
pub fn normal_code(code: &str) -> String {
    code.trim().to_ascii_lowercase()
}

/// Bytes of a code: its place in a shard has a name, too.
const CODE_BYTES_MAX: usize = 200;

/// Whether some member could have such a code.
pub(crate) fn could_be_code(code: &str) -> bool {
    (1..=CODE_BYTES_MAX).contains(&code.len())
}

/// Before the names that no member has.
const RESERVED: &str = "accrue:";
const HOME: &str = "accrue:code:";

/// The name under which a code has its place in a shard.
pub fn code_home(code: &str) -> String {
    format!("{HOME}{code}")
}

/// Whether nobody outside may name a member so.
pub fn is_reserved_member(member: &str) -> bool {
    member.starts_with(RESERVED)
}
