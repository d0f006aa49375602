//! The API of a service in this process.

use accrue_server::config::{Config, Layers};
use accrue_server::serve::{Serving, start};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const RULES: &str = r#"
program = "shop"
currency = "GBP"
time_zone = "Europe/London"
[[earn]]
id = "base"
on = "order"
points = 1
per = "1.00"
[[reward]]
id = "tea"
kind = "redeemable"
cost = 10
benefit = { product = "tea" }
coupon = { valid_for = "P90D", uses = 1, prefix = "TEA" }
"#;

/// A service with a store of its own.
struct Server {
    serving: Option<Serving>,
    base: String,
    admin: String,
    dir: TempDir,
}

fn config(dir: &Path, more: &[&str]) -> Config {
    let mut layers = Layers::default();
    let dir = format!("data_dir={}", dir.display());
    let base = [dir.as_str(), "listen=127.0.0.1:0", "admin_listen=127.0.0.1:0", "ledger.delta_bytes_max=16MiB"];
    base.iter().chain(more).try_for_each(|set| layers.set(set)).expect("known keys");
    Config::of(layers).expect("a configuration")
}

impl Server {
    fn start(more: &[&str]) -> Server {
        let dir = tempfile::tempdir().expect("a folder");
        Server::in_dir(dir, more)
    }

    fn in_dir(dir: TempDir, more: &[&str]) -> Server {
        let serving = start(&config(&dir.path().join("store"), more)).expect("starts");
        let (base, admin) = (format!("http://{}", serving.api), format!("http://{}", serving.admin));
        Server { serving: Some(serving), base, admin, dir }
    }

    fn with_rules(more: &[&str]) -> Server {
        let server = Server::start(more);
        let (status, receipt) = server.post("/v1/facts", &activation().to_string());
        assert_eq!((status, &receipt["outcome"]), (200, &json!("booked")), "{receipt}");
        server
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let mut response = Server::agent().get(format!("{}{path}", self.base)).call().expect("answers");
        let kind = response.headers().get("content-type").expect("has a type").to_str().expect("text").to_owned();
        let status = response.status().as_u16();
        assert_eq!(kind, if status < 400 { "application/json" } else { "application/problem+json" }, "{path}");
        (status, response.body_mut().read_json().expect("json"))
    }

    fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = Server::agent().post(format!("{}{path}", self.base)).content_type("application/json");
        let mut response = request.send(body).expect("answers");
        (response.status().as_u16(), response.body_mut().read_json().expect("json"))
    }

    fn admin(&self, path: &str) -> (u16, String) {
        let mut response = Server::agent().get(format!("{}{path}", self.admin)).call().expect("answers");
        (response.status().as_u16(), response.body_mut().read_to_string().expect("text"))
    }

    fn stop(mut self) -> TempDir {
        self.serving.take().expect("runs").stop().expect("stops");
        self.dir
    }
}

fn activation() -> Value {
    let hash = accrue_ledger::Ruleset::parse(RULES).expect("valid").hash_hex();
    json!({
        "id": "rules", "source": "test", "program": "shop", "occurred_at": "2024-01-01T00:00:00Z",
        "ruleset_activated": { "ruleset": RULES, "hash": hash, "effective_from": "2024-01-01T00:00:00Z" },
    })
}

fn order(id: &str, member: &str, amount: &str) -> Value {
    json!({
        "id": format!("e-{id}"), "source": "test", "program": "shop", "member": member, "occurred_at": "2024-03-01T10:00:00Z",
        "order_placed": { "order_id": id, "currency": "GBP", "lines": [{ "line_id": "1", "sku": "x", "quantity": 1, "unit_price": amount }] },
    })
}

#[test]
fn a_fact_goes_in_and_its_points_come_out() {
    let server = Server::with_rules(&[]);
    let (status, receipt) = server.post("/v1/facts", &order("A", "m/1 ü", "25.50").to_string());
    assert_eq!((status, &receipt["outcome"], &receipt["late"]), (200, &json!("booked"), &json!(false)));
    let position = &receipt["position"];

    let (status, member) = server.get(&format!("/v1/programs/shop/members/m%2F1%20%C3%BC?min_position={position}"));
    assert_eq!(status, 200, "{member}");
    assert_eq!((&member["balance"]["main"]["active"], &member["eligible_spend"]), (&json!(25), &json!("25.50")));
    let (_, before) = server.get("/v1/programs/shop/members/m%2F1%20%C3%BC?as_of=2024-03-01T09:59:59Z");
    assert_eq!(before["code"], "not_found", "no fact of the member had happened");

    let request = json!({
        "id": "r", "source": "test", "program": "shop", "member": "m/1 ü", "occurred_at": "2024-03-02T10:00:00Z",
        "redemption_requested": { "redemption_id": "R", "reward": "tea" },
    });
    let (_, receipts) = server
        .post("/v1/facts", &json!([request, request, order("A", "m/1 ü", "25.50"), order("A", "m/1 ü", "99.00")]).to_string());
    let outcomes: Vec<&str> =
        receipts["receipts"].as_array().expect("a list").iter().filter_map(|receipt| receipt["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["booked", "duplicate", "duplicate", "conflict"]);
    let decision = &receipts["receipts"][0]["decision"];
    assert_eq!((&decision["outcome"], &receipts["receipts"][1]["decision"]), (&json!("accepted"), decision), "the stored answer");
    let code = decision["coupon"]["code"].as_str().expect("a coupon");
    let (status, coupon) = server.get(&format!("/v1/programs/shop/coupons/{code}"));
    assert_eq!((status, &coupon["member"]), (200, &json!("m/1 ü")));

    let (_, entries) = server.get("/v1/programs/shop/members/m%2F1%20%C3%BC/entries?page_size=2");
    assert_eq!(entries["entries"].as_array().map(Vec::len), Some(2), "{entries}");
    let next = entries["next_page_token"].as_str().expect("there is more");
    let (_, rest) = server.get(&format!("/v1/programs/shop/members/m%2F1%20%C3%BC/entries?page_size=2&page_token={next}"));
    assert_eq!((&rest["entries"][0]["entry"], &rest["of"]), (&json!(2), &entries["of"]));
    let (_, explained) = server.get("/v1/programs/shop/members/m%2F1%20%C3%BC/orders/A/explain");
    assert_eq!((&explained["rules"][0]["points"], &explained["eligible"]), (&json!(25), &json!("25.50 GBP")));
    let member = "/v1/programs/shop/members/m%2F1%20%C3%BC";
    let (_, tree) = server.get(&format!("{member}/explain?number=active"));
    let lot = &tree["trees"][0]["parts"][0];
    assert_eq!(
        (&tree["trees"][0]["points"], &lot["parts"][0]["points"], &lot["parts"][1]["points"]),
        (&json!(15), &json!(25), &json!(-10))
    );
    let (status, missing) = server.get(&format!("{member}/explain?lot=7"));
    assert_eq!((status, &missing["code"]), (404, &json!("not_found")));
    // Without the order nothing covers what was accepted.
    let (_, otherwise) = server.post(&format!("{member}/explain"), &json!({ "without": ["A"] }).to_string());
    assert_eq!(
        (&otherwise["shortfalls"][0]["source"], &otherwise["shortfalls"][0]["after"]),
        (&json!("R"), &json!(10)),
        "{otherwise}"
    );
    assert_eq!(server.get(member).1["balance"]["main"]["debt"], 0, "nothing is written");
    let (_, before) = server.get("/v1/programs/shop/members?as_known_at=1");
    assert_eq!((&before["members"], &before["as_known_at"]), (&json!([]), &json!(1)));
    let (_, totals) = server.get("/v1/programs/shop/totals?by=day&as_of=2024-03-03T00:00:00Z");
    assert_eq!(totals["rows"][0]["points"]["earned"], 25, "{totals}");
    let (_, status) = server.get("/v1/programs/shop/totals");
    assert_eq!((&status["ledgers"]["main"]["active"], &status["ledgers"]["main"]["spent"]), (&json!(15), &json!(10)));
    server.stop();
}

#[test]
fn pages_of_members_hold_everybody_once() {
    let server = Server::with_rules(&["shards=3"]);
    let facts: Vec<Value> =
        (0..25).map(|number| order(&format!("o{number}"), &format!("m{number:02}"), &format!("{number}.00"))).collect();
    let (status, _) = server.post("/v1/facts", &Value::Array(facts).to_string());
    assert_eq!(status, 200);
    let (mut members, mut token) = (Vec::new(), String::new());
    loop {
        let (_, page) = server.get(&format!("/v1/programs/shop/members?page_size=10&page_token={token}"));
        members
            .extend(page["members"].as_array().expect("rows").iter().map(|row| row["member"].as_str().expect("text").to_owned()));
        match page["next_page_token"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(members, (0..25).map(|number| format!("m{number:02}")).collect::<Vec<_>>());
    let (_, top) = server.get("/v1/programs/shop/members?sort=spend&top=2");
    assert_eq!((&top["members"][0]["member"], &top["members"][1]["member"]), (&json!("m24"), &json!("m23")));
    server.stop();
}

#[test]
fn what_is_wrong_is_a_problem_with_a_code() {
    let server = Server::with_rules(&["http.body_bytes_max=4KiB", "http.facts_max=3", "http.page_size_max=10"]);
    let code = |(status, body): (u16, Value)| {
        assert_eq!(body["status"], status, "{body}");
        (status, body["code"].as_str().expect("a code").to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    for path in [
        "/v1/programs/shop/members/nobody",
        "/v1/programs/other/members/m1",
        "/v1/programs/shop/coupons/X",
        "/v1/dead-letters/0/9",
        "/v1/dead-letters/9/1",
        "/nowhere",
        "/v1/programs/other/totals",
    ] {
        assert_eq!(code(server.get(path)), is(404, "not_found"), "{path}");
    }
    let yours = server.get("/v1/programs/shop/members/m1").1["detail"].as_str().map(|detail| detail.replace("shop", "…"));
    let theirs = server.get("/v1/programs/other/members/m1").1["detail"].as_str().map(|detail| detail.replace("other", "…"));
    assert_eq!(yours, theirs, "the same words whether it is not there or not yours");
    for path in [
        "/v1/programs/shop/members/m1?as_of=yesterday",
        "/v1/programs/shop/members/m1?asof=2024-01-01T00:00:00Z",
        "/v1/programs/shop/members/m1?as_known_position=1&as_known_at=2024-01-01T00:00:00Z",
        "/v1/programs/shop/members/m1?as_known_position=x",
        "/v1/programs/shop/members/m1?page_size=3",
        "/v1/programs/shop/members?page_size=0",
        "/v1/programs/shop/members?page_token=zz",
        "/v1/programs/shop/members?sort=name",
        "/v1/programs/shop/members?sort=spend&page_size=3",
        "/v1/programs/shop/totals?by=week",
        "/v1/dead-letters/x/1",
    ] {
        assert_eq!(code(server.get(path)), is(400, "bad_request"), "{path}");
    }
    assert_eq!(code(server.get("/v1/programs/shop/members?page_size=11")), is(400, "page_too_large"));
    assert_eq!(server.get("/v1/programs/shop/members?page_size=10").0, 200);
    assert_eq!(code(server.post("/v1/programs", "")), is(405, "method_not_allowed"));
    assert_eq!(code(server.post("/v1/facts", "{\"id\": ")), is(400, "invalid_json"));
    assert_eq!(code(server.post("/v1/facts", "id=1")), is(415, "unsupported_encoding"));
    assert_eq!(code(server.post("/v1/facts", "[{},{},{},{}]")), is(413, "too_many_facts"));
    assert_eq!(code(server.post("/v1/facts", &" ".repeat(4097))), is(413, "body_too_large"));
    let letters = json!({ "letters": ["0/1", "0/2", "0/3", "0/4"] }).to_string();
    assert_eq!(code(server.post("/v1/dead-letters/requeue", &letters)), is(413, "too_many_facts"));
    assert_eq!(server.get("/v1/dead-letters?all=true").1["dead_letters"], json!([]), "nothing of all that was taken in");
    server.stop();
}

#[test]
fn what_cannot_be_booked_is_kept_and_handed_in_again() {
    let server = Server::start(&[]);
    let (status, receipt) = server.post("/v1/facts", &order("A", "m1", "25.00").to_string());
    assert_eq!((status, &receipt["code"]), (200, &json!("unknown_program")));
    let letter = receipt["dead_letter"].as_str().expect("a letter").to_owned();
    let (_, list) = server.get("/v1/dead-letters");
    assert_eq!((&list["dead_letters"][0]["letter"], &list["dead_letters"][0]["status"]), (&json!(letter), &json!("open")));
    let (_, whole) = server.get(&format!("/v1/dead-letters/{letter}"));
    assert_eq!(whole["value"].as_str().map(|value| value.contains("\"order_id\":\"A\"")), Some(true), "{whole}");

    server.post("/v1/facts", &activation().to_string());
    let (status, again) = server.post(&format!("/v1/dead-letters/{letter}/requeue"), "{}");
    assert_eq!((status, &again["outcome"]), (200, &json!("booked")));
    assert_eq!(server.get("/v1/dead-letters").1["dead_letters"], json!([]));
    assert_eq!(server.get("/v1/dead-letters?all=true").1["dead_letters"][0]["status"], "requeued");
    assert_eq!(server.get("/v1/programs/shop/members/m1").1["balance"]["main"]["active"], 25);
    let (status, many) = server.post("/v1/dead-letters/requeue", &json!({ "letters": [letter] }).to_string());
    assert_eq!((status, &many["requeued"][0]["receipt"]["outcome"]), (200, &json!("duplicate")), "{many}");
    for (letters, status) in [(json!(["0/99"]), 404), (json!(["x"]), 400)] {
        assert_eq!(server.post("/v1/dead-letters/requeue", &json!({ "letters": letters }).to_string()).0, status, "{letters}");
    }
    server.stop();
}

#[test]
fn it_stops_and_starts_and_answers_the_same() {
    let server = Server::with_rules(&[]);
    server.post("/v1/facts", &order("A", "m1", "25.00").to_string());
    let (_, before) = server.get("/v1/programs/shop/digest");
    let dir = server.stop();
    assert!(!dir.path().join("store/serve.json").exists(), "nobody is sent to a service that is gone");
    let server = Server::in_dir(dir, &[]);
    assert!(server.dir.path().join("store/serve.json").exists());
    assert_eq!(server.get("/v1/programs/shop/digest").1, before);
    let (_, same) = server.post("/v1/facts", &order("A", "m1", "25.00").to_string());
    assert_eq!(same["outcome"], "duplicate");
    assert!(
        start(&config(&server.dir.path().join("store"), &[]))
            .is_err_and(|error| error.to_string().contains("is in use by process")),
        "one at a time"
    );
    server.stop();
}

#[test]
fn health_and_metrics_are_apart() {
    let server = Server::with_rules(&["shards=2"]);
    server.post("/v1/facts", &order("A", "member-one", "25.00").to_string());
    server.get("/v1/programs/shop/members/member-one");
    assert_eq!(server.admin("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(server.admin("/readyz"), (200, "ok\n".to_owned()));
    let (_, verbose) = server.admin("/readyz?verbose");
    let verbose: Value = serde_json::from_str(&verbose).expect("json");
    assert_eq!((&verbose["ready"], verbose["shards"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    let (status, metrics) = server.admin("/metrics");
    assert_eq!(status, 200);
    for name in [
        "accrue_facts_total{",
        "accrue_sync_seconds_bucket{",
        "accrue_http_requests_total{",
        "accrue_log_consumed{",
        "accrue_log_rocksdb{shard=\"0\",property=\"estimate-pending-compaction-bytes\"}",
        "accrue_view_rocksdb{shard=\"0\",property=\"total-sst-files-size\"}",
        "accrue_points_outstanding{program=\"shop\",ledger=\"main\",status=\"active\"} 25",
        "accrue_points_outstanding{program=\"shop\",ledger=\"main\",status=\"debt\"} 0",
        "accrue_members{program=\"shop\"} 1",
        "accrue_points_outstanding_age_seconds",
        "accrue_shard_live{",
    ] {
        assert!(metrics.contains(name), "{name} is missing in\n{metrics}");
    }
    assert!(!metrics.contains("member-one"), "no member in a label");
    assert_eq!(server.get("/metrics").0, 404, "not at the address of the api");
    server.stop();
}

#[test]
fn a_basket_is_quoted_and_nothing_is_written() {
    let server = Server::with_rules(&[]);
    server.post("/v1/facts", &order("A", "m1", "25.00").to_string());
    let state = |server: &Server| {
        let positions: Value = serde_json::from_str(&server.admin("/readyz?verbose").1).expect("json");
        (server.get("/v1/programs/shop/digest").1, positions["shards"].clone())
    };
    let before = state(&server);
    let quote = |member: &str, price: &str| {
        let basket =
            json!({ "lines": [{ "sku": "x", "quantity": 2, "unit_price": price }], "shipping": "3.00", "coupons": ["NOPE"] });
        server.post("/v1/programs/shop/quote", &json!({ "member": member, "basket": basket }).to_string())
    };
    let (status, told) = quote("m1", "10.25");
    assert_eq!((status, &told["earns"]["main"], &told["eligible"]), (200, &json!(20), &json!("20.50 GBP")), "{told}");
    assert_eq!((&told["rules"][0]["rule"], &told["rules"][0]["points"]), (&json!("base"), &json!(20)));
    assert_eq!((&told["before"]["main"]["active"], &told["after"]["main"]["active"]), (&json!(25), &json!(45)));
    assert_eq!((&told["rewards"][0]["reward"], &told["rewards"][0]["usable"]), (&json!("tea"), &json!(true)), "{told}");
    let (_, new) = quote("nobody", "0.10");
    assert_eq!((&new["known"], &new["rules"][0]["points"]), (&json!(false), &json!(0)));
    assert!(new["rules"][0]["because"].as_str().is_some_and(|why| why.contains("= 0.2, floor puts 0.2 off → 0")), "{new}");
    assert_eq!((&new["rewards"][0]["why_not"], &new["rewards"][0]["missing"]), (&json!("member_unknown"), &json!(10)), "{new}");
    let (status, wrong) = quote("m1", "10.255");
    assert_eq!((status, wrong["detail"].as_str().map(|detail| detail.contains("unit_price"))), (400, Some(true)), "{wrong}");
    assert_eq!(
        server
            .post("/v1/programs/other/quote", &json!({ "member": "m", "basket": { "currency": "GBP", "lines": [] } }).to_string())
            .0,
        404
    );
    assert_eq!(state(&server), before, "nothing was written");
    server.stop();
}

#[test]
fn what_orders_come_to_follows_refunds_and_cancellations() {
    let server = Server::with_rules(&[]);
    let fact = |id: &str, body: Value| {
        let mut fact = json!({ "id": id, "source": "test", "program": "shop", "member": "m1", "occurred_at": format!("2024-03-0{id}T10:00:00Z") });
        fact.as_object_mut().expect("an object").extend(body.as_object().expect("a body").clone());
        fact
    };
    let placed = |order: &str, discount: &str| {
        json!({ "order_placed": { "order_id": order, "discount": discount, "shipping": "5.00", "tax": "2.00", "paid_with_points": "1.00",
            "lines": [{ "line_id": "1", "sku": "x", "quantity": 2, "unit_price": "50.00", "discount": "0.00" }] } })
    };
    let purchases = || server.get("/v1/programs/shop/members/m1").1["purchases"].clone();
    let is = |value: &str, net: &str, discounts: &str, counts: [u32; 3]| {
        json!({ "lifetime_value": value, "net_revenue": net, "discounts": discounts, "discounted_orders": counts[0],
            "undiscounted_orders": counts[1], "cancelled_orders": counts[2] })
    };
    let facts = json!([fact("1", placed("A", "10.00")), fact("2", placed("B", "0.00"))]);
    server.post("/v1/facts", &facts.to_string());
    assert_eq!(purchases(), is("204.00", "188.00", "10.00", [1, 1, 0]));
    let refund =
        json!({ "refund_recorded": { "refund_id": "R", "order_id": "B", "lines": [{ "line_id": "1", "quantity": 1 }] } });
    server.post("/v1/facts", &fact("3", refund).to_string());
    assert_eq!(purchases(), is("154.00", "138.00", "10.00", [1, 1, 0]));
    server.post("/v1/facts", &fact("4", json!({ "order_cancelled": { "order_id": "A" } })).to_string());
    assert_eq!(purchases(), is("57.00", "49.00", "0.00", [0, 1, 1]));
    let given =
        json!({ "points_adjusted": { "adjustment_id": "1", "points": 12, "reason": "sorry", "expires": { "after": "P20D" } } });
    server.post("/v1/facts", &fact("5", given).to_string());
    let main = &server.get("/v1/programs/shop/members/m1?as_of=2024-03-06T00:00:00Z").1["balance"]["main"];
    assert_eq!((&main["adjusted"], &main["expiring_soon"]), (&json!(12), &json!(12)), "{main}");
    server.stop();
}

#[test]
fn rules_are_applied_undone_and_listed() {
    let server = Server::with_rules(&["apply.max_abs_delta=100"]);
    server.post("/v1/facts", &json!([order("A", "ann", "60.00"), order("B", "bob", "90.00")]).to_string());
    let path = |what: &str| format!("/v1/programs/shop/rules/{what}");
    let active = |member: &str| server.get(&format!("/v1/programs/shop/members/{member}")).1["balance"]["main"]["active"].clone();
    let asked = |dry_run: bool, approve: &Value| {
        let new = RULES.replace("points = 1", "points = 2");
        json!({ "new": new, "policy": "true_up", "from": "2024-01-01T00:00:00Z", "dry_run": dry_run, "approve": approve })
            .to_string()
    };
    let (status, dry) = server.post(&path("apply"), &asked(true, &Value::Null));
    assert_eq!(
        (status, &dry["application"]["entries"]["points"], &dry["diff"]["moved"]),
        (200, &json!(150), &json!(150)),
        "{dry}"
    );
    let (status, problem) = server.post(&path("apply"), &asked(false, &Value::Null));
    assert_eq!((status, &problem["code"]), (409, &json!("not_approved")), "{problem}");
    assert_eq!((active("ann"), active("bob")), (json!(60), json!(90)));
    let (status, done) = server.post(&path("apply"), &asked(false, &dry["effects"]));
    assert_eq!((status, &done["application"]["state"]), (200, &json!("done")), "{done}");
    assert_eq!((active("ann"), active("bob")), (json!(120), json!(180)));
    let mut later = order("C", "ann", "5.00");
    later["occurred_at"] = json!(accrue_ingest::Clock::system().now().to_string());
    server.post("/v1/facts", &later.to_string());
    assert_eq!(active("ann"), json!(130), "the new rules judge what comes");
    let (status, undone) = server.post(&path("undo"), "{}");
    assert_eq!((status, &undone["application"]["entries"]["points"]), (200, &json!(-150)), "{undone}");
    assert_eq!((active("ann"), active("bob")), (json!(70), json!(90)));
    let (_, history) = server.get(&path("applications"));
    let policies: Vec<&str> =
        history["applications"].as_array().expect("rows").iter().filter_map(|row| row["policy"].as_str()).collect();
    assert_eq!(policies, ["undo", "true_up"]);
    assert_eq!(server.post(&path("resume"), "{}").0, 404, "nothing was broken off");
    assert_eq!(server.post(&path("apply"), r#"{"new": "x", "policy": "restate"}"#).1["code"], "ruleset_invalid");
    let _dir = server.stop();
}
