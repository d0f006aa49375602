//! Rules applied, and undone, by a service whose facts go through a topic; killed at every named moment.

use crate::shop::{RULES, is_whole};
use accrue_server::answering::ApplyPoint;
use accrue_server::intake::InTheTopic;
use accrue_tests::broker::Broker;
use accrue_tests::service::{Service, Setup};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

/// More than are handed in at a time.
const MEMBERS: usize = 700;
const SETS: [&str; 2] = ["kafka.topic_partitions=2", "kafka.partitions=0,1"];
const BEFORE: i64 = 5;
const AFTER: i64 = 15;

/// A topic with rules and an order of each member, and a store that has them.
fn filled(setup: &Setup<'_>, dir: &Path) -> Result<()> {
    let write = |name: &str, text: &str| -> Result<String> {
        std::fs::write(dir.join(name), text)?;
        Ok(dir.join(name).display().to_string())
    };
    setup.run(&["topics", "apply"])?;
    setup.run(&["rules", "activate", &write("rules.toml", RULES)?, "--from", "2024-01-01", "--kafka"])?;
    let order = |number: usize| {
        json!({
            "id": format!("e-{number}"), "source": "test", "program": "shop", "member": format!("m{number}"), "occurred_at": "2024-03-01T10:00:00Z",
            "order_placed": { "order_id": format!("o-{number}"), "lines": [{ "line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00" }] },
        })
    };
    let orders: String = (0..MEMBERS).map(|number| format!("{}\n", order(number))).collect();
    setup.run(&["publish", "--kafka", &write("orders.jsonl", &orders)?])?;
    let service = Service::start(setup)?;
    service.until("all is durable", |service| Ok(service.durable()? == MEMBERS as u64 + 2))?;
    service.terminate()
}

fn apply(policy: &str, day: usize) -> Value {
    let new = RULES.replace("points = 1", "points = 3");
    json!({ "new": new, "policy": policy, "from": "2024-01-01T00:00:00Z", "at": format!("2024-06-{day:02}T00:00:00Z") })
}

/// Asks until the service has all its shards.
fn asked(service: &Service, what: &str, body: &Value) -> Result<(u16, Value)> {
    let mut answer = (0, Value::Null);
    service.until(what, |service| {
        answer = service.post(&format!("v1/programs/shop/rules/{what}"), &body.to_string())?;
        Ok(answer.0 != 421 && answer.0 != 503)
    })?;
    Ok(answer)
}

/// What every member has, page by page.
fn points(service: &Service) -> Result<BTreeMap<i64, usize>> {
    let (mut found, mut token) = (BTreeMap::new(), String::new());
    loop {
        let (status, told) = service.api(&format!("v1/programs/shop/members?page_size=200{token}"))?;
        ensure!(status == 200, "{told}");
        let told: Value = serde_json::from_str(&told)?;
        for row in told["members"].as_array().context("members")? {
            *found.entry(row["active"].as_i64().context("points")?).or_default() += 1;
        }
        let Some(next) = told["next_page_token"].as_str() else { return Ok(found) };
        token = format!("&page_token={next}");
    }
}

/// The latest application: its state, and how many entries were accepted.
fn latest(service: &Service) -> Result<(Value, usize)> {
    let told: Value = serde_json::from_str(&service.api("v1/programs/shop/rules/applications")?.1)?;
    let rows = told["applications"].as_array().with_context(|| told.to_string())?;
    Ok((rows.first().cloned().unwrap_or_default(), rows.len()))
}

/// Asks a service that is killed meanwhile, and the next one the same again.
fn twice(setup: &Setup<'_>, point: &dyn Debug, what: &str, body: &Value) -> Result<(Service, u16, Value)> {
    let service = Service::start_killed(setup, point)?;
    let answer = asked(&service, what, body);
    service.killed().with_context(|| format!("{answer:?}"))?;
    let service = Service::start(setup)?;
    let (status, told) = asked(&service, what, body)?;
    Ok((service, status, told))
}

fn there_and_back(setup: &Setup<'_>, point: &dyn Debug, policy: &str, day: usize) -> Result<()> {
    let before = 2 * (day - 1);
    let (service, status, told) = twice(setup, point, "apply", &apply(policy, day))?;
    ensure!(status == 200, "{status} {told}");
    let (application, count) = latest(&service)?;
    ensure!(count == before + 1, "{count} applications, {before} before");
    let entries = if policy == "restate" { 0 } else { MEMBERS };
    ensure!(application["state"] == "done" && application["accepted"] == json!(entries), "{application}");
    ensure!(points(&service)? == [(AFTER, MEMBERS)].into(), "applied: {:?}", points(&service)?);
    service.terminate()?;

    let undo = json!({ "id": application["id"], "at": format!("2024-06-{day:02}T12:00:00Z") });
    let (service, status, told) = twice(setup, point, "undo", &undo)?;
    let is_undone = status == 409 && told["detail"].as_str().is_some_and(|why| why.contains("is undone already"));
    ensure!(
        if format!("{point:?}") == format!("{:?}", ApplyPoint::TaskDone) { is_undone } else { status == 200 },
        "{status} {told}"
    );
    ensure!(latest(&service)?.1 == before + 2, "{told}");
    ensure!(points(&service)? == [(BEFORE, MEMBERS)].into(), "undone: {:?}", points(&service)?);
    service.terminate()
}

#[test]
fn applied_and_undone_once_whenever_the_service_is_killed() -> Result<()> {
    let (broker, dir) = (Broker::start(1)?, tempfile::tempdir()?);
    let data = dir.path().join("data");
    let setup = Setup { dir: &data, brokers: broker.bootstrap(), topic: "facts", group: "g", sets: &SETS };
    filled(&setup, dir.path())?;
    let mut day = 0;
    for policy in ["true_up", "restate"] {
        // Nothing is entered where history is restated.
        let points = ApplyPoint::ALL.iter().filter(|point| policy != "restate" || **point != ApplyPoint::SomeBooked);
        let points: Vec<&dyn Debug> =
            std::iter::once(&InTheTopic as &dyn Debug).chain(points.map(|point| point as &dyn Debug)).collect();
        for point in points {
            day += 1;
            there_and_back(&setup, point, policy, day).with_context(|| format!("{policy}, killed at {point:?}"))?;
        }
    }
    is_whole(&setup)
}
