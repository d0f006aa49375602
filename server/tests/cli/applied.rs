//! Rules applied to what was there: what was shown stays or is restated, once, and it can be undone.

use super::desk::Desk;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

const ONE: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n\
    [[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n\
    [[tier]]\nid = \"new\"\nentry = \"0\"\n[[tier]]\nid = \"gold\"\nentry = \"150.00\"\n[tiers]\n";

/// Members with an order in each of four months; every third has spent points.
fn shop(members: u32) -> Desk {
    shop_under(ONE, members)
}

fn shop_under(rules: &str, members: u32) -> Desk {
    let desk = Desk::new();
    desk.write("one.toml", rules);
    desk.write("two.toml", &rules.replacen("points = 1", "points = 2", 1));
    desk.write("none.toml", &rules.replacen("per = \"1.00\"", "per = \"10.00\"", 1));
    desk.run("rules activate one.toml --dir store --from 2024-01-01");
    let mut facts = String::new();
    for member in 0..members {
        let who = format!("m{member:03}");
        for month in 1..5 {
            let line = json!({ "line_id": "1", "quantity": 1, "unit_price": format!("{}.00", 10 + member) });
            let body = json!({ "order_id": format!("{who}-{month}"), "currency": "GBP", "lines": [line] });
            let at = format!("2024-{month:02}-10T00:00:00Z");
            let id = format!("{who}-{month}");
            facts +=
                &json!({ "id": id, "source": "till", "program": "shop", "member": who, "occurred_at": at, "order_placed": body })
                    .to_string();
            facts += "\n";
        }
        if member % 3 == 0 {
            let body = json!({ "redemption_id": format!("R-{who}"), "points": 4 * (10 + member) });
            facts += &json!({ "id": format!("r-{who}"), "source": "till", "program": "shop", "member": who, "occurred_at": "2024-05-01T00:00:00Z", "redemption_requested": body }).to_string();
            facts += "\n";
        }
    }
    desk.write("facts.jsonl", &facts);
    desk.json("publish facts.jsonl --dir store");
    desk
}

fn totals(desk: &Desk, at: &str) -> [i64; 2] {
    let told = desk.json(&format!("totals --dir store --at {at}"));
    ["active", "debt"].map(|name| told["ledgers"]["main"][name].as_i64().unwrap_or(0))
}

fn state(answer: &Value) -> (&str, i64, i64) {
    let of = &answer["application"];
    let number = |name: &str| of["entries"][name].as_i64().unwrap_or(-1);
    (of["state"].as_str().unwrap_or_default(), number("members"), number("points"))
}

const BONUS: &str = "rules apply two.toml --policy true_up --from 2024-02-01 --to 2024-04-01 --at 2024-06-01 --dir store";

#[test]
fn a_bonus_for_the_past_is_one_entry_each_and_is_undone_exactly() {
    let desk = shop(30);
    let (before, digest) = (totals(&desk, "2024-07-01"), desk.run("digest --dir store").out);
    let more: i64 = (0..30).map(|member| 2 * (10 + member)).sum();
    let dry = desk.json(&format!("{BONUS} --dry-run --html page.html --max-members-pct 50"));
    assert_eq!(state(&dry), ("dry_run", 30, more), "{dry}");
    assert!(dry["stopped_by"].as_str().is_some_and(|why| why.contains("30 of 30 members")), "{dry}");
    assert_eq!(desk.run("digest --dir store").out, digest, "nothing was done");

    let (code, told) = desk.fails(&format!("{BONUS} --max-abs-delta 100"));
    assert!(code == 1 && told.contains(&format!("{more} points would move, more than 100")), "{code} {told}");
    let (_, told) = desk.fails(&format!("{BONUS} --approve 12ab"));
    assert!(told.contains("comes to something else now"), "{told}");
    // Something else happens meanwhile: what was approved is the same all the same.
    desk.write("note.jsonl", &json!({ "id": "n", "source": "till", "program": "shop", "member": "m001", "occurred_at": "2024-05-02T00:00:00Z", "member_registered": {} }).to_string());
    desk.json("publish note.jsonl --dir store");
    let effects = dry["effects"].as_str().expect("told");
    let done = desk.json(&format!("{BONUS} --max-abs-delta 100 --approve {effects} --actor ann --note spring"));
    assert_eq!(state(&done), ("done", 30, more), "{done}");
    assert_eq!(
        (&done["application"]["accepted"], done["application"]["changes"].as_array().map(Vec::len)),
        (&json!(30), Some(0))
    );
    assert_eq!(totals(&desk, "2024-07-01")[0], before[0] + more);
    assert_eq!(totals(&desk, "2024-05-31"), before, "what was shown stays");
    let entries = desk.json("entries --dir store m007");
    let last = entries["entries"].as_array().and_then(|rows| rows.last()).expect("one").clone();
    assert_eq!((&last["kind"], &last["points"], &last["at"]), (&json!("adjusted"), &json!(34), &json!("2024-06-01T00:00:00Z")));
    assert!(last["why"].as_str().is_some_and(|why| why.contains("2024-02-01") && why.contains("comparison")), "{last}");

    assert_eq!(state(&desk.json(BONUS)).0, "already", "told twice");
    let (_, told) = desk.fails("rules apply two.toml --policy restate --from 2024-03-01 --at 2024-06-01 --dir store");
    assert!(told.contains("made up for differences"), "{told}");

    let undone = desk.json("rules undo --dir store --at 2024-06-02");
    assert_eq!(state(&undone), ("done", 30, -more), "{undone}");
    assert_eq!(totals(&desk, "2024-07-01"), before);
    let (_, told) = desk.fails(&format!("rules undo {} --dir store", done["application"]["id"].as_str().expect("told")));
    assert!(told.contains("is undone already"), "{told}");
    let again =
        desk.json(&format!("rules undo {} --dir store --at 2024-06-03", undone["application"]["id"].as_str().expect("told")));
    assert_eq!(state(&again), ("done", 30, more));
    assert_eq!(totals(&desk, "2024-07-01")[0], before[0] + more);
    let history = desk.json("rules history --dir store");
    let states: Vec<&str> =
        history["applications"].as_array().into_iter().flatten().filter_map(|one| one["state"].as_str()).collect();
    assert_eq!(states, ["done", "undone", "done"], "{history}");
    assert_eq!(desk.run("verify --dir store").code, 0);
}

#[test]
fn after_undoing_points_end_as_they_would_have() {
    let desk = shop_under(&ONE.replace("[[earn]]", "[expiry]\nlot = { after = \"P6M\", to = \"day_end\" }\n[[earn]]"), 12);
    let ever = || -> Vec<[i64; 2]> {
        ["06-01", "06-04", "07-20", "08-20", "09-20", "10-20", "12-20"].map(|day| totals(&desk, &format!("2024-{day}"))).into()
    };
    let before = ever();
    for (rules, more) in [("two", true), ("none", false)] {
        let apply = format!("rules apply {rules}.toml --policy true_up --from 2024-02-01 --to 2024-05-01 --dir store");
        let done = desk.json(&format!("{apply} --at 2024-06-02"));
        assert!((state(&done).2 > 0) == more && state(&done).2 != 0, "{done}");
        assert_ne!(ever(), before);
        desk.json("rules undo --dir store --at 2024-06-03");
        assert_eq!(ever(), before, "{rules}");
    }
    // What was given has ended when it is undone: it is not taken a second time.
    desk.json("rules apply two.toml --policy true_up --from 2024-03-01 --to 2024-04-01 --at 2024-06-05 --dir store");
    let (_, members, points) = state(&desk.json("rules undo --dir store --at 2025-06-01"));
    assert_eq!((members, points), (0, 0));
    assert_eq!(totals(&desk, "2025-06-02"), [0, before[0][1]]);
    assert_eq!(desk.run("verify --dir store").code, 0);
}

#[test]
fn nobody_loses_and_cohorts_have_policies_of_their_own() {
    let desk = shop(40);
    let before = totals(&desk, "2024-07-01");
    let less = "rules apply none.toml --from 2024-02-01 --at 2024-06-01 --dir store --dry-run";
    assert_eq!(state(&desk.json(&format!("{less} --policy never_worse"))), ("dry_run", 0, 0));
    let all = state(&desk.json(&format!("{less} --policy true_up"))).2;
    assert!(all < 0, "{all}");
    let gold = desk.json(&format!("{less} --cohort tier=gold:never_worse --cohort rest:true_up"));
    let (_, members, points) = state(&gold);
    assert!(members > 0 && members < 40 && points > all, "{gold}");
    assert_eq!(gold["application"]["policy"], "by cohort");
    for line in [less.replace("2024-06-01", "2999-06-01") + " --policy true_up", "rules undo --dir store --at 2999-06-01".into()]
    {
        let (code, told) = desk.fails(&line);
        assert!(code != 0 && !told.contains("broken off"), "{code} {told}");
    }
    let (code, told) = desk.fails(&format!("{less} --cohort tier=gold:restate --policy true_up"));
    assert!(code == 2 && told.contains("one timeline"), "{code} {told}");
    // A loss that is not covered is owed.
    desk.json(&less.replace("--dry-run", "--policy true_up"));
    let [active, debt] = totals(&desk, "2024-06-01");
    assert!(debt > before[1] && active - debt == before[0] - before[1] + all, "{active} {debt}");
    let show = desk.json("rules show --dir store");
    assert_eq!(show["rulesets"].as_array().map(Vec::len), Some(2), "from then on the new rules");
    // Everything back: former rules from now on, and the entries the other way.
    desk.json("rules undo --dir store --at 2024-06-02");
    let [active, debt] = totals(&desk, "2024-07-01");
    assert_eq!(active - debt, before[0] - before[1]);
}

#[test]
fn history_is_restated_and_taken_back() {
    let desk = shop(30);
    let before = totals(&desk, "2024-05-31");
    let digest = desk.run("digest --dir store").out;
    let done = desk.json("rules apply none.toml --policy restate --from 2024-01-01 --at 2024-06-01 --dir store");
    let main = &done["diff"]["ledgers"]["main"]["new"];
    assert_eq!(
        totals(&desk, "2024-05-31"),
        ["active", "debt"].map(|name| main[name].as_i64().unwrap_or(0)),
        "as it was announced"
    );
    assert_eq!(done["application"]["shortfalls"]["redemptions"], 10, "decisions stay made: {}", done["application"]);
    assert_eq!(done["diff"]["uncovered"]["largest"][0]["redemption"], "R-m027");
    assert_ne!(totals(&desk, "2024-05-31"), before);
    let same = desk.json("rules apply none.toml --policy restate --from 2024-01-01 --at 2024-06-05 --dir store");
    assert_eq!(state(&same).0, "already");
    desk.json("rules undo --dir store");
    assert_eq!(totals(&desk, "2024-05-31"), before);
    assert_eq!(
        desk.run("digest --dir store").out.split_whitespace().next(),
        digest.split_whitespace().next(),
        "as if it had never been"
    );
    assert_eq!(desk.run("verify --dir store").code, 0);
}

#[test]
fn killed_in_the_middle_it_is_completed_once() {
    let words = "rules apply two.toml --policy true_up --from 2024-02-01 --at 2024-06-01 --dir store --actor ann";
    let whole = shop(120);
    whole.json(words);
    let wanted = totals(&whole, "2024-07-01");
    for millis in [20, 60, 120, 250] {
        let desk = shop(120);
        let mut child = desk.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().expect("is ours");
        child.wait().expect("ends");
        let told = desk.json(words);
        assert!(["done", "already"].contains(&state(&told).0), "{told}");
        assert_eq!(totals(&desk, "2024-07-01"), wanted, "killed after {millis} ms");
        let history = desk.json("rules history --dir store");
        assert_eq!(history["applications"].as_array().map(Vec::len), Some(1), "{history}");
        assert_eq!(
            (&history["applications"][0]["state"], &history["applications"][0]["accepted"]),
            (&json!("done"), &json!(120))
        );
        assert_eq!(desk.run("verify --dir store").code, 0);
    }
}
