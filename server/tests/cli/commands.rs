//! Every command over a demo and over small stores.

use super::desk::{Desk, done};
use super::serve::Serve;
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// With a small demo in `store`.
fn with_demo() -> Desk {
    let desk = Desk::new();
    let done = desk.run("demo --dir store --members 60 --years 1 --seed 3");
    assert_eq!(done.code, 0, "{}", done.err);
    desk
}

/// Questions about a member as of an instant; answers do not depend on when they are asked.
const QUESTIONS: [&str; 11] = [
    "member list",
    "member list demo --sort spend --top 3",
    "member list --limit 5 --after m-00010",
    "member show demo/MEMBER --as-of AT",
    "entries demo MEMBER --as-of AT",
    "explain demo MEMBER --as-of AT",
    "totals --at AT",
    "totals --by month --at AT",
    "rules show",
    "digest",
    "dlq list",
];

/// A member that did something, and the instant of the last of it.
fn somebody(desk: &Desk) -> (String, String) {
    let rows = desk.json("member list --dir store --top 1 --sort orders");
    let text = |name: &str| rows["members"][0][name].as_str().expect("text").to_owned();
    (text("member"), text("last_activity"))
}

#[test]
fn a_demo_and_every_question_about_it() {
    let desk = with_demo();
    let rows = desk.json("member list --dir store --limit 1000");
    let count = rows["members"].as_array().expect("rows").len();
    assert!((30..=60).contains(&count), "{count} of 60 had joined");
    let csv = desk.run("member list --dir store --limit 2 -o csv").out;
    assert_eq!(csv.lines().map(|line| line.split(',').count()).collect::<Vec<_>>(), [11, 11, 11], "{csv}");
    let (member, _) = somebody(&desk);
    let page = desk.run(&format!("member show --dir store demo {member}"));
    assert!(
        page.out.contains(&format!("demo/{member}")) && page.out.contains("active") && !page.out.contains('\u{1b}'),
        "no colours in a pipe"
    );
    assert_eq!(page.err, "", "nothing else is said");

    let entries = desk.json(&format!("entries --dir store demo/{member}"));
    let entries = entries["entries"].as_array().expect("rows");
    let earned = entries.iter().find(|entry| entry["source_kind"] == "order_placed").expect("ordered something");
    let order = earned["source"].as_str().expect("an order");
    let explained = desk.json(&format!("explain --dir store {member} --order {order}"));
    assert_eq!(explained["order_id"], order);
    let findings = explained["rules"].as_array().expect("a finding a rule");
    assert!(
        !findings.is_empty() && findings.iter().all(|rule| rule["because"].as_str().is_some_and(|because| !because.is_empty())),
        "{explained}"
    );
    assert!(explained["entries"].as_array().is_some_and(|entries| entries.contains(earned)), "{explained}");
    let whole = desk.run(&format!("explain --dir store {member}")).out;
    assert!(whole.contains("earned") && whole.contains("× earned"), "{whole}");
    let entry = desk.run(&format!("explain --dir store {member} --entry 0")).out;
    assert!(entry.contains("entry 0") && entry.contains("spendable points"), "{entry}");

    desk.write("basket.json", r#"{ "lines": [{ "sku": "pot", "quantity": 1, "unit_price": "5000.00" }] }"#);
    let quote_for = |member: &str| desk.json(&format!("quote --dir store --member {member} --file basket.json"));
    // The demo ends now: who is where depends on the day.
    let ids = rows["members"].as_array().into_iter().flatten().filter_map(|row| row["member"].as_str());
    let mut below = ids.map(|id| (id, quote_for(id))).filter(|(_, quote)| quote["tier_before"]["effective"] != "golden-tip");
    let (member, quote) = below.next().expect("not everybody is at the top");
    assert_eq!(quote["tier_after"]["effective"], "golden-tip", "{quote}");
    let told = desk.run(&format!("quote --dir store --member {member} --file basket.json")).out;
    assert!(told.contains("→ Golden tip"), "{told}");

    let verified = desk.json("verify --dir store");
    assert_eq!(verified["holds"], true, "{verified}");
    let digest = desk.run("digest --dir store").out;
    assert_eq!(digest.trim().len(), 64);
    std::fs::remove_dir_all(desk.dir.path().join("store/shards/0000/views")).expect("removed");
    assert_eq!(desk.run("digest --dir store").out, digest, "views are made again from the log");
}

#[test]
fn a_demo_again_books_nothing_twice() {
    let desk = with_demo();
    let digest = desk.run("digest --dir store").out;
    let again = desk.json("demo --dir store --members 60 --years 1 --seed 3");
    let outcomes: Vec<&String> =
        again["kinds"].as_object().expect("kinds").values().flat_map(|kind| kind.as_object().expect("counts").keys()).collect();
    assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == "duplicate"), "{again}");
    assert_eq!(desk.run("digest --dir store").out, digest);
}

#[test]
fn a_service_gives_the_same_answers_as_the_store() {
    let desk = with_demo();
    let (member, at) = somebody(&desk);
    let ask = |output: &str| {
        QUESTIONS.map(|line| {
            let line = line.replace("MEMBER", &member).replace("AT", &at);
            let done = desk.run(&format!("{line} --dir store -o {output}"));
            assert!(done.code == 0 && !done.out.trim().is_empty(), "{line}: {}", done.err);
            // Asked a little later.
            done.out
                .lines()
                .filter(|line| !line.trim_start().starts_with("\"as_of\":"))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        })
    };
    let direct = [ask("json"), ask("table"), ask("csv")];
    let serve = Serve::start(&desk, "--dir store", "store");
    let asked = [ask("json"), ask("table"), ask("csv")];
    for (direct, asked) in direct.iter().flatten().zip(asked.iter().flatten()) {
        assert_eq!(direct, asked);
    }
    assert_eq!(desk.fails("member show --dir store nobody"), (4, "accrue: there is no member nobody in program demo".to_owned()));
    let (code, told) = desk.fails("verify --dir store");
    assert!(code == 5 && told.contains("stop the service first") && told.contains("in use by process"), "{code} {told}");
    let facts = desk.write("facts.json", FACTS);
    let published = desk.json(&format!("publish --dir store {}", facts.display()));
    assert_eq!(published["outcomes"]["applied"], 2, "{published}");
    assert_eq!(desk.json("member show --dir store demo new-1")["balance"]["main"]["earned"], 112, "12.40 of a first order");
    serve.signal();
    assert_eq!(serve.ended(), 0, "told once, it ends well");
    assert_eq!(desk.json("member show --dir store demo new-1")["balance"]["main"]["earned"], 112, "12.40 of a first order");
    assert_eq!(desk.json("verify --dir store")["holds"], true);
}

const FACTS: &str = r#"[
{"id": "n1", "source": "t", "program": "demo", "member": "new-1", "occurred_at": "2026-06-02T10:00:00Z",
 "order_placed": {"order_id": "N1", "currency": "GBP", "lines": [{"line_id": "1", "sku": "x", "quantity": 1, "unit_price": "12.40"}]}},
{"id": "n2", "source": "t", "program": "demo", "member": "new-2", "occurred_at": "2026-06-02T10:00:00Z", "member_registered": {}}
]"#;

const RULES: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"Europe/London\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";

#[test]
fn rules_are_checked_and_brought_into_force_once() {
    let desk = Desk::new();
    desk.write("shop.toml", RULES);
    desk.write("wrong.toml", &RULES.replace("points = 1", "pionts = 1"));
    assert_eq!(desk.run("rules check shop.toml").code, 0);
    let done = desk.run("rules check shop.toml wrong.toml");
    assert!(done.code == 3 && done.err.contains("wrong.toml line 7") && done.err.contains("pionts"), "{}", done.err);
    assert_eq!(desk.run("rules activate shop.toml --dir store --from 2024-01-01").code, 0);
    let again = desk.run("rules activate shop.toml --dir store");
    assert!(again.code == 0 && again.err.contains("nothing to do"), "{}", again.err);
    assert_eq!(desk.json("rules show --dir store")["rulesets"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_import_is_counted_row_by_row() {
    let desk = Desk::new();
    desk.write("shop.toml", RULES);
    desk.run("rules activate shop.toml --dir store --from 2024-01-01");
    desk.write(
        "mapping.toml",
        "program = \"shop\"\nsource = \"old\"\ncurrency = \"GBP\"\ntime = { column = \"Date\", format = \"%d/%m/%Y %H:%M\", zone = \"Europe/London\" }\n\
         order = { id = \"Order\", member = \"Customer\" }\nlines = { sku = \"Article\", quantity = \"Pieces\", unit_price = \"Price\" }\n",
    );
    let head = "Order,Date,Customer,Article,Pieces,Price\n";
    desk.write(
        "orders.csv",
        &format!(
            "{head}A1,01/03/2024 10:00,c7,tea,2,4.50\nA1,01/03/2024 10:00,c7,cup,1,9.00\nA2,02/03/2024 10:00,c8,tea,1,4.50\n"
        ),
    );
    let dry = desk.run("import --mapping mapping.toml orders.csv --dir store --dry-run");
    assert!(dry.code == 0 && dry.out.contains("2  order_placed"), "{}{}", dry.out, dry.err);
    assert_eq!(desk.fails("member show --dir store c7").0, 4, "nothing was handed in");
    let report = desk.json("import --mapping mapping.toml orders.csv --dir store");
    assert_eq!((&report["file"]["rows_used"], &report["handed_in"]["outcomes"]["applied"]), (&3.into(), &2.into()), "{report}");
    assert_eq!(desk.json("member show --dir store c7")["eligible_spend"], "18.00");
    let again = desk.json("import --mapping mapping.toml orders.csv --dir store");
    assert_eq!(again["handed_in"]["outcomes"]["duplicate"], 2);

    desk.write("short.csv", "Order,Date,Customer,Article,Pieces\nA1,x,c,a,1\n");
    let (code, told) = desk.fails("import --mapping mapping.toml short.csv --dir store");
    assert!(code == 1 && told.contains("Price"), "{code} {told}");
    desk.write("bad.toml", "progam = \"shop\"\n");
    let (code, told) = desk.fails("import --mapping bad.toml orders.csv --dir store");
    assert!(code == 2 && told.contains("progam"), "{code} {told}");
}

#[test]
fn balances_come_along_and_are_reconciled() {
    let desk = Desk::new();
    desk.write("shop.toml", RULES);
    desk.run("rules activate shop.toml --dir store --from 2024-01-01");
    desk.write(
        "lots.toml",
        "kind = \"lots\"\nprogram = \"shop\"\nsource = \"old\"\n[time]\nformat = \"%Y-%m-%d\"\nzone = \"UTC\"\n\
         [opening]\nat = \"2024-06-01T00:00:00Z\"\nmember = \"Who\"\npoints = \"Points\"\nexpires_at = \"Ends\"\n",
    );
    let csv = "Who,Points,Ends\nc1,100,2031-01-31\nc1,20,\nc2,50,\n";
    desk.write("lots.csv", csv);
    let done = desk.json("import --mapping lots.toml lots.csv --dir store");
    assert_eq!((&done["file"]["points_imported"], &done["handed_in"]["outcomes"]["applied"]), (&3.into(), &3.into()), "{done}");
    let again = desk.json("import --mapping lots.toml lots.csv --dir store");
    assert_eq!(again["handed_in"]["outcomes"]["duplicate"], 3, "{again}");
    let main = &desk.json("member show --dir store c1")["balance"]["main"];
    assert_eq!((&main["active"], &main["imported"]), (&120.into(), &120.into()));
    let same = desk.json("import reconcile lots.csv --map lots.toml --dir store");
    assert_eq!((&same["agree"], &same["differ"], &same["ours"]), (&2.into(), &0.into(), &170.into()), "{same}");

    desk.write("other.csv", "Who,Points,Ends\nc1,100,2031-01-31\nc3,7,\nc3,9,2024-07-01\n");
    let done = desk.run("import reconcile other.csv --map lots.toml --dir store --output csv");
    assert!(done.code == 1 && done.err.contains("3 of 3 balances differ"), "{} {}", done.code, done.err);
    let lines: Vec<&str> = done.out.lines().collect();
    let expected = ["c1,main,100,120,20,", "c2,main,0,50,50,not in the file", "c3,main,7,0,-7,not here"];
    assert_eq!(lines[1..], expected, "{}", done.out);
    let before = desk.json("digest --dir store shop");
    desk.write("basket.toml", "coupons = []\n[[lines]]\nsku = \"tea\"\nquantity = 2\nunit_price = \"4.50\"\n");
    let quote = desk.json("quote --member c1 --file basket.toml --dir store");
    assert_eq!((&quote["eligible"], &quote["before"]["main"]["active"]), (&"9.00 GBP".into(), &120.into()), "{quote}");
    let page = desk.run("quote --member shop/c1 --file basket.toml --dir store");
    assert!(page.code == 0 && page.out.contains("nothing is booked") && page.out.contains("Balance, and then"), "{}", page.err);
    assert_eq!(desk.json("digest --dir store shop"), before, "nothing was written");
    assert_eq!(desk.run("quote --member c1 --file nothing.toml --dir store").code, 2);
}

#[test]
fn dead_letters_are_listed_shown_and_requeued() {
    let desk = Desk::new();
    desk.write("shop.toml", RULES);
    let facts = desk.write("facts.jsonl", &FACTS.replace("\"demo\"", "\"shop\"").replace("12.40", "12.405"));
    desk.run("rules activate shop.toml --dir store --from 2024-01-01");
    let done = desk.run(&format!("publish --dir store {}", facts.display()));
    assert!(done.code == 1 && done.err.contains("dead letter"), "{}", done.err);
    let list = desk.json("dlq list --dir store");
    let letter = list["dead_letters"][0]["letter"].as_str().expect("one").to_owned();
    assert!(desk.run(&format!("dlq show --dir store {letter}")).out.contains("12.405"));
    let again = desk.json("dlq requeue --dir store --all");
    assert_eq!(again["outcomes"]["refused"], 1, "it is as wrong as before: {again}");
    let statuses = desk.json("dlq list --dir store --all");
    let statuses: Vec<&str> =
        statuses["dead_letters"].as_array().expect("rows").iter().filter_map(|row| row["status"].as_str()).collect();
    assert_eq!(statuses, ["requeued", "open"]);
    assert_eq!(desk.fails("dlq show --dir store 0/99"), (4, "accrue: there is no dead letter 0/99".to_owned()));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let desk = Desk::new();
    let (code, told) = desk.fails("member list --dir nowhere");
    assert!(code == 4 && told.starts_with("accrue: there is no store in nowhere"), "{code} {told}");
    assert!(!desk.dir.path().join("nowhere").exists(), "reading makes no store");
    let (code, told) = desk.fails("config check --set kafka.broker=x");
    assert_eq!(
        (code, told.as_str()),
        (2, "accrue: --set kafka.broker: there is no key kafka.broker; did you mean kafka.brokers?")
    );
    desk.write("bad.toml", "[store]\nsync = \"perhaps\"\n");
    let (code, told) = desk.fails("config check --config bad.toml");
    assert_eq!((code, told.as_str()), (2, "accrue: bad.toml line 2: store.sync is \"perhaps\", it has to be true or false"));
    for (set, wanted) in [
        ("isolation.level=read_uncommitted", "kafka.properties.isolation.level is always read_committed"),
        ("fetch.min.bites=1", "No such configuration property: \"fetch.min.bites\""),
        ("security.protocol=tls", "kafka.properties.security.protocol is \"tls\""),
    ] {
        let (code, told) = desk.fails(&format!("config check --set kafka.brokers=a:1 --set kafka.properties.{set}"));
        assert!(code == 2 && told.contains(wanted), "{code} {told}");
    }
    assert_eq!(desk.run("config check --set kafka.brokers=a:1 --set kafka.properties.linger.ms=1").code, 0);
    assert_eq!(desk.run("member show").code, 2);
    let (code, told) = desk.fails("topics plan");
    assert!(code == 2 && told.contains("kafka.brokers is not set"), "{code} {told}");
    desk.write("notes.txt", "x");
    let (code, told) = desk.fails("serve --dir . --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-level error");
    assert!(code == 1 && told.contains("is not a store"), "{code} {told}");
    let (code, told) = desk.fails("member list --url http://127.0.0.1:9");
    assert!(code == 1 && told.contains("can't reach http://127.0.0.1:9"), "{code} {told}");
    let (code, told) = desk.fails("publish --dir other no-such-file.jsonl -o table");
    assert!(code == 2 && told.contains("no-such-file.jsonl"), "{code} {told}");
    assert!(!desk.dir.path().join("other").exists(), "files are looked at first");
}

#[test]
fn facts_come_from_standard_input_too() {
    let desk = Desk::new();
    desk.write("shop.toml", RULES);
    desk.run("rules activate shop.toml --dir store --from 2024-01-01");
    let mut child = desk
        .command("publish --dir store - -o csv")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(FACTS.replace("\"demo\"", "\"shop\"").as_bytes()).expect("written");
    let done = done(child.wait_with_output().expect("ends"));
    assert_eq!((done.code, done.out.as_str()), (0, "outcome,facts\r\napplied,2\r\n"), "{}", done.err);
}

#[test]
fn the_configuration_says_where_it_is_from() {
    let desk = Desk::new();
    desk.write("accrue.toml", "shards = 3\nlisten = \"127.0.0.1:1\"\n[kafka]\nbrokers = \"file:1\"\n[kafka.properties]\n\"sasl.password\" = \"hunter2\"\n");
    let shown = |command: &mut Command| {
        let done = done(command.output().expect("runs"));
        assert_eq!(done.code, 0, "{}", done.err);
        assert!(!done.out.contains("hunter2"), "a secret is not shown");
        let rows: Value = serde_json::from_str(&done.out).expect("json");
        let row = |key: &str| {
            let row = rows["keys"].as_array().expect("rows").iter().find(|row| row["key"] == key).expect("shown").clone();
            format!("{} from {}", row["value"].as_str().unwrap_or("nothing"), row["from"].as_str().unwrap_or_default())
        };
        ["shards", "listen", "kafka.brokers", "kafka.group"].map(row)
    };
    let mut command = desk.command("config show --effective -o json --set listen=127.0.0.1:2");
    command.env("ACCRUE__KAFKA__BROKERS", "env:2");
    let expected = [
        "3 from accrue.toml line 1",
        "127.0.0.1:2 from --set listen",
        "env:2 from ACCRUE__KAFKA__BROKERS",
        "accrue from default",
    ];
    assert_eq!(shown(&mut command), expected);
    assert!(Path::new(env!("CARGO_BIN_EXE_accrue")).is_file());
}
