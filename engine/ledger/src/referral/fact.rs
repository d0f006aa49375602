//! What facts say of referrals.

use crate::{Kind, Text};

/// A fact of referrals: three from outside, the others from one shard to another.
#[derive(Clone, Debug, PartialEq)]
pub enum ReferralFact<'a> {
    /// `referral_visited`: somebody followed a link of the member.
    Visited {
        /// The code in the link.
        code: &'a str,
    },
    /// `referral_joined`: the member came by a code.
    Joined {
        /// The code.
        code: &'a str,
    },
    /// `referral_code_changed`: the member wants its code to be this.
    CodeChanged {
        /// The part of the code that members choose.
        slug: &'a str,
    },
    /// `referral_code_claimed`, at the code: a member wants it.
    CodeClaimed {
        /// The code.
        code: &'a str,
        /// Who.
        owner: &'a str,
    },
    /// `referral_asked`, at the code: a friend came by it.
    Asked {
        /// The code.
        code: &'a str,
        /// Who.
        friend: &'a str,
    },
    /// `referral_code_settled`: what became of the member's wish.
    CodeSettled {
        /// The code.
        code: &'a str,
        /// Somebody else has it.
        taken: bool,
    },
    /// `referral_answered`: who owns the code that the member came by.
    Answered {
        /// The code.
        code: &'a str,
        /// Who.
        owner: &'a str,
    },
    /// `referral_told`: what a friend of the member did.
    Told(Told<'a>),
}

/// What a friend did, as its referrer is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told<'a> {
    /// The friend.
    pub friend: &'a str,
    /// The code it came by.
    pub code: &'a str,
    /// What.
    pub stage: Stage,
    /// Of what is told of a friend as of one instant, the highest counts.
    pub revision: i64,
    /// The friend's first order; empty: it joined.
    pub order_id: &'a str,
    /// Eligible amount of the order before refunds, minor units of the program's currency.
    pub amount: i64,
    /// What was told as of this instant with a lower revision did not happen, after all.
    pub withdrawn: bool,
}

/// How far a friend has come. The numbers are those of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It came by the code.
    #[default]
    Joined = 1,
    /// It placed its first order, or that is worth something else now.
    Ordered = 2,
    /// That order was refunded in full, or cancelled.
    Reversed = 3,
}

impl Stage {
    /// By number.
    pub fn from_number(number: i64) -> Option<Stage> {
        [Stage::Joined, Stage::Ordered, Stage::Reversed].into_iter().find(|stage| *stage as i64 == number)
    }
}

impl ReferralFact<'_> {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            ReferralFact::Visited { .. } => Kind::ReferralVisited,
            ReferralFact::Joined { .. } => Kind::ReferralJoined,
            ReferralFact::CodeChanged { .. } => Kind::ReferralCodeChanged,
            ReferralFact::CodeClaimed { .. } => Kind::ReferralCodeClaimed,
            ReferralFact::Asked { .. } => Kind::ReferralAsked,
            ReferralFact::CodeSettled { .. } => Kind::ReferralCodeSettled,
            ReferralFact::Answered { .. } => Kind::ReferralAnswered,
            ReferralFact::Told(_) => Kind::ReferralTold,
        }
    }
}

/// A fact of referrals that follows from another member's.
#[derive(Clone, Debug, PartialEq)]
pub enum ReferralOnward {
    /// To the code.
    CodeClaimed {
        /// The code.
        code: String,
        /// Who wants it.
        owner: String,
    },
    /// To the code.
    Asked {
        /// The code.
        code: String,
        /// Who came by it.
        friend: String,
    },
    /// To who wanted the code.
    CodeSettled {
        /// The code.
        code: String,
        /// Somebody else has it.
        taken: bool,
    },
    /// To the friend.
    Answered {
        /// The code.
        code: String,
        /// Who owns it.
        owner: String,
    },
    /// To the referrer.
    Told {
        /// The friend.
        friend: Text,
        /// The code it came by.
        code: Text,
        /// What it did.
        stage: Stage,
        /// As [`Told::revision`].
        revision: i64,
        /// Its first order.
        order_id: Text,
        /// As [`Told::amount`].
        amount: i64,
        /// As [`Told::withdrawn`].
        withdrawn: bool,
    },
}
