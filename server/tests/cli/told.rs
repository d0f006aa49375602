//! Why a number is what it is, as it is told: with everything that went into it.

use super::desk::Desk;
use accrue_ledger::Instant;
use serde_json::json;

const RULES: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n\
    [[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n\
    [[earn]]\nid = \"bonus\"\non = \"order\"\npoints = 10\ntier_multiplier = false\n\
    [[tier]]\nid = \"new\"\nentry = \"0\"\n[[tier]]\nid = \"gold\"\nentry = \"100.00\"\nearn_multiplier = \"1.5\"\n[tiers]\n";

#[test]
fn a_tier_that_multiplies_is_part_of_the_reason() {
    let desk = Desk::new();
    desk.write("rules.toml", RULES);
    desk.run("rules activate rules.toml --dir store --from 2024-01-01");
    let order = |id: &str| {
        let line = json!({ "line_id": "1", "quantity": 1, "unit_price": "120.00" });
        let body = json!({ "order_id": id, "currency": "GBP", "lines": [line] });
        json!({ "id": id, "source": "till", "program": "shop", "member": "ann", "occurred_at": format!("2024-02-0{id}T00:00:00Z"), "order_placed": body })
    };
    desk.write("facts.jsonl", &format!("{}\n{}\n", order("1"), order("2")));
    desk.json("publish facts.jsonl --dir store");
    let because = |order: &str| {
        let told = desk.json(&format!("explain --dir store ann --order {order}"));
        let of = |rule: usize, what: &str| told["rules"][rule][what].to_string();
        let entry = told["entries"][0]["why"].to_string();
        (of(0, "points"), of(0, "because"), of(1, "because"), entry)
    };
    let (first, second) = (because("1"), because("2"));
    assert_eq!((first.0.as_str(), second.0.as_str()), ("120", "180"));
    for told in [&first.1, &first.3, &first.2, &second.2] {
        assert!(!told.contains("(tier"), "{told}");
    }
    assert!(second.1.contains("120.00 GBP × 1 per 1.00 GBP × 1.5 (tier gold) = 180 exactly"), "{}", second.1);
    assert!(second.3.contains("rule base gives 180 on 120.00 GBP eligible × 1.5 (tier gold);"), "{}", second.3);
}

#[test]
fn other_rules_are_tried_on_everything_and_nothing_changes() {
    let desk = Desk::new();
    desk.run("demo --dir store --members 60 --years 1 --seed 3");
    let digest = desk.run("digest --dir store").out;
    let same = desk.json("rules diff live live --dir store --at 2030-01-01");
    assert_eq!((&same["changed"], same["members"].as_u64().is_some_and(|all| all > 30)), (&json!(0), true), "{same}");
    // What it says of the rules in force is what everybody is told.
    let totals = desk.json("totals --dir store --at 2030-01-01");
    let main = &same["ledgers"]["main"];
    assert_eq!(
        (&main["old"]["active"], &main["old"]["debt"]),
        (&totals["ledgers"]["main"]["active"], &totals["ledgers"]["main"]["debt"])
    );

    let rules = include_str!("../../../deploy/rulesets/demo.toml");
    desk.write("twice.toml", &rules.replacen("points = 1\n", "points = 2\n", 1));
    let told = desk.json("rules diff live twice.toml --dir store --html diff.html --threads 1 --memory-mib 1 --named 3");
    let again = desk.json("rules diff live twice.toml --dir store --threads 4 --named 3");
    assert_eq!(told["digest"], again["digest"], "the same on one thread and on four");
    // Another process has other hash seeds, too.
    let two = desk.json("rules diff live twice.toml --dir store --threads 2 --memory-mib 2 --named 3");
    assert_eq!(told["digest"], two["digest"], "and on two");
    adds_up(&told);
    let base = told["rules"].as_array().into_iter().flatten().find(|rule| rule["rule"] == "base").expect("there");
    let (old, new) = (base["old"].as_i64().unwrap_or(0), base["new"].as_i64().unwrap_or(0));
    assert!(old > 0 && new >= old * 2, "{base}");
    assert_eq!(told["gainers"].as_array().map(Vec::len), Some(3));
    let page = std::fs::read_to_string(desk.dir.path().join("diff.html")).expect("written");
    assert!(page.contains("Which rule causes how much") && page.contains("<svg") && page.contains("base"), "{page}");
    // From an instant on, what was earned before stays.
    let later = desk.json("rules diff live twice.toml --from 2031-01-01 --dir store");
    assert_eq!(later["changed"], 0, "{later}");
    // Two parts of the time are the whole; what is over before there was anything changes nothing.
    let now = told["at"].as_str().and_then(Instant::parse).expect("an instant");
    let middle = Instant(now.0 - 180 * 86_400 * 1_000_000);
    let gives = |of: &str| {
        let part = desk.json(&format!("rules diff live twice.toml --dir store {of}"));
        let base = part["rules"].as_array().into_iter().flatten().find(|rule| rule["rule"] == "base").cloned();
        base.and_then(|base| base["delta"].as_i64()).unwrap_or(0)
    };
    let (before, after) = (gives(&format!("--to {middle}")), gives(&format!("--from {middle}")));
    assert!(before > 0 && after > 0 && before + after == new - old, "{before} and {after} of {}", new - old);
    assert_eq!(gives("--from 2031-01-01 --to 2032-01-01"), 0);
    for (of, why) in
        [("--from 2024-02-01 --to 2024-02-01", "to is not after from"), ("--to 2002-01-01", "no ruleset is in force at 2002")]
    {
        let (code, wrong) = desk.fails(&format!("rules diff live twice.toml --dir store {of}"));
        assert!(code == 2 && wrong.contains(why), "{code} {wrong}");
    }
    assert_eq!(desk.run("digest --dir store").out, digest, "nothing was changed");
    desk.write("other.toml", "program = \"other\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n");
    let (code, told) = desk.fails("rules diff live other.toml --dir store");
    assert!(code != 0 && told.contains("is for program other"), "{code} {told}");
}

/// What the rules caused, and what else moved points, is the whole difference: of all, and of each who is named.
fn adds_up(told: &serde_json::Value) {
    let number = |value: &serde_json::Value| value.as_i64().unwrap_or(0);
    let rules: i64 = told["rules"].as_array().into_iter().flatten().map(|rule| number(&rule["delta"])).sum();
    let ledgers = told["ledgers"].as_object().into_iter().flatten();
    let net = |delta: &serde_json::Value| number(&delta["active"]) + number(&delta["pending"]) - number(&delta["debt"]);
    assert_eq!(rules, ledgers.map(|(_, shift)| net(&shift["delta"])).sum::<i64>(), "{}", told["rules"]);
    for who in ["gainers", "losers"].iter().flat_map(|side| told[side].as_array().into_iter().flatten()) {
        let rules = who["rules"].as_object().into_iter().flatten();
        assert_eq!(rules.map(|(_, two)| number(&two[1]) - number(&two[0])).sum::<i64>(), number(&who["delta"]), "{who}");
        assert!(who["entries"]["new"].as_array().is_some_and(|entries| !entries.is_empty()), "{who}");
    }
}
