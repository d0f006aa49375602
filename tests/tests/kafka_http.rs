//! Facts over HTTP where they come from Kafka: through the topic, and awaited.

use accrue_tests::broker::Broker;
use accrue_tests::service::{Service, Setup};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;

const RULES: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n[[reward]]\nid = \"tea\"\nkind = \"redeemable\"\ncost = 10\nbenefit = { product = \"tea\" }\ncoupon = { valid_for = \"P90D\", uses = 1, prefix = \"TEA\" }\n";

fn order(id: &str, member: &str, amount: &str) -> Value {
    json!({
        "id": format!("e-{id}"), "source": "test", "program": "shop", "member": member, "occurred_at": "2024-03-01T10:00:00Z",
        "order_placed": { "order_id": id, "lines": [{ "line_id": "1", "sku": "x", "quantity": 1, "unit_price": amount }] },
    })
}

#[test]
fn facts_over_http_go_through_the_topic_and_are_awaited() -> Result<()> {
    let (broker, dir) = (Broker::start(1)?, tempfile::tempdir()?);
    let data = dir.path().join("data");
    std::fs::create_dir(&data)?;
    let setup = |partitions: &'static [&'static str]| Setup {
        dir: &data,
        brokers: broker.bootstrap(),
        topic: "facts",
        group: "g",
        sets: partitions,
    };
    let whole = setup(&["kafka.topic_partitions=2"]);

    // Without its topic it says so, with the hint.
    let service = Service::start(&whole)?;
    service.until("the topic is missed", |service| Ok(service.get("readyz")?.1.contains("accrue topics apply")))?;
    let verbose: Value = serde_json::from_str(&service.get("readyz?verbose")?.1)?;
    ensure!(verbose["reasons"].to_string().contains("there is no topic facts"), "{verbose}");
    let (status, refused) = service.post("v1/facts", &order("A", "m1", "25.00").to_string())?;
    ensure!((status, refused["code"].as_str()) == (503, Some("kafka_unavailable")), "{refused}");

    whole.run(&["topics", "apply"])?;
    let rules = dir.path().join("rules.toml");
    std::fs::write(&rules, RULES)?;
    whole.run(&["rules", "activate", path(&rules)?, "--from", "2024-01-01", "--kafka"])?;
    service.until("the rules are in force", |service| {
        Ok(service.get("readyz")?.0 == 200 && service.api("v1/programs/shop/rulesets")?.0 == 200)
    })?;
    let (status, receipt) = service.post("v1/facts", &order("A", "m1", "25.00").to_string())?;
    ensure!((status, receipt["outcome"].as_str()) == (200, Some("booked")), "{receipt}");
    let position = receipt["position"].as_u64().context("a position")?;
    let (_, member) = service.api(&format!("v1/programs/shop/members/m1?min_position={position}"))?;
    ensure!(serde_json::from_str::<Value>(&member)?["balance"]["main"]["active"] == 25, "{member}");

    let request = json!({
        "id": "r", "source": "test", "program": "shop", "member": "m1", "occurred_at": "2024-03-02T10:00:00Z",
        "redemption_requested": { "redemption_id": "R", "reward": "tea" },
    });
    let mut other_id = order("A", "m1", "25.00");
    other_id["id"] = json!("another");
    let unknown = json!({
        "id": "x", "source": "test", "program": "nowhere", "member": "m1", "occurred_at": "2024-03-02T10:00:00Z", "member_left": {},
    });
    let many = json!([request, order("A", "m1", "25.00"), order("A", "m1", "99.00"), other_id, unknown, request]);
    let (status, answer) = service.post("v1/facts", &many.to_string())?;
    let outcomes: Vec<&str> =
        answer["receipts"].as_array().context("receipts")?.iter().filter_map(|row| row["outcome"].as_str()).collect();
    ensure!(outcomes == ["booked", "duplicate", "conflict", "duplicate", "refused", "duplicate"] && status == 200, "{answer}");
    let decision = &answer["receipts"][0]["decision"];
    ensure!(decision["outcome"] == "accepted" && answer["receipts"][5]["decision"] == *decision, "{answer}");
    ensure!(answer["receipts"][4]["code"] == "unknown_program" && answer["receipts"][4]["dead_letter"].is_string(), "{answer}");
    service.terminate()?;

    // An instance that does not have the member's partition can only say that it was sent.
    let half = setup(&["kafka.partitions=0"]);
    let service = Service::start(&half)?;
    service.until("it is ready", |service| Ok(service.get("readyz")?.0 == 200))?;
    let elsewhere = (0..)
        .map(|n| format!("m{n}"))
        .find(|member| accrue_proto::murmur2_partition(format!("shop/{member}").as_bytes(), 2) == 1);
    let (status, sent) = service.post("v1/facts", &order("B", &elsewhere.context("one")?, "5.00").to_string())?;
    ensure!((status, sent["outcome"].as_str(), &sent["position"]) == (202, Some("sent"), &Value::Null), "{sent}");
    ensure!(sent["shard"] == 1, "{sent}");
    service.terminate()
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path")
}
