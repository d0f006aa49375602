//! Which crate may know which: the table of architecture.md, "Folders".

use crate::{Findings, METADATA, none};
use cargo_metadata::{DependencyKind, Metadata, PackageId};
use std::collections::{BTreeMap, BTreeSet};

/// A crate, the crates of ours it may use, and what must not be anywhere below it.
const BORDERS: [(&str, &[&str], &[&str]); 6] = [
    ("accrue-ledger", &[], &["rocksdb", "rdkafka", "tokio", "axum", "hyper", "ureq", "prost", "tempfile", "rand", "tracing"]),
    ("accrue-proto", &["accrue-ledger"], &["rocksdb", "rdkafka", "tokio", "axum", "hyper", "ureq"]),
    ("accrue-store", &["accrue-ledger", "accrue-proto"], &["rdkafka", "tokio", "axum", "hyper", "ureq"]),
    ("accrue-ingest", &["accrue-ledger", "accrue-proto", "accrue-store"], &["axum", "hyper", "tower-http", "ureq"]),
    ("accrue-projections", &["accrue-ledger", "accrue-proto", "accrue-store"], &["rdkafka", "tokio", "axum", "hyper", "ureq"]),
    ("accrue-server", &["accrue-ledger", "accrue-proto", "accrue-store", "accrue-ingest", "accrue-projections"], &[]),
];

/// May use anything; nobody may use them.
const ON_TOP: [&str; 2] = ["accrue-tests", "accrue-benches"];

/// What one crate uses.
#[derive(Default)]
struct Uses {
    /// Of ours, in whatever way (tests and build scripts too).
    ours: BTreeSet<String>,
    /// Everything below it in a plain build.
    below: BTreeSet<String>,
}

fn uses(metadata: &Metadata) -> BTreeMap<String, Uses> {
    let name = |id: &PackageId| metadata[id].name.to_string();
    let nodes = &metadata.resolve.as_ref().expect("resolved").nodes;
    let nodes: BTreeMap<&PackageId, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    let ours: BTreeSet<String> = metadata.workspace_members.iter().map(name).collect();
    let mut all = BTreeMap::new();
    for member in &metadata.workspace_members {
        let mut uses = Uses::default();
        uses.ours.extend(metadata[member].dependencies.iter().map(|dep| dep.name.clone()).filter(|dep| ours.contains(dep)));
        let (mut seen, mut open) = (BTreeSet::new(), vec![member]);
        while let Some(id) = open.pop() {
            for dep in &nodes[id].deps {
                let plain = dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
                if plain && seen.insert(&dep.pkg) {
                    uses.below.insert(name(&dep.pkg));
                    open.push(&dep.pkg);
                }
            }
        }
        all.insert(name(member), uses);
    }
    all
}

fn check(all: &BTreeMap<String, Uses>) -> Findings {
    let mut findings = Findings::new();
    for (name, uses) in all {
        if ON_TOP.contains(&name.as_str()) {
            continue;
        }
        let Some((_, allowed, strangers)) = BORDERS.iter().find(|(crate_name, ..)| crate_name == name) else {
            findings.push(format!("{name}: not in the table of crates: give it its place in architecture and in BORDERS"));
            continue;
        };
        findings.extend(uses.ours.iter().filter(|used| !allowed.contains(&used.as_str())).map(|used| {
            format!("{name}: uses {used}, against the direction ledger <- proto <- store <- ingest, projections <- server")
        }));
        findings.extend(
            strangers
                .iter()
                .filter(|used| uses.below.contains(**used))
                .map(|used| format!("{name}: must know nothing about {used}")),
        );
    }
    findings.extend(
        BORDERS.iter().filter(|(name, ..)| !all.contains_key(*name)).map(|(name, ..)| format!("{name}: there is no such crate")),
    );
    findings
}

#[test]
fn each_crate_knows_only_what_it_may() {
    none(check(&uses(&METADATA)));
}

#[test]
fn a_crossed_border_is_found() {
    let mut all = uses(&METADATA);
    assert!(all["accrue-store"].below.contains("rocksdb"), "the graph is seen");
    assert!(all["accrue-ingest"].ours.contains("accrue-store"), "our own crates are seen");
    let ledger = all.get_mut("accrue-ledger").expect("there");
    ledger.ours.insert("accrue-store".to_owned());
    ledger.below.insert("rocksdb".to_owned());
    all.get_mut("accrue-projections").expect("there").ours.insert("accrue-ingest".to_owned());
    all.insert("accrue-extra".to_owned(), Uses::default());
    all.remove("accrue-server");
    let findings = check(&all);
    let expected = [
        "accrue-extra: not in the table",
        "accrue-ledger: uses accrue-store",
        "accrue-ledger: must know nothing about rocksdb",
        "accrue-projections: uses accrue-ingest",
        "accrue-server: there is no such crate",
    ];
    assert_eq!(findings.len(), expected.len(), "{findings:?}");
    for (finding, start) in findings.iter().zip(expected) {
        assert!(finding.starts_with(start), "{finding} / {start}");
    }
}
