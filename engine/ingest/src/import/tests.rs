//! Whole files: a small one with everything odd in it, and the real one.

use super::*;
use accrue_ledger::{Booked, Ruleset, Timeline, replay};
use accrue_proto::pb::fact::Body;
use accrue_proto::{money, read_fact, write_fact};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

const SHOP: &str = include_str!("fixtures/shop.csv");
const SHOP_MAPPING: &str = r#"
program = "shop"
source = "old-shop"
currency = "EUR"
[file]
delimiter = ";"
decimal = ","
thousands = "."
[time]
column = "Date"
format = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"
rows_differ = "earliest"
[order]
id = "Order"
member = { column = "Customer", prefix = "c-" }
rows_apart = 5
shipping = "Shipping"
coupons = "Coupon"
channel = { value = "web" }
[lines]
id = { sku_number = true }
sku = "Article"
quantity = "Pieces"
unit_price = "Price"
price_decimals = "exact_line"
collections = { column = "Category", split = "|" }
[refund]
when = { column = "Kind", equals = ["return", "exchange"] }
sign = "negative"
[[skip]]
column = "Customer"
empty = true
reason = "no customer"
[[skip]]
column = "Kind"
equals = "gift"
reason = "gifts"
"#;

fn all(import: &mut Import) -> (Vec<Imported>, Vec<ImportError>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for one in import {
        match one {
            Ok(imported) => good.push(imported),
            Err(error) => bad.push(error),
        }
    }
    (good, bad)
}

fn shop(mapping: &str, csv: &str) -> (Vec<Imported>, Vec<ImportError>, Report) {
    let mapping = Mapping::parse(mapping).expect("valid");
    let mut import = Import::read("shop.csv", csv.as_bytes(), &mapping).expect("opens");
    let (good, bad) = all(&mut import);
    (good, bad, import.report().clone())
}

fn line(line_id: &str, sku: &str, quantity: i64, unit_price: i64, discount: i64, collections: &[&str]) -> pb::Line {
    let collections = collections.iter().map(|name| (*name).to_owned()).collect();
    pb::Line { line_id: line_id.into(), sku: sku.into(), quantity, unit_price, discount, collections, tags: Vec::new() }
}

#[test]
fn a_small_shop() {
    let (good, ..) = shop(SHOP_MAPPING, SHOP);
    let find = |id: &str| good.iter().find(|one| one.fact.id == id).unwrap_or_else(|| panic!("no {id}"));
    let ids: BTreeSet<&str> = good.iter().map(|one| one.fact.id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(["order:1001", "order:1003", "refund:R7"]));

    let ann = find("order:1001");
    assert_eq!((ann.lines, ann.fact.member.as_str()), ((2, 8), "c-ann"));
    assert_eq!(ann.fact.occurred_at.map(|at| at.seconds), Some(1_709_280_900), "09:15 in Berlin");
    let expected = pb::OrderPlaced {
        order_id: "1001".into(),
        version: 1,
        currency: "EUR".into(),
        lines: vec![
            line("tea#1", "tea", 2, 450, 0, &["Tea", "Gifts"]),
            line("cup#1", "cup", 1, 100_900, 0, &[]),
            line("pot#1", "pot", 1, 2500, 0, &[]),
        ],
        shipping: 390,
        coupons: vec!["SPRING".into()],
        channel: "web".into(),
        ..pb::OrderPlaced::default()
    };
    assert_eq!(ann.fact.body, Some(Body::OrderPlaced(expected)));

    let Some(Body::OrderPlaced(bob)) = &find("order:1003").fact.body else { panic!("an order") };
    assert_eq!(bob.lines, [line("tea#1", "tea", 3, 34, 2, &["Tea"]), line("tea#2", "tea", 1, 450, 0, &["Tea"])]);
    let refund = pb::RefundRecorded {
        refund_id: "R7".into(),
        lines: vec![pb::RefundLine { line_id: "tea".into(), quantity: 2, amount: Some(67) }],
        currency: "EUR".into(),
        ..pb::RefundRecorded::default()
    };
    assert_eq!(find("refund:R7").fact.body, Some(Body::RefundRecorded(refund)));
}

#[test]
fn every_row_of_a_small_shop_is_accounted_for() {
    let (_, bad, report) = shop(SHOP_MAPPING, SHOP);
    let told: Vec<String> = bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "shop.csv line 9: order 1004 is left out: column \"Pieces\": \"one\" is not a number",
            "shop.csv line 11: order 1005 is left out: column \"Pieces\": an order has -1 pieces; leave such rows out with \
             [[skip]] … at_most = \"0\", of = \"order\"",
        ]
    );
    assert!(bad.iter().all(|error| !error.fatal));
    let skipped = |reason: &str, line| Skipped { reason: reason.into(), rows: 1, lines: vec![line] };
    let expected = Report {
        rows: 11,
        rows_used: 6,
        skipped: vec![skipped("no customer", 4), skipped("gifts", 12)],
        rows_left_out: 3,
        left_out: 2,
        orders: 2,
        refunds: 1,
        others: std::collections::BTreeMap::new(),
    };
    assert_eq!(report, expected);
}

#[test]
fn the_same_facts_on_every_run() {
    assert_eq!(shop(SHOP_MAPPING, SHOP).0, shop(SHOP_MAPPING, SHOP).0);
    let mapping = Mapping::parse(SHOP_MAPPING).expect("valid");
    let shop_twice = |csv: &[u8]| all(&mut Import::read("x", csv, &mapping).expect("opens")).0;
    let windows = SHOP.replace('\n', "\r\n");
    assert_eq!(shop_twice(windows.as_bytes()), shop_twice(SHOP.as_bytes()), "ends of lines don't count");
}

#[test]
fn an_order_that_comes_back_stops_the_import() {
    let (_, bad, _) = shop(&SHOP_MAPPING.replace("rows_apart = 5", "rows_apart = 2"), SHOP);
    let last = bad.last().expect("an error");
    assert!(last.fatal && last.to_string().starts_with("shop.csv line 8: a row of 1001 comes after"), "{last}");
    assert!(last.message.contains("order.rows_apart (now 2)"), "{last}");
    let (good, ..) = shop(&SHOP_MAPPING.replace("rows_apart = 5", "rows_apart = \"any\""), SHOP);
    assert_eq!(good.len(), 3);
}

#[test]
fn what_the_door_would_refuse_is_told_with_its_lines() {
    let rows: String = (0..1_001).map(|row| format!("9;sale;01.03.2024 09:00;eve;a{row};;1;1,00;;\n")).collect();
    let csv = format!("{}{rows}", SHOP.lines().next().map(|head| format!("{head}\n")).expect("a header"));
    let (good, bad, report) = shop(SHOP_MAPPING, &csv);
    assert!(good.is_empty());
    assert!(bad[0].to_string().starts_with("shop.csv lines 2 to 1002: order 9 is left out: too_many: "), "{}", bad[0]);
    assert_eq!((report.left_out, report.rows_left_out), (1, 1_001));
}

#[test]
fn refunds_that_name_their_order_and_totals() {
    let mapping = r#"
        program = "p"
        source = "s"
        currency = { column = "Currency" }
        [time]
        column = "At"
        format = "%Y-%m-%dT%H:%M:%S%:z"
        zone = "UTC"
        [order]
        id = "Id"
        member = "Who"
        [lines]
        id = "Line"
        quantity = "Q"
        total = "Total"
        discount = "Off"
        [refund]
        when = { column = "Of", empty = false }
        order = "Of"
    "#;
    let csv = "Id,Of,At,Who,Currency,Line,Q,Total,Off\nA,,2024-03-01T10:00:00+00:00,m,JPY,x,3,100,10\nB,A,2024-03-02T10:00:00+01:00,m,JPY,x,1,30,\n\
               C,,2024-03-02T10:00:00+01:00,m,XXQ,x,1,30,\nD,,2024-03-02T10:00:00+01:00,m,JPY,x,1,30.5,\nE,,2024-03-02T10:00:00+01:00,,JPY,x,1,30,\n\
               ,,2024-03-02T10:00:00+01:00,m,JPY,x,1,30,\n";
    let (good, bad, report) = shop(mapping, csv);
    let [order, refund] = good.as_slice() else { panic!("{good:?}") };
    let Some(Body::OrderPlaced(order)) = &order.fact.body else { panic!("an order") };
    assert_eq!(order.lines, [line("x", "", 3, 34, 12, &[])]);
    let Some(Body::RefundRecorded(refund)) = &refund.fact.body else { panic!("a refund") };
    assert_eq!((refund.order_id.as_str(), refund.lines[0].line_id.as_str(), refund.lines[0].amount), ("A", "x", Some(30)));
    let told: Vec<&str> = bad.iter().map(|error| error.message.as_str()).collect();
    let expected = [
        "\"XXQ\" is no ISO 4217 currency",
        "30.5 has more decimals than the currency's 0",
        "column \"Who\" is empty",
        "column \"Id\" is empty",
    ];
    for part in expected {
        assert!(told.iter().any(|message| message.contains(part)), "{part}: {told:?}");
    }
    assert_eq!((bad.len(), report.rows, report.rows_used, report.rows_left_out), (4, 6, 2, 4));
}

#[test]
fn a_file_that_is_not_there() {
    let mapping = Mapping::parse(SHOP_MAPPING).expect("valid");
    let error = Import::open(Path::new("no-such.csv"), &mapping).err().expect("must fail");
    assert!(error.fatal && error.to_string().starts_with("no-such.csv: can't be opened"), "{error}");
}

/// What the documentation shows has every key, and is valid.
#[test]
fn the_documented_mapping_is_valid() {
    let page = include_str!("../../../../docs/import.md");
    let text = page.split("```").find_map(|block| block.strip_prefix("toml\n")).expect("a mapping");
    Mapping::parse(text).expect("valid");
    let words = include_str!("words.rs");
    let keys = words.lines().filter_map(|line| {
        let field = line.trim_start().strip_prefix("pub(super) ").unwrap_or(line.trim_start());
        let (name, _) = field.split_once(": ").filter(|_| line.ends_with(','))?;
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(name)
    });
    let missing: Vec<&str> = keys.filter(|key| !key.starts_with('_') && !page.contains(key)).collect();
    assert!(missing.is_empty(), "docs/import.md does not say what these are: {missing:?}");
}

#[test]
fn the_files_of_the_real_shop_are_valid() {
    let mapping = Mapping::parse(include_str!("../../../../deploy/retail/mapping.toml")).expect("valid");
    let rules = Ruleset::parse(include_str!("../../../../deploy/rulesets/retail.toml")).expect("valid");
    assert_eq!(rules.program, mapping.program.as_str());
}

/// The real file; `None`, and a line that says so, where it is not.
fn online_retail() -> Option<Import> {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/online-retail.csv.gz"));
    if !file.exists() {
        eprintln!("skipped: no {}", file.display());
        return None;
    }
    let mapping = Mapping::parse(include_str!("../../../../deploy/retail/mapping.toml")).expect("valid");
    Some(Import::open(file, &mapping).expect("opens"))
}

/// The numbers are those that `deploy/retail/check.py` prints over the same file; it shares no code with this.
#[test]
fn online_retail_is_counted_as_by_python() {
    let Some(mut import) = online_retail() else { return };
    let mut members = BTreeSet::new();
    let (mut minor, mut refunded, mut pieces) = (0, 0, 0);
    let mut ids = BTreeSet::new();
    for one in import.by_ref() {
        let one = one.expect("nothing is left out");
        members.insert(one.fact.member);
        assert!(ids.insert(one.fact.id), "ids are unique");
        match one.fact.body {
            Some(Body::OrderPlaced(order)) => {
                minor += order.lines.iter().map(|line| line.quantity * line.unit_price - line.discount).sum::<i64>();
            }
            Some(Body::RefundRecorded(refund)) => {
                assert_eq!(refund.order_id, "");
                refunded += refund.lines.iter().filter_map(|line| line.amount).sum::<i64>();
                pieces += refund.lines.iter().map(|line| line.quantity).sum::<i64>();
            }
            other => panic!("{other:?}"),
        }
    }
    let report = import.report();
    let skipped: Vec<u64> = report.skipped.iter().map(|skipped| skipped.rows).collect();
    assert_eq!((report.rows, report.rows_used, report.left_out), (541_909, 406_829, 0));
    assert_eq!(skipped, [3, 1_336, 133_741]);
    assert_eq!((report.orders, report.refunds, members.len()), (18_536, 3_654, 4_372));
    assert_eq!((minor, refunded, pieces), (891_140_790, 61_134_209, 274_808));
    assert_eq!(import.bytes_read(), 3_402_603, "all of the file");
}

/// Folded by the rules, the real file gives what `deploy/retail/check.py` prints: 4,372 members to the penny, 768 refunds with
/// pieces that find no order. The hash is that of its output (`check.py FILE | xxhsum -H3`).
#[test]
fn online_retail_folds_to_what_python_says() {
    let Some(import) = online_retail() else { return };
    let rules = Ruleset::parse(include_str!("../../../../deploy/rulesets/retail.toml")).expect("valid");
    let rules = Timeline::always(rules);
    let encode = |one: Result<Imported, ImportError>| {
        let mut bytes = Vec::new();
        write_fact(&one.expect("nothing is left out").fact, &mut bytes);
        bytes
    };
    let all: Vec<Vec<u8>> = import.map(encode).collect();
    let mut members: BTreeMap<&str, Vec<Booked<'_>>> = BTreeMap::new();
    for bytes in &all {
        let fact = read_fact(bytes).expect("well-formed");
        members.entry(fact.member).or_default().push(Booked { fact, decision: None });
    }
    let mut printed = String::from("member,spend\n");
    let (mut spend, mut exceptions, mut points) = (0, 0, 0);
    for (member, booked) in &mut members {
        let (state, _) = replay(&rules, booked, &mut ());
        printed.push_str(&format!("{member},{}\n", money::show_minor(state.eligible_spend, 2)));
        spend += state.eligible_spend;
        exceptions += state.exceptions;
        let sums = state.account("main").map(|account| account.sums).unwrap_or_default();
        points += sums.earned - sums.cancelled - sums.clawed_back - sums.debt;
    }
    assert_eq!((members.len(), spend, exceptions, points), (4_372, 843_249_418, 768, 8_423_779));
    assert_eq!(xxh3_64(printed.as_bytes()), 0x84cd_d2e9_8301_0790);
}
