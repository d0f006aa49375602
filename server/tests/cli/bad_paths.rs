//! What goes wrong around a store, with the real binary: another process, a later version.

use super::desk::Desk;
use std::os::unix::fs::PermissionsExt;

const RULES: &str = "program = \"shop\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";

pub fn with_rules() -> Desk {
    let desk = Desk::new();
    desk.write("rules.toml", RULES);
    desk
}

#[test]
fn a_store_that_another_process_has() {
    let desk = with_rules();
    desk.json("rules activate rules.toml --dir store --from 2024-01-01");
    let held =
        accrue_store::Store::open(&desk.dir.path().join("store"), accrue_store::StoreOptions::default()).expect("ours now");
    for line in ["member list --dir store", "verify --dir store", "rules activate rules.toml --dir store --from 2024-01-01"] {
        let done = desk.run(line);
        let pid = std::process::id();
        assert!(
            done.code == 5 && done.err.contains(&format!("is in use by process {pid}")),
            "{line}: {} {}",
            done.code,
            done.err
        );
        assert!(done.out.is_empty() && done.err.lines().count() == 1, "{line}: {}{}", done.out, done.err);
    }
    drop(held);
    assert_eq!(desk.run("member list --dir store").code, 0);
}

#[test]
fn a_store_of_a_later_version() {
    let desk = with_rules();
    desk.json("rules activate rules.toml --dir store --from 2024-01-01");
    let format = desk.dir.path().join("store/FORMAT");
    let ours = std::fs::read_to_string(&format).expect("a format");
    std::fs::write(&format, "accrue-store 999\n").expect("written");
    for line in ["member list --dir store", "publish --dir store rules.toml", "serve --dir store --listen 127.0.0.1:0"] {
        let done = desk.run(line);
        assert_eq!(done.code, 1, "{line}: {}", done.err);
        assert!(done.err.contains("has format 999, this version knows up to 1; use a newer accrue"), "{line}: {}", done.err);
    }
    assert_eq!(std::fs::read_to_string(&format).expect("still there"), "accrue-store 999\n");
    std::fs::write(&format, ours).expect("written");
    desk.json("verify --dir store");
}

fn fulfilled(number: usize) -> String {
    format!(
        r#"{{"id":"{number}","source":"test","program":"shop","member":"m{number}","occurred_at":"2024-03-01T10:00:00Z","order_fulfilled":{{"order_id":"{number}"}}}}"#
    ) + "\n"
}

#[test]
fn what_breaks_off_in_the_middle_is_counted_and_not_lost() {
    let desk = with_rules();
    desk.json("rules activate rules.toml --dir store --from 2024-01-01");
    let good: String = (0..700).map(fulfilled).collect();
    desk.write("facts.jsonl", &(good + &"x".repeat(5 * 1024 * 1024)));
    let done = desk.run("publish facts.jsonl --dir store --output csv");
    assert!(done.code == 1 && done.out.contains(",700"), "{} {} {}", done.code, done.out, done.err);
    assert!(done.err.contains("broken off, 700 were handed in") && done.err.contains("line 701"), "{}", done.err);
    assert_eq!(desk.run("publish . --dir store").code, 2, "a directory is no file");
}

#[test]
fn an_opening_debt_comes_along_and_what_is_rejected_is_named() {
    let desk = with_rules();
    desk.json("rules activate rules.toml --dir store --from 2024-01-01");
    let mapping = "kind = \"balances\"\nprogram = \"shop\"\nsource = \"old\"\n[time]\nformat = \"%Y-%m-%d\"\nzone = \"UTC\"\n\
        [opening]\nat = \"2024-06-01T00:00:00Z\"\nmember = \"Who\"\npoints = \"Points\"\nledger = \"Ledger\"\n";
    desk.write("balances.toml", mapping);
    desk.write("balances.csv", "Who,Points,Ledger\ndebtor,-20,\nother,-5,stars\n");
    let done = desk.run("import --mapping balances.toml balances.csv --dir store");
    assert!(done.code == 1 && done.err.contains("lines 3 to 3: rejected, ledger_unknown"), "{} {}", done.code, done.err);
    assert!(done.err.contains("1 of 2 were rejected"), "{}", done.err);
    let main = &desk.json("member show --dir store debtor")["balance"]["main"];
    assert_eq!((&main["active"], &main["debt"]), (&0.into(), &20.into()));
    assert_eq!(desk.run("import --mapping balances.toml nothing.csv --dir store").code, 2);
    desk.json("verify --dir store");
}

#[test]
fn a_backup_is_for_its_owner_and_not_in_what_it_is_of() {
    let desk = with_rules();
    desk.json("rules activate rules.toml --dir store --from 2024-01-01");
    let place = desk.dir.path().join("place");
    std::fs::create_dir(&place).expect("made");
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o755)).expect("for all to see");
    desk.json("backup create place --dir store");
    let mode = std::fs::metadata(place.join("files")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "the master key is in there");
    for within in ["store", "store/backups", "./store/shards"] {
        let (code, told) = desk.fails(&format!("backup create {within} --dir store"));
        assert!(code == 2 && told.contains("in the data directory"), "{code} {told}");
    }
}

#[test]
fn what_is_misspelt_is_not_taken_for_nothing() {
    let desk = with_rules();
    desk.json("rules activate rules.toml --dir store --from 2024-01-01");
    for line in ["member list nope", "member list nope --sort active", "expiring nope", "exceptions list nope"] {
        let done = desk.run(&format!("{line} --dir store"));
        assert!(done.code == 4 && done.err.contains("there is no program nope"), "{line}: {} {}", done.code, done.err);
    }
    assert_eq!(desk.run("exceptions list shop --dir store").code, 0);
    std::fs::create_dir(desk.dir.path().join("empty")).expect("made");
    let (code, told) = desk.fails("rules test empty");
    assert!(code == 2 && told.contains("empty has no scenario"), "{code} {told}");
    let apply = "rules apply rules.toml --policy prospective --from 2024-02-01 --dry-run --dir store --cohort tier=golt:true_up";
    let (code, told) = desk.fails(apply);
    assert!(code == 2 && told.contains("tier \"golt\", which no ruleset"), "{code} {told}");
    // An entry that is no object is no protobuf either.
    desk.write("facts.json", "[5, \"text\"]");
    let told = desk.run("publish facts.json --dir store --output json");
    assert!(told.out.contains(r#""refused: wrong_type": 2"#), "{} {}", told.out, told.err);
    let (code, told) = desk.fails("dlq requeue --code bogus --dir store");
    assert!(code == 2 && told.contains("has the code \"bogus\"; there are wrong_type"), "{code} {told}");
    let (code, told) = desk.fails("member list --dir store --log-level inof");
    assert!(code == 2 && told.contains("\"inof\" is no level"), "{code} {told}");
    assert_eq!(desk.run("member list --dir store --log-level warn,accrue_ingest=debug").code, 0);
}
