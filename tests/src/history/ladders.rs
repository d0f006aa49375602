//! Rulesets of the whole domain: tiers of every policy, inactivity, limits, achievements.

use super::random::Random;
use super::rulesets::ACTIVITIES;
use std::fmt::Write as _;

/// How long a period of a limit or an achievement is.
pub const PERIODS: &[&str] = &["P1D", "P1W", "P1M", "P1M", "P3M", "P1Y"];

/// `[tiers]` and `[[tier]]`, lowest first; `friends` is custom. Inside: the ids.
pub fn tiers(random: &mut Random, toml: &mut String, currency: &str) -> Vec<&'static str> {
    let mut ids = vec!["base"];
    let metric = random.pick(&["spend", "spend", "points", "orders"]);
    let windows = [
        "{ rolling = \"P365D\" }",
        "{ rolling = \"P60D\" }",
        "{ rolling = \"P20D\" }",
        "{ calendar = \"year\" }",
        "{ calendar = \"quarter\" }",
        "{ calendar = \"month\" }",
        "{ anniversary = \"P12M\" }",
        "{ anniversary = \"P2M\" }",
        "\"lifetime\"",
    ];
    let _ = writeln!(toml, "[tiers]\nmetric = \"{metric}\"\nwindow = {}", random.pick(&windows));
    if random.chance(85) {
        let _ = writeln!(toml, "hold = \"{}\"", random.pick(&["P12M", "P1M", "P20D", "P3M", "P7D"]));
    }
    let _ = writeln!(toml, "downgrade = \"{}\"", random.pick(&["full", "full", "one_step", "none"]));
    if random.chance(40) {
        let _ = writeln!(toml, "grace = \"{}\"", random.pick(&["P0D", "P10D", "P1M"]));
    }
    let steps: [&str; 2] = match (metric, currency) {
        ("orders", _) => [random.pick(&["2", "3"]), random.pick(&["4", "7"])],
        ("points", _) => [random.pick(&["10", "40"]), random.pick(&["100", "200"])],
        (_, "JPY") => [random.pick(&["3000", "8000"]), random.pick(&["15000", "30000"])],
        _ => [random.pick(&["30.00", "80.00"]), random.pick(&["150.00", "300.00"])],
    };
    let _ = writeln!(toml, "[[tier]]\nid = \"base\"\nname = \"Base\"\nentry = \"0\"");
    for (id, entry, ever) in [("silver", steps[0], 100), ("gold", steps[1], 85)] {
        if random.chance(ever) {
            let _ = writeln!(toml, "[[tier]]\nid = \"{id}\"\nname = \"{id}\"\nentry = \"{entry}\"");
            tier(random, toml, metric, entry);
            ids.push(id);
        }
    }
    if random.chance(60) {
        let _ = writeln!(toml, "[[tier]]\nid = \"friends\"\nname = \"Friends\"\ncustom = true");
        if random.chance(70) {
            toml.push_str("earn_multiplier = \"2\"\n");
        }
        ids.push("friends");
    }
    ids
}

fn tier(random: &mut Random, toml: &mut String, metric: &str, entry: &str) {
    if random.chance(45) {
        let least = match (metric, entry) {
            ("orders", _) => random.pick(&["1", "2"]),
            ("points", _) => random.pick(&["5", "10"]),
            (_, entry) if !entry.contains('.') => random.pick(&["1000", "2500"]),
            _ => random.pick(&["10.00", "25.50"]),
        };
        let _ = writeln!(toml, "maintain = \"{least}\"");
    }
    if random.chance(70) {
        let _ = writeln!(toml, "earn_multiplier = \"{}\"", random.pick(&["1.25", "1.5", "2", "1.1"]));
    }
    if random.chance(15) {
        toml.push_str("discount_code = \"CODE10\"\n");
    }
    if random.chance(50) {
        let benefit = random.pick(&["points = 7", "points = 15", "reward = \"gift\"", "points = 5, reward = \"small\""]);
        let _ = writeln!(toml, "on_entry = {{ {benefit} }}");
    }
}

/// A line of `[expiry]`.
pub fn inactivity(random: &mut Random, toml: &mut String) {
    let after = random.pick(&["P20D", "P45D", "P2M", "P12M"]);
    let _ = match random.below(4) {
        0 => writeln!(toml, "inactivity = {{ after = \"{after}\" }}"),
        1 => writeln!(toml, "inactivity = {{ after = \"{after}\", activities = [\"order\"] }}"),
        2 => writeln!(toml, "inactivity = {{ after = \"{after}\", activities = [\"redemption\"] }}"),
        _ => writeln!(toml, "inactivity = {{ after = \"{after}\", activities = [\"order\", \"redemption\"] }}"),
    };
}

/// A line of `[[earn]]`.
pub fn limit(random: &mut Random, toml: &mut String) {
    let points = random.pick(&["5", "12", "25", "60"]);
    let _ = writeln!(toml, "limit = {{ points = {points}, each = \"{}\", members = \"each\" }}", random.pick(PERIODS));
}

/// A line of `[[reward]]`.
pub fn per_member(random: &mut Random, toml: &mut String) {
    let _ = writeln!(toml, "per_member = {{ count = {}, each = \"{}\" }}", random.between(1, 3), random.pick(PERIODS));
}

/// `[[achievement]]`, some.
pub fn achievements(random: &mut Random, toml: &mut String, currency: &str) {
    for number in 0..random.between(1, 2) {
        let count = match random.below(4) {
            0 | 1 => "orders".to_owned(),
            2 => "spend".to_owned(),
            _ => format!("activity:{}", random.pick(ACTIVITIES)),
        };
        let target = match (count.as_str(), currency) {
            ("spend", "JPY") => "\"9000\"".to_owned(),
            ("spend", _) => "\"100.00\"".to_owned(),
            _ => random.between(1, 4).to_string(),
        };
        let _ = writeln!(toml, "[[achievement]]\nid = \"feat{number}\"\nname = \"Feat\"\ncount = \"{count}\"\ntarget = {target}");
        if random.chance(50) {
            let _ = writeln!(toml, "each = \"{}\"", random.pick(PERIODS));
        }
        let _ = writeln!(toml, "points = {}", random.between(3, 20));
    }
}
