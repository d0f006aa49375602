//! Referrers, codes and friends in different shards: embedded, through a real Kafka, and with kills in between.

use super::embedded::Log;
use super::topic::{Topic, at_rest};
use super::{PROGRAM, fact};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const REFERRERS: u64 = 8;
const FRIENDS: u64 = 240;
/// Each friend: joins, orders, or orders and sends all back.
const FACTS: u64 = REFERRERS + 3 * FRIENDS;
const CHILD_DIR: &str = "ACCRUE_REFERRALS_CHILD_DIR";
const ARRIVAL_MAX: Duration = Duration::from_secs(60);

fn referrer(number: u64) -> String {
    format!("referrer-{}", number % REFERRERS)
}

/// All facts there are, in an order in which much comes before what it is about: the refund before the order before the code.
fn referral_fact(number: u64) -> (String, Vec<u8>) {
    let number = number * 5 % FACTS;
    if number < REFERRERS {
        let who = referrer(number);
        let body = json!({ "slug": format!("code-{number}") });
        let bytes = fact(&who, &format!("slug-{number}"), "2024-01-02T00:00:00Z", "referral_code_changed", &body);
        return (who, bytes);
    }
    let (friend, what) = ((number - REFERRERS) % FRIENDS, (number - REFERRERS) / FRIENDS);
    let (who, order) = (format!("friend-{friend}"), format!("first-{friend}"));
    let (at, name, body) = match what {
        0 => ("2024-01-03T00:00:00Z", "referral_joined", json!({ "code": format!("code-{}", friend % REFERRERS) })),
        1 => {
            let line = json!({ "line_id": "1", "sku": "tea", "quantity": 1, "unit_price": "30.00" });
            ("2024-01-04T00:00:00Z", "order_placed", json!({ "order_id": order, "currency": "GBP", "lines": [line] }))
        }
        _ if friend.is_multiple_of(3) => ("2024-01-05T00:00:00Z", "order_cancelled", json!({ "order_id": order })),
        _ => ("2024-01-05T00:00:00Z", "activity_recorded", json!({ "activity_id": order, "activity": "review" })),
    };
    let bytes = fact(&who, &format!("{name}-{friend}"), at, name, &body);
    (who, bytes)
}

/// What a referrer must come to, whatever came when: friends, those who sent all back, and points.
fn expected(number: u64) -> (u64, u64, i64) {
    let friends = (0..FRIENDS).filter(|friend| friend % REFERRERS == number);
    let (all, back) = friends.fold((0, 0), |(all, back), friend| (all + 1, back + u64::from(friend.is_multiple_of(3))));
    (all, back, 100 * (all - back) as i64)
}

fn check(number: u64, answer: &Value) -> Result<()> {
    let (all, back, points) = expected(number);
    let (of, main) = (&answer["referrals"], &answer["balance"]["main"]);
    ensure!(of["joined"] == all && of["reversed"] == back && of["completed"] == all - back, "{}: {of}", referrer(number));
    ensure!(main["active"] == points && main["earned"] == 100 * all && main["debt"] == 0, "{}: {main}", referrer(number));
    Ok(())
}

/// The child of the next test: books facts until it is killed.
#[test]
#[ignore = "run by the next test, which kills it"]
fn books_referrals_until_it_is_killed() -> Result<()> {
    let dir = std::env::var_os(CHILD_DIR).context("the directory")?;
    let log = Log::open(Path::new(&dir))?;
    for number in log.booked()? % FACTS..FACTS {
        log.embedded().publish_fact(&referral_fact(number).1)?;
    }
    log.stop()
}

#[test]
fn referrals_between_shards_survive_kills_once_each() -> Result<()> {
    const KILLS: u64 = 5;
    let dir = tempfile::tempdir()?;
    Log::begun(dir.path())?.stop()?;
    for kill in 1..=KILLS {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "referrals::books_referrals_until_it_is_killed", "--ignored"])
            .env(CHILD_DIR, dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(250 + 130 * kill));
        child.kill()?;
        child.wait()?;
    }
    let log = Log::open(dir.path())?;
    log.publish_all((0..FACTS).map(|number| referral_fact(number).1))?;
    ensure!(log.embedded().settle(ARRIVAL_MAX), "something is still on its way");
    let check_all = |log: &Log| (0..REFERRERS).try_for_each(|number| check(number, &log.answer(&referrer(number))?));
    check_all(&log)?;
    let shards: std::collections::BTreeSet<u64> =
        (0..REFERRERS).filter_map(|number| log.answer(&referrer(number)).ok()?["shard"].as_u64()).collect();
    ensure!(shards.len() > 1, "all referrers are in one shard: nothing crosses");
    let live = log.digests()?;
    log.stop()?;
    // What was sent is sent once more, and known; and everything derived is derived again.
    Log::forget_all(dir.path())?;
    let again = Log::open(dir.path())?;
    ensure!(again.embedded().settle(ARRIVAL_MAX), "something is still on its way");
    check_all(&again)?;
    ensure!(again.digests()? == live, "rebuilt is not live, or what was sent twice was booked twice");
    again.stop()
}

#[test]
fn referrals_through_kafka_survive_kills_once_each() -> Result<()> {
    const KILLS: u64 = 3;
    let topic = Topic::begin("referrals")?;
    let service = topic.through_kills(KILLS, FACTS, referral_fact)?;
    at_rest(&service)?;
    for number in 0..REFERRERS {
        let (status, text) = service.api(&format!("v1/programs/{PROGRAM}/members/{}", referrer(number)))?;
        ensure!(status == 200, "{text}");
        check(number, &serde_json::from_str(&text)?)?;
        let (_, text) = service.api(&format!("v1/programs/{PROGRAM}/members/{}/referrals", referrer(number)))?;
        let answer: Value = serde_json::from_str(&text)?;
        let friends = answer["friends"].as_array().context("friends")?;
        let brought: i64 = friends.iter().filter_map(|friend| friend["points"].as_i64()).sum();
        ensure!(friends.len() as u64 == expected(number).0 && brought == expected(number).2, "{answer}");
    }
    topic.end(service)
}
