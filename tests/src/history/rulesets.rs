//! Rulesets of every kind: each policy, calendar and filter has its turn.

use super::random::Random;
use super::{Features, ladders};
use std::fmt::Write as _;

const ZONES: &[&str] = &["UTC", "Europe/London", "Europe/Berlin", "America/New_York", "Africa/Cairo"];
const STARTS: &[&str] = &[
    "\"immediate\"",
    "\"immediate\"",
    "\"immediate\"",
    "{ after = \"P5D\", to = \"day_end\" }",
    "{ after = \"P14D\", to = \"day_start\" }",
    "{ after = \"PT36H\" }",
    "{ after = \"P1W\", to = \"week_end\" }",
    "{ dates = [\"01-01\", \"04-26\", \"07-01\"] }",
    "{ on = \"fulfilled\", cancel_after = \"P20D\" }",
    "{ on = \"fulfilled\" }",
];
const ENDS: &[&str] = &[
    "\"never\"",
    "\"never\"",
    "{ after = \"P30D\" }",
    "{ after = \"P10D\" }",
    "{ after = \"P1M\", to = \"month_end\" }",
    "{ after = \"P60D\", to = \"week_end\" }",
    "{ after = \"P2M\", to = \"quarter_end\" }",
    "{ after = \"P6M\", to = \"year_end\" }",
    "{ after = \"P12M\", to = \"month_end\" }",
    "{ dates = [\"06-30\", \"12-31\"] }",
];
/// What lines can be in.
pub const COLLECTIONS: &[&str] = &["tea", "gift-cards", "sale"];
/// What lines can be tagged with.
pub const TAGS: &[&str] = &["bio", "new"];
/// What can be bought.
pub const SKUS: &[&str] = &["T-1", "T-2", "POT", "CARD"];
/// Where orders come from.
pub const CHANNELS: &[&str] = &["web", "pos"];
/// What members do besides.
pub const ACTIVITIES: &[&str] = &["review", "signup", "visit", "birthday"];
/// What a member can ask for; `pay` needs points, `gift` and `trinket` are granted, `no-such` does not exist.
pub const REWARDS: &[&str] = &["small", "big", "plain", "pay", "gift", "trinket", "multi", "no-such"];

/// What the facts of a history have to know of its ruleset.
#[derive(Clone, Debug)]
pub struct Made {
    /// The ruleset.
    pub toml: String,
    /// Currencies an order may have; the first is the program's.
    pub currencies: Vec<String>,
    /// Ledgers, `main` first.
    pub ledgers: Vec<String>,
    /// Ids of tiers, lowest first; none where the program has no tiers.
    pub tiers: Vec<&'static str>,
}

/// Which currencies and ledgers all rulesets of a history have.
pub fn frame(random: &mut Random) -> (Vec<String>, Vec<String>) {
    let mut currencies = vec![random.pick(&["GBP", "GBP", "EUR", "JPY"]).to_owned()];
    if random.chance(30) {
        let other = random.pick(&["USD", "JPY", "KWD"]).to_owned();
        if !currencies.contains(&other) {
            currencies.push(other);
        }
    }
    let mut ledgers = vec!["main".to_owned()];
    if random.chance(40) {
        ledgers.push("gems".to_owned());
    }
    (currencies, ledgers)
}

/// A ruleset; times of campaigns are in 2024.
pub fn make(random: &mut Random, currencies: &[String], ledgers: &[String], features: Features) -> Made {
    let mut toml = format!("program = \"test\"\ncurrency = \"{}\"\ntime_zone = \"{}\"\n", currencies[0], random.pick(ZONES));
    for other in &currencies[1..] {
        let factor = random.pick(&["0.85", "1.17", "0.0053", "0.3333333", "1"]);
        let _ = writeln!(toml, "[currencies.{other}]\nfactor = \"{factor}\"");
    }
    eligible(random, &mut toml);
    if features.guests && random.chance(30) {
        let _ = writeln!(toml, "[members]\nunknown = \"{}\"", random.pick(&["guest", "guest", "member"]));
    }
    if random.chance(60) {
        let _ = writeln!(toml, "[pending]\nstart = {}", random.pick(STARTS));
    }
    if random.chance(75) {
        let _ = writeln!(toml, "[expiry]\nlot = {}\nbase = \"{}\"", random.pick(ENDS), random.pick(&["activation", "earn"]));
        if features.inactivity && random.chance(35) {
            ladders::inactivity(random, &mut toml);
        }
    }
    let _ =
        writeln!(toml, "[refund]\nclawback = \"{}\"", random.pick(&["debt", "debt", "debt", "within_balance", "pending_only"]));
    let _ = writeln!(toml, "order_of_lots = \"{}\"", random.pick(&["originating_first", "consumption_order"]));
    let _ = writeln!(toml, "threshold_bonus = \"{}\"", random.pick(&["strict", "keep"]));
    if random.chance(50) {
        let _ = writeln!(toml, "restore = {{ min_remaining = \"{}\" }}", random.pick(&["P10D", "P30D", "P2M"]));
    }
    let _ = writeln!(toml, "[spend]\norder = \"{}\"", random.pick(&["soonest_expiry", "soonest_expiry", "oldest"]));
    for ledger in &ledgers[1..] {
        let _ = writeln!(toml, "[ledgers.{ledger}]\nname = \"{ledger}\"");
    }
    let tiers = if features.tiers && random.chance(65) { ladders::tiers(random, &mut toml, &currencies[0]) } else { Vec::new() };
    let rules = random.between(1, 3);
    for number in 0..rules {
        earn(random, &mut toml, number, &currencies[0], ledgers, features, &tiers);
    }
    rewards(random, &mut toml, &currencies[0], features, &tiers);
    if features.achievements && random.chance(35) {
        ladders::achievements(random, &mut toml, &currencies[0]);
    }
    Made { toml, currencies: currencies.to_vec(), ledgers: ledgers.to_vec(), tiers }
}

fn eligible(random: &mut Random, toml: &mut String) {
    let _ = writeln!(toml, "[eligible]\nround = \"{}\"", random.pick(&["floor", "floor", "ceil", "half_up", "half_even"]));
    for key in ["shipping", "tax", "gift_card_payment", "points_payment"] {
        if random.chance(40) {
            let _ = writeln!(toml, "{key} = {}", random.chance(50));
        }
    }
    if random.chance(50) {
        let _ = writeln!(
            toml,
            "exclude = {{ collections = [\"gift-cards\"], tags = {}, skus = {} }}",
            random.pick(&["[]", "[\"new\"]"]),
            random.pick(&["[]", "[\"CARD\"]"])
        );
    }
}

fn earn(
    random: &mut Random,
    toml: &mut String,
    number: i64,
    currency: &str,
    ledgers: &[String],
    features: Features,
    tiers: &[&str],
) {
    let is_activity = number > 0 && random.chance(30);
    let occasions: &[&str] = if features.limits { &["activity", "activity", "birthday", "registered"] } else { &["activity"] };
    let on = if is_activity { random.pick(occasions) } else { "order" };
    let _ = writeln!(
        toml,
        "[[earn]]\nid = \"rule{number}\"\non = \"{on}\"\npoints = {}",
        random.between(1, 3) * if is_activity { 3 } else { 1 }
    );
    let has_per = !is_activity && (number == 0 || random.chance(60));
    if has_per {
        let per = if currency == "JPY" { random.pick(&["100", "300"]) } else { random.pick(&["1.00", "1.00", "3.00", "0.50"]) };
        let _ = writeln!(toml, "per = \"{per}\"");
    }
    if let Some(ledger) = random.any(ledgers) {
        let _ = writeln!(toml, "ledger = \"{ledger}\"");
    }
    if random.chance(25) {
        // Only what belongs to an order can wait for its fulfilment.
        let starts = if is_activity { &STARTS[..8] } else { STARTS };
        let _ = writeln!(toml, "pending = {{ start = {} }}", random.pick(starts));
    } else if is_activity {
        toml.push_str("pending = { start = \"immediate\" }\n");
    }
    if random.chance(25) {
        let _ = writeln!(toml, "expiry = {{ lot = {}, base = \"{}\" }}", random.pick(ENDS), random.pick(&["activation", "earn"]));
    }
    if features.limits && random.chance(30) {
        ladders::limit(random, toml);
    }
    if !tiers.is_empty() {
        for key in ["tier_multiplier", "counts_toward_tier"] {
            if random.chance(20) {
                let _ = writeln!(toml, "{key} = {}", random.chance(50));
            }
        }
    }
    let mut when = conditions(random, on, number, currency);
    if !tiers.is_empty() && number > 0 && random.chance(30) {
        when.push(format!("tiers = [\"{}\"]", random.pick(tiers)));
    }
    if !when.is_empty() {
        let _ = writeln!(toml, "when = {{ {} }}", when.join(", "));
    }
}

fn conditions(random: &mut Random, on: &str, number: i64, currency: &str) -> Vec<String> {
    let mut when = Vec::new();
    if random.chance(15) {
        when.push("from = 2024-02-01T00:00:00Z".to_owned());
        when.push(format!("until = 2024-{:02}-15T12:00:00Z", random.between(3, 9)));
    }
    if random.chance(15) {
        when.push(format!("weekdays = [\"{}\", \"{}\"]", random.pick(&["mon", "tue", "fri"]), random.pick(&["sat", "sun"])));
    }
    if on != "order" {
        if on == "activity" && random.chance(60) {
            when.push(format!("activity = \"{}\"", random.pick(ACTIVITIES)));
        }
    } else if number > 0 {
        if random.chance(30) {
            when.push(format!("collections = [\"{}\"]", random.pick(COLLECTIONS)));
        }
        if random.chance(15) {
            when.push(format!("tags = [\"{}\"]", random.pick(TAGS)));
        }
        if random.chance(15) {
            when.push(format!("skus = [\"{}\", \"T-1\"]", random.pick(SKUS)));
        }
        if random.chance(30) {
            let least = if currency == "JPY" { random.pick(&["500", "2000"]) } else { random.pick(&["5.00", "10.00", "20.00"]) };
            when.push(format!("min_eligible = \"{least}\""));
        }
        if random.chance(15) {
            when.push("first_order = true".to_owned());
        }
        if random.chance(15) {
            when.push(format!("channels = [\"{}\"]", random.pick(CHANNELS)));
        }
    }
    when
}

fn rewards(random: &mut Random, toml: &mut String, currency: &str, features: Features, tiers: &[&str]) {
    let worth = if currency == "JPY" { "100" } else { "1.00" };
    let lives = ["valid_for = \"P30D\"", "valid_for = \"P90D\"", "valid_for = \"P1M\"", "uses = 1"];
    let mut reward = |id: &str, kind: &str, price: &str, coupon: Option<u32>| {
        let _ = writeln!(toml, "[[reward]]\nid = \"{id}\"\nname = \"{id}\"\nkind = \"{kind}\"\n{price}");
        let _ = writeln!(toml, "benefit = {{ amount = \"{worth}\" }}");
        match coupon {
            Some(1) => {
                let _ = writeln!(toml, "coupon = {{ {} }}", random.pick(&lives));
            }
            Some(uses) => {
                let _ = writeln!(toml, "coupon = {{ valid_for = \"P90D\", uses = {uses} }}");
            }
            None => (),
        }
        if random.chance(30) {
            toml.push_str("restore_on_expiry = true\n");
        }
        if features.per_member && random.chance(30) {
            ladders::per_member(random, toml);
        }
        if !tiers.is_empty() && random.chance(15) {
            let _ = writeln!(toml, "tiers = [\"{}\"]", random.pick(tiers));
        }
    };
    reward("small", "redeemable", "cost = 5", Some(1));
    reward("big", "redeemable", "cost = 20", Some(1));
    reward("plain", "redeemable", "cost = 8", None);
    reward("pay", "redeemable", &format!("pay_with_points = {{ points = 5, worth = \"{worth}\", min = 5, step = 5 }}"), Some(1));
    reward("gift", "grantable", "", Some(1));
    reward("trinket", "grantable", "", None);
    reward("multi", "redeemable", "cost = 10", Some(2));
}
