//! The record's key and the partition it goes to.

use crate::{Malformed, check};
use accrue_ledger::Fact;

/// The key is `<program>/<member>` (`<program>/` of control facts), or the fact is in the wrong partition.
///
/// # Errors
/// `wrong_key`.
pub fn check_key(key: Option<&[u8]>, fact: &Fact<'_>) -> Result<(), Malformed> {
    let right = key
        .and_then(|key| key.strip_prefix(fact.program.as_bytes()))
        .and_then(|rest| rest.strip_prefix(b"/"))
        .is_some_and(|member| member == fact.member.as_bytes());
    if right { Ok(()) } else { Err(wrong_key(key, fact)) }
}

#[cold]
fn wrong_key(key: Option<&[u8]>, fact: &Fact<'_>) -> Malformed {
    let found = key.map_or_else(|| "absent".to_owned(), |key| check::shown(&String::from_utf8_lossy(key)));
    let wanted = check::shown(&format!("{}/{}", fact.program, fact.member));
    Malformed::new("wrong_key", format!("the record's key is {found}, the fact needs {wanted}"))
}

/// The partition Java's default partitioner gives a key: `murmur2`, sign bit cleared, modulo. 0 of 0 partitions.
pub fn murmur2_partition(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ (word >> 24)).wrapping_mul(M);
    }
    for (index, byte) in tail.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * index);
    }
    if !tail.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::{Body, Instant, Kind};

    /// From the tests of Kafka's own Java client.
    #[test]
    fn java_vectors() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
        assert_eq!(murmur2_partition(b"abc", 6), 479_470_107 % 6);
        assert_eq!(murmur2_partition(b"21", 6), ((-973_932_308_i32).cast_unsigned() & 0x7fff_ffff) % 6);
        assert_eq!(murmur2_partition(b"21", 0), 0);
    }

    fn fact(member: &str, kind: Kind) -> Fact<'_> {
        let occurred_at = Instant(0);
        Fact { id: "1", source: "s", program: "acme", member, occurred_at, actor: None, kind, body: Body::Noted }
    }

    #[test]
    fn keys() {
        let of_member = fact("m/1", Kind::MemberLeft);
        assert_eq!(check_key(Some(b"acme/m/1"), &of_member), Ok(()));
        for wrong in [None, Some(&b""[..]), Some(b"acme/m"), Some(b"acme/m/12"), Some(b"acmem/1"), Some(b"\xff")] {
            assert_eq!(check_key(wrong, &of_member).map_err(|error| error.code), Err("wrong_key"), "{wrong:?}");
        }
        assert_eq!(check_key(Some(b"acme/"), &fact("", Kind::RulesetActivated)), Ok(()));
    }
}
