//! How much one message may say. More is [`Malformed`](crate::Malformed), never cut.

/// Bytes of an id, a label or a code.
pub const ID_BYTES_MAX: usize = 256;
/// Bytes of the part of a referral code that members choose.
pub const SLUG_BYTES_MAX: usize = 64;
/// Bytes of a reason, a note or a message.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a ruleset.
pub const RULESET_BYTES_MAX: usize = 1024 * 1024;
/// Lines of an order or a refund.
pub const LINES_MAX: usize = 1_000;
/// Lots of an import.
pub const LOTS_MAX: usize = 1_000;
/// Coupons of an order, collections or tags of a line, attributes or consents of a member.
pub const LABELS_MAX: usize = 100;
/// The largest amount of money in minor units, of points and of pieces, either side of zero:
/// sums over a whole message fit in `i64` with room to spare.
pub const AMOUNT_MAX: i64 = accrue_ledger::currency::AMOUNT_MAX;
