//! What an entry says of a change of tier.

use crate::{Instant, Text};
use bincode::{Decode, Encode};

/// How a member came from one tier to another (§9).
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct TierChange {
    /// What led to it.
    pub cause: TierCause,
    /// In force before.
    pub from: Text,
    /// In force now.
    pub to: Text,
    /// Qualified for before.
    pub qualified_before: Text,
    /// Qualified for now.
    pub qualified: Text,
    /// What counted in the window: minor units, points or orders.
    pub metric: i64,
    /// What it was compared with: the entry that was reached, what had to be maintained; 0: nothing.
    pub needed: i64,
    /// What refunds, cancellations and lower versions had taken of the window.
    pub lowered: i64,
    /// How long the qualified tier is held; `MAX`: no end.
    pub held_until: Instant,
}

/// Why a tier changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum TierCause {
    /// An order reached it.
    Order,
    /// An activity reached it.
    Activity,
    /// Credit by hand reached it.
    Credit,
    /// It was not maintained.
    HoldEnded,
    /// It was not maintained, nor in the grace after.
    GraceEnded,
    /// By hand.
    OverrideSet,
    /// The end of what was set by hand.
    OverrideEnded,
    /// Other rules came into force.
    Ruleset,
}

impl TierCause {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            TierCause::Order => "order",
            TierCause::Activity => "activity",
            TierCause::Credit => "credit",
            TierCause::HoldEnded => "hold_ended",
            TierCause::GraceEnded => "grace_ended",
            TierCause::OverrideSet => "override_set",
            TierCause::OverrideEnded => "override_ended",
            TierCause::Ruleset => "ruleset",
        }
    }
}
