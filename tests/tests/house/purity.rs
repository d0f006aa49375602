//! The rules ask nobody: no clock, no float, no random order, no file in `engine/ledger`; no float on the wire (domain.md §1).

use crate::{Findings, SOURCES, Source, none};

/// Where (folder, ending), and which words must not stand in its code (tests at the bottom apart).
const BANS: [(&str, &str, &[&str]); 3] =
    [("engine/ledger/src/", ".rs", LEDGER), ("proto/", ".rs", &["f32", "f64"]), ("proto/", ".proto", &["float", "double"])];

#[rustfmt::skip]
const LEDGER: &[&str] = &[
    "f32", "f64", "SystemTime", "std::time", "std::fs", "std::io", "std::net", "std::env", "std::thread", "std::process",
    "Timestamp::now", "Zoned::now", "RandomState", "DefaultHasher", "HashMap::new", "HashMap::with_capacity", "HashSet::new",
    "HashSet::with_capacity", "println", "eprintln",
];

/// Files that may name a float all the same, each with its reason.
const FLOATS_REFUSED: [(&str, &str); 2] = [
    ("proto/src/json/parse.rs", "a reader of JSON is handed floats, to refuse them where a number of ours is meant"),
    ("proto/src/toml.rs", "a reader of TOML is handed floats, to refuse them where a number of ours is meant"),
];

/// Where the standard library's maps (their order differs from run to run) must not be named, also in a list: `collections::{…}`.
const ORDERED: &str = "engine/ledger/src/";

fn check(source: &Source) -> Findings {
    let mut findings = Findings::new();
    let code = source.path.ends_with(".rs") || source.path.ends_with(".proto");
    if !code || source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
        return findings;
    }
    for (number, line) in source.code().lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        let excepted = FLOATS_REFUSED.iter().any(|(path, _)| *path == source.path);
        for (folder, ending, words) in BANS {
            if excepted || !(source.path.starts_with(folder) && source.path.ends_with(ending)) {
                continue;
            }
            let found = words.iter().filter(|word| contains_word(line, word));
            findings.extend(found.map(|word| format!("{}:{}: {word} has no place here (§1)", source.path, number + 1)));
        }
        let std_map =
            line.contains("std::collections") && ["HashMap", "HashSet", "hash_map"].iter().any(|map| line.contains(map));
        if source.path.starts_with(ORDERED) && std_map {
            findings.push(format!(
                "{}:{}: std's hash maps have a random order: BTreeMap, or a fixed hasher (§1)",
                source.path,
                number + 1
            ));
        }
    }
    findings
}

/// `as_f64` and `x_f32` are uses of floats too: only letters and digits beside a word make it another word.
fn contains_word(line: &str, word: &str) -> bool {
    let inside = |before: Option<char>, after: Option<char>| [before, after].iter().flatten().any(|char| char.is_alphanumeric());
    line.match_indices(word).any(|(at, _)| !inside(line[..at].chars().next_back(), line[at + word.len()..].chars().next()))
}

#[test]
fn the_rules_ask_nobody() {
    assert!(SOURCES.iter().filter(|source| source.path.starts_with(ORDERED)).count() >= 4, "the rules are looked at");
    none(SOURCES.iter().flat_map(check).collect());
}

#[test]
fn every_exception_is_still_needed() {
    for (path, reason) in FLOATS_REFUSED {
        let source = SOURCES.iter().find(|source| source.path == path);
        let needed = source.is_some_and(|source| contains_word(source.code(), "f64"));
        assert!(needed && !reason.is_empty(), "{path} names no float: drop its exception");
    }
}

#[test]
fn an_impure_line_is_found() {
    let count = |path: &str, line: &str| check(&Source::new(path, line)).len();
    let ledger = "engine/ledger/src/fold.rs";
    for line in [
        "let x: f64 = 1.0;",
        "value.as_f64()",
        "use std::time::SystemTime;",
        "use std::collections::{BTreeMap, HashMap};",
        "let m = HashMap::new();",
        "std::fs::read(path)",
    ] {
        assert!(count(ledger, line) > 0, "{line}");
        assert_eq!(count("server/src/main.rs", line), 0, "{line}");
        assert_eq!(count(ledger, &format!("/// not {line}")), 0, "{line}");
        assert_eq!(count(ledger, &format!("#[cfg(test)]\nmod tests {{\n{line}")), 0, "{line}");
    }
    assert_eq!(count(ledger, "let hash = 0xbf64a; use std::collections::BTreeMap;"), 0);
    assert_eq!(count("proto/accrue/v1/fact.proto", "  double amount = 1; // minor units"), 1);
    assert_eq!(count("proto/src/json.rs", "let x = value.as_f64();"), 1);
}
