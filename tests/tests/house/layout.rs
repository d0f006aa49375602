//! The top level is fixed (architecture.md, "Folders"), and what is written about it is true.

use crate::{Findings, METADATA, SOURCES, Source, none, root};
use std::collections::BTreeSet;
use std::path::Path;

const FOLDERS: [&str; 10] = [".cargo", ".ci", "benches", "deploy", "docs", "engine", "projections", "proto", "server", "tests"];
const FILES: [&str; 14] = [
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
    "NOTICE",
];

fn check_top<'a>(paths: impl Iterator<Item = &'a str>) -> Findings {
    let (mut findings, mut seen) = (Findings::new(), BTreeSet::new());
    for path in paths {
        let (top, known) = match path.split_once('/') {
            Some((folder, _)) => (folder, FOLDERS.contains(&folder)),
            None => (path, FILES.contains(&path)),
        };
        if seen.insert(top) && !known {
            findings.push(format!("{top}: the top level is fixed: find its place below"));
        }
    }
    findings.extend(FOLDERS.iter().filter(|folder| !seen.contains(**folder)).map(|folder| format!("{folder}: is missing")));
    findings
}

/// Links to files of the checkout, in every Markdown file.
fn check_links(source: &Source, exists: impl Fn(&Path) -> bool) -> Findings {
    let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
    let targets = source.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let local = targets.filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"));
    local
        .filter(|target| !exists(&folder.join(target)))
        .map(|target| format!("{}: links to {target}, which is not there", source.path))
        .collect()
}

/// Folders of all crates, as ARCHITECTURE.md has to name them.
fn check_map(map: &str, crates: &[String]) -> Findings {
    crates
        .iter()
        .filter(|path| !map.contains(&format!("`{path}`")))
        .map(|path| format!("ARCHITECTURE.md: does not name `{path}`"))
        .collect()
}

/// Terms of the glossary: bold at the start of a table's row, in alphabetical order, each once.
fn check_glossary(text: &str) -> Findings {
    let terms: Vec<String> =
        text.lines().filter_map(|line| Some(line.strip_prefix("| **")?.split_once("**")?.0.to_lowercase())).collect();
    let unordered = terms.windows(2).filter(|pair| pair[0] >= pair[1]);
    let mut findings: Findings =
        unordered.map(|pair| format!("docs/glossary.md: {} stands before {}", pair[0], pair[1])).collect();
    if terms.is_empty() {
        findings.push("docs/glossary.md: has no terms".to_owned());
    }
    findings
}

fn text(path: &str) -> &'static str {
    &SOURCES.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("{path} is missing")).text
}

#[test]
fn the_top_level_is_as_agreed() {
    none(check_top(SOURCES.iter().map(|source| source.path.as_str())));
}

#[test]
fn links_lead_somewhere() {
    let pages = SOURCES.iter().filter(|source| source.path.ends_with(".md"));
    none(pages.flat_map(|source| check_links(source, |path| root().join(path).exists())).collect());
}

#[test]
fn the_map_names_every_crate() {
    let top = root();
    let folder =
        |manifest: &Path| manifest.parent().and_then(|path| path.strip_prefix(&top).ok()).map(|path| path.display().to_string());
    let crates: Vec<String> =
        METADATA.workspace_packages().iter().filter_map(|package| folder(package.manifest_path.as_std_path())).collect();
    assert_eq!(crates.len(), METADATA.workspace_members.len());
    none(check_map(text("ARCHITECTURE.md"), &crates));
}

#[test]
fn the_readme_names_the_two_commands() {
    for command in ["make run", "make test"] {
        assert!(text("README.md").contains(command), "README.md: {command} is missing");
    }
    assert!(text(".ci/run").contains("make test"), ".ci/run runs what the README says");
}

#[test]
fn the_glossary_is_in_order() {
    none(check_glossary(text("docs/glossary.md")));
}

#[test]
fn what_is_wrong_is_found() {
    let good: Vec<String> = FOLDERS.iter().map(|folder| format!("{folder}/x")).collect();
    let top = |more: &[&'static str]| check_top(good.iter().map(String::as_str).chain(more.iter().copied())).len();
    assert_eq!([top(&[]), top(&["README.md"]), top(&["utils/x", "utils/y"]), top(&["notes.txt"])], [0, 0, 1, 1]);
    assert_eq!(check_top(good.iter().skip(1).map(String::as_str)), [".cargo: is missing"]);
    let page = Source::new("docs/x.md", "[a](b.md) [c](../README.md#top) [d](https://example.org/) [e](#here)");
    assert_eq!(
        check_links(&page, |path| path == Path::new("docs/../README.md")),
        ["docs/x.md: links to b.md, which is not there"]
    );
    assert_eq!(check_map("`proto`", &["proto".into(), "server".into()]).len(), 1);
    assert_eq!(check_glossary("| **b** | x |\n| **a** | y |").len(), 1);
    assert_eq!(check_glossary("").len(), 1);
}
