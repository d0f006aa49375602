//! Generations change places again and again while facts come in and members are read.

use crate::shop::{ALIAS, MEMBERS, POINTS_OF_AN_ORDER, Shop, build, digest, flip, is_the_same, is_whole, member, order, settled};
use accrue_tests::history::random::Random;
use accrue_tests::service::{Service, Setup};
use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use ureq::Agent;

const BEFORE: usize = 3_000;
const FLIPS: usize = 60;
const READERS: u64 = 3;
/// Orders that come in meanwhile, at most.
const MORE: usize = 100_000;

struct Reader<'a> {
    url: &'a str,
    agent: Agent,
    took: Vec<Duration>,
    /// Orders of each member, and how far each shard was, when it was last asked.
    seen: BTreeMap<String, i64>,
}

impl<'a> Reader<'a> {
    fn new(url: &'a str) -> Reader<'a> {
        Reader { url, agent: Agent::new_with_defaults(), took: Vec::new(), seen: BTreeMap::new() }
    }

    #[expect(clippy::disallowed_methods, reason = "how long it took, for the reader; no result depends on it")]
    fn get(&mut self, path: &str) -> Result<Value> {
        let begun = Instant::now();
        let mut answer =
            self.agent.get(format!("{}/v1/programs/shop/{path}", self.url)).call().with_context(|| path.to_owned())?;
        let read = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        self.took.push(begun.elapsed());
        Ok(read)
    }

    /// Asks for a member, and finds it whole, and not from before what was known.
    fn member(&mut self, name: &str, min_position: u64) -> Result<i64> {
        let told = self.get(&format!("members/{name}?min_position={min_position}"))?;
        let main = &told["balance"]["main"];
        let lots = main["lots"].as_array().context("lots")?.iter().filter_map(|lot| lot["left"].as_i64()).sum();
        let orders = whole(&told, [main["active"].as_i64(), main["earned"].as_i64(), Some(lots)])?;
        self.not_before(format!("shard {}", told["shard"]), told["next_position"].as_i64().context("a position")?)?;
        self.not_before(name.to_owned(), orders)?;
        Ok(orders)
    }

    fn list(&mut self) -> Result<()> {
        let told = self.get("members?page_size=200")?;
        for row in told["members"].as_array().context("members")? {
            let orders = whole(row, [row["active"].as_i64(), row["earned"].as_i64()])?;
            self.not_before(row["member"].as_str().context("a name")?.to_owned(), orders)?;
        }
        Ok(())
    }

    fn not_before(&mut self, what: String, now: i64) -> Result<()> {
        let before = self.seen.get(&what).copied().unwrap_or(0);
        ensure!(now >= before, "{what} was at {before} and is at {now}");
        self.seen.insert(what, now);
        Ok(())
    }
}

fn whole<const N: usize>(told: &Value, points: [Option<i64>; N]) -> Result<i64> {
    let orders = told["orders"].as_i64().context("orders")?;
    ensure!(points == [Some(orders * POINTS_OF_AN_ORDER); N], "{told}");
    Ok(orders)
}

fn read(url: &str, seed: u64, ended: &AtomicBool) -> Result<Vec<Duration>> {
    let (mut reader, mut random) = (Reader::new(url), Random::new(seed));
    while !ended.load(Ordering::Relaxed) {
        match random.below(20) {
            0 => reader.list()?,
            _ => drop(reader.member(&member(random.below(MEMBERS)), 0)?),
        }
    }
    Ok(reader.took)
}

/// One order after the other; each counts as soon as it is taken. The first that is not in.
fn tell(url: &str, ended: &AtomicBool) -> Result<usize> {
    let mut reader = Reader::new(url);
    for number in BEFORE..BEFORE + MORE {
        if ended.load(Ordering::Relaxed) {
            return Ok(number);
        }
        let sent = reader.agent.post(format!("{url}/v1/facts")).content_type("application/json").send(order(number).to_string());
        let receipt: Value = serde_json::from_str(&sent?.body_mut().read_to_string()?)?;
        let position = receipt["position"].as_u64().with_context(|| receipt.to_string())?;
        let before = reader.seen.get(&member(number)).copied();
        let orders = reader.member(&member(number), position)?;
        // What is told of an alias goes on to the winner's shard.
        let counts = member(number) == ALIAS || before.is_none_or(|before| orders > before);
        ensure!(counts, "order {number} is taken and does not count: {orders}");
    }
    Ok(BEFORE + MORE)
}

#[expect(clippy::disallowed_methods, reason = "how long it took, for the reader; no result depends on it")]
fn flip_often(service: &Service, other: u64) -> Result<(Vec<Duration>, Vec<f64>)> {
    let (mut took, mut waited) = (Vec::new(), Vec::new());
    for number in 0..FLIPS {
        let begun = Instant::now();
        let told = match number % 2 {
            0 => flip(service, other)?,
            _ => service.post("v1/generations/rollback", "")?.1,
        };
        took.push(begun.elapsed());
        let shards = told["shards"].as_array().with_context(|| told.to_string())?;
        let expected = if number % 2 == 0 { other } else { 1 };
        ensure!(shards.iter().all(|shard| shard["live"] == expected), "{told}");
        waited.extend(shards.iter().filter_map(|shard| shard["writer_waited_ms"].as_f64()));
    }
    Ok((took, waited))
}

/// A slow build, while facts come in: what it tells of the writer's groups meanwhile, and without it.
fn watch_a_build(service: &Service) -> Result<()> {
    let (status, told) = service.post("v1/generations", r#"{"threads": 1, "memory_mib": 1, "io_mib_s": 1}"#)?;
    ensure!(status == 200, "{told}");
    settled(service)?;
    let rows: Value = serde_json::from_str(&service.api("v1/generations")?.1)?;
    let mut built = rows["generations"].as_array().context("rows")?.iter().filter(|row| row["generation"] == told["generation"]);
    let is_told = |times: &Value| times["groups"].as_u64() > Some(0) && times["p99_ms"].as_f64() > Some(0.0);
    ensure!(built.any(|row| is_told(&row["groups_while"]) && is_told(&row["groups_alone"])), "{rows}");
    Ok(())
}

fn share<T: Copy + PartialOrd>(values: &mut [T], percent: usize) -> Option<T> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied()
}

#[test]
fn no_read_fails_or_is_wrong() -> Result<()> {
    let shop = Shop::open(0..BEFORE)?;
    let dir = shop.copy("data")?;
    let setup = Setup::embedded(&dir);
    let service = Service::start(&setup)?;
    let other = build(&service)?;
    let (url, ended) = (service.url()?, AtomicBool::new(false));
    let (mut reads, mut took, mut waited, told) = std::thread::scope(|scope| -> Result<_> {
        let teller = scope.spawn(|| tell(&url, &ended));
        let readers: Vec<_> = (0..READERS)
            .map(|seed| {
                scope.spawn({
                    let (url, ended) = (&url, &ended);
                    move || read(url, seed, ended)
                })
            })
            .collect();
        let flipped = flip_often(&service, other).and_then(|flipped| watch_a_build(&service).map(|()| flipped));
        ended.store(true, Ordering::Relaxed);
        let (mut reads, gone) = (Vec::new(), || anyhow!("a thread panicked"));
        for reader in readers {
            reads.extend(reader.join().map_err(|_| gone())??);
        }
        let told = teller.join().map_err(|_| gone())??;
        let (took, waited) = flipped?;
        Ok((reads, took, waited, told))
    })?;
    eprintln!(
        "{FLIPS} flips: writers waited {:.1} ms at most, half {:.1} ms; answered after {:?} at most, half {:?}; {} reads, p99 {:?}, {} orders meanwhile",
        share(&mut waited, 100).context("flips")?,
        share(&mut waited, 50).context("flips")?,
        share(&mut took, 100).context("flips")?,
        share(&mut took, 50).context("flips")?,
        reads.len(),
        share(&mut reads, 99).context("reads")?,
        told - BEFORE
    );
    settled(&service)?;
    is_the_same(&service, other)?;
    service.terminate()?;
    is_whole(&setup)?;
    let (found, wanted) = (digest(&setup)?, shop.undisturbed(BEFORE..told)?);
    ensure!(found == wanted, "{found}, undisturbed {wanted}");
    Ok(())
}
