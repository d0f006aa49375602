//! Generations, with the real binary: what two of them have in common, and what not.

use super::bad_paths::with_rules;
use super::desk::Desk;
use serde_json::{Value, json};

const MEMBERS: usize = 30;
/// Orders of these are of the second month.
const LATER: usize = 12;

fn facts() -> String {
    let fact = |n: usize| {
        let month = if n < MEMBERS - LATER { 3 } else { 4 };
        let placed = format!(
            r#"{{"id":"{n}","source":"test","program":"shop","member":"m{n:02}","occurred_at":"2024-{month:02}-05T10:00:00Z","order_placed":{{"order_id":"o{n}","currency":"GBP","lines":[{{"line_id":"1","sku":"x","quantity":1,"unit_price":"5.00"}}]}}}}"#
        );
        placed + "\n"
    };
    (0..MEMBERS).map(fact).collect()
}

fn diff(desk: &Desk, line: &str) -> (Value, Value) {
    let told = desk.json(&format!("rebuild diff {line} --at 2024-06-01T00:00:00Z --named 100 --dir store"));
    let shop = told["programs"]["shop"].clone();
    (told, shop)
}

fn numbers(found: &Value) -> [&Value; 3] {
    ["members", "changed", "unsettled"].map(|name| &found[name])
}

#[test]
fn they_are_compared_with_their_records_or_by_their_states() {
    let desk = with_rules();
    desk.write("facts.jsonl", &facts());
    desk.json("rules activate rules.toml --dir store --from 2024-01-01 --set shards=1");
    desk.json("publish facts.jsonl --dir store");
    desk.json("rebuild start --dir store");
    let rules = std::fs::read_to_string(desk.dir.path().join("rules.toml")).expect("there");
    let two = rules.replace("points = 1", "points = 2");
    assert_ne!(rules, two);
    desk.write("two.toml", &two);
    desk.json("rebuild start --rules two.toml --what-if --from 2024-04-01T00:00:00Z --dir store");

    let ((told, all), (of_states, states)) = (diff(&desk, "2"), diff(&desk, "2 --states"));
    assert_eq!((&told["states_only"], &of_states["states_only"]), (&json!(false), &json!(true)));
    assert_eq!(numbers(&all), [MEMBERS, 0, 0]);
    assert_eq!(numbers(&states), [MEMBERS, 0, 0]);
    // With their records, it is the digest of everything; without, another one.
    let digest = &desk.json("digest --dir store")["digest"];
    assert_eq!(all["digests"], json!([digest, digest]));
    assert_eq!(states["digests"][0], states["digests"][1]);
    assert_ne!(&states["digests"][0], digest);

    let ((_, all), (_, states)) = (diff(&desk, "3"), diff(&desk, "3 --states"));
    assert_eq!(numbers(&all), [MEMBERS, LATER, 0]);
    assert_eq!(numbers(&states), [MEMBERS, LATER, 0]);
    assert_eq!((&all["named"], &all["sums"]), (&states["named"], &states["sums"]));
    let before = 5 * MEMBERS;
    assert_eq!(all["sums"]["main"]["earned"], json!({ "live": before, "other": before + 5 * LATER }));
    let page = desk.run("rebuild diff 3 --states --dir store");
    assert!(page.out.contains("12 of 30 members differ in their states (records were not compared)"), "{}{}", page.out, page.err);

    // Rolled back twice is not forward again.
    desk.json("rebuild flip 2 --dir store");
    desk.json("rebuild rollback --dir store");
    let (code, told) = desk.fails("rebuild rollback --dir store");
    assert!(code != 0 && told.contains("`rebuild flip 2` brings that back"), "{code} {told}");
    assert_eq!(desk.json("rebuild flip 2 --dir store")["shards"][0]["live"], 2);
}
