//! Where a replay was: with it the rest can be asked for, of the same log, whatever was appended since; of no other.

use super::Asked;
use crate::export::{escaped, hex};
use crate::past::Past;
use accrue_ledger::Instant;
use accrue_proto::read_fact;
use accrue_store::{Position, StoreError};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Bytes of a hash.
const HASH_BYTES: usize = 6;

/// What all tokens of a replay begin with: as of when, as known before which positions of which log, and a hash of what else was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// As of when.
    pub at: Instant,
    /// Before these positions.
    pub before: BTreeMap<u32, u64>,
    /// Of this log.
    pub log: String,
    /// What else was asked.
    pub question: String,
}

/// Behind which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The shard.
    pub shard: u32,
    /// Of entries: the hash that orders members. Of facts: the position.
    pub order: u64,
    /// Of entries: `program/member`, escaped.
    pub member: String,
    /// Of entries: the number of the entry.
    pub entry: u64,
}

/// What is asked beside the past, as a hash.
pub fn question(asked: &Asked) -> String {
    let past = &asked.past;
    let of = (&past.program, &past.rules, &past.as_known_at, &asked.member, asked.facts, asked.from, asked.until);
    hash(&format!("{of:?}"))
}

fn hash(of: &str) -> String {
    hex(&Sha256::digest(of.as_bytes())[..HASH_BYTES])
}

/// The log before these positions, as a hash: of the last fact of each shard, which is the same wherever a topic was read into.
///
/// # Errors
/// It can't be read.
pub fn log(past: &Past) -> Result<String, StoreError> {
    let mut last = Vec::new();
    for shard in past.shards.iter().filter(|shard| shard.until > Position::FIRST) {
        let (log, position) = (&shard.open.log, Position(shard.until.0 - 1));
        let named =
            |fact: &[u8]| read_fact(fact).ok().map(|fact| [fact.program, fact.member, fact.source, fact.id].map(str::to_owned));
        last.push((log.shard(), position, log.read(position, |frame| named(frame.fact))?));
    }
    Ok(hash(&format!("{last:?}")))
}

/// A member's part of a place.
pub fn name(program: &str, member: &str) -> String {
    format!("{}/{}", escaped(program), escaped(member))
}

impl Head {
    /// The text that its tokens begin with.
    pub fn text(&self) -> String {
        let before: Vec<String> = self.before.iter().map(|(shard, position)| format!("{shard}:{position}")).collect();
        format!("{}~{}~{}~{}", self.at.0, before.join("+"), self.log, self.question)
    }
}

impl Place {
    /// The token.
    pub fn token(&self, head: &str) -> String {
        format!("{head}~{}~{:016x}~{}~{}", self.shard, self.order, self.entry, self.member)
    }
}

/// Reads a token. `None`: it is none.
pub fn read(token: &str) -> Option<(Head, Place)> {
    let mut parts = token.splitn(8, '~');
    let at = Instant(parts.next()?.parse().ok()?);
    let before = parts.next()?.split('+').map(|part| {
        let (shard, position) = part.split_once(':')?;
        Some((shard.parse().ok()?, position.parse().ok()?))
    });
    let before = before.collect::<Option<BTreeMap<u32, u64>>>()?;
    let mut hash = || parts.next().filter(|hash| hash.len() == 2 * HASH_BYTES).map(str::to_owned);
    let (log, question) = (hash()?, hash()?);
    let shard = parts.next()?.parse().ok()?;
    let order = u64::from_str_radix(parts.next().filter(|order| order.len() == 16)?, 16).ok()?;
    let entry = parts.next()?.parse().ok()?;
    Some((Head { at, before, log, question }, Place { shard, order, member: parts.next()?.to_owned(), entry }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let before = BTreeMap::from([(0, 12), (3, 4)]);
        let head = Head { at: Instant(1_700), before, log: hash("one"), question: question(&Asked::default()) };
        let place = Place { shard: 3, order: 77, member: name("acme", "a~b,\"c"), entry: 5 };
        let token = place.token(&head.text());
        assert!(!token.contains([',', '"', ' ']), "{token}");
        assert_eq!(read(&token).expect("reads"), (head, place));
        for wrong in ["", "x", &token[..token.len() / 2]] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
        let other = Asked { facts: true, ..Asked::default() };
        assert_ne!(question(&other), question(&Asked::default()));
    }
}
