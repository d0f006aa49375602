//! The 16 digits of a member: on cards and in QR codes. They are the place of its first fact (shard and position), shuffled by a keyed
//! permutation of all 15-digit numbers, and a check digit (Luhn): unique within a store by construction, not guessed by counting, and
//! the member is found from them without an index.

use accrue_store::Position;

const SHARDS: u64 = 1_000;
const POSITIONS: u64 = 1_000_000_000_000;
/// The two halves that the permutation shuffles: 8 and 7 digits.
const LEFT: u64 = 100_000_000;
const RIGHT: u64 = 10_000_000;
const ROUNDS: u8 = 10;

/// The digits of the member whose first fact stands there; `None`: a shard or position too high for them.
pub(crate) fn of(secret: &[u8; 32], program: &str, shard: u32, first: Position) -> Option<String> {
    if u64::from(shard) >= SHARDS || first.0 >= POSITIONS {
        return None;
    }
    let shuffled = shuffle(secret, program, u64::from(shard) * POSITIONS + first.0, false);
    Some(format!("{shuffled:015}{}", check_digit(shuffled)))
}

/// Where the first fact of the member with these digits stands; `None`: they are wrong.
pub(crate) fn place(secret: &[u8; 32], program: &str, digits: &str) -> Option<(u32, Position)> {
    if !is_number(digits) {
        return None;
    }
    let number = shuffle(secret, program, digits.get(..15)?.parse().ok()?, true);
    Some(((number / POSITIONS) as u32, Position(number % POSITIONS)))
}

/// Whether these are 16 digits with the right check digit.
pub fn is_number(digits: &str) -> bool {
    let number = digits.get(..15).and_then(|digits| digits.parse::<u64>().ok());
    digits.len() == 16
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && number.is_some_and(|number| digits.ends_with(&check_digit(number).to_string()))
}

/// Luhn: every second digit from the right doubled.
fn check_digit(mut number: u64) -> u64 {
    let (mut sum, mut doubled) = (0, true);
    while number > 0 {
        let digit = number % 10 * if doubled { 2 } else { 1 };
        sum += digit / 10 + digit % 10;
        (number, doubled) = (number / 10, !doubled);
    }
    (10 - sum % 10) % 10
}

/// A Feistel network over the two halves: each round adds a keyed hash of one to the other.
fn shuffle(secret: &[u8; 32], program: &str, number: u64, back: bool) -> u64 {
    let key = blake3::derive_key("accrue 2026 numbers of members", secret);
    let keyed = |round: u8, half: u64, below: u64| {
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&[round]);
        hasher.update(&half.to_le_bytes());
        hasher.update(program.as_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        (u128::from_le_bytes(bytes) % u128::from(below)) as u64
    };
    let (mut left, mut right) = (number / RIGHT, number % RIGHT);
    for round in 0..ROUNDS {
        let round = if back { ROUNDS - 1 - round } else { round };
        if round.is_multiple_of(2) {
            let add = keyed(round, right, LEFT);
            left = (left + if back { LEFT - add } else { add }) % LEFT;
        } else {
            let add = keyed(round, left, RIGHT);
            right = (right + if back { RIGHT - add } else { add }) % RIGHT;
        }
    }
    left * RIGHT + right
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_and_back_and_never_twice() {
        let secret = [7; 32];
        let mut seen = BTreeSet::new();
        for shard in [0, 1, 999] {
            for position in (1..300).chain([POSITIONS - 1]) {
                let digits = of(&secret, "acme", shard, Position(position)).expect("fits");
                assert!(is_number(&digits), "{digits}");
                assert_eq!(place(&secret, "acme", &digits), Some((shard, Position(position))));
                assert!(seen.insert(digits));
            }
        }
        assert_eq!(of(&secret, "acme", 1_000, Position(1)), None);
        assert_eq!(of(&secret, "acme", 0, Position(POSITIONS)), None);
        let digits = of(&secret, "acme", 0, Position(1)).expect("fits");
        assert_ne!(place(&secret, "acme:sandbox", &digits), Some((0, Position(1))));
        assert_ne!(place(&[8; 32], "acme", &digits), Some((0, Position(1))));
    }

    #[test]
    fn luhn() {
        assert!(is_number("4539578763621486"));
        assert!(!is_number("4539578763621487"));
        assert!(!is_number("453957876362148"));
        assert!(!is_number("45395787636214860"));
        assert!(!is_number("453957876362148x"));
        let digits = "4539578763621486";
        for place in 0..15 {
            let mut wrong = digits.as_bytes().to_vec();
            wrong[place] = if wrong[place] == b'9' { b'0' } else { wrong[place] + 1 };
            assert!(!is_number(&String::from_utf8(wrong).expect("digits")), "one wrong digit, {place}");
        }
    }
}
