//! The shards of a store, and one history told to them.

use accrue_ledger::{Decision, Instant, Outcome};
use accrue_projections::story::{Delivered, Desks};
use accrue_projections::{AsKnown, AsOf, Digest, LedgerOptions, verify};
use accrue_proto::json::{Defaults, fact_from_value};
use accrue_proto::write_fact;
use accrue_store::{Position, Store, StoreOptions};
use accrue_tests::beside::built_beside_is_the_same;
use accrue_tests::history::random::Random;
use accrue_tests::history::{History, with_codes};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

const PROGRAM: &str = "test";
const BEGINNING: &str = "0001-01-01T00:00:00Z";

pub struct World {
    _dir: TempDir,
    pub desks: Desks,
    currency: String,
    /// The history's codes, and the real ones.
    codes: BTreeMap<String, String>,
}

impl World {
    pub fn open(history: &History, shards: u32) -> Result<World> {
        World::in_dir(tempfile::tempdir()?, history, shards)
    }

    /// Of one shard and of several, with one secret: coupons have the same codes in both, so digests can be compared.
    pub fn pair(history: &History, shards: u32) -> Result<(World, World)> {
        let (one, many) = (tempfile::tempdir()?, tempfile::tempdir()?);
        for (dir, shards) in [(&one, 1), (&many, shards)] {
            drop(Store::open(dir.path(), StoreOptions { embedded_shards: Some(shards), ..StoreOptions::default() })?);
        }
        fs::copy(one.path().join("secret"), many.path().join("secret"))?;
        let read = |dir: &TempDir| -> Result<Value> {
            let text = fs::read_to_string(dir.path().join("store.json"))?;
            Ok(serde_json::from_str(text.lines().next().context("a line")?)?)
        };
        let mut made = read(&many)?;
        made["secret_check"] = read(&one)?["secret_check"].clone();
        let json = made.to_string();
        fs::write(many.path().join("store.json"), format!("{json}\n{:016x}\n", xxh3_64(json.as_bytes())))?;
        Ok((World::in_dir(one, history, 1)?, World::in_dir(many, history, shards)?))
    }

    fn in_dir(dir: TempDir, history: &History, shards: u32) -> Result<World> {
        // Small, so that checkpoints come at all sorts of moments.
        let options = LedgerOptions { checkpoint_facts: 37, ..LedgerOptions::default() };
        let mut desks = Desks::open(dir.path(), shards, options)?;
        let from = Instant::parse(BEGINNING).context("an instant")?;
        for shard in 0..desks.count() {
            let became = desks.desk(shard).activate(PROGRAM, &history.rules_toml, from)?;
            ensure!(matches!(became, Delivered::Booked { .. }), "{became:?}");
        }
        let currency = history.timeline()?[0].1.currency.clone();
        Ok(World { _dir: dir, desks, currency, codes: BTreeMap::new() })
    }

    fn bytes(&self, fact: &Value) -> Result<Vec<u8>> {
        let fact = with_codes(fact, &self.codes);
        let message =
            fact_from_value(&fact, &Defaults { currency: Some(&self.currency) }).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut bytes = Vec::new();
        write_fact(&message, &mut bytes);
        Ok(bytes)
    }

    /// Tells a fact; what follows from it waits.
    pub fn tell_only(&mut self, fact: &Value) -> Result<Delivered> {
        let bytes = self.bytes(fact)?;
        Ok(self.desks.deliver(&bytes)?)
    }

    pub fn settle(&mut self) -> Result<()> {
        Ok(self.desks.settle()?)
    }

    /// Tells a fact, and everything that follows; what became of it. A request that went to another shard is asked again.
    pub fn tell(&mut self, fact: &Value) -> Result<String> {
        let bytes = self.bytes(fact)?;
        let mut became = self.desks.deliver(&bytes)?;
        self.settle()?;
        if let Delivered::Booked { decision: None, parked: true, .. } = became
            && let Delivered::Duplicate { decision: Some(decision), .. } = self.desks.deliver(&bytes)?
        {
            became = Delivered::Booked { position: Position(0), decision: Some(decision), late: false, parked: false };
        }
        if let Delivered::Booked { decision: Some(decision), .. } = &became {
            self.learn(fact, decision);
        }
        Ok(match became {
            Delivered::Booked { decision, .. } => format!("booked {}", told(decision.as_ref())),
            Delivered::Duplicate { decision, .. } => format!("duplicate {}", told(decision.as_ref())),
            Delivered::Conflict { .. } => "conflict".to_owned(),
            Delivered::Refused { code, .. } => format!("refused {code}"),
        })
    }

    fn learn(&mut self, fact: &Value, decision: &Decision) {
        let Outcome::Accepted(promise) = &decision.outcome else { return };
        let ids = [("redemption_requested", "redemption_id"), ("reward_granted", "grant_id")];
        let id = ids.iter().find_map(|(kind, key)| fact.get(kind)?.get(key)?.as_str());
        if let (Some(id), Some(coupon)) = (id, &promise.coupon) {
            self.codes.insert(format!("code-of-{id}"), coupon.code.to_string());
        }
    }

    /// Some of what is on its way arrives; sometimes a shard crashes, or writes a checkpoint.
    pub fn disturb(&mut self, random: &mut Random) -> Result<()> {
        let shard = random.below(self.desks.count());
        match random.below(10) {
            0..4 => {}
            4..8 => drop(self.desks.carry(shard)?),
            8 => self.desks.desk(shard).checkpoint()?,
            _ => {
                let end = self.desks.desk(shard).next_position().0;
                let again = Position(end.saturating_sub(random.below(12) as u64).max(1));
                self.desks.crash(shard, again)?;
            }
        }
        Ok(())
    }

    /// What is said of a member, but for what differs from store to store.
    pub fn answer(&self, member: &str, at: i64) -> Result<Value> {
        self.answer_then(member, at, at)
    }

    /// Codes are of the store: what has the names of their requests instead is the same in all.
    pub fn without_codes(&self, text: &str) -> String {
        self.codes.iter().fold(text.to_owned(), |text, (name, code)| text.replace(code, name))
    }

    /// The same of an instant that may be past.
    pub fn answer_then(&self, member: &str, at: i64, now: i64) -> Result<Value> {
        let (asked, now) = (AsOf { as_of: Some(Instant(at)), known: AsKnown::Now }, Instant(now));
        let Some(reader) = self.desks.reader_for(PROGRAM, member, asked, now)? else { return Ok(Value::Null) };
        let mut answer = serde_json::to_value(reader.member(PROGRAM, member, asked, now)?)?;
        for name in ["shard", "next_position", "number", "profile"] {
            answer.as_object_mut().context("an object")?.remove(name);
        }
        for coupon in answer["coupons"]["open"].as_array_mut().into_iter().flatten() {
            coupon["code"] = Value::Null;
        }
        // In texts, too.
        answer = serde_json::from_str(&self.without_codes(&answer.to_string()))?;
        let entries = reader.entries(PROGRAM, member, asked, now)?.unwrap_or_default();
        answer["entries"] =
            entries.iter().map(|entry| format!("{} {} {} {}", entry.at, entry.kind, entry.ledger, entry.points)).collect();
        Ok(answer)
    }

    /// Of everything derived, in all shards.
    pub fn digest(&mut self) -> Result<String> {
        let mut digest = Digest::default();
        for shard in 0..self.desks.count() {
            digest.merge(self.desks.desk(shard).reader()?.digest(PROGRAM)?);
        }
        Ok(digest.to_string())
    }

    /// `verify` of every shard, and the same digest from the logs alone.
    pub fn is_whole(&mut self) -> Result<()> {
        for shard in 0..self.desks.count() {
            let desk = self.desks.desk(shard);
            built_beside_is_the_same(desk, LedgerOptions::default()).with_context(|| format!("shard {shard}"))?;
            let live = desk.reader()?.digest(PROGRAM)?.to_string();
            desk.rebuild()?;
            let again = desk.reader()?.digest(PROGRAM)?.to_string();
            ensure!(live == again, "shard {shard}: {live} live, {again} from the log alone");
            let scratch = tempfile::tempdir()?;
            let report = verify(desk.store(), &desk.reader()?, LedgerOptions::default(), scratch.path(), |_| ())?;
            ensure!(report.is_whole(), "shard {shard}: {:?}", report.broken);
        }
        Ok(())
    }
}

fn told(decision: Option<&Decision>) -> String {
    match decision.map(|decision| (decision.at, &decision.outcome)) {
        None => String::new(),
        Some((at, Outcome::Rejected(reason))) => format!("rejected {} {at}", reason.name()),
        Some((at, Outcome::Accepted(promise))) => format!("accepted {} {at}", promise.points),
    }
}

/// The fields that differ.
pub fn differences(one: &Value, many: &Value) -> String {
    let empty = serde_json::Map::new();
    let (one_of, many_of) = (one.as_object().unwrap_or(&empty), many.as_object().unwrap_or(&empty));
    let differ = one_of.keys().chain(many_of.keys()).filter(|key| one_of.get(*key) != many_of.get(*key));
    differ.map(|key| format!("{key}\n  one: {}\n  several: {}\n", one[key], many[key])).collect()
}
