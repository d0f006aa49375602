//! What goes wrong around a store, with the real binary: another process, a later version.

use super::desk::Desk;

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
