//! The workload of the issue, generated once: protobuf bytes one behind the other, and the ruleset that judges them.

use accrue_ingest::workload::{Workload, WorkloadOptions};
use accrue_ledger::{Fact, Instant, Ruleset, Timeline};
use accrue_proto::{pb, read_fact, write_fact};
use accrue_store::member_hash;
use anyhow::{Result, anyhow};

/// Facts as bytes.
pub struct Input {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Input {
    /// `facts` facts of `members` members.
    pub fn generate(facts: usize, members: u32, seed: u64) -> Input {
        let (mut bytes, mut ends) = (Vec::with_capacity(facts * 260), Vec::with_capacity(facts));
        let options = WorkloadOptions { facts: facts as u64, members, seed, ..WorkloadOptions::default() };
        let mut workload = Workload::new(options);
        let mut fact = Vec::new();
        while workload.next_into(&mut fact).is_some() {
            bytes.extend_from_slice(&fact);
            ends.push(bytes.len());
        }
        Input { bytes, ends }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Hash of the member of each, in order.
    pub fn hashes(&self) -> Result<Vec<u64>> {
        self.facts().map(|fact| fact.map(|fact| member_hash(fact.program, fact.member))).collect()
    }

    /// Hash of the member and number of each, member by member, of each in order: the log scattered.
    pub fn by_member(&self) -> Result<Vec<(u64, usize)>> {
        let mut order: Vec<(u64, usize)> = self.hashes()?.into_iter().zip(0..).collect();
        order.sort_unstable();
        Ok(order)
    }

    /// One of them, decoded.
    pub fn fact(&self, number: usize) -> Result<Fact<'_>> {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        decoded(&self.bytes[start..self.ends[number]])
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Decoded, as the fold gets them.
    pub fn facts(&self) -> impl Iterator<Item = Result<Fact<'_>>> {
        self.iter().map(decoded)
    }
}

fn decoded(bytes: &[u8]) -> Result<Fact<'_>> {
    read_fact(bytes).map_err(|error| anyhow!("{}: {}", error.code, error.detail))
}

/// The ruleset of the workload.
pub fn rules() -> Result<Timeline> {
    Ok(Timeline::always(Ruleset::parse(accrue_ingest::workload::RULESET)?))
}

/// The same with tiers and one limit.
pub fn rules_with_tiers() -> Result<Timeline> {
    Ok(Timeline::always(Ruleset::parse(include_str!("../../deploy/rulesets/bench-tiers.toml"))?))
}

/// The fact that activates it.
pub fn activation() -> Result<Vec<u8>> {
    let ruleset = Ruleset::parse(accrue_ingest::workload::RULESET)?;
    let body = pb::RulesetActivated {
        ruleset: accrue_ingest::workload::RULESET.to_string(),
        hash: ruleset.hash_hex(),
        effective_from: Some(accrue_proto::to_timestamp(Instant(0))),
    };
    let fact = pb::Fact {
        id: format!("ruleset:{}", ruleset.hash_hex()),
        source: "bench".into(),
        program: ruleset.program.to_string(),
        occurred_at: Some(accrue_proto::to_timestamp(Instant(0))),
        body: Some(pb::fact::Body::RulesetActivated(body)),
        ..pb::Fact::default()
    };
    let mut bytes = Vec::new();
    write_fact(&fact, &mut bytes);
    Ok(bytes)
}
