//! Which parts of the domain take part in a history.

/// One flag for each part; a part that is off appears neither in rulesets nor in facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Tiers, overrides, tier credit (§9).
    pub tiers: bool,
    /// Expiry by inactivity (§8).
    pub inactivity: bool,
    /// Limits of earning rules (§12).
    pub limits: bool,
    /// Limits of rewards per member.
    pub per_member: bool,
    /// Achievements (§12).
    pub achievements: bool,
    /// Transfers from one ledger of a member to another.
    pub transfers: bool,
    /// Cards (§11).
    pub cards: bool,
    /// Transfers to other members.
    pub sending: bool,
    /// Guests, who may not spend (§11).
    pub guests: bool,
    /// Members who are erased (§11).
    pub erased: bool,
    /// Members who are merged and parted (§11).
    pub merges: bool,
    /// Exceptions that people resolve.
    pub resolving: bool,
}

impl Features {
    /// What the first issue had.
    pub const NONE: Features = Features {
        tiers: false,
        inactivity: false,
        limits: false,
        per_member: false,
        achievements: false,
        transfers: false,
        cards: false,
        sending: false,
        guests: false,
        erased: false,
        merges: false,
        resolving: false,
    };

    /// Everything the oracle has rules for.
    pub const ALL: Features = Features {
        tiers: true,
        inactivity: true,
        limits: true,
        per_member: true,
        achievements: true,
        transfers: true,
        cards: true,
        sending: true,
        guests: true,
        erased: true,
        merges: true,
        resolving: true,
    };
}
