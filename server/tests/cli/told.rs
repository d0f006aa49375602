//! Why a number is what it is, as it is told: with everything that went into it.

use super::desk::Desk;
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
    assert!(second.1.contains("120.00 GBP eligible × 1 per 1.00 GBP × 1.5 (tier gold), rounded once"), "{}", second.1);
    assert!(second.3.contains("rule base gives 180 on 120.00 GBP eligible × 1.5 (tier gold);"), "{}", second.3);
}
