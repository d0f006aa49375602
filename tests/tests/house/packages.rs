//! What others' code may come in: `deny.toml`'s licences, bans and sources over all packages, and versions pinned in one place.

use crate::{Findings, METADATA, SOURCES, Source, none, root};
use cargo_metadata::Metadata;
use std::collections::BTreeSet;
use std::fs;
use toml::{Table, Value};

/// What is looked at of one package.
#[derive(Clone)]
struct Package {
    name: String,
    licence: Option<String>,
    source: Option<String>,
    used_by: BTreeSet<String>,
}

fn packages(metadata: &Metadata) -> Vec<Package> {
    let nodes = &metadata.resolve.as_ref().expect("resolved").nodes;
    let resolved = nodes.iter().map(|node| &metadata[&node.id]);
    resolved
        .map(|package| Package {
            name: package.name.to_string(),
            licence: package.license.clone(),
            source: package.source.as_ref().map(|source| source.repr.clone()),
            used_by: nodes
                .iter()
                .filter(|node| node.deps.iter().any(|dep| dep.pkg == package.id))
                .map(|node| metadata[&node.id].name.to_string())
                .collect(),
        })
        .collect()
}

fn policy() -> Table {
    fs::read_to_string(root().join("deny.toml")).expect("deny.toml").parse().expect("deny.toml is TOML")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn check(policy: &Table, packages: &[Package]) -> Findings {
    let mut findings = Findings::new();
    let allowed = texts(&policy["licenses"]["allow"]);
    for package in packages {
        match &package.licence {
            None => findings.push(format!("{}: names no licence", package.name)),
            Some(text) => match licence_allowed(text, &allowed) {
                Ok(true) => {}
                Ok(false) => findings.push(format!("{}: licence {text} is not in deny.toml's list", package.name)),
                Err(token) => findings.push(format!("{}: licence {text} can't be read at {token:?}", package.name)),
            },
        }
        let ours = package.name.starts_with("accrue-");
        let from_registry = package.source.as_deref().is_some_and(|source| source.contains("/crates.io-index"));
        if !ours && !from_registry {
            findings.push(format!("{}: comes from {:?}, not from the public registry", package.name, package.source));
        }
    }
    for ban in policy["bans"]["deny"].as_array().into_iter().flatten() {
        let name = ban["crate"].as_str().unwrap_or_default();
        if ban.get("reason").and_then(Value::as_str).is_none_or(str::is_empty) {
            findings.push(format!("deny.toml: the ban of {name} has no reason"));
        }
        let wrappers = ban.get("wrappers").map(texts).unwrap_or_default();
        for package in packages.iter().filter(|package| package.name == name) {
            let wrong: Vec<_> = package.used_by.iter().filter(|user| !wrappers.contains(&user.as_str())).collect();
            if !wrong.is_empty() || wrappers.is_empty() {
                findings.push(format!("{name}: banned by deny.toml, used by {wrong:?}"));
            }
        }
    }
    for ignored in policy["advisories"]["ignore"].as_array().into_iter().flatten() {
        if ignored.get("reason").and_then(Value::as_str).is_none_or(str::is_empty) {
            findings.push(format!("deny.toml: the advisory {ignored} is ignored without a reason"));
        }
    }
    findings
}

/// An SPDX expression (`/` of old manifests is OR). `Err`: the token that has no place.
fn licence_allowed(text: &str, allowed: &[&str]) -> Result<bool, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut tokens = spaced.split_whitespace().peekable();
    let value = either(&mut tokens, allowed)?;
    tokens.next().map_or(Ok(value), |token| Err(token.to_owned()))
}

type Tokens<'a, 'b> = std::iter::Peekable<std::str::SplitWhitespace<'b>>;

fn either(tokens: &mut Tokens<'_, '_>, allowed: &[&str]) -> Result<bool, String> {
    let mut value = both(tokens, allowed)?;
    while tokens.next_if_eq(&"OR").is_some() {
        value |= both(tokens, allowed)?;
    }
    Ok(value)
}

fn both(tokens: &mut Tokens<'_, '_>, allowed: &[&str]) -> Result<bool, String> {
    let mut value = one(tokens, allowed)?;
    while tokens.next_if_eq(&"AND").is_some() {
        value &= one(tokens, allowed)?;
    }
    Ok(value)
}

fn one(tokens: &mut Tokens<'_, '_>, allowed: &[&str]) -> Result<bool, String> {
    match tokens.next() {
        Some("(") => {
            let value = either(tokens, allowed)?;
            tokens.next_if_eq(&")").map(|_| value).ok_or_else(|| "(".to_owned())
        }
        None | Some(")" | "OR" | "AND" | "WITH") => Err("a licence is missing".to_owned()),
        Some(licence) if tokens.next_if_eq(&"WITH").is_some() => {
            let exception = tokens.next().ok_or_else(|| "WITH".to_owned())?;
            Ok(allowed.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        Some(licence) => Ok(allowed.contains(&licence)),
    }
}

/// Versions stand in the top manifest; members say `workspace = true`, for lints and package fields too.
fn check_manifest(source: &Source) -> Findings {
    let manifest: Table = source.text.parse().expect("cargo has read it");
    let mut findings = Findings::new();
    let member = manifest.contains_key("package");
    if member && manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&Value::Boolean(true)) {
        findings.push(format!("{}: [lints] workspace = true is missing", source.path));
    }
    for (kind, dependencies) in manifest.iter().filter(|(kind, _)| kind.ends_with("dependencies")) {
        for (name, dependency) in dependencies.as_table().into_iter().flatten() {
            if dependency.get("workspace") != Some(&Value::Boolean(true)) {
                findings.push(format!("{}: [{kind}] {name}: pin it in the top Cargo.toml and say workspace = true", source.path));
            }
        }
    }
    if manifest.contains_key("target") || manifest.contains_key("patch") {
        findings.push(format!("{}: no [target] or [patch] sections: this check does not look into them", source.path));
    }
    for (name, dependency) in manifest.get("workspace").and_then(|top| top["dependencies"].as_table()).into_iter().flatten() {
        let version = dependency.as_str().or_else(|| dependency.get("version").and_then(Value::as_str));
        let pinned = version.map_or(dependency.get("path").is_some(), |version| !version.contains('*'));
        if !pinned || dependency.get("git").is_some() {
            findings.push(format!("{}: {name} is not pinned to a version of the registry", source.path));
        }
    }
    findings
}

#[test]
fn licences_bans_and_sources() {
    none(check(&policy(), &packages(&METADATA)));
}

#[test]
fn versions_stand_in_one_place() {
    let manifests: Vec<_> = SOURCES.iter().filter(|source| source.path.ends_with("Cargo.toml")).collect();
    assert!(manifests.len() > METADATA.workspace_members.len(), "the top manifest and each member's");
    none(manifests.into_iter().flat_map(check_manifest).collect());
}

#[test]
fn a_wrong_package_is_found() {
    let good = packages(&METADATA);
    let wrong = |change: fn(&mut Package)| {
        let mut packages = good.clone();
        change(packages.iter_mut().find(|package| package.name == "rdkafka-sys").expect("there"));
        check(&policy(), &packages)
    };
    assert!(wrong(|package| package.licence = Some("GPL-3.0-only".into()))[0].contains("not in deny.toml's list"));
    assert!(wrong(|package| package.licence = Some("MIT OR".into()))[0].contains("can't be read"));
    assert!(wrong(|package| package.licence = None)[0].contains("names no licence"));
    assert!(wrong(|package| package.source = Some("git+ssh://example".into()))[0].contains("not from the public registry"));
    assert!(wrong(|package| package.name = "chrono-tz".into())[0].contains("banned by deny.toml"));
    let stranger = |package: &mut Package| {
        package.name = "openssl-sys".into();
        package.used_by.insert("accrue-server".into());
    };
    assert!(wrong(stranger)[0].starts_with("openssl-sys: banned by deny.toml, used by [\"accrue-server\""));
    let bare: Table =
        "[licenses]\nallow = []\n[bans]\ndeny = [{ crate = 'x' }]\n[advisories]\nignore = [{ id = 'y' }]".parse().expect("TOML");
    assert_eq!(check(&bare, &[]).len(), 2, "a ban and an exception without reason");
}

#[test]
fn licence_expressions() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
    let cases = [
        ("MIT", true),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("MIT/Apache-2.0", true),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", false),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", true),
        ("GPL-2.0-only AND MIT OR Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH LLVM-exception", false),
    ];
    for (text, wanted) in cases {
        assert_eq!(licence_allowed(text, &allowed), Ok(wanted), "{text}");
    }
    for text in ["", "MIT MIT", "(MIT", "MIT AND", "MIT)", "MIT WITH"] {
        assert!(licence_allowed(text, &allowed).is_err(), "{text}");
    }
}

#[test]
fn a_version_elsewhere_is_found() {
    let member = |text: &str| {
        check_manifest(&Source::new("x/Cargo.toml", &format!("[package]\nname = 'x'\n[lints]\nworkspace = true\n{text}")))
    };
    assert!(member("[dependencies]\nserde = { workspace = true }").is_empty());
    assert_eq!(member("[dependencies]\nserde = '1'").len(), 1);
    assert_eq!(member("[dev-dependencies]\nserde = { version = '1' }").len(), 1);
    assert_eq!(member("[target.'cfg(unix)'.dependencies]\nserde = '1'").len(), 1);
    assert_eq!(check_manifest(&Source::new("x/Cargo.toml", "[package]\nname = 'x'")).len(), 1, "lints");
    let top = |text: &str| check_manifest(&Source::new("Cargo.toml", &format!("[workspace.dependencies]\n{text}")));
    assert!(top("a = '1'\nb = { path = 'b' }").is_empty());
    assert_eq!(top("a = '*'\nb = { git = 'c' }").len(), 2);
}
