//! Members of several shards that become one: through the embedded log, in this process and in one that is killed.

use super::embedded::{ARRIVAL_MAX, CHILD_DIR, Log, NOW, SHARDS};
use super::{MEMBERS, POINTS, PROGRAM, fact, member};
use accrue_projections::AsOf;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Merges, requests under all names, and late facts, so many.
pub const STEPS: u64 = 1_500;
/// One member has so many facts before it is merged: more than fit in a part of what is handed over.
pub const FACTS: u64 = 1_700;
/// The one with all the facts.
const LARGE: &str = "m21";
/// Facts that are told again after a kill: they may not have become durable.
const AGAIN: u64 = 40;

/// Facts of the member that has many.
pub fn many(number: u64) -> (String, Vec<u8>) {
    let body = json!({ "activity_id": format!("a{number}"), "activity": "visit" });
    (LARGE.to_owned(), fact(LARGE, &format!("visit-{number}"), "2024-01-03T00:00:00Z", "activity_recorded", &body))
}

/// Eight families of three: the third is merged into the second, the second into the first, nearly all over other shards.
pub fn step(number: u64) -> (String, Vec<u8>) {
    let (at, id) = ("2024-02-01T00:00:00Z", format!("step-{number}"));
    let (family, who) = (number % 8, member(number % MEMBERS));
    if (200..200 + 16).contains(&number) {
        let (winner, loser) = if number % 16 < 8 { (family, family + 8) } else { (family + 8, family + 16) };
        let body = json!({ "loser": member(loser) });
        return (member(winner), fact(&member(winner), &id, at, "members_merged", &body));
    }
    if number % 50 == 7 {
        let line = json!({ "line_id": "1", "sku": "tea", "quantity": 1, "unit_price": "1.00" });
        let body = json!({ "order_id": id, "currency": "GBP", "lines": [line] });
        return (who.clone(), fact(&who, &id, "2024-01-20T00:00:00Z", "order_placed", &body));
    }
    let body = json!({ "redemption_id": id, "points": 1 + number % 11 });
    (who.clone(), fact(&who, &id, at, "redemption_requested", &body))
}

/// Points of all that were ever earned.
pub fn earned() -> i64 {
    MEMBERS as i64 * POINTS + (0..STEPS).filter(|number| number % 50 == 7 && !(200..216).contains(number)).count() as i64
}

/// The rows of all members in all shards: each member once.
fn rows(log: &Log) -> Result<Vec<(String, i64, i64, i64)>> {
    let mut rows = Vec::new();
    for reader in log.readers().values() {
        for row in reader.members(PROGRAM, "", 1_000, NOW)? {
            rows.push((row.member, row.active, row.spent, row.debt));
        }
    }
    rows.sort();
    Ok(rows)
}

fn check(log: &Log) -> Result<Vec<(String, i64, i64, i64)>> {
    ensure!(log.embedded().settle(ARRIVAL_MAX), "something is still on its way");
    let rows = rows(log)?;
    let names: Vec<&str> = rows.iter().map(|(member, ..)| member.as_str()).collect();
    ensure!(names == ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"], "{names:?}");
    let sum: i64 = rows.iter().map(|(_, active, spent, _)| active + spent).sum();
    ensure!(sum == earned() && rows.iter().all(|(.., debt)| *debt == 0), "{} of {}: {rows:?}", sum, earned());
    // Asked about anybody anywhere, one shard answers, for the winner.
    for number in 0..MEMBERS {
        let readers = log.readers();
        let answers =
            readers.values().filter_map(|reader| reader.member(PROGRAM, &member(number), AsOf::default(), NOW).transpose());
        let answers: Vec<_> = answers.collect::<Result<_, _>>()?;
        ensure!(answers.len() == 1 && answers[0].member == member(number % 8), "{number}: {} answers", answers.len());
        let mut merged = [member(number % 8 + 16), member(number % 8 + 8)];
        merged.sort();
        ensure!(answers[0].merged == merged, "{:?}", answers[0].merged);
    }
    Ok(rows)
}

/// The child of the next test: books until it is killed.
#[test]
#[ignore = "run by the next test, which kills it"]
fn merges_until_it_is_killed() -> Result<()> {
    let dir = std::env::var_os(CHILD_DIR).context("the directory")?;
    let (log, mark) = (Log::open(Path::new(&dir))?, Path::new(&dir).join("told"));
    let told: u64 = std::fs::read_to_string(&mark).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    for number in told.saturating_sub(AGAIN)..STEPS {
        log.embedded().publish_fact(&step(number).1)?;
        std::fs::write(&mark, number.to_string())?;
    }
    log.stop()
}

#[test]
fn merges_between_shards_survive_kills() -> Result<()> {
    const KILLS: u64 = 6;
    let dir = tempfile::tempdir()?;
    let log = Log::begun(dir.path())?;
    log.publish_all((0..FACTS).map(|number| many(number).1))?;
    log.stop()?;
    for kill in 1..=KILLS {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "merges::merges_until_it_is_killed", "--ignored"])
            .env(CHILD_DIR, dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(500 + 130 * kill));
        child.kill()?;
        child.wait()?;
    }
    let log = Log::open(dir.path())?;
    log.publish_all((0..STEPS).map(|number| step(number).1))?;
    let told = check(&log)?;
    let live = log.digests()?;
    log.stop()?;
    for shard in 0..SHARDS {
        let shard = dir.path().join("shards").join(format!("{shard:04}"));
        std::fs::remove_dir_all(shard.join("views"))?;
        std::fs::remove_file(shard.join("forwarded"))?;
    }
    // Everything is derived again, and carried again.
    let again = Log::open(dir.path())?;
    ensure!(check(&again)? == told && again.digests()? == live, "rebuilt is not live");
    again.stop()
}
