//! Personal data through the real binary (§11): readable for who may, in no file for anybody, gone after erasure; and nothing of one
//! program in the answers of another.

use super::desk::Desk;
use serde_json::{Value, json};
use std::path::Path;

const RULES: &str = r#"
currency = "GBP"
time_zone = "UTC"
[[earn]]
id = "base"
on = "order"
points = 1
per = "1.00"
[[reward]]
id = "ten"
kind = "redeemable"
cost = 10
benefit = { amount = "1.00" }
coupon = { valid_for = "P9000D", uses = 1 }
"#;
/// Stands for everything that is personal.
const MARKER: &str = "Zq7xMarkerOfAnn";
/// Of somebody who stays.
const OTHER: &str = "Kv3jMarkerOfBob";

/// A store in a folder.
struct Shop {
    desk: Desk,
}

impl Shop {
    /// With these programs' rules in force.
    fn new(programs: &[&str]) -> Shop {
        Shop::with_shards(programs, 2)
    }

    fn with_shards(programs: &[&str], shards: u32) -> Shop {
        let shop = Shop { desk: Desk::new() };
        for program in programs {
            let rules = format!("program = \"{program}\"\n{RULES}");
            shop.desk.write("rules.toml", &rules);
            shop.run(&format!("rules activate rules.toml --from 2024-01-01 --set shards={shards}"));
        }
        shop
    }

    fn run(&self, line: &str) -> String {
        let done = self.desk.run(&format!("{line} --dir store"));
        assert_eq!(done.code, 0, "{line}: {}", done.err);
        done.out
    }

    fn json(&self, line: &str) -> Value {
        self.desk.json(&format!("{line} --dir store"))
    }

    fn publish(&self, facts: &[Value]) -> Value {
        let lines: Vec<String> = facts.iter().map(|fact| fact.as_str().map_or_else(|| fact.to_string(), str::to_owned)).collect();
        let file = self.desk.write("facts.jsonl", &lines.join("\n"));
        let done = self.desk.run("publish facts.jsonl --dir store --output json");
        std::fs::remove_file(file).expect("removed");
        serde_json::from_str(&done.out).expect("json")
    }

    /// Files of the store that hold a text.
    fn files_with(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        search(&self.desk.dir.path().join("store"), text.as_bytes(), &mut found);
        found
    }

    fn finds(&self, by: &str) -> bool {
        let done = self.desk.run(&format!("member find acme {by} --dir store --output json"));
        assert!(done.code == 0 || done.err.contains("no member is found"), "{by}");
        done.code == 0
    }
}

fn search(dir: &Path, wanted: &[u8], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            search(&path, wanted, found);
        } else if std::fs::read(&path).expect("readable").windows(wanted.len()).any(|window| window == wanted) {
            found.push(path.display().to_string());
        }
    }
}

fn fact(id: &str, program: &str, member: &str, day: u32, kind: &str, body: Value) -> Value {
    let mut fact = json!({
        "id": format!("{program}-{id}"), "source": "test", "program": program, "member": member,
        "occurred_at": format!("2024-02-{day:02}T00:00:00Z"),
    });
    fact[kind] = body;
    fact
}

fn order(id: &str, program: &str, member: &str, day: u32, price: &str) -> Value {
    let line = json!({ "line_id": "1", "quantity": 1, "unit_price": price });
    fact(id, program, member, day, "order_placed", json!({ "order_id": id, "currency": "GBP", "lines": [line] }))
}

fn profile(member: &str, marker: &str) -> Value {
    let email = format!("{marker}@Example.org");
    let body = json!({
        "name": marker, "email": email, "phone": "+44 20 7946 0018", "birthday": "1990-02-28",
        "attributes": { "shoes": marker }, "consents": { "mail": true },
    });
    fact(&format!("profile-{member}"), "acme", member, 2, "member_profile_changed", body)
}

#[test]
fn what_was_erased_is_in_no_file_and_in_no_answer() {
    let shop = Shop::new(&["acme"]);
    let ann = [
        order("A", "acme", "ann", 1, "50.00"),
        profile("ann", MARKER),
        fact("note", "acme", "ann", 3, "note_added", json!({ "text": format!("called, says {MARKER}") })),
        fact("tags", "acme", "ann", 3, "tags_changed", json!({ "add": [MARKER, "vip"] })),
        fact("card", "acme", "ann", 3, "card_issued", json!({ "code": "CARD-1" })),
        order("B", "acme", "bob", 1, "70.00"),
        profile("bob", OTHER),
    ];
    let told = shop.publish(&ann);
    assert_eq!(told["outcomes"]["applied"], 7, "{told}");
    // The same again: duplicates, told without being readable. Other content under the same id is a conflict.
    let mut other = profile("ann", MARKER);
    other["member_profile_changed"]["name"] = json!(format!("Ms {MARKER}"));
    let told = shop.publish(&[ann[1].clone(), ann[2].clone(), other]);
    assert_eq!((&told["outcomes"]["duplicate"], &told["outcomes"]["conflict"]), (&json!(2), &json!(1)), "{told}");
    assert_eq!(shop.files_with(MARKER), Vec::<String>::new(), "sealed before it is written");
    // What can't be read can't be sealed either, until the member is erased.
    shop.publish(&[json!(format!(r#"{{"member": "ann", "program": "acme", "name": "{MARKER}"#))]);
    assert!(!shop.files_with(MARKER).is_empty(), "the search finds what is there");

    let shown = shop.json("member show acme ann");
    assert_eq!(shown["profile"]["name"], MARKER);
    assert_eq!(shown["profile"]["tags"], json!([MARKER, "vip"]));
    assert_eq!(shown["profile"]["notes"][0]["text"], format!("called, says {MARKER}"));
    assert_eq!(shown["cards"][0]["code"], "CARD-1");
    let number = shown["number"].as_str().expect("digits").to_owned();
    let lower = MARKER.to_lowercase();
    let ways = ["--card CARD-1".to_owned(), format!("--id {number}"), format!("--email {lower}@example.org")];
    assert!(ways.iter().all(|way| shop.finds(way)), "found by all of {ways:?}");
    let same_phone = shop.json("member find acme --phone 00442079460018");
    assert_eq!(same_phone["members"].as_array().map(Vec::len), Some(2), "{same_phone}");
    assert!(shop.run("member qr acme ann").contains("<svg"));
    let totals = shop.json("totals acme");

    let told = shop.publish(&[fact("gone", "acme", "ann", 9, "member_erased", json!({}))]);
    assert_eq!(told["outcomes"]["applied"], 1, "{told}");
    assert_eq!(shop.files_with(MARKER), Vec::<String>::new(), "nothing is left in any file");
    // Told again, or late: nothing of it comes back, and nothing of it is kept.
    let mut late = profile("ann", MARKER);
    late["id"] = json!("late");
    shop.publish(&[ann[1].clone(), late, ann[2].clone()]);
    assert_eq!(shop.files_with(MARKER), Vec::<String>::new(), "nor when it is told again");
    for rebuilt in [false, true] {
        if rebuilt {
            for shard in std::fs::read_dir(shop.desk.dir.path().join("store/shards")).expect("shards") {
                std::fs::remove_dir_all(shard.expect("readable").path().join("views")).expect("removed");
            }
        }
        let shown = shop.json("member show acme ann");
        assert_eq!((&shown["standing"], &shown["profile"]), (&json!("erased"), &Value::Null), "rebuilt: {rebuilt}");
        assert_eq!((&shown["balance"]["main"]["active"], &shown["balance"]["main"]["earned"]), (&json!(0), &json!(50)));
        assert!(ways.iter().all(|way| !shop.finds(way)), "rebuilt: {rebuilt}");
        assert!(shop.finds("--phone 442079460018"), "the other one is still there");
        assert_eq!(shop.json("member show acme bob")["profile"]["name"], OTHER);
        // Of everything that was ever earned nothing is missing; what she had is forfeited.
        let (now, before) = (&shop.json("totals acme")["ledgers"]["main"], &totals["ledgers"]["main"]);
        assert_eq!((&now["earned"], &before["earned"]), (&json!(120), &json!(120)));
        assert_eq!((&now["active"], &now["expired"], &before["active"]), (&json!(70), &json!(50), &json!(120)));
    }
    let told = shop.json("verify");
    assert_eq!(told["holds"], json!(true), "{told}");
}

/// Erased, registered again and told of anew: what is told after that stays, together or one by one, under any of the names.
#[test]
fn who_begins_again_keeps_what_is_told_then() {
    let erased = |day| fact("gone", "acme", "ann", day, "member_erased", json!({}));
    let registered = |member, day| fact("again", "acme", member, day, "member_registered", json!({}));
    let merged = |day| fact("one", "acme", "ann", day, "members_merged", json!({ "loser": "ann2" }));
    let told = |member: &str, day| {
        let mut told = profile(member, OTHER);
        (told["id"], told["occurred_at"]) = (json!(format!("new-{member}")), json!(format!("2024-02-{day:02}T00:00:00Z")));
        told
    };
    let stories = [
        vec![erased(4), registered("ann", 5), told("ann", 6)],
        vec![merged(3), erased(4), registered("ann", 5), told("ann2", 6)],
        vec![erased(4), merged(5), registered("ann2", 6), told("ann", 7)],
        vec![erased(4), registered("ann2", 5), merged(6), told("ann", 7)],
        vec![erased(4), merged(5), registered("ann", 6), told("ann2", 7)],
        vec![registered("ann", 5), told("ann", 6), erased(4), told("ann", 7)],
    ];
    for (number, story) in stories.iter().enumerate() {
        // Of two shards one hears what the other was told only after it was told something itself.
        for (shards, together) in [(1, false), (1, true), (2, false)] {
            let shop = Shop::with_shards(&["acme"], shards);
            let before = [profile("ann", MARKER), order("A", "acme", "ann", 1, "50.00"), order("B", "acme", "ann2", 1, "7.00")];
            if together {
                shop.publish(&[&before[..], story].concat());
            } else {
                before.iter().chain(story).for_each(|fact| drop(shop.publish(std::slice::from_ref(fact))));
            }
            for rebuilt in [false, true] {
                if rebuilt {
                    shop.run("rebuild start");
                    shop.run("rebuild flip 2");
                }
                let shown = shop.json("member show acme ann");
                let case = format!("{number}, {shards} shards, together {together}, rebuilt {rebuilt}");
                assert_eq!((&shown["standing"], &shown["profile"]["name"]), (&json!("registered"), &json!(OTHER)), "{case}");
                assert!(shop.finds(&format!("--email {OTHER}@example.org")), "{case}");
                assert!(!shop.finds(&format!("--email {MARKER}@example.org")), "{case}");
            }
            assert_eq!(shop.files_with(MARKER), Vec::<String>::new());
        }
    }
}

#[test]
fn nothing_of_one_program_is_in_an_answer_of_another() {
    let shop = Shop::new(&["acme", "acme:sandbox"]);
    for (program, name, price) in [("acme", "LiveAnn", "50.00"), ("acme:sandbox", "SandboxAnn", "7000.00")] {
        let named = json!({ "name": name, "email": "ann@example.org", "phone": "+1 555 0100" });
        let told = shop.publish(&[
            order("A", program, "m1", 1, price),
            fact("p", program, "m1", 2, "member_profile_changed", named),
            fact("c", program, "m1", 2, "card_issued", json!({ "code": "CARD-1" })),
            fact("r", program, "m1", 3, "redemption_requested", json!({ "redemption_id": "R", "reward": "ten" })),
        ]);
        assert_eq!((&told["outcomes"]["applied"], &told["outcomes"]["accepted"]), (&json!(3), &json!(1)), "{told}");
    }
    shop.publish(&[fact("x", "acme:sandbox", "m2", 1, "note_added", json!({ "text": "SandboxOnly" }))]);
    let of = |program: &str| {
        let member = shop.json(&format!("member show {program} m1"));
        let code = member["coupons"]["open"][0]["code"].as_str().expect("a code").to_owned();
        let number = member["number"].as_str().expect("digits").to_owned();
        let questions = [
            format!("member list {program}"),
            format!("member find {program} --card CARD-1"),
            format!("member find {program} --email ANN@example.org"),
            format!("member find {program} --phone 15550100"),
            format!("member find {program} --id {number}"),
            format!("entries {program} m1"),
            format!("explain {program} m1 --order A"),
            format!("totals {program}"),
        ];
        let mut all = vec![member];
        all.extend(questions.iter().map(|question| shop.json(question)));
        (all, code, number)
    };
    let ((live, live_code, live_number), (sandbox, sandbox_code, sandbox_number)) = (of("acme"), of("acme:sandbox"));
    assert_ne!(live_code, sandbox_code);
    for (answers, foreign) in [
        (&live, ["SandboxAnn", "SandboxOnly", "acme:sandbox", "7000", "6990", &sandbox_code, &sandbox_number, "\"m2\""]),
        (
            &sandbox,
            ["LiveAnn", "\"acme\"", "\"50.00\"", "\"active\":40,", "\"earned\":50,", &live_code, &live_number, "LiveOnly"],
        ),
    ] {
        for (answer, foreign) in answers.iter().flat_map(|answer| foreign.map(|foreign| (answer.to_string(), foreign))) {
            assert!(!answer.contains(foreign), "{foreign} in {answer}");
        }
    }
    assert_eq!(
        (live[0]["balance"]["main"]["active"].as_i64(), sandbox[0]["balance"]["main"]["active"].as_i64()),
        (Some(40), Some(6990))
    );
    for by in [format!("--id {sandbox_number}"), "--card CARD-2".to_owned()] {
        assert!(!shop.finds(&by), "{by}");
    }
    // Erased there, it is still here.
    shop.publish(&[fact("gone", "acme:sandbox", "m1", 9, "member_erased", json!({}))]);
    assert_eq!(shop.json("member show acme m1")["profile"]["name"], "LiveAnn");
    assert_eq!(shop.json("member show acme:sandbox m1")["profile"], Value::Null);
    assert!(shop.finds("--email ann@example.org"));
}
