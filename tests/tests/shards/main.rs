//! One shard and several say the same of members that are merged and parted, whatever arrives when, and whatever crashes meanwhile.
//!
//! `ACCRUE_HISTORIES` sets how many histories there are (24 by default), `ACCRUE_SEED` which one comes first.

mod friends;
mod persons;
mod spending;
mod swept;
mod world;

use accrue_tests::history::random::Random;
use accrue_tests::history::{Delivery, Expected, Features, History, Options, generate};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use world::World;

const SHARDS: u32 = 5;
/// Merges and unmerges of a history.
const LINKS: usize = 8;
/// Every so many histories everything is derived again: that takes most of the time.
const WHOLE_EVERY: u64 = 4;

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seeds() -> std::ops::Range<u64> {
    let first = number_from("ACCRUE_SEED", 0);
    first..first + number_from("ACCRUE_HISTORIES", 24)
}

fn options(requests: bool) -> Options {
    let features = Features { erased: false, ..Features::ALL };
    Options { members: 4, steps: 12, requests, conflicts: false, second_ruleset: false, features, ..Options::all() }
}

fn same(one: &mut World, many: &mut World, history: &History, seed: u64, when: &str) -> Result<()> {
    let last = history.instants()?.last().copied().unwrap_or_default();
    let instants = history.instants()?;
    let middle = [3, 5, 8].map(|tenth| instants[instants.len() * tenth / 10]);
    let all: Vec<i64> = [last - 800 * 86_400_000_000, last].into_iter().chain(middle).collect();
    swept::same(one, many, &all, last).with_context(|| format!("seed {seed}, {when}"))?;
    for at in all {
        for member in &history.members {
            let (one, many) = (one.answer_then(member, at, last)?, many.answer_then(member, at, last)?);
            ensure!(one == many, "seed {seed}, {when}, {member}:\n{}", world::differences(&one, &many));
        }
    }
    let (of_one, of_many) = (one.digest()?, many.digest()?);
    ensure!(of_one == of_many, "seed {seed}, {when}: digest {of_one} of one shard, {of_many} of several");
    Ok(())
}

/// Everything has arrived before the next fact comes: decisions are the same, too.
#[test]
fn several_shards_decide_as_one() -> Result<()> {
    for seed in seeds() {
        let mut history = generate(seed, &options(true))?;
        with_links(&mut history, seed);
        let (mut one, mut many) = World::pair(&history, SHARDS)?;
        for (number, fact) in history.facts().iter().enumerate() {
            let (by_one, by_many) = (one.tell(fact)?, many.tell(fact)?);
            ensure!(by_one == by_many, "seed {seed}, fact {number}: {fact}\none shard: {by_one}\nseveral: {by_many}");
        }
        same(&mut one, &mut many, &history, seed, "at the end").with_context(|| format!("{:#?}", links(&history)))?;
        if seed % WHOLE_EVERY == 0 {
            many.is_whole()?;
        }
    }
    Ok(())
}

/// Facts come while others are on their way, shards crash, and what was carried is carried again.
#[test]
fn any_order_between_shards_and_any_crash_come_to_the_same() -> Result<()> {
    for seed in seeds() {
        let mut history = generate(seed, &options(false))?;
        with_links(&mut history, seed);
        let (mut one, mut many) = World::pair(&history, SHARDS)?;
        let mut random = Random::new(seed ^ 0x5AD5);
        let mut facts = history.facts();
        facts.iter().try_for_each(|fact| one.tell(fact).map(drop))?;
        if seed % 2 == 1 {
            random.shuffle(&mut facts);
        }
        for fact in &facts {
            many.tell_only(fact)?;
            many.disturb(&mut random)?;
        }
        many.settle()?;
        same(&mut one, &mut many, &history, seed, "disturbed").with_context(|| format!("{:#?}", links(&history)))?;
        if seed % WHOLE_EVERY == 0 {
            many.is_whole()?;
        }
    }
    Ok(())
}

/// Members are merged and parted all the time, at the instants of the facts they come with.
fn with_links(history: &mut History, seed: u64) {
    let mut random = Random::new(seed ^ 0x1145);
    for number in 0..LINKS {
        let at = random.below(history.deliveries.len().max(1));
        let Some(next) = history.deliveries.get(at) else { return };
        let (winner, loser) =
            (random.any(&history.members).unwrap_or_default(), random.any(&history.members).unwrap_or_default());
        let kind = if random.chance(70) { "members_merged" } else { "members_unmerged" };
        let fact = json!({
            "id": format!("link-{number}"), "source": "desk", "program": "test", "member": winner,
            "occurred_at": next.fact["occurred_at"], kind: { "loser": loser },
        });
        history.deliveries.insert(at, Delivery { fact, expected: Expected::New });
    }
}

fn links(history: &History) -> Vec<String> {
    let is_link = |fact: &&Value| fact.get("members_merged").is_some() || fact.get("members_unmerged").is_some();
    history.facts().iter().filter(is_link).map(ToString::to_string).collect()
}
