//! How a member stands in the program (§11): guest, registered, left, erased; cards; and with whom it is one.

use crate::{Instant, Text};

/// What there is to say of a member beside its points. Most members have none of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// As of the last fact.
    pub status: Status,
    /// When personal data was destroyed and the balance forfeited; stays when the member registers again.
    pub erased_at: Option<Instant>,
    /// Cards in the order in which they were handed out.
    pub cards: Vec<Card>,
    /// Members that are, or once were, one with this one.
    pub links: Option<Box<Links>>,
}

/// Whether and how somebody is a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Some fact made it one; nobody said how it stands.
    #[default]
    Member,
    /// Collects and can't spend until registered.
    Guest,
    /// By `member_registered`.
    Registered,
    /// By `member_left`, until registered again.
    Left,
    /// By `member_erased`, until registered again.
    Erased,
}

impl Status {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Status::Member => "member",
            Status::Guest => "guest",
            Status::Registered => "registered",
            Status::Left => "left",
            Status::Erased => "erased",
        }
    }
}

/// A card.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// What is printed on it.
    pub code: Text,
    /// What it is good for.
    pub status: CardStatus,
    /// When it was handed out.
    pub issued_at: Instant,
    /// The card that took its place; empty: none.
    pub replaced_by: Text,
}

/// What a card is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardStatus {
    /// Works.
    Active,
    /// Not yet or no longer in use.
    Inactive,
    /// Lost or stolen.
    Blocked,
}

impl CardStatus {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            CardStatus::Active => "active",
            CardStatus::Inactive => "inactive",
            CardStatus::Blocked => "blocked",
        }
    }
}

/// Merges that a member takes or took part in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The member that this one is an alias of, all chains followed; empty: of none.
    pub winner: Text,
    /// The aliases whose facts are part of this member's state, by id.
    pub merged: Vec<Text>,
    /// Everybody whom merges ever tied to this member, itself included, by id.
    pub family: Vec<Text>,
    /// The latest instant at which that changed.
    pub changed_at: Instant,
    /// Whether its facts count in this shard, and where they are if not.
    pub custody: Custody,
    /// The state that its facts are part of is in this shard: its own, or the winner's.
    pub served: bool,
}

/// In which shard a member's facts count. One shard at a time has it: who has it decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Custody {
    /// This is the shard of its own: what is told of it under its name comes here first.
    pub own: bool,
    /// All its facts are here, and count here.
    pub here: bool,
    /// To whose shard it was given last, and what comes is sent on; empty: to nobody's.
    pub to: Text,
    /// It is on its way: to whose shard, and the position at which that began.
    pub moving: Option<(Text, u64)>,
}

impl Custody {
    /// Of somebody whose facts come here.
    pub fn at_home() -> Custody {
        Custody { own: true, here: true, ..Custody::default() }
    }
}
