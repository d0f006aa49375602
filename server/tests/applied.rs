//! An application broken off after any number of facts: told again it is completed, once.

use accrue_ingest::facts_file::Form;
use accrue_ledger::{Instant, Ruleset};
use accrue_projections::{AsKnown, AsOf};
use accrue_server::answering::{Apply, Applying, Guards, Policy, Undo};
use accrue_server::answers::open_store;
use accrue_server::config::{Config, Layers};
use accrue_server::intake::{Hand, Straight, Summary, Taken, straight_in};
use accrue_server::problem::Problem;
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::Path;

const RULES: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n\
    [[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
const MEMBERS: u32 = 5;
/// Begun, the rules, an entry for each member, done.
const FACTS: u32 = MEMBERS + 3;

fn config(dir: &Path) -> Config {
    let mut layers = Layers::default();
    layers.set(&format!("data_dir={}", dir.display())).expect("known");
    Config::of(layers).expect("a configuration")
}

fn open(dir: &Path) -> Straight {
    let config = config(dir);
    Straight::open(&config, open_store(&config).expect("opens")).expect("opens")
}

fn shop(dir: &Path) {
    let hash = Ruleset::parse(RULES).expect("valid").hash_hex();
    let mut facts = vec![json!({
        "id": "rules", "source": "test", "program": "shop", "occurred_at": "2024-01-01T00:00:00Z",
        "ruleset_activated": { "ruleset": RULES, "hash": hash, "effective_from": "2024-01-01T00:00:00Z" },
    })];
    facts.extend((0..MEMBERS).map(|member| {
        json!({
            "id": format!("o{member}"), "source": "test", "program": "shop", "member": format!("m{member}"), "occurred_at": "2024-03-01T10:00:00Z",
            "order_placed": { "order_id": "A", "currency": "GBP", "lines": [{ "line_id": "1", "quantity": 1, "unit_price": "10.00" }] },
        })
    }));
    let hand = Hand::Embedded(Box::new(open(dir)));
    let mut facts = facts.into_iter();
    let next = |bytes: &mut Vec<u8>| {
        bytes.extend(facts.next()?.to_string().into_bytes());
        Some(Ok((Form::Json, None, String::new())))
    };
    hand.all(next, |_| {}, &mut Summary::default()).expect("booked");
    hand.close().expect("closes");
}

/// Works on the store; after so many facts nothing is taken any more.
fn with(dir: &Path, most: u32, work: impl FnOnce(&Applying<'_>) -> Result<Value, Problem>) -> Result<Value, Problem> {
    let straight = open(dir);
    let left = Cell::new(most);
    let take = |facts: &[&[u8]]| -> Result<Taken, Problem> {
        let now = left.get().min(facts.len() as u32);
        left.set(left.get() - now);
        let taken = straight_in(straight.embedded(), &facts[..now as usize])?;
        if (now as usize) < facts.len() { Err(Problem::new("shard_stopped", "the plug was pulled")) } else { Ok(taken) }
    };
    let now = Instant::parse("2024-06-02T00:00:00Z").expect("an instant");
    let applying = Applying {
        readers: &straight.readers,
        take: &take,
        catch_up: &|| Ok(()),
        program: "shop",
        guards: Guards::default(),
        now,
    };
    let answer = work(&applying);
    straight.close().expect("closes");
    answer
}

fn active(dir: &Path) -> Vec<i64> {
    let straight = open(dir);
    let now = Instant::parse("2024-07-01T00:00:00Z").expect("an instant");
    let of = |member: u32| {
        let asked = AsOf { as_of: None, known: AsKnown::Now };
        let name = format!("m{member}");
        let found = straight.readers.all().iter().find_map(|open| open.reader.member("shop", &name, asked, now).expect("reads"));
        found.expect("known").balance["main"].active
    };
    let all = (0..MEMBERS).map(of).collect();
    straight.close().expect("closes");
    all
}

#[test]
fn any_break_is_completed_once_and_undone_likewise() {
    let asked = Apply {
        new: RULES.replace("points = 1", "points = 3"),
        policy: Some(Policy::TrueUp),
        from: Some("2024-01-01T00:00:00Z".into()),
        ..Apply::default()
    };
    for most in 0..FACTS {
        let store = tempfile::tempdir().expect("a folder");
        let dir = store.path();
        shop(dir);
        let apply = |most| with(dir, most, |applying| applying.apply(&asked, &mut |_, _| ()));
        assert_eq!(apply(most).expect_err("broken off").code, "shard_stopped", "{most}");
        if most > 0 {
            let other = Apply { policy: Some(Policy::Restate), ..asked.clone() };
            let refused = with(dir, FACTS, |applying| applying.apply(&other, &mut |_, _| ())).expect_err("one is open");
            assert_eq!(refused.code, "apply_conflict");
        }
        let done = match most % 2 == 1 {
            true => with(dir, FACTS, |applying| applying.resume(&mut |_, _| ())),
            false => apply(FACTS),
        };
        assert_eq!(done.expect("completed")["application"]["accepted"], json!(MEMBERS), "after {most}");
        assert_eq!(active(dir), [30; MEMBERS as usize], "after {most}");
        assert_eq!(apply(FACTS).expect("known")["application"]["state"], "already");

        let undo = |most| {
            with(dir, most, |applying| applying.undo(&Undo { at: Some("2024-06-02T00:00:00Z".into()), ..Undo::default() }))
        };
        assert_eq!(undo(most).expect_err("broken off").code, "shard_stopped", "{most}");
        assert_eq!(undo(FACTS).expect("undone")["application"]["entries"]["points"], json!(-20 * i64::from(MEMBERS)));
        assert_eq!(active(dir), [10; MEMBERS as usize], "undone after {most}");
    }
}
