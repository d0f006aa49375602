//! Every key of the log and of the views: this file owns them all and draws their bytes.
//!
//! Numbers are big-endian, so that a raw dump is in order and can be read; names are as they came (UTF-8), ended
//! by `00`. A name can't hold a `00`: the builders leave it out, the wire refuses it before.
//!
//! ```text
//! log, column family `frames`     one packed block a row
//!   first_position u64 | block_seq u64
//!   The block of position p is the last one at or before (p, MAX). Blocks without frames carry the position that
//!   the next frame gets, so they sort before it and after the frames before.
//! log, column family `meta`
//!   "head"                        LogHead
//!   "live_generation"             LiveGeneration
//!   reserved: "heads_signed", "outbox", "keys"
//! log, column family `dead`
//!   seq u64                       DeadLetterRow
//!
//! views, one column family; the first byte is the key space
//!   01 | name                                        facts about the view itself: "next_position" (u64)
//!   10 | hash 12 bytes                               identity → position (varint)
//!   20 | program 00 | member 00                      member state
//!   21 | program 00 | member 00 | kind u8 | hash8    record of the member (one order, one redemption, …)
//!   22 | program 00 | member 00 | first_entry u32    page of entries
//!   23 | program 00 | member 00 | first_position u64 page of the member's positions in the log
//!   30 | program 00 | code                           coupon code → its member
//!   31 | program 00 | hash 16 bytes | member       keyed hash of a card, e-mail or phone → its member; no value
//!   40 | program 00 | ledger 00 | day i32            totals; the day's sign bit is flipped so that it sorts
//! reserved, for what comes next
//!   41 due dates   50 search   60 sealed personal data   70 outbox   F0–FF free for tests
//! retired
//!   none yet
//! ```

use crate::Position;
use smallvec::SmallVec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A block's key in `frames`.
pub const BLOCK_KEY_BYTES: usize = 16;
/// `meta`: the head.
pub const META_HEAD: &[u8] = b"head";
/// `meta`: the live generation.
pub const META_LIVE_GENERATION: &[u8] = b"live_generation";
/// View, key space 01: the position it is true at.
pub const VIEW_NEXT_POSITION: &[u8] = b"\x01next_position";

/// View: facts about the view itself. Owned by the store.
pub const SPACE_META: u8 = 0x01;
/// View: identities.
pub const SPACE_IDENTITY: u8 = 0x10;
/// View: member states.
pub const SPACE_MEMBER: u8 = 0x20;
/// View: records of a member.
pub const SPACE_RECORD: u8 = 0x21;
/// View: pages of entries.
pub const SPACE_ENTRIES: u8 = 0x22;
/// View: pages of positions.
pub const SPACE_INDEX: u8 = 0x23;
/// View: coupon codes.
pub const SPACE_COUPON: u8 = 0x30;
/// View: look-ups.
pub const SPACE_LOOK_UP: u8 = 0x31;
/// View: totals.
pub const SPACE_TOTALS: u8 = 0x40;
/// View, reserved: due dates.
pub const SPACE_DUE: u8 = 0x41;
/// View, reserved: search.
pub const SPACE_SEARCH: u8 = 0x50;
/// View, reserved: sealed personal data.
pub const SPACE_SEALED: u8 = 0x60;
/// View, reserved: outbox.
pub const SPACE_OUTBOX: u8 = 0x70;

/// Bytes of an identity's hash.
pub const IDENTITY_BYTES: usize = 12;

/// Routes and groups by member; also in every frame's header. Not an identity: two members may share it.
pub fn member_hash(program: &str, member: &str) -> u64 {
    let mut name: SmallVec<[u8; 128]> = SmallVec::new();
    name.extend_from_slice(program.as_bytes());
    name.push(0);
    name.extend_from_slice(member.as_bytes());
    xxh3_64(&name)
}

/// A fact's identity: the hash of `(program, source, id)`.
pub type Identity = [u8; IDENTITY_BYTES];

/// The identity of a fact.
pub fn identity_of(program: &str, source: &str, id: &str) -> Identity {
    let mut parts: SmallVec<[u8; 192]> = SmallVec::new();
    for part in [program, source, id] {
        parts.extend_from_slice(part.as_bytes());
        parts.push(0);
    }
    let hash = xxh3_128(&parts).to_be_bytes();
    let mut identity = [0; IDENTITY_BYTES];
    identity.copy_from_slice(&hash[..IDENTITY_BYTES]);
    identity
}

/// `frames`: the key of a block.
pub fn block(first: Position, seq: u64) -> [u8; BLOCK_KEY_BYTES] {
    let mut key = [0; BLOCK_KEY_BYTES];
    key[..8].copy_from_slice(&first.0.to_be_bytes());
    key[8..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Reads a block's key. `None`: not one.
pub fn parse_block(key: &[u8]) -> Option<(Position, u64)> {
    let (first, seq) = key.split_at_checked(8)?;
    Some((Position(u64::from_be_bytes(first.try_into().ok()?)), u64::from_be_bytes(seq.try_into().ok()?)))
}

/// `dead`: the key of a dead letter.
pub fn dead(seq: u64) -> [u8; 8] {
    seq.to_be_bytes()
}

/// Reads a dead letter's key. `None`: not one.
pub fn parse_dead(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

fn start(key: &mut Vec<u8>, space: u8) {
    key.clear();
    key.push(space);
}

fn name(key: &mut Vec<u8>, text: &str) {
    key.extend(text.bytes().filter(|byte| *byte != 0));
    key.push(0);
}

/// View 10: an identity.
pub fn identity(key: &mut Vec<u8>, hash: &[u8; IDENTITY_BYTES]) {
    start(key, SPACE_IDENTITY);
    key.extend_from_slice(hash);
}

/// View 20: a member's state.
pub fn member(key: &mut Vec<u8>, program: &str, member: &str) {
    start(key, SPACE_MEMBER);
    name(key, program);
    name(key, member);
}

/// View 20: all members of a program, as a prefix.
pub fn members_of(key: &mut Vec<u8>, program: &str) {
    start(key, SPACE_MEMBER);
    name(key, program);
}

/// View 21: a record of a member.
pub fn record(key: &mut Vec<u8>, program: &str, member: &str, kind: u8, hash: u64) {
    records_of(key, program, member);
    key.push(kind);
    key.extend_from_slice(&hash.to_be_bytes());
}

/// View 21: all records of a program's members, as a prefix.
pub fn records_of_all(key: &mut Vec<u8>, program: &str) {
    start(key, SPACE_RECORD);
    name(key, program);
}

/// View 21: all records of a member, as a prefix.
pub fn records_of(key: &mut Vec<u8>, program: &str, member: &str) {
    start(key, SPACE_RECORD);
    name(key, program);
    name(key, member);
}

/// Which record of a member, from what follows [`records_of`]. `None`: it is none.
pub fn record_in(rest: &[u8]) -> Option<(u8, u64)> {
    let (kind, hash) = rest.split_first()?;
    Some((*kind, u64::from_be_bytes(hash.try_into().ok()?)))
}

/// View 22: a page of a member's entries, by the number of its first one.
pub fn entries(key: &mut Vec<u8>, program: &str, member: &str, first_entry: u32) {
    entries_of(key, program, member);
    key.extend_from_slice(&first_entry.to_be_bytes());
}

/// View 22: all pages of a member's entries, as a prefix.
pub fn entries_of(key: &mut Vec<u8>, program: &str, member: &str) {
    start(key, SPACE_ENTRIES);
    name(key, program);
    name(key, member);
}

/// View 23: a page of a member's positions, by its first one.
pub fn index(key: &mut Vec<u8>, program: &str, member: &str, first: Position) {
    index_of(key, program, member);
    key.extend_from_slice(&first.0.to_be_bytes());
}

/// View 23: all pages of a member's positions, as a prefix.
pub fn index_of(key: &mut Vec<u8>, program: &str, member: &str) {
    start(key, SPACE_INDEX);
    name(key, program);
    name(key, member);
}

/// View 30: a coupon code.
pub fn coupon(key: &mut Vec<u8>, program: &str, code: &str) {
    coupons_of(key, program);
    key.extend_from_slice(code.as_bytes());
}

/// View 30: all coupon codes of a program, as a prefix.
pub fn coupons_of(key: &mut Vec<u8>, program: &str) {
    start(key, SPACE_COUPON);
    name(key, program);
}

/// View 31: all members with a look-up's hash, as a prefix; a key is the prefix and the member.
pub fn look_ups_of(key: &mut Vec<u8>, program: &str, hash: &[u8; 16]) {
    look_ups_of_program(key, program);
    key.extend_from_slice(hash);
}

/// View 31: all look-ups of a program, as a prefix.
pub fn look_ups_of_program(key: &mut Vec<u8>, program: &str) {
    start(key, SPACE_LOOK_UP);
    name(key, program);
}

/// View 40: the totals of a day (days since 1970-01-01).
pub fn totals(key: &mut Vec<u8>, program: &str, ledger: &str, day: i32) {
    totals_of(key, program, ledger);
    key.extend_from_slice(&(day ^ i32::MIN).to_be_bytes());
}

/// View 40: all days of a ledger, as a prefix.
pub fn totals_of(key: &mut Vec<u8>, program: &str, ledger: &str) {
    totals_of_program(key, program);
    name(key, ledger);
}

/// View 40: all ledgers of a program, as a prefix.
pub fn totals_of_program(key: &mut Vec<u8>, program: &str) {
    start(key, SPACE_TOTALS);
    name(key, program);
}

/// A view's key, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKey<'a> {
    /// 01
    Meta(&'a [u8]),
    /// 10
    Identity(&'a [u8; IDENTITY_BYTES]),
    /// 20
    Member(MemberKey<'a>),
    /// 21
    Record {
        /// Whose.
        of: MemberKey<'a>,
        /// Of what.
        kind: u8,
        /// Which.
        hash: u64,
    },
    /// 22
    Entries {
        /// Whose.
        of: MemberKey<'a>,
        /// Number of the page's first entry.
        first_entry: u32,
    },
    /// 23
    Index {
        /// Whose.
        of: MemberKey<'a>,
        /// The page's first position.
        first: Position,
    },
    /// 30
    Coupon {
        /// The program.
        program: &'a str,
        /// The code.
        code: &'a str,
    },
    /// 40
    Totals {
        /// The program.
        program: &'a str,
        /// The ledger.
        ledger: &'a str,
        /// Days since 1970-01-01.
        day: i32,
    },
}

/// The two names in every key of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberKey<'a> {
    /// The program.
    pub program: &'a str,
    /// The member.
    pub member: &'a str,
}

/// Reads a view's key. `None`: of no known key space, or not whole.
pub fn parse_view(key: &[u8]) -> Option<ViewKey<'_>> {
    let (space, rest) = key.split_first()?;
    match *space {
        SPACE_META => Some(ViewKey::Meta(rest)),
        SPACE_IDENTITY => Some(ViewKey::Identity(rest.try_into().ok()?)),
        SPACE_MEMBER => {
            let (of, rest) = parse_member(rest)?;
            rest.is_empty().then_some(ViewKey::Member(of))
        }
        SPACE_RECORD => {
            let (of, rest) = parse_member(rest)?;
            let (kind, hash) = rest.split_first()?;
            Some(ViewKey::Record { of, kind: *kind, hash: u64::from_be_bytes(hash.try_into().ok()?) })
        }
        SPACE_ENTRIES => {
            let (of, rest) = parse_member(rest)?;
            Some(ViewKey::Entries { of, first_entry: u32::from_be_bytes(rest.try_into().ok()?) })
        }
        SPACE_INDEX => {
            let (of, rest) = parse_member(rest)?;
            Some(ViewKey::Index { of, first: Position(u64::from_be_bytes(rest.try_into().ok()?)) })
        }
        SPACE_COUPON => {
            let (program, rest) = parse_name(rest)?;
            Some(ViewKey::Coupon { program, code: std::str::from_utf8(rest).ok()? })
        }
        SPACE_TOTALS => {
            let (program, rest) = parse_name(rest)?;
            let (ledger, rest) = parse_name(rest)?;
            Some(ViewKey::Totals { program, ledger, day: i32::from_be_bytes(rest.try_into().ok()?) ^ i32::MIN })
        }
        _ => None,
    }
}

fn parse_name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

fn parse_member(bytes: &[u8]) -> Option<(MemberKey<'_>, &[u8])> {
    let (program, rest) = parse_name(bytes)?;
    let (member, rest) = parse_name(rest)?;
    Some((MemberKey { program, member }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn built(build: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut key = b"left over".to_vec();
        build(&mut key);
        key
    }

    #[test]
    fn bytes_are_as_drawn() {
        assert_eq!(block(Position(258), 7), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(dead(1), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(built(|k| member(k, "shop", "m1")), b"\x20shop\0m1\0");
        assert_eq!(built(|k| record(k, "p", "m", 16, 0x0102)), b"\x21p\0m\0\x10\0\0\0\0\0\0\x01\x02");
        assert_eq!(built(|k| entries(k, "p", "m", 260)), b"\x22p\0m\0\0\0\x01\x04");
        assert_eq!(built(|k| index(k, "p", "m", Position(3))), b"\x23p\0m\0\0\0\0\0\0\0\0\x03");
        assert_eq!(built(|k| coupon(k, "p", "ABC")), b"\x30p\0ABC");
        assert_eq!(built(|k| totals(k, "p", "main", 1)), b"\x40p\0main\0\x80\0\0\x01");
        assert_eq!(built(|k| identity(k, &[9; 12])), [[0x10].as_slice(), &[9; 12]].concat());
    }

    #[test]
    fn a_name_cannot_end_a_name() {
        assert_eq!(built(|k| member(k, "a\0b", "c")), built(|k| member(k, "ab", "c")));
        assert_ne!(built(|k| member(k, "ab", "c")), built(|k| member(k, "a", "bc")));
    }

    #[test]
    fn member_hash_is_fixed() {
        // Stored in frames: it must never change.
        assert_eq!(member_hash("shop", "m1"), xxhash_rust::xxh3::xxh3_64(b"shop\0m1"));
        assert_ne!(member_hash("ab", "c"), member_hash("a", "bc"));
    }

    proptest! {
        #[test]
        fn keys_come_back(
            program in "[a-z:]{0,8}", member_id in "[ -~é]{0,12}", kind: u8, hash: u64, first: u32, position: u64,
            day: i32, code in "[0-9A-Z]{1,12}", id: [u8; 12],
        ) {
            let of = MemberKey { program: &program, member: &member_id };
            let at = Position(position);
            let cases = [
                (built(|k| member(k, &program, &member_id)), ViewKey::Member(of)),
                (built(|k| record(k, &program, &member_id, kind, hash)), ViewKey::Record { of, kind, hash }),
                (built(|k| entries(k, &program, &member_id, first)), ViewKey::Entries { of, first_entry: first }),
                (built(|k| index(k, &program, &member_id, at)), ViewKey::Index { of, first: at }),
                (built(|k| coupon(k, &program, &code)), ViewKey::Coupon { program: &program, code: &code }),
                (built(|k| totals(k, &program, &member_id, day)), ViewKey::Totals { program: &program, ledger: &member_id, day }),
                (built(|k| identity(k, &id)), ViewKey::Identity(&id)),
            ];
            for (key, read) in &cases {
                prop_assert_eq!(parse_view(key), Some(*read));
            }
            prop_assert_eq!(parse_block(&block(at, hash)), Some((at, hash)));
            prop_assert_eq!(parse_dead(&dead(hash)), Some(hash));
        }

        #[test]
        fn days_sort(a: i32, b: i32) {
            let (key_a, key_b) = (built(|k| totals(k, "p", "l", a)), built(|k| totals(k, "p", "l", b)));
            prop_assert_eq!(a.cmp(&b), key_a.cmp(&key_b));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (parse_view(&bytes), parse_block(&bytes), parse_dead(&bytes));
        }
    }
}
