//! Messages for a topic, and what has to become of them: facts of the benchmark's workload, some of them twice, some rubbish.
//!
//! ```
//! use accrue_tests::traffic::Traffic;
//! let mut traffic = Traffic::new(7, 1_000, 4, 6);
//! while let Some(message) = traffic.make()? {
//!     assert!(!message.key.is_empty());
//! }
//! assert_eq!(traffic.expected().iter().map(|of| of.consumed()).sum::<u64>(), 1_000);
//! # anyhow::Ok(())
//! ```

use crate::history::random::Random;
use accrue_ingest::workload::{PROGRAM, Workload, WorkloadOptions};
use accrue_proto::{murmur2_partition, pb, read_fact, write_fact};
use accrue_store::Counters;
use anyhow::{Context as _, Result};
use prost::Message as _;
use std::collections::BTreeMap;

/// Rubbish, of a thousand messages.
const RUBBISH: usize = 10;
/// Said again, of a thousand; the workload itself says about ten of a thousand again.
const AGAIN: usize = 40;
/// Messages that may be said again, recent and old ones.
const KEPT_MAX: usize = 4_096;
/// How often a new one takes the place of a kept one, of a hundred.
const KEEP: usize = 20;
/// 2100-01-01, seconds.
const FUTURE: i64 = 4_102_444_800;

/// A record for the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its key: decides on the partition.
    pub key: String,
    /// Its value; `None`: a tombstone.
    pub value: Option<Vec<u8>>,
}

/// What has to become of the messages of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Facts said for the first time.
    pub facts: u64,
    /// Requests said for the first time: accepted or rejected.
    pub requests: u64,
    /// Said again.
    pub duplicates: u64,
    /// Dead letters by their code, conflicts among them.
    pub dead: BTreeMap<&'static str, u64>,
}

impl Expected {
    /// All of them.
    pub fn consumed(&self) -> u64 {
        self.facts + self.requests + self.duplicates + self.dead.values().sum::<u64>()
    }

    /// Everything in which a shard's counters differ from it.
    pub fn differences(&self, counters: &Counters) -> Vec<String> {
        let conflicts = self.dead.get("conflict").copied().unwrap_or(0);
        let dead = self.dead.values().sum::<u64>() - conflicts;
        let pairs = [
            ("facts", self.facts, counters.facts),
            ("requests", self.requests, counters.requests_accepted + counters.requests_rejected),
            ("duplicates", self.duplicates, counters.duplicates),
            ("conflicts", conflicts, counters.conflicts),
            ("dead letters", dead, counters.dead_letters),
            ("consumed", self.consumed(), counters.consumed()),
        ];
        let differ = pairs.into_iter().filter(|(_, wanted, found)| wanted != found);
        differ.map(|(what, wanted, found)| format!("{found} {what}, {wanted} were produced")).collect()
    }
}

/// Makes one message after the other; the same seed, the same messages.
pub struct Traffic {
    workload: Workload,
    random: Random,
    left: u64,
    made: u64,
    /// The workload's ids grow: one that is not beyond this was said before.
    last_id: String,
    kept: Vec<Message>,
    expected: Vec<Expected>,
}

#[derive(Clone, Copy)]
enum Rubbish {
    Undecodable,
    Tombstone,
    WrongKey,
    UnknownProgram,
    UnknownCurrency,
    FromTheFuture,
    Conflict,
}

const KINDS: [Rubbish; 7] = [
    Rubbish::Undecodable,
    Rubbish::Tombstone,
    Rubbish::WrongKey,
    Rubbish::UnknownProgram,
    Rubbish::UnknownCurrency,
    Rubbish::FromTheFuture,
    Rubbish::Conflict,
];

impl Traffic {
    /// `messages` about `members`, for a topic with `partitions`.
    pub fn new(seed: u64, messages: u64, members: u32, partitions: u32) -> Traffic {
        let options = WorkloadOptions { facts: messages, members, seed, ..WorkloadOptions::default() };
        Traffic {
            workload: Workload::new(options),
            random: Random::new(seed),
            left: messages,
            made: 0,
            last_id: String::new(),
            kept: Vec::new(),
            expected: vec![Expected::default(); partitions as usize],
        }
    }

    /// By partition, of what was made so far.
    pub fn expected(&self) -> &[Expected] {
        &self.expected
    }

    /// A control fact that went to every partition.
    pub fn add_control(&mut self) {
        self.expected.iter_mut().for_each(|of| of.facts += 1);
    }

    /// The next one; `None`: that was all.
    ///
    /// # Errors
    /// None, unless the workload is wrong.
    pub fn make(&mut self) -> Result<Option<Message>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.made += 1;
        let dice = self.random.below(1_000);
        if dice < RUBBISH && !self.kept.is_empty() {
            return self.rubbish().map(Some);
        }
        if dice < RUBBISH + AGAIN
            && let Some(message) = self.random.any(&self.kept)
        {
            self.of(&message.key).duplicates += 1;
            return Ok(Some(message));
        }
        let mut value = Vec::new();
        let member = self.workload.next_into(&mut value).context("the workload is over")?;
        let key = format!("{PROGRAM}/{}", member.text());
        let fact = read_fact(&value)?;
        if fact.id <= self.last_id.as_str() {
            self.of(&key).duplicates += 1;
        } else if fact.kind.is_request() {
            self.of(&key).requests += 1;
        } else {
            self.of(&key).facts += 1;
        }
        if fact.id > self.last_id.as_str() {
            self.last_id = fact.id.to_owned();
        }
        let message = Message { key, value: Some(value) };
        if self.kept.len() < KEPT_MAX {
            self.kept.push(message.clone());
        } else if self.random.chance(KEEP) {
            let place = self.random.below(KEPT_MAX);
            self.kept[place] = message.clone();
        }
        Ok(Some(message))
    }

    fn of(&mut self, key: &str) -> &mut Expected {
        let partitions = u32::try_from(self.expected.len()).unwrap_or(u32::MAX);
        &mut self.expected[murmur2_partition(key.as_bytes(), partitions) as usize]
    }

    /// Spoils a message that was fine.
    fn rubbish(&mut self) -> Result<Message> {
        let mut message = self.random.any(&self.kept).context("there are some")?;
        let kind = KINDS[self.random.below(KINDS.len())];
        let is_request = read_fact(message.value.as_deref().unwrap_or_default())?.kind.is_request();
        let mut fact = pb::Fact::decode(message.value.as_deref().unwrap_or_default())?;
        // Of the spoilt ones only a conflict is one of its id.
        let id = std::mem::replace(&mut fact.id, format!("spoilt-{}", self.made));
        let code = match kind {
            Rubbish::Undecodable | Rubbish::Tombstone => "undecodable",
            Rubbish::WrongKey => {
                message.key.push('x');
                "wrong_key"
            }
            Rubbish::UnknownProgram => {
                fact.program = "nowhere".into();
                message.key = format!("nowhere/{}", fact.member);
                "unknown_program"
            }
            Rubbish::UnknownCurrency => {
                let order = pb::OrderPlaced {
                    order_id: format!("spoilt-{}", self.made),
                    version: 1,
                    currency: "EUR".into(),
                    ..pb::OrderPlaced::default()
                };
                fact.body = Some(pb::fact::Body::OrderPlaced(order));
                "unknown_currency"
            }
            Rubbish::FromTheFuture => {
                fact.occurred_at.get_or_insert_default().seconds = FUTURE;
                "from_the_future"
            }
            Rubbish::Conflict => {
                fact.id = id;
                fact.occurred_at.get_or_insert_default().seconds -= 1;
                "conflict"
            }
        };
        let mut bytes = Vec::new();
        write_fact(&fact, &mut bytes);
        if matches!(kind, Rubbish::Undecodable) {
            bytes.pop();
        }
        message.value = (!matches!(kind, Rubbish::Tombstone)).then_some(bytes);
        let of = self.of(&message.key);
        // A request that is made again at another time is the same request.
        if is_request && matches!(kind, Rubbish::Conflict) {
            of.duplicates += 1;
        } else {
            *of.dead.entry(code).or_default() += 1;
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(seed: u64) -> (Vec<Message>, Vec<Expected>) {
        let mut traffic = Traffic::new(seed, 20_000, 500, 6);
        let mut messages = Vec::new();
        while let Some(message) = traffic.make().expect("is made") {
            messages.push(message);
        }
        (messages, traffic.expected().to_vec())
    }

    #[test]
    fn the_shares_are_what_they_should_be() {
        let (messages, expected) = all(3);
        assert_eq!((messages.len(), &messages), (20_000, &all(3).0));
        let sum = |count: fn(&Expected) -> u64| expected.iter().map(count).sum::<u64>();
        assert_eq!(sum(Expected::consumed), 20_000);
        assert!((800..1_200).contains(&sum(|of| of.duplicates)), "{expected:?}");
        assert!((130..270).contains(&sum(|of| of.dead.values().sum())), "{expected:?}");
        for code in ["undecodable", "wrong_key", "unknown_program", "unknown_currency", "from_the_future", "conflict"] {
            assert!(expected.iter().any(|of| of.dead.contains_key(code)), "no {code}");
        }
        // Those that are said again are, byte for byte; or requests made again, stamped anew.
        let (mut seen, mut ids) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        let (mut again, mut retried) = (0, 0);
        for message in &messages {
            let fact = message.value.as_deref().and_then(|value| read_fact(value).ok());
            let new_id = fact.as_ref().is_none_or(|fact| ids.insert((fact.member.to_owned(), fact.id.to_owned())));
            if !seen.insert((&message.key, &message.value)) {
                again += 1;
            } else if !new_id && fact.is_some_and(|fact| fact.kind.is_request()) {
                retried += 1;
            }
        }
        assert!(again + retried >= sum(|of| of.duplicates) && retried < 20, "{again}, {retried}");
    }

    #[test]
    fn what_is_lost_or_twice_is_seen() {
        let expected = Expected { facts: 5, requests: 2, duplicates: 1, dead: [("conflict", 1), ("wrong_key", 2)].into() };
        let right = Counters {
            facts: 5,
            requests_accepted: 1,
            requests_rejected: 1,
            duplicates: 1,
            conflicts: 1,
            dead_letters: 2,
            ..Counters::default()
        };
        assert!(expected.differences(&right).is_empty());
        let lost = Counters { facts: 4, ..right };
        assert_eq!(expected.differences(&lost), ["4 facts, 5 were produced", "10 consumed, 11 were produced"]);
        let twice = Counters { facts: 6, duplicates: 0, ..right };
        assert_eq!(expected.differences(&twice), ["6 facts, 5 were produced", "0 duplicates, 1 were produced"]);
    }
}
